"""Views and writes of Tensors: showing a part, overwriting one, and torch's refusals to do so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mlx.core as mx

from .._core.device import LABELLED
from .._core.promotion import NAMES, category
from .._tensor.conversion import origin_of
from .._tensor.history import Parts, PartsNode, ViewNode, WriteNode
from .._tensor.modes import mode
from .._tensor.storage import View, view_of
from .._tensor.tape import Edge
from .._tensor.tensor import Tensor
from .._tensor.views import Permute, Step, overlapping
from .._tensor.written import note
from ._record import NEW


def show(input: Tensor, step: Any, array: mx.array, edge: Edge | None = None) -> Any:
    """The view of ``input``, which holds ``array``, after ``step``; ``edge`` is given where its call is recorded."""
    if type(step) is Parts:
        return _shown_parts(input, step, array)
    out = NEW(Tensor)
    out._storage = storage = view_of(input._storage, step, array)
    base = input._base
    if base is None:
        base = input
    if type(step) is Permute and (input._origin is not None or not isinstance(input._storage, View)):
        origin = origin_of(input)
        if origin is not None:
            out._origin = origin.permuted(step.axes)
    if LABELLED:
        out._keep_label(input._label)
    if not mode.enabled:
        out._unrecorded = base if base._unrecorded is None else base._unrecorded
    else:
        out._base = base
        out._path = (step, input._path)
        out._seen = storage.base.version
        if input._requires_grad:  # up to date, because the array was read
            out._requires_grad = True
            out._edge = edge or (ViewNode((step,), input._edge or input._to()), 0)
    return out


def _shown_parts(input: Tensor, parts: Parts, array: mx.array) -> tuple[Tensor, ...]:
    """Several views at once, with one node for all."""
    if not (mode.enabled and input._requires_grad):
        return tuple([show(input, step, array) for step in parts.steps])
    node = PartsNode(parts, array.dtype, input._edge or input._to())
    return tuple([show(input, step, array, (node, i)) for i, step in enumerate(parts.steps)])


def refuse_write(tensor: Tensor, args: Iterable[Any] = (), kwargs: Mapping[str, Any] = {}) -> None:
    """Torch's refusals of a write in grad mode, before anything is done."""
    if not mode.enabled:
        return
    base = tensor._base
    if base is not None:
        if base.is_leaf and tensor.requires_grad:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    elif tensor.requires_grad and tensor.is_leaf:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    elif tensor._unrecorded is not None and (
        tensor._unrecorded.requires_grad
        or any(isinstance(a, Tensor) and a.requires_grad for a in (*args, *kwargs.values()))
    ):
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Make the view "
            "while recording, or write under no_grad()."
        )
    if tensor._edge is not None and type(tensor._edge[0]) is PartsNode:
        raise RuntimeError(
            f"Output {tensor._edge[1]} of {tensor._edge[0].name()} is a view and is being modified inplace. This view "
            "is the output of a function that returns multiple views. Such functions do not allow the output views to "
            "be modified inplace. You should replace the inplace operation by an out-of-place one."
        )


def refuse_overlap(shape: Sequence[int], strides: Sequence[int]) -> None:
    """Refuse a write through dimensions that are repeated without a copy, in torch's words."""
    if 0 not in shape and any(n > 1 and stride == 0 for n, stride in zip(shape, strides, strict=True)):
        raise overlapping(f"shape {list(shape)} has strides {list(strides)}")


def overwrite(tensor: Tensor, out: Tensor, casts: bool = False, uniform: bool = False) -> Tensor:
    """Put ``out``, computed from ``tensor`` as it was, into the memory of ``tensor``, in its shape and dtype.

    ``casts`` allows a result of a higher category than the tensor's, as ``copy_`` and ``fill_`` do. ``uniform`` says
    that all elements are equal: they may be written through repeated dimensions too.
    """
    storage, old, new = tensor._storage, tensor._storage.read(), out._storage.read()
    if new.shape != old.shape:
        raise RuntimeError(f"output with shape {list(old.shape)} doesn't match the broadcast shape {list(new.shape)}")
    if new.dtype != old.dtype:
        if not casts and category(new.dtype) > category(old.dtype):
            raise RuntimeError(
                f"result type {NAMES[new.dtype]} can't be cast to the desired output type {NAMES[old.dtype]}"
            )
        if out._edge is not None and out._requires_grad:
            out._edge[0].moved(None)
        out = out.to(old.dtype)
        new = out._storage.read()
    steps = tensor._steps() if tensor._base is not None else ()
    if not uniform:
        refuse_overlap(new.shape, storage.strides())
    edge = out._edge if out._requires_grad else None
    storage.array = new
    if edge is None:
        note(storage)
    else:
        if tensor._base is not None:
            write_part(tensor._base, steps, edge, new.shape)
        else:
            tensor._set_edge(edge)
        edge[0].moved(storage)
    if tensor._base is not None and mode.enabled:
        tensor._renew()
    return tensor


def write_part(
    base: Tensor, steps: tuple[Step, ...], edge: Edge | None, shape: tuple[int, ...], dtype: mx.Dtype | None = None
) -> None:
    """Record that the part of ``base`` at ``steps`` was replaced by a value whose gradient goes to ``edge``.

    ``dtype`` is that of the value, where it is another one than the base's.
    """
    before = base._to() if base.requires_grad else None
    base._set_edge((WriteNode(steps, before, edge, shape, dtype), 0))
