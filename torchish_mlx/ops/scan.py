"""Cumulative sums, products and extremes along one dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.cpu import on_cpu
from .._core.promotion import cast, summed_dtype, widened
from .._core.trace import value
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._double import exponential
from ._dtypes import floating_only
from ._op import Array, Operand
from .arranging import flip
from .exponential import log_of_two
from .joining import cat
from .reduction import axis
from .shaping import expand, unsqueeze


def _cut(x: mx.array, start: int | None, stop: int | None, where: int) -> mx.array:
    return x[(slice(None),) * where + (slice(start, stop),)]


def _moved(x: mx.array, by: int, where: int, filler: float) -> mx.array:
    """The elements ``by`` places further along, and ``filler`` where there are none."""
    n = x.shape[where]
    end = mx.full((*x.shape[:where], min(abs(by), n), *x.shape[where + 1 :]), filler, x.dtype)
    if by > 0:
        return mx.concatenate([_cut(x, by, None, where), end], axis=where)
    return mx.concatenate([end, _cut(x, None, by, where)], axis=where)


def products_of_others(x: mx.array, where: int, backwards: bool = False) -> mx.array:
    """The product of all elements before each along ``where``, or of those behind it.

    It has no division, so that it and its derivatives hold at zeros too; the number of steps is log2 of the size.
    """
    sign = 1 if backwards else -1
    out, by = _moved(x, sign, where, 1), 1
    while by < x.shape[where]:
        out, by = out * _moved(out, sign * by, where, 1), 2 * by
    return out


def chosen_by_zeros(x: mx.array, others: Callable[[], mx.array], quotients: Callable[[mx.array], mx.array]) -> mx.array:
    """``others`` where any number is 0, else ``quotients``, which are divided by numbers that are not 0.

    On the CPU the numbers are looked at, as torch does, so that one of the two is computed.
    """
    zeros = x == 0
    some = mx.any(zeros)
    known = value(some) if on_cpu() else None
    if known is None:
        return mx.where(some, others(), quotients(x + zeros))
    return others() if known else quotients(x)


def _recurrence(factors: mx.array, terms: mx.array, where: int) -> mx.array:
    """s with s[k] = terms[k] + factors[k] s[k + 1], in log2 of the size steps."""
    by = 1
    while by < terms.shape[where]:
        terms = terms + factors * _moved(terms, by, where, 0)
        factors, by = factors * _moved(factors, by, where, 0), 2 * by
    return terms


def _scanned(fn: Any, x: mx.array, dim: int) -> mx.array:
    where = axis(x.ndim, dim)
    return fn(x, axis=where) if x.size and x.ndim else x


@op(
    grad={"input": lambda g, dim: _scanned(lambda x, axis: mx.cumsum(x, axis=axis, reverse=True), widened(g), dim)},
    inplace=True,
)
def cumsum(input: Array, dim: int, *, dtype: Any = None) -> mx.array:
    """The sums of the elements up to each along ``dim``; those of integers and booleans are int64."""
    dtype = summed_dtype(input.dtype) if dtype is None else dtype
    return cast(_scanned(mx.cumsum, widened(cast(input, dtype)), dim), dtype)


def _product_gradient(g: mx.array, input: mx.array, result: mx.array, dim: int) -> mx.array:
    """The sum over i >= k of g[i] and the product of all x[j], j <= i, but x[k].

    Where nothing is 0 that is a sum of g[i] result[i], divided by x[k], as in torch: infinity divided by itself is NaN.
    """
    where = axis(input.ndim, dim)
    if not input.size or not input.ndim or input.shape[where] == 1:
        return g
    x, g = widened(cast(input, g.dtype)), widened(g)
    return chosen_by_zeros(
        x,
        lambda: products_of_others(x, where) * _recurrence(_moved(x, 1, where, 0), g, where),
        lambda safe: mx.cumsum(g * widened(result), axis=where, reverse=True) / safe,
    )


@op(grad={"input": _product_gradient}, inplace=True)
def cumprod(input: Array, dim: int, *, dtype: Any = None) -> mx.array:
    """The products of the elements up to each along ``dim``; those of integers and booleans are int64."""
    dtype = summed_dtype(input.dtype) if dtype is None else dtype
    return cast(_scanned(mx.cumprod, widened(cast(input, dtype)), dim), dtype)


@composed(method=False, shape="a row for each element of ``x``, with ``N`` columns")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers from N - 1 down to 0, or up from 0 where ``increasing``, of each number; N is usually their count.

    It has a gradient for any N; torch has none where N is above 2.
    """
    if x.dim() != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    rows, columns = x.shape[0], x.shape[0] if N is None else N
    if columns < 0:
        raise RuntimeError("N must be non-negative.")
    ones = x.new_ones(rows, min(columns, 1), dtype=summed_dtype(x.array.dtype))
    powers = ones
    if columns > 1:
        powers = cat((ones, cumprod(expand(unsqueeze(x, 1), rows, columns - 1), 1)), 1)
    return powers if increasing else flip(powers, (1,))


