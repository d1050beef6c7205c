"""What schedules are made of: functions of a whole number in float32, right to a few units of the last place.

Whole numbers are subtracted and divided as whole numbers, and constants are taken in double, on the Python side: Metal
has no float64. So no difference of floats loses digits, and the error of ``gamma ** n`` does not grow with ``n``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .._hyper import as_array, as_number
from ._checks import check_strategy

#: A step, a whole number >= 0, to a value in float32 (elementwise, if it is an array of steps).
Schedule = Callable[[Any], mx.array]
DIGIT = 12  # bits of a table of powers; three tables reach to 2**36


def whole(step: Any) -> mx.array:
    """The step as an int64 array, from a Python int or an integer array of any dtype.

    A step below 0 counts as 0: ``mlx.optimizers.join_schedules`` also asks a schedule for steps before it begins, and
    throws the answer away.
    """
    array = as_array(step)
    if array is None:
        try:
            array = mx.array(operator.index(step), mx.int64)
        except TypeError:
            raise TypeError(f"a schedule takes a step, an int or an array of integers, but got {step!r}") from None
    elif not mx.issubdtype(array.dtype, mx.integer):
        raise TypeError(f"a schedule takes a step, an int or an array of integers, but got an array of {array.dtype}")
    return mx.maximum(array.astype(mx.int64), 0)


def single(values: Any) -> mx.array:
    """A float32 array: of whole numbers (exact up to 2**24), or of constants."""
    if isinstance(values, mx.array):
        return values.astype(mx.float32)
    with np.errstate(over="ignore", under="ignore"):
        return mx.array(np.asarray(values, np.float64).astype(np.float32))


def number(name: str, value: Any) -> float:
    """A Python float, from a number or a one-element tensor."""
    try:
        return float(as_number(name, value) + 0.0)  # + refuses a str
    except TypeError:
        raise TypeError(f"{name} must be a number, but got {value!r}") from None


def count(name: str, value: Any, least: int = 0) -> int:
    """A whole number, at least ``least``; 5.0 is one too."""
    given = number(name, value)
    if not given.is_integer() or given < least:
        raise ValueError(f"{name} expected to be a whole number, {least} or more, but got {value}")
    return int(value)


def powers(base: float, scale: float = 1.0) -> Callable[[mx.array], mx.array]:
    """``n -> scale * base ** n`` for whole ``n`` from 0 to 2**36, from three tables, one for each digit of ``n``.

    float32(0.999) is 1.3e-8 off, and its 10,000th power 1.3e-4; ``exp(n * log(base))`` is as bad. The product of three
    rounded entries is 3e-7 off at most, whatever ``n`` is.
    """
    digits = np.arange(2**DIGIT)
    with np.errstate(all="ignore"):
        exact = [np.power(np.float64(base), np.float64(1 << k * DIGIT) * digits) for k in range(3)]
    exact[0] = exact[0] * scale
    tables = [single(table) for table in exact]
    limit = mx.array(2 ** (3 * DIGIT) - 1, mx.int64)

    def power(n: mx.array) -> mx.array:
        n = mx.minimum(n.astype(mx.int64), limit)
        out = mx.take(tables[0], n & (2**DIGIT - 1))
        for k in (1, 2):
            out = out * mx.take(tables[k], (n >> k * DIGIT) & (2**DIGIT - 1))
        return out

    return power


def power_of_ratio(total: int, exponent: float, scale: float = 1.0) -> Callable[[mx.array], mx.array]:
    """``k -> scale * (k / total) ** exponent`` for whole ``k`` from 0 to ``total``.

    ``k`` times a power of two is exact, where ``k / total`` would be rounded, and its error multiplied by the exponent.
    The part of the exponent that float32 loses is corrected for.
    """
    shift = max(total, 1).bit_length() - 1
    unit, high = math.ldexp(1.0, -shift), float(np.float32(exponent))
    factor = scale * (math.ldexp(1.0, shift) / max(total, 1)) ** exponent

    def power(k: mx.array) -> mx.array:
        ratio = single(k) * unit
        out = factor * mx.power(ratio, high)
        if exponent != high:
            out = out * (1 + (exponent - high) * mx.log(mx.maximum(ratio, unit)))
        return out

    return power


def hump(distance: mx.array, length: Any) -> mx.array:
    """``sin(pi/2 * distance / length) ** 2 = (1 - cos(pi * distance / length)) / 2``, right also where it is near 0.

    ``distance`` is that to the nearest zero, so the angle is at most pi/2; an array ``length`` holds pi/2 / length.
    """
    sine = mx.sin(single(distance) * (length if isinstance(length, mx.array) else math.pi / 2 / length))
    return sine * sine


def anneal(strategy: str) -> Callable[[mx.array, float], mx.array]:
    """A share that rises from 0 to 1 with the distance from its zero: ``hump``, or a straight line."""
    check_strategy(strategy)
    return hump if strategy == "cos" else lambda distance, length: single(distance) / length


def cosine(n: mx.array, period: int, high: float, low: float) -> mx.array:
    """``low + (high - low) * (1 + cos(pi * n / period)) / 2``, of which no part is a difference."""
    left = mx.abs(n % (2 * period) - period)  # the distance to the nearest trough, a whole number
    return high * hump(left, period) + low * hump(period - left, period)
