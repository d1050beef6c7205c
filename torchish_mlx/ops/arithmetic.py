"""Sums, products, quotients, powers, and what is made of them; elementwise."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS, IN_C, INEXACT, INTEGER, NAMES, number_category, result_type
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._division import array_like, check_division, floored, towards_zero
from ._double import exponential
from ._masks import at_least, at_most, masked
from ._op import Array, Exponent, Matched, Number, Operand


def _times(x: Any, number: Any) -> Any:
    return x if type(number) is int and number == 1 else x * number


def _check_alpha(input: Any, other: Any, alpha: Any) -> None:
    integers = result_type(input, other) not in INEXACT
    if integers and not isinstance(alpha, mx.array) and number_category(alpha) > INTEGER:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")


@op(
    grad={"input": lambda g: g, "other": lambda g, alpha: _times(g, alpha)},
    promote="rounded",
    inplace=True,
    check=_check_alpha,
    number_first="alpha",
    channels="any",
)
def add(input: Operand, other: Operand, *, alpha: Number = 1) -> mx.array:
    """input + alpha * other."""
    return mx.add(input, _times(other, alpha))


def _refuse_booleans(input: Any, other: Any) -> None:
    kinds = [x.dtype == mx.bool_ if isinstance(x, mx.array) else type(x) is bool for x in (input, other)]
    if kinds == [True, True]:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    if True in kinds:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )


def _check_difference(input: Any, other: Any, alpha: Any) -> None:
    _refuse_booleans(input, other)
    _check_alpha(input, other, alpha)


@op(
    grad={"input": lambda g: g, "other": lambda g, alpha: _times(-g, alpha)},
    promote="rounded",
    inplace=True,
    check=_check_difference,
    number_first="alpha",
    aliases=("subtract",),
    channels="any",
    node=lambda tensors, *_: "SubBackward0" if 0 in tensors else "RsubBackward1",
)
def sub(input: Operand, other: Operand, *, alpha: Number = 1) -> mx.array:
    """input - alpha * other."""
    if type(other) is bool or type(input) is bool:
        _refuse_booleans(input, other)
    return mx.subtract(input, _times(other, alpha))


@composed(method=False, node="RsubBackward0")
def rsub(input: Tensor, other: Any, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    return sub(other, input, alpha=alpha)


@op(
    grad={"input": lambda g, other: g * other, "other": lambda g, input: g * input},
    promote="same",
    inplace=True,
    aliases=("multiply",),
    channels="any",
)
def mul(input: Operand, other: Operand) -> mx.array:
    """input * other."""
    return input * other


@op(
    grad={"input": lambda g, other: g / other, "other": lambda g, input, other: -(g * ((input / other) / other))},
    promote="float",
    name="div.true",
    function=False,
    method=False,
    channels="any",
)
def true_divide(input: Operand, other: Operand) -> mx.array:
    """input / other; the quotient of integers is of floats."""
    return mx.divide(input, other)


@op(
    grad={"input": lambda g: mx.zeros_like(g), "other": lambda g: mx.zeros_like(g)},
    promote="same",
    name="div.floor",
    node="DivBackward2",
    function=False,
    method=False,
    check=check_division,
    channels="any",
)
def _floored(input: Operand, other: Operand) -> mx.array:
    """input / other, rounded down."""
    return floored(input, other)


@op(
    grad={"input": lambda g: mx.zeros_like(g), "other": lambda g: mx.zeros_like(g)},
    promote="compare",  # torch rounds the quotient of halves before it truncates it
    name="div.trunc",
    node="DivBackward2",
    function=False,
    method=False,
    check=check_division,
    channels="any",
)
def _truncated(input: Operand, other: Operand) -> mx.array:
    """input / other, rounded towards zero."""
    input = array_like(input, other)
    if input.dtype in FLOATS:
        return towards_zero(mx.divide(input, other))
    return (mx.abs(input) // mx.abs(other)) * mx.sign(input) * mx.sign(other)


@composed(inplace=True, aliases=("divide", "true_divide"))
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    return (_floored if rounding_mode == "floor" else _truncated)(input, other)


_SIGNED = (mx.int8, mx.int16, mx.int32, mx.int64)
_POWERS: dict[Any, Any] = {
    0: lambda x: mx.ones_like(x),
    1: lambda x: x,
    2: lambda x: x * x,
    3: lambda x: x * x * x,
    0.5: mx.sqrt,
    -0.5: mx.rsqrt,
    -1: mx.reciprocal,
    -2: lambda x: mx.reciprocal(x * x),
}


def power(x: mx.array, exponent: Any) -> mx.array:
    """x ** exponent, spelled as products and roots for the exponents for which torch does so."""
    if isinstance(exponent, mx.array):
        if isinstance(x, mx.array) and x.dtype not in INEXACT and exponent.dtype not in INEXACT:
            return _integer_power(x, exponent)
        return mx.power(x, exponent)
    if exponent in _POWERS:
        found: mx.array = _POWERS[exponent](x)
        return found
    return mx.power(x, mx.array(exponent, x.dtype))


def _integer_power(x: mx.array, exponent: mx.array) -> mx.array:
    """Negative exponents give the integer part of the quotient: 0, or 1 and -1 for these."""
    if x.dtype not in _SIGNED or exponent.dtype not in _SIGNED:
        return mx.power(x, exponent)
    odd = exponent % 2 != 0
    below = mx.where(x == 1, 1, mx.where(x == -1, mx.where(odd, -1, 1), 0)).astype(x.dtype)
    return mx.where(exponent < 0, below, mx.power(x, mx.maximum(exponent, 0)))


def _check_power(input: Any, exponent: Any) -> None:
    dtype = result_type(input, exponent)
    if dtype == mx.bool_ and isinstance(exponent, mx.array):
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if dtype not in INEXACT and not isinstance(exponent, mx.array) and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")


def _base_gradient(g: mx.array, input: Any, exponent: Any) -> mx.array:
    """g e x^(e-1), zero where e is 0."""
    if not isinstance(exponent, mx.array):
        return mx.zeros_like(g) if exponent == 0 else g * (power(input, exponent - 1) * exponent)
    zero = exponent == 0
    safe = mx.where(zero, 1, exponent)
    return mx.where(zero, 0, g * (safe * mx.power(input, safe - 1)))


def _exponent_gradient(g: mx.array, input: Any, exponent: mx.array, result: mx.array) -> mx.array:
    """g x^e log x, zero where x is 0 and e is not negative."""
    input = mx.array(input, exponent.dtype) if not isinstance(input, mx.array) else input
    zero = (input == 0) & (exponent >= 0)
    return mx.where(zero, 0, g * (result * mx.log(mx.where(zero, 1, input))))


@op(
    grad={"input": _base_gradient, "exponent": _exponent_gradient},
    promote="rounded",
    inplace=True,
    check=_check_power,
    channels="any",
    node=lambda tensors, *_: f"PowBackward{2 if 0 not in tensors else int(1 in tensors)}",
)
def pow(input: Operand, exponent: Exponent) -> mx.array:
    """input ** exponent."""
    return power(input, exponent)


def _check_lerp(input: mx.array, end: mx.array, weight: Any) -> None:
    for name, other in (("end", end), ("weight", weight)):
        number = name == "weight" and not (isinstance(other, mx.array) and other.ndim)
        if not number and input.dtype != other.dtype:
            raise RuntimeError(f"expected dtype {IN_C[input.dtype]} for `{name}` but got dtype {IN_C[other.dtype]}")


@op(
    grad={
        "input": lambda g, weight: g * (1 - weight),
        "end": lambda g, weight: g * weight,
        "weight": lambda g, input, end: g * (end - input),
    },
    promote="same",
    inplace=True,
    check=_check_lerp,
    channels="any",
    node=("weight", "LerpBackward1"),
)
def lerp(input: Matched, end: Matched, weight: Operand) -> mx.array:
    """input + weight (end - input), taken from the nearer side, as torch does."""
    off = end - input
    if isinstance(weight, mx.array):
        return mx.where(mx.abs(weight) < 0.5, input + weight * off, end - off * (1 - weight))
    return input + weight * off if -0.5 < weight < 0.5 else end - off * (1 - weight)


@op(
    grad={
        "input": lambda g: g,
        "tensor1": lambda g, tensor2, value: _times(g, value) * tensor2,
        "tensor2": lambda g, tensor1, value: _times(g, value) * tensor1,
    },
    promote="same",
    inplace=True,
    number_first="value",
    channels="any",
)
def addcmul(input: Matched, tensor1: Matched, tensor2: Matched, *, value: Number = 1) -> mx.array:
    """input + value * tensor1 * tensor2."""
    return input + _times(tensor1, value) * tensor2


def _check_quotient(_: Any, tensor1: mx.array, tensor2: mx.array, *__: Any) -> None:
    if result_type(tensor1, tensor2) not in INEXACT:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: convert the tensors to a floating dtype, or use "
            "(input + value * torch.div(tensor1, tensor2, rounding_mode='trunc'))."
        )


@op(
    grad={
        "input": lambda g: g,
        "tensor1": lambda g, tensor2, value: _times(g, value) / tensor2,
        "tensor2": lambda g, tensor1, tensor2, value: -(_times(g, value) * ((tensor1 / tensor2) / tensor2)),
    },
    promote="same",
    inplace=True,
    check=_check_quotient,
    number_first="value",
    channels="any",
)
def addcdiv(input: Matched, tensor1: Matched, tensor2: Matched, *, value: Number = 1) -> mx.array:
    """input + value * tensor1 / tensor2, of floating tensors."""
    return input + _times(tensor1, value) / tensor2


# One tensor -----------------------------------------------------------------------------------------------------------


@op(grad={"input": lambda g: -g}, inplace=True, aliases=("negative",), channels="any")
def neg(input: Array) -> mx.array:
    """-input."""
    if input.dtype == mx.bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )
    return -input


@op(grad={"input": lambda g, input: g * mx.sign(input)}, inplace=True, aliases=("absolute",), channels="any")
def abs(input: Array) -> mx.array:
    """The absolute value."""
    return mx.abs(input)


@op(grad={"input": lambda g: mx.zeros_like(g)}, inplace=True, channels="any")
def sign(input: Array) -> mx.array:
    """-1, 0 or 1, as the sign is."""
    return mx.sign(input)


@op(grad={"input": lambda g: mx.zeros_like(g)}, inplace=True, channels="any")
def sgn(input: Array) -> mx.array:
    """As ``sign``; input / abs(input) of complex numbers."""
    return mx.sign(input)


@op(grad={"input": lambda g, input: g * (2 * input)}, inplace=True, channels="any", node="PowBackward0")
def square(input: Array) -> mx.array:
    """input * input; of booleans int64."""
    return input * input if input.dtype != mx.bool_ else input.astype(mx.int64)


@op(grad={"input": lambda g, result: -g * (result * result)}, promote="float", inplace=True, channels="any")
def reciprocal(input: Operand) -> mx.array:
    """1 / input, as floats."""
    return mx.reciprocal(input)


@op(grad={"input": lambda g, result: g / (2 * result)}, promote="float", inplace=True, channels="any")
def sqrt(input: Operand) -> mx.array:
    """The square root, as floats."""
    return mx.sqrt(input)


@op(
    grad={"input": lambda g, result: -0.5 * g * (result * result * result)},
    promote="float",
    inplace=True,
    channels="any",
)
def rsqrt(input: Operand) -> mx.array:
    """1 / sqrt(input), as floats."""
    return mx.rsqrt(input)


@op(grad={"input": lambda g, result: g * result}, promote="float", inplace=True, channels="any")
def exp(input: Operand) -> mx.array:
    """e to the power of input, as floats."""
    return exponential(input)


@op(grad={"input": lambda g, input: g / input}, promote="float", inplace=True, channels="any")
def log(input: Operand) -> mx.array:
    """The natural logarithm, as floats."""
    return mx.log(input)


# Bounds ---------------------------------------------------------------------------------------------------------------


def _bounds(min: Any, max: Any) -> tuple[Any, Any]:
    return -math.inf if min is None else min, math.inf if max is None else max


def _clamped(g: mx.array, input: mx.array, min: Any, max: Any, to: str) -> mx.array:
    """g to the input between the bounds, both included; beyond them to the bound that counts."""
    low, high = _bounds(min, max)
    chosen = {
        "input": lambda: (input >= low) & (input <= high),
        "min": lambda: (input < low) & (low < high),
        "max": lambda: (input > high) | (high < low),
    }[to]()
    return masked(g, chosen)


@op(
    grad={
        "input": lambda g, input, min, max: _clamped(g, input, min, max, "input"),
        "min": lambda g, input, min, max: _clamped(g, input, min, max, "min"),
        "max": lambda g, input, min, max: _clamped(g, input, min, max, "max"),
    },
    promote="compare",
    inplace=True,
    aliases=("clip",),
    channels="any",
    node=lambda tensors, *_: f"ClampBackward{int(len(tensors) < 2)}",
)
def clamp(input: Matched, min: Operand | None = None, max: Operand | None = None) -> mx.array:
    """min(max(input, min), max); the slope at a bound is 1."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    y = input if min is None else at_least(input, min)  # NaN in any of them is NaN
    return y if max is None else at_most(y, max)


