"""The storage of an array that is kept in ``mlx.nn`` modules: at one place or, where weights are tied, at several.

MLX replaces the array at a place at will, and a tie is one array object at two places. So each read looks at all of
them, and a place that holds something else leaves the tie.
"""

from __future__ import annotations

import copy
import ctypes
import weakref
from typing import Any

import mlx.core as mx

from .._core.trace import traced
from .._tensor.storage import Storage
from ._frozen import Key, dotted, freeze, frozen

_ref = weakref.ref


def _nothing() -> None:
    """A reference to an array that is gone."""


class Held(Storage):
    """A storage whose array modules hold.

    The modules are referred to weakly, for they hold the Parameters, and so the storages. When the last of them goes,
    the storage takes over the array: ``p = next(parameters(model)); del model`` leaves a Parameter with its value.

    ``owned`` are pairs (registry of the module, key). ``seen`` refers to the array object that all places held last,
    ``kept`` to the one that the storage was made for, or that was written through it last.
    """

    __slots__ = ("kept", "owned", "seen")

    def __init__(self, array: mx.array | None = None) -> None:
        super().__init__(array)
        self.owned: list[tuple[Any, Key]] = []
        self.seen: Any = _nothing
        self.kept: Any = _nothing

    def home(self) -> tuple[Any, str | None]:
        if not self.owned:
            return None, None
        registry, key = self.owned[0]
        return registry.owner(), dotted(key)

    def frozen(self) -> bool | None:
        if not self.owned:
            return None
        for registry, key in self.owned:
            owner = registry.owner()
            names = registry.frozen if owner is None else owner._no_grad
            if names and frozen(names, key):
                return True
        return False

    def freeze(self, value: bool) -> None:
        for registry, key in self.owned:
            freeze(registry.owner(), dotted(key), value)

    def own(self, registry: Any, key: Key, array: mx.array | None = None) -> None:
        """Have the array live at a place of a module too, where ``array`` is."""
        if array is None:
            array = self._array
        if array is not None:
            self.seen = self.kept = _ref(array)
        self._array = None
        self.owned.append((registry, key))

    def disown(self, registry: Any, key: Key) -> None:
        """Leave a place of a module. Without another place the storage owns the array that it had last."""
        self.owned = [place for place in self.owned if place[0] is not registry or place[1] != key]
        if not self.placed:
            self._array = self.seen()

    def leave(self, container: Any, key: Any) -> None:
        super().leave(container, key)
        if self.owned:
            self._array = None

    def read(self) -> mx.array:
        owned = self.owned
        if len(owned) == 1:
            registry, key = owned[0]
            owner = registry.owner()
            array: Any
            if type(key) is str and owner is not None:
                array = dict.get(owner, key)  # a module may have a get() or [] of its own
            else:
                array = found(registry, key)
            if self.seen() is not array:
                if not isinstance(array, mx.array):
                    return self._lost(registry, key)
                self.seen = _ref(array)
            return array
        if owned:
            return self._settled()
        array = super().read()
        if array is None:
            raise RuntimeError(
                "the array of this Parameter is gone: its mlx.nn module was deleted, or holds something else there, "
                "after MLX had replaced the array (mlx.nn.value_and_grad and compiled functions do). Keep the model as "
                "long as its Parameters are used, or read the Parameter before the model is deleted"
            )
        return array

    def write(self, value: mx.array) -> None:
        owned = self.owned
        if not owned:
            super().write(value)
            return
        if len(owned) > 1:
            self._settled()  # a place that holds another array by now is not written to
            owned = self.owned
        for registry, key in owned:
            owner = registry.owner()
            if type(key) is str and owner is not None:
                dict.__setitem__(owner, key, value)
            else:
                put(registry, key, value)
        self.seen = self.kept = _ref(value)
        if self.places:
            super().write(value)

    def lend(self, array: mx.array) -> None:
        """Put another array to the places until :meth:`take_back`: inside a trace they hold arrays of the trace."""
        for registry, key in self.owned:
            put(registry, key, array)

    def take_back(self, lent: mx.array, array: mx.array) -> None:
        """Put ``array`` to the places that still hold what was lent. What was written in the meantime stays."""
        for registry, key in self.owned:
            if found(registry, key) is lent:
                put(registry, key, array)

    def agrees(self) -> bool:
        """Whether all places in modules hold one array object."""
        first, *others = self.owned
        array = found(*first)
        return all(found(*place) is array for place in others)

    def _lost(self, registry: Any, key: Key) -> mx.array:
        """Give up a place that holds no array any more, and read the array of the other places."""
        registry.forget(key)
        self.disown(registry, key)
        return self.read()

    def _settled(self) -> mx.array:
        """The array that the places hold together; those that hold something else leave."""
        held = [found(registry, key) for registry, key in self.owned]
        array = held[0]
        if array is not None and all(other is array for other in held):
            if self.seen() is not array:
                self.seen = _ref(array)
            return array
        last = self.seen()
        known = last is not None and any(other is last for other in held)
        array = last if known else next((other for other in held if other is not None), None)
        for (registry, key), other in list(zip(self.owned, held, strict=True)):
            if array is None or other is None or not _are_one(array, other, known):
                registry.forget(key)
                self.disown(registry, key)
            elif other is not array:
                put(registry, key, array)
        if array is None or not self.owned:
            return self.read()
        self.seen = _ref(array)
        return array

    def __deepcopy__(self, memo: dict[int, Any]) -> Storage:
        """A copy that no module holds yet; the copy of a module that holds this one takes it in."""
        new = Held()
        memo[id(self)] = new
        new._array = copy.deepcopy(self.read(), memo)
        new.version = self.version
        for container, key in self.places:
            new.add_place(copy.deepcopy(container, memo), key)
        return new

    def __reduce__(self) -> Any:
        return Held, (self.read(),)


