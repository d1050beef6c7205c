"""Poisson's numbers, which take a number of words that is not known before: each begins where another one ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ._rounding import rounded, silent
from ._stream import Stream

#: How many uniforms more than are needed on average are looked at ahead at first; twice as many each time.
_FIRST = 16
#: From this many numbers of one rate on they are made at once: of a rate from 10 on, and of a smaller one.
_SEVERAL, _MANY = 32, 1000
#: Of so many places after another, 2 to the power of this, only the first one is found in turn.
_DOUBLINGS = 4
#: Two numbers that are nearer than this, relative to their size, may be in the other order by the libm's logarithm.
_NEAR = 1e-12


@silent
def poisson(stream: Stream, n: int, rates: np.ndarray, dtype: mx.Dtype) -> np.ndarray:
    """A number for each of ``n`` rates."""
    rate = float(rates[0])
    if n >= (_SEVERAL if 10 <= rate < 2**52 else _MANY if 0 < rate < 10 else math.inf) and (rates == rate).all():
        made = _of_one_rate(stream, n, rate)
    else:
        made = np.array(_in_turn(stream, rates.tolist()), np.float64)
    return rounded(made, dtype)


def _in_turn(stream: Stream, rates: list[float]) -> list[int]:
    """A number for each rate, in a loop in Python."""
    uniforms: list[float] = []
    ahead: list[float] = []  # the last of them, which are not used up yet
    at, size = 0, int(min(sum(rates), 4 * len(rates))) + len(rates) + _FIRST
    out: list[int] = []
    last = limit = math.nan
    count: Count | None = None
    for rate in rates:
        if rate != last:
            last, limit = rate, math.exp(-rate)
            count = _rejecting(rate) if rate >= 10 else None if rate else _nothing
        while True:
            try:
                if count is not None:
                    number, at = count(uniforms, at)
                else:  # how often uniforms are multiplied above e^-rate
                    end, product = at, uniforms[at]
                    while product > limit:
                        end += 1
                        product *= uniforms[end]
                    number, at = end - at, end + 1
                break
            except IndexError:  # not enough of them: the number is begun again with more
                stream.use(len(ahead))
                ahead = stream.next_doubles(size).tolist()
                uniforms = uniforms[at:] + ahead
                at, size = 0, 2 * size
        out.append(number)
    stream.use(at - (len(uniforms) - len(ahead)))
    return out


#: Gives a number, of uniforms from a place on, and the place behind those that it took.
Count = Callable[[list[float], int], tuple[int, int]]


def _nothing(uniforms: list[float], at: int) -> tuple[int, int]:  # noqa: ARG001 - it takes none
    return 0, at


def _constants(rate: float) -> tuple[float, float, float, float, float]:
    """a, b, the bound below which all are accepted, the logarithm of 1 / alpha, and that of the rate."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    return a, b, 0.9277 - 3.6224 / (b - 2), math.log(1.1239 + 1.1328 / (b - 3.4)), math.log(rate)


def _rejecting(rate: float) -> Count:
    """W. Hoermann, The transformed rejection method for generating Poisson random variables, 1993."""
    a, b, accepted, inverse, each = _constants(rate)
    shift = rate + 0.43
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


def _of_one_rate(stream: Stream, n: int, rate: float) -> np.ndarray:
    """``n`` numbers of one rate: what a number that begins at a place would be is known for all places at once."""
    out = np.empty(n)
    made = 0
    mean = 2.5 if rate >= 10 else rate + 1.5  # a little more uniforms than a number takes
    look: Any = _trials(rate) if rate >= 10 else _products(rate)
    while made < n:
        numbers, taken = look(stream.next_doubles(int((n - made) * mean) + 16), n - made)
        if not taken:  # too few of them
            numbers = _in_turn(stream, [rate])
        stream.use(taken)
        out[made : made + len(numbers)] = numbers
        made += len(numbers)
    return out


def _products(rate: float) -> Callable[[np.ndarray, int], tuple[Any, int]]:
    """For small rates: up to a number of numbers that some uniforms give, and how many of the uniforms they take."""
    limit = math.exp(-rate)

    def look(u: np.ndarray, most: int) -> tuple[np.ndarray, int]:
        n = len(u)
        counts = np.zeros(n + 1, np.int64)  # how often uniforms are multiplied above e^-rate, from each place on
        products, end = u.copy(), n  # from this place on the uniforms are too few
        for step in range(1, n + 1):
            above = products > limit
            if not above.any():
                break
            counts[:n] += above
            if above[n - step]:
                end = n - step
            products[n - step :] = 0
            products[: n - step] *= u[step:]
        places = _jumped(np.minimum(np.arange(n + 1) + counts + 1, end), end)[:most]
        numbers = counts[places]
        return numbers, int(places[-1] + numbers[-1] + 1) if len(places) else 0

    return look


def _jumped(following: np.ndarray, end: int) -> np.ndarray:
    """The places 0, following[0], following[following[0]] and so on, as far as they are before ``end``."""
    steps = following
    for _ in range(_DOUBLINGS):
        steps = steps[steps]
    at, first = 0, list[int]()
    while at < end:
        first.append(at)
        at = int(steps[at])
    rows = [np.array(first, np.int64)]
    for _ in range(2**_DOUBLINGS - 1):
        rows.append(following[rows[-1]])
    places = np.stack(rows, 1).ravel()
    return places[: np.searchsorted(places, end)]


def _trials(rate: float) -> Callable[[np.ndarray, int], tuple[Any, int]]:
    """The same for large rates: two uniforms are a trial, which gives a number or is rejected."""
    a, b, accepted, inverse, each = _constants(rate)
    shift = rate + 0.43
    count = _rejecting(rate)

    def look(uniforms: np.ndarray, most: int) -> tuple[np.ndarray, int]:
        trials = len(uniforms) // 2
        u, v = uniforms[: 2 * trials].reshape(-1, 2).T
        u = u - 0.5
        us = 0.5 - np.abs(u)
        k = np.floor((2 * a / us + b) * u + shift)
        takes = (us >= 0.07) & (v <= accepted)
        at = np.flatnonzero(~takes & (us > 0) & (k >= 0) & ((us >= 0.013) | (v <= us)))
        left = np.log(v[at]) + inverse - np.log(a / (us[at] * us[at]) + b)
        right = -rate + k[at] * each - _log_factorials(k[at])
        takes[at] = left <= right
        for i in at[~(np.abs(left - right) > _NEAR * (rate + np.abs(right) + k[at] * each))].tolist():
            pair = uniforms[2 * i : 2 * i + 2].tolist()
            try:
                count(pair, 0)
                takes[i] = True
            except IndexError:  # it asked for another trial
                takes[i] = False
        found = np.flatnonzero(takes)[:most]
        taken = 2 * int(found[-1] + 1 if len(found) == most else trials)
        return k[found], taken

    return look


def _log_factorials(k: np.ndarray) -> np.ndarray:
    """The logarithm of k! by the libm, of which NumPy has none."""
    if not len(k):
        return k
    first, last = int(k.min()), int(k.max())
    if last - first > len(k):
        return np.array([math.lgamma(x + 1) for x in k.tolist()])
    table = np.array([math.lgamma(x + 1) for x in range(first, last + 1)])
    found: np.ndarray = table[k.astype(np.int64) - first]
    return found
