"""The rows of an embedding, and classes as rows of zeros and a one."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.bounds import inside
from .._core.promotion import HALVES, NAMES, widened
from .._core.sparse import RowSparse
from .._core.trace import value
from .._tensor.modes import mode, no_grad
from .._tensor.tensor import Tensor, wrap
from ._declare import composed, op
from ._op import Array
from .indexing import positions
from .reduction import norm


def _rows_gradient(
    g: mx.array,
    weight_shape: tuple[int, ...],
    indices: mx.array,
    padding_idx: int,
    scale_grad_by_freq: bool,
    sparse: bool,
) -> Any:
    """g added up in the rows that were taken; none in the row of the padding."""
    at = mx.clip(mx.reshape(indices, (-1,)), 0, max(weight_shape[0] - 1, 0))
    rows = mx.reshape(g, (at.size, *weight_shape[1:]))
    if sparse:
        return _sparse(rows, at, weight_shape, padding_idx)
    zeros = mx.zeros(weight_shape, mx.float32 if g.dtype in HALVES else g.dtype)
    if not g.size:
        return zeros.astype(g.dtype)
    rows = widened(rows)
    if scale_grad_by_freq:
        counts = mx.zeros(weight_shape[:1], rows.dtype).at[at].add(mx.ones(at.shape, rows.dtype))
        rows = rows / mx.expand_dims(counts[at], 1)
    if padding_idx >= 0:
        rows = mx.where(mx.expand_dims(at == padding_idx, 1), 0, rows)
    return zeros.at[at].add(rows).astype(g.dtype)


def _sparse(rows: mx.array, at: mx.array, shape: tuple[int, ...], padding_idx: int) -> RowSparse:
    if mode.enabled:
        raise RuntimeError(
            "embedding(): the gradient of sparse=True has no derivative. Call backward() without create_graph=True, or "
            "embedding() without sparse=True."
        )
    if padding_idx >= 0 and at.size:
        kept = positions(at != padding_idx)[0]
        rows, at = rows[kept], at[kept]
    return RowSparse(at, rows, shape)


@op(grad={"weight": _rows_gradient}, name="embedding.rows", function=False, method=False)
def _rows(
    weight: Array,
    indices: Array,
    padding_idx: int,  # noqa: ARG001 - the gradient asks for it
    scale_grad_by_freq: bool,  # noqa: ARG001
    sparse: bool,  # noqa: ARG001
) -> mx.array:
    """The rows of ``weight``."""
    at = _inside(weight, indices)
    if not indices.size:
        return mx.zeros((*indices.shape, weight.shape[1]), weight.dtype)
    return mx.take(weight, at, axis=0)


def _inside(weight: mx.array, indices: mx.array) -> mx.array:
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if indices.dtype not in (mx.int64, mx.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{NAMES[indices.dtype]}Tensor instead (while checking arguments for embedding)"
        )
    return inside(indices, weight.shape[0], lambda _: IndexError("index out of range in self"), negative=False)


@composed(method=False, shape="that of ``indices``, and then that of a row of ``weight``")
def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of a matrix that ``indices`` name; the row ``padding_idx`` gets no gradient.

    With ``sparse`` the gradient is a ``RowSparse``, which has the rows that were taken and no others. Then ``weight``
    is a leaf, such as a Parameter.
    """
    if sparse and mode.enabled and weight.requires_grad:
        if scale_grad_by_freq:
            raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
        if not weight.is_leaf or weight._base is not None:
            raise RuntimeError(
                "embedding(): sparse=True needs a weight that is a leaf, such as a Parameter: a gradient of rows can't "
                "be sent on to what the weight was computed from. Call it without sparse=True."
            )
    rows: Tensor = _rows(weight, indices, padding_idx, scale_grad_by_freq, sparse)
    return rows


def _shorten(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are taken and longer than ``max_norm`` to that length, in place."""
    array = weight.array
    at = mx.reshape(_inside(array, indices.array), (-1,))
    if not at.size:
        return
    rows = widened(array[at])
    length = norm(wrap(rows), norm_type, 1, True).array
    rows = mx.where(length > max_norm, rows * (max_norm / (length + 1e-7)), rows).astype(array.dtype)
    new = mx.array(array)
    new[at] = rows
    with no_grad():
        weight.copy_(wrap(new))


@composed(module="nn.functional", name="embedding", shape="that of ``input``, and then that of a row of ``weight``")
def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of the matrix ``weight`` that ``input`` names; the row ``padding_idx`` gets no gradient.

    With ``max_norm`` the rows that are taken are shortened in place first, to that ``norm_type``-norm. With ``sparse``
    the gradient is a ``RowSparse``, which has the rows that were taken and no others; then ``weight`` is a leaf.

    Raises:
        IndexError: a row that is not there; of up to 65,536, in an eager step on the CPU. Others are clamped.
        AssertionError: ``padding_idx`` is no row.
        RuntimeError: indices that are not int64 or int32; ``sparse`` for a weight that is no leaf.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.embedding(torch.tensor([2, 0]), torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    tensor([[4., 5.],
            [0., 1.]])
    """
    if padding_idx is None:
        padding_idx = -1
    else:
        count = weight.shape[0]
        if not -count <= padding_idx < max(count, 1):
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx = padding_idx + count if padding_idx < 0 else padding_idx
    if max_norm is not None:
        _shorten(weight, input, max_norm, norm_type)
    return embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)


@composed(module="nn.functional", shape="that of ``input``, and then ``num_classes``")
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Zeros, and a one at the place that each int64 class names.

    Without ``num_classes`` there is one place more than the largest class says.

    Raises:
        RuntimeError: a class is negative, or not less than ``num_classes``. In a traced step, where they can't be
            looked at, such a class has zeros only, and ``num_classes`` must be given.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.one_hot(torch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    array = input.array
    if array.dtype != mx.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not array.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(mx.zeros((*array.shape, num_classes), mx.int64))
    least, most = value(mx.min(array)), value(mx.max(array))
    if least is not None and least < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        if most is None:
            raise RuntimeError("one_hot(): the classes of a traced step can't be looked at: give num_classes")
        num_classes = int(most) + 1
    elif num_classes < 1 or (most is not None and most >= num_classes):
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap((mx.expand_dims(array, -1) == mx.arange(num_classes)).astype(mx.int64))
