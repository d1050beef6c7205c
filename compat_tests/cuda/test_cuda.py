"""Modules of devices next to those of a torch without any GPU: values, warnings, and errors with their messages."""

from __future__ import annotations

import inspect
import warnings

import mlx.core as mx
import pytest
import torch

import torchish_mlx as tm
from torchish_mlx._core import device as devices
from torchish_mlx._inert import INERT

NO_GPU = devices.accelerator() is None


def outcome(call, library):
    """What a call gives, or its error, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call(library)
            said = found if isinstance(found, (bool, int, str, list, tuple, dict, type(None))) else type(found).__name__
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
    return said, [(w.category, str(w.message)) for w in caught]


SAME_TEXT = """is_available device_count is_initialized init current_device get_device_name get_device_capability
    get_device_properties manual_seed(1) manual_seed_all(1) seed seed_all initial_seed get_rng_state get_rng_state_all
    set_rng_state_all([]) empty_cache ipc_collect synchronize memory_allocated memory_reserved
    memory_cached max_memory_allocated max_memory_reserved max_memory_cached memory_stats mem_get_info
    set_per_process_memory_fraction(0.5) current_stream default_stream Stream Event stream(None) set_stream(None)
    get_arch_list get_gencode_flags is_bf16_supported is_bf16_supported(False) is_tf32_supported
    is_current_stream_capturing can_device_access_peer(0,1) get_device_name(0) get_device_properties(0) set_device(-1)
    set_device("cpu") device(0).__enter__() device(-1).__enter__() amp.autocast amp.GradScaler
    amp.autocast(enabled=False) amp.GradScaler(enabled=False)
    amp.GradScaler().is_enabled() has_half has_magma default_generators"""
SAME = SAME_TEXT.split()
OTHERS_TEXT = """mps.is_available() mps.device_count() mps.synchronize() mps.empty_cache() mps.manual_seed(1) mps.seed()
    mps.get_rng_state() mps.current_allocated_memory() mps.driver_allocated_memory() mps.recommended_max_memory()
    mps.set_per_process_memory_fraction(0.5) mps.set_per_process_memory_fraction("a")
    mps.set_per_process_memory_fraction(3) mps.set_per_process_memory_fraction(3.0) mps.compile_shader("")
    accelerator.is_available() accelerator.device_count() accelerator.current_accelerator()
    accelerator.current_accelerator(check_available=True) accelerator.current_device_index()
    accelerator.current_device_idx() accelerator.set_device_index(0) accelerator.set_device_idx(0)
    accelerator.synchronize() accelerator.empty_cache() accelerator.memory_allocated()
    accelerator.max_memory_allocated() accelerator.memory_reserved() accelerator.memory_stats()
    accelerator.reset_peak_memory_stats() accelerator.device_index(0).__enter__()
    accelerator.device_index(None).__enter__() xpu.is_available() xpu.device_count() xpu.is_initialized()
    xpu.synchronize() xpu.empty_cache() xpu.manual_seed(1) xpu.manual_seed_all(1) xpu.seed() xpu.current_device()
    xpu.get_device_name() xpu.memory_allocated() mtia.is_available() mtia.device_count() mtia.is_initialized()
    cpu.is_available() cpu.device_count() cpu.is_initialized() cpu.synchronize() cpu.current_device()
    cpu.set_device(0) cpu.current_stream() cpu.stream(None).__enter__() get_device_module("foo")
    get_device_module("opencl")"""
OTHERS = OTHERS_TEXT.split()


def called(text):
    code = text if "(" in text or text in ("has_half", "has_magma", "default_generators") else text + "()"
    return lambda library: eval(f"m.{code}", {"m": library})


@pytest.mark.skipif(not NO_GPU, reason="torch here has no GPU")
@pytest.mark.parametrize("text", SAME)
def test_cuda_without_cuda(text):
    assert outcome(called(text), tm.cuda) == outcome(called(text), torch.cuda)


@pytest.mark.skipif(not NO_GPU, reason="torch here has no GPU")
@pytest.mark.parametrize("text", OTHERS)
def test_other_devices(text):
    assert outcome(called(text), tm) == outcome(called(text), torch)


@pytest.mark.parametrize("name", ["cpu", "cuda", "mps", "xpu", "mtia"])
def test_the_module_of_a_device(name):
    assert tm.get_device_module(name) is getattr(tm, name)
    assert torch.get_device_module(name) is getattr(torch, name)


@pytest.mark.skipif(not NO_GPU, reason="torch here has no GPU")
def test_where_torch_fails_by_accident_the_error_says_what_is_missing():
    for call in ("set_device(0)", "reset_peak_memory_stats()", "memory_summary()"):
        assert outcome(called(call), torch.cuda)[0].startswith(("AttributeError", "KeyError"))
        assert outcome(called(call), tm.cuda)[0] == "AssertionError: Torch not compiled with CUDA enabled"


@pytest.mark.skipif(not NO_GPU, reason="torch here has no GPU")
def test_seeds_of_a_gpu_that_is_not_there_change_nothing():
    for m in (tm, torch):
        m.manual_seed(3)
        m.cuda.manual_seed_all(7)
        m.mps.manual_seed(7)
    assert tm.rand(3).tolist() == torch.rand(3).tolist()


def _parameters(function):
    """The kinds of the parameters, and the names of those that have one for the caller."""
    each = inspect.signature(function).parameters.values()
    return [(p.kind, "" if p.kind is p.POSITIONAL_ONLY else p.name) for p in each]


@pytest.mark.parametrize("module", ["cuda", "mps", "accelerator", "xpu", "mtia", "cpu"])
def test_signatures(module):
    mine, theirs = getattr(tm, module), getattr(torch, module)
    compared = 0
    for name in mine.__all__:
        ours = getattr(mine, name)
        if inspect.isroutine(ours) and hasattr(theirs, name):
            assert _parameters(ours) == _parameters(getattr(theirs, name)), name
            compared += 1
    assert compared >= 3


@pytest.fixture
def gpu(monkeypatch):
    """As if MLX computed on a GPU of NVIDIA's, as far as a machine without one can show it."""
    for module in (tm.cuda, tm.mps, tm.accelerator, tm.backends.mps, tm.backends.cuda):
        monkeypatch.setattr(module, "_accelerator", lambda: "cuda")
    for name in ("cuda.memory", "cuda.random", "cuda.streams", "_core.figures"):
        target = __import__(f"torchish_mlx.{name}", fromlist=["x"])
        monkeypatch.setattr(target, "accelerator", lambda: "cuda")
    monkeypatch.setattr("torchish_mlx._core.figures.device_count", lambda: 1)
    monkeypatch.setattr(tm.cuda.random, "device_count", lambda: 1)
    monkeypatch.setattr(tm.cuda, "_device_count", lambda: 1)
    info = {"device_name": "H", "total_memory": 2**30, "free_memory": 2**20}
    info |= {"compute_capability_major": 9, "compute_capability_minor": 0}
    monkeypatch.setattr(mx, "device_info", lambda: info)


