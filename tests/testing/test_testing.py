"""torchish_mlx.testing without torch: what is measured, and that what is wrong is found and said."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import torchish_mlx
from torchish_mlx import Parameter, optim
from torchish_mlx.optimizers import RowSparse
from torchish_mlx.testing import as_numpy, assert_close, assert_optimizer_parity, assert_training_parity, ulps

FLOATS = st.sampled_from([np.float16, np.float32, np.float64])


# -- ulps ----------------------------------------------------------------------------------------------------


@st.composite
def arrays(draw: Any) -> np.ndarray:
    dtype = draw(FLOATS)
    limit = float(np.finfo(dtype).max) / 4
    elements = st.floats(-limit, limit, width=np.dtype(dtype).itemsize * 8)
    return draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=2, max_side=4), elements=elements))


@settings(deadline=None)
@given(arrays(), st.integers(0, 1000))
def test_an_ulp_of_an_element_is_numpys_spacing(x, n):
    away = x.astype(np.float64) + n * np.spacing(np.abs(x)).astype(np.float64)
    exact = away - x.astype(np.float64)  # a float64 has no room for an ulp of a smaller number beside it
    assert np.array_equal(ulps(away, x, scale="element"), exact / np.spacing(np.abs(x)))
    assert np.all(ulps(x, x, scale="element") == 0)


@settings(deadline=None)
@given(arrays())
def test_an_ulp_of_a_tensor_is_that_of_its_largest_element(x):
    y = np.zeros_like(x)
    expected = np.abs(x.astype(np.float64)) / (np.spacing(np.max(np.abs(x), initial=0)) if x.size else 1)
    assert np.array_equal(ulps(y, x), expected)


@pytest.mark.parametrize(
    ("dtype", "step"), [(mx.float16, 2**-10), (mx.bfloat16, 2**-7), (mx.float32, 2**-23), (mx.float64, 2**-52)], ids=str
)
@pytest.mark.parametrize("size", [1.0, 1.5, 4.0])
def test_the_next_number_is_an_ulp_away(dtype, step, size):
    with mx.stream(mx.cpu):
        x = mx.array(size, dtype)
        y = x + mx.array(step * 2 ** math.floor(math.log2(size)), dtype)
        mx.eval(x, y)
    assert ulps(y, x) == ulps(torchish_mlx.Tensor(y), Parameter(x)) == 1
    assert ulps(as_numpy(y), x) == 1


def test_what_is_not_finite():
    inf, nan = math.inf, math.nan
    actual, expected = np.array([inf, inf, 1, nan, nan, 1], "f4"), np.array([inf, -inf, inf, nan, 1, 1], "f4")
    assert ulps(actual, expected).tolist() == [0, inf, inf, inf, inf, 0]
    assert ulps(actual, expected, equal_nan=True).tolist() == [0, inf, inf, 0, inf, 0]
    assert ulps(actual, expected, scale="element").tolist() == [0, inf, inf, inf, inf, 0]
    assert ulps(np.array([inf, 1 + 2**-23], "f4"), np.array([inf, 1], "f4")).tolist() == [0, 1]


def test_nothing_and_zero():
    assert ulps(mx.zeros((0, 3)), mx.zeros((0, 3))).shape == (0, 3)
    assert ulps(mx.array(0.0), mx.array(0.0)) == 0
    assert ulps(np.float32(2**-149), np.float32(0)) == 1
    assert ulps(np.float32(1), np.float32(0)) == 2.0**149
    assert ulps(np.float32(2**-147), np.float32(2**-148)) == 2  # below the normal numbers all are as far apart
    assert ulps([1e-8, 1.0], mx.array([0.0, 1.0])).max() < 1  # the list has float64's digits, the array float32's


def test_a_number_has_the_dtype_of_the_array_beside_it():
    assert ulps(mx.array(0.1), 0.1) < 1 < ulps(0.1, np.float64(0.1) * (1 + 2**-50))


def test_integers_are_counted_in_ones():
    assert ulps(mx.array([3, 4]), mx.array([3, 6])).tolist() == [0, 2]
    assert ulps(mx.array([True]), mx.array([False])).tolist() == [1]


def test_rows_are_what_they_stand_for():
    rows = RowSparse(mx.array([1, 1]), mx.ones((2, 2)), (3, 2))
    assert as_numpy(rows).tolist() == [[0, 0], [2, 2], [0, 0]]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ulps([1.0], [1.0, 2.0]), ValueError, r"actual has shape \[1\], expected has shape \[2\]"),
        (lambda: ulps(1.0, 1.0, scale="row"), ValueError, "scale is 'tensor' or 'element', not 'row'"),
        (lambda: ulps(mx.array(1j), mx.array(1j)), TypeError, "complex64"),
        (lambda: as_numpy("1.5"), TypeError, "'1.5' is no array of numbers"),
        (lambda: as_numpy(None), TypeError, "None is no array of numbers"),
        (lambda: as_numpy(2**53 + 1), ValueError, "beyond 2"),
        (lambda: assert_close(1.0, 1.0, ulps=-1), ValueError, "ulps is a number of 0 or more, not -1"),
        (lambda: assert_close(1.0, 1.0, ulps=math.nan), ValueError, "ulps is a number"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_copy_is_a_copy():
    x = np.ones(2)
    as_numpy(x)[0] = 5
    assert x.tolist() == [1, 1]


# -- assert_close --------------------------------------------------------------------------------------------


def nest(x: Any) -> dict[str, Any]:
    return {"a": [mx.array([1.0, 2.0]), (mx.array([[1.0, 1.0]]), x)], "name": "adam", "none": None}


def test_what_is_close():
    assert_close(nest(0.5), nest(np.float32(0.5)))
    assert_close([1.0, 2.0], (1.0, 2.0))
    assert_close(mx.array([1.0 + 2**-21]), np.array([1.0], "f4"))
    assert_close(mx.array([1e-8, 1.0]), mx.array([0.0, 1.0]), scale="tensor")
    assert_close(mx.array([1.0]), np.array([1.0]), check_dtype=False)
    assert_close(math.nan, math.nan, equal_nan=True)


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (mx.array([1.0, 2.0]), mx.array([1.0, 2.5]), "1 of 2 elements is off by more than 4 ulps of float32"),
        (mx.array([1.0, 2.0]), mx.array([1.0, 2.5]), r"worst: at \(1,\), actual 2.0, expected 2.5: 2.1e\+06 ulps"),
        (mx.array([[1.0], [2.0]]), mx.array([[3.0], [7.0]]), r"2 of 2 elements are .*\nworst: at \(1, 0\)"),
        (mx.array([1e-8, 1.0]), mx.array([0.0, 1.0]), "1 of 2 elements is off"),
        (nest(0.5), nest(0.6), r"the values at \['a'\]\[1\]\[1\] are not close"),
        ({"a": 1.0}, {"b": 1.0}, r"different keys: only actual has \['a'\], only expected has \['b'\]"),
        ({"a": 1.0, "b": 1.0}, {"a": 1.0}, r"only actual has \['b'\], only expected has \[\]"),
        ({"x": [1.0]}, {"x": [1.0, 2.0]}, r"at \['x'\] are of different lengths: 1 and 2"),
        ({"x": "adam"}, {"x": "adamw"}, r"at \['x'\] are not equal: actual 'adam', expected 'adamw'"),
        ([1.0], {"x": 1.0}, "of different kinds: list and dict"),
        ([None], [1.0], r"the values at \[0\] are of different kinds: NoneType and float"),
        (mx.ones((2,)), mx.ones((3,)), r"different shapes: actual \[2\], expected \[3\]"),
        (mx.ones((2,)), np.ones(2), "different dtypes: actual float32, expected float64; check_dtype=False"),
        (mx.array([3, 4]), mx.array([3, 5]), "1 of 2 elements is not equal"),
        (True, False, "is not equal"),
        (mx.array([math.nan]), mx.array([math.nan]), "actual nan, expected nan: inf ulps"),
    ],
)
def test_what_is_not_close(actual, expected, words):
    with pytest.raises(AssertionError, match=words):
        assert_close(actual, expected)


def test_ones_own_message():
    with pytest.raises(AssertionError, match=r"^mine$"):
        assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(AssertionError, match=r"^after loading: the values are not close"):
        assert_close(1.0, 2.0, msg=lambda text: f"after loading: {text}")


# -- assert_optimizer_parity: two optimizers of this package -----------------------------------------------------

SHAPES = [(4, 3), (3,), ()]


def pair(ours: Any, theirs: Any = None, names: bool = False) -> tuple[Any, Any]:
    made = []
    for make in (ours, theirs or ours):
        params: list[Any] = [Parameter(mx.ones(shape)) for shape in SHAPES]
        made.append(make([(f"w{i}", p) for i, p in enumerate(params)] if names else params))
    return made[0], made[1]


def test_the_same_optimizer_twice():
    found = assert_optimizer_parity(*pair(optim.NAdam), steps=5)
    assert found.ulps == 0
    assert found.steps == 5
    assert found.moved > 1000
    assert set(found.entries) == {"step", "mu_product", "exp_avg", "exp_avg_sq", "param"}
    assert "exp_avg" in str(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 1.1e-3}, r"before the first step: param_groups\[0\]\['lr'\] is 0.0011 in ours, 0.001 in theirs"),
        ({"betas": (0.9, 0.99)}, r"\['betas'\] is \[0.9, 0.99\] in ours, \[0.9, 0.999\] in theirs"),
        ({"eps": 1e-7}, r"\['eps'\] is 1e-07 in ours"),
        ({"amsgrad": True}, r"\['amsgrad'\] is True in ours, False in theirs"),
    ],
)
def test_another_option_is_found(options, words):
    with pytest.raises(AssertionError, match=words):
        assert_optimizer_parity(*pair(lambda p: optim.AdamW(p, **options), optim.AdamW))


def test_how_a_step_is_computed_is_no_difference():
    assert_optimizer_parity(*pair(lambda p: optim.AdamW(p, fused=True), lambda p: optim.AdamW(p, foreach=False)))


class WrongBeta(optim.Adam):
    """Its groups say what its steps do not do."""

    def step(self, closure: Any = None) -> Any:
        group = self.param_groups[0]
        group["betas"] = (0.9, 0.998)
        super().step(closure)
        group["betas"] = (0.9, 0.999)


class WrongRate(optim.Adam):
    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["lr"] = 1.01e-3
        super().step(closure)
        self.param_groups[0]["lr"] = 1e-3


class Late(optim.Adam):
    """Leaves its third step out."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        if self.steps != 3:
            super().step(closure)


