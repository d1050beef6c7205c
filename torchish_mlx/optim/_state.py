"""``optimizer.state``: MLX's nested dict of arrays, and torch's ``state[p]`` over the very same arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import mlx.core as mx

from .._docs import see
from ..optimizers import RowSparse, Rule
from ..optimizers._core import check_slots
from ..optimizers._hyper import STRUCTURE, traced
from ..optimizers._state import State, leaves, listed
from ..tensor import Tensor
from ..tensor._storage import Storage, slot
from ._groups import Group


class OptimizerState(State):
    """A ``State`` that also takes Parameters as keys.

    ``state["layers"][0]["weight"]["exp_avg"]`` is an array; ``state[p]["exp_avg"]`` is a Tensor whose storage is that
    place. As a dict it iterates and counts as MLX's does, over names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[Tensor, str] = {}
        self.parameters: dict[str, Tensor] = {}
        self._above: set[str] = set()  # paths of the dicts that hold slots of parameters
        self.group_of: dict[str, Group] = {}
        self.beside: dict[str, dict[str, Any]] = {}  # path -> entries that are no arrays
        self.loose: dict[Any, Any] = {}  # entries of a loaded state dict that belong to no parameter
        self.tensors: dict[tuple[str, str], Tensor] = {}

    def add(self, p: Tensor, name: str | None, group: Group | None) -> str:
        """Give ``p`` a path of its own: ``name``, its path in its module, or its number."""
        path = self.paths.get(p)
        if path is None:
            wanted = name or getattr(p, "path", None) or str(len(self.paths))
            path, count = wanted, 1
            while path in self._above or any(part in self.parameters for part in _above(path, itself=True)):
                count += 1
                path = f"{wanted}#{count}"
            self.paths[p], self.parameters[path] = path, p
            self._above.update(_above(path))
        if group is not None:
            self.group_of[path] = group
        return path

    def distinct_groups(self) -> list[Group]:
        """The groups of the parameters, each once."""
        return list({id(group): group for group in self.group_of.values()}.values())

    def release(self) -> None:
        """Let go of the Tensors over the slots; who holds one keeps its present value."""
        for path, name in list(self.tensors):
            self.tensors.pop((path, name))._leave(self.slots.get(path), name)

    def examine(self, tree: dict[Any, Any]) -> None:
        """Refuse slots of parameters that are not here, or that do not fit them."""
        for path, slots in leaves(tree, ""):
            if path not in self.parameters:
                raise ValueError(
                    f"the loaded state is of a parameter {path!r}, which this optimizer does not hold; it holds "
                    f"{listed(self.parameters)}"
                )
            group = self.group_of.get(path)
            if group is not None and group.rule is not None:
                h = group.rule.hypers(group, group.arrays)
                check_slots(group.rule, h, {path: slots}, [(path, None, self.parameters[path].array)])
        self.release()

    def forget(self) -> None:
        """Drop all entries of all parameters, and restart every count."""
        self.release()
        self.unused.clear()
        for slots in self.slots.values():
            slots.clear()
        self.beside.clear()
        self.loose.clear()
        for group in self.distinct_groups():
            group.restart()

    def snapshot(self) -> Any:
        """What :meth:`restore` needs to undo what happens to the entries from now on."""
        slots = {path: dict(entries) for path, entries in self.slots.items()}
        beside = {path: dict(entries) for path, entries in self.beside.items()}
        return slots, beside, dict(self.loose)

    def restore(self, snapshot: Any) -> None:
        slots, beside, loose = snapshot
        self.release()
        for path, entries in self.slots.items():
            entries.clear()
            entries.update(slots.get(path, {}))
        self.beside, self.loose = beside, loose

    def rule_of(self, group: Group) -> type[Rule] | None:
        """The rule that the entries here go by; None for the group of another optimizer, which a wrapper shares."""
        return group.rule if any(arrays is group.arrays for arrays in self.groups) else None

    def entries(self, p: Tensor) -> Entries:
        return Entries(self, self.add(p, None, None))

    # Parameters as keys. A name goes to the dict.

    def __getitem__(self, key: Any) -> Any:
        return self.entries(key) if isinstance(key, Tensor) else super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Tensor):
            self.entries(key).replace(value)
        else:
            super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        if isinstance(key, Tensor):
            if key not in self:
                raise KeyError(key)
            self.entries(key).clear()
        else:
            super().__delitem__(key)

    def __contains__(self, key: object) -> bool:
        if isinstance(key, Tensor):
            return key in self.paths and len(self.entries(key)) > 0
        return super().__contains__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        if isinstance(key, Tensor):
            return self.entries(key) if key in self else default
        return super().get(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        if not isinstance(key, Tensor):
            return super().pop(key, *default)
        if key not in self:
            if default:
                return default[0]
            raise KeyError(key)
        entries = dict(self.entries(key))
        self.entries(key).clear()
        return entries

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if isinstance(key, Tensor):
            if key not in self and default:
                self[key] = default
            return self.entries(key)
        return super().setdefault(key, default)


def _above(path: str, itself: bool = False) -> Iterator[str]:
    """``a`` and ``a.b`` for ``a.b.c``."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + itself))


class SharedCount(Storage):
    """The count of a parameter that has none of its own: reads the group's; a write gives it one of its own."""

    __slots__ = ("entries", "name")

    def __init__(self, entries: Entries, name: str) -> None:
        super().__init__()
        self.entries: Entries | None = entries
        self.name = name

    def read(self) -> mx.array:
        return self._array if self.entries is None else self.entries.clock()[self.name]

    def write(self, value: mx.array) -> None:
        if self.entries is None:
            self._array = value
            return
        self.entries.part()
        self.entries.slots[self.name] = value

    def leave(self, container: Any, key: Any) -> None:  # noqa: ARG002 - it stands in no container
        self._array, self.entries = self.read(), None

    def __deepcopy__(self, memo: dict[int, Any]) -> Storage:
        return Storage(self.read())

    def __reduce__(self) -> Any:
        return Storage, (self.read(),)


class Entries(MutableMapping[str, Any]):
    """``state[p]``: the entries of one parameter, under torch's names.

    An array reads as a Tensor over its place; an int, None or a list is kept as it is, beside the arrays.
    """

    def __init__(self, state: OptimizerState, path: str) -> None:
        self._state, self._path = state, path

    @property
    def slots(self) -> dict[str, Any]:
        slots = self._state.slots.get(self._path)
        return self._state.create(self._path) if slots is None else slots

    def _slots(self) -> dict[str, Any]:
        return self._state.slots.get(self._path) or {}

    def _rule(self) -> type[Rule] | None:
        group = self._state.group_of.get(self._path)
        return None if group is None else group.rule

    def _clock_names(self) -> tuple[str, ...]:
        """Names of the entries that depend on the count alone."""
        rule = self._rule()
        return rule.clock if rule is not None and rule.counted else ()

    def _shared(self) -> tuple[str, ...]:
        """Those names, where the count is the group's."""
        slots = self._slots()
        return self._clock_names() if slots and "step" not in slots else ()

    def clock(self) -> Mapping[str, mx.array]:
        """The count of this parameter and what depends on it alone."""
        slots = self._slots()
        return slots if "step" in slots else self._state.group_of[self._path].arrays

    def part(self) -> None:
        """Leave the group's count with a count of its own."""
        for name in self._shared():
            self.slots[name] = self._state.group_of[self._path].arrays[name]

    def __getitem__(self, name: str) -> Any:
        beside = self._state.beside.get(self._path, {})
        if name in beside:
            return beside[name]
        shared = name in self._shared()
        if not shared and name not in self._slots():
            raise KeyError(name)
        rule = self._rule()
        if name == "step" and rule is not None and rule.integer_step:
            return int(self.clock()[name].item())  # type: ignore[arg-type]
        key = (self._path, name)
        if key not in self._state.tensors:
            storage = SharedCount(self, name) if name in self._clock_names() else slot(self.slots, name)
            self._state.tensors[key] = Tensor(storage)
        return self._state.tensors[key]

    def __setitem__(self, name: str, value: Any) -> None:
        is_array = isinstance(value, (Tensor, mx.array)) and not isinstance(value, RowSparse)
        group = self._state.group_of.get(self._path)
        if name in self._clock_names():
            self.part()
            number = value.array if isinstance(value, Tensor) else value
            self.slots[name] = number if isinstance(number, mx.array) else mx.array(number, mx.float32)
            return
        if not is_array:
            if group is not None and traced(group.arrays[STRUCTURE]):
                raise RuntimeError(
                    f"state[p][{name!r}] is set to {type(value).__name__} inside a traced step, where it would "
                    "become a constant; keep it as a tensor" + see("written-inside-a-compiled-step")
                )
            self._drop(name)
            self._state.beside.setdefault(self._path, {})[name] = value
            return
        self._state.beside.get(self._path, {}).pop(name, None)
        self._state.unused.discard(self._path)  # torch takes a buffer that is there for one that has begun
        held = self._state.tensors.get((self._path, name))
        if held is value:
            return
        if held is not None:
            self._state.tensors.pop((self._path, name))._leave(self.slots, name)
        if isinstance(value, Tensor):
            self.slots[name] = value.array
            value._add_place(self.slots, name)
            self._state.tensors[self._path, name] = value
        else:
            self.slots[name] = value

    def _drop(self, name: str) -> bool:
        held = self._state.tensors.pop((self._path, name), None)
        if held is not None:
            held._leave(self._slots(), name)
        return self._slots().pop(name, None) is not None

    def __delitem__(self, name: str) -> None:
        if name in self._shared():
            raise KeyError(f"{name!r} can't be deleted alone: it counts the steps of the whole group")
        if self._drop(name):
            self._state.renew()
        else:
            del self._state.beside.get(self._path, {})[name]

    def __iter__(self) -> Iterator[str]:
        rule = self._rule()
        uncounted = (
            rule is not None and not rule.counted
        )  # its "step" says which step was the first, and is not torch's
        slots = [name for name in self._slots() if not (uncounted and name == "step")]
        first = self._shared() or [name for name in self._clock_names() if name in slots]
        yield from first  # as in torch, also where the count is the parameter's own
        yield from [name for name in slots if name not in first]
        yield from list(self._state.beside.get(self._path, {}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        begun = bool(self._slots())
        for name in list(self._slots()):
            self._drop(name)
        self._state.beside.pop(self._path, None)
        if begun:
            self._state.renew()
        group = self._state.group_of.get(self._path)
        if (
            begun
            and group is not None
            and not any(self._state.slots.get(self._state.paths[p]) for p in group["params"])
        ):
            group.restart()  # nobody is left who has counted

    def replace(self, entries: Mapping[str, Any]) -> None:
        new = dict(entries)
        self.clear()
        for name, value in new.items():
            self[name] = value

    def saved(self) -> dict[str, Any]:
        """The entries without those that init() made and no step has used: torch has none before its first step."""
        rule = self._rule()
        late = rule.late if rule is not None and self._path in self._state.unused else ()
        return {name: value for name, value in self.items() if name not in late}

    def apart(self) -> dict[str, Any]:
        """The entries to save, in Tensors apart from their places."""
        return {
            name: Tensor(value.array) if isinstance(value, Tensor) else value for name, value in self.saved().items()
        }

    def __repr__(self) -> str:
        return repr(dict(self))

    def __eq__(self, other: object) -> bool:
        return self is other or dict(self) == other

    __hash__ = None  # type: ignore[assignment]
