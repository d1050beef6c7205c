"""The reductions behind the rows of the table. Arrays in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import HALVES, INEXACT, NAMES, cast
from ._math import power

Dim = int | Sequence[int] | None


def axes(ndim: int, dim: Dim, empty_is_all: bool = True) -> tuple[int, ...]:
    """The dimensions that ``dim`` names, counted from the front. IndexError for one that is not there."""
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
    if x.size:
        return fn(x, axis=where, keepdims=keepdim)
    sizes = [1 if a in where else n for a, n in enumerate(x.shape) if keepdim or a not in where]
    return mx.full(sizes, empty, x.dtype)


def _reduced(fn: Any, x: mx.array, dim: Dim, keepdim: bool, dtype: mx.Dtype, empty: float = 0.0) -> mx.array:
    """fn over ``dim`` in float32 for half precision, rounded once."""
    wide = mx.float32 if dtype in HALVES else dtype
    return cast(fold(fn, cast(x, wide), axes(x.ndim, dim), keepdim, empty), dtype)


def sum(input: mx.array, dim: Dim = None, keepdim: bool = False, *, dtype: mx.Dtype | None = None) -> mx.array:
    """The sum; that of integers and booleans is int64."""
    if dtype is None:
        dtype = input.dtype if input.dtype in INEXACT else mx.int64
    return _reduced(mx.sum, input, dim, keepdim, dtype)


def mean(input: mx.array, dim: Dim = None, keepdim: bool = False, *, dtype: mx.Dtype | None = None) -> mx.array:
    """The mean of floating numbers."""
    dtype = dtype or input.dtype
    if dtype not in INEXACT:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {NAMES[dtype]}"
        )
    return _reduced(mx.mean, input, dim, keepdim, dtype, math.nan)


def var(
    input: mx.array,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> mx.array:
    """sum((x - mean)^2) / max(0, n - correction); the correction is 1, or 0 with ``unbiased=False``."""
    if isinstance(dim, bool):
        unbiased, dim = dim, None
    if input.dtype not in INEXACT:
        raise RuntimeError("std and var only support floating point and complex dtypes")
    where = axes(input.ndim, dim)
    x = input.astype(mx.float32) if input.dtype in HALVES else input
    off = x - fold(mx.mean, x, where, True, math.nan)
    count = math.prod(input.shape[a] for a in where) - ((1 if unbiased else 0) if correction is None else correction)
    total = fold(mx.sum, off * off, where, keepdim, 0.0)
    return cast(mx.divide(total, mx.array(max(0, count), total.dtype)), input.dtype)


def std(
    input: mx.array,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> mx.array:
    """The square root of the variance."""
    x = input.astype(mx.float32) if input.dtype in HALVES else input
    return cast(mx.sqrt(var(x, dim, unbiased, keepdim, correction=correction)), input.dtype)


def std_derivative(g: mx.array, result: mx.array, input: mx.array, *args: Any, **kwargs: Any) -> mx.array:
    """That of the variance times g / (2 result), zero where the result is 0."""
    zero = result == 0
    scale = mx.where(zero, 0, g / (2 * mx.where(zero, 1, result)))
    return mx.vjp(lambda x: var(x, *args, **kwargs), [input], [scale])[1][0]


def amax(input: mx.array, dim: Dim = (), keepdim: bool = False) -> mx.array:
    """The largest element over ``dim``."""
    return fold(mx.max, input, _refuse_empty("amax", input, axes(input.ndim, dim)), keepdim, 0)


def amin(input: mx.array, dim: Dim = (), keepdim: bool = False) -> mx.array:
    """The smallest element over ``dim``."""
    return fold(mx.min, input, _refuse_empty("amin", input, axes(input.ndim, dim)), keepdim, 0)


def _refuse_empty(name: str, x: mx.array, where: tuple[int, ...]) -> tuple[int, ...]:
    """``where``; RuntimeError if there is no element to choose along it."""
    if not all(x.shape[a] for a in where):
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be of a size other than 0: the input has shape {list(x.shape)}"
        )
    return where


def extreme_derivative(
    g: mx.array, result: mx.array, input: mx.array, dim: Dim = (), keepdim: bool = False
) -> mx.array:
    """g shared evenly among the elements that are the largest (or smallest)."""
    where = axes(input.ndim, dim)
    g, result = restored(g, where, keepdim), restored(result, where, keepdim)
    chosen = (input == result) | (mx.isnan(input) & mx.isnan(result))
    count = mx.sum(chosen, axis=where, keepdims=True)
    return mx.where(chosen, g / count.astype(g.dtype), 0)


def restored(x: mx.array, where: Sequence[int], keepdim: bool) -> mx.array:
    """A reduced array with the dimensions ``where`` back, of size one."""
    return x if keepdim or not where else mx.expand_dims(x, where)


def norm(
    input: mx.array,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: mx.Dtype | None = None,
) -> mx.array:
    """``(sum |x|^p)^(1/p)``: the largest for inf, the number of non-zeros for 0."""
    order = _order(p)
    dtype = dtype or input.dtype
    if dtype not in INEXACT:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got " + NAMES[dtype]
        )
    where = axes(input.ndim, dim)
    x = cast(input, mx.float32 if dtype in HALVES else dtype)
    if order == 2:
        out = mx.sqrt(fold(mx.sum, x * x, where, keepdim, 0.0))
    elif order == 1:
        out = fold(mx.sum, mx.abs(x), where, keepdim, 0.0)
    elif order == 0:
        out = fold(mx.sum, x != 0, where, keepdim, 0).astype(x.dtype)
    elif math.isinf(order):
        _refuse_empty("norm", input, where)
        out = fold(mx.max if order > 0 else mx.min, mx.abs(x), where, keepdim, 0.0)
    else:
        out = mx.power(fold(mx.sum, mx.power(mx.abs(x), order), where, keepdim, 0.0), 1 / order)
    return cast(out, dtype)


def _order(p: float | str | None) -> float:
    if p is None or p == "fro":
        return 2.0
    if isinstance(p, str):
        raise RuntimeError(f"norm(): p is a number, inf, -inf or 'fro', not {p!r}")
    return float(p)


def norm_derivative(
    g: mx.array,
    result: mx.array,
    input: mx.array,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    **_: Any,
) -> mx.array:
    """Torch's, which is 0 where the norm is 0."""
    order, where = _order(p), axes(input.ndim, dim)
    x, g, out = (cast(a, mx.float32) if a.dtype in HALVES else a for a in (input, g, result))
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


def arg(fn: Any, input: mx.array, dim: int | None, keepdim: bool) -> mx.array:
    """Indices as int64, as in torch."""
    if dim is None:
        out = fn(mx.reshape(input, (-1,)), axis=0)
        return (mx.reshape(out, (1,) * input.ndim) if keepdim else out).astype(mx.int64)
    where = axis(input.ndim, dim)
    return fn(input, axis=where, keepdims=keepdim).astype(mx.int64) if input.ndim else mx.zeros((), mx.int64)


def truth(fn: Any, input: mx.array, dim: Dim, keepdim: bool, empty: bool) -> mx.array:
    """any and all; uint8 stays uint8, as in torch."""
    where = axes(input.ndim, dim, empty_is_all=False)
    out = (fold(fn, input, where, keepdim, empty) if where else input).astype(mx.bool_)
    return out.astype(mx.uint8) if input.dtype == mx.uint8 else out