def _to_the_larger(g: mx.array, x: mx.array, y: mx.array) -> mx.array:
    """All of g to x where it is the larger, half where they are equal."""
    return mx.where(x < y, 0, mx.where(x == y, g / 2, g))


def _to_the_smaller(g: mx.array, x: mx.array, y: mx.array) -> mx.array:
    """All of g to x where it is the smaller, half where they are equal."""
    return mx.where(x > y, 0, mx.where(x == y, g / 2, g))


@op(
    grad={
        "input": lambda g, input, other: _to_the_larger(g, input, other),
        "other": lambda g, input, other: _to_the_larger(g, other, input),
    },
    promote="compare",
    channels="any",
)
def maximum(input: Matched, other: Matched) -> mx.array:
    """The larger of input and other; the gradient is halved where they are equal."""
    return mx.maximum(input, other)


@op(
    grad={
        "input": lambda g, input, other: _to_the_smaller(g, input, other),
        "other": lambda g, input, other: _to_the_smaller(g, other, input),
    },
    promote="compare",
    channels="any",
)
def minimum(input: Matched, other: Matched) -> mx.array:
    """The smaller of input and other; the gradient is halved where they are equal."""
    return mx.minimum(input, other)


@op(
    grad={
        "input": lambda g, condition: mx.where(condition, g, 0),
        "other": lambda g, condition: mx.where(condition, 0, g),
    },
    promote="compare",
    method=False,
    channels="any",
)
def where(condition: Array, input: Operand, other: Operand) -> mx.array:
    """input where condition, else other."""
    if condition.dtype not in (mx.bool_, mx.uint8):
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {NAMES[condition.dtype]}"
        )
    return mx.where(condition, input, other)
