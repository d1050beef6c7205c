"""``state[p]``: the entries of one parameter as torch's dict of Tensors, over the arrays of the tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import mlx.core as mx

from .._core.trace import traced
from .._docs import see
from .._tensor.storage import Storage, storage_at
from .._tensor.tensor import Tensor
from ..bridge._layouts import in_mlx
from ..optimizers._hyper import FIRST, STRUCTURE


class Count(Storage):
    """The step count of a parameter, or what depends on the count alone.

    The parameter shares the count of its group as long as its slots have no "step" of their own; a write gives it one.
    """

    __slots__ = ("arrays", "clock", "name")

    def __init__(self, slots: dict[str, Any], arrays: dict[str, Any], clock: Sequence[str], name: str) -> None:
        super().__init__()
        self.arrays, self.clock, self.name = arrays, clock, name
        self.places = [(slots, name)]

    def read(self) -> mx.array:
        if not self.places:
            return self._array
        slots = self.places[0][0]
        return (slots if "step" in slots else self.arrays)[self.name]

    def write(self, value: mx.array) -> None:
        if not self.places:
            self._array = value
            return
        slots = self.places[0][0]
        keep_count(slots, self.arrays, self.clock)
        slots[self.name] = value

    def leave(self, container: Any, key: Any) -> None:  # noqa: ARG002 - it has one place
        self._array, self.places = self.read(), []

    def __deepcopy__(self, memo: dict[int, Any]) -> Storage:
        return Storage(self.read())

    def __reduce__(self) -> Any:
        return Storage, (self.read(),)


def keep_count(slots: dict[str, Any], arrays: Mapping[str, Any], clock: Sequence[str]) -> None:
    """Give a parameter that shares the count of a group the same count as its own."""
    if "step" not in slots:
        slots.update((name, arrays[name]) for name in clock)


class Entries(MutableMapping[Any, Any]):
    """The entries of one parameter, under torch's names.

    An array reads as a Tensor over its place in the tree; an int, None or a list is kept as it is, next to the arrays.
    ``state[p]`` is the same object as long as it is used somewhere. Once it was taken out of the state
    (``del state[p]``, ``state.pop(p)``), it becomes a dict of its own, which may be assigned to a parameter again.
    """

    __slots__ = ("__weakref__", "_path", "_taken", "_tree")

    def __init__(self, tree: Any, path: str) -> None:
        self._tree: Any = tree  # the OptimizerState, or None once they were taken out of it
        self._path = path
        self._taken: dict[Any, Any] = {}  # the entries, once they were taken out of the tree

    # Where the entries are ------------------------------------------------------------------------------------------

    def is_at(self, tree: Any, path: str | None = None) -> bool:
        """Whether these entries are in ``tree``, and at ``path`` if one is given. Entries that were taken out are in
        None.
        """
        return self._tree is tree and path in (None, self._path)

    def take_out(self, entries: dict[Any, Any]) -> None:
        """Hold ``entries`` from now on, and none of the tree."""
        self._tree, self._taken = None, entries

    def move(self, tree: Any, path: str) -> None:
        """Become the entries of the parameter at ``path``."""
        self._tree, self._path, self._taken = tree, path, {}

    @property
    def slots(self) -> dict[str, Any]:
        """The dict of arrays of this parameter in the tree; it is made where there is none."""
        made: dict[str, Any] = self._tree.slots_at(self._path)
        return made

    def _slots(self) -> dict[str, Any]:
        slots = self._tree.slots.get(self._path) or {}
        return {name: slots[name] for name in slots if name != FIRST} if FIRST in slots else slots

    def _others(self) -> dict[Any, Any]:
        return self._tree.others.get(self._path, {})

    def _shared(self) -> Sequence[str]:
        """The names of the clock, where this parameter shares the count of its group."""
        slots = self._slots()
        return self._tree.clock_names(self._path) if slots and "step" not in slots else ()

    # As a dict ------------------------------------------------------------------------------------------------------

    def __getitem__(self, name: Any) -> Any:
        tree = self._tree
        if tree is None:
            return self._taken[name]
        others = self._others()
        if name in others:
            return others[name]
        if name not in self._slots() and name not in self._shared():
            raise KeyError(name)
        if name == "step" and tree.counts_in_integers(self._path):
            return int(tree.tensor(self._path, name).item())
        return tree.tensor(self._path, name)

    def __setitem__(self, name: Any, value: Any) -> None:
        tree = self._tree
        if tree is None:
            self._taken[name] = value
        elif name in tree.clock_names(self._path):
            keep_count(self.slots, tree.group_of[self._path].arrays, tree.clock_names(self._path))
            number = value.array if isinstance(value, Tensor) else value
            self.slots[name] = number if isinstance(number, mx.array) else mx.array(number, mx.float32)
        elif isinstance(value, (Tensor, mx.array)):
            self._others().pop(name, None)
            tree.put(self._path, name, value)
        else:
            group = tree.group_of.get(self._path)
            if group is not None and traced(group.arrays[STRUCTURE]):
                raise RuntimeError(
                    f"state[p][{name!r}] is set to {type(value).__name__} inside a traced step, where it would "
                    "become a constant; keep it as a tensor" + see("written-inside-a-compiled-step")
                )
            tree.drop(self._path, name)
            tree.others.setdefault(self._path, {})[name] = value
            tree.begun.setdefault(self._path)

    def __delitem__(self, name: Any) -> None:
        tree = self._tree
        if tree is None:
            del self._taken[name]
        elif name in self._shared():
            raise KeyError(f"{name!r} can't be deleted alone: it counts the steps of the whole group")
        elif tree.drop(self._path, name):
            tree.renew()
        else:
            del self._others()[name]

    def __iter__(self) -> Iterator[Any]:
        if self._tree is None:
            yield from list(self._taken)
            return
        slots = list(self._slots())
        # as in torch, the count comes first, also where it is the parameter's own
        first = self._shared() or [name for name in self._tree.clock_names(self._path) if name in slots]
        yield from first
        yield from [name for name in slots if name not in first]
        yield from list(self._others())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        """Forget all entries; the next step begins as the first one did."""
        if self._tree is None:
            self._taken.clear()
        else:
            self._tree.emptied(self._path)

    def copy(self) -> dict[Any, Any]:
        """A dict of the same Tensors and values."""
        return dict(self)

    def saved(self) -> dict[Any, Any]:
        """The entries without those that init() made and no step has used: torch has none before its first step."""
        early = self._tree.early_names(self._path) if self._tree is not None else ()
        return {name: value for name, value in self.items() if name not in early}

    def apart(self) -> dict[Any, Any]:
        """The entries to save as they are now, in Tensors of their own, which the next step does not change."""
        saved = self.saved().items()
        return {name: in_mlx(Tensor(value.array)) if isinstance(value, Tensor) else value for name, value in saved}

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return {**self, **other}

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return {**other, **self}

    def __ior__(self, other: Mapping[Any, Any]) -> Entries:
        self.update(other)
        return self

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __eq__(self, other: object) -> bool:
        return self is other or dict(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        """Copies and pickles are plain dicts, with Tensors of their own."""
        return dict, (self.apart(),)


def tensor_over(slots: dict[str, Any], arrays: dict[str, Any] | None, clock: Sequence[str], name: str) -> Tensor:
    """A Tensor whose storage is the place of an entry."""
    if arrays is not None and name in clock:
        return Tensor(Count(slots, arrays, clock, name))
    return Tensor(storage_at(slots, name))
