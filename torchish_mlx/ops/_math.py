"""The elementwise formulas behind the rows of the table. Arrays and numbers in, arrays out."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .._core.promotion import (
    FLOATS,
    HALVES,
    INEXACT,
    INTEGER,
    NAMES,
    Operand,
    cast,
    compare,
    compute,
    floating,
    number_category,
    result_type,
)


def scaled(fn: Any, input: Operand, other: Operand, alpha: Operand) -> mx.array:
    """fn(input, alpha * other); in half precision of numbers rounded to it, in float32, rounded once."""
    plain = type(alpha) is int and alpha == 1
    if plain and isinstance(input, mx.array) and isinstance(other, mx.array) and input.dtype == other.dtype:
        return fn(input, other)
    dtype = result_type(input, other)
    if dtype not in INEXACT and not isinstance(alpha, mx.array) and number_category(alpha) > INTEGER:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    wide = mx.float32 if dtype in HALVES else dtype
    x, y = cast(cast(input, dtype), wide), cast(cast(other, dtype), wide)
    return cast(fn(x, y if plain else y * cast(cast(alpha, dtype), wide)), dtype)


def divide(input: Operand, other: Operand, rounding_mode: str | None = None) -> mx.array:
    """input / other; true division gives floats for integers."""
    if rounding_mode is None:
        return compute(lambda x, y: mx.divide(floating(x), floating(y)), input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    dtype = result_type(input, other)
    if dtype in FLOATS:
        rounded = mx.floor if rounding_mode == "floor" else lambda q: mx.where(q < 0, mx.ceil(q), mx.floor(q))
        return compute(lambda x, y: rounded(x / y), input, other)
    x, y = cast(input, dtype), cast(other, dtype)
    quotient = (mx.abs(x) // mx.abs(y)) * mx.sign(x) * mx.sign(y)
    inexact = (quotient * y != x) & (mx.sign(x) * mx.sign(y) < 0)
    return quotient - inexact.astype(dtype) if rounding_mode == "floor" else quotient


def divide_derivative(
    g: mx.array, _: Any, input: Operand, other: Operand, rounding_mode: str | None = None
) -> tuple[mx.array, ...]:
    """Torch's: g / y and -g (x / y) / y; zero where the quotient is rounded."""
    if rounding_mode is not None:
        return mx.zeros_like(g), mx.zeros_like(g)
    first = compute(mx.divide, g, other)
    return first, -compute(mx.multiply, g, compute(mx.divide, compute(mx.divide, input, other), other))


def power(x: mx.array, exponent: Operand) -> mx.array:
    """x ** exponent, spelled as products and roots for the exponents for which torch does so."""
    if isinstance(exponent, mx.array):
        return mx.power(x, exponent)
    if exponent in _POWERS:
        return _POWERS[exponent](x)
    return mx.power(x, mx.array(exponent, x.dtype))


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


def pow(input: Operand, exponent: Operand) -> mx.array:
    """input ** exponent."""
    dtype = result_type(input, exponent)
    if dtype == mx.bool_ and isinstance(exponent, mx.array):
        raise RuntimeError("\"pow\" not implemented for 'Bool'")
    if dtype not in INEXACT and not isinstance(exponent, mx.array) and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    wide = mx.float32 if dtype in HALVES else dtype
    x = cast(cast(input, dtype), wide)
    if isinstance(exponent, mx.array) or exponent not in _POWERS:
        exponent = cast(cast(exponent, dtype), wide)
    return cast(power(x, exponent), dtype)


def pow_derivative(g: mx.array, result: mx.array, input: Operand, exponent: Operand) -> tuple[mx.array, ...]:
    """Torch's: g e x^(e-1), zero where e is 0; and g x^e log x, zero where x is 0 and e is not negative."""
    if not isinstance(exponent, mx.array):
        if exponent == 0:
            return (mx.zeros_like(g),)
        return (compute(lambda g, x: g * (power(x, exponent - 1) * exponent), g, input, wide=True),)

    def base(g: mx.array, x: mx.array, e: mx.array) -> mx.array:
        zero = e == 0
        safe = mx.where(zero, 1, e)
        return mx.where(zero, 0, g * (safe * mx.power(x, safe - 1)))

    def log(g: mx.array, out: mx.array, x: mx.array, e: mx.array) -> mx.array:
        zero = (x == 0) & (e >= 0)
        return mx.where(zero, 0, g * (out * mx.log(mx.where(zero, 1, x))))

    return compute(base, g, input, exponent, wide=True), compute(log, g, result, input, exponent, wide=True)


