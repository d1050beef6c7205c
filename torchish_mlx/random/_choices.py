"""Numbers that take a number of words which is not known before: Poisson's. And choices among given scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import mlx.core as mx
import numpy as np

from ._draws import exponential
from ._rounding import rounded
from ._stream import Stream


def poisson(stream: Stream, n: int, rates: np.ndarray, dtype: mx.Dtype) -> np.ndarray:
    """A number for each of ``n`` rates, one after another, which is a loop in Python."""
    before = stream.copy()
    used = 0

    def ahead() -> Iterator[float]:
        """Uniforms, more of them at a time than were asked for; the stream is put back when it is known how many."""
        nonlocal used
        size = 64
        while True:
            for u in stream.doubles(size).tolist():
                used += 1
                yield u
            size = min(2 * size, 1 << 16)

    draw = ahead().__next__
    out = np.fromiter((_poisson(rate, draw) for rate in rates.tolist()), np.float64, n)
    stream.restore(before)
    stream.doubles(used)
    return rounded(out, dtype)


def _poisson(rate: float, draw: Callable[[], float]) -> float:
    if rate == 0:
        return 0.0
    if rate < 10:
        limit, count, product = math.exp(-rate), 0, draw()
        while product > limit:
            count += 1
            product *= draw()
        return float(count)
    # W. Hoermann, The transformed rejection method for generating Poisson random variables, 1993
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse, accepted = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = draw() - 0.5, draw()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
        if us >= 0.07 and v <= accepted:
            return float(k)
        if k < 0 or (us < 0.013 and v > us):
            continue
        left = (math.log(v) if v else -math.inf) + math.log(inverse) - math.log(a / (us * us) + b)
        if left <= -rate + k * math.log(rate) - math.lgamma(k + 1):
            return float(k)


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
