"""Numbers that take a number of words which is not known before: Poisson's. And choices among given scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ._draws import exponential
from ._rounding import rounded, silent
from ._stream import Stream

#: How many uniforms are looked at ahead at first; twice as many each time.
_FIRST = 64


@silent
def poisson(stream: Stream, n: int, rates: np.ndarray, dtype: mx.Dtype) -> np.ndarray:  # noqa: ARG001
    """A number for each of ``n`` rates. Each begins where the one before it has ended: this is a loop in Python."""
    uniforms: list[float] = []
    ahead: list[float] = []  # the last of them, which are not used up yet
    at, size = 0, _FIRST
    out: list[float] = []
    last: float = math.nan
    count: Any = _nothing
    for rate in rates.tolist():
        if rate != last:
            last, count = rate, _counting(rate)
        while True:
            try:
                number, at = count(uniforms, at)
                break
            except IndexError:  # not enough of them: the number is begun again with more
                stream.use(len(ahead))
                ahead = stream.next_doubles(size).tolist()
                uniforms = uniforms[at:] + ahead
                at, size = 0, 2 * size
        out.append(number)
    stream.use(at - (len(uniforms) - len(ahead)))
    return rounded(np.array(out, np.float64), dtype)


#: Gives a number, of uniforms from a place on, and the place behind those that it took.
Count = Callable[[list[float], int], tuple[int, int]]


def _nothing(uniforms: list[float], at: int) -> tuple[int, int]:  # noqa: ARG001 - it takes none
    return 0, at


def _counting(rate: float) -> Count:
    """What counts with this rate: how often uniforms are multiplied above e^-rate, or by rejection from 10 on."""
    if rate == 0:
        return _nothing
    if rate >= 10:
        return _rejecting(rate)
    limit = math.exp(-rate)

    def count(uniforms: list[float], at: int) -> tuple[int, int]:
        first, product = at, uniforms[at]
        while product > limit:
            at += 1
            product *= uniforms[at]
        return at - first, at + 1

    return count


def _rejecting(rate: float) -> Count:
    """W. Hoermann, The transformed rejection method for generating Poisson random variables, 1993."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    accepted, shift = 0.9277 - 3.6224 / (b - 2), rate + 0.43
    inverse, each = math.log(1.1239 + 1.1328 / (b - 3.4)), math.log(rate)
    floor, log, lgamma = math.floor, math.log, math.lgamma

    def count(uniforms: list[float], at: int) -> tuple[int, int]:
        while True:
            u, v = uniforms[at] - 0.5, uniforms[at + 1]
            at += 2
            us = 0.5 - abs(u)
            k = floor((2 * a / us + b) * u + shift) if us else -1
            if us >= 0.07 and v <= accepted:
                return k, at
            if k < 0 or (us < 0.013 and v > us):
                continue
            left = (log(v) if v else -math.inf) + inverse - log(a / (us * us) + b)
            if left <= -rate + k * each - lgamma(k + 1):
                return k, at

    return count


@silent
def multinomial(stream: Stream, scores: np.ndarray, samples: int, replacement: bool, dtype: mx.Dtype) -> np.ndarray:
    """Places in each row of ``scores``, drawn in proportion to them; scores of halves are in float32.

    Without replacement, and for one sample, a score is divided by an exponential number: the largest quotients are
    chosen. Of equal quotients the first one is, where torch's sort may choose another.
    """
    if not replacement or samples == 1:
        divisors = exponential(stream, scores.size, 1.0, dtype).reshape(scores.shape)
        quotients = rounded(scores / divisors.astype(scores.dtype), dtype)
        if samples == 1:
            return quotients.argmax(-1)[:, None]
        return np.argsort(-quotients.astype(scores.dtype), -1, kind="stable")[:, :samples]
    out = np.empty((len(scores), samples), np.int64)
    for row, chosen in zip(scores, out, strict=True):
        sums = np.cumsum(row, dtype=row.dtype)
        sums /= sums[-1]
        sums[-1] = 1
        chosen[:] = np.searchsorted(sums.astype(np.float64), stream.doubles(samples), side="left")
    return out
