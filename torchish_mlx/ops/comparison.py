"""Comparisons, truth values and bits; elementwise, and not differentiable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, cast
from ._declare import op
from ._op import Array, Matched, Operand


def _comparison(name: str, symbol: str, fn: Callable[..., mx.array], *aliases: str) -> Callable[..., Any]:
    def body(input: Matched, other: Operand) -> mx.array:
        return fn(input, other)

    body.__doc__ = f"Whether input {symbol} other, as booleans."
    made: Callable[..., Any] = op(promote="compare", name=name, aliases=aliases)(body)
    return made


eq = _comparison("eq", "==", mx.equal)
ne = _comparison("ne", "!=", mx.not_equal, "not_equal")
lt = _comparison("lt", "<", mx.less, "less")
le = _comparison("le", "<=", mx.less_equal, "less_equal")
gt = _comparison("gt", ">", mx.greater, "greater")
ge = _comparison("ge", ">=", mx.greater_equal, "greater_equal")


def _refuse_inexact(name: str, dtype: mx.Dtype) -> None:
    if dtype in INEXACT:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{NAMES[dtype]}'")


def _bitwise(name: str, doc: str, fn: Callable[..., mx.array]) -> None:
    def body(input: Operand, other: Operand) -> mx.array:
        for operand in (input, other):
            if isinstance(operand, mx.array):
                _refuse_inexact(name, operand.dtype)
        return fn(input, other)

    body.__doc__ = doc
    op(promote="compare", name=name, inplace=True)(body)


_bitwise("bitwise_and", "input & other, of integers or booleans.", mx.bitwise_and)
_bitwise("bitwise_or", "input | other, of integers or booleans.", mx.bitwise_or)
_bitwise("bitwise_xor", "input ^ other, of integers or booleans.", mx.bitwise_xor)


@op(inplace=True, channels="any")
def bitwise_not(input: Array) -> mx.array:
    """~input, of integers or booleans."""
    _refuse_inexact("bitwise_not", input.dtype)
    return mx.bitwise_invert(input)


def _truth(x: Any) -> mx.array:
    return cast(x, mx.bool_)


@op(channels="any")
def logical_and(input: Array, other: Array) -> mx.array:
    """Whether both are true; a number is true where it is not 0."""
    return mx.logical_and(_truth(input), _truth(other))


@op(channels="any")
def logical_or(input: Array, other: Array) -> mx.array:
    """Whether one or both are true; a number is true where it is not 0."""
    return mx.logical_or(_truth(input), _truth(other))


@op(channels="any")
def logical_xor(input: Array, other: Array) -> mx.array:
    """Whether exactly one is true; a number is true where it is not 0."""
    return mx.not_equal(_truth(input), _truth(other))


@op(channels="any")
def logical_not(input: Array) -> mx.array:
    """Whether it is false or 0."""
    return mx.logical_not(input)


@op(channels="any")
def isnan(input: Array) -> mx.array:
    """Whether it is NaN, as booleans."""
    return mx.isnan(input)


@op(channels="any")
def isinf(input: Array) -> mx.array:
    """Whether it is inf or -inf, as booleans."""
    return mx.isinf(input)


@op(channels="any")
def isfinite(input: Array) -> mx.array:
    """Whether it is not NaN, inf or -inf, as booleans."""
    return mx.isfinite(input)
