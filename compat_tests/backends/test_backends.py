"""Flags of torch.backends and settings of the process next to torch's: defaults, values that are set, errors."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest
import torch

import torchish_mlx as tm

FLAGS = {
    "cudnn": ["enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32", "fp32_precision"],
    "cudnn.conv": ["fp32_precision"],
    "cudnn.rnn": ["fp32_precision"],
    "mkldnn": ["enabled", "deterministic", "fp32_precision"],
    "mkldnn.conv": ["fp32_precision"],
    "mkldnn.rnn": ["fp32_precision"],
    "mkldnn.matmul": ["fp32_precision"],
    "opt_einsum": ["strategy"],
    "cuda.matmul": [
        *["allow_tf32", "fp32_precision", "allow_fp16_accumulation"],
        *["allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"],
    ],
}
PAIRS = [(where, name) for where, names in FLAGS.items() for name in names]
CALLS_TEXT = """
    cudnn.is_available() cudnn.version() cuda.is_built() mps.is_built() mps.is_available() opt_einsum.is_available()
    cuda.is_flash_attention_available() mha.get_fastpath_enabled() cuda.flash_sdp_enabled() cuda.math_sdp_enabled()
    cuda.mem_efficient_sdp_enabled() cuda.cudnn_sdp_enabled() cuda.fp16_bf16_reduction_math_sdp_allowed()
    mps.is_macos_or_newer(13,0) fp32_precision"""
CALLS = CALLS_TEXT.split()


def place(m, where):
    found = m.backends
    for part in where.split("."):
        found = getattr(found, part)
    return found


def said(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture(autouse=True)
def restored():
    """Both libraries have their defaults before and after a test."""
    yield
    for m in (tm, torch):
        m.backends.cudnn.set_flags(True, False, None, False, True)
        m.backends.cudnn.benchmark_limit = None
        for where in ("cudnn", "mkldnn", "mkldnn.conv", "mkldnn.rnn", "mkldnn.matmul", "cuda.matmul"):
            place(m, where).fp32_precision = "none"
        m.backends.cudnn.conv.fp32_precision = m.backends.cudnn.rnn.fp32_precision = "tf32"
        m.backends.mkldnn.enabled, m.backends.mkldnn.deterministic = True, False
        m.backends.opt_einsum.strategy = None
        matmul = m.backends.cuda.matmul
        matmul.allow_fp16_accumulation = False
        matmul.allow_fp16_reduced_precision_reduction = matmul.allow_bf16_reduced_precision_reduction = True
        m.set_float32_matmul_precision("highest")
        m.use_deterministic_algorithms(False)


@pytest.mark.parametrize("text", CALLS)
def test_what_torch_says_without_a_gpu(text):
    mine, theirs = (said(lambda m=m: eval(f"b.{text}", {"b": m.backends})) for m in (tm, torch))
    assert mine == theirs


@pytest.mark.parametrize(("where", "name"), PAIRS)
def test_a_flag(where, name):
    """The default; and each value that is set: what is read then, or the error."""
    assert said(lambda: getattr(place(tm, where), name)) == said(lambda: getattr(place(torch, where), name))
    values = ("none", "ieee", "tf32", "bf16", "foo") if name == "fp32_precision" else (True, False)
    values = (3, 5) if name == "benchmark_limit" else ("greedy",) if name == "strategy" else values
    for value in (*values, *((1, "a") if values[0] is True and "accumulation" not in name else ())):
        if where == "cuda.matmul" and name.startswith("allow_fp16_r") and value in (1, "a"):
            continue
        if where == "cuda.matmul" and name.startswith("allow_bf16_r") and value in (1, "a"):
            continue
        found = []
        for m in (tm, torch):
            wrote = said(lambda m=m, value=value: setattr(place(m, where), name, value))
            found.append((wrote, getattr(place(m, where), name)))
        if "set_" in str(found[0][0]):  # torch names the C++ function that refuses it
            assert str(found[1][0]).partition("expects")[2] == str(found[0][0]).partition("expects")[2]
        else:
            assert found[0] == found[1], value


@pytest.mark.parametrize("m", [tm, torch])
def test_blocks_of_flags(m):
    cudnn = m.backends.cudnn
    cudnn.benchmark = True
    with cudnn.flags(enabled=False, deterministic=True):
        assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (False, False, True)
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (True, True, False)
    assert cudnn.set_flags(_deterministic=True)[:4] == (True, True, None, False) or cudnn.benchmark_limit is not None
    assert cudnn.deterministic
    with m.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        assert not m.backends.mkldnn.enabled
    assert m.backends.mkldnn.enabled
    with pytest.warns(FutureWarning, match="sdp_kernel"), m.backends.cuda.sdp_kernel(enable_flash=False):
        assert not m.backends.cuda.flash_sdp_enabled()
    assert m.backends.cuda.flash_sdp_enabled()
    with pytest.raises(AttributeError, match="Unknown attribute foo"):
        m.backends.cuda.matmul.foo = 1
    with pytest.raises(AttributeError, match="Unknown attribute foo"):
        m.backends.cuda.matmul.foo
    with pytest.raises(AttributeError, match="no attribute 'foo'"):
        m.backends.cudnn.foo


def test_the_two_ways_to_say_how_precise_products_are():
    for precision in ("high", "medium", "highest"):
        seen = []
        for m in (tm, torch):
            m.set_float32_matmul_precision(precision)
            b = m.backends
            seen.append([m.get_float32_matmul_precision(), b.cuda.matmul.allow_tf32, b.cuda.matmul.fp32_precision])
            seen[-1].append(b.mkldnn.matmul.fp32_precision)
        assert seen[0] == seen[1]
    for value in (True, False):
        seen = []
        for m in (tm, torch):
            m.backends.cuda.matmul.allow_tf32 = value
            seen.append([m.get_float32_matmul_precision(), m.backends.cuda.matmul.fp32_precision])
        assert seen[0] == seen[1]
    for m in (tm, torch):
        with pytest.warns(UserWarning, match="foo is not one of 'highest', 'high', or 'medium'"):
            m.set_float32_matmul_precision("foo")


SETTINGS_TEXT = """set_num_threads(0) set_num_threads("a") set_num_threads(True) set_num_threads(1.0)
    set_num_interop_threads(0) set_num_interop_threads("a") set_float32_matmul_precision(1)
    get_float32_matmul_precision() are_deterministic_algorithms_enabled() use_deterministic_algorithms(1)
    use_deterministic_algorithms(True,warn_only=1) use_deterministic_algorithms(True,False)
    get_deterministic_debug_mode() set_deterministic_debug_mode("foo") set_deterministic_debug_mode(3)
    set_deterministic_debug_mode(1.0) set_flush_denormal(1) set_flush_denormal(False) is_warn_always_enabled()
    set_warn_always(1) set_default_tensor_type("torch.IntTensor") set_default_tensor_type("torch.cuda.FloatTensor")
    set_default_tensor_type("foo") set_default_tensor_type("torch.Foo") set_default_tensor_type(3)"""
SETTINGS = SETTINGS_TEXT.split()


@pytest.mark.parametrize("text", SETTINGS)
def test_a_setting(text):
    mine, theirs = (said(lambda m=m: eval(f"m.{text}", {"m": m})) for m in (tm, torch))
    if "set_flush" in text and "False" in text:
        assert (mine, theirs) == (False, True)  # torch can, and MLX can't
    else:
        assert mine == theirs


@pytest.mark.long
@pytest.mark.parametrize("given", [{}, {"OMP_NUM_THREADS": "1"}])
def test_threads_at_the_start(given):
    """In processes of their own: in this one, what ran before may have set torch's."""
    found = []
    for module in ("torch", "torchish_mlx"):
        others = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        program = f"import {module} as m; print(m.get_num_threads())"
        found.append(subprocess.run([sys.executable, "-c", program], env={**others, **given}, capture_output=True))
    assert found[0].stdout == found[1].stdout != b""


def test_settings_are_read_back():
    for m in (tm, torch):
        before = m.get_num_threads()
        m.set_num_threads(1)
        assert m.get_num_threads() == 1
        m.set_num_threads(before)
        m.set_warn_always(True)
        assert m.is_warn_always_enabled()
        m.set_warn_always(False)
        m.use_deterministic_algorithms(True, warn_only=True)
        assert (m.get_deterministic_debug_mode(), m.is_deterministic_algorithms_warn_only_enabled()) == (1, True)
        m.set_deterministic_debug_mode("error")
        assert (m.get_deterministic_debug_mode(), m.are_deterministic_algorithms_enabled()) == (2, True)
        m.set_deterministic_debug_mode(0)
        assert not m.are_deterministic_algorithms_enabled()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            m.set_default_tensor_type("torch.DoubleTensor")
            assert m.ones(1).dtype == m.float64
            m.set_default_tensor_type("torch.FloatTensor")
        assert m.ones(1).dtype == m.float32


def test_a_gpu_is_warned_of(monkeypatch):
    monkeypatch.setattr("torchish_mlx._core.settings.accelerator", lambda: "mps")
    with pytest.warns(UserWarning, match="index_add"):
        tm.use_deterministic_algorithms(True)
