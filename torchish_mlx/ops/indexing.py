"""Indexing: ``x[key]``, ``x[key] = value``, ``gather`` and ``select``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .._core.bounds import inside, outside
from .._core.promotion import INEXACT, NAMES, cast
from .._core.trace import of_a_trace
from .._tensor.conversion import to_array
from .._tensor.modes import mode
from .._tensor.storage import View
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor
from .._tensor.views import Index
from .._tensor.written import note
from ._declare import attach, composed, op
from ._op import Array, Operand
from ._view import overwrite, refuse_overlap, refuse_write, show, write_part
from .reduction import axis
from .shaping import reshape


class Key(NamedTuple):
    """An index in two parts: a view by ints, slices and None, and then arrays for some dimensions of the view."""

    basic: tuple[Any, ...]
    arrays: tuple[Any, ...] | None  # an array of integers or ``slice(None)`` for each dimension; None without arrays

    @property
    def trivial(self) -> bool:
        """Whether the view is the whole."""
        return all(type(k) is slice and k == slice(None) for k in self.basic)


def positions(mask: mx.array) -> list[mx.array]:
    """Where ``mask`` is true, for each of its dimensions: one evaluation, because the number of elements depends on it.

    Raises RuntimeError inside a traced step, where the mask has no values.
    """
    try:
        found = np.nonzero(np.array(mask))
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        raise RuntimeError(
            "the shape of a result by a mask depends on the values of the mask, which a traced step does not have: use "
            "torch.where(mask, x, y) or multiply by the mask in compiled functions"
        ) from None
    return [mx.array(where) for where in found]


def _plain(k: Any) -> Any:
    """One entry of an index as an int, a bool, a slice, None, Ellipsis, a list or an array."""
    if isinstance(k, Tensor):
        k = k.array
    if isinstance(k, mx.array) and not k.ndim:
        return k.item()
    if isinstance(k, (np.generic, np.ndarray)):
        return k.item() if k.ndim == 0 else mx.array(np.asarray(k))
    if isinstance(k, slice):
        k = slice(*[None if s is None else int(s) for s in (k.start, k.stop, k.step)])
        if k.step is not None and k.step <= 0:
            raise ValueError("step must be greater than zero")
    return list(k) if isinstance(k, range) else k


def _array(k: Any) -> mx.array:
    """A list or an array as an array of integers or booleans."""
    array = to_array(k) if isinstance(k, (list, tuple)) and len(k) else k
    if isinstance(array, (list, tuple)):  # an empty one
        return mx.zeros((0,), mx.int64)
    if not isinstance(array, mx.array) or array.dtype in INEXACT:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
            f"{type(k).__name__})"
        )
    if array.dtype == mx.uint8:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
            UserWarning,
            stacklevel=5,
        )
        return array.astype(mx.bool_)
    return array


def _consumed(k: Any) -> int:
    """How many dimensions an entry of an index is about."""
    if isinstance(k, mx.array) and k.dtype == mx.bool_:
        return k.ndim
    return 0 if k is None or k is Ellipsis or type(k) is bool else 1


def _normal(shape: tuple[int, ...], key: Any, before: Callable[[], None] | None = None) -> Key:
    """The parts of an index, compared with the shape.

    As in torch, ints, slices and None are applied first, and then all arrays at once. A mask counts as the arrays of
    the positions where it is true. ``before`` is called before the arrays are looked at.
    """
    parts = [_plain(k) for k in (key if isinstance(key, tuple) else (key,))]
    parts = [k if k is None or k is Ellipsis or isinstance(k, (bool, int, slice)) else _array(k) for k in parts]
    used = sum(map(_consumed, parts))
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    ellipses = [i for i, k in enumerate(parts) if k is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    for i in ellipses:
        parts[i : i + 1] = [slice(None)] * (len(shape) - used)
    basic: list[Any] = []
    arrays: list[Any] = []
    at = 0
    for k in parts:
        if k is None or isinstance(k, slice):
            basic.append(k)
            arrays.append(slice(None))
            at += k is not None
        elif type(k) is bool:
            basic.append(None)
            arrays.append(mx.zeros((int(k),), mx.int64))
        elif isinstance(k, int):
            if not -shape[at] <= k < shape[at]:
                raise outside(at, shape[at])(k)
            basic.append(k)
            at += 1
        elif k.dtype == mx.bool_:
            for d, (n, size) in enumerate(zip(k.shape, shape[at:], strict=False)):
                if n != size:
                    raise IndexError(
                        f"The shape of the mask {list(k.shape)} at index {d} does not match the shape of the indexed "
                        f"tensor {list(shape)} at index {at + d}"
                    )
            basic += [slice(None)] * k.ndim
            arrays += positions(k)
            at += k.ndim
        else:
            basic.append(slice(None))
            arrays.append((k, at))
            at += 1
    if before is not None:
        before()
    for i, k in enumerate(arrays):
        if type(k) is tuple:
            array, dim = k
            arrays[i] = inside(array, shape[dim], outside(dim, shape[dim]))
    found = [k.shape for k in arrays if isinstance(k, mx.array)]
    if len(found) > 1:
        _check_together(found)
    return Key(tuple(basic), tuple(arrays) if found else None)


def _check_together(shapes: list[tuple[int, ...]]) -> None:
    """Refuse arrays of indices that do not broadcast to one shape."""
    ndim = max(map(len, shapes))
    padded = [(1,) * (ndim - len(shape)) + shape for shape in shapes]
    if any(len({*sizes} - {1}) > 1 for sizes in zip(*padded, strict=True)):
        given = ", ".join(str(list(shape)) for shape in shapes)
        raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {given}")


def _part(input: Tensor, key: Key) -> Tensor:
    """The view by the first part of an index."""
    if key.trivial and key.arrays is not None:
        return input
    array = input._read()
    shown: Tensor = show(input, Index(array.shape, key.basic), array)
    return shown


class _Front:
    """The dimensions that arrays index, moved to the front: MLX then has one meaning of them, wherever they were.

    As in torch, the dimensions of the arrays are where those that they index were, if these are next to each other, and
    in front otherwise.
    """

    def __init__(self, key: Sequence[Any], ndim: int) -> None:
        at = [d for d, k in enumerate(key) if isinstance(k, mx.array)]
        self.arrays = tuple(key[d] for d in at)
        self.order = at + [d for d in range(ndim) if d not in at]
        self.in_place = self.order == sorted(self.order)
        self.wide = max(array.ndim for array in self.arrays)
        self.start = at[0] if at == [*range(at[0], at[0] + len(at))] else 0

    def moved(self, x: mx.array) -> mx.array:
        """``x`` with the indexed dimensions in front."""
        return x if self.in_place else mx.transpose(x, self.order)

    def back(self, x: mx.array) -> mx.array:
        return x if self.in_place else mx.transpose(x, [self.order.index(d) for d in range(len(self.order))])

    def shown(self, x: mx.array) -> mx.array:
        """What was taken, with the dimensions of the arrays where they belong."""
        if not self.start:
            return x
        block, rest = list(range(self.wide)), list(range(self.wide, x.ndim))
        return mx.transpose(x, rest[: self.start] + block + rest[self.start :])

    def hidden(self, x: mx.array) -> mx.array:
        """The same, back in front."""
        if not self.start:
            return x
        block = list(range(self.start, self.start + self.wide))
        return mx.transpose(x, block + [d for d in range(x.ndim) if d not in block])


def _scattered(g: mx.array, input_shape: tuple[int, ...], key: Any) -> mx.array:
    if not g.size:
        return mx.zeros(input_shape, g.dtype)
    front = _Front(key, len(input_shape))
    zeros = mx.zeros([input_shape[d] for d in front.order], g.dtype)
    return front.back(zeros.at[front.arrays].add(front.hidden(g)))


def _looked_up(x: mx.array, key: Any) -> mx.array:
    front = _Front(key, x.ndim)
    return front.shown(front.moved(x)[front.arrays])


@op(grad={"input": _scattered}, name="index.arrays", function=False, method=False)
def _taken(input: Array, key: Any) -> mx.array:
    """The elements at arrays of indices."""
    return _looked_up(input, key)


@composed(name="__getitem__", function=False)
def getitem(input: Tensor, key: Any) -> Tensor:
    """``input[key]``: a view for ints, slices and None; a copy for lists and tensors of integers, and for masks."""
    if type(key) is int:  # most often a sample of a dataset
        array = input._read()
        if array.ndim and -array.shape[0] <= key < array.shape[0]:
            row: Tensor = show(input, Index(array.shape, (key,)), array)
            return row
    parts = _normal(input._read().shape, key)
    shown = _part(input, parts)
    if parts.arrays is None:
        return shown
    taken: Tensor = _taken(shown, parts.arrays)
    return taken


def _kept(g: mx.array, key: Any) -> mx.array:
    """g, and zeros where elements were overwritten."""
    return _replaced(g, key, mx.zeros((), g.dtype))


def _replaced(x: mx.array, key: Any, value: mx.array) -> mx.array:
    shape = _looked_up(x, key).shape
    if 0 in shape:
        return mx.array(x)
    front = _Front(key, x.ndim)
    out = mx.array(front.moved(x))
    out[front.arrays] = front.hidden(mx.broadcast_to(value, shape))
    return front.back(out)


@op(
    grad={"input": _kept, "value": lambda g, key, value_shape: unbroadcast(_looked_up(g, key), value_shape)},
    name="index_put.arrays",
    function=False,
    method=False,
)
def _put(input: Array, key: Any, value: Operand) -> mx.array:
    """``input`` with the elements at arrays of indices replaced."""
    return _replaced(input, key, cast(value, input.dtype))


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """``input[key] = value``: a write, recorded where a gradient is wanted."""
    if key is Ellipsis and value is input:
        input.copy_(input)
        return
    array = input._read()
    parts = _normal(array.shape, key, lambda: refuse_write(input, (value,)))
    if parts.arrays is not None:
        part = _part(input, parts)
        shape = _looked_up(part.array, parts.arrays).shape
        value = _without_leading(_checked(value), shape)
        if isinstance(value, Tensor) and value.array.dtype != array.dtype:
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {NAMES[array.dtype]} for the "
                f"destination and {NAMES[value.array.dtype]} for the source."
            )
        overwrite(part, _put(part, parts.arrays, value), casts=True)
        return
    storage, step = input._storage, Index(array.shape, parts.basic)
    value = _without_leading(_checked(value), step.after)
    new = cast(value._read() if isinstance(value, Tensor) else value, array.dtype)
    steps = input._steps() if input._base is not None else ()
    refuse_overlap(step.after, step.strides(storage.strides()))
    shown = mx.broadcast_to(new, step.after)
    wanted = isinstance(value, Tensor) and value.requires_grad and mode.enabled
    edge = value._to() if wanted else None
    base = input if input._base is None else input._base
    recording = mode.enabled and array.dtype in INEXACT and (wanted or base.requires_grad)
    if recording:
        write_part(base, (*steps, step), edge, new.shape, value.array.dtype if isinstance(value, Tensor) else None)
    View(storage, (step,)).write(shown)
    storage.version += 1
    if not recording:
        note(storage)
    elif input._base is not None:
        input._renew()


def _checked(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return mx.array(np.asarray(value))
    if isinstance(value, (Tensor, bool, int, float, complex, mx.array)):
        return value
    raise TypeError(f"can't assign a {type(value).__name__} to a torch.FloatTensor")


def _without_leading(value: Any, shape: tuple[int, ...]) -> Any:
    """``value``, which must broadcast to ``shape``, without leading dimensions of size one that are too many."""
    if not isinstance(value, (Tensor, mx.array)):
        return value
    given = tuple(value.shape)
    extra = max(0, len(given) - len(shape))
    kept = given[extra:]
    fits = all(n == 1 for n in given[:extra]) and all(
        n in (1, m) for n, m in zip(reversed(kept), reversed(shape), strict=False)
    )
    if not fits:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(given)} cannot be broadcast to indexing result of shape "
            f"{list(shape)}"
        )
    if not extra:
        return value
    return reshape(value, kept) if isinstance(value, Tensor) else mx.reshape(value, kept)


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
    at: list[mx.array] = [
        mx.expand_dims(mx.arange(n), [a for a in range(index.ndim) if a != d]) for d, n in enumerate(index.shape)
    ]
    at[where] = mx.clip(index, 0, input_shape[where] - 1)
    return mx.zeros(input_shape, g.dtype).at[tuple(at)].add(g)


def _check_shapes(input: mx.array, where: int, index: mx.array) -> None:
    """Refuse an index that is larger than ``input`` in another dimension than ``where``."""
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for d, (n, size) in enumerate(zip(index.shape, input.shape, strict=True)):
        if d != where and n > size:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {where}"
            )


def _gather_from(input: mx.array, where: int, index: mx.array) -> mx.array:
    """The part of ``input`` that an index of that shape reaches: it may be smaller in the other dimensions."""
    return input[tuple(slice(None) if d == where else slice(n) for d, n in enumerate(index.shape))]


@op(grad={"input": _gathered}, shape="that of ``index``")
def gather(input: Array, dim: int, index: Array) -> mx.array:
    """The elements of ``input`` along ``dim`` that ``index`` names."""
    where = axis(input.ndim, dim)
    if not index.size:
        return mx.zeros(index.shape, input.dtype)
    if index.dtype not in (mx.int64, mx.int32):
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    if input.ndim:
        _check_shapes(input, where, index)
    size = input.shape[where] if input.ndim else 1
    at = inside(index, size, outside(where, size, RuntimeError), negative=False)
    if not input.ndim:
        return mx.broadcast_to(input, index.shape)
    return mx.take_along_axis(_gather_from(input, where, index), at, axis=where)