class Still(optim.Adam):
    """Forgets a parameter."""

    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["params"][1].grad = None
        super().step(closure)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (WrongBeta, r"^step 1: parameter 0 \(w0\), state\['exp_avg_sq'\] is .* ulps off at \(\d, \d\), 32 are allowed"),
        (
            WrongRate,
            r"^step 1: parameter 0 \(w0\) is .* ulps off at \(\d, \d\), 32 are allowed: ours 0.9.*, theirs 0.9",
        ),
        (Late, r"^step 3: parameter 0 \(w0\), state\['step'\] is .* ours 2.0, theirs 3.0\n\(and \d+ more differences"),
        (
            Still,
            r"^step 1: parameter 1 \(w1\) has the state \[\] in ours, \['exp_avg', 'exp_avg_sq', 'step'\] in theirs",
        ),
    ],
)
def test_another_step_is_found(wrong, words):
    with pytest.raises(AssertionError, match=words):
        assert_optimizer_parity(*pair(wrong, optim.Adam, names=True))


def test_entries_of_other_names_and_none():
    entries = {"exp_avg": "exp_avg_sq"}
    with pytest.raises(AssertionError, match=r"state\['exp_avg'\] is"):
        assert_optimizer_parity(*pair(optim.Adam), entries=entries)
    found = assert_optimizer_parity(*pair(optim.Adam), entries={})
    assert set(found.entries) == {"param"}
    with pytest.raises(AssertionError, match=r"has the state \['exp_avg', 'exp_avg_sq', 'step'\] in ours"):
        assert_optimizer_parity(*pair(optim.Adam), entries={"exp_avg": "m"})


