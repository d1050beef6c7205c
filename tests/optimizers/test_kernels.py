"""What a formula does differently in a traced step: a root from arithmetic, and kernels that are kept apart."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from tests.cases import assert_close, numpy
from tests.joining import ELEMENTWISE, Loop, kept_apart
from tests.optimizers.test_rules_compile import ULPS
from torchish_mlx import optim, optimizers
from torchish_mlx.optimizers import _paths
from torchish_mlx.optimizers._kernels import computed_once, cut, root

APART = SimpleNamespace(apart=True, traced=True)  # as in a step that is traced on the CPU
TOGETHER = SimpleNamespace(apart=False, traced=True)
EAGER = SimpleNamespace(apart=False, traced=False)
MOST = 1.1 if ULPS == 2 else 2.0  # ulps; more where a compiler contracts a * b + c
TINY = 2.0**-126  # about 1e-38, the smallest number of full precision

on_cpu = pytest.mark.skipif(mx.default_device() != mx.Device(mx.cpu), reason="kernels are kept apart on the CPU")


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    with kept_apart():
        yield


def roots(x: np.ndarray) -> list[np.ndarray]:
    """By the operations one by one, and in a kernel."""
    given_ = mx.array(x)
    return [np.array(root(APART, given_)), np.array(mx.compile(lambda a: root(APART, a))(given_))]


def error(found: np.ndarray, x: np.ndarray) -> float:
    """The largest distance from the exact root, in units in the last place of that root."""
    exact = np.sqrt(x.astype("f8"))
    unit = 2.0 ** (np.floor(np.log2(exact)) - 23)
    return float((np.abs(found.astype("f8") - exact) / unit).max())


@on_cpu
def test_the_root_over_all_exponents():
    """4,096 numbers of each exponent; the first three of them are its smallest, the next one, and its largest."""
    mantissas = np.random.default_rng(0).integers(0, 2**23, (253, 4096))
    mantissas[:, :3] = [0, 1, 2**23 - 1]
    exponents = np.arange(2, 255)[:, None]  # from 2e-38 to the largest
    x = (exponents << 23 | mantissas).astype("u4").view("f4").ravel()
    assert x.min() < 2.4e-38
    assert x.max() == np.finfo("f4").max
    for found in roots(x):
        assert error(found, x) <= MOST


@on_cpu
@given(st.lists(st.floats(TINY, width=32, allow_infinity=False), min_size=1, max_size=20))
def test_the_root_of_any_number(values):
    x = np.array(values, "f4")
    assert error(np.array(root(APART, mx.array(x))), x) <= MOST


@on_cpu
@given(st.lists(st.floats(0, TINY, width=32), min_size=1, max_size=20))
def test_the_root_of_a_tiny_number(values):
    x = np.array(values, "f4")
    found = np.array(root(APART, mx.array(x)))
    assert np.abs(found.astype("f8") - np.sqrt(x.astype("f8"))).max() <= 2e-20


@on_cpu
def test_the_root_of_zero_infinity_and_nan():
    zero, negative_zero, infinity, nan = (np.array([v] * 5, "f4") for v in (0.0, -0.0, np.inf, np.nan))
    for found in roots(zero) + roots(negative_zero):
        assert (found == 0).all()
    for found in roots(infinity) + roots(nan):
        assert np.isnan(found).all()


@on_cpu
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 1), (2, 3, 4)], ids=str)
def test_the_root_keeps_the_shape(shape):
    x = mx.random.uniform(shape=shape, key=mx.random.key(0))
    for found in (root(APART, x), root(APART, mx.broadcast_to(x, (2, *shape))), root(APART, x.T)):
        assert found.dtype == mx.float32
    assert root(APART, x).shape == shape
    assert_close({"": root(APART, x.T).T}, {"": mx.sqrt(x)}, 2)
    assert_close({"": root(APART, mx.broadcast_to(x, (2, *shape)))}, {"": mx.stack([mx.sqrt(x)] * 2)}, 2)


@pytest.mark.parametrize("h", [EAGER, TOGETHER], ids=["eager", "GPU"])
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16], ids=str)
def test_elsewhere_it_is_mlxs(h, dtype):
    x = mx.abs(mx.random.normal((10_000,), key=mx.random.key(0))).astype(dtype)
    assert mx.array_equal(root(h, x), mx.sqrt(x))


@on_cpu
def test_an_eager_step_takes_mlxs_root(monkeypatch):
    """And a compiled one its own."""
    calls, original = [], mx.sqrt
    monkeypatch.setattr(mx, "sqrt", lambda x: (calls.append(x.size), original(x))[1])
    loop = Loop(lambda groups: optim.Adam(groups, lr=0.01), None, [(50,), (51,)])
    loop.step(0)
    assert 101 in calls
    calls.clear()
    loop = Loop(lambda groups: optim.Adam(groups, lr=0.01), None, [(50,), (51,)], fused=True)
    loop.step(0)
    assert 101 not in calls


# Other dtypes ---------------------------------------------------------------------------------------------------------


@on_cpu
@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Lion"])
def test_double_precision(name):
    """A float64 parameter, which MLX has on the CPU, trains compiled as it does one by one."""
    plain, fused = (Loop(ELEMENTWISE[name], False, dtypes=[mx.float64], fused=fused) for fused in (False, True))
    for i in range(2):
        for loop in (plain, fused):
            loop.step(i)
    assert {p.array.dtype for p in fused.params} == {mx.float64}
    assert_close(fused.held(), plain.held(), ULPS)


@on_cpu
@pytest.mark.parametrize("rule", [optimizers.Adam(0.1), optimizers.RMSprop(0.1)], ids=lambda rule: type(rule).__name__)
def test_double_precision_in_a_users_compile(rule):
    params, grads = {"w": mx.ones((3,), mx.float64)}, {"w": mx.array([0.5, 1, 2], mx.float64)}
    step = mx.compile(lambda p, g: rule.apply_gradients(g, p), inputs=rule.state, outputs=rule.state)
    found = step(params, grads)["w"]
    assert found.dtype == mx.float64
    assert np.array(found) == pytest.approx([0.9] * 3 if isinstance(rule, optimizers.Adam) else [0] * 3, abs=1e-5)


# Where kernels end ----------------------------------------------------------------------------------------------------


def test_cut_and_computed_once_do_nothing_by_themselves():
    x, tree = mx.ones(3), (mx.ones(()), 2.0, None, [mx.ones(2)])
    for h in (EAGER, TOGETHER):
        assert cut(h, x) is x
    assert computed_once(EAGER, tree) is tree
    kept = computed_once(TOGETHER, tree)
    assert kept[1:3] == (2.0, None)
    assert [numpy(a).tolist() for a in (kept[0], kept[3][0])] == [1, [1, 1]]


def kernels(make: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Of a compiled step over one tensor of 2**20 elements: the kernels behind each of its results, the last first."""
    seen: dict[str, list[str]] = {}
    original = _paths._compiled

    def spy(groups: Any) -> Any:
        function = original(groups)

        def run(tasks: Any, inputs: Any) -> Any:
            ((clock, new, slots),) = results = function(tasks, inputs)
            for name, array in tree_flatten({"clock": clock, "p": new[0], "slots": slots[0]}):
                drawing = io.StringIO()
                mx.export_to_dot(drawing, array)
                seen[name] = re.findall(r'label ="(\w+)', drawing.getvalue())[::-1]
            return results

        return run

    monkeypatch.setattr(_paths, "_compiled", spy)
    loop = Loop(make, None, [(2**20,)], fused=True)
    grads = mx.full((2**20,), 0.5)
    mx.eval(grads)
    loop.step(0, lambda j, g: grads)
    return seen


