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

from .._core.evaluation import schedule
from .._core.trace import traced
from ._hyper import STRUCTURE, as_array, renewed

GROUPS = "_groups"
_DEPTH = 200  # levels of nesting that no model has


class ByGroup(dict[int, Any]):
    """What the last steps found out about each group, by the id of its arrays. A copy of the state begins without it,
    because its groups are new.
    """

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

    def __reduce_ex__(self, protocol: Any) -> Any:  # that of dict would assign the entries one by one
        """A copy of the tree is a plain dict, with containers of its own."""
        return dict, (copied(self),)

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

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
            if node is None:  # a list where this path wants names ("a.0" next to "a.b"): keep the path as one key
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
        mine = self.numbers()
        tree = gathered(copied(tree or {GROUPS: mine}))
        groups = _completed(mine, tree.get(GROUPS))
        if groups is None:
            raise ValueError(
                f"this is not the state of an optimizer with {len(mine)} parameter group(s) of this kind: its "
                f"{GROUPS!r} entry holds {_describe(tree.get(GROUPS))}, expected {_describe(mine)}, each a number. "
                "Give the state that tree_flatten(optimizer.state) saved from an optimizer built the same way."
            )
        self.examine(tree)
        held = {path for path, slots in self.slots.items() if slots}
        replace(self, self.laid_out({**tree, GROUPS: groups}))
        self.slots = self.found()
        if not held <= self.slots.keys():
            self.renew()

    def assign_below(self, name: str, tree: Any) -> None:
        """Load what a user assigned to one name at the top of the tree, or with None forget what is there."""
        rest = {key: value for key, value in self.items() if key != name}
        self.load(rest if tree is None else {**rest, name: tree})

    def numbers(self) -> list[dict[str, Any]]:
        """The arrays of each group: hyper-parameters, and the count."""
        return self.groups

    def laid_out(self, tree: dict[Any, Any]) -> dict[Any, Any]:
        """``tree`` as the state keeps it."""
        return tree

    def found(self) -> dict[str, dict[str, Any]]:
        """path -> slots of every parameter in the tree."""
        return dict(leaves(self, ""))

    def renew(self) -> None:
        """Have compiled steps traced again, after slots were dropped.

        A step that makes slots makes their places in Python, while it is traced. With the slots gone ``mx.compile``
        would find that first trace again, and run it without Python: its new slots would have no places, and be lost.
        """
        self.renewals += 1
        for arrays in self.groups:
            if STRUCTURE in arrays:
                arrays[STRUCTURE] = renewed(arrays[STRUCTURE], self.renewals)

    def examine(self, tree: dict[Any, Any]) -> None:  # noqa: ARG002 - a subclass looks at it
        """Compare the slots of a tree with the parameters; a rule alone compares them in its next step."""
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
        made[-1] = {name: _widened(value, mine[name]) for name, value in made[-1].items()}
    return made


def _widened(number: Any, held: Any) -> Any:
    """A loaded number, in the dtype of ``held``, the present one. If it is ``held`` in half precision, ``held`` stays.

    Users cast a whole state by ``tree_map`` to save memory, which must not round the betas and the count.
    """
    if isinstance(number, list):
        alike = isinstance(held, list) and len(held) == len(number)
        return [_widened(one, other) for one, other in zip(number, held if alike else number, strict=True)]
    if number.dtype == held.dtype:
        return number
    half = number.dtype in (mx.float16, mx.bfloat16) and number.size == held.size == 1
    if half and not (traced(number) or traced(held)) and held.astype(number.dtype).item() == number.item():
        return held
    return number.astype(held.dtype)


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
        present = kind()
        if isinstance(node, dict):
            dict.__setitem__(node, index, present)  # a State loads what is assigned to it
        else:
            node[index] = present
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
    """(path, dict) of every dict that holds arrays below ``node``; nodes above these hold dicts and lists only."""
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        if not isinstance(child, (dict, list)) or (path == "" and key == GROUPS):
            continue
        where = f"{path}.{key}" if path else str(key)
        if isinstance(child, dict) and any(isinstance(value, mx.array) for value in child.values()):
            yield where, child
        else:
            yield from leaves(child, where)


def entries_alone(tree: Any, options: Collection[str]) -> bool:
    """Whether a tree holds entries of a user's own and nothing that the state of an optimizer with ``options`` has."""
    if not isinstance(tree, Mapping) or not tree or any(name in tree for name in (*TOP, GROUPS, *options)):
        return False
    return not any(isinstance(v, (Mapping, list, tuple)) or as_array(v) is not None for v in tree.values())


