"""The logarithm, sine and cosine of torch's vector kernels for x86 in float32: Cephes' polynomials with fused products.

The coefficients are those of Stephen Moshier's Cephes library, which are public.

A fused product is done in float64 and rounded to float32. So a number is kept in two arrays, one of each dtype, and most
steps write into arrays that are there: what takes time here is memory.
"""

from __future__ import annotations

import math

import numpy as np

f32, f64, i32 = np.float32, np.float64, np.int32


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
#: The bits of 1 and of the square root of 1/2 in float32.
_ONE, _ROOT = 0x3F800000, 0x3F3504F3


def _round(wide: np.ndarray, narrow: np.ndarray) -> None:
    """Write ``wide``, of float64, rounded to float32 into both."""
    np.copyto(narrow, wide, casting="same_kind")
    np.copyto(wide, narrow)


def _polynomial(coefficients: list[float], x: np.ndarray, narrow: np.ndarray) -> np.ndarray:
    """The polynomial of ``x`` in float64, but that the last step is rounded into ``narrow`` alone."""
    y = x * coefficients[0]
    y += coefficients[1]
    for c in coefficients[2:]:
        _round(y, narrow)
        y *= x
        y += c
    np.copyto(narrow, y, casting="same_kind")
    return y


def log(x: np.ndarray) -> np.ndarray:
    """The natural logarithm of float32 numbers from above 0 to 1, in contiguous memory."""
    # x = 2^exponent * mantissa, which is from the root of 1/2 to that of 2
    bits = x.view(i32) + i32(_ONE - _ROOT)
    exponent = (bits >> i32(23)).astype(f64)
    exponent -= 127
    bits &= i32(0x7FFFFF)
    bits += i32(_ROOT)
    m = bits.view(f32)
    m -= f32(1)
    wide = m.astype(f64)
    y = np.empty_like(m)
    total = _polynomial(_LOG, wide, y)
    y *= m
    np.copyto(total, y)
    np.multiply(m, m, out=y)
    square = wide
    np.copyto(square, y)
    total *= square
    np.copyto(y, exponent, casting="same_kind")
    y *= f32(_SMALL_PART)
    total += y
    _round(total, y)
    square *= -0.5
    total += square
    np.copyto(y, total, casting="same_kind")
    y += m
    np.copyto(total, y)
    exponent *= _LARGE_PART
    total += exponent
    np.copyto(y, total, casting="same_kind")
    return y


def sine_and_cosine(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both of float32 numbers from 0 to 2 pi, in contiguous memory."""
    narrow = x * f32(4 / math.pi)
    octant = narrow.astype(i32)
    octant += i32(1)
    octant &= i32(~1)
    count, wide = octant.astype(f64), x.astype(f64)
    for part in _QUARTER:  # of these sums only the last one has to be rounded, as all numbers show
        wide += count * part
    _round(wide, narrow)
    y = narrow * narrow
    square = count
    np.copyto(square, y)
    cosine, sine = np.empty_like(y), np.empty_like(y)
    total = _polynomial(_COS, square, cosine)
    cosine *= y
    np.copyto(total, cosine)
    total *= square
    total -= square * 0.5
    np.copyto(cosine, total, casting="same_kind")
    cosine += f32(1)
    total = _polynomial(_SIN, square, sine)
    sine *= y
    np.copyto(total, sine)
    total *= wide
    total += wide
    np.copyto(sine, total, casting="same_kind")
    # in every second quarter each is the other one, and half of each has the other sign: both are done by bits
    sines, cosines, other = sine.view(i32), cosine.view(i32), narrow.view(i32)
    np.bitwise_xor(sines, cosines, out=other)
    other &= (octant << i32(30)) >> i32(31)
    sines ^= other
    cosines ^= other
    sines ^= (octant & i32(4)) << i32(29)
    octant += i32(2)
    cosines ^= (octant & i32(4)) << i32(29)
    return sine, cosine
