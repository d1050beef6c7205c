"""The arithmetic of torch's kernels in NumPy, to the last bit: fused products, casts, and the functions of the libm."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

#: Whether the vector kernels of torch for x86 make the normals; other processors use the libm, number by number.
VECTOR_KERNELS = platform.machine().lower() in ("x86_64", "amd64")

#: How many bits of an integer a floating dtype holds.
DIGITS = {mx.float64: 53, mx.float32: 24, mx.float16: 11, mx.bfloat16: 8}
#: The dtype of the NumPy arrays that hold numbers of a dtype. NumPy has no bfloat16: float32 holds the same numbers.
NUMPY = {
    mx.float64: np.float64,
    mx.float32: np.float32,
    mx.float16: np.float16,
    mx.bfloat16: np.float32,
    mx.bool_: np.bool_,
    mx.uint8: np.uint8,
    mx.uint16: np.uint16,
    mx.uint32: np.uint32,
    mx.uint64: np.uint64,
    mx.int8: np.int8,
    mx.int16: np.int16,
    mx.int32: np.int32,
    mx.int64: np.int64,
}
#: Around a function whose numbers may be infinite or not fit into a dtype, of which torch does not warn.
silent = np.errstate(all="ignore")
#: Products of random numbers and larger factors are not too small for float32.
_TINY = 1e-20
_SPLIT = float(2**27 + 1)
#: NumPy's functions are nearer than this to the libm's, relative to the result.
_NEAR = 2.0**-49


def fma32(a: Any, b: Any, c: Any) -> np.ndarray:
    """a * b + c in float32 with one rounding: the product is exact in float64."""
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)


def fma64(a: Any, b: Any, c: Any) -> np.ndarray:
    """a * b + c in float64 with one rounding: the errors of the product and of the sum are computed, and added."""
    a, b, c = (np.asarray(x, np.float64) for x in (a, b, c))
    product = a * b
    (ah, al), (bh, bl) = _halves(a), _halves(b)
    error = ((ah * bh - product) + ah * bl + al * bh) + al * bl
    total = product + c
    back = total - product
    error = ((product - (total - back)) + (c - back)) + error
    out: np.ndarray = np.where(np.isfinite(error), total + error, total)
    return out


def scaled32(x: np.ndarray, by: float, plus: float, out: np.ndarray | None = None) -> np.ndarray:
    """x * by + plus of float32 numbers with one rounding, as float32; in the array ``out`` if there is one."""
    if by == 1 and plus == 0:
        return np.add(x, np.float32(0), out=out)  # which is no -0
    if plus == 0 and by > _TINY:  # one product is rounded once
        out = np.multiply(x, np.float32(by), out=out)
        out += np.float32(0)
        return out
    wide = x.astype(np.float64)
    wide *= float(np.float32(by))
    wide += float(np.float32(plus))
    if out is None:
        return wide.astype(np.float32)
    np.copyto(out, wide, casting="same_kind")
    return out


def scaled64(x: np.ndarray, by: float, plus: float) -> np.ndarray:
    """x * by + plus in float64 with one rounding."""
    return x + 0.0 if by == 1 and plus == 0 else fma64(x, by, plus)


def _halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``x`` as a sum of two numbers of 26 bits."""
    t = x * _SPLIT
    high = t - (t - x)
    return high, x - high


def rounded(x: Any, dtype: mx.Dtype) -> np.ndarray:
    """Numbers cast to ``dtype`` as in C++: to halves through float32, to small integers by their low bits."""
    x = np.asarray(x)
    if dtype == mx.bfloat16:
        bits = x.astype(np.float32).view(np.uint32)
        even = (bits >> np.uint32(16)) & np.uint32(1)
        cut: np.ndarray = ((bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)).view(np.float32)
        return np.where(np.isnan(x), np.float32(np.nan), cut)
    if dtype == mx.float16:
        return x.astype(np.float32).astype(np.float16)
    if dtype not in DIGITS and dtype != mx.bool_ and x.dtype.kind == "f":
        x = x.astype(np.int64)
    return x.astype(NUMPY[dtype], copy=False)


def as_array(numbers: np.ndarray, dtype: mx.Dtype) -> mx.array:
    """The array of ``dtype`` with these numbers."""
    if dtype == mx.float64:
        return mx.array(numbers, mx.float64)
    # MLX takes memory in less time than an array of NumPy, of which it asks more
    memory: Any = numbers.data if numbers.flags.carray else numbers
    out = mx.array(memory)
    return out if out.dtype == dtype else out.astype(dtype)


Exact = Callable[[np.ndarray], list[float]]


def settled(
    near: np.ndarray, exact: Exact | None, finish: Callable[[np.ndarray], np.ndarray], error: Any = 1.0
) -> np.ndarray:
    """``finish`` of what the libm gives, where NumPy's own functions gave ``near``.

    The two may differ in the last bits of float64, by ``error`` times ``_NEAR``. In float32 that is seen once in
    millions of numbers: where ``finish`` gives different results a little below and above, and there ``exact(places)``
    computes it by the libm. ``finish`` must be monotonic. Without ``exact`` they are equal already.
    """
    out = finish(near)
    if exact is not None:
        spread = np.abs(near) * (error * _NEAR)
        unsure = np.flatnonzero(finish(near - spread) != finish(near + spread))
        if unsure.size:
            out[unsure] = finish(np.array(exact(unsure), np.float64))
    return out


def by_libm(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    """A function of Python's ``math``, which is the platform's libm as in torch's kernels for double."""
    return np.fromiter(map(function, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def log_of(x: float) -> float:
    """The logarithm as in C, where that of 0 is -inf."""
    return math.log(x) if x > 0 else -math.inf