def _exponential_gradient(g: mx.array, input: mx.array, result: mx.array, dim: int) -> mx.array:
    """The sum over i >= k of g[i] exp(x[k] - result[i])."""
    where = axis(input.ndim, dim)
    if not input.size or not input.ndim:
        return g
    finite = mx.where(mx.isinf(result), 0, result)  # infinity stays: what it passes on is 1, and not NaN
    steps = exponential(finite - _moved(finite, 1, where, mx.inf))
    return exponential(input - result) * _recurrence(steps, g, where)


def _log_of_sums(x: mx.array, axis: int) -> mx.array:
    """MLX's, which has the precision of float32 in float64: there in log2 of the size steps."""
    if x.dtype != mx.float64:
        return mx.logcumsumexp(x, axis=axis)
    by = 1
    while by < x.shape[axis]:
        x, by = log_of_two(x, _moved(x, -by, axis, -mx.inf)), 2 * by
    return x


def _check_floating(input: mx.array, *_: Any) -> None:
    floating_only("logcumsumexp_out_cpu", input.dtype, complex_too=True)


@op(grad={"input": _exponential_gradient}, promote="same", check=_check_floating)
def logcumsumexp(input: Operand, dim: int) -> mx.array:
    """The logarithms of the cumulative sums of exp(input) along ``dim``."""
    return _scanned(_log_of_sums, input, dim)


class CumulativeResult(NamedTuple):
    """What ``cummax`` and ``cummin`` return."""

    values: Tensor
    indices: Tensor


def scattered(g: mx.array, indices: mx.array, shape: Sequence[int], dim: int) -> mx.array:
    """g added up at the places along ``dim`` that ``indices`` names, zero elsewhere."""
    if not shape or not g.size:
        return g if not shape else mx.zeros(shape, g.dtype)
    where = axis(len(shape), dim)
    at: list[mx.array] = [
        mx.expand_dims(mx.arange(n), [a for a in range(len(shape)) if a != d]) for d, n in enumerate(indices.shape)
    ]
    at[where] = indices
    return mx.zeros(shape, g.dtype).at[tuple(at)].add(g)


def _extremes(fn: Any, input: mx.array, dim: int) -> CumulativeResult:
    """The values, and where the last element is that equals each; a NaN stays."""
    where = axis(input.ndim, dim)
    if not input.size or not input.ndim:
        return CumulativeResult(input, mx.zeros(input.shape, mx.int64))  # type: ignore[arg-type]
    values = fn(input, axis=where)
    n = input.shape[where]
    places = mx.reshape(mx.arange(n, dtype=mx.int64), (n,) + (1,) * (input.ndim - where - 1))
    found = (input == values) | mx.isnan(input)
    indices = mx.cummax(mx.where(found, places, 0), axis=where)
    return CumulativeResult(values, indices)  # type: ignore[arg-type]


_CHOSEN = {"input": lambda g, indices, input_shape, dim: scattered(g, indices, input_shape, dim)}


@op(grad=_CHOSEN)
def cummax(input: Array, dim: int) -> CumulativeResult:
    """The largest element up to each along ``dim``, and where the last such element is."""
    return _extremes(mx.cummax, input, dim)


@op(grad=_CHOSEN)
def cummin(input: Array, dim: int) -> CumulativeResult:
    """The smallest element up to each along ``dim``, and where the last such element is."""
    return _extremes(mx.cummin, input, dim)
