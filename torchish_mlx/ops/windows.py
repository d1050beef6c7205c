"""Windows over (n, *sizes, c), and the largest or the mean of each: what the functions of ``pooling`` are made of.

A gradient goes to the element that was chosen, or to all of the window, and windows may overlap.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .._core.promotion import INEXACT, cast, widened
from ._declare import op
from ._op import Array


class Windows(NamedTuple):
    """The windows along each of the sizes.

    Attributes:
        kernel, stride, padding, dilation: a number for each of the sizes.
        counts: how many windows there are along each.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    counts: tuple[int, ...]


def _grown(x: mx.array, w: Windows, value: Any) -> mx.array:
    """``x`` with ``value`` around it, as far as the windows reach, and without what none reaches."""
    key, around = [slice(None)], [(0, 0)]
    for n, k, s, p, d, count in zip(x.shape[1:-1], *w, strict=True):
        end = (count - 1) * s + d * (k - 1) + 1 - p
        around.append((p, max(0, end - n)))
        key.append(slice(0, min(end, n)))
    x = x[tuple(key)] if any(k.stop is not None and k.stop < n for k, n in zip(key, x.shape, strict=False)) else x
    return mx.pad(x, [*around, (0, 0)], constant_values=mx.array(value, x.dtype)) if any(map(any, around)) else x


def windows_in(x: mx.array, w: Windows, value: Any) -> mx.array:
    """The windows of (n, *sizes, c) as (n, count, kernel, count, kernel, ..., c)."""
    x = _grown(x, w, value)
    shape = [x.shape[0], *itertools.chain(*zip(w.counts, w.kernel, strict=True)), x.shape[-1]]
    if (w.kernel == w.stride and set(w.dilation) == {1}) or not x.size:
        return mx.reshape(x, shape)
    steps = [math.prod(x.shape[i + 1 :]) for i in range(x.ndim)]
    along = [(step * s, step * d) for step, s, d in zip(steps[1:-1], w.stride, w.dilation, strict=True)]
    shown = mx.as_strided(mx.contiguous(x), shape, [steps[0], *itertools.chain(*along), 1])
    # MLX 0.32.4 reduces windows that overlap and have gaps between their elements wrongly: it writes outside of memory.
    return shown if set(w.dilation) == {1} else mx.contiguous(shown)


def _spread(g: mx.array, sizes: Sequence[int], w: Windows) -> mx.array:
    """The same gradient for each element of a window, added up where windows overlap; the adjoint of a sum."""
    rows = zip(sizes, *w, strict=True)
    reach = [max((count - 1) * s + d * (k - 1) + 1, p + size) for size, k, s, p, d, count in rows]
    if w.kernel == w.stride and set(w.dilation) == {1}:
        one = mx.reshape(g, (g.shape[0], *itertools.chain(*[(c, 1) for c in w.counts]), g.shape[-1]))
        each = (g.shape[0], *itertools.chain(*zip(w.counts, w.kernel, strict=True)), g.shape[-1])
        ends = [c * k for c, k in zip(w.counts, w.kernel, strict=True)]
        g = mx.reshape(mx.broadcast_to(one, each), (g.shape[0], *ends, g.shape[-1]))
        if ends != reach:
            g = mx.pad(g, [(0, 0), *[(0, r - e) for r, e in zip(reach, ends, strict=True)], (0, 0)])
    else:
        for axis, (k, s, _, d, count) in enumerate(zip(*w, strict=True), start=1):
            grown = mx.zeros((*g.shape[:axis], reach[axis - 1], *g.shape[axis + 1 :]), g.dtype)
            for place in range(k):
                key = (slice(None),) * axis + (slice(place * d, place * d + s * (count - 1) + 1, s),)
                grown = grown.at[key].add(g)
            g = grown
    within = (slice(None), *[slice(p, p + size) for p, size in zip(w.padding, sizes, strict=True)])
    return g if g.shape[1:-1] == tuple(sizes) else g[within]