def test_gradients_of_ones_own():
    asked = []

    def gradients(step, number, shape):
        asked.append((step, number, shape))
        return None if number == 2 else np.full(shape, float(step))

    ours, theirs = pair(lambda p: optim.SGD(p, lr=0.5))
    found = assert_optimizer_parity(ours, theirs, steps=2, gradients=gradients)
    assert asked == [(step, number, shape) for step in (1, 2) for number, shape in enumerate(SHAPES)]
    values = [p.array.tolist() for p in theirs.param_groups[0]["params"]]
    assert values == [[[-0.5] * 3] * 4, [-0.5] * 3, 1.0]
    assert found.moved > 2**20


@pytest.mark.parametrize("make", [lambda p: optim.SparseAdam(p), lambda p: optim.SGD(p, lr=0.1)], ids=["adam", "sgd"])
def test_gradients_of_rows(make):
    ours, theirs = pair(make)
    assert assert_optimizer_parity(ours, theirs, sparse=True, steps=3).ulps == 0
    params = ours.param_groups[0]["params"]
    assert all(isinstance(p.grad, RowSparse) for p in params)
    moved = np.any(as_numpy(params[0]) != 1, axis=1)
    assert moved.any()
    assert not as_numpy(params[0].grad).all()


class Rounding(optim.SGD):
    """Its first average is an ulp off."""

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        p = self.param_groups[0]["params"][0]
        if p.array.item() == 0:
            self.state[p]["momentum_buffer"].add_(2**-23)


