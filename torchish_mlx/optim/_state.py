"""The state of an optimizer: MLX's nested dict of arrays, with Parameters as keys to the very same arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import mlx.core as mx

from .._core.messages import listed
from .._tensor.tensor import Tensor
from ..optimizers import Rule
from ..optimizers._core import check_slots
from ..optimizers._hyper import FIRST
from ..optimizers._state import GROUPS, State, copied, leaves
from ._entries import Count, Entries, keep_count, tensor_over
from ._groups import Group, GroupArrays

LOOSE = "_loose"  # the path of entries that belong to no parameter; MLX keeps such names out of parameters()


class OptimizerState(State):
    """A ``State`` that also takes Parameters as keys.

    ``state["layers"][0]["weight"]["exp_avg"]`` is an array; ``state[p]["exp_avg"]`` is a Tensor whose storage is that
    place. As a dict it iterates and counts as MLX's does, over names. A key that is neither a Parameter nor a name of
    the tree (``state["k"] = 3``) is an entry that belongs to no parameter.
    """

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        dict.__setitem__(self, GROUPS, GroupArrays())
        self.in_place = in_place  # whether a step changes the Tensors in place, as one that a user wrote does
        self.paths: dict[Tensor, str] = {}
        self.parameters: dict[str, Tensor] = {}
        self.of_modules = False  # whether a parameter belongs to an mlx.nn module
        self._above: set[str] = set()  # paths of the dicts that hold slots of parameters
        self.group_of: dict[str, Group] = {}
        self.begun: dict[str, None] = {}  # paths of what has a dict of entries, in torch's order
        self.others: dict[str, dict[Any, Any]] = {}  # path -> entries that are no arrays
        self.tensors: dict[tuple[str, Any], Tensor] = {}
        self.aliases: set[tuple[str, str]] = set()  # pairs of parameters whose entries are the same Tensors in torch
        self._entries: WeakValueDictionary[str, Entries] = WeakValueDictionary()

    # Parameters and groups ------------------------------------------------------------------------------------------

    def add(self, p: Tensor, name: str | None, group: Group | None) -> str:
        """Give ``p`` a path of its own (``name``, its path in its module, or its number), and ``group`` as its group.

        A parameter that moves to another group keeps its count.
        """
        path = self.paths.get(p)
        if path is None:
            wanted = name or getattr(p, "path", None) or str(len(self.paths))
            path, count = wanted, 1
            while path in self._above or any(part in self.parameters for part in _above(path, itself=True)):
                count += 1
                path = f"{wanted}#{count}"
            self.paths[p], self.parameters[path] = path, p
            self._above.update(_above(path))
            self.of_modules = self.of_modules or getattr(p, "owner", None) is not None
        if group is not None and self.group_of.get(path) is not group:
            self._move(path, group)
        return path

    def _move(self, path: str, group: Group) -> None:
        self.keep_count(path)
        self.group_of[path] = group
        others = self.others.get(path, {})
        for name in self.clock_names(path):
            held = self.tensors.get((path, name))
            if held is not None and isinstance(held._storage, Count):
                held._storage.arrays = group.arrays
            if name in others:  # it was set before it was known to be the count
                self.entries(path)[name] = others.pop(name)

    def settle(self, groups: Sequence[Group]) -> None:
        """Hold the arrays of ``groups``, which may have been edited as a list, in their order.

        A wrapper, which a user wrote, may show the groups of another optimizer, which has their arrays.
        """
        held = self.groups
        if self.in_place:
            groups = [group for group in groups if group.rule is None]
        paths, group_of = self.paths, self.group_of
        for group in groups:
            for p in group["params"]:
                path = paths.get(p)
                if path is None or group_of.get(path) is not group:
                    self.add(p, None, group)
        if len(held) != len(groups) or any(a is not group.arrays for a, group in zip(held, groups, strict=True)):
            held[:] = {id(group): group.arrays for group in groups}.values()  # torch lets a group be there twice

    def clock_names(self, path: str) -> Sequence[str]:
        """The names of the entries that depend on the step count alone."""
        group = self.group_of.get(path)
        return group.rule.clock if group is not None and group.rule is not None and group.rule.counted else ()

    def early_names(self, path: str) -> Sequence[str]:
        """The names of the entries that init() made and that the first step has not used yet."""
        first = self.slots.get(path, {}).get(FIRST)
        rule = self.group_of[path].rule if first is not None and first.item() else None
        return () if rule is None else rule.late

    def saved(self) -> Iterator[tuple[Tensor, Entries]]:
        """The parameters whose entries are saved. Those that have only what init() made are left out."""
        for p in self.holders():
            entries = self.entries(self.paths[p])
            if entries.saved() or not entries:
                yield p, entries

    def keep_count(self, path: str) -> None:
        """Give the parameter at ``path`` a count of its own, if it has begun to count."""
        if (slots := self.slots.get(path)) and (names := self.clock_names(path)):
            keep_count(slots, self.group_of[path].arrays, names)

    def counts_in_integers(self, path: str) -> bool:
        """Whether "step" is an int in torch."""
        group = self.group_of.get(path)
        return group is not None and group.rule is not None and group.rule.integer_step

    def rule_of(self, group: Group) -> type[Rule] | None:
        """The rule of the entries here; None for the group of another optimizer, which a wrapper shares."""
        return group.rule if any(arrays is group.arrays for arrays in self.groups) else None

    def distinct_groups(self) -> list[Group]:
        """The groups of the parameters, each once."""
        return list({id(group): group for group in self.group_of.values()}.values())

    # The entries at a path ------------------------------------------------------------------------------------------

    def entries(self, path: str) -> Entries:
        """The entries of the parameter at ``path``: the same object as long as it is used somewhere."""
        found = self._entries.get(path)
        if found is None:
            found = self._entries[path] = Entries(self, path)
        return found

    @property
    def loose(self) -> Entries:
        """The entries that belong to no parameter."""
        return self.entries(LOOSE)

    def of(self, p: Tensor) -> Entries:
        """The entries of ``p``. From now on the state has them, as torch's ``defaultdict`` does."""
        path = self.add(p, None, None)
        self.begun.setdefault(path)
        return self.entries(path)

    def has(self, p: Tensor) -> bool:
        """Whether there is a dict of entries of ``p``."""
        return self.paths.get(p) in self.begun

    def holders(self) -> list[Tensor]:
        """The parameters that have a dict of entries, in the order in which they got it."""
        return [self.parameters[path] for path in self.begun if path != LOOSE]

    def create(self, name: str) -> dict[str, Any]:
        self.begun.setdefault(name)
        return super().create(name)

    def slots_at(self, path: str) -> dict[str, Any]:
        """The dict of arrays at ``path``, which is made where there is none."""
        slots = self.slots.get(path)
        return self.create(path) if slots is None else slots

    def tensor(self, path: str, name: Any) -> Tensor:
        """The Tensor over an array: always the same one."""
        found = self.tensors.get((path, name))
        if found is None:
            group, clock = self.group_of.get(path), self.clock_names(path)
            arrays = None if group is None else group.arrays
            found = self.tensors[path, name] = tensor_over(self.slots_at(path), arrays, clock, name)
        return found

    def put(self, path: str, name: Any, value: Tensor | mx.array) -> None:
        """Make ``value`` an entry; a Tensor lives in the tree from now on."""
        held = self.tensors.get((path, name))
        if held is value:
            return
        slots = self.slots_at(path)
        self.begun.setdefault(path)
        self.unused.discard(path)  # torch treats a buffer that exists as one that has begun
        slots.pop(FIRST, None)
        if held is not None:
            self._let_go(path, name)
        if isinstance(value, Tensor) and not self.in_place and value._storage.placed:
            # a step replaces the arrays of each place by themselves, so a Tensor can't be in two of them
            self.aliases.update((at, path) for (at, _), held in self.tensors.items() if held is value)
            value = Tensor(value.array)
        if isinstance(value, Tensor):
            slots[name] = value.array
            value._add_place(slots, name)
            self.tensors[path, name] = value
        else:
            slots[name] = value

    def drop(self, path: str, name: Any) -> bool:
        """Remove an array, and say whether there was one; a Tensor over it keeps its value."""
        if (path, name) in self.tensors:
            self._let_go(path, name)
        return self.slots.get(path, {}).pop(name, None) is not None

    def _let_go(self, path: str, name: Any) -> None:
        self.tensors.pop((path, name))._leave(self.slots.get(path), name)

    def assign(self, path: str, entries: Mapping[Any, Any]) -> None:
        """``state[p] = entries``. Entries that were taken out of a state live here from now on; others are copied."""
        if isinstance(entries, Entries) and entries.is_at(self, path):
            return
        new = dict(entries)
        self.remove(path)
        self.begun.setdefault(path)
        if isinstance(entries, Entries) and entries.is_at(None):
            entries.move(self, path)
            self._entries[path] = entries
        target = self.entries(path)
        for name, value in new.items():
            target[name] = value

    def remove(self, path: str) -> Entries:
        """``state.pop(p)``: the entries go on as a dict of their own."""
        entries = self.entries(path)
        entries.take_out(self.emptied(path))
        self._entries.pop(path, None)
        self.begun.pop(path, None)
        return entries

    def emptied(self, path: str) -> dict[Any, Any]:
        """Remove all entries at ``path``; they are given back, in Tensors that no step changes."""
        taken = dict(self.entries(path))
        for at, name in [key for key in self.tensors if key[0] == path] if taken else ():
            self._let_go(at, name)
        self.others.pop(path, None)
        self.unused.discard(path)
        self.aliases = {pair for pair in self.aliases if path not in pair}
        if (slots := self.slots.pop(path, None)) is not None:
            slots.clear()
            self.renew()
        return taken

    def check_aliases(self, paths: Collection[str]) -> None:
        """Refuse a step of two parameters whose entries are the same Tensors: torch would update these twice."""
        for a, b in self.aliases:
            if a in paths and b in paths:
                raise RuntimeError(
                    f"the entries of {b!r} in optimizer.state were assigned from those of {a!r}, which are in use: in "
                    "torch both parameters would update the same tensors, which is not supported. Take them out first "
                    "(state[q] = state.pop(p)), or give a copy (state[q] = copy.deepcopy(state[p]))"
                )

    # All entries ----------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Release the Tensors over the slots; one that a user holds keeps its present value."""
        for path, name in list(self.tensors):
            self._let_go(path, name)

    def forget(self) -> None:
        """Drop all entries of all parameters, and restart every count."""
        for holder in list(self._entries.values()):
            holder.take_out(dict(holder))
        self._entries.clear()
        self.release()
        for slots in self.slots.values():
            slots.clear()
        for held in (self.slots, self.others, self.begun, self.aliases, self.unused):
            held.clear()
        for group in self.distinct_groups():
            group.restart()

    def examine(self, tree: dict[Any, Any]) -> None:
        """Refuse slots of parameters that are not here, or that do not fit them."""
        for path, slots in leaves(tree, ""):
            if path == LOOSE:
                continue
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

    def marked(self) -> list[str]:
        """The paths of the slots that say whether the next step is the first one."""
        return [path for path, slots in self.slots.items() if FIRST in slots]

    def mark_again(self, paths: Sequence[str]) -> None:
        """Have loaded slots say that they have begun, where a compiled step reads that."""
        for path in paths:
            if slots := self.slots.get(path):
                slots.setdefault(FIRST, mx.array(False))

    def load(self, tree: Any) -> None:
        marked = self.marked()
        super().load(tree)
        self.mark_again(marked)
        self.begun = {p: None for p in (*self.begun, *self.slots) if self.slots.get(p) or self.others.get(p)}

    def snapshot(self) -> Any:
        """What :meth:`restore` needs to undo what happens to the entries from now on."""
        slots = {path: dict(entries) for path, entries in self.slots.items()}
        others = {path: dict(entries) for path, entries in self.others.items()}
        return slots, others, dict(self.begun)

    def restore(self, snapshot: Any) -> None:
        slots, others, begun = snapshot
        self.release()
        for path in [path for path in self.slots if path not in slots]:
            self.slots.pop(path).clear()
        for path, entries in slots.items():
            here = self.slots_at(path)
            here.clear()
            here.update(entries)
        self.others, self.begun = others, begun

    # Parameters and loose keys, next to the names of the tree -------------------------------------------------------

    def _is_name(self, key: Any) -> bool:
        """Whether a key is one of MLX's tree."""
        return isinstance(key, str) and (key in (GROUPS, LOOSE) or key in self._above or key in self.parameters)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Tensor):
            return self.of(key)
        return super().__getitem__(key) if dict.__contains__(self, key) else self.loose[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Tensor):
            self.assign(self.add(key, None, None), value)
        elif self._is_name(key) and key != GROUPS and isinstance(value, (dict, list)):
            self.assign_below(key, value)
        elif self._is_name(key):
            raise TypeError(
                f"optimizer.state[{key!r}] is a part of the tree of arrays, a dict or a list, but got "
                f"{type(value).__name__}; the numbers of the groups are set in optimizer.param_groups"
            )
        else:
            self.loose[key] = value

    def __delitem__(self, key: Any) -> None:
        if isinstance(key, Tensor):
            if not self.has(key):
                raise KeyError(key)
            self.remove(self.paths[key])
        elif dict.__contains__(self, key):
            self.pop(key)
        else:
            del self.loose[key]

    def __contains__(self, key: object) -> bool:
        if isinstance(key, Tensor):
            return self.has(key)
        return super().__contains__(key) or key in self.loose

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - this is get

    def pop(self, key: Any, *default: Any) -> Any:
        if isinstance(key, Tensor):
            if self.has(key):
                return self.remove(self.paths[key])
        elif key == GROUPS:
            raise KeyError(f"{GROUPS!r} can't be removed from optimizer.state; state.clear() forgets all entries")
        elif dict.__contains__(self, key):
            held = copied(dict.__getitem__(self, key))
            self.assign_below(key, None)
            return held
        elif key in self.loose:
            return self.loose.pop(key)
        if default:
            return default[0]
        raise KeyError(key)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = {} if default is None and isinstance(key, Tensor) else default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def clear(self) -> None:
        """Forget all entries, as torch's ``state.clear()``; the groups and their numbers stay."""
        self.forget()
        self.renew()


def _above(path: str, itself: bool = False) -> Iterator[str]:
    """``a`` and ``a.b`` for ``a.b.c``."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + itself))