def clamp(input: mx.array, min: Operand | None = None, max: Operand | None = None) -> mx.array:
    """min(max(input, min), max); the slope at a bound is 1."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    dtype = result_type(*[x for x in (input, min, max) if x is not None])
    y = cast(input, dtype)
    if min is not None:
        low = cast(min, dtype)
        y = mx.where(y < low, low, y)
    if max is not None:
        high = cast(max, dtype)
        y = mx.where(y > high, high, y)
    return y


def clamp_derivative(
    g: mx.array, _: Any, input: mx.array, min: Operand | None = None, max: Operand | None = None
) -> tuple[mx.array, ...]:
    """g to the input between the bounds, both included; beyond them to the bound that counts."""
    dtype = result_type(*[x for x in (input, min, max) if x is not None])
    x = cast(input, dtype)
    low = cast(-math.inf if min is None else min, dtype)
    high = cast(math.inf if max is None else max, dtype)
    return (
        mx.where((x >= low) & (x <= high), g, 0),
        mx.where((x < low) & (low < high), g, 0),
        mx.where((x > high) | (high < low), g, 0),
    )


def maximum_derivative(g: mx.array, _: Any, input: mx.array, other: mx.array) -> tuple[mx.array, ...]:
    """All of g to the larger, half to each where they are equal."""
    dtype = result_type(input, other)
    x, y = cast(input, dtype), cast(other, dtype)
    half = mx.where(x == y, g / 2, g)
    return mx.where(x < y, 0, half), mx.where(y < x, 0, half)


def minimum_derivative(g: mx.array, _: Any, input: mx.array, other: mx.array) -> tuple[mx.array, ...]:
    """All of g to the smaller, half to each where they are equal."""
    return maximum_derivative(g, _, -input, -other)


def lerp(input: mx.array, end: mx.array, weight: Operand) -> mx.array:
    """input + weight (end - input), taken from the nearer side, as torch does."""
    if input.dtype != end.dtype:
        raise RuntimeError(
            f"expected dtype {NAMES[input.dtype].lower()} for `end` but got dtype {NAMES[end.dtype].lower()}"
        )

    def formula(x: mx.array, y: mx.array, w: mx.array) -> mx.array:
        if isinstance(weight, mx.array):
            return mx.where(mx.abs(w) < 0.5, x + w * (y - x), y - (y - x) * (1 - w))
        return x + w * (y - x) if abs(weight) < 0.5 else y - (y - x) * (1 - w)

    return compute(formula, input, end, weight, wide=True)


def addcmul(input: mx.array, tensor1: mx.array, tensor2: mx.array, *, value: Operand = 1) -> mx.array:
    """input + value * tensor1 * tensor2."""
    dtype = result_type(input, tensor1, tensor2)
    wide = mx.float32 if dtype in HALVES else dtype
    first = cast(tensor1, wide) if value == 1 else cast(tensor1, wide) * cast(value, wide)
    return (cast(input, wide) + first * cast(tensor2, wide)).astype(dtype)


def addcdiv(input: mx.array, tensor1: mx.array, tensor2: mx.array, *, value: Operand = 1) -> mx.array:
    """input + value * tensor1 / tensor2, of floating tensors."""
    dtype = result_type(input, tensor1, tensor2)
    if result_type(tensor1, tensor2) not in INEXACT:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: convert the tensors to a floating dtype, or use "
            "(input + value * torch.div(tensor1, tensor2, rounding_mode='trunc'))."
        )
    wide = mx.float32 if dtype in HALVES else dtype
    first = cast(tensor1, wide) if value == 1 else cast(tensor1, wide) * cast(value, wide)
    return (cast(input, wide) + first / cast(tensor2, wide)).astype(dtype)


def where(condition: mx.array, input: Operand, other: Operand) -> mx.array:
    """input where condition, else other."""
    if condition.dtype not in (mx.bool_, mx.uint8):
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {NAMES[condition.dtype]}"
        )
    return compare(lambda x, y: mx.where(condition, x, y), input, other)


def fill(input: mx.array, value: Operand) -> mx.array:
    """Every element ``value``, a number or a tensor without dimensions."""
    if isinstance(value, mx.array) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return mx.broadcast_to(cast(value, input.dtype), input.shape)