def test_an_average_that_passes_zero_is_a_difference_of_larger_numbers():
    made = [kind([Parameter(mx.array(1.0))], lr=1.0, momentum=0.5) for kind in (Rounding, optim.SGD)]
    found = assert_optimizer_parity(*made, steps=2, gradients=lambda step, *_: np.float32([1, -0.5 + 2**-20][step - 1]))
    assert made[1].state[made[1].param_groups[0]["params"][0]]["momentum_buffer"].item() == 2**-20
    assert found.entries["momentum_buffer"].ulps == 1


def test_a_comparison_that_shows_nothing_fails():
    with pytest.raises(AssertionError, match="no parameter of theirs moved by more than 0 ulps in 20 steps"):
        assert_optimizer_parity(*pair(lambda p: optim.SGD(p, lr=0.0)))


def test_a_state_that_is_there_already_is_compared():
    ours, theirs = pair(optim.Adam)
    for p in theirs.param_groups[0]["params"]:
        p.grad = mx.zeros(p.shape)
    theirs.step()
    with pytest.raises(AssertionError, match=r"^before the first step: parameter 0 has the state \[\] in ours"):
        assert_optimizer_parity(ours, theirs)


def ones(*shape: int, dtype: mx.Dtype = mx.float32) -> Parameter:
    return Parameter(mx.ones(shape, dtype))


@pytest.mark.parametrize(
    ("ours", "theirs", "more", "error", "words"),
    [
        ([ones(2)], [ones(2), ones(2)], {}, ValueError, r"groups of \[1\] parameters, theirs of \[2\]"),
        ([ones(2)], [ones(3)], {}, ValueError, r"parameter 0 has shape \[2\] in ours and \[3\] in theirs"),
        ([ones(2)], [Parameter(mx.zeros(2))], {}, ValueError, "not the same at the start. Copy theirs into ours"),
        ([ones(2)], [ones(2, dtype=mx.bfloat16)], {}, ValueError, "of float32 in ours and of bfloat16 in theirs"),
        ([ones(2, dtype=mx.float16)], [ones(2, dtype=mx.float16)], {}, ValueError, "compare the optimizers in float32"),
        ([ones(2)], [ones(2)], {"steps": 0}, ValueError, "steps is an int of 1 or more, not 0"),
        ([ones(2)], [ones(2)], {"ulps": -1}, ValueError, "ulps is a number of 0 or more, not -1"),
        ([ones(2)], [ones(2)], {"gradients": lambda *_: np.ones(3)}, ValueError, r"gradient of shape \[3\]"),
    ],
)
def test_bad_pairs_change_nothing(ours, theirs, more, error, words):
    made = optim.SGD(ours), optim.SGD(theirs)
    before = [as_numpy(p) for p in (*ours, *theirs)]
    with pytest.raises(error, match=words):
        assert_optimizer_parity(*made, **more)
    assert all(np.array_equal(as_numpy(p), b) for p, b in zip((*ours, *theirs), before, strict=True))
    assert all(p.grad is None for p in (*ours, *theirs))


def test_half_precision_with_ulps_of_ones_own():
    made = [optim.SGD([ones(2, dtype=mx.bfloat16)], lr=0.5) for _ in range(2)]
    assert assert_optimizer_parity(*made, ulps=1).ulps == 0


