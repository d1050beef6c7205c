"""Exponentials, sines and what is made of them, in the precision of the dtype.

In float64 MLX computes them with the precision of float32 (mlx 0.32.4), and takes some derivatives through them. So
they are made of ``expm1`` and ``tan`` there, which are exact, and have derivatives of their own. In every other dtype
they are MLX's own functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import mlx.core as mx

_FLOAT64 = mx.float64
#: log(2) in two parts: a multiple of the first by a whole number below 2^11 is exact.
_HIGH = math.floor(math.log(2) * 2**40) / 2**40
_LOW = float(Decimal(2).ln() - Decimal(_HIGH))


def derived(fn: Callable[[mx.array], mx.array], slope: Callable[[mx.array], mx.array]) -> Any:
    """``fn`` with ``slope`` as its derivative, which is taken where it is needed, and so may be made of ``fn``."""
    made: Any = mx.custom_function(fn)

    @made.vjp  # type: ignore[untyped-decorator]
    def _vjp(x: mx.array, g: mx.array, _: mx.array) -> mx.array:
        return g * slope(x)

    return made


def _power_of_e(x: mx.array) -> mx.array:
    """2^n e^(x - n log 2), where the whole number n leaves less than 0.35; the power has two factors, for its range."""
    n = mx.round(mx.clip(x, -746, 710) / math.log(2))
    left = (x - n * _HIGH) - n * _LOW
    two, half = mx.array(2, _FLOAT64), mx.floor(n / 2)
    return (mx.expm1(left) + 1) * mx.power(two, half) * mx.power(two, n - half)


def _sine_of(x: mx.array) -> mx.array:
    half = mx.tan(x / 2)
    return 2 * half / (1 + half * half)


def _cosine_of(x: mx.array) -> mx.array:
    """From the tangent of half the angle; near the zeros, where that cancels, the sine over the tangent."""
    half = mx.tan(x / 2)
    usual = (1 - half * half) / (1 + half * half)
    return mx.where(mx.abs(usual) > 0.5, usual, _sine_of(x) / mx.tan(x))


_exp: Any = derived(_power_of_e, lambda x: _exp(x))
_sin: Any = derived(_sine_of, lambda x: _cos(x))
_cos: Any = derived(_cosine_of, lambda x: -_sin(x))
_expm1: Any = derived(mx.expm1, lambda x: _exp(x))
_tanh: Any = derived(mx.tanh, lambda x: mx.reciprocal(mx.square(mx.cosh(x))))


def _choice(usual: Callable[[mx.array], mx.array], exact: Any) -> Callable[[mx.array], mx.array]:
    def chosen(x: mx.array) -> mx.array:
        found: mx.array = exact(x) if x.dtype == _FLOAT64 else usual(x)
        return found

    return chosen


def _sigmoid(x: mx.array) -> mx.array:
    """1 / (1 + e^-x); below 0 e^x / (1 + e^x), because e^-x may be infinite there."""
    small = _exp(-mx.abs(x))
    return mx.where(x < 0, small, 1) / (1 + small)


_gate: Any = derived(_sigmoid, lambda x: _gate(x) * _gate(-x))

exponential = _choice(mx.exp, _exp)
less_one = _choice(mx.expm1, _expm1)
sine = _choice(mx.sin, _sin)
cosine = _choice(mx.cos, _cos)
hyperbolic_tangent = _choice(mx.tanh, _tanh)
logistic = _choice(mx.sigmoid, _gate)


def softmax_along(x: mx.array, axis: int) -> mx.array:
    """exp(x) divided by its sum over ``axis``."""
    if x.dtype != _FLOAT64:
        return mx.softmax(x, axis=axis)
    grown: mx.array = _exp(x - mx.stop_gradient(mx.max(x, axis=axis, keepdims=True)))
    return grown / mx.sum(grown, axis=axis, keepdims=True)


def log_of_sum(x: mx.array, axis: Sequence[int], keepdims: bool) -> mx.array:
    """The logarithm of the sum of exp(x) over the axes."""
    if x.dtype != _FLOAT64:
        return mx.logsumexp(x, axis=axis, keepdims=keepdims)
    top = mx.max(x, axis=axis, keepdims=True)
    top = mx.where(mx.isinf(top), 0, top)
    out = mx.log(mx.sum(_exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else mx.squeeze(out, axis)