def gathered(tree: dict[Any, Any]) -> dict[Any, Any]:
    """A tree whose groups hold all numbers: that of a rule used alone has two of them at its top, as MLX's have."""
    top = {name: tree[name] for name in TOP if isinstance(tree.get(name), (int, float, mx.array))}
    groups = tree.get(GROUPS)
    if not top or not isinstance(groups, list) or len(groups) != 1 or not isinstance(groups[0], dict):
        return tree
    if any(name in groups[0] for name in TOP.values()):
        return tree  # numbers in both places: it is refused
    rest = {key: value for key, value in tree.items() if key not in top}
    rest = {key[1:] if key in _APART else key: value for key, value in rest.items()}
    numbers = {TOP[name]: a if isinstance(a, mx.array) else mx.array(a, mx.float32) for name, a in top.items()}
    return {**rest, GROUPS: [{**groups[0], **numbers}]}


class RuleState(State):
    """The state of a rule that is used alone, with ``step`` and ``learning_rate`` at its top, as MLX's documentation
    has them: ``{"step": ..., "learning_rate": ..., "_groups": [{...}], "layers": [...]}``.

    Both may be read and written there. The slots of a parameter that is called like one of them are kept under its
    name with an underscore.

    Where entries of a user's own were assigned as the whole state, they are all that it holds until the next use.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        super().__init__()
        dict.clear(self)
        self._aside: dict[Any, Any] = {}  # the numbers, while there are entries of a user's own alone
        self.at_work: dict[str, Any] = {}  # the numbers during a step: always the same dict, which is known by its id
        self.write(arrays)
        schedule(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """The copy of a rule has a state like this, whose index is of the copied dicts."""
        return type(self).__new__, (type(self),), (vars(self), dict(self))

    def __setstate__(self, state: tuple[dict[str, Any], dict[Any, Any]]) -> None:
        attributes, content = state
        vars(self).update(attributes)
        dict.update(self, content)

    def set_aside(self, entries: Mapping[Any, Any]) -> None:
        """Hold these entries alone, until a number is read or written."""
        self._aside = dict(self)
        dict.clear(self)
        dict.update(self, entries)

    def __missing__(self, key: Any) -> Any:
        if key not in self._aside:
            raise KeyError(key)
        content, self._aside = {**self._aside, **self}, {}
        dict.clear(self)
        dict.update(self, content)
        return content[key]

    def numbers(self) -> list[dict[str, Any]]:
        return [{**self.groups[0], **{TOP[name]: _number(self[name]) for name in TOP}}]

    def write(self, arrays: Mapping[str, Any]) -> None:
        """Take over the numbers of :meth:`numbers`, after they have changed."""
        dict.update(self, self._top(arrays))
        rest = {name: value for name, value in arrays.items() if name not in TOP.values()}
        if GROUPS in self:
            self.groups[0].update(rest)
        else:
            dict.__setitem__(self, GROUPS, [rest])

    def _top(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {name: arrays[short].astype(mx.uint64 if name == "step" else mx.float32) for name, short in TOP.items()}

    def laid_out(self, tree: dict[Any, Any]) -> dict[Any, Any]:
        (arrays,) = tree[GROUPS]
        rest = {name: value for name, value in arrays.items() if name not in TOP.values()}
        names = {f"_{key}" if key in TOP else key: value for key, value in tree.items()}
        return {**self._top(arrays), **names, GROUPS: [rest]}

    def found(self) -> dict[str, dict[str, Any]]:
        return {path[1:] if path.split(".")[0] in _APART else path: slots for path, slots in leaves(self, "")}

    def create(self, name: str) -> dict[str, Any]:
        if name.split(".")[0] not in TOP:
            return super().create(name)
        slots = self.slots[name] = super().create(f"_{name}")
        del self.slots[f"_{name}"]
        return slots

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in TOP:
            value = _number(value).astype(mx.uint64 if key == "step" else mx.float32)
            schedule(value)
        elif isinstance(value, (dict, list)):
            self.assign_below(key, value)
            return
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def pop(self, key: Any, *default: Any) -> Any:
        if key in TOP or key == GROUPS:
            raise KeyError(
                f"{key!r} can't be removed from the state of an optimizer; optimizer.state = {{}} starts over"
            )
        held = self.get(key)
        if not isinstance(held, (dict, list)):
            return super().pop(key, *default)
        held = copied(held)
        self.assign_below(key, None)
        return held

    def clear(self) -> None:
        raise RuntimeError("the state of an optimizer can't be cleared in place: optimizer.state = {} starts over")


TOP = {"step": "step", "learning_rate": "lr"}  # what MLX has at the top of its tree -> what it is called in a group
_APART = {f"_{name}" for name in TOP}  # where the slots of parameters with these names are


def _number(value: Any) -> mx.array:
    """A number of the state, in float32; a user may have written a Python number, or an array of another dtype."""
    array = as_array(value)
    array = mx.array(value, mx.float32) if array is None else array.astype(mx.float32)
    if array.size != 1:
        raise ValueError(f"step and learning_rate are numbers, but an array of shape {tuple(array.shape)} was written")
    return array.reshape(()) if array.ndim else array
