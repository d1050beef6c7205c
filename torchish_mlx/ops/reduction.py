"""Reductions: sums, means, variances, norms, extremes, and whether any or all are true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.cpu import in_two_stages, on_cpu
from .._core.promotion import FLOATS, HALVES, INEXACT, NAMES, cast, promoted, summed_dtype, widened
from .._tensor.tensor import Tensor
from ._arguments import Scalar
from ._declare import REGISTRY, composed, op
from ._op import Array
from ._recorded import call_it
from .arithmetic import power

Dim = int | Sequence[int] | None

MANY = 4096  # elements that are added in two stages: of fewer, the second takes longer than it saves


def axes(ndim: int, dim: Dim, empty_is_all: bool = True) -> tuple[int, ...]:
    """The dimensions that ``dim`` names, counted from the front. IndexError for one that is not there."""
    if ndim > 64:
        raise RuntimeError("only tensors with up to 64 dims are supported")
    if dim is None or (empty_is_all and not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(ndim))
    out = []
    for d in (dim,) if isinstance(dim, int) else dim:
        out.append(axis(ndim, d))
    if len(set(out)) != len(out):
        twice = next(d for d in out if out.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return tuple(out) if ndim else ()


def axis(ndim: int, dim: int) -> int:
    """One dimension counted from the front; a 0-d array has a dimension 0, as in torch."""
    size = max(ndim, 1)
    if not -size <= dim < size:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], but got {dim})")
    return dim % size


def fold(fn: Any, x: mx.array, where: Sequence[int], keepdim: bool, empty: float) -> mx.array:
    """fn over the axes ``where``; ``empty`` where there is nothing to reduce.

    MLX's CPU backend reads past the end of an array without elements when it reduces one, and may not return.
    """
    if x.size >= MANY and len(where) == x.ndim and fn in (mx.sum, mx.mean) and x.dtype in FLOATS and on_cpu():
        total = in_two_stages(mx.sum, mx.reshape(x, (-1,)))
        whole = total if fn is mx.sum else total / x.size
        return mx.reshape(whole, (1,) * x.ndim) if keepdim else whole
    if x.size:
        return fn(x, axis=where, keepdims=keepdim)
    sizes = [1 if a in where else n for a, n in enumerate(x.shape) if keepdim or a not in where]
    return mx.full(sizes, empty, x.dtype).astype(x.dtype)  # a full array of a number is not of booleans


def _spread(g: mx.array, shape: Sequence[int], dim: Dim, keepdim: bool) -> mx.array:
    """A gradient of a sum, repeated over the dimensions that were summed."""
    return mx.broadcast_to(restored(g, axes(len(shape), dim), keepdim), shape)


def _count(shape: Sequence[int], dim: Dim) -> int:
    return math.prod(shape[a] for a in axes(len(shape), dim))


def restored(x: mx.array, where: Sequence[int], keepdim: bool) -> mx.array:
    """A reduced array with the dimensions ``where`` back, of size one."""
    return x if keepdim or not where else mx.expand_dims(x, where)


def _refuse_empty(name: str, x: mx.array, where: tuple[int, ...]) -> tuple[int, ...]:
    """``where``; IndexError if there is no element to choose along it."""
    for a in where:
        if not x.shape[a]:
            raise IndexError(f"{name}(): Expected reduction dim {a} to have non-zero size.")
    return where


def _reduced(fn: Any, x: mx.array, dim: Dim, keepdim: bool, dtype: mx.Dtype, empty: float = 0.0) -> mx.array:
    """fn over ``dim`` in float32 for half precision, rounded once."""
    wide = mx.float32 if dtype in HALVES else dtype
    return cast(fold(fn, cast(x, wide), axes(x.ndim, dim), keepdim, empty), dtype)


@op(
    grad={"input": lambda g, input_shape, dim, keepdim: _spread(g, input_shape, dim, keepdim)},
    node=("dim", "SumBackward1"),
)
def sum(input: Array, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> mx.array:
    """The sum; that of integers and booleans is int64."""
    return _reduced(mx.sum, input, dim, keepdim, summed_dtype(input.dtype) if dtype is None else dtype)


def _mean_gradient(g: mx.array, input_shape: Sequence[int], dim: Dim, keepdim: bool) -> mx.array:
    return _spread(g, input_shape, dim, keepdim) / max(1, _count(input_shape, dim))


@op(grad={"input": _mean_gradient}, node=("dim", "MeanBackward1"))
def mean(input: Array, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> mx.array:
    """The mean of floating numbers."""
    which = "Input" if dtype is None else "Optional"
    dtype = input.dtype if dtype is None else dtype
    if dtype not in INEXACT:
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point or complex dtype. "
            f"Got: {NAMES[dtype]}"
        )
    return _reduced(mx.mean, input, dim, keepdim, dtype, math.nan)


def _freedom(shape: Sequence[int], dim: Any, unbiased: bool, correction: float | None) -> float:
    """n - correction, and at least 0."""
    return max(0, _count(shape, dim) - ((1 if unbiased else 0) if correction is None else correction))


def _variance_arguments(dim: Any, unbiased: bool) -> tuple[Any, bool]:
    """torch takes ``var(input, unbiased)`` too."""
    return (None, dim) if isinstance(dim, bool) else (dim, unbiased)


def _off(input: mx.array, dim: Any) -> mx.array:
    x = widened(input)
    return x - fold(mx.mean, x, axes(input.ndim, dim), True, math.nan)


def _variance(input: mx.array, dim: Any, unbiased: bool, keepdim: bool, correction: float | None) -> mx.array:
    dim, unbiased = _variance_arguments(dim, unbiased)
    if input.dtype not in INEXACT:
        raise RuntimeError("std and var only support floating point and complex dtypes")
    off = _off(input, dim)
    total = fold(mx.sum, off * off, axes(input.ndim, dim), keepdim, 0.0)
    return mx.divide(total, mx.array(_freedom(input.shape, dim, unbiased, correction), total.dtype))


def _variance_gradient(
    g: mx.array, input: mx.array, dim: Any, unbiased: bool, keepdim: bool, correction: float | None
) -> mx.array:
    dim, unbiased = _variance_arguments(dim, unbiased)
    off = _off(input, dim)
    count = _freedom(input.shape, dim, unbiased, correction)
    scale = mx.divide(mx.array(2.0, off.dtype), mx.array(count, off.dtype))
    return cast(_spread(g.astype(off.dtype), input.shape, dim, keepdim) * off * scale, input.dtype)


@op(grad={"input": _variance_gradient})
def var(
    input: Array,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: Scalar | None = None,
) -> mx.array:
    """sum((x - mean)^2) / max(0, n - correction); the correction is 1, or 0 with ``unbiased=False``."""
    return cast(_variance(input, dim, unbiased, keepdim, correction), input.dtype)


def _deviation_gradient(
    g: mx.array,
    result: mx.array,
    input: mx.array,
    dim: Any,
    unbiased: bool,
    keepdim: bool,
    correction: float | None,
) -> mx.array:
    """That of the variance times g / (2 result), zero where the result is 0."""
    zero = result == 0
    scale = mx.where(zero, 0, g / (2 * mx.where(zero, 1, result)))
    return _variance_gradient(scale, input, dim, unbiased, keepdim, correction)


@op(grad={"input": _deviation_gradient})
def std(
    input: Array,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: Scalar | None = None,
) -> mx.array:
    """The square root of the variance."""
    return cast(mx.sqrt(_variance(input, dim, unbiased, keepdim, correction)), input.dtype)


# Extremes -------------------------------------------------------------------------------------------------------------


def _shared(g: mx.array, result: mx.array, input: mx.array, dim: Dim, keepdim: bool) -> mx.array:
    """g shared evenly among the elements that are the largest (or smallest)."""
    where = axes(input.ndim, dim)
    g, result = restored(g, where, keepdim), restored(result, where, keepdim)
    chosen = (input == result) | (mx.isnan(input) & mx.isnan(result))
    if not input.size:
        return mx.zeros_like(input)
    return mx.where(chosen, g / mx.sum(chosen, axis=where, keepdims=True).astype(g.dtype), 0)


def _chosen_over(name: str, input: mx.array, dim: Dim) -> tuple[int, ...]:
    """The dimensions over which an element is chosen, where there is one."""
    if not input.size and not isinstance(dim, int) and not dim:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
            "the 'dim' argument."
        )
    return _refuse_empty(name, input, axes(input.ndim, dim))


@op(grad={"input": _shared})
def amax(input: Array, dim: Dim = (), keepdim: bool = False) -> mx.array:
    """The largest element over ``dim``."""
    return fold(mx.max, input, _chosen_over("amax", input, dim), keepdim, 0)


@op(grad={"input": _shared})
def amin(input: Array, dim: Dim = (), keepdim: bool = False) -> mx.array:
    """The smallest element over ``dim``."""
    return fold(mx.min, input, _chosen_over("amin", input, dim), keepdim, 0)


def _place(fn: Any, input: mx.array, dim: int | None, keepdim: bool) -> mx.array:
    """Indices as int64, as in torch."""
    name = fn.__name__
    if not input.size:
        if dim is None:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        (gone,) = _refuse_empty(name, input, (axis(input.ndim, dim),))
        shape = [1 if d == gone else n for d, n in enumerate(input.shape) if keepdim or d != gone]
        return mx.zeros(shape, mx.int64)
    if dim is None:
        out = fn(mx.reshape(input, (-1,)), axis=0)
        return (mx.reshape(out, (1,) * input.ndim) if keepdim else out).astype(mx.int64)
    where = axis(input.ndim, dim)
    return fn(input, axis=where, keepdims=keepdim).astype(mx.int64) if input.ndim else mx.zeros((), mx.int64)


def _no_booleans(name: str, x: mx.array) -> mx.array:
    if x.dtype == mx.bool_:
        raise RuntimeError(f"{name}(): does not support bool input")
    return x


@op()
def argmax(input: Array, dim: int | None = None, keepdim: bool = False) -> mx.array:
    """Where the largest element is along ``dim``, or among all elements in row-major order; int64."""
    return _place(mx.argmax, _no_booleans("argmax", input), dim, keepdim)


@op()
def argmin(input: Array, dim: int | None = None, keepdim: bool = False) -> mx.array:
    """Where the smallest element is along ``dim``, or among all elements in row-major order; int64."""
    return _place(mx.argmin, _no_booleans("argmin", input), dim, keepdim)


class MaxResult(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Tensor
    indices: Tensor


def _put_back(g: mx.array, indices: mx.array, input_shape: Sequence[int], dim: int, keepdim: bool) -> mx.array:
    """g at the places where the extremes were found, zero elsewhere."""
    if not input_shape:
        return g
    where = axis(len(input_shape), dim)
    g, indices = restored(g, (where,), keepdim), restored(indices, (where,), keepdim)
    return mx.put_along_axis(mx.zeros(input_shape, g.dtype), indices, g, axis=where)


def _along(fn: Any, input: mx.array, dim: int, keepdim: bool) -> MaxResult:
    where = axis(input.ndim, dim)
    indices: Any = _place(fn, input, dim, True)
    values: Any = mx.take_along_axis(input, indices, axis=where) if input.ndim else input
    if keepdim or not input.ndim:
        return MaxResult(values, indices)
    return MaxResult(mx.squeeze(values, where), mx.squeeze(indices, where))  # type: ignore[arg-type]


@op(grad={"input": _put_back}, name="max.dim", function=False, method=False)
def _max_along(input: Array, dim: int, keepdim: bool = False) -> MaxResult:
    """The largest elements along ``dim``, and where they are."""
    return _along(mx.argmax, input, dim, keepdim)


@op(grad={"input": _put_back}, name="min.dim", function=False, method=False)
def _min_along(input: Array, dim: int, keepdim: bool = False) -> MaxResult:
    """The smallest elements along ``dim``, and where they are."""
    return _along(mx.argmin, input, dim, keepdim)


def _extreme(name: str, both: str, of_all: Any, along: Any) -> None:
    """max or min, which torch gives three meanings."""

    def function(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if other is not None or isinstance(dim, (Tensor, mx.array)):
            return REGISTRY[both].function(input, dim if other is None else other)
        if dim is None:
            if not input.array.size:
                raise RuntimeError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction "
                    "dim with the 'dim' argument."
                )
            whole = of_all(input)
            call_it(f"{name.title()}Backward1", whole)
            return whole
        shape = input.array.shape
        if shape and not shape[axis(len(shape), dim)]:
            raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
        return along(input, dim, keepdim)

    function.__doc__ = f"The {name} of all elements; with ``dim`` a pair (values, indices); with a tensor, elementwise."
    composed(name=name, outs=True)(function)


_extreme("max", "maximum", amax, _max_along)
_extreme("min", "minimum", amin, _min_along)


# Norms ----------------------------------------------------------------------------------------------------------------


def _order(p: float | str | None) -> float:
    if p is None or p == "fro":
        return 2.0
    if isinstance(p, str):
        raise RuntimeError(f"norm(): p is a number, inf, -inf or 'fro', not {p!r}")
    return float(p)


def norm_gradient(
    g: mx.array, result: mx.array, input: mx.array, p: float | str | None, dim: Dim, keepdim: bool
) -> mx.array:
    """Torch's, which is 0 where the norm is 0."""
    order, where = _order(p), axes(input.ndim, dim)
    if not input.size:
        return mx.zeros_like(input)
    x, g, out = widened(input), widened(g), widened(result)
    g, out = restored(g, where, keepdim), restored(out, where, keepdim)
    if order == 0:
        return mx.zeros_like(x)
    if order == 1:
        return g * mx.sign(x)
    if math.isinf(order):
        chosen = mx.abs(x) == out
        return mx.sign(x) * mx.where(chosen, g / mx.sum(chosen, axis=where, keepdims=True).astype(g.dtype), 0)
    zero = out == 0
    safe = mx.where(zero, 1, out)
    if order == 2:
        return x * mx.where(zero, 0, g / safe)
    scale = mx.where(zero, 0, g / mx.power(safe, order - 1))
    size = mx.abs(x)
    if order < 2:
        size = mx.where(x == 0, 1, size)
        return mx.sign(x) * mx.power(size, order - 1) * scale
    return x * power(size, order - 2) * scale


