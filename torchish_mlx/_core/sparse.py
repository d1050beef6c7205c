"""A gradient of some rows of a matrix, such as an embedding's: MLX has no sparse arrays."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

from .bounds import inside


class RowSparse:
    """Rows of a gradient: row ``indices[i]`` has the value ``values[i]``; all other rows are absent (not zero).

    An index may come twice; its values are then summed, as torch's ``coalesce`` does.

    Args:
        indices: integer array of shape (n,), each in [0, shape[0]).
        values: array of shape ``(n, *shape[1:])``. For a 0-d parameter (shape ``()``), one "row" of shape (1,).
        shape: shape of the whole gradient.

    Raises:
        ValueError: the shapes do not fit together.
        RuntimeError: an index is outside, in torch's words. Where it can't be looked at (more than 65,536 indices, a
            GPU, a traced step), it is clamped.

    Example:
        >>> import mlx.core as mx
        >>> g = RowSparse(mx.array([0, 2]), mx.ones((2, 3)), (4, 3))
        >>> g.dense().sum(axis=1).tolist()
        [3.0, 0.0, 3.0, 0.0]
    """

    is_sparse = True

    def __init__(self, indices: mx.array, values: mx.array, shape: Sequence[int]) -> None:
        self.indices, self.values, self.shape = indices, values, tuple(shape)
        self._check()
        self.indices = inside(indices, (self.shape or (1,))[0], self._outside, negative=False)

    def _outside(self, wrong: int) -> RuntimeError:
        if wrong < 0:
            return RuntimeError(f"found negative index {wrong} for dim 0")
        size = (self.shape or (1,))[0]
        return RuntimeError(f"size is inconsistent with indices: for dim 0, size is {size} but found index {wrong}")

    def _check(self) -> None:
        indices, values = self.indices, self.values
        row = self.shape[1:]
        if indices.ndim != 1 or tuple(values.shape) != (indices.size, *row):
            raise ValueError(
                f"rows of a gradient of shape {self.shape} need indices of shape (n,) and values of shape "
                f"(n{''.join(f', {d}' for d in row)}), but got {tuple(indices.shape)} and {tuple(values.shape)}"
            )

    @property
    def dtype(self) -> mx.Dtype:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions of the whole gradient."""
        return len(self.shape)

    def astype(self, dtype: mx.Dtype) -> RowSparse:
        """The same rows, with the values in ``dtype``."""
        return self._with(self.indices, self.values.astype(dtype))

    def _with(self, indices: mx.array, values: mx.array) -> RowSparse:
        """Rows of the same gradient, whose indices are inside already."""
        made = RowSparse.__new__(RowSparse)
        made.indices, made.values, made.shape = indices, values, self.shape
        return made

    def __add__(self, other: mx.array | RowSparse) -> mx.array | RowSparse:
        return added(self, other)

    def __neg__(self) -> RowSparse:
        return self._with(self.indices, -self.values)

    def dense(self) -> mx.array:
        """The same gradient as one array, with zeros in the absent rows."""
        rows = mx.zeros(self.shape or (1,), self.dtype).at[self.indices].add(self.values)
        return rows.reshape(self.shape)

    def coalesced(self) -> RowSparse:
        """Sorted by index, each entry holding the sum over its index (which then occurs as often as before)."""
        if self.indices.size < 2:
            return self
        order = mx.argsort(self.indices)
        indices, values = self.indices[order], self.values[order]
        segment = mx.concatenate([mx.zeros((1,), mx.int32), mx.cumsum((indices[1:] != indices[:-1]).astype(mx.int32))])
        return self._with(indices, mx.zeros_like(values).at[segment].add(values)[segment])

    def distinct(self) -> RowSparse:
        """As ``coalesced``, but one entry of an index holds its sum and the others zeros: the same gradient."""
        if self.indices.size < 2:
            return self
        rows = self.coalesced()
        first = mx.concatenate([mx.array([True]), rows.indices[1:] != rows.indices[:-1]])
        first = first.reshape(-1, *[1] * (rows.values.ndim - 1))
        return self._with(rows.indices, mx.where(first, rows.values, mx.zeros_like(rows.values)))

    def __repr__(self) -> str:
        return f"RowSparse(indices={self.indices}, values={self.values}, shape={self.shape})"


def added(a: mx.array | RowSparse, b: mx.array | RowSparse) -> mx.array | RowSparse:
    """The sum of two gradients of one parameter; of rows only where both are."""
    if isinstance(a, RowSparse) and isinstance(b, RowSparse):
        indices, values = mx.concatenate([a.indices, b.indices]), mx.concatenate([a.values, b.values])
        return a._with(indices, values)
    return (a.dense() if isinstance(a, RowSparse) else a) + (b.dense() if isinstance(b, RowSparse) else b)