def spread_places(parts: mx.array, sizes: Sequence[int], w: Windows) -> mx.array:
    """(n, *kernel, *counts, c), a part for each place of a window, as (n, *sizes, c); the adjoint of ``windows_in``."""
    each = list(zip(sizes, *w, strict=True))
    ends = [max((count - 1) * s + d * (k - 1) + 1, p + size) for size, k, s, p, d, count in each]
    grown = mx.zeros((parts.shape[0], *ends, parts.shape[-1]), parts.dtype)
    for place in itertools.product(*map(range, w.kernel)):
        starts = [at * d for at, d in zip(place, w.dilation, strict=True)]
        rows = zip(starts, w.stride, w.counts, strict=True)
        key = (slice(None), *[slice(a, a + s * (count - 1) + 1, s) for a, s, count in rows])
        here = (slice(None), *place)
        grown = grown.at[key].add(parts[here])
    within = (slice(None), *[slice(p, p + size) for size, _, _, p, _, _ in each])
    return grown[within]


# The largest ----------------------------------------------------------------------------------------------------------


class MaxPooled(NamedTuple):
    """The largest element of each window, and where it is among all the elements of its channel."""

    values: Any
    indices: Any


def _to_chosen(g: mx.array, indices: mx.array, input_shape: Sequence[int], apart: Sequence[int]) -> mx.array:
    """``g`` at the places that were chosen. ``apart`` windows further on along each size, none overlaps the first."""
    n, c = input_shape[0], input_shape[-1]
    total = mx.zeros((n, math.prod(input_shape[1:-1]), c), g.dtype)
    if not g.size:
        return mx.reshape(total, input_shape)
    empty = total
    for first in itertools.product(*map(range, apart)):
        key = (slice(None), *[slice(f, None, a) for f, a in zip(first, apart, strict=True)])
        part = g[key]
        if part.size:
            put = _put(empty, indices[key], part)
            total = put if total is empty else total + put
    return mx.reshape(total, input_shape)


