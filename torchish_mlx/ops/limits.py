"""Bounds on one side, signs, steps, and numbers in the place of NaN and infinity; elementwise."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS, NAMES, result_type
from ._declare import op
from ._division import array_like, underivable
from ._masks import at_least, at_most, masked
from ._op import Array, Matched, Operand

_SAME_SIZE = {mx.float16: mx.int16, mx.bfloat16: mx.int16, mx.float32: mx.int32, mx.float64: mx.int64}


@op(
    grad={"input": lambda g, result: masked(g, mx.logical_not(result <= 0))},
    inplace=True,
    module="torch nn.functional",
    channels="any",
)
def relu(input: Array) -> mx.array:
    """The larger of input and 0; the slope at 0 is 0."""
    if input.dtype == mx.bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    return at_least(input, 0)


@op(
    grad={
        "input": lambda g, input, min: masked(g, input >= min),
        "min": lambda g, input, min: masked(g, input < min),
    },
    promote="compare",
    inplace=True,
    channels="any",
    node=("min", "ClampMinBackward1"),
)
def clamp_min(input: Matched, min: Operand) -> mx.array:
    """The larger of input and ``min``; the slope of input is 1 where they are equal."""
    return at_least(input, min)


@op(
    grad={
        "input": lambda g, input, max: masked(g, input <= max),
        "max": lambda g, input, max: masked(g, input > max),
    },
    promote="compare",
    inplace=True,
    channels="any",
    node=("max", "ClampMaxBackward1"),
)
def clamp_max(input: Matched, max: Operand) -> mx.array:
    """The smaller of input and ``max``; the slope of input is 1 where they are equal."""
    return at_most(input, max)


def _without_nan(fn: Any, input: mx.array, other: mx.array) -> mx.array:
    """The larger or smaller one; of 0.0 and -0.0, which are equal, the first, as in torch."""
    if input.dtype not in FLOATS:
        return fn(input, other)
    return mx.where(mx.isnan(input), other, mx.where(mx.isnan(other), input, fn(other, input)))


@op(
    grad={
        "input": lambda g, input, other: mx.where((input >= other) | mx.isnan(other), g, 0),
        "other": lambda g, input, other: mx.where((input >= other) | mx.isnan(other), 0, g),
    },
    promote="compare",
    channels="any",
)
def fmax(input: Matched, other: Matched) -> mx.array:
    """The larger of input and other, and the one that is a number where the other one is NaN."""
    return _without_nan(mx.maximum, input, other)


@op(
    grad={
        "input": lambda g, input, other: mx.where((input <= other) | mx.isnan(other), g, 0),
        "other": lambda g, input, other: mx.where((input <= other) | mx.isnan(other), 0, g),
    },
    promote="compare",
    channels="any",
)
def fmin(input: Matched, other: Matched) -> mx.array:
    """The smaller of input and other, and the one that is a number where the other one is NaN."""
    return _without_nan(mx.minimum, input, other)


@op(grad={"input": lambda g, input: mx.where(mx.isfinite(input), g, 0)}, inplace=True, channels="any")
def nan_to_num(
    input: Array, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> mx.array:
    """Input with a number in the place of NaN (0), inf and -inf (the largest and the least number of the dtype)."""
    if input.dtype not in FLOATS:
        return mx.array(input)
    limits = mx.finfo(input.dtype)
    numbers = (0.0 if nan is None else nan, limits.max if posinf is None else posinf)
    low = limits.min if neginf is None else neginf
    out = mx.where(mx.isnan(input), mx.array(numbers[0], input.dtype), input)
    out = mx.where(mx.isposinf(input), mx.array(numbers[1], input.dtype), out)
    return mx.where(mx.isneginf(input), mx.array(low, input.dtype), out)


# Signs ----------------------------------------------------------------------------------------------------------------


def negative(x: mx.array) -> mx.array:
    """Whether the sign is minus, which zeros and NaN have too."""
    return mx.view(x, _SAME_SIZE[x.dtype]) < 0 if x.dtype in FLOATS else x < 0


@op(channels="any")
def signbit(input: Array) -> mx.array:
    """Whether the sign of input is minus, that of -0.0 included; booleans."""
    return negative(input)


def _copysign_gradient(g: mx.array, input: Any, result: mx.array) -> mx.array:
    """g with the sign that input was multiplied with, zero where input is 0."""
    zero = input == 0
    return mx.where(zero, 0, g * (result / mx.where(zero, 1, input)))


@op(
    grad={"input": _copysign_gradient, "other": lambda g: mx.zeros_like(g)},
    promote="float",
    inplace=True,
    channels="any",
    node=lambda tensors, *_: f"CopysignBackward{int(1 not in tensors)}",
)
def copysign(input: Matched, other: Operand) -> mx.array:
    """The size of input with the sign of other, as floats."""
    size = mx.abs(array_like(input, other))
    return mx.where(negative(array_like(other, input)), -size, size)


def _check_steps(input: Any, other: Any) -> None:
    dtype = result_type(input, other)
    if dtype not in FLOATS:
        raise NotImplementedError(f"\"nextafter_cpu\" not implemented for '{NAMES[dtype]}'")


@op(
    grad={
        "input": lambda g, input, other: masked(g, input != other),
        "other": lambda g, input, other: mx.zeros_like(g),  # noqa: ARG005 - torch keeps both, although it needs neither
    },
    promote="compare",
    inplace=True,
    check=_check_steps,
    channels="any",
)
def nextafter(input: Matched, other: Matched) -> mx.array:
    """The next number after input, in its dtype, on the way to other; other where both are equal."""
    whole = _SAME_SIZE[input.dtype]
    at, to = mx.view(input, whole), mx.view(other, whole)
    tiny = mx.where(to < 0, mx.array(-mx.iinfo(whole).max - 1, whole), mx.array(0, whole)) + 1
    size, target = at & mx.iinfo(whole).max, to & mx.iinfo(whole).max
    equal = (at == to) | ((size == 0) & (target == 0))  # not by ==, for which a GPU may take tiny numbers as 0
    away = ((at < 0) == (to < 0)) & (target > size)
    moved = mx.where(size == 0, tiny, mx.where(away, at + 1, at - 1))
    stepped = mx.view(mx.where(equal, to, moved), input.dtype)
    return mx.where(mx.isnan(input) | mx.isnan(other), mx.array(mx.nan, input.dtype), stepped)


@op(grad={"input": underivable("heaviside"), "values": underivable("heaviside")}, inplace=True, channels="any")
def heaviside(input: Array, values: Array) -> mx.array:
    """0 where input is negative or NaN, 1 where it is positive, ``values`` where it is 0; no derivative."""
    if not isinstance(values, mx.array):
        raise TypeError(f"argument 'values' (position 2) must be Tensor, not {type(values).__name__}")
    if input.dtype != values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return mx.where(input == 0, values, (input > 0).astype(input.dtype))
