"""The norm of many arrays as one vector, also where each process of a group has a part of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import mlx.core as mx

from .._core.cpu import in_two_stages
from .._core.sparse import RowSparse

Leaf: TypeAlias = mx.array | RowSparse
Group: TypeAlias = mx.distributed.Group

_SMALL = 4096  # gradients of up to so many elements are joined into one array: fewer and larger operations


def wide(dtypes: Sequence[mx.Dtype]) -> mx.Dtype:
    """The dtype in which norms of gradients of these dtypes are taken."""
    return mx.float64 if mx.float64 in dtypes else mx.float32


def checked_group(group: Any) -> Group | None:
    """The group, or None where it has one process only. Raises TypeError for what is no group."""
    if group is not None and not isinstance(group, mx.distributed.Group):
        raise TypeError(
            f"group is a {type(group).__name__}, expected what mx.distributed.init() or its split() gives, or None"
        )
    return None if group is None or group.size() == 1 else group


def norm(leaves: Sequence[Leaf], order: float) -> mx.array:
    """``(sum |x|^order)^(1/order)`` over all elements."""
    dtype = wide([g.dtype for g in leaves])
    vectors = _vectors(leaves, order, dtype)
    if not vectors:
        return mx.array(0.0, dtype)
    if order == 0:
        return mx.sum(mx.stack([mx.any(v != 0) for v in vectors])).astype(dtype)
    unit, scale, powers = _measured(vectors, order)
    return unit if math.isinf(order) else _total(scale, powers, order)


def norm_across(parts: Sequence[Leaf], whole: Sequence[Leaf], order: float, group: Group) -> mx.array:
    """The same where each process has other ``parts`` of some arrays, and all have the same ``whole`` ones.

    Every process of the group calls it, also one that has no gradients, and gets the same number, bit for bit. They
    exchange one message of two numbers; for order 0 one number for each part, and all must have as many parts.
    """
    dtype = wide([g.dtype for g in (*parts, *whole)])
    if order == 0:
        flags = [mx.any(_vector(g, order, dtype) != 0) for g in parts]
        common = mx.distributed.all_max(mx.stack(flags).astype(mx.int32), group=group) if flags else mx.array([0])
        return mx.sum(common).astype(dtype) + norm(whole, order).astype(dtype)
    mine, same = (_row(leaves, order, dtype) for leaves in (parts, whole))
    table = mx.concatenate([mx.distributed.all_gather(mine, group=group), same])
    units, powers = table[:, 0], table[:, 1]
    if math.isinf(order):
        return mx.max(units) if order > 0 else mx.min(units)
    if order == 1:
        return mx.sum(powers)
    valid = (units > 0) & (units < math.inf)
    unit = mx.max(mx.where(valid, units, 0)) if order > 0 else mx.min(mx.where(valid, units, math.inf))
    scale = _usable(unit)
    powers = powers * mx.where(valid, mx.power(mx.where(valid, units, scale) / scale, order), 1)
    return _total(scale, mx.sum(powers), order)


def _row(leaves: Sequence[Leaf], order: float, dtype: mx.Dtype) -> mx.array:
    """The unit and the sum of powers of one process, as a row of a table."""
    vectors = _vectors(leaves, order, dtype)
    if not vectors:
        return mx.array([[math.inf if order < 0 else 0.0, 0.0]], dtype)
    unit, _, powers = _measured(vectors, order)
    return mx.stack([unit, powers]).astype(dtype)[None]


def _measured(vectors: list[mx.array], order: float) -> tuple[mx.array, mx.array, mx.array]:
    """(unit, scale, powers), where ``powers`` is the sum of (|x| / scale)^order: so none of them overflows.

    The unit is the largest |x|, and for a negative order the smallest. The scale is the unit, or 1 where one can't
    divide by the unit. For order 1 all three are the sum of the |x|, and for infinite orders they are the unit.
    """
    vectors = _joined(vectors)
    if order == 1:
        total = _over(mx.sum, [mx.abs(v) for v in vectors])
        return total, total, total
    unit = _largest(vectors) if order > 0 else _over(mx.min, [mx.abs(v) for v in vectors])
    if math.isinf(order):
        return unit, unit, unit
    scale = _usable(unit)
    if order == 2:
        return unit, scale, _over(mx.sum, [mx.square(v / scale) for v in vectors])
    return unit, scale, _over(mx.sum, [mx.power(mx.abs(v) / scale, order) for v in vectors])


def _total(scale: mx.array, powers: mx.array, order: float) -> mx.array:
    if order == 1:
        return powers
    return scale * (mx.sqrt(powers) if order == 2 else mx.power(powers, 1 / order))


def _usable(unit: mx.array) -> mx.array:
    """``unit`` where one can divide by it, else 1."""
    return mx.where((unit > 0) & (unit < math.inf), unit, mx.ones_like(unit))


def _vectors(leaves: Sequence[Leaf], order: float, dtype: mx.Dtype) -> list[mx.array]:
    """The leaves that have elements, as vectors."""
    if (math.isinf(order) or order < 0) and any(0 in g.shape for g in leaves):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {order:g} norm on an empty tensor because the operation does not "
            "have an identity"
        )
    return [v for g in leaves if (v := _vector(g, order, dtype)).size]


def _vector(grad: Leaf, order: float, dtype: mx.Dtype) -> mx.array:
    """The elements as real numbers in ``dtype``. Absent rows are zeros, which count for negative orders only."""
    if isinstance(grad, RowSparse):
        rows = grad if grad.dtype == mx.complex64 else grad.astype(dtype)
        grad = rows.dense() if order < 0 else rows.distinct().values
    return (mx.abs(grad) if grad.dtype == mx.complex64 else grad).astype(dtype).reshape(-1)


def _joined(vectors: list[mx.array]) -> list[mx.array]:
    """The same elements with the small vectors as one."""
    small = [v for v in vectors if v.size <= _SMALL]
    if len(small) < 2:
        return vectors
    return [v for v in vectors if v.size > _SMALL] + [mx.concatenate(small)]


def _largest(vectors: list[mx.array]) -> mx.array:
    """The largest |x|, without an array of the |x|."""
    return mx.maximum(_over(mx.max, vectors), -_over(mx.min, vectors))


def _over(fold: Callable[..., mx.array], vectors: list[mx.array]) -> mx.array:
    parts = [in_two_stages(fold, v) for v in vectors]
    return fold(mx.stack(parts)) if len(parts) > 1 else parts[0]
