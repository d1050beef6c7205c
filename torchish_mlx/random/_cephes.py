"""The logarithm, sine and cosine of torch's vector kernels for x86 in float32: Cephes' polynomials with fused products.

The coefficients are those of Stephen Moshier's Cephes library, which are public.

A fused product is done in float64 and rounded to float32, so a number is kept in two arrays, one of each dtype. All
arrays are those of a ``Room``, because new ones would take as long as the arithmetic: memory that is freed goes back to
the system, which clears it before it gives it out again.
"""

from __future__ import annotations

import math

import numpy as np

f32, i32 = np.float32, np.int32


def _as_f32(*numbers: float) -> list[float]:
    """Numbers as float32 has them."""
    return [float(f32(x)) for x in numbers]


_LOG = _as_f32(
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1),
    *(2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
_COS = _as_f32(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SIN = _as_f32(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
#: -pi / 4 in three parts: a multiple of it is subtracted with more digits than float32 has.
_QUARTER = _as_f32(-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
#: log(2) in two parts.
_SMALL_PART, _LARGE_PART = _as_f32(-2.12194440e-4, 0.693359375)
#: The bits of the square root of 1/2 in float32.
_ROOT = 0x3F3504F3


class Room:
    """Memory in which the functions work on up to ``n`` numbers."""

    def __init__(self, n: int) -> None:
        self._wide = np.empty((3, n))
        self._narrow = np.empty((4, n), f32)

    def arrays(self, n: int) -> list[np.ndarray]:
        """Three arrays of float64 and four of float32, of ``n`` elements each."""
        return [*self._wide[:, :n], *self._narrow[:, :n]]


def _round(wide: np.ndarray, narrow: np.ndarray) -> None:
    """Write ``wide``, of float64, rounded to float32 into both."""
    np.copyto(narrow, wide, casting="same_kind")
    np.copyto(wide, narrow)


def _polynomial(coefficients: list[float], x: np.ndarray, wide: np.ndarray, narrow: np.ndarray) -> None:
    """Write the polynomial of ``x``, rounded in each step, into ``narrow``. What is in ``wide`` is no result."""
    np.multiply(x, coefficients[0], out=wide)
    wide += coefficients[1]
    for c in coefficients[2:]:
        _round(wide, narrow)
        wide *= x
        wide += c
    np.copyto(narrow, wide, casting="same_kind")


def log(x: np.ndarray, room: Room) -> None:
    """Replace float32 numbers from above 0 to 1 by their natural logarithms."""
    wide, total, _, exponent, y, square, _ = room.arrays(len(x))
    # x = 2^exponent * (1 + m), where 1 + m is from the root of 1/2 to that of 2
    bits, whole = x.view(i32), y.view(i32)
    bits -= i32(_ROOT)
    np.right_shift(bits, i32(23), out=whole)
    np.copyto(exponent, whole, casting="unsafe")
    bits &= i32(0x7FFFFF)
    bits += i32(_ROOT)
    m = x
    m -= f32(1)
    np.copyto(wide, m)
    _polynomial(_LOG, wide, total, y)
    y *= m
    np.copyto(total, y)
    np.multiply(m, m, out=square)
    np.copyto(wide, square)
    total *= wide
    np.multiply(exponent, f32(_SMALL_PART), out=y)
    np.copyto(wide, y)
    total += wide
    np.copyto(y, total, casting="same_kind")
    # the products that follow are exact in float32: no other rounding is that of a fused product
    square *= f32(-0.5)
    y += square
    m += y
    exponent *= f32(_LARGE_PART)
    m += exponent


def sine_and_cosine(x: np.ndarray, room: Room) -> tuple[np.ndarray, np.ndarray]:
    """Both of float32 numbers from 0 to 2 pi. ``x`` is overwritten, and the results are in the room."""
    wide, square, total, cosine, sine, y, whole = room.arrays(len(x))
    octant = whole.view(i32)
    np.multiply(x, f32(4 / math.pi), out=y)
    np.copyto(octant, y, casting="unsafe")
    octant += i32(1)
    octant &= i32(~1)
    count = square
    np.copyto(count, octant)
    np.copyto(wide, x)
    for part in _QUARTER:  # of these sums only the last one has to be rounded: the others are exact
        np.multiply(count, part, out=total)
        wide += total
    _round(wide, x)
    np.multiply(x, x, out=y)
    np.copyto(square, y)
    _polynomial(_SIN, square, total, sine)
    sine *= y
    np.copyto(total, sine)
    total *= wide
    total += wide
    np.copyto(sine, total, casting="same_kind")
    _polynomial(_COS, square, total, cosine)
    cosine *= y
    np.copyto(total, cosine)
    total *= square
    square *= 0.5
    total -= square
    np.copyto(cosine, total, casting="same_kind")
    cosine += f32(1)
    # in every second quarter each is the other one, and half of each has the other sign: both are done by bits
    sines, cosines, other, signs = sine.view(i32), cosine.view(i32), x.view(i32), y.view(i32)
    np.left_shift(octant, i32(30), out=signs)
    signs >>= i32(31)
    np.bitwise_xor(sines, cosines, out=other)
    other &= signs
    sines ^= other
    cosines ^= other
    for values in (sines, cosines):
        np.bitwise_and(octant, i32(4), out=signs)
        signs <<= i32(29)
        values ^= signs
        octant += i32(2)
    return sine, cosine
