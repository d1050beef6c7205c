"""Quotients that are rounded, and what is left of them, on arrays: torch's values where a quotient is nearly whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .._core.bounds import LOOKED_AT
from .._core.cpu import on_cpu
from .._core.promotion import FLOATS, INEXACT, result_type
from .._core.trace import value


def array_like(x: Any, other: Any) -> mx.array:
    """``x`` as an array: a number takes the dtype of ``other``."""
    return x if isinstance(x, mx.array) else mx.array(x, other.dtype)


def towards_zero(x: mx.array) -> mx.array:
    """``x`` without its fraction."""
    return mx.where(x < 0, mx.ceil(x), mx.floor(x))


def check_division(input: Any, other: Any) -> None:
    """Refuse a division of integers by 0; of tensors the values are looked at as those of an index are."""
    if result_type(input, other) in INEXACT:
        return
    if not isinstance(other, mx.array):
        zero = other == 0
    else:
        looked_at = 0 < other.size <= LOOKED_AT and on_cpu()
        zero = looked_at and bool(value(mx.any(other == 0)))
    if zero:
        raise RuntimeError("ZeroDivisionError")


def left_over(x: Any, y: Any) -> mx.array:
    """What is left of ``x`` by a division by ``y`` that is rounded towards zero: it has the sign of ``x``."""
    x, y = array_like(x, y), array_like(y, x)
    left = mx.remainder(x, y)
    if x.dtype not in FLOATS:
        return mx.where((left != 0) & ((x < 0) != (y < 0)), left - y, left)
    left = mx.remainder(mx.abs(x), mx.abs(y))
    left = mx.where((x < 0) | ((x == 0) & (mx.reciprocal(x) < 0)), -left, left)
    return mx.where(mx.isfinite(x) & mx.isinf(y), x, left)


def floored(x: Any, y: Any) -> mx.array:
    """``x / y`` rounded down: from the remainder, because the quotient alone may have been rounded up."""
    x, y = array_like(x, y), array_like(y, x)
    left = left_over(x, y)
    below = (left != 0) & ((left < 0) != (y < 0))
    if x.dtype not in FLOATS:
        quotient = (mx.abs(x) // mx.abs(y)) * mx.sign(x) * mx.sign(y)
        return quotient - below.astype(quotient.dtype)
    plain = mx.divide(x, y)
    quotient = mx.divide(x - left, y) - below.astype(x.dtype)
    down = mx.floor(quotient)
    down = mx.where(quotient - down > 0.5, down + 1, down)
    down = mx.where(quotient == 0, towards_zero(plain / 2) * 0, down)
    return mx.where(y == 0, plain, down)


def underivable(name: str) -> Callable[[mx.array], mx.array]:
    """The formula of a derivative that torch has not."""

    def refuse(g: mx.array) -> mx.array:  # noqa: ARG001 - torch's error comes when a gradient arrives
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return refuse
