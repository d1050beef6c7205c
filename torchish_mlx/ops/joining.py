"""Joining tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import mlx.core as mx

from .._core.promotion import cast, result_type
from ._declare import op
from ._op import Tensors
from .reduction import axis


def _cat_gradients(g: mx.array, tensors_shape: Sequence[tuple[int, ...]], dim: int) -> list[mx.array]:
    """The part of g that belongs to each; an empty vector, which torch leaves out, has none."""
    where = axis(g.ndim, dim)
    ends = [*accumulate(shape[where] for shape in tensors_shape if shape != (0,))][:-1]
    parts = iter(mx.split(g, ends, axis=where) if ends else [g])
    return [mx.zeros(shape, g.dtype) if shape == (0,) else next(parts) for shape in tensors_shape]


@op(
    grad={"tensors": _cat_gradients},
    shape="that of the tensors, with their sizes along ``dim`` added up",
    method=False,
    aliases=("concat", "concatenate"),
    channels="dim",
)
def cat(tensors: Tensors, dim: int = 0) -> mx.array:
    """The tensors one after the other along ``dim``."""
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    dtype = result_type(*tensors)
    for i, t in enumerate(tensors):
        if not t.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    filled = [t for t in tensors if t.shape != (0,)] or list(tensors[:1])
    where = axis(filled[0].ndim, dim)
    for i, t in enumerate(filled):
        if t.ndim != filled[0].ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {filled[0].ndim} and {t.ndim}")
        for d, (a, b) in enumerate(zip(filled[0].shape, t.shape, strict=True)):
            if d != where and a != b:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {where}. Expected size {a} but got size {b} for "
                    f"tensor number {i} in the list."
                )
    return mx.concatenate([cast(t, dtype) for t in filled], axis=where)


def _stack_gradients(g: mx.array, tensors_shape: Sequence[tuple[int, ...]], dim: int) -> list[mx.array]:
    where = axis(len(tensors_shape[0]) + 1, dim)
    return [mx.squeeze(part, where) for part in mx.split(g, len(tensors_shape), axis=where)]


@op(
    grad={"tensors": _stack_gradients},
    shape="that of a tensor, with a new dimension at ``dim``",
    method=False,
)
def stack(tensors: Tensors, dim: int = 0) -> mx.array:
    """The tensors along a new dimension."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, t in enumerate(tensors):
        if t.shape != tensors[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at entry 0 and "
                f"{list(t.shape)} at entry {i}"
            )
    dtype = result_type(*tensors)
    return mx.stack([cast(t, dtype) for t in tensors], axis=axis(tensors[0].ndim + 1, dim))
