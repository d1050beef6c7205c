"""Exponentials, logarithms and the logistic function; elementwise, as floats."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS, INEXACT, NAMES, result_type
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._division import array_like
from ._double import exponential, less_one, logistic
from ._op import Array, Matched, Operand
from .arithmetic import mul, pow, power

_LN2, _LN10 = math.log(2), math.log(10)


@op(grad={"input": lambda g, result: g * result * _LN2}, promote="float", inplace=True, channels="any")
def exp2(input: Operand) -> mx.array:
    """2 to the power of input, as floats."""
    return mx.power(mx.array(2, input.dtype), input)


@op(grad={"input": lambda g, result: g * (result + 1)}, promote="float", inplace=True, channels="any")
def expm1(input: Operand) -> mx.array:
    """exp(input) - 1, which is exact near 0 too."""
    return less_one(input)


@op(grad={"input": lambda g, input: g / (input * _LN2)}, promote="float", inplace=True, channels="any")
def log2(input: Operand) -> mx.array:
    """The logarithm to the base 2, as floats."""
    return mx.log2(input)


@op(grad={"input": lambda g, input: g / (input * _LN10)}, promote="float", inplace=True, channels="any")
def log10(input: Operand) -> mx.array:
    """The logarithm to the base 10, as floats."""
    return mx.log10(input)


@op(grad={"input": lambda g, input: g / (input + 1)}, promote="float", inplace=True, channels="any")
def log1p(input: Operand) -> mx.array:
    """log(1 + input), which is exact near 0 too."""
    return mx.log1p(input)


@op(
    grad={"input": lambda g, other: g * power(mx.array(2, other.dtype), other).astype(g.dtype)},
    promote="same",
    name="ldexp.whole",
    function=False,
    method=False,
    channels="any",
)
def _ldexp(input: Matched, other: Array) -> mx.array:
    """input * 2^other for floats and integers, which is rounded once, also where 2^other alone is out of range.

    The gradient takes 2^other in the dtype of other, as torch's does: it is 0 where other is negative.
    """
    double = input.dtype == mx.float64
    whole, digits, low, high = (mx.int64, 52, -1022, 1023) if double else (mx.int32, 23, -126, 127)
    left = mx.clip(other.astype(mx.int32).astype(whole), 3 * low, 3 * high)  # torch takes the lower 32 bits
    factors = []
    for _ in range(3):
        part = mx.clip(left, low, high)
        factors.append(mx.view((part + high) << digits, input.dtype))
        left = left - part
    return input * factors[2] * factors[1] * factors[0]  # the largest is the last, so that the others do not round


@composed(inplace=True, node="LdexpBackward0")
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other, as floats."""
    if input.dtype in FLOATS and other.dtype not in INEXACT:
        if other.dtype == mx.bool_:
            raise NotImplementedError("\"ldexp_cpu_exp\" not implemented for 'Bool'")
        return _ldexp(input, other)
    return mul(input, pow(2.0, other))


@composed(inplace=True)
def float_power(input: Operand, exponent: Operand) -> Tensor:
    """input ** exponent in float64, or in complex64 where one of them is complex. MLX has float64 on the CPU only."""
    given = [a.dtype if isinstance(a, Tensor) else type(a) for a in (input, exponent)]
    if complex in given or mx.complex64 in given:
        return pow(input, exponent + 0j)
    return pow(*[a.to(mx.float64) if isinstance(a, Tensor) else float(a) for a in (input, exponent)])


def _only_floats(name: str) -> Any:
    def check(input: Any, other: Any) -> None:
        dtype = result_type(input, other)
        if dtype not in INEXACT:
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{NAMES[dtype]}'")

    return check


@op(
    grad={
        "input": lambda g, input, other: g / (1 + exponential(other - input)),
        "other": lambda g, input, other: g / (1 + exponential(input - other)),
    },
    promote="float",
    check=_only_floats("logaddexp"),
    channels="any",
)
def logaddexp(input: Matched, other: Matched) -> mx.array:
    """log(exp(input) + exp(other)), without an overflow."""
    return log_of_two(input, other)


@op(
    grad={
        "input": lambda g, input, other: g / (1 + _two_to(other - input)),
        "other": lambda g, input, other: g / (1 + _two_to(input - other)),
    },
    promote="float",
    check=_only_floats("logaddexp2"),
    channels="any",
)
def logaddexp2(input: Matched, other: Matched) -> mx.array:
    """log2(2^input + 2^other), without an overflow."""
    return _log_of_sum(input, other, _two_to, _LN2)


def log_of_two(x: mx.array, y: mx.array) -> mx.array:
    """log(exp(x) + exp(y))."""
    return _log_of_sum(x, y, exponential, 1.0)


def _two_to(x: mx.array) -> mx.array:
    return mx.power(mx.array(2, x.dtype), x)


def _log_of_sum(x: Any, y: Any, power: Any, unit: float) -> mx.array:
    """The larger one plus what the smaller one adds to it; the same infinities are themselves."""
    same = mx.isinf(x) & (x == y)
    added = mx.log1p(power(-mx.abs(mx.where(same, 0, x - y))))
    return mx.where(same, x, mx.maximum(x, y) + (added if unit == 1 else added / unit))


@op(grad={"input": lambda g, result: g * ((1 - result) * result)}, promote="float", inplace=True, channels="any")
def sigmoid(input: Operand) -> mx.array:
    """1 / (1 + exp(-input))."""
    return logistic(input)


@composed(module="nn.functional", name="sigmoid")
def _sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input))."""
    return sigmoid(input)


def _logit_gradient(g: mx.array, input: mx.array, eps: float | None) -> mx.array:
    """g / (x (1 - x)) inside; beyond it 0 where ``eps`` bounds the input, else NaN."""
    low, high, beyond = (0, 1, math.nan) if eps is None else (eps, 1 - eps, 0)
    return mx.where((input >= low) & (input <= high), g / (input * (1 - input)), beyond)


@op(grad={"input": _logit_gradient}, promote="float", inplace=True, channels="any")
def logit(input: Operand, eps: float | None = None) -> mx.array:
    """log(input / (1 - input)), of the input between ``eps`` and 1 - ``eps`` where that is given."""
    if eps is not None:
        input = mx.minimum(mx.maximum(input, eps), 1 - eps)
    return mx.log(input / (1 - input))


def times_log(x: Any, y: Any) -> mx.array:
    """x log(y); 0 where x is 0, and NaN where y is NaN."""
    x, y = array_like(x, y), array_like(y, x)
    zero = x == 0
    return mx.where(mx.isnan(y), math.nan, mx.where(zero, 0, x * mx.log(mx.where(zero, 1, y))))


@op(
    grad={
        "input": lambda g, input, other: mx.where(
            (array_like(input, g) == 0) & (array_like(other, g) <= 0), 0, times_log(g, other)
        ),
        "other": lambda g, input, other: g * input / other,
    },
    promote="float",
    inplace=True,
    channels="any",
)
def xlogy(input: Operand, other: Operand) -> mx.array:
    """input * log(other), which is 0 where input is 0; NaN where other is NaN."""
    return times_log(input, other)
