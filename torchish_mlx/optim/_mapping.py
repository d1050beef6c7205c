"""``optimizer.state`` as torch has it: a mapping of Parameters to their entries."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from .._tensor.tensor import Tensor
from ..optimizers._state import GROUPS
from ._entries import Entries
from ._state import LOOSE, OptimizerState

CONTENT = "_tree"  # the one key of the dict itself


class ParameterState(dict[Any, Any]):
    """torch's ``defaultdict`` of Parameters over a state, for an optimizer none of whose Parameters is in a module.

    Keys are the Parameters that have entries, and what else was set (``state["k"] = 3``). A Parameter without entries
    reads as an empty dict, which is there from then on.

    MLX's functions in C++ (``mx.eval``, ``mx.compile``) look at the content of the dict itself, and find the tree of
    arrays there. Those in Python (``tree_flatten``) need :meth:`Optimizer.state_tree`.
    """

    def __init__(self, tree: OptimizerState) -> None:
        super().__init__()
        self.tree = tree
        dict.__setitem__(self, CONTENT, tree)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Tensor):
            return self.tree.of(key)
        if key == GROUPS:
            raise KeyError(f"{GROUPS!r} is a name of the tree of arrays, which is optimizer.state_tree()")
        loose = self.tree.loose
        return loose[key] if key in loose else loose.setdefault(key, {})

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Tensor):
            self.tree[key] = value
        else:
            self.tree.loose[key] = value

    def __delitem__(self, key: Any) -> None:
        if isinstance(key, Tensor):
            del self.tree[key]
        else:
            del self.tree.loose[key]

    def __contains__(self, key: object) -> bool:
        return self.tree.has(key) if isinstance(key, Tensor) else key in self.tree.loose

    def __iter__(self) -> Iterator[Any]:
        yield from self.tree.holders()
        yield from self.tree.loose

    def __len__(self) -> int:
        return len(self.tree.begun) - (LOOSE in self.tree.begun) + len(self.tree.loose)

    def __bool__(self) -> bool:
        return len(self) > 0

    # What follows from these, as in any mapping; dict's own methods would look at its content.
    keys: Any = MutableMapping.keys
    values: Any = MutableMapping.values
    items: Any = MutableMapping.items
    update: Any = MutableMapping.update
    popitem: Any = MutableMapping.popitem

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - this is get

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        if key not in self and default:
            return default[0]
        return self.tree.pop(key) if isinstance(key, Tensor) else self.tree.loose.pop(key)

    def clear(self) -> None:
        self.tree.clear()

    def copy(self) -> dict[Any, Any]:
        """A dict of the same Parameters and entries."""
        return dict(self.items())

    def __or__(self, other: Any) -> dict[Any, Any]:
        return {**self.copy(), **other}

    def __ror__(self, other: Any) -> dict[Any, Any]:
        return {**other, **self.copy()}

    def __ior__(self, other: Any) -> ParameterState:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        return self is other or self.copy() == other

    def __repr__(self) -> str:
        return repr(self.copy())

    __copy__ = copy
    __hash__ = None

    def __reduce_ex__(self, protocol: Any) -> Any:  # dict has one of its own
        """Copies and pickles are plain dicts, with Tensors of their own."""
        return dict, ({k: v.apart() if isinstance(v, Entries) else v for k, v in self.items()},)
