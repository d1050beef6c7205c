"""The state of an optimizer: one nested dict of arrays, mutated and never rebound.

::

    {"_groups": [{"lr": ..., "betas": [...], "step": ...}, ...],      hyper-parameters and the count, once per group
     "layers": [{"weight": {"exp_avg": ..., "exp_avg_sq": ...}}]}     slots of each parameter, nested as MLX nests them

``_groups`` cannot be the name of a parameter: ``mlx.nn.Module`` keeps names with an underscore out of ``parameters()``.
A compiled step captures these very dicts, so loading writes into them and every dict keeps its identity.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from ._hyper import STRUCTURE, as_array, renewed

GROUPS = "_groups"
_DEPTH = 200  # levels of nesting that no model has


class ByGroup(dict[int, Any]):
    """What steps learn of a group, by the id of its arrays. A copy of the state, with groups of its own, has none."""

    def __deepcopy__(self, memo: dict[int, Any]) -> ByGroup:
        return ByGroup()

    def __reduce__(self) -> Any:
        return ByGroup, ()


class State(dict[Any, Any]):
    """The nested dict, with an index ``slots``: path of a parameter -> its dict of arrays."""

    def __init__(self) -> None:
        super().__init__({GROUPS: []})
        self.slots: dict[str, dict[str, Any]] = {}
        self.plans = ByGroup()  # how the last step was made
        self.kinds = ByGroup()  # which sets of parameters were updated at once
        self.renewals = 0
        self.unused = set[str]()  # the paths of the slots that init() made and no step has used yet
        self.unchecked = False  # whether slots were loaded that no parameter has been compared with yet

    @property
    def groups(self) -> list[dict[str, Any]]:
        return dict.__getitem__(self, GROUPS)

    def create(self, name: str) -> dict[str, Any]:
        """The (new) slots of the parameter at ``name``, a path with dots; digits are places in a list."""
        if name.split(".")[0] == GROUPS:
            raise ValueError(f"a parameter can't be named {GROUPS!r}: the optimizer keeps its hyper-parameters there")
        node: Any = self
        keys = name.split(".")
        last = keys[-1]
        for key, following in pairwise(keys):
            node = _child(node, key, list if following.isdigit() else dict)
            if node is None:  # a list where this path wants names ("a.0" beside "a.b"): keep the path as one key
                node, last = self, name
                break
        slots = _child(node, last, dict)
        self.slots[name] = slots = _child(self, name, dict) if slots is None else slots
        return slots

    def load(self, tree: Any) -> None:
        """Make this state hold what ``tree`` holds, in place. An empty tree forgets the slots and keeps the groups.

        Raises ValueError, with nothing changed, for a tree that is not the state of such an optimizer.
        """
        if tree is self:
            return
        if not isinstance(tree, dict):
            raise TypeError(f"an optimizer's state is a dict of arrays, but got {type(tree).__name__}")
        tree = copied(tree or {GROUPS: self.groups})
        groups = _completed(self.groups, tree.get(GROUPS))
        if groups is None:
            raise ValueError(
                f"this is not the state of an optimizer with {len(self.groups)} parameter group(s) of this kind: its "
                f"{GROUPS!r} entry holds {_describe(tree.get(GROUPS))}, expected {_describe(self.groups)}, each a "
                "number. Give the state that tree_flatten(optimizer.state) saved from an optimizer built the same way."
            )
        self.examine(tree)
        held = {path for path, slots in self.slots.items() if slots}
        replace(self, {**tree, GROUPS: groups})
        self.slots = dict(leaves(self, ""))
        if not held <= self.slots.keys():
            self.renew()

    def renew(self) -> None:
        """Have compiled steps traced anew, after slots were dropped.

        A step that makes slots makes their places in Python, while it is traced. With the slots gone ``mx.compile``
        would find that first trace again, and run it without Python: its new slots would have no places, and be lost.
        """
        self.renewals += 1
        for arrays in self.groups:
            if STRUCTURE in arrays:
                arrays[STRUCTURE] = renewed(arrays[STRUCTURE], self.renewals)

    def examine(self, tree: dict[Any, Any]) -> None:  # noqa: ARG002 - a subclass looks at it
        """Compare the slots of a tree with the parameters; a rule alone meets them in its next step."""
        self.unchecked = True


def _completed(ours: list[dict[str, Any]], theirs: Any) -> list[dict[str, Any]] | None:
    """Loaded groups, with the empty lists that ``tree_flatten`` leaves out; None for what is no such list of groups."""
    if not isinstance(theirs, list) or len(theirs) != len(ours) or not all(isinstance(g, dict) for g in theirs):
        return None
    made = []
    for mine, group in zip(ours, theirs, strict=True):
        made.append({**{name: [] for name, value in mine.items() if isinstance(value, list) and not value}, **group})
        held: Any = tree_flatten(made[-1])
        if set(made[-1]) != set(mine) or not all(isinstance(a, mx.array) and a.size < 2 for _, a in held):
            return None
    return made


def _describe(groups: Any) -> str:
    described = isinstance(groups, list) and all(isinstance(g, dict) for g in groups)
    return str([sorted(map(str, g)) for g in groups]) if described else repr(groups)


def _child(node: Any, key: str, kind: type) -> Any:
    """``node[key]``, made as an empty ``kind`` where there is none; None where ``node`` can't hold such a key."""
    if isinstance(node, list):
        if not key.isdigit():
            return None
        while len(node) <= int(key):
            node.append({})
        index: Any = int(key)
        present = node[index]
    else:
        index, present = key, node.get(key)
    if not isinstance(present, (dict, list)) or (not present and not isinstance(present, kind)):
        node[index] = present = kind()
    return present


def copied(tree: Any, depth: int = 0) -> Any:
    """``tree`` with containers of its own and the same arrays; Tensors, as files give them, become arrays.

    Raises ValueError for one that is deeper than any model, or contains itself.
    """
    if depth > _DEPTH:
        raise ValueError(
            f"the state is nested deeper than {_DEPTH} levels, or contains itself, which that of no model does: give "
            "the state of an optimizer"
        )
    if isinstance(tree, Mapping):
        return {key: copied(value, depth + 1) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [copied(value, depth + 1) for value in tree]
    array = as_array(tree)
    return tree if array is None else array


def replace(node: Any, new: Any) -> None:
    """Give ``node`` the content of ``new``, keeping every container that both have."""
    if isinstance(node, dict):
        for key in [key for key in node if key not in new]:
            dict.__delitem__(node, key)
        pairs: Any = list(new.items())
    else:
        del node[len(new) :]
        node.extend({} for _ in range(len(new) - len(node)))
        pairs = list(enumerate(new))
    for key, value in pairs:
        present = (dict.get(node, key)) if isinstance(node, dict) else node[key]
        if (isinstance(present, dict) and isinstance(value, dict)) or (
            isinstance(present, list) and isinstance(value, list)
        ):
            replace(present, value)
        elif isinstance(node, dict):
            dict.__setitem__(node, key, value)
        else:
            node[key] = value


def leaves(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, dict) of every dict that holds arrays; interior nodes hold dicts and lists only."""
    if isinstance(node, dict) and any(isinstance(value, mx.array) for value in node.values()):
        yield path, node
        return
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(child, (dict, list)) and not (path == "" and key == GROUPS):
            yield from leaves(child, f"{path}.{key}" if path else str(key))


def listed(names: Collection[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(repr, list(names)[:8]))
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
