"""``average_gradients_``: ``mlx.nn.average_gradients`` for the gradients that ``backward`` left in the parameters."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx.nn import average_gradients

from ..._core.alone import Alone
from ..._core.evaluation import arrays_in, schedule
from ..._core.sparse import RowSparse
from ..._docs import see
from ..._tensor.tensor import Tensor
from ...optimizers._norm import Group, checked_group
from ._parameters import Given, ParametersT, leaf_of

_DTYPES = (mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64)


def average_gradients_(
    parameters: ParametersT,
    group: Group | None = None,
    all_reduce_size: int = 32 * 1024**2,
    communication_stream: Any = None,
) -> None:
    """Replace each ``.grad`` by its mean over the processes of a group; call it after ``backward`` and before ``step``.

    Every process calls it with the same parameters in the same order. Where a process has no gradient of a parameter
    that is trained, as where its part of the batch did not use it, its share is zero; where none has one, it stays
    None, and ``step`` leaves the parameter as it is. Frozen parameters without a gradient are left out. Gradients of
    rows (``RowSparse``) stay gradients of rows: those of all processes, divided by the number of processes.

    The means are scheduled for evaluation. It waits for the other processes only where a gradient is None or has rows.

    Args:
        parameters: an iterable of Tensors, a Tensor, or an ``mlx.nn.Module``.
        group: the processes, as ``mx.distributed.init()`` or its ``split()`` gives them. None: all of them.
        all_reduce_size: small gradients are sent together until they have so many bytes; 0 sends each by itself.
        communication_stream: the stream on which it is sent; None leaves that to MLX.

    Raises:
        TypeError: ``parameters`` is a tree of arrays (``mlx.nn.average_gradients`` takes one), ``group`` is no group.
        RuntimeError: a gradient is None or has rows, in a function that ``mx.compile`` traces.

    With one process it does nothing.

    Example:
        >>> from torchish_mlx import Parameter, tensor
        >>> p = Parameter([1.0])
        >>> p.grad = tensor([8.0])
        >>> average_gradients_([p])  # of one process, here
        >>> p.grad
        tensor([8.])

    Source: ``mlx.nn.average_gradients``; ``torch.nn.parallel.DistributedDataParallel``.
    """
    tensors = [t for t in Given(parameters).tensors if t.requires_grad or t.grad is not None]
    several = checked_group(mx.distributed.init() if group is None else group)
    if several is None or not tensors:
        return
    with Alone("average_gradients_()", tensors, lambda: tensors):
        _average(tensors, several, all_reduce_size, communication_stream)


def _average(tensors: list[Tensor], group: Group, all_reduce_size: int, stream: Any) -> None:
    mine = [_kind(t.grad) for t in tensors]
    asks = not all(0 < kind <= len(_DTYPES) for kind in mine)
    if asks and not schedule(arrays_in([t.grad for t in tensors], tensors)):
        raise RuntimeError(
            "average_gradients_() asks the other processes about a gradient that is None or has rows, which it can't "
            "do in a function that mx.compile traces: give it the parameters that have a gradient, or call it outside "
            "of the compiled function" + see("a-value-that-is-read-in-a-compiled-step")
        )
    # The first message says which gradients a process has. One that has all of them as arrays waits for no answer.
    kinds = mx.distributed.all_max(mx.array(mine, mx.int32), group=group, stream=stream)
    common: Any = kinds.tolist() if asks else mine
    dense = [(t, kind) for t, kind in zip(tensors, common, strict=True) if 0 < kind <= len(_DTYPES)]
    rows = [(t, kind - len(_DTYPES)) for t, kind in zip(tensors, common, strict=True) if kind > len(_DTYPES)]
    arrays: Any = [mx.zeros(t.shape, _DTYPES[k - 1]) if t.grad is None else leaf_of(t.grad) for t, k in dense]
    arrays = mx.depends(arrays, kinds) if arrays else []  # so that messages go in the same order in all processes
    means = average_gradients(arrays, group, all_reduce_size, stream)
    schedule(kinds, means)
    gathered = [_gathered(t, _DTYPES[k - 1], group, stream) for t, k in rows]
    schedule(arrays_in(gathered))
    for (tensor, _), mean in zip(dense, means, strict=True):
        if tensor.grad is None:
            tensor.grad = mean
        else:
            tensor.grad.array = mean
    for (tensor, _), new in zip(rows, gathered, strict=True):
        tensor.grad = new


def _kind(grad: Any) -> int:
    """0 for None, the number of the dtype for an array, and a higher one for rows."""
    if grad is None:
        return 0
    return 1 + _DTYPES.index(grad.dtype) + len(_DTYPES) * isinstance(grad, RowSparse)


def _gathered(tensor: Tensor, dtype: mx.Dtype, group: Group, stream: Any) -> RowSparse:
    """The rows of all processes, which may have different numbers of them, divided by the number of processes."""
    shape, grad = tuple(tensor.shape), tensor.grad
    if grad is None:
        grad = RowSparse(mx.zeros((0,), mx.int64), mx.zeros((0, *shape[1:]), dtype), shape)
    counts: Any = mx.distributed.all_gather(mx.array([grad.indices.size]), group=group, stream=stream).tolist()
    most = max(counts)
    padding = most - grad.indices.size
    indices = mx.pad(grad.indices.astype(mx.int64), (0, padding))
    values = mx.pad(grad.values, [(0, padding)] + [(0, 0)] * (grad.values.ndim - 1))
    if not most:
        return grad
    indices = mx.distributed.all_gather(indices, group=group, stream=stream)
    values = mx.distributed.all_gather(mx.depends(values, indices), group=group, stream=stream)
    kept = mx.array([r * most + i for r, count in enumerate(counts) for i in range(count)])
    return RowSparse(indices[kept], values[kept] / group.size(), shape)