def test_what_is_no_optimizer():
    sgd = optim.SGD([ones(2)])
    with pytest.raises(TypeError, match=r"first argument is an optimizer of torchish_mlx\.optim, not builtins\.int"):
        assert_optimizer_parity(3, sgd)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"second argument is an optimizer as torch's, not builtins\.list"):
        assert_optimizer_parity(sgd, [])
    with pytest.raises(TypeError, match="compare two trainings by assert_training_parity"):
        assert_optimizer_parity(*[optim.LBFGS([ones(2)]) for _ in range(2)])


# -- assert_training_parity ----------------------------------------------------------------------------------


def descent(factor: float = 0.9, kind: Any = float) -> Any:
    return lambda step: kind(factor**step)


@pytest.mark.parametrize("kind", [float, mx.array, np.float64, torchish_mlx.tensor, lambda x: mx.array([[x]])])
def test_losses_of_every_kind(kind):
    found = assert_training_parity(descent(kind=kind), descent(), steps=10)
    assert len(found.ours) == len(found.theirs) == 10
    assert found.theirs[2] == 0.9**2
    assert found.worst < 1e-6


@pytest.mark.parametrize(
    ("ours", "more", "words"),
    [
        (
            descent(0.91),
            {},
            r"differ in step 1: ours 0.91, theirs 0.9, .*The worst is step 9: ours 0.427.*, theirs 0.387",
        ),
        (lambda i: 0.9**i * (1 + 2e-4 * (i == 5)), {}, "differ in step 5: .* 0.0002 off; 0.0001 is allowed"),
        (lambda i: math.nan if i == 3 else 0.9**i, {}, "the loss of ours is nan in step 3"),
        (descent(), {"parameters": ([mx.ones(2)], [mx.array([1.0, 1.1])])}, "after 10 steps parameter 0 is 0.0909 off"),
        (lambda i: 3 * 0.9**i, {"rtol": 0.5, "atol": 0.5}, "differ in step 0"),
    ],
)
def test_trainings_that_part(ours, more, words):
    with pytest.raises(AssertionError, match=words):
        assert_training_parity(ours, descent(), steps=10, **more)


def test_small_losses_are_compared_as_large_ones():
    with pytest.raises(AssertionError, match="differ in step 5"):
        assert_training_parity(lambda i: 1e-3 * 0.9**i * (1 + 2e-4 * (i == 5)), lambda i: 1e-3 * 0.9**i, steps=10)


def test_what_a_tolerance_allows():
    found = assert_training_parity(lambda i: 0.9**i * (1 + 2e-4 * (i == 5)), descent(), steps=10, rtol=3e-4)
    assert found.step == 5
    assert found.worst == pytest.approx(2e-4)
    assert_training_parity(lambda i: 0.1**i + 1e-9, descent(0.1), steps=10, atol=2e-9)
    found = assert_training_parity(descent(), descent(), steps=2, parameters=([mx.ones(2)], [mx.ones(2) + 1e-5]))
    assert found.parameters == pytest.approx(1e-5, rel=0.02)


def test_trainings_that_do_nothing_fail():
    with pytest.raises(AssertionError, match="the loss never changed in 5 steps: ours 1, theirs 1"):
        assert_training_parity(lambda _: 1.0, lambda _: 1.0, steps=5)
    for pair_of in ((lambda _: 1.0, lambda i: 1 + 1e-6 * i), (lambda i: 1 + 1e-6 * i, lambda _: 1.0)):
        with pytest.raises(AssertionError, match="the loss never changed"):
            assert_training_parity(*pair_of, steps=5)
    assert assert_training_parity(lambda _: 1.0, lambda _: 1.0, steps=5, allow_constant=True).worst == 0


@pytest.mark.parametrize(
    ("ours", "more", "error", "words"),
    [
        (descent(), {"steps": 0}, ValueError, "steps is an int of 1 or more"),
        (descent(), {"rtol": -1.0}, ValueError, "numbers of 0 or more"),
        (descent(), {"parameters": ([1.0], [1.0, 2.0])}, ValueError, "have the shapes"),
        (5, {}, TypeError, "a training is a function of the step"),
        (lambda _: None, {}, TypeError, r"ours\(0\) gave None: a step returns its loss"),
        (lambda _: mx.ones(2), {}, ValueError, r"ours\(0\) gave an array of shape \[2\]"),
    ],
)
def test_bad_trainings(ours, more, error, words):
    with pytest.raises(error, match=words):
        assert_training_parity(ours, descent(), **more)
