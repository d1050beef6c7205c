"""What the arguments of an op are to a body that works on channels-last memory, and where their gradients go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._tensor.channels import ChannelsLast, axis_in_memory, to_last
from .._tensor.history import ViewNode
from .._tensor.tensor import Tensor
from .._tensor.views import Permute, Reshape
from ._op import Op
from ._recorded import RecordedLast


class NoOrder(Exception):
    """An operand that broadcasts in a way that channels-last memory does not have."""


def images_of(op: Op, args: Sequence[Any]) -> int:
    """How many dimensions the images have that the body gets in channels-last memory; 0 where it gets torch's."""
    if op.channels == "last":
        return int(args[0]._read().ndim) if isinstance(args[0], Tensor) else 0
    for i, a in enumerate(args):
        for t in a if i in op.lists else (a,):
            if isinstance(t, Tensor) and type(t._storage) is ChannelsLast and t._storage.last is not None:
                return int(t._storage.last.ndim)
    return 0


def in_memory_order(op: Op, i: int, t: Tensor, ndim: int, wanted: bool) -> tuple[mx.array, Any]:
    """The array of ``t`` for a body that works on channels-last memory, and where its gradient goes if it is wanted."""
    storage = t._storage
    if op.channels == "last" and i:  # weights, and indices: the body gets torch's order
        return t._read(), (t._edge or t._to()) if wanted else None
    if type(storage) is ChannelsLast and (last := storage.last) is not None:
        if last.ndim != ndim:
            raise NoOrder
        return last, edge_in_memory(t) if wanted else None
    array = t._read()
    if array.ndim == ndim and (i == 0 or op.channels == "any"):
        return mx.transpose(array, to_last(ndim)), edge_in_memory(t) if wanted else None
    if not array.ndim or op.channels != "any":
        return array, (t._edge or t._to()) if wanted else None
    if array.ndim == ndim - 1 and set(array.shape[1:]) <= {1}:  # (c, 1, 1): one number for each channel
        step = Reshape(array.shape, array.shape[:1])
        return step.forward(array), _through(step, t._to()) if wanted else None
    raise NoOrder


def _through(step: Any, edge: Any) -> Any:
    return None if edge is None else (ViewNode((step,), edge), 0)


def edge_in_memory(t: Tensor) -> Any:
    """Where a gradient of ``t`` in channels-last memory order goes."""
    edge = t._edge or t._to()
    if edge is None:
        return None
    node, k = edge
    if type(node) is RecordedLast and k < node.results:
        return node.own(k)
    shape = t._storage.read().shape
    return _through(Permute(shape, to_last(len(shape))), edge)


def with_dim_in_memory(op: Op, arrays: list[Any], ndim: int) -> None:
    """Have the argument ``dim`` mean the same in channels-last memory."""
    at = op.names.index("dim")
    if isinstance(arrays[at], int):
        arrays[at] = axis_in_memory(arrays[at], ndim)
