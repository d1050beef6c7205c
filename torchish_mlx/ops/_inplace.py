"""Writing into a Tensor: in-place ops, ``out=``, and views, recorded where a gradient is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._core.promotion import NAMES, category
from .._tensor.storage import View
from .._tensor.tape import mode
from .._tensor.tensor import Tensor, origin_of
from .._tensor.views import Permute, Step, apply, joined, write
from ._call import OpNode, call
from ._op import Op

_CAST = Op("to", lambda input, dtype: input.astype(dtype), {})
_VIEW = Op("view", lambda input, steps: apply(input, steps), {})
_WRITE = Op("copy_slices", lambda input, value, steps: write(input, value, steps), {})


def view(tensor: Tensor, step: Step) -> Tensor:
    """The view of ``tensor`` after ``step``, sharing its storage; recorded where a gradient is wanted."""
    out = Tensor.__new__(Tensor)
    out._storage = View(tensor._storage, (step,))
    if isinstance(step, Permute) and (origin := origin_of(tensor)) is not None:
        out._origin = origin.permuted(step.axes)
    if mode.enabled:
        if tensor._base is None:
            out._base, out._path = tensor, (step,)
        else:
            out._base, out._path = tensor._base, joined(tensor._path, step)
        out._follow = _follow
        _renew(out)
    return out


def _follow(tensor: Tensor) -> None:
    """Bring the grad_fn of a view up to date after a write to what it shows."""
    if tensor._seen != tensor._storage.version:
        _renew(tensor)


def _renew(tensor: Tensor) -> None:
    base = tensor._base
    assert base is not None
    tensor._seen = tensor._storage.version
    if not base.requires_grad:
        return
    before, mode.enabled = mode.enabled, True
    try:
        again = call(_VIEW, (base, tensor._path), {})
    finally:
        mode.enabled = before
    tensor._grad_fn, tensor._index, tensor._requires_grad = again._grad_fn, again._index, True


def run_inplace(op: Op, tensor: Tensor, args: Sequence[Any], kwargs: dict[str, Any], casts: bool = False) -> Tensor:
    """``tensor`` overwritten by ``op(tensor, *args)``, in its own shape and dtype.

    ``casts`` allows a result of a higher category than the tensor's, as ``copy_`` and ``fill_`` do.
    """
    if mode.enabled:
        _refuse_leaf(tensor, args, kwargs)
    out = call(op, (tensor, *args), kwargs, inplace=True)
    array, result = tensor._storage.read(), out._storage.read()
    if result.shape != array.shape:
        raise RuntimeError(
            f"output with shape {list(array.shape)} doesn't match the broadcast shape {list(result.shape)}"
        )
    if not casts and category(result.dtype) > category(array.dtype):
        raise RuntimeError(
            f"result type {NAMES[result.dtype]} can't be cast to the desired output type {NAMES[array.dtype]}"
        )
    if result.dtype != array.dtype:
        out = call(_CAST, (out, array.dtype), {})
    store(tensor, out)
    return tensor


def store(tensor: Tensor, out: Tensor) -> None:
    """Put ``out`` into the storage of ``tensor``, and its history into ``tensor`` and what it is a view of."""
    if out._grad_fn is None or tensor._base is None:
        tensor._storage.array = out._storage.read()
        if out._grad_fn is not None:
            tensor._grad_fn, tensor._index, tensor._requires_grad = out._grad_fn, out._index, True
            node = out._grad_fn
            if isinstance(node, OpNode) and node.result is not None:
                node.keep_result(tensor)
        return
    base = tensor._base
    whole = call(_WRITE, (base, out, tensor._path), {}, inplace=True)
    store(base, whole)
    if isinstance(out._grad_fn, OpNode) and out._grad_fn.result is not None:
        out._grad_fn.keep_result(tensor)
    _renew(tensor)


def _refuse_leaf(tensor: Tensor, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    base = tensor._base
    if base is not None:
        if base.requires_grad and base.is_leaf:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    elif tensor.requires_grad and tensor.is_leaf:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    elif isinstance(tensor._storage, View) and any(
        isinstance(a, Tensor) and a.requires_grad for a in (*args, *kwargs.values())
    ):
        raise RuntimeError(
            "A view was created in no_grad mode (or by detach) and is being modified inplace with grad mode enabled. "
            "Make the view while recording, or write under no_grad()."
        )


def write_out(name: str, result: Any, out: Any) -> Any:
    """``out=`` of a function: put the result there, in the dtype of ``out`` and the shape of the result."""
    if isinstance(out, (tuple, list)):
        return type(result)(*[write_out(name, r, o) for r, o in zip(result, out, strict=True)])
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if mode.enabled and (out.requires_grad or result.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    array, mine = result._storage.read(), out._storage.read()
    if category(array.dtype) > category(mine.dtype):
        raise RuntimeError(
            f"result type {NAMES[array.dtype]} can't be cast to the desired output type {NAMES[mine.dtype]}"
        )
    if array.shape != mine.shape and mine.size:
        raise RuntimeError(
            f"{name}(): out has shape {list(mine.shape)}, the result has shape {list(array.shape)}: give an out of "
            "the result's shape or an empty one"
        )
    out._storage.array = array.astype(mine.dtype)
    return out
