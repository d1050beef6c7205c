"""Indexing: ``x[key]``, ``x[key] = value``, ``gather`` and ``select``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import INEXACT, cast
from .._tensor.modes import mode
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor
from .._tensor.views import Expand, Index
from ._call import attach, composed, op
from ._op import Array
from ._view import overwrite, refuse_write, show, write_part
from .reduction import axis


def _normal(shape: tuple[int, ...], key: Any) -> tuple[list[Any], bool]:
    """The key as a list without Ellipsis, and whether it is basic (ints, slices, None)."""
    parts = list(key) if isinstance(key, tuple) else [key]
    basic = True
    used = 0
    for i, k in enumerate(parts):
        if isinstance(k, (np.generic, np.ndarray)):
            k = parts[i] = k.item() if k.ndim == 0 else mx.array(np.asarray(k))
        if isinstance(k, (list, range)):
            k = parts[i] = mx.array(list(k))
        if isinstance(k, Tensor) and not k.array.ndim and k.dtype != mx.bool_:
            k = parts[i] = int(k)
        if k is None or k is Ellipsis:
            continue
        used += 1
        if isinstance(k, bool):
            raise IndexError("a bool is no index here: use unsqueeze(0), or a mask")
        if isinstance(k, int):
            continue
        if isinstance(k, slice):
            parts[i] = slice(*[None if s is None else int(s) for s in (k.start, k.stop, k.step)])
            if parts[i].step is not None and parts[i].step <= 0:
                raise ValueError("step must be greater than zero")
            continue
        array = k.array if isinstance(k, Tensor) else k
        if not isinstance(array, mx.array) or array.dtype in INEXACT:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and tensors of integers are valid indices "
                f"(got {type(k).__name__})"
            )
        if array.dtype == mx.bool_:
            raise IndexError(
                "an index by a mask has a shape that depends on values, which MLX does not have: use "
                "torch.where(mask, x, y), or multiply by the mask"
            )
        basic = False
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    if sum(k is Ellipsis for k in parts) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    for i, k in enumerate(parts):
        if k is Ellipsis:
            parts[i : i + 1] = [slice(None)] * (len(shape) - used)
            break
    axis_at = 0
    for k in parts:
        if k is None:
            continue
        if isinstance(k, int) and not -shape[axis_at] <= k < shape[axis_at]:
            raise IndexError(f"index {k} is out of bounds for dimension {axis_at} with size {shape[axis_at]}")
        axis_at += 1
    return parts, basic


def _scattered(g: mx.array, input_shape: tuple[int, ...], key: Sequence[Any]) -> mx.array:
    return mx.zeros(input_shape, g.dtype).at[tuple(key)].add(g)


@op(grad={"input": _scattered}, name="index.arrays", function=False, method=False)
def _taken(input: Array, key: Any) -> mx.array:
    """The elements at arrays of indices."""
    return input[tuple(key)]


@composed(name="__getitem__", function=False)
def getitem(input: Tensor, key: Any) -> Tensor:
    """``input[key]``: a view for ints, slices and None, a copy for tensors of integers."""
    array = input._read()
    parts, basic = _normal(array.shape, key)
    if basic:
        return show(input, Index(array.shape, tuple(parts)), array)
    return _taken(input, [k.array if isinstance(k, Tensor) else k for k in parts])


def _kept(g: mx.array, key: Sequence[Any]) -> mx.array:
    """g, and zeros where elements were overwritten."""
    out = mx.array(g)
    out[tuple(key)] = mx.zeros((), g.dtype)
    return out


@op(
    grad={"input": _kept, "value": lambda g, key, value_shape: unbroadcast(g[tuple(key)], value_shape)},
    name="index_put.arrays",
    function=False,
    method=False,
)
def _put(input: Array, key: Any, value: Array) -> mx.array:
    """``input`` with the elements at arrays of indices replaced."""
    out = mx.array(input)
    out[tuple(key)] = cast(value, input.dtype)
    return out


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """``input[key] = value``: a write, recorded where a gradient is wanted."""
    array = input._read()
    parts, basic = _normal(array.shape, key)
    refuse_write(input, (value,))
    if not basic:
        arrays = [k.array if isinstance(k, Tensor) else k for k in parts]
        overwrite(input, _put(input, arrays, value), casts=True)
        return
    storage, step = input._storage, Index(array.shape, tuple(parts))
    new = cast(value._read() if isinstance(value, Tensor) else _checked(value), array.dtype)
    fitted = _fitted(new, step.after)
    steps = input._steps() if input._base is not None else ()
    if any(type(s) is Expand for s in steps):
        storage.write(array)  # refuses it in torch's words
    changed = step.backward(array, fitted)
    edge = value._to() if isinstance(value, Tensor) and value.requires_grad and mode.enabled else None
    recording = mode.enabled and (edge is not None or (input._base or input).requires_grad)
    if recording:
        base = input if input._base is None else input._base
        write_part(base, (*steps, step), edge, new.shape)
    storage.array = changed
    if recording and input._base is not None:
        input._renew()


def _checked(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return mx.array(np.asarray(value))
    if isinstance(value, (bool, int, float, complex, mx.array)):
        return value
    raise TypeError(f"can't assign a {type(value).__name__} to a torch.FloatTensor")


def _fitted(value: mx.array, shape: tuple[int, ...]) -> mx.array:
    """``value`` broadcast to ``shape``; leading dimensions of size one are left out, as in torch."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = mx.squeeze(value, 0)
    if value.ndim > len(shape) or any(
        n not in (1, m) for n, m in zip(reversed(value.shape), reversed(shape), strict=False)
    ):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of "
            f"shape {list(shape)}"
        )
    return mx.broadcast_to(value, shape)


attach("__setitem__", setitem)


@composed
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The part at ``index`` along ``dim``, without that dimension."""
    return getitem(input, (slice(None),) * axis(input.array.ndim, dim) + (index,))


def _gathered(g: mx.array, index: mx.array, input_shape: tuple[int, ...], dim: int) -> mx.array:
    """g added up at the places that ``index`` names."""
    if not input_shape:
        return mx.reshape(mx.sum(g), ()) if g.size else mx.zeros((), g.dtype)
    where = axis(len(input_shape), dim)
    if not g.size:
        return mx.zeros(input_shape, g.dtype)
    at = [mx.expand_dims(mx.arange(n), [a for a in range(index.ndim) if a != d]) for d, n in enumerate(index.shape)]
    at[where] = index
    return mx.zeros(input_shape, g.dtype).at[tuple(at)].add(g)


@op(grad={"input": _gathered}, shape="that of ``index``")
def gather(input: Array, dim: int, index: Array) -> mx.array:
    """The elements of ``input`` along ``dim`` that ``index`` names."""
    where = axis(input.ndim, dim)
    if not input.ndim:
        return mx.reshape(input, index.shape)
    return mx.take_along_axis(input, index, axis=where)
