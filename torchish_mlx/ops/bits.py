"""Shifts of bits, and what integers have in common; elementwise."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES
from ._declare import op
from ._division import array_like
from ._op import Matched, Operand

#: How often a remainder can be taken until it is 0, by the size of a number in bytes: the worst are Fibonacci's.
_REMAINDERS = {1: 13, 2: 24, 4: 47, 8: 93}


def _integers(name: str, x: Any, y: Any) -> tuple[mx.array, mx.array]:
    x, y = array_like(x, y), array_like(y, x)
    if x.dtype in INEXACT or x.dtype == mx.bool_:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{NAMES[x.dtype]}'")
    return x, y


def _shifted(name: str, fn: Any, x: Any, count: Any, beyond: Any) -> mx.array:
    """``fn`` where the count is one of the bits of ``x``, else what is left when all of them are gone."""
    x, count = _integers(name, x, count)
    there = (count >= 0) & (count < 8 * x.dtype.size)
    return mx.where(there, fn(x, mx.where(there, count, 0)), beyond(x))


@op(promote="compare", inplace=True, channels="any")
def bitwise_left_shift(input: Operand, other: Operand) -> mx.array:
    """Input with its bits moved to the left by other places; 0 where other is negative or all the bits are gone."""
    return _shifted("lshift", mx.left_shift, input, other, mx.zeros_like)


@op(promote="compare", inplace=True, channels="any")
def bitwise_right_shift(input: Operand, other: Operand) -> mx.array:
    """Input with its bits moved to the right by other places; 0 or -1 where other is negative or all bits are gone."""
    return _shifted("rshift", mx.right_shift, input, other, lambda x: mx.where(x < 0, mx.array(-1, x.dtype), 0))


def _greatest(x: mx.array, y: mx.array) -> mx.array:
    x, y = mx.abs(x), mx.abs(y)
    for _ in range(_REMAINDERS[x.dtype.size]):
        x, y = mx.where(y == 0, x, y), mx.where(y == 0, 0, mx.remainder(x, mx.where(y == 0, 1, y)))
    return x


@op(promote="compare", inplace=True, channels="any")
def gcd(input: Matched, other: Matched) -> mx.array:
    """The greatest common divisor of integers."""
    return _greatest(*_integers("gcd", input, other))


@op(promote="compare", inplace=True, channels="any")
def lcm(input: Matched, other: Matched) -> mx.array:
    """The least common multiple of integers; 0 where one of them is 0."""
    x, y = _integers("lcm", input, other)
    common = _greatest(x, y)
    return mx.abs(x // mx.where(common == 0, 1, common) * y)