def _put(zeros: mx.array, indices: mx.array, values: mx.array) -> mx.array:
    """``values`` (n, *counts, c) in ``zeros`` (n, places, c), at ``indices`` of the same shape."""
    n, _, c = zeros.shape
    flat = (n, values.size // (n * c), c)
    return mx.put_along_axis(zeros, mx.reshape(indices, flat), mx.reshape(values, flat), axis=1)


def _lowest(dtype: mx.Dtype) -> Any:
    return -math.inf if dtype in INEXACT else mx.iinfo(dtype).min


@op(
    grad={
        "input": lambda g, indices, input_shape, windows: _to_chosen(
            g,
            indices,
            input_shape,
            [
                -(-(d * (k - 1) + 1) // s)
                for k, s, d in zip(windows.kernel, windows.stride, windows.dilation, strict=True)
            ],
        )
    },
    channels="last",
    name="pool.max",
    function=False,
    method=False,
)
def max_pooled(input: Array, windows: Any) -> MaxPooled:
    """The largest of each window; ``windows`` are ``Windows``."""
    shown = windows_in(input, windows, _lowest(input.dtype))
    if not shown.size:
        return _nothing(input, windows.counts)
    return _first_of_the_largest(shown, *_flat_places(tuple(input.shape[1:-1]), windows))


def _nothing(input: mx.array, counts: Sequence[int]) -> MaxPooled:
    empty = mx.zeros((input.shape[0], *counts, input.shape[-1]), input.dtype)
    return MaxPooled(empty, empty.astype(mx.int64))


def _first_of_the_largest(shown: mx.array, starts: mx.array, ranks: mx.array, inside: mx.array | None) -> MaxPooled:
    """The largest of each window, and where the first such element is, by what ``_flat_places`` gives."""
    within = list(range(2, shown.ndim - 1, 2))
    values = mx.max(shown, axis=within, keepdims=True)
    chosen = (shown == values) | (shown != shown)  # NaN is the largest, as in torch
    if inside is not None:
        chosen = chosen & inside
    return MaxPooled(mx.squeeze(values, within), starts - mx.max(chosen * ranks, axis=within))


@functools.lru_cache(1024)
def _flat_places(sizes: tuple[int, ...], w: Windows) -> tuple[mx.array, mx.array, mx.array | None]:
    """Where elements are among all of a channel: the first number less the second one; and which are no padding.

    The first is of windows, the second of the elements in a window, of which the first element has the largest. The
    last two are in the shape of ``windows_in``; the last is None without padding.
    """
    n = len(sizes)
    starts, offsets, inside = np.zeros((), np.int64), np.zeros((), np.int64), np.ones((), bool)
    for axis, (size, k, s, p, d, count) in enumerate(zip(sizes, *w, strict=True)):
        start, offset = np.arange(count) * s - p, np.arange(k) * d
        starts = starts * size + start.reshape((count, *[1] * (n - axis)))
        offsets = offsets * size + offset.reshape((k, *[1] * (2 * (n - axis) - 1)))
        at = start[:, None] + offset
        valid = (at >= 0) & (at < size)
        inside = inside & valid.reshape((count, k, *[1] * (2 * (n - axis) - 1)))
    last = int(offsets.max()) + 1
    shown = None if inside.all() else mx.array(inside)
    return mx.array(starts + last), mx.array((last - offsets).astype(np.int32)), shown


def _bounds(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the windows of an adaptive pool begin and end."""
    i = np.arange(count)
    return i * size // count, -(-(i + 1) * size // count)


def _scattered(g: mx.array, indices: mx.array, input_shape: Sequence[int]) -> mx.array:
    n, c = input_shape[0], input_shape[-1]
    total = mx.zeros((n, math.prod(input_shape[1:-1]), c), g.dtype)
    if g.size:
        flat = (n, g.size // (n * c), c)
        where = (mx.arange(n)[:, None, None], mx.reshape(indices, flat).astype(mx.int32), mx.arange(c))
        total = total.at[where].add(mx.reshape(g, flat))
    return mx.reshape(total, input_shape)


@op(
    grad={"input": lambda g, indices, input_shape: _scattered(g, indices, input_shape)},
    channels="last",
    name="pool.adaptive_max",
    function=False,
    method=False,
)
def adaptive_max_pooled(input: Array, counts: Any) -> MaxPooled:
    """The largest of each of ``counts`` windows, which begin at i * size // count and together are everything."""
    if not all(counts) or not input.size:
        return _nothing(input, counts)
    sizes, shown, flat = input.shape[1:-1], input, np.zeros((), np.int64)
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        starts, ends = _bounds(size, count)
        at = np.minimum(starts[:, None] + np.arange((ends - starts).max()), ends[:, None] - 1)  # the last, again
        shown = mx.take(shown, mx.array(at.astype(np.int32)), axis=2 * axis + 1)
        flat = flat * size + at.reshape((*at.shape, *[1] * (2 * (len(counts) - axis) - 1)))
    last = math.prod(sizes)
    return _first_of_the_largest(shown, mx.array(last), mx.array(last - flat), None)


# The mean -------------------------------------------------------------------------------------------------------------


def _divisors(sizes: Sequence[int], w: Windows, count_include_pad: bool, override: int | None) -> Any:
    """What each sum is divided by: a number, or an array that broadcasts over the windows."""
    if override is not None:
        return override
    by = _counted(tuple(sizes), w, count_include_pad)
    return mx.array(by) if isinstance(by, np.ndarray) else by


@functools.lru_cache(256)
def _counted(sizes: tuple[int, ...], w: Windows, count_include_pad: bool) -> Any:
    """How many elements there are in each window: a number where it is the same for all of them."""
    total, same = np.ones((), np.float32), True
    for axis, (n, k, s, p, _, count) in enumerate(zip(sizes, *w, strict=True)):
        start = np.arange(count) * s - p
        end = np.minimum(start + k, n + p)
        each = (end - start) if count_include_pad else np.minimum(end, n) - np.maximum(start, 0)
        same = same and bool((each == each[:1]).all())
        total = total * each.reshape((count, *[1] * (len(sizes) - axis))).astype(np.float32)
    return float(total.flat[0]) if same and total.size else total


def _divided(x: mx.array, by: Any) -> mx.array:
    if x.dtype in INEXACT:
        return x / (by if not isinstance(by, mx.array) else by.astype(x.dtype))
    by = mx.array(by).astype(x.dtype)  # towards zero, as torch divides integers
    return mx.sign(x) * mx.sign(by) * (mx.abs(x) // mx.abs(by))


@op(
    grad={
        "input": lambda g, input_shape, windows, count_include_pad, divisor_override: cast(
            _spread(
                _divided(widened(g), _divisors(input_shape[1:-1], windows, count_include_pad, divisor_override)),
                input_shape[1:-1],
                windows,
            ),
            g.dtype,
        )
    },
    channels="last",
    name="pool.mean",
    function=False,
    method=False,
)
def mean_pooled(input: Array, windows: Any, count_include_pad: bool, divisor_override: int | None) -> mx.array:
    """The mean of each window; ``windows`` are ``Windows``."""
    shown = windows_in(widened(input), windows, 0)
    if not shown.size:
        return mx.zeros((input.shape[0], *windows.counts, input.shape[-1]), input.dtype)
    total = mx.sum(shown, axis=list(range(2, shown.ndim - 1, 2)))
    by = _divisors(input.shape[1:-1], windows, count_include_pad, divisor_override)
    return cast(_divided(total, by), input.dtype)


def _averaging(size: int, count: int, dtype: mx.Dtype) -> mx.array:
    """The matrix (count, size) that takes the mean of each window of an adaptive pool."""
    starts, ends = _bounds(size, count)
    place = np.arange(size)
    inside = (place >= starts[:, None]) & (place < ends[:, None])
    return mx.array(inside / (ends - starts)[:, None], dtype)


def along_each(x: mx.array, matrices: Sequence[mx.array]) -> mx.array:
    """``x`` (n, *sizes, c) multiplied by a matrix along each of the sizes."""
    for axis, matrix in enumerate(matrices, start=1):
        x = mx.moveaxis(mx.matmul(matrix, mx.moveaxis(x, axis, -2)), -2, axis)
    return x


def _adaptive_mean_gradient(g: mx.array, input_shape: Sequence[int], counts: Any) -> mx.array:
    wide = widened(g)
    if not g.size:
        return mx.zeros(input_shape, g.dtype)
    each = zip(input_shape[1:-1], counts, strict=True)
    return cast(along_each(wide, [mx.transpose(_averaging(n, count, wide.dtype)) for n, count in each]), g.dtype)


@op(
    grad={"input": _adaptive_mean_gradient},
    channels="last",
    name="pool.adaptive_mean",
    function=False,
    method=False,
)
def adaptive_mean_pooled(input: Array, counts: Any) -> mx.array:
    """The mean of each of ``counts`` windows, which begin at i * size // count and together are everything."""
    x = widened(input)
    if not all(counts) or not input.size:
        return mx.zeros((input.shape[0], *counts, input.shape[-1]), input.dtype)
    each = zip(input.shape[1:-1], counts, strict=True)
    return cast(along_each(x, [_averaging(n, count, x.dtype) for n, count in each]), input.dtype)


# Back from the largest ------------------------------------------------------------------------------------------------


@op(
    grad={"input": lambda g, indices: _picked(g, indices)},
    channels="last",
    name="pool.unmax",
    node=lambda _, *known: f"MaxUnpool{len(known[2])}DBackward0",
    function=False,
    method=False,
)
def max_unpooled(input: Array, indices: Array, sizes: Any) -> mx.array:
    """Zeros (n, *sizes, c) with each element of ``input`` at its place; ``indices`` are in torch's order."""
    n, c = input.shape[0], input.shape[-1]
    total = mx.zeros((n, math.prod(sizes), c), input.dtype)
    if input.size and total.size:
        total = _put(total, mx.moveaxis(indices, 1, -1), input)
    return mx.reshape(total, (n, *sizes, c))


def _picked(g: mx.array, indices: mx.array) -> mx.array:
    """The elements of (n, *sizes, c) at ``indices`` (n, c, *counts), as (n, *counts, c)."""
    n, c = indices.shape[:2]
    where = mx.moveaxis(indices, 1, -1)
    if not where.size:
        return mx.zeros(where.shape, g.dtype)
    flat = mx.reshape(where, (n, where.size // (n * c), c))
    return mx.reshape(mx.take_along_axis(mx.reshape(g, (n, g.size // (n * c), c)), flat, axis=1), where.shape)
