"""Angles: trigonometric and hyperbolic functions, their inverses, and lengths; elementwise, as floats."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, result_type
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._double import cosine, sine
from ._op import Matched, Operand


@op(grad={"input": lambda g, input: g * cosine(input)}, promote="float", inplace=True, channels="any")
def sin(input: Operand) -> mx.array:
    """The sine."""
    return sine(input)


@op(grad={"input": lambda g, input: g * -sine(input)}, promote="float", inplace=True, channels="any")
def cos(input: Operand) -> mx.array:
    """The cosine."""
    return cosine(input)


@op(grad={"input": lambda g, result: g * (1 + result * result)}, promote="float", inplace=True, channels="any")
def tan(input: Operand) -> mx.array:
    """The tangent."""
    return mx.tan(input)


@op(
    grad={"input": lambda g, input: g * mx.rsqrt(1 - input * input)},
    promote="float",
    inplace=True,
    aliases=("arcsin",),
    channels="any",
)
def asin(input: Matched) -> mx.array:
    """The inverse of the sine."""
    return mx.arcsin(input)


@op(
    grad={"input": lambda g, input: g * -mx.rsqrt(1 - input * input)},
    promote="float",
    inplace=True,
    aliases=("arccos",),
    channels="any",
)
def acos(input: Matched) -> mx.array:
    """The inverse of the cosine."""
    return mx.arccos(input)


@op(
    grad={"input": lambda g, input: g / (input * input + 1)},
    promote="float",
    inplace=True,
    aliases=("arctan",),
    channels="any",
)
def atan(input: Operand) -> mx.array:
    """The inverse of the tangent."""
    return mx.arctan(input)


def _inverse_square(x: mx.array, y: mx.array) -> mx.array:
    """1 / (x^2 + y^2), zero where that is infinite."""
    square = x * x + y * y
    zero = square == 0
    return mx.where(zero, 0, mx.reciprocal(mx.where(zero, 1, square)))


@op(
    grad={
        "input": lambda g, input, other: g * other * _inverse_square(input, other),
        "other": lambda g, input, other: -(g * input) * _inverse_square(input, other),
    },
    promote="float",
    inplace=True,
    aliases=("arctan2",),
    channels="any",
)
def atan2(input: Matched, other: Matched) -> mx.array:
    """The angle of the point (other, input), between -pi and pi."""
    return mx.arctan2(input, other)


@op(grad={"input": lambda g, input: g * mx.cosh(input)}, promote="float", inplace=True, channels="any")
def sinh(input: Operand) -> mx.array:
    """The hyperbolic sine."""
    return mx.sinh(input)


@op(grad={"input": lambda g, input: g * mx.sinh(input)}, promote="float", inplace=True, channels="any")
def cosh(input: Operand) -> mx.array:
    """The hyperbolic cosine."""
    return mx.cosh(input)


@op(grad={"input": lambda g, result: g * (1 - result * result)}, promote="float", inplace=True, channels="any")
def tanh(input: Operand) -> mx.array:
    """The hyperbolic tangent."""
    return mx.tanh(input)


@composed(module="nn.functional", name="tanh")
def _tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return tanh(input)


@op(
    grad={"input": lambda g, input: g * mx.rsqrt(input * input + 1)},
    promote="float",
    inplace=True,
    aliases=("arcsinh",),
    channels="any",
)
def asinh(input: Matched) -> mx.array:
    """The inverse of the hyperbolic sine."""
    return mx.arcsinh(input)


@op(
    grad={"input": lambda g, input: g * mx.rsqrt(input * input - 1)},
    promote="float",
    inplace=True,
    aliases=("arccosh",),
    channels="any",
)
def acosh(input: Matched) -> mx.array:
    """The inverse of the hyperbolic cosine."""
    return mx.arccosh(input)


@op(
    grad={"input": lambda g, input: g / (1 - input * input)},
    promote="float",
    inplace=True,
    aliases=("arctanh",),
    channels="any",
)
def atanh(input: Operand) -> mx.array:
    """The inverse of the hyperbolic tangent."""
    return mx.arctanh(input)


def _sinc_gradient(g: mx.array, input: mx.array) -> mx.array:
    """g (pi x cos(pi x) - sin(pi x)) / (pi x^2), zero where x is 0."""
    angle, below = input * math.pi, input * input * math.pi
    zero = below == 0
    return mx.where(zero, 0, g * ((angle * cosine(angle) - sine(angle)) / mx.where(zero, 1, below)))


@op(grad={"input": _sinc_gradient}, promote="float", inplace=True, channels="any")
def sinc(input: Operand) -> mx.array:
    """sin(pi input) / (pi input), which is 1 where input is 0."""
    angle = input * math.pi
    zero = input == 0
    return mx.where(zero, 1, sine(angle) / mx.where(zero, 1, angle))


def _check_hypot(input: Any, other: Any) -> None:
    dtype = result_type(input, other)
    if dtype not in INEXACT:
        raise NotImplementedError(f"\"hypot_cpu\" not implemented for '{NAMES[dtype]}'")


@op(
    grad={
        "input": lambda g, input, result: g * (input / result),
        "other": lambda g, other, result: g * (other / result),
    },
    promote="float",
    inplace=True,
    check=_check_hypot,
    channels="any",
)
def hypot(input: Matched, other: Matched) -> mx.array:
    """sqrt(input^2 + other^2), without an overflow of the squares."""
    x, y = mx.abs(input), mx.abs(other)
    longer, shorter = mx.maximum(x, y), mx.minimum(x, y)
    usual = (longer > 0) & mx.isfinite(longer)
    ratio = shorter / mx.where(usual, longer, 1)
    infinite = mx.isinf(x) | mx.isinf(y)
    return mx.where(usual, longer * mx.sqrt(1 + ratio * ratio), mx.where(infinite, math.inf, longer))


@op(grad={"input": lambda g: g * (math.pi / 180)}, promote="float", inplace=True, channels="any")
def deg2rad(input: Operand) -> mx.array:
    """An angle in degrees as radians."""
    return input * (math.pi / 180)


@op(grad={"input": lambda g: g * (180 / math.pi)}, promote="float", inplace=True, channels="any")
def rad2deg(input: Operand) -> mx.array:
    """An angle in radians as degrees."""
    return input * (180 / math.pi)