def found(registry: Any, key: Key) -> mx.array | None:
    """The array at a place of a module; None where there is none any more."""
    owner, path = registry.owner(), key if type(key) is tuple else (key,)
    if owner is None:
        return None
    value: Any = dict.get(owner, path[0])
    try:
        for part in path[1:]:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return None
    return value if isinstance(value, mx.array) else None


def put(registry: Any, key: Key, array: mx.array) -> None:
    """Write ``array`` to a place of a module."""
    owner = registry.owner()
    if type(key) is not tuple:
        dict.__setitem__(owner, key, array)
        return
    container: Any = dict.__getitem__(owner, key[0])
    for part in key[1:-1]:
        container = container[part]
    container[key[-1]] = array


def _are_one(array: mx.array, other: mx.array, known: bool) -> bool:
    """Whether two objects at the places of one Parameter are still its one array.

    They are, where MLX made several objects of one: ``mlx.nn.value_and_grad`` and compiled functions leave an object at
    each place, all over the same memory. Nothing can be read inside a trace, and there the tie goes on. Equal values
    in different memory come from what changes each place by itself (``model.set_dtype``, ``model.load_weights``), but
    not where one place is as it was (``known``): then the other one was assigned.
    """
    if other is array:
        return True
    if other.shape != array.shape or other.dtype != array.dtype:
        return False
    here, there = address(array), address(other)
    if here is None or there is None or here == there:
        return True
    return not known and bool(mx.array_equal(array, other, equal_nan=True).item())


def address(array: mx.array) -> int | None:
    """Where the elements are in memory, which waits for them; None where they are being traced, and are nowhere yet.

    An array that has no elements or is not stored row by row is represented by the object itself.
    """
    if array.size == 0:
        return id(array)
    if traced(mx.flatten(array)[:0]):  # asked first: mlx 0.32.3 raises the error of a traced array's memory too late
        return None
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except TypeError:
        return id(array)
