"""The logarithm of the gamma function, and its derivative; elementwise, as floats.

Between 1.5 and 2.5 both are power series around 2, whose coefficients are worked out here. Smaller and larger numbers
are brought there by ``gamma(x + 1) = x gamma(x)``, from ``_FAR`` on Stirling's series is exact, and numbers below
-0.5 are reflected: ``gamma(x) gamma(-x) = -pi / (x sin(pi x))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx

from ._declare import op
from ._op import Operand

_FAR = 10.0
_EULER = 0.57721566490153286
_STIRLING = math.log(2 * math.pi) / 2 - 0.5
_LAST = 60  # the terms of a sum before the formula for the others, which is exact to 1e-17 then
#: Bernoulli's numbers B2, B4, ...
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)


def _zeta_less_one(k: int) -> float:
    """The sum of n^-k over n from 2 on: some of its terms, and Euler's and Maclaurin's formula for the rest."""
    n = float(_LAST)
    rest = n ** (1 - k) / (k - 1) + n**-k / 2 + k * n ** (-k - 1) / 12 - k * (k + 1) * (k + 2) * n ** (-k - 3) / 720
    rest += k * (k + 1) * (k + 2) * (k + 3) * (k + 4) * n ** (-k - 5) / 30240
    return math.fsum((rest, *(i**-k for i in range(2, _LAST))))


_ZETA = [_zeta_less_one(k) for k in range(2, 30)]
#: The logarithm of gamma(2 + z), divided by z, and that of gamma(1 + z).
_TWO = [1 - _EULER, *[(-1) ** k * c / k for k, c in enumerate(_ZETA, 2)]]
_ONE = [-_EULER, *[(-1) ** k * (_zeta_less_one(k) + 1) / k for k in range(2, 56)]]
#: Their derivatives.
_SLOPE = [1 - _EULER, *[(-1) ** k * c for k, c in enumerate(_ZETA, 2)]]
_BEND = [(-1) ** k * c * (k - 1) for k, c in enumerate(_ZETA, 2)]
_SINE = [(-1) ** n * math.pi ** (2 * n + 1) / math.factorial(2 * n + 1) for n in range(12)]


def _series(x: mx.array, coefficients: list[float], single: int) -> mx.array:
    """A power series; ``single`` of its terms are enough in float32."""
    total = mx.zeros_like(x)
    for c in reversed(coefficients if x.dtype == mx.float64 else coefficients[:single]):
        total = total * x + c
    return total


def _sine(x: mx.array) -> mx.array:
    """sin(pi x) between -0.5 and 0.5. MLX's sine has the precision of float32 in float64 too."""
    return x * _series(x * x, _SINE, 7)


def _turn(x: mx.array) -> mx.array:
    """``x`` without the nearest whole number, which is exact; 0 where that is infinite."""
    return mx.where(mx.isinf(x), 0, x - mx.round(x))


def _between(x: mx.array) -> mx.array:
    """``x`` from -0.5 to ``_FAR``, and 1 for other numbers, so that a branch that is not taken has no infinities."""
    return mx.where((x >= -0.5) & (x < _FAR), x, 1)


def _lgamma_of(x: mx.array) -> mx.array:
    """The logarithm of gamma from -0.5 on."""
    near = _between(x)
    product, y = mx.ones_like(x), near
    for _ in range(8):
        high = y > 2.5
        y = mx.where(high, y - 1, y)
        product = mx.where(high, product * y, product)
    small = near < 0.5
    z = mx.where(small, near, near - 1)  # of gamma(1 + z)
    one = z * _series(mx.where(near < 1.5, z, 0), _ONE, 24)
    one = mx.where(small, one - mx.log(mx.abs(near)), one)
    one = mx.where(near == 1, 0, one)  # and not -0.0
    two = (y - 2) * _series(mx.where(near < 1.5, 0, y - 2), _TWO, 13) + mx.log(product)
    far = mx.maximum(x, _FAR)
    inverse = mx.reciprocal(far)
    terms = [b / (2 * n * (2 * n - 1)) for n, b in enumerate(_BERNOULLI, 1)]
    stirling = (far - 0.5) * (mx.log(far) - 1) + (_series(inverse * inverse, terms, 3) * inverse + _STIRLING)
    return mx.where(x < _FAR, mx.where(near < 1.5, one, two), stirling)


