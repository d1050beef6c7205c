"""The error function, its complement and its inverse; elementwise, as floats.

Near 0 they are a power series; beyond it ``exp(-x^2) / (1 + 2 x)`` times a series of Chebyshev polynomials of
``(x - 2) / (x + 2)``, whose coefficients are worked out here from Python's own error function.
"""

from __future__ import annotations

import math

import mlx.core as mx

from ._declare import op
from ._double import derived, exponential
from ._op import Operand

_SLOPE = 2 / math.sqrt(math.pi)
_SERIES = [_SLOPE * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(20)]
_NODES = 40
_ASYMPTOTIC = 10.0  # from here on twelve terms of the asymptotic series are exact


def _scaled(t: float) -> float:
    """(1 + 2 x) exp(x^2) erfc(x) where ``t`` is (x - 2) / (x + 2)."""
    x = 2 * (1 + t) / (1 - t)
    if x < _ASYMPTOTIC:
        part = round(x * 4096) / 4096  # its square is exact
        return (1 + 2 * x) * math.exp(part * part) * math.exp((x - part) * (x + part)) * math.erfc(x)
    total = 1.0
    for k in range(12, 0, -1):
        total = 1 - (2 * k - 1) / (2 * x * x) * total
    return (1 + 2 * x) / (x * math.sqrt(math.pi)) * total


def _wave(turns: int) -> float:
    """The cosine of ``turns`` times the angle between two nodes, halved; whole turns are left out, which is exact."""
    return math.cos(math.pi * (turns % (4 * _NODES)) / (2 * _NODES))


def _chebyshev() -> list[float]:
    heights = [_scaled(_wave(2 * k + 1)) for k in range(_NODES)]
    found = [2 / _NODES * math.fsum(h * _wave(n * (2 * k + 1)) for k, h in enumerate(heights)) for n in range(30)]
    return [found[0] / 2, *found[1:]]


_TAIL = _chebyshev()


def _bell(x: mx.array) -> mx.array:
    """exp(-x^2). In float64 the square of a multiple of 2^-12 next to x, which is exact, is taken apart."""
    if x.dtype != mx.float64:
        return exponential(-x * x)
    part = mx.stop_gradient(mx.round(x * 4096) / 4096)
    return exponential(-part * part) * exponential((part - x) * (part + x))


def _near(x: mx.array) -> mx.array:
    """The error function between -1 and 1."""
    square = x * x
    total = mx.zeros_like(x)
    for c in reversed(_SERIES if x.dtype == mx.float64 else _SERIES[:11]):
        total = total * square + c
    return x * total


def _beyond(x: mx.array) -> mx.array:
    """1 minus the error function, of positive numbers."""
    finite = mx.minimum(x, 1e4)
    t = (finite - 2) / (finite + 2)
    last, now = mx.zeros_like(t), mx.zeros_like(t)
    for c in reversed(_TAIL[1:] if x.dtype == mx.float64 else _TAIL[1:14]):
        last, now = now, 2 * t * now - last + c
    return _bell(finite) / (1 + 2 * finite) * (t * now - last + _TAIL[0])


def _in_double(x: mx.array) -> mx.array:
    size = mx.abs(x)
    return mx.where(size < 0.5, _near(mx.clip(x, -1, 1)), mx.sign(x) * (1 - _beyond(size)))


_double_error_function = derived(_in_double, lambda x: _SLOPE * exponential(-x * x))


def error_function(x: mx.array) -> mx.array:
    """The error function of an array."""
    if x.dtype == mx.float64:
        found: mx.array = _double_error_function(x)
        return found
    size = mx.abs(x)
    return mx.where(size < 1, _near(mx.clip(x, -1, 1)), mx.erf(x))


def _erfc(x: mx.array) -> mx.array:
    tail = _beyond(mx.abs(x))
    return mx.where(mx.abs(x) < 0.5, 1 - _near(mx.clip(x, -1, 1)), mx.where(x < 0, 2 - tail, tail))


def _erfinv(x: mx.array) -> mx.array:
    found = mx.erfinv(x)
    if x.dtype == mx.float64:  # MLX's has the precision of float32: steps of Newton's method
        size, root = mx.abs(x), mx.abs(found)
        for _ in range(3):
            off = mx.where(size < 0.5, error_function(root) - size, (1 - size) - _erfc(root))
            root = root - off / (_SLOPE * exponential(-root * root))
        found = mx.where(size == 0, x, mx.sign(x) * root)  # -0.0 stays
    return mx.where(x == 1, math.inf, mx.where(x == -1, -math.inf, found))


def _erfinv_gradient(g: mx.array, input: mx.array) -> mx.array:
    root = _erfinv(input)
    return g * (exponential(root * root) / _SLOPE)


@op(
    grad={"input": lambda g, input: g * (_SLOPE * exponential(-input * input))},
    promote="float",
    inplace=True,
    channels="any",
)
def erf(input: Operand) -> mx.array:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
    return error_function(input)


@op(
    grad={"input": lambda g, input: g * (-_SLOPE * exponential(-input * input))},
    promote="float",
    inplace=True,
    channels="any",
)
def erfc(input: Operand) -> mx.array:
    """1 - erf(input), which is exact where that is small too."""
    return _erfc(input)


@op(grad={"input": _erfinv_gradient}, promote="float", inplace=True, channels="any")
def erfinv(input: Operand) -> mx.array:
    """The inverse of the error function; inf at 1, and NaN beyond."""
    return _erfinv(input)
