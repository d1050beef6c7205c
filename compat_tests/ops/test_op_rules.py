"""What holds across the table of ops: ties and kinks, promotion, broadcasting, torch's errors. All against torch."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import hypothesis
import mlx.core as mx
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import torchish_mlx as tm
from compat_tests.sides import DTYPES, SIDES, to_array, values
from tests.each import each
from tests.marks import examples

INF, NAN = float("inf"), float("nan")
Call = Callable[..., Any]

# -- ties and kinks: the derivative must be torch's exactly -----------------------------------------------------------

#: name -> (values of the differentiable inputs, the call)
KINKS: dict[str, tuple[list[Any], Call]] = {
    "maximum": ([[1.0, 2.0, 3.0, NAN, 1.0], [1.0, 3.0, 2.0, 1.0, NAN]], lambda T, x, y: T.maximum(x, y)),
    "minimum": ([[1.0, 2.0, 3.0, NAN, 1.0], [1.0, 3.0, 2.0, 1.0, NAN]], lambda T, x, y: T.minimum(x, y)),
    "maximum of a number and a row": ([2.0, [[1.0, 2.0, 3.0]]], lambda T, x, y: T.maximum(x, y)),
    "max of all": ([[3.0, 1.0, 3.0, 3.0]], lambda T, x: x.max()),
    "min of all": ([[3.0, 1.0, 1.0, 3.0]], lambda T, x: x.min()),
    "max of all with nan": ([[3.0, NAN, 3.0, 3.0]], lambda T, x: x.max()),
    "max along": ([[[3.0, 1.0, 3.0], [2.0, 2.0, 1.0]]], lambda T, x: x.max(1).values),
    "min along": ([[[3.0, 1.0, 1.0], [2.0, 2.0, 1.0]]], lambda T, x: T.min(x, dim=0, keepdim=True)[0]),
    "max along with nan": ([[[3.0, NAN, 4.0], [2.0, 2.0, 1.0]]], lambda T, x: x.max(1)[0]),
    "amax": ([[[3.0, 1.0, 3.0], [2.0, 2.0, 1.0]]], lambda T, x: x.amax(1)),
    "amin": ([[[3.0, 1.0, 1.0], [2.0, 2.0, 1.0]]], lambda T, x: T.amin(x, dim=(0, 1), keepdim=True)),
    "abs": ([[-1.0, 0.0, -0.0, 2.0]], lambda T, x: x.abs()),
    "sign": ([[-1.0, 0.0, 2.0]], lambda T, x: x.sign()),
    "sqrt": ([[0.0, 4.0]], lambda T, x: x.sqrt()),
    "rsqrt": ([[0.0, 4.0]], lambda T, x: x.rsqrt()),
    "reciprocal": ([[0.0, 4.0]], lambda T, x: x.reciprocal()),
    "log": ([[0.0, 4.0, -1.0]], lambda T, x: x.log()),
    "div": ([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]], lambda T, x, y: x / y),
    "clamp at the bounds": ([[-2.0, -1.0, 0.0, 1.0, 2.0, NAN]], lambda T, x: x.clamp(-1, 1)),
    "clamp below only": ([[-2.0, -1.0, 0.0]], lambda T, x: x.clamp(min=-1)),
    "clamp with bounds crossed": ([[-2.0, 0.0, 2.0]], lambda T, x: x.clamp(1, -1)),
    "clamp to tensors": (
        [[-2.0, 0.0, 2.0, 1.0, -1.0], [-1.0, 1.0, 1.0, 1.0, -1.0], [1.0, -1.0, 1.0, 1.0, 3.0]],
        lambda T, x, lo, hi: T.clamp(x, lo, hi),
    ),
    **{f"norm {p} of zero": ([[0.0, 0.0]], lambda T, x, p=p: x.norm(p)) for p in (0.5, 1, 1.5, 2, 3, INF, -INF)},
    **{
        f"norm {p} with a zero": ([[0.0, -3.0, 3.0, 1.0]], lambda T, x, p=p: x.norm(p))
        for p in (1, 1.5, 2, 3, INF, -INF)
    },
    "norm of rows": ([[[0.0, 0.0], [3.0, 4.0]]], lambda T, x: x.norm(dim=1)),
    **{f"power {e}": ([[0.0, 1.0, 2.0]], lambda T, x, e=e: x**e) for e in (0, 1, 2, 3, 0.5, 1.5, 2.5)},
    "power of a negative": ([[-2.0, -1.0]], lambda T, x: x**3),
    "power of tensors": (
        [[0.0, 0.0, 0.0, 2.0, 2.0, 1.0], [0.0, 1.0, 2.0, 0.0, 3.0, 0.5]],
        lambda T, x, y: T.pow(x, y),
    ),
    "number to a power": ([[0.0, 1.0, -2.0]], lambda T, x: 3**x),
    "std of constants": ([[2.0, 2.0, 2.0]], lambda T, x: x.std()),
    "lerp in the middle": ([[1.0, 2.0], [3.0, 5.0], [0.5, 0.499]], lambda T, x, y, w: T.lerp(x, y, w)),
    "masked_fill of nan and infinity": (
        [[NAN, INF, -0.0, 2.0], 3.0],
        lambda T, x, v: T.masked_fill(x, T.isnan(x.detach()), v),
    ),
    "tril of nan and infinity": ([[[1.0, NAN], [INF, -0.0]]], lambda T, x: x.tril()),
    "windows that overlap": ([[1.0, 2.0, 3.0, 4.0]], lambda T, x: x.unfold(0, 3, 1)),
    "where beside infinity": ([[0.0, 4.0]], lambda T, x: T.where(x > 0, x, x * 0 + 1).log()),
    **{
        f"cdist {p} of equal rows": (
            [[[0.0, 1.0], [2.0, -1.0]], [[0.0, 1.0], [2.0, 2.0], [0.0, 0.0]]],
            lambda T, x, y, p=p: T.cdist(x, y, p),
        )
        for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, INF)
    },
    **{
        f"pdist {p} of equal rows": ([[[1.0, 1.0], [1.0, 1.0], [1.0, 2.0]]], lambda T, x, p=p: T.pdist(x, p))
        for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, INF)
    },
    "cosine of zero": ([[[0.0, 0.0], [3.0, 4.0]], [[1.0, 2.0], [0.0, 0.0]]], lambda T, x, y: T.cosine_similarity(x, y)),
    "threshold": ([[0.5, 1.0, 2.0, NAN, -INF]], lambda T, x: T.threshold(x, 1.0, 3.0)),
    "celu": ([[-INF, -4.0, -1.0, -0.0, 0.0, 1.0, INF]], lambda T, x: T.celu(x, 2.0)),
    "selu": ([[-INF, -4.0, -1.0, -0.0, 0.0, 1.0, INF]], lambda T, x: T.selu(x)),
    "prelu": ([[-1.0, -0.0, 0.0, 1.0, NAN], [0.25]], lambda T, x, w: T.prelu(x, w)),
    "addmm with beta 0": ([[[NAN]], [[2.0]], [[3.0]]], lambda T, x, y, z: T.addmm(x, y, z, beta=0)),
    "addmv with beta 0": ([[NAN], [[2.0]], [3.0]], lambda T, x, y, z: T.addmv(x, y, z, beta=0)),
    "relu": ([[-1.0, 0.0, 2.0, NAN]], lambda T, x: T.relu(x)),
    "clamp_min": ([[1.0, 2.0, 3.0, NAN, 1.0], [1.0, 3.0, 2.0, 1.0, NAN]], lambda T, x, y: T.clamp_min(x, y)),
    "clamp_max": ([[1.0, 2.0, 3.0, NAN, 1.0], [1.0, 3.0, 2.0, 1.0, NAN]], lambda T, x, y: T.clamp_max(x, y)),
    "fmax": ([[1.0, 2.0, 3.0, NAN, 1.0, NAN], [1.0, 3.0, 2.0, 1.0, NAN, NAN]], lambda T, x, y: T.fmax(x, y)),
    "fmin": ([[1.0, 2.0, 3.0, NAN, 1.0, NAN], [1.0, 3.0, 2.0, 1.0, NAN, NAN]], lambda T, x, y: T.fmin(x, y)),
    "lgamma": ([[0.0, -0.0, -1.0, -30.0, 2.0, INF, -INF, NAN, 1e37, -1e10]], lambda T, x: T.lgamma(x)),
    "digamma": ([[0.0, -0.0, 2.0, INF, NAN, 1e37]], lambda T, x: T.digamma(x)),
    "nextafter": (
        [[0.0, -0.0, 0.0, -0.0, INF, NAN, 1.0, -INF], [1.0, -1.0, -0.0, 0.0, 0.0, 1.0, NAN, -INF]],
        lambda T, x, y: T.nextafter(x, y),
    ),
    "copysign": ([[0.0, 1.0, -2.0, 3.0], [-1.0, -0.0, 0.0, NAN]], lambda T, x, y: T.copysign(x, y)),
    "nan_to_num": ([[1.0, NAN, INF, -INF]], lambda T, x: T.nan_to_num(x)),
    "sinc": ([[0.0, -0.0, 0.5]], lambda T, x: T.sinc(x)),
    "logit": ([[-0.1, 0.0, 0.5, 1.0, 1.1]], lambda T, x: T.logit(x)),
    "logit within bounds": ([[-0.1, 0.1, 0.25, 0.75, 1.1]], lambda T, x: T.logit(x, 0.25)),
    "xlogy": ([[0.0, 0.0, 0.0, 0.0, 2.0, 2.0], [0.0, -1.0, 2.0, NAN, 0.0, 3.0]], lambda T, x, y: T.xlogy(x, y)),
    "logaddexp": ([[INF, -INF, INF, 1.0, NAN], [INF, -INF, -INF, -INF, 1.0]], lambda T, x, y: T.logaddexp(x, y)),
    "atan2": ([[0.0, 0.0, 1.0, -1.0], [0.0, -1.0, 0.0, 0.0]], lambda T, x, y: T.atan2(x, y)),
    "hypot": ([[0.0, 3.0, INF, 1e30], [0.0, 4.0, NAN, 1e30]], lambda T, x, y: T.hypot(x, y)),
    "inverse at the ends": ([[-1.0, 1.0, 2.0]], lambda T, x: T.asin(x) + T.acos(x)),
    "erfinv": ([[0.0, 1.0, -1.0, 2.0]], lambda T, x: T.erfinv(x)),
    "remainder": ([[5.0, -5.0, 4.0, 1.0, INF], [3.0, 3.0, -2.0, 0.0, 2.0]], lambda T, x, y: T.remainder(x, y)),
    "fmod": ([[5.0, -5.0, -4.0, 1.0, 1.0], [3.0, 3.0, 2.0, 0.0, INF]], lambda T, x, y: T.fmod(x, y)),
    "floored": ([[1.0, -1.0, 1.0, 5.0], [0.1, 0.1, 0.0, INF]], lambda T, x, y: T.div(x, y, rounding_mode="floor")),
    "prod with a zero": ([[2.0, 0.0, 3.0]], lambda T, x: x.prod()),
    "prod with two zeros": ([[0.0, 3.0, 0.0]], lambda T, x: x.prod(0, keepdim=True)),
    "cumprod with zeros": ([[2.0, 0.0, 3.0, 0.0, 4.0]], lambda T, x: x.cumprod(0)),
    "cummax with ties": ([[1.0, 3.0, 3.0, 2.0, NAN, 5.0, NAN]], lambda T, x: x.cummax(0)[0]),
    "cummin with ties": ([[-0.0, 0.0, -1.0, -1.0, 2.0]], lambda T, x: x.cummin(0)[0]),
    "logcumsumexp of infinity": ([[INF, -INF, 3.0]], lambda T, x: x.logcumsumexp(0)),
    "logcumsumexp from nothing": ([[-INF, 1.0, 1.0]], lambda T, x: x.logcumsumexp(0)),
    **{f"logsumexp of {a}": ([[a, a]], lambda T, x: x.logsumexp(0)) for a in (INF, -INF)},
    "softmax of nothing": ([[-INF, -INF]], lambda T, x: x.softmax(0)),
    "log_softmax of infinity": ([[-INF, 0.0]], lambda T, x: x.log_softmax(0)),
    "sort with nan": ([[2.0, NAN, 1.0, -INF, INF]], lambda T, x: x.sort()[0] * x.new_tensor([1.0, 2, 3, 4, 5])),
    "sort down with nan": (
        [[2.0, NAN, 1.0, 2.0]],
        lambda T, x: x.sort(stable=True, descending=True, dim=0)[0] * x.new_tensor([1.0, 2, 3, 4]),
    ),
    "topk with nan": ([[2.0, NAN, 1.0, INF]], lambda T, x: x.topk(2)[0]),
    "median of ties": ([[1.0, 2.0, 2.0, 2.0, 5.0]], lambda T, x: x.median()),
    "median of nan": ([[1.0, NAN, 2.0, NAN]], lambda T, x: x.median()),
    "median along nan": ([[1.0, 2.0, NAN]], lambda T, x: x.median(0)[0]),
    "nanmedian": ([[1.0, NAN, 2.0, 5.0, NAN]], lambda T, x: x.nanmedian()),
    "nanmedian of nothing else": ([[NAN, NAN]], lambda T, x: x.nanmedian(0)[0]),
    "quantile with nan": ([[1.0, NAN, 2.0]], lambda T, x: x.quantile(0.25)),
    "nanquantile": ([[1.0, NAN, 2.0, 4.0]], lambda T, x: x.nanquantile(0.25)),
    "nansum": ([[1.0, NAN, INF]], lambda T, x: x.nansum()),
    "nanmean": ([[1.0, NAN, 2.0]], lambda T, x: x.nanmean()),
    "aminmax with ties": ([[1.0, 3.0, 1.0, 3.0]], lambda T, x: x.aminmax()[0] * 2 + x.aminmax()[1]),
    "aminmax with nan": ([[1.0, NAN]], lambda T, x: x.aminmax()[1]),
    "prod with infinity": ([[2.0, INF, 3.0]], lambda T, x: x.prod()),
    "prod with infinity and a zero": ([[2.0, INF, 0.0]], lambda T, x: x.prod(0)),
    "prod with infinity and zeros": ([[0.0, INF, 0.0]], lambda T, x: x.prod()),
    "prod with nan": ([[[NAN, 2.0], [3.0, INF]]], lambda T, x: x.prod(1)),
    "cumprod with infinities": ([[INF, 2.0, -INF]], lambda T, x: x.cumprod(0)),
    "cumprod with nan": ([[2.0, NAN, 3.0]], lambda T, x: x.cumprod(0)),
    "renorm with nan": ([[[1.0, NAN], [0.25, 0.5], [0.0, 0.0]]], lambda T, x: T.renorm(x, 1, 0, 1.0)),
    "renorm with infinity": ([[[1.0, INF], [0.25, 0.5]]], lambda T, x: T.renorm(x, 2, 0, 1.0)),
    "prod of masks": ([[1.0, -2.0]], lambda T, x: x * (x > 0)),
}


@each("name", KINKS)
def test_kink(name: str) -> None:
    """Value and first derivative, equal to the last bit or two."""
    given, call = KINKS[name]
    found = []
    for side in SIDES:
        leaves = [side.leaf(np.array(v), torch.float32, True) for v in given]
        out = call(side.library, *leaves)
        out.sum().backward()
        found.append([values(out), *[values(leaf.grad) for leaf in leaves]])
    for mine, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=3e-7, atol=0, err_msg=name)  # 2.5 units in the last place


# -- promotion --------------------------------------------------------------------------------------------------------

KINDS = [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32]
TENSORS = [torch.ones(shape, dtype=dtype) for dtype in KINDS for shape in ((), (2,))]
NUMBERS: list[Any] = [True, 3, 0.5]


def same(op: str, *args: Any) -> None:
    """Same dtype and values, or both refuse."""

    def run(T: Any, *a: Any) -> Any:
        try:
            return getattr(T, op)(*a)
        except RuntimeError as error:
            return error

    theirs = run(torch, *args)
    mine = run(tm, *[tm.Tensor(to_array(a)) if isinstance(a, torch.Tensor) else a for a in args])
    what = f"{op}({', '.join(f'{a.dtype}{list(a.shape)}' if isinstance(a, torch.Tensor) else repr(a) for a in args)})"
    assert isinstance(theirs, Exception) == isinstance(mine, Exception), f"{what}: {mine}, torch {theirs}"
    if not isinstance(theirs, Exception):
        assert mine.dtype == DTYPES[theirs.dtype], f"{what}: {mine.dtype}, torch {theirs.dtype}"
        np.testing.assert_array_equal(values(mine), values(theirs), err_msg=what)


@pytest.mark.parametrize("op", ["add", "mul", "div", "maximum", "eq", "lt", "pow"])
def test_promotion_of_tensors(op: str) -> None:
    for a, b in itertools.product(TENSORS, TENSORS):
        same(op, a, b)


@pytest.mark.parametrize("op", ["add", "mul", "div", "eq", "lt", "pow", "clamp"])
def test_promotion_of_numbers(op: str) -> None:
    for a, b in itertools.product(TENSORS, NUMBERS):
        if not (op == "clamp" and a.dtype == torch.bool):  # torch has no clamp of booleans
            same(op, a, b)


def test_promotion_of_where() -> None:
    condition = torch.tensor([True, False])
    for a, b in itertools.product([*TENSORS, *NUMBERS], TENSORS):
        same("where", condition, a, b)


@pytest.mark.parametrize(
    "op", ["sum", "mean", "norm", "std", "amax", "argmax", "any", "sqrt", "exp", "sign", "neg", "abs"]
)
def test_promotion_of_one(op: str) -> None:
    for a in TENSORS:
        unsupported = {"sign": (), "neg": (torch.bool,), "abs": (torch.bool,), "argmax": (torch.bool,)}
        if a.dtype not in unsupported.get(op, ()) and not (op == "std" and a.ndim == 0):
            same(op, a)


@pytest.mark.parametrize("op", ["add_", "mul_", "div_", "copy_", "pow_"])
def test_promotion_in_place(op: str) -> None:
    """In place the dtype stays, or torch refuses."""
    for a, b in itertools.product(TENSORS, [*TENSORS, *NUMBERS]):
        if op == "copy_" and not isinstance(b, torch.Tensor):
            continue
        if op == "pow_" and a.dtype == torch.bool:  # torch has it for some exponents only
            continue
        results: list[Any] = []
        for T in (torch, tm):
            x = a.clone() if T is torch else tm.Tensor(to_array(a))
            y = tm.Tensor(to_array(b)) if T is tm and isinstance(b, torch.Tensor) else b
            try:
                results.append(getattr(x, op)(y))
            except RuntimeError as error:
                results.append(error)
        theirs, mine = results
        what = f"{a.dtype}{list(a.shape)}.{op}({b if not isinstance(b, torch.Tensor) else (b.dtype, list(b.shape))})"
        assert isinstance(theirs, Exception) == isinstance(mine, Exception), f"{what}: {mine}, torch {theirs}"
        if isinstance(theirs, Exception):
            assert str(theirs) == str(mine), what
        else:
            assert mine.dtype == DTYPES[theirs.dtype], what
            np.testing.assert_array_equal(values(mine), values(theirs), err_msg=what)


def test_half_is_rounded_once() -> None:
    """A number keeps its precision in half-precision arithmetic, as in torch."""
    x = torch.linspace(-3, 3, 200, dtype=torch.bfloat16)
    y = torch.linspace(0.1, 2, 200, dtype=torch.bfloat16)
    calls: list[Call] = [
        lambda T, x, y: x * 0.9,
        lambda T, x, y: x + 0.3,
        lambda T, x, y: x.add(y, alpha=0.1),
        lambda T, x, y: T.addcmul(x, x, y, value=0.3),
        lambda T, x, y: T.addcdiv(x, x, y, value=0.3),
        lambda T, x, y: T.lerp(x, y, 0.1),
        lambda T, x, y: x / 0.3,
        lambda T, x, y: 0.9 / y,
        lambda T, x, y: 0.9 - y,
        lambda T, x, y: y**1.7,
        lambda T, x, y: x.clamp(-0.3, 0.7),
        lambda T, x, y: x.sum(),
        lambda T, x, y: x.mean(),
        lambda T, x, y: x.norm(),
        lambda T, x, y: x.std(),
        lambda T, x, y: x.dot(y),
    ]
    for call in calls:
        mine = call(tm, tm.Tensor(to_array(x)), tm.Tensor(to_array(y)))
        theirs = call(torch, x, y)
        assert mine.dtype == mx.bfloat16
        np.testing.assert_allclose(values(mine), values(theirs), rtol=2**-7, atol=0)  # one unit in the last place
        exact = (values(mine) == values(theirs)).mean()
        assert exact > 0.97, f"{exact} are equal"


# -- broadcasting -----------------------------------------------------------------------------------------------------


@hypothesis.settings(max_examples=examples(60), deadline=None, derandomize=True)
@hypothesis.given(
    hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=3, min_side=0),
    st.sampled_from(["add", "mul", "div", "maximum", "addcmul", "where", "clamp", "lerp"]),
)
def test_broadcasting(shapes: hnp.BroadcastableShapes, op: str) -> None:
    """Any shapes that broadcast: values and gradients, each gradient in the shape of its tensor."""
    rng = np.random.default_rng(0)
    given = [rng.uniform(0.5, 2, s) for s in shapes.input_shapes]
    if op in ("add", "mul", "div", "maximum"):
        given = given[:2]
    if op in ("lerp", "clamp") and given[0].shape != shapes.result_shape:
        given[0] = np.broadcast_to(given[0], shapes.result_shape).copy()
    found = []
    for side in SIDES:
        x = [side.leaf(v, torch.float32, True) for v in given]
        if op == "where":
            args = [x[0].detach() > 1, *x[1:]]
        else:
            args = x
        out = getattr(side.library, op)(*args)
        out.sum().backward()
        found.append([values(out), *[None if leaf.grad is None else values(leaf.grad) for leaf in x]])
    for mine, theirs in zip(found[1], found[0], strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs, rtol=2e-6, atol=1e-6)  # sums of up to 81 terms; 4e-7 measured


# -- errors -----------------------------------------------------------------------------------------------------------

#: Calls that torch refuses, with the words of its message that a port may look for; "" where only the type matters.
ERRORS: dict[str, tuple[Call, str]] = {
    "shapes": (
        lambda T, f: f(2) + f(3),
        r"The size of tensor a \(2\) must match the size of tensor b \(3\) at non-sing",
    ),
    "in-place shape": (
        lambda T, f: f(2).add_(f(3, 2)),
        r"output with shape \[2\] doesn't match the broadcast shape \[3, 2\]",
    ),
    "in-place dtype": (
        lambda T, f: f(2).long().add_(0.5),
        "result type Float can't be cast to the desired output type Long",
    ),
    "copy": (lambda T, f: f(2).copy_(f(3)), r"The size of tensor a \(2\) must match the size of tensor b \(3\)"),
    "fill": (
        lambda T, f: f(2).fill_(f(2)),
        "fill_ only supports 0-dimension value tensor but got tensor with 1 dimensions.",
    ),
    "mean of ints": (lambda T, f: f(2).long().mean(), r"mean\(\): could not infer output dtype."),
    "norm of ints": (lambda T, f: f(2).long().norm(), "Expected a floating point or complex tensor as input. Got Long"),
    "std of ints": (lambda T, f: f(2).long().std(), "std and var only support floating point and complex dtypes"),
    "addcdiv of ints": (lambda T, f: f(2).long().addcdiv_(f(2).long(), f(2).long()), "Integer division with addcdiv"),
    "integer power": (lambda T, f: f(2).long() ** -1, "Integers to negative integer powers are not allowed."),
    "float alpha": (
        lambda T, f: f(2).long().add(f(2).long(), alpha=0.5),
        "argument alpha must not be a floating point number",
    ),
    "matmul": (lambda T, f: f(3, 2) @ f(3, 2), r"mat1 and mat2 shapes cannot be multiplied \(3x2 and 3x2\)"),
    "matmul dtypes": (lambda T, f: f(2, 2) @ f(2, 2).half(), "Half"),
    "mm of vectors": (lambda T, f: f(2).mm(f(2)), "must be a matrix"),
    "dot": (lambda T, f: f(2).dot(f(3)), r"inconsistent tensor size, expected tensor \[2\] and src \[3\]"),
    "lerp dtypes": (lambda T, f: f(2).lerp(f(2).half(), 0.5), "expected dtype float for `end` but got dtype"),
    "max of nothing": (lambda T, f: f(0).max(), "Expected reduction dim to be specified for input.numel"),
    "max along nothing": (lambda T, f: f(0, 2).max(0), "Expected reduction dim 0 to have non-zero size."),
    "norm of nothing": (lambda T, f: f(0).norm(INF), ""),
    "dim": (lambda T, f: f(2).sum(3), r"Dimension out of range \(expected to be in range of \[-1, 0\], but got 3\)"),
    "dim twice": (lambda T, f: f(2).sum((0, 0)), "dim 0 appears multiple times in the list of dims"),
    "clamp": (lambda T, f: f(2).clamp(), "At least one of 'min' or 'max' must not be None"),
    "where": (
        lambda T, f: T.where(f(2).long(), f(2), f(2)),
        "expected condition to be a boolean tensor, but got a tensor with dtype Long",
    ),
    "rounding": (lambda T, f: f(2).div(2, rounding_mode="up"), "rounding_mode to be one of None, 'trunc', or 'floor'"),
    "cat of nothing": (lambda T, f: T.cat([]), ""),
    "cat": (lambda T, f: T.cat([f(2, 2), f(3, 3)]), "Expected size 2 but got size 3 for tensor number 1 in the list."),
    "stack": (
        lambda T, f: T.stack([f(2), f(3)]),
        r"stack expects each tensor to be equal size, but got \[2\] at entry 0",
    ),
    "not a tensor": (lambda T, f: T.sqrt(2.0), r"sqrt\(\): argument 'input' \(position 1\) must be Tensor, not float"),
    "a string": (lambda T, f: f(2).add("x"), "argument 'other'"),
    "operator": (lambda T, f: f(2) + "x", ""),
    "t": (lambda T, f: f(2, 2, 2).t(), "expects a tensor with <= 2 dimensions, but self is 3D"),
    "view size": (lambda T, f: f(2, 3).view(4), r"shape '\[4\]' is invalid for input of size 6"),
    "view -1": (lambda T, f: f(2, 3).view(-1, 4), r"shape '\[-1, 4\]' is invalid for input of size 6"),
    "view of t": (
        lambda T, f: f(2, 3).t().view(-1),
        r"view size is not compatible with input tensor's size and stride",
    ),
    "index": (lambda T, f: f(2)[3], "index 3 is out of bounds for dimension 0 with size 2"),
    "indices": (lambda T, f: f(2)[0, 0], "too many indices for tensor of dimension 1"),
    "negative step": (lambda T, f: f(2)[::-1], "step must be greater than zero"),
    "index by a float": (lambda T, f: f(2)[0.5], "are valid indices"),
    "expand": (
        lambda T, f: f(2).expand(3),
        r"The expanded size of the tensor \(3\) must match the existing size \(2\)",
    ),
    "write to expanded": (lambda T, f: f(1).expand(3).mul_(2), "more than one element of the written-to tensor"),
    "item": (lambda T, f: f(2).item(), "a Tensor with 2 elements cannot be converted to Scalar"),
    "bool": (lambda T, f: bool(f(2)), "Boolean value of Tensor with more than one value is ambiguous"),
    "bool of nothing": (lambda T, f: bool(f(0)), "Boolean value of Tensor with no values is ambiguous"),
    "int": (lambda T, f: int(f(2)), "only one element tensors can be converted to Python scalars"),
    "index of a float": (
        lambda T, f: [1, 2][f()],
        "only integer tensors of a single element can be converted to an index",
    ),
    "len": (lambda T, f: len(f()), "len\\(\\) of a 0-d tensor"),
    "iter": (lambda T, f: iter(f()), "iteration over a 0-d tensor"),
    "size": (lambda T, f: f(2).size(3), "Dimension out of range"),
    "numpy": (lambda T, f: f(2).requires_grad_().numpy(), "Can't call numpy\\(\\) on Tensor that requires grad."),
    "numpy of bfloat16": (lambda T, f: f(2).to(T.bfloat16).numpy(), "Got unsupported ScalarType BFloat16"),
    "grad of ints": (
        lambda T, f: f(2).long().requires_grad_(),
        "only Tensors of floating point dtype can require gradients",
    ),
    "leaf": (
        lambda T, f: f(2).requires_grad_().mul_(2),
        "a leaf Variable that requires grad is being used in an in-place operation.",
    ),
    "view of a leaf": (
        lambda T, f: f(2).requires_grad_()[0].mul_(2),
        "a view of a leaf Variable that requires grad is being used",
    ),
    "backward of many": (
        lambda T, f: f(2).requires_grad_().backward(),
        "grad can be implicitly created only for scalar outputs",
    ),
    "backward of none": (
        lambda T, f: f().backward(),
        "element 0 of tensors does not require grad and does not have a grad_fn",
    ),
    "backward shape": (
        lambda T, f: f(2).requires_grad_().backward(f(3)),
        "Mismatch in shape: grad_output\\[0\\] has a shape of",
    ),
    "grad type": (
        lambda T, f: setattr(f(2), "grad", 3),
        "assigned grad expected to be a Tensor or None but got grad of type",
    ),
    "grad shape": (
        lambda T, f: setattr(f(2), "grad", f(3)),
        r"attempting to assign a gradient of size '\[3\]' to a tensor of size '\[2\]'",
    ),
    "retain_grad": (lambda T, f: f(2).retain_grad(), "can't retain_grad on Tensor that has requires_grad=False"),
    "flag of a non-leaf": (
        lambda T, f: (f(2).requires_grad_() * 2).requires_grad_(False),
        "you can only change requires_grad flags of leaf",
    ),
    "out that requires grad": (
        lambda T, f: T.add(f(2).requires_grad_(), 1, out=f(2)),
        "don't support automatic differentiation",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    """The same exception type and words."""
    call, words = ERRORS[name]
    raised = []
    for T in (torch, tm):
        with pytest.raises(Exception, match=words or None) as info:
            call(T, lambda *shape, T=T: T.ones(shape))
        raised.append(info.type)
    assert issubclass(raised[1], raised[0]) or raised[0] is torch.OutOfMemoryError, raised


def test_old_forms_warn() -> None:
    """``add_(number, tensor)``, which old optimizers use, works and warns as in torch."""
    calls: list[Call] = [
        lambda x: x.add_(0.5, x * 2),
        lambda x: x.sub_(0.5, x * 2),
        lambda x: x.addcmul_(0.5, x * 2, x + 1),
        lambda x: x.addcdiv_(-0.5, x * 2, x + 1),
    ]
    for call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = call(torch.tensor([1.0, 2.0]))
        with pytest.warns(UserWarning, match="old form"):
            mine = call(tm.tensor([1.0, 2.0]))
        np.testing.assert_allclose(values(mine), values(theirs), rtol=1e-6)


def test_numpy_names() -> None:
    x = tm.tensor([[1.0, 2.0]])
    assert x.sum(axis=1, keepdims=True).shape == (1, 1)
    with pytest.raises(TypeError):
        x.sum(axes=1)


#: Functions of one number whose result may be -0.0.
SIGNED = ("relu", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf", "erfinv", "expm1", "log1p", "sqrt")
SIGNED += ("sign", "abs", "neg", "floor", "ceil", "trunc", "round", "frac", "square", "deg2rad", "nan_to_num")


#: Functions that give the first of two equal numbers, which in torch's kernel of bfloat16 is the second.
FIRST: dict[torch.dtype, tuple[str, ...]] = {torch.float32: ("fmax", "fmin"), torch.float64: ("fmax", "fmin")}
FIRST[torch.bfloat16] = ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_minus_zero(dtype: torch.dtype) -> None:
    """The sign of zero is torch's, also where many numbers are computed at once."""
    for count in (1, 40):
        given = torch.tensor([0.0, -0.0] * count, dtype=dtype)
        mine = tm.Tensor(mx.array(given.numpy(), mx.float64) if dtype == torch.float64 else to_array(given))
        calls: dict[str, Call] = {name: lambda T, x, name=name: getattr(T, name)(x) for name in SIGNED}
        calls |= {name: lambda T, x, name=name: getattr(T, name)(x, -x) for name in ("copysign", *FIRST[dtype])}
        calls |= {
            name: lambda T, x, name=name: getattr(T, name)(x, 0.0) for name in ("clamp_min", "clamp_max", "clamp")
        }
        calls |= {
            name: lambda T, x, name=name: getattr(T.nn.functional, name)(x)
            for name in ("elu", "gelu", "silu", "relu6", "hardtanh", "hardswish", "leaky_relu", "softsign")
        }
        if dtype == torch.float64:  # MLX's sine of float32 is 0.0 there
            calls["sin"] = lambda T, x: T.sin(x)
        for name, call in calls.items():
            a, b = values(call(tm, mine)), values(call(torch, given))
            np.testing.assert_array_equal(a, b, err_msg=name)
            np.testing.assert_array_equal(np.signbit(a), np.signbit(b), err_msg=f"{name} of {given.dtype}, {count}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64])
@pytest.mark.parametrize("name", ["linspace", "logspace"])
def test_even_distances(name: str, dtype: torch.dtype) -> None:
    """Numbers at even distances are torch's to the bit, and so are the powers of them."""
    for start, end, steps in ((-1, 1, 50), (0.1, 3.3, 257), (-3, 3, 1001), (2.7, -1.3, 34), (0.3, 1, 1), (1, 2, 0)):
        theirs = getattr(torch, name)(start, end, steps, dtype=dtype)
        mine = getattr(tm, name)(start, end, steps, dtype=DTYPES[dtype])
        assert mine.dtype == DTYPES[dtype]
        np.testing.assert_array_equal(values(mine), values(theirs))