@op(grad={"input": norm_gradient}, node="LinalgVectorNormBackward0")
def norm(
    input: Array,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> mx.array:
    """``(sum |x|^p)^(1/p)``: the largest for inf, the number of non-zeros for 0."""
    order = _order(p)
    dtype = input.dtype if dtype is None else dtype
    if promoted(input.dtype, dtype) != dtype:
        raise RuntimeError(
            f"linalg.vector_norm: the dtype of the input ({NAMES[input.dtype]}) should be convertible without "
            f"narrowing to the specified dtype ({NAMES[dtype]})"
        )
    if dtype not in INEXACT:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got " + NAMES[dtype]
        )
    if p == "fro" and isinstance(dim, (tuple, list)) and len(dim) > 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    x = cast(input, mx.float32 if dtype in HALVES else dtype)
    return cast(vector_norm(x, order, axes(input.ndim, dim), keepdim), dtype)


def vector_norm(x: mx.array, order: float, where: Sequence[int], keepdim: bool) -> mx.array:
    """The norm over the dimensions ``where``."""
    if order == 2:
        out = mx.sqrt(fold(mx.sum, x * x, where, keepdim, 0.0))
    elif order == 1:
        out = fold(mx.sum, mx.abs(x), where, keepdim, 0.0)
    elif order == 0:
        out = fold(mx.sum, x != 0, where, keepdim, 0).astype(x.dtype)
    elif math.isinf(order):
        if 0 in [x.shape[a] for a in where]:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {order} norm on an empty tensor because the operation does not "
                "have an identity"
            )
        out = fold(mx.max if order > 0 else mx.min, mx.abs(x), where, keepdim, 0.0)
    else:
        out = mx.power(fold(mx.sum, mx.power(mx.abs(x), order), where, keepdim, 0.0), 1 / order)
    return out


# Truth ----------------------------------------------------------------------------------------------------------------


def _truth(fn: Any, input: mx.array, dim: Dim, keepdim: bool, empty: bool) -> mx.array:
    """any and all; uint8 stays uint8, as in torch."""
    where = axes(input.ndim, dim, empty_is_all=False)
    out = (fold(fn, input, where, keepdim, empty) if where else input).astype(mx.bool_)
    return out.astype(mx.uint8) if input.dtype == mx.uint8 else out


@op()
def any(input: Array, dim: Dim = None, keepdim: bool = False) -> mx.array:
    """Whether one element or more is true; booleans, and uint8 for uint8."""
    return _truth(mx.any, input, dim, keepdim, False)


@op()
def all(input: Array, dim: Dim = None, keepdim: bool = False) -> mx.array:
    """Whether every element is true; booleans, and uint8 for uint8."""
    return _truth(mx.all, input, dim, keepdim, True)
