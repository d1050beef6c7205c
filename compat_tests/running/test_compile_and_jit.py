"""torch.compile, TorchScript, the profiler, other processes, versions: next to torch's."""

from __future__ import annotations

import inspect
import warnings

import pytest
import torch
import torch.multiprocessing
import torch.profiler

import torchish_mlx as tm
from torchish_mlx.version import TorchVersion


def double(x):
    return x * 2


def said(text, m):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = eval(text, {"m": m, "double": double})
            return found if isinstance(found, (bool, int, str, list, set, type(None))) else "something"
        except Exception as error:
            return f"{type(error).__name__}: {error}"


SAME_TEXT = """m.compile(3)
m.compile(double, mode="foo")
m.compile(double, backend="foo")
m.compile(double, mode="default", options={})
m.compile(double, dynamic=3)
m.compiler.is_compiling()
m.compiler.is_dynamo_compiling()
m.compiler.is_exporting()
m.compiler.list_backends()
m.compiler.disable(3)
m.compiler.cudagraph_mark_step_begin()
m.compiler.disable(double)(3)
m.compiler.disable()(double)(3)
m.compiler.allow_in_graph(double)(3)
m._dynamo.is_compiling()
m._dynamo.reset()
m.jit.is_scripting()
m.jit.is_tracing()
m.jit.annotate(int, 3)
m.jit.ignore(3)
m.jit.ignore(double)(3)
m.jit.ignore(drop=True)(double)(3)
m.jit.unused(double)(3)
m.jit.export(double)(3)
m.jit.interface(3)
m.jit.fuser("fuser1").__enter__()
m.jit.optimized_execution(True).__enter__()
m.jit.set_fusion_strategy([("STATIC", 2), ("DYNAMIC", 10)])
m.jit.onednn_fusion_enabled()
m.version.cuda
m.version.hip
m.version.debug
m.hub.get_dir()
m.multiprocessing.get_all_sharing_strategies()
m.multiprocessing.get_sharing_strategy()
m.multiprocessing.set_sharing_strategy("file_descriptor")
m.profiler.schedule(wait=1, warmup=1, active=1)(-1)
[m.profiler.schedule(wait=1, warmup=1, active=2, repeat=2, skip_first=1)(i).name for i in range(12)]
[m.profiler.schedule(wait=2, warmup=1, active=1, skip_first=1, skip_first_wait=1)(i).name for i in range(12)]
list(m.profiler.ProfilerActivity.__members__)
[a.name for a in m.profiler.ProfilerAction]
m.is_storage(m.zeros(2).untyped_storage())
m.is_storage(3)"""
SAME = SAME_TEXT.splitlines()


@pytest.mark.parametrize("text", SAME)
def test_what_torch_says(text):
    assert said(text, tm) == said(text, torch)


@pytest.mark.parametrize("module", ["compiler", "jit", "multiprocessing", "hub"])
def test_every_argument_of_torchs_is_known(module):
    mine, theirs = getattr(tm, module), getattr(torch, module)
    for name in mine.__all__:
        ours, other = getattr(mine, name), getattr(theirs, name, None)
        if not (inspect.isfunction(ours) and inspect.isfunction(other)):
            continue
        names = inspect.signature(ours).parameters
        takes_all = any(p.kind is p.VAR_KEYWORD for p in names.values())
        missing = [p for p in inspect.signature(other).parameters if p not in names]
        assert not missing or takes_all, (name, missing)


def test_compile_gives_what_it_was_given():
    model = lambda x: x + 1  # noqa: E731
    assert tm.compile(model) is model
    assert tm.compile(model, mode="max-autotune", fullgraph=True, dynamic=False, backend="inductor") is model
    assert tm.compile()(model) is model

    @tm.compile(backend="eager")
    def f(x):
        return x * 2

    assert f(tm.ones(1)).tolist() == [2]
    with pytest.raises(TypeError, match="no_such"):
        tm.compile(model, no_such=1)
    with pytest.raises(NotImplementedError, match="backend"):
        tm.compile(model, backend=lambda graph, inputs: graph)


@pytest.mark.parametrize("call", [lambda m: m.jit.script(double), lambda m: m.jit.trace(double, (m.ones(1),))])
def test_torchscript_warns_as_torch_does(call):
    found = []
    for m in (tm, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = call(m)
        assert made(m.ones(1)).tolist() == [2]
        found.append({(w.category, str(w.message)) for w in caught if "jit" in str(w.message)})
    assert found[0] <= found[1]
    assert found[0]


def test_what_needs_torch_is_refused():
    for call in (
        lambda: tm.jit.save(double, "f"),
        lambda: tm.jit.load("f"),
        lambda: tm.hub.load("a/b", "c"),
        lambda: tm.hub.load_state_dict_from_url("https://x.y/z"),
        lambda: tm.profiler.tensorboard_trace_handler("d"),
        lambda: tm.profiler.profile(on_trace_ready=print),
        lambda: tm.profiler.profile().key_averages(),
        lambda: tm.profiler.profile().export_chrome_trace("f"),
        lambda: tm.ones(1).share_memory_(),
        lambda: tm.ones(1).untyped_storage().resize_(8),
    ):
        with pytest.raises(NotImplementedError, match=r"[a-z]{3}"):
            call()


def test_a_profiler_measures_nothing():
    with tm.profiler.profile(activities=[tm.profiler.ProfilerActivity.CPU]) as p, tm.profiler.record_function("x"):
        p.step()
    assert tm.profiler.record_function("x")(double)(2) == 4


VERSIONS = ["2.13.0+cpu", "2.13.0", "2.13", "1.9", "2.13.1", "2.9.0", "abc", "2.13.0a0", "2.13.0+mlx", "3"]


@pytest.mark.parametrize("other", [*VERSIONS, (2, 13), (1, 9), (2, 13, 1), (3,)])
def test_versions_compare_as_torchs_do(other):
    for text in ("2.13.0+cpu", "2.13.0"):
        mine, theirs = TorchVersion(text), torch.torch_version.TorchVersion(text)
        for name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__"):
            assert getattr(mine, name)(other) == getattr(theirs, name)(other), (text, name)
    assert tm.version.__version__ >= (2, 13)


def test_config_names_mlx():
    assert "MLX" in tm.__config__.show()
    assert f"{tm.get_num_threads()}" in tm.__config__.parallel_info()


def _fails(i, value):
    if i == value:
        raise ValueError("no luck")


def _ends(i, code):
    raise SystemExit(code)


def test_spawn_tells_of_an_error():
    for m in (tm, torch):
        m.multiprocessing.start_processes(_fails, (5,), nprocs=2, start_method="fork")
        with pytest.raises(m.multiprocessing.ProcessRaisedException, match=r"Process 1 terminated(.|\n)*no luck"):
            m.multiprocessing.start_processes(_fails, (1,), nprocs=2, start_method="fork")
        with pytest.raises(m.multiprocessing.ProcessExitedException, match="process 0 terminated with exit code 3"):
            m.multiprocessing.start_processes(_ends, (3,), nprocs=1, start_method="fork")
        started = m.multiprocessing.start_processes(_fails, (5,), nprocs=1, join=False, start_method="fork")
        assert len(started.pids()) == 1
        while not started.join():
            pass
    assert tm.multiprocessing.Queue
