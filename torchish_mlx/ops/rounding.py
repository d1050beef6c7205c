"""Whole numbers: rounding, remainders and quotients that are rounded; elementwise."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS, INEXACT, NAMES, cast, result_type, widened
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._division import array_like, check_division, floored, left_over, towards_zero, underivable
from ._op import Array, Matched, Operand


def _refuse(name: str, dtype: mx.Dtype) -> None:
    raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{NAMES[dtype]}'")


def _whole(fn: Any, name: str, input: mx.array) -> mx.array:
    """``fn`` of floats; integers are whole already."""
    if input.dtype == mx.bool_:
        _refuse(name + "_vml", input.dtype)
    return fn(input) if input.dtype in FLOATS else mx.array(input)


@op(grad={"input": lambda g: mx.zeros_like(g)}, inplace=True, channels="any")
def floor(input: Array) -> mx.array:
    """The largest whole number that is not above input."""
    return _whole(mx.floor, "floor", input)


@op(grad={"input": lambda g: mx.zeros_like(g)}, inplace=True, channels="any")
def ceil(input: Array) -> mx.array:
    """The smallest whole number that is not below input."""
    return _whole(mx.ceil, "ceil", input)


@op(grad={"input": lambda g: mx.zeros_like(g)}, inplace=True, aliases=("fix",), channels="any")
def trunc(input: Array) -> mx.array:
    """The whole number next to input on the side of zero."""
    return _whole(towards_zero, "trunc", input)


@op(grad={"input": lambda g: mx.zeros_like(g)}, inplace=True, name="round", channels="any")
def _round(input: Array, *, decimals: int = 0) -> mx.array:
    """The nearest number with that many decimals, the even one in the middle."""
    if not decimals:
        return _whole(mx.round, "round", input)
    if input.dtype not in FLOATS:
        _refuse("round", input.dtype)
    x = widened(input)
    scale = mx.array(10.0 ** abs(decimals), x.dtype)
    out = mx.round(x * scale) / scale if decimals > 0 else mx.round(x / scale) * scale
    return cast(out, input.dtype)


@op(grad={"input": lambda g: g}, inplace=True, channels="any")
def frac(input: Array) -> mx.array:
    """What is left of input without its whole part; it has the sign of input."""
    if input.dtype not in INEXACT:
        _refuse("frac", input.dtype)
    return input - towards_zero(input)


# Remainders -----------------------------------------------------------------------------------------------------------


def _check_remainder(name: str) -> Any:
    def check(input: Any, other: Any) -> None:
        check_division(input, other)
        if result_type(input, other) == mx.bool_:
            _refuse(name, mx.bool_)

    return check


@op(
    grad={"input": lambda g: g, "other": lambda g, input, other: -g * floored(input, other)},
    promote="rounded",
    inplace=True,
    check=_check_remainder("remainder"),
    channels="any",
    node=("other", "RemainderBackward1"),
)
def remainder(input: Operand, other: Operand) -> mx.array:
    """What is left of input by a division that is rounded down; it has the sign of other."""
    return mx.remainder(input, other)


@op(
    grad={
        "input": lambda g: g,
        "other": lambda g, input, other: -g * towards_zero(array_like(input, g) / array_like(other, g)),
    },
    promote="rounded",
    inplace=True,
    check=_check_remainder("fmod"),
    channels="any",
    node=("other", "FmodBackward1"),
)
def fmod(input: Matched, other: Operand) -> mx.array:
    """What is left of input by a division that is rounded towards zero; it has the sign of input."""
    return left_over(input, other)


@op(
    grad={"input": underivable("floor_divide"), "other": underivable("floor_divide")},
    promote="same",
    inplace=True,
    check=_check_remainder("div_floor"),
    channels="any",
)
def floor_divide(input: Operand, other: Operand) -> mx.array:
    """input / other, rounded down; there is no derivative."""
    return floored(input, other)


# Parts of numbers -----------------------------------------------------------------------------------------------------


@composed
def positive(input: Tensor) -> Tensor:
    """The Tensor itself, which must not be of booleans."""
    if input.dtype == mx.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input
