"""The logarithm, sine and cosine of torch's vector kernels for x86 in float32: Cephes' polynomials with fused products.

The coefficients are those of Stephen Moshier's Cephes library, which are public.
"""

from __future__ import annotations

import math

import numpy as np

from ._rounding import fma32

f32 = np.float32
_LOG = [
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1),
    *(2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
]
_COS = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]
_SIN = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]
#: -pi / 4 in three parts: a multiple of it is subtracted with more digits than float32 has.
_QUARTER = [-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8]


def _polynomial(coefficients: list[float], x: np.ndarray) -> np.ndarray:
    y = np.full_like(x, f32(coefficients[0]))
    for c in coefficients[1:]:
        y = fma32(y, x, f32(c))
    return y


def log(x: np.ndarray) -> np.ndarray:
    """The natural logarithm of float32 numbers from above 0 to 1."""
    m, exponent = np.frexp(x)
    e = exponent.astype(f32)
    small = m < f32(math.sqrt(0.5))
    e -= small
    m = np.where(small, (m - f32(1)) + m, m - f32(1))
    square = m * m
    y = fma32(_polynomial(_LOG, m) * m, square, e * f32(-2.12194440e-4))
    y = fma32(square, f32(-0.5), y)
    return fma32(e, f32(0.693359375), m + y)


def sine_and_cosine(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both of float32 numbers from 0 to 2 pi."""
    octant = ((x * f32(4 / math.pi)).astype(np.int32) + 1) & ~1
    y = octant.astype(f32)
    for part in _QUARTER:
        x = fma32(y, f32(part), x)
    square = x * x
    cosine = fma32(_polynomial(_COS, square) * square, square, -(square * f32(0.5))) + f32(1)
    sine = fma32(_polynomial(_SIN, square) * square, x, x)
    swap = (octant & 2) != 0
    sine, cosine = np.where(swap, cosine, sine), np.where(swap, sine, cosine)
    return np.where((octant & 4) != 0, -sine, sine), np.where(((octant + 2) & 4) != 0, -cosine, cosine)
