"""What torch refuses: bounds of random numbers that are in the wrong order, or that a dtype does not have."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import COMPLEX, FLOATS, IN_C, INEXACT, NAMES, category
from ._rounding import DIGITS, NUMPY, rounded

#: The real dtypes of most kernels: not the unsigned integers that torch got late.
COMMON = NUMPY.keys() - {mx.uint16, mx.uint32, mx.uint64}
_LEAST = -(2**63)


@functools.cache
def largest(dtype: mx.Dtype) -> Any:
    """The largest number of a dtype, as a Python number."""
    if dtype == mx.bool_:
        return 1
    if dtype == mx.bfloat16:
        return 255 * 2.0**120
    kind = NUMPY[dtype]
    return float(np.finfo(kind).max) if dtype in FLOATS else int(np.iinfo(kind).max)


def _least(dtype: mx.Dtype) -> Any:
    if dtype in FLOATS:
        return -largest(dtype)
    return 0 if dtype == mx.bool_ else int(np.iinfo(NUMPY[dtype]).min)


def _inside(what: str, value: Any, dtype: mx.Dtype) -> None:
    if not _least(dtype) <= value <= largest(dtype):
        raise RuntimeError(f"{what} is out of bounds for {IN_C[dtype]}")


def refuse_dtype(kernel: str, dtype: mx.Dtype, accepted: Any = INEXACT) -> None:
    """Refuse a dtype as a kernel of torch does."""
    if dtype not in accepted:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAMES[dtype]}'")


def refuse_uniform(low: float, high: float, dtype: mx.Dtype) -> None:
    """Refuse bounds of a uniform number."""
    if dtype == mx.float32 and -1 <= low <= high <= 1:
        return  # the usual ones
    refuse_dtype("check_uniform_bounds", dtype)
    real = mx.float32 if dtype == mx.complex64 else dtype
    _inside("from", low, real)
    _inside("to", high, real)
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if high - low > largest(real):
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{NAMES[real]}>::max(), but found to={high:g} and "
            f"from={low:g} which result in to-from to exceed the limit"
        )


def refuse_normal(std: float, dtype: mx.Dtype) -> None:
    """Refuse a negative standard deviation."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    refuse_dtype("normal_kernel_cpu", dtype)


def refuse_continuous(name: str, dtype: mx.Dtype) -> None:
    """Refuse integers for a distribution that has a density."""
    if dtype not in FLOATS:
        said = IN_C[dtype] if name == "Cauchy" else NAMES[dtype]
        raise RuntimeError(
            f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {said}"
        )


def integers(low: int, high: int, dtype: mx.Dtype) -> tuple[int, int]:
    """The first of the integers from ``low`` up to ``high`` that ``dtype`` can hold, and how many there are."""
    if not low < high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if dtype == mx.int64:
        return low, high - low  # it has all
    if dtype in DIGITS:
        low, high = _up(low, dtype), _down(high, dtype)
        if not low < high:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got "
                f"from={low} >= to={high}"
            )
    _fit(low, high - 1, dtype)
    return low, high - low


def integers_from(low: int, dtype: mx.Dtype) -> tuple[int, int] | None:
    """The same up to the largest that ``dtype`` has; None for all integers of 64 bits."""
    if low == _LEAST:
        if dtype not in (*DIGITS, mx.int64, mx.bool_):
            raise RuntimeError("random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16")
        refuse_dtype("random_full_64_bits_range_kernel_cpu", dtype, (mx.int64, mx.float64, mx.float32, mx.bfloat16))
        return None
    if dtype in DIGITS:
        last = 2 ** DIGITS[dtype]
        low = _up(low, dtype)
        if not low < last:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, but got "
                f"from={low} > to_inc={last}"
            )
    elif dtype == mx.uint64:
        raise RuntimeError(f"to - 1 is out of bounds for {IN_C[dtype]}")
    else:
        last = largest(dtype)
    _fit(low, last, dtype)
    return low, last - low + 1


def _fit(low: int, last: int, dtype: mx.Dtype) -> None:
    """Refuse bounds that ``dtype`` does not have; warn of floats that are too large to be next to each other."""
    if category(dtype) == COMPLEX:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    _inside("from", low, dtype)
    _inside("to - 1", last, dtype)
    digits = DIGITS.get(dtype, 64)
    for what, value in (("from", low), ("to - 1", last)):
        if abs(value) > 2**digits:
            warnings.warn(
                f"{what} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {IN_C[dtype]} can "
                "support discrete uniform distribution only within this range.",
                UserWarning,
                stacklevel=4,
            )


def _as_float(value: int, dtype: mx.Dtype) -> int:
    """An integer that was cast to a float and back, as C++ does on x86."""
    with np.errstate(over="ignore"):
        cast = float(rounded(np.float64(value), dtype))
    return int(cast) if math.isfinite(cast) and abs(cast) < 2.0**63 else _LEAST


def _up(low: int, dtype: mx.Dtype) -> int:
    near = _as_float(low + 1, dtype)
    return near + 2 ** max(abs(low + 1).bit_length() - DIGITS[dtype], 0) if near < low else low


def _down(high: int, dtype: mx.Dtype) -> int:
    near = _as_float(high - 1, dtype)
    return near - 2 ** max(abs(high - 1).bit_length() - DIGITS[dtype], 0) if near >= high else high
