"""Whether tensors are equal or close, and what kind of number their elements are."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import DEFAULTS, FLOATING, FLOATS, INEXACT, NAMES, compute
from .._tensor.tensor import Tensor
from ._declare import REGISTRY, composed, op
from ._op import Array
from .reduction import all as all_of


@op(channels="any")
def isposinf(input: Array) -> mx.array:
    """Whether it is inf, as booleans."""
    return mx.isposinf(input) if input.dtype in FLOATS else mx.zeros(input.shape, mx.bool_)


@op(channels="any")
def isneginf(input: Array) -> mx.array:
    """Whether it is -inf, as booleans."""
    return mx.isneginf(input) if input.dtype in FLOATS else mx.zeros(input.shape, mx.bool_)


@op(channels="any")
def isreal(input: Array) -> mx.array:
    """Whether it has no imaginary part, as booleans."""
    return mx.imag(input) == 0 if input.dtype == mx.complex64 else mx.ones(input.shape, mx.bool_)


def _is_tensor(other: Any) -> None:
    if not isinstance(other, (Tensor, mx.array)):
        raise TypeError(f"argument 'other' (position 2) must be Tensor, not {type(other).__name__}")


@op(channels="any")
def isclose(input: Array, other: Array, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> mx.array:
    """Whether abs(input - other) <= atol + rtol * abs(other); with ``equal_nan`` NaN is close to NaN."""
    _is_tensor(other)
    if input.dtype != other.dtype:
        raise RuntimeError(f"{NAMES[input.dtype]} did not match {NAMES[other.dtype]}")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance:g}")
    close = input == other
    if equal_nan and input.dtype in INEXACT:
        close = close | (mx.isnan(input) & mx.isnan(other))
    if rtol == 0 and atol == 0:
        return close
    if other.dtype not in INEXACT:
        other = other.astype(DEFAULTS[FLOATING])
    allowed = compute(mx.add, mx.abs(compute(mx.multiply, other, rtol)), atol)
    error = mx.abs(compute(mx.subtract, input, other))
    return close | (mx.isfinite(error) & (error <= allowed))


@composed
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as a bool of Python: see ``isclose``."""
    return bool(all_of(isclose(input, other, rtol, atol, equal_nan)))


@composed
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and the same elements, as a bool of Python."""
    try:
        _is_tensor(other)
    except TypeError as error:
        raise TypeError(f"equal(): {error}") from None
    return input.shape == other.shape and bool(all_of(REGISTRY["eq"].function(input, other)))