def test_with_a_gpu_the_figures_are_mlxs(gpu):
    assert tm.cuda.is_available()
    assert (tm.cuda.device_count(), tm.cuda.current_device(), tm.cuda.get_device_name()) == (1, 0, "H")
    assert tm.cuda.get_device_capability("cuda:0") == (9, 0)
    assert tm.cuda.mem_get_info() == (2**20, 2**30)
    assert tm.cuda.get_device_properties(0).total_memory == 2**30
    held = mx.zeros(10**6)
    mx.eval(held)
    assert tm.cuda.memory_allocated() == mx.get_active_memory() >= 4 * 10**6
    assert tm.cuda.max_memory_allocated() == mx.get_peak_memory() >= 4 * 10**6
    tm.cuda.reset_peak_memory_stats()
    tm.cuda.synchronize()
    with pytest.raises(AssertionError, match="Invalid device id"):
        tm.cuda.get_device_name(1)
    tm.cuda.manual_seed(5)
    first = tm.rand(3).tolist()
    tm.manual_seed(5)
    assert tm.rand(3).tolist() == first
    assert len(tm.cuda.get_rng_state_all()) == 1


def test_the_inert_names_are_torchs():
    for name in INERT:
        where: object = torch
        for part in name.split(".")[1:]:
            if not hasattr(where, part):
                assert callable(where)
                assert part in inspect.signature(where).parameters, name
                break
            where = getattr(where, part) if not hasattr(type(where), part) else getattr(type(where), part)
