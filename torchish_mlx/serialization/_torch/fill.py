"""The last part of loading: look the object over, read the storages, and give the tensors their numbers."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pickle import UnpicklingError
from typing import Any, TypeVar

import mlx.core as mx

from ..._core.device import Device
from ..._core.dtypes import dtype
from ..._tensor.arraylike import Size
from ..._tensor.storage import Storage, View
from ..._tensor.tensor import Tensor
from ..._tensor.views import Permute, Reshape, Step, Strided, row_major
from .._shared.arrays import LARGEST, OF_DTYPE, filled
from .._shared.input import AGAIN
from .._shared.map_location import Restored
from .._shared.spread import EXPLODES, explodes
from .._shared.where import entry
from .pickler import DEEPEST
from .rebuild import FileStorage, Global, Layout, TorchBuilder
from .unpickle import Refusal

_PLAIN = {type(None), bool, int, float, complex, str, bytes, bytearray, mx.Dtype, dtype, Device, Size}
_BARE = {dict, list, tuple, set, Counter}  # that have nothing but their entries
T = TypeVar("T")
_Node = Any  # (node above, key), None for the whole object

#: Reads a storage of the file into memory. What it returns raises if the check sum is wrong.
Read = Callable[[FileStorage, memoryview], Callable[[], object]]


def placed(made: Any, builder: TorchBuilder, read: Read, restored: Restored) -> Any:
    """``made`` with its tensors filled from the storages in the file.

    Raises:
        RuntimeError: a storage is damaged, or a tensor shows it in a way that MLX does not have.
    """
    before: tuple[FileStorage, Storage, Callable[[], object]] | None = None
    for stored in (*builder.storages.values(), None):
        if stored is not None and not stored.tensors:
            continue
        now = None if stored is None else (stored, *_named(made, stored, partial(_fill, stored, read)))
        if before is not None:  # its sum was taken while this one was read
            _named(made, before[0], before[2])
            restored(before[1], before[0].location)
        before = now
    return made


def _named(made: Any, stored: FileStorage, action: Callable[[], T]) -> T:
    """What ``action`` returns; an error names the entry of ``stored`` too."""
    try:
        return action()
    except RuntimeError as error:
        raise type(error)(f"cannot load {entry_of(made, stored)}: {error}") from error


# -- the storages


def _fill(stored: FileStorage, read: Read) -> tuple[Storage, Callable[[], object]]:
    """Read a storage of the file, and give its tensors their storages.

    Returns the storage that owns the array, and the check of its sum.
    """
    layouts = dict.fromkeys(layout for _, layout in stored.tensors)
    first = next(iter(layouts))
    if any(layout.dtype != first.dtype for layout in layouts):
        names = ", ".join(dict.fromkeys(OF_DTYPE[layout.dtype].torch for layout in layouts))
        raise RuntimeError(
            f"its storage is shown in several dtypes ({names}), which MLX arrays cannot share. In torch, clone() all "
            "but one of them and torch.save again."
        )
    if len(layouts) > 1 and any(layout.conj or layout.neg for layout in layouts):
        raise RuntimeError(
            "its storage is shown both as it is and conjugated or negated, which MLX arrays cannot share. In torch, "
            "take tensor.resolve_conj().resolve_neg() and torch.save again."
        )
    count = stored.nbytes // first.dtype.size
    if count * first.dtype.size != stored.nbytes:
        raise RuntimeError(f"its storage of {stored.nbytes} bytes holds no whole number of {first.dtype}. {AGAIN}")
    whole = next((layout for layout in layouts if _is_whole(layout, count)), None)
    shape = (count,) if whole is None else whole.shape
    if whole is None and count > LARGEST:
        raise RuntimeError(
            f"its storage has {count} elements of which the tensor is a part, and MLX's dimensions have at most "
            f"{LARGEST}. In torch, clone() it and torch.save again."
        )
    checks: list[Callable[[], object]] = []
    array = filled(lambda memory: checks.append(read(stored, memory)), first.dtype, shape)
    for changed, change in ((first.conj, mx.conjugate), (first.neg, mx.negative)):
        if changed:
            array = change(array, stream=mx.cpu)
            mx.eval(array)
    base = Storage(array)
    storages = {layout: _storage(base, layout, count) for layout in layouts}
    for tensor, layout in stored.tensors:
        tensor._storage = storages[layout]
    return base, checks[0]


def _is_whole(layout: Layout, count: int) -> bool:
    """Whether a tensor shows all elements of its storage, each once, in their order."""
    return math.prod(layout.shape) == count and layout.offset == 0 and _compact(layout.shape, layout.strides)


def _compact(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    plain = row_major(shape)
    return not all(shape) or all(n == 1 or s == p for n, s, p in zip(shape, strides, plain, strict=True))


def _storage(base: Storage, layout: Layout, count: int) -> Storage:
    """The storage of a tensor of this layout: the one that owns the array, or a view of it."""
    shape = base.read().shape
    if layout.shape == shape and _is_whole(layout, count):
        return base
    if not math.prod(layout.shape):  # nothing to share
        return Storage(mx.zeros(layout.shape, layout.dtype, stream=mx.cpu))
    steps: list[Step] = []
    if _is_whole(layout, count):
        return View(base, [Reshape(shape, layout.shape)])
    axes = sorted(range(len(layout.shape)), key=lambda axis: -layout.strides[axis])
    sorted_shape = tuple(layout.shape[axis] for axis in axes)
    sorted_strides = tuple(layout.strides[axis] for axis in axes)
    if math.prod(sorted_shape) == count and layout.offset == 0 and _compact(sorted_shape, sorted_strides):
        steps.append(Reshape(shape, sorted_shape))
        steps.append(Permute(sorted_shape, [axes.index(axis) for axis in range(len(axes))]))
    else:
        if shape != (count,):
            steps.append(Reshape(shape, (count,)))
        steps.append(Strided((count,), layout.shape, layout.strides, layout.offset))
    return View(base, steps)


# -- the object


def survey(made: Any) -> None:
    """Check the object before anything is read for it: each object in it once, and without recursion.

    Raises:
        pickle.UnpicklingError: something in it was not built, and its entry is named; or it is nested too deeply.
    """
    heights: dict[int, int] = {}  # of what was checked; 0 until that is done
    stack: list[tuple[Any, _Node, Iterator[tuple[_Node, Any]]]] = [([made], None, iter([(None, made)]))]
    below = [0]  # for each object on the stack, the greatest height in it so far
    shared = False
    while stack:
        value, node, children = stack[-1]
        for under, child in children:
            kind = type(child)
            if kind in _PLAIN:
                continue
            height = 1 if kind in _BARE and not child else heights.get(id(child))
            if height is None:
                inside = _children(under, child)
                if inside is None:
                    raise UnpicklingError(_refusal(under, child))
                if len(stack) > DEEPEST:
                    raise UnpicklingError(_too_deep(under))
                heights[id(child)] = 0
                stack.append((child, under, inside))
                below.append(0)
                break
            below[-1] = max(below[-1], height)
            shared = shared or height > 1
        else:
            stack.pop()
            heights[id(value)] = height = 1 + below.pop()
            if stack:
                below[-1] = max(below[-1], height)
                if height > DEEPEST:
                    raise UnpicklingError(_too_deep(node))
    if shared and explodes(made):
        raise UnpicklingError(f"cannot load the object: {EXPLODES}. In torch, copy them and torch.save again.")


def _children(node: _Node, value: Any) -> Iterator[tuple[_Node, Any]] | None:
    """(node, value) of each thing in a container; None for what is no container."""
    if type(value) in (dict, OrderedDict, Counter):
        return _items(node, value)
    if type(value) in (list, tuple):
        return (((node, i), child) for i, child in enumerate(value))
    if type(value) is set:
        return ((node, child) for child in value)
    if isinstance(value, Tensor):
        hidden = ("_storage", "_requires_grad")
        return (((node, f".{name}"), child) for name, child in vars(value).items() if name not in hidden)
    return None


def _items(node: _Node, value: Any) -> Iterator[tuple[_Node, Any]]:
    for key, child in value.items():
        yield node, key
        yield (node, key), child
    for name, child in getattr(value, "__dict__", {}).items():
        yield (node, f".{name}"), child


def _entry(node: _Node) -> str:
    """The name of an entry."""
    path = []
    while node is not None:
        node, key = node
        path.append(key)
    return entry(path[::-1])


def _too_deep(node: _Node) -> str:
    return (
        f"cannot load {_entry(node)}: containers are nested more than {DEEPEST} deep. In torch, keep long "
        "chains as one list and torch.save again."
    )


def _refusal(node: _Node, value: Any) -> str:
    where = _entry(node)
    if isinstance(value, Refusal):
        return f"cannot load {where}: it is {value.what}. {value.hint}"
    name = value.name if isinstance(value, Global) else f"a {getattr(value, 'name', 'torch storage')}"
    return (
        f"cannot load {where}: it is {name} itself, and not a tensor or a plain value. In torch, save tensors and not "
        "their storages or classes."
    )


def entry_of(made: Any, stored: FileStorage) -> str:
    """The entry of the first tensor whose numbers are in ``stored``."""
    wanted = {id(tensor) for tensor, _ in stored.tensors}
    seen: set[int] = set()
    stack: list[tuple[_Node, Any]] = [(None, made)]
    while stack:
        node, value = stack.pop()
        if id(value) in wanted:
            return _entry(node)
        if type(value) in _PLAIN or id(value) in seen:
            continue
        seen.add(id(value))
        stack.extend(reversed(list(_children(node, value) or ())))
    return "a tensor"