SCALARS = ("Expm1", "Log1p", "Exp", "Power")


@pytest.mark.parametrize("name", ["Adam", "Adam-amsgrad", "AdamW", "Adamax", "NAdam", "RAdam", "ASGD"])
def test_what_depends_on_the_count_is_computed_once(name, monkeypatch):
    """The kernels that read a tensor hold nothing of ``tick``: of the bias corrections, which are 0-d."""
    found = kernels(ELEMENTWISE[name], monkeypatch)
    last = next(label for label in found["p"] if label.startswith("Compiled") or label in SCALARS)
    assert last.startswith("Compiled")
    assert not any(word in last for word in SCALARS)
    if name != "ASGD":  # which computes what the step after will need
        assert any(word in label for label in found["p"] for word in SCALARS)


def test_without_it_they_would_be_in_the_kernel(monkeypatch):
    """What the test above would see."""
    from_core = "torchish_mlx.optimizers._core.computed_once"
    monkeypatch.setattr(from_core, lambda h, k: k)
    _paths._compiled.cache_clear()
    last = kernels(ELEMENTWISE["Adam"], monkeypatch)["p"][0]
    assert any(word in last for word in SCALARS)


@on_cpu
def test_each_kernel_has_one_result(monkeypatch):
    """One with several never writes into the memory of its inputs: parameter and both moments end kernels apart."""
    found = kernels(ELEMENTWISE["Adam"], monkeypatch)
    firsts = {name: labels[0] for name, labels in found.items() if name == "p" or name.startswith("slots")}
    assert firsts["p"].startswith("Compiled")
    assert {firsts["slots.exp_avg"], firsts["slots.exp_avg_sq"]} <= {"Contiguous"} | {
        label for label in found["p"] if label.startswith("Compiled")
    }
    assert firsts["slots.exp_avg"] != firsts["p"]
