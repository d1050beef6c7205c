"""Uniform numbers, integers, permutations, and what is computed from one uniform number each.

Each function takes a stream and gives a flat array: the numbers in the order of the memory of the tensor they are for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ._rounding import (
    DIGITS,
    NUMPY,
    VECTOR_KERNELS,
    by_libm,
    fma64,
    log_of,
    rounded,
    scaled32,
    scaled64,
    settled,
    silent,
)
from ._stream import SMALL, Stream

#: How many numbers are made at a time, so that they stay in the cache of the processor.
_CHUNK = 1 << 14
#: The largest number below 1 that is drawn in float32.
_TOP = 1 - 2.0**-24
#: Bounds up to this size are no surprise for float32.
_HUGE = 1e30
#: Up to this many numbers are permuted one after another.
_FEW = 300
#: Up to this many numbers are permuted by a sort; of more, those of the first places by blocks.
_SORTED = 1 << 17
#: From this span on torch takes two words for an integer.
_LONG = 2**28


def _in_parts(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """``function`` of a stream, a count, other arguments and a dtype, of many numbers in parts."""

    @functools.wraps(function)
    def draw(stream: Stream, n: int, *args: Any) -> np.ndarray:
        if n <= _CHUNK:
            return function(stream, n, *args)
        out: np.ndarray = np.empty(n, NUMPY[args[-1]])
        for start in range(0, n, _CHUNK):
            part = out[start : start + _CHUNK]
            part[:] = function(stream, len(part), *args)
        return out

    return draw


def uniform(stream: Stream, n: int, low: float, high: float, dtype: mx.Dtype) -> np.ndarray:
    """From ``low`` up to ``high``, which is left out: a number that is rounded to ``high`` becomes ``low``.

    Complex numbers are two of them, the real part first. The array must not be changed.
    """
    if n <= SMALL and dtype == mx.float32:
        if low == 0 and high == 1:
            return stream.singles(n)
        if -_HUGE < low <= high < _HUGE:
            return _scaled(stream.singles(n), low, high, dtype)
    if dtype == mx.complex64:
        return _uniform(stream, 2 * n, low, high, mx.float32).view(np.complex64)
    return _uniform(stream, n, low, high, dtype)


@silent
@_in_parts
def _uniform(stream: Stream, n: int, low: float, high: float, dtype: mx.Dtype) -> np.ndarray:
    if dtype != mx.float64:
        return _scaled(stream.singles(n), low, high, dtype)
    out = scaled64(stream.doubles(n), high - low, low)
    out[out == high] = low
    return out


def _scaled(u: np.ndarray, low: float, high: float, dtype: mx.Dtype) -> np.ndarray:
    if low == 0 and high == 1 and dtype == mx.float32:
        return u  # none is 1
    first, last = np.float32(low), np.float32(high)
    span, start = float(last - first), float(first)
    out = scaled32(u, span, start)
    if dtype == mx.float32 and np.float32(span * _TOP + start) != last:
        return out  # not even the largest becomes the end
    out, end = rounded(out, dtype), rounded(last, dtype)
    out[out == end] = rounded(first, dtype)
    return out


@silent
def slopes(stream: Stream, n: int, low: float, high: float, dtype: mx.Dtype) -> np.ndarray:
    """From ``low`` up to ``high``, as ``rrelu`` draws: in float64, which torch for x86 has not fused there.

    In float64 for float64, else in float32.
    """
    work = np.float64 if dtype == mx.float64 else np.float32
    low, high = float(work(low)), float(work(high))
    u = stream.doubles(n)
    return (u * (high - low) + low if VECTOR_KERNELS else fma64(u, high - low, low)).astype(work)


def between(stream: Stream, n: int, low: int, span: int, dtype: mx.Dtype) -> np.ndarray:
    """Integers from ``low`` up to ``low + span``, which is left out."""
    if n <= SMALL and span < _LONG and dtype == mx.int64:
        out = (stream.words(n) % np.uint32(span)).astype(np.int64)
        return out + low if low else out
    return _between(stream, n, low, span, dtype)


@_in_parts
def _between(stream: Stream, n: int, low: int, span: int, dtype: mx.Dtype) -> np.ndarray:
    words = stream.long_words(n) if span >= _LONG else stream.words(n).astype(np.uint64)
    shift = np.uint64(low % 2**64)
    return rounded((words % np.uint64(span) + shift).view(np.int64), dtype)


@_in_parts
def any_long(stream: Stream, n: int, dtype: mx.Dtype) -> np.ndarray:
    """All integers of 64 bits with a sign."""
    return rounded(stream.long_words(n).view(np.int64), dtype)


@_in_parts
def any_of(stream: Stream, n: int, dtype: mx.Dtype) -> np.ndarray:
    """The integers from 0 to the largest that ``dtype`` has; in floats to the largest below which it has all."""
    if dtype in (mx.int64, mx.float64):
        return rounded(stream.long_words(n) % np.uint64(2**63 if dtype == mx.int64 else 2**53 + 1), dtype)
    words = stream.words(n)
    if dtype == mx.bool_:
        return (words & np.uint32(1)).astype(np.bool_)
    count = 2 ** DIGITS[dtype] + 1 if dtype in DIGITS else mx.iinfo(dtype).max + 1
    return rounded(words % np.uint32(count), dtype)


def permutation(stream: Stream, n: int, dtype: mx.Dtype) -> np.ndarray:
    """The integers below ``n`` in another order."""
    return rounded(_permuted(stream, n), dtype)


def _permuted(stream: Stream, n: int) -> np.ndarray:
    if n < (2**32 - 1) // 20:
        steps = max(n - 1, 0)
        at = np.arange(steps, dtype=np.uint32)
        other = stream.words(steps) % (np.uint32(n) - at) + at
        if n <= _FEW:
            return _swapped_in_turn(other)
        return _swapped(other) if n <= _SORTED else _swapped_in_blocks(other)
    made = np.zeros(n, np.int64)
    for start in range(0, n, 1 << 20):  # the other way round, in blocks, because there are so many
        count = np.arange(start + 1, min(start + (1 << 20), n) + 1, dtype=np.uint64)
        for i, j in enumerate((stream.long_words(count.size) % count).tolist(), start):
            made[i] = made[j]
            made[j] = i
    return made


def _swapped_in_turn(other: np.ndarray) -> np.ndarray:
    """The integers 0, 1, ... after the steps i = 0, 1, ..., each of which exchanges the places i and ``other[i]``."""
    out = list(range(len(other) + 1))
    for i, j in enumerate(other.tolist()):
        out[i], out[j] = out[j], out[i]
    return np.array(out, np.int64)


def _swapped_in_blocks(other: np.ndarray) -> np.ndarray:
    """The same for so many that they are not in the cache, where a step after another one is faster than a sort.

    The steps of a block that have both of their places for themselves are done at once, and then the others in turn.
    """
    n = len(other) + 1
    out = np.arange(n, dtype=np.int64)
    each = out.data
    last, shared = np.empty(n, np.int32), np.zeros(n, np.bool_)
    at = 0
    while n - at > _SORTED:
        size = int((n - at) ** (2 / 3))  # so that about one in ten shares a place
        steps, places = np.arange(at, at + size), other[at : at + size].astype(np.int64)
        number = np.arange(size, dtype=np.int32)
        last[places] = number  # of several steps with one place, the last one is kept
        twice = places[(last[places] != number) | (places < at + size)]
        shared[twice] = True
        in_turn = shared[places] | shared[steps]
        shared[twice] = False
        alone = np.flatnonzero(~in_turn)
        a, b = steps[alone], places[alone]
        out[a], out[b] = out[b], out[a]
        rest = np.flatnonzero(in_turn)
        for i, j in zip(steps[rest].tolist(), places[rest].tolist(), strict=True):
            each[i], each[j] = each[j], each[i]
        at += size
    out[at:] = out[at:][_swapped(other[at:] - np.uint32(at))]
    return out


def _swapped(other: np.ndarray) -> np.ndarray:
    """The same without a step after another, for places ``other[i]`` that are i or behind it.

    What step i moves out of the place i is what the last step before it has moved there, or i itself; what it moves in
    is what the last step before it has moved to ``other[i]``, or ``other[i]`` itself. So each step has a step before
    it from which its number comes, and these chains are followed for all steps at once, twice as far each time.
    """
    n = len(other) + 1
    places = np.append(other, np.uint32(n - 1))  # the last place stays where it is
    step = _sorted_steps(places)
    place = places[step]
    before = np.empty(n, np.int32)  # the last step before step i that has moved a number to places[i], or -1
    before[step[:1]] = -1
    before[step[1:]] = np.where(place[1:] == place[:-1], step[:-1], np.int32(-1))
    own = np.arange(n, dtype=np.int32)
    last = np.full(n, -1, np.int32)  # the last step before step i that has moved a number to i
    last[places] = own  # of several steps with one place, the last one is kept
    last = np.where(last == own, before, last)
    origin = np.where(last < 0, own, last)
    while True:
        further = origin[origin]
        if np.array_equal(further, origin):
            break
        origin = further
    return np.where(before < 0, places, origin[before]).astype(np.int64)


def _sorted_steps(places: np.ndarray) -> np.ndarray:
    """The steps by their places, and those of one place in their order. NumPy sorts 16 bits at a time the fastest."""
    low = (places & np.uint32(0xFFFF)).astype(np.uint16).argsort(kind="stable").astype(np.int32)
    if len(places) <= 1 << 16:
        return low
    high = (places >> np.uint32(16)).astype(np.uint16)
    steps: np.ndarray = low[high[low].argsort(kind="stable")]
    return steps


def bernoulli(stream: Stream, n: int, p: float, dtype: mx.Dtype) -> np.ndarray:
    """1 with probability ``p``, else 0: a uniform number of 53 bits is less, which integers tell faster."""
    if 2 * n <= SMALL:
        return _below(stream.low_bits(n), p, dtype)
    return _bernoulli(stream, n, p, dtype)


@_in_parts
def _bernoulli(stream: Stream, n: int, p: float, dtype: mx.Dtype) -> np.ndarray:
    return _below(stream.low_bits(n), p, dtype)


def _below(bits: np.ndarray, p: float, dtype: mx.Dtype) -> np.ndarray:
    return (bits < np.uint64(math.ceil(p * 2**53))).astype(NUMPY[dtype], copy=False)


def bernoulli_each(stream: Stream, n: int, p: np.ndarray, dtype: mx.Dtype) -> np.ndarray:
    """The same with ``n`` probabilities, in float64 or float32."""
    return rounded((stream.doubles(n) if p.dtype == np.float64 else stream.singles(n)) < p, dtype)


@silent
@_in_parts
def exponential(stream: Stream, n: int, rate: float, dtype: mx.Dtype) -> np.ndarray:
    """-log(1 - u) / rate."""
    u = stream.doubles(n)
    scale = -1.0 / rate
    if dtype == mx.float64:
        return scale * by_libm(math.log1p, -u)
    near = np.log1p(-u)
    return settled(near, lambda at: by_libm(math.log1p, -u[at]).tolist(), lambda x: rounded(scale * x, dtype))


@silent
@_in_parts
def geometric(stream: Stream, n: int, p: float, dtype: mx.Dtype) -> np.ndarray:
    """How many trials it takes, with probability ``p``: log(u) / log(1 - p), rounded up."""
    u = stream.doubles(n)
    each = math.log1p(-p)
    near = np.log(u)
    return settled(near, lambda at: by_libm(log_of, u[at]).tolist(), lambda x: rounded(np.ceil(x / each), dtype))


@silent
@_in_parts
def cauchy(stream: Stream, n: int, median: float, sigma: float, dtype: mx.Dtype) -> np.ndarray:
    """median + sigma * tan(pi * (u - 1/2))."""
    angle = math.pi * (stream.doubles(n) - 0.5)
    if dtype == mx.float64:
        return scaled64(by_libm(math.tan, angle), sigma, median)
    return settled(
        np.tan(angle),
        lambda at: by_libm(math.tan, angle[at]).tolist(),
        lambda x: rounded(scaled64(x, sigma, median), dtype),
    )