def _logarithm(x: mx.array) -> mx.array:
    low = x < -0.5
    down = mx.where(low, x, -1.5)
    sine = mx.abs(_sine(_turn(down)))
    reflected = mx.log(math.pi / mx.abs(down * sine)) - _lgamma_of(-down)
    out = mx.where(low, mx.where(sine == 0, mx.inf, reflected), _lgamma_of(mx.where(low, 1.5, x)))
    return mx.where(mx.isnan(x), x, out)


def _steps(x: mx.array, power: int) -> tuple[mx.array, mx.array]:
    """A number between 1.5 and 2.5, and what the steps to it, from between -0.5 and ``_FAR``, add to digamma.

    That is 1 / x of each step, or with ``power`` 2 the 1 / x^2 that they take from trigamma.
    """
    y, total = x, mx.zeros_like(x)
    for _ in range(2):
        low = y < 1.5
        total = mx.where(low, total - mx.where(low, y, 1) ** -power, total)
        y = mx.where(low, y + 1, y)
    for _ in range(8):
        high = y > 2.5
        y = mx.where(high, y - 1, y)
        total = mx.where(high, total + mx.where(high, y, 1) ** -power, total)
    return y, total


def _digamma_of(x: mx.array) -> mx.array:
    y, total = _steps(_between(x), 1)
    far = mx.maximum(x, _FAR)
    square = mx.reciprocal(far * far)
    terms = [b / (2 * n) for n, b in enumerate(_BERNOULLI, 1)]
    beyond = mx.log(far) - 0.5 / far - square * _series(square, terms, 3)
    return mx.where(x < _FAR, _series(y - 2, _SLOPE, 14) + total, beyond)


def _trigamma_of(x: mx.array) -> mx.array:
    y, total = _steps(_between(x), 2)
    inverse = mx.reciprocal(mx.maximum(x, _FAR))
    square = inverse * inverse
    beyond = inverse + square / 2 + square * inverse * _series(square, list(_BERNOULLI), 3)
    return mx.where(x < _FAR, _series(y - 2, _BEND, 15) - total, beyond)


def _trigamma(x: mx.array) -> mx.array:
    low = x < -0.5
    down = mx.where(low, x, -1.5)
    reflected = (math.pi / _sine(_turn(down))) ** 2 - _trigamma_of(-down) + mx.reciprocal(down) ** 2
    return mx.where(mx.isnan(x), x, mx.where(low, reflected, _trigamma_of(mx.where(low, 1.5, x))))


@mx.custom_function
def _digamma(x: mx.array) -> mx.array:
    low = x < -0.5
    down = mx.where(low, x, -1.5)
    part = _turn(down)
    tangent = _sine(part) / _sine(0.5 - mx.abs(part))
    reflected = mx.where(part == 0, mx.nan, _digamma_of(-down) - 1 / down - math.pi / tangent)
    return mx.where(mx.isnan(x), x, mx.where(low, reflected, _digamma_of(mx.where(low, 1.5, x))))


#: ``_digamma``, as type checkers see it.
_slope: Callable[[mx.array], mx.array] = _digamma  # type: ignore[assignment]


@_digamma.vjp
def _digamma_vjp(primals: mx.array, cotangents: mx.array, _: mx.array) -> mx.array:
    slope: mx.array = _trigamma(primals)
    return cotangents * slope


@op(grad={"input": lambda g, input: g * _slope(input)}, promote="float", inplace=True, channels="any")
def lgamma(input: Operand) -> mx.array:
    """The logarithm of the absolute value of the gamma function; infinite at 0 and the negative whole numbers.

    It is within 4 ulps of the true number, except near its zeros below -2, where it is within 2e-6 (2e-15 in float64).
    """
    return _logarithm(input)


@op(grad={"input": lambda g, input: g * _trigamma(input)}, promote="float", inplace=True, channels="any")
def digamma(input: Operand) -> mx.array:
    """The derivative of ``lgamma``; NaN at negative whole numbers, and infinite at 0."""
    return _slope(input)
