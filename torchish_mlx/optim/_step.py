"""The one core of ``step``, ``update`` and ``apply_gradients``: (path, gradient, parameter) in, new arrays out.

p.grad, or a tree -> items by group -> checks -> each group's rule -> new arrays -> the storages, or a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import mlx.core as mx
from mlx.nn import Module

from ..optimizers import RowSparse
from ..optimizers._core import Item, advance, check_items, formulas, paired
from ..optimizers._state import listed
from ..tensor import Tensor, locate
from ..tensor._evaluate import schedule
from ._groups import Group
from ._state import OptimizerState


def gradients_of(state: OptimizerState, group: Group) -> list[Item]:
    """The parameters of ``group`` that have a gradient. A frozen one, or one that no loss has reached, is left out."""
    return [
        (state.add(p, None, group), p.grad if isinstance(p.grad, RowSparse) else p.grad.array, p.array)
        for p in group["params"]
        if p.grad is not None
    ]


def advance_all(state: OptimizerState, work: Sequence[tuple[Group, list[Item]]]) -> dict[str, mx.array]:
    """path -> new array. Everything is checked before anything is changed."""
    for group, items in work:
        check_items(group.rule, items)
    new: dict[str, mx.array] = {}
    for group, items in work:
        members = [state.add(p, None, group) for p in group["params"]]
        for once in _rounds(items):
            again = [(path, g, new.get(path, p)) for path, g, p in once]
            arrays = advance(group.rule, group, group.arrays, state, members, again, _runner(group))
            new.update(zip((path for path, _, _ in once), arrays, strict=True))
    return new


def _rounds(items: list[Item]) -> list[list[Item]]:
    """``items``, apart where a parameter stands twice in a group (torch warns of it, and updates it twice)."""
    rounds: list[list[Item]] = []
    seen: dict[str, int] = {}
    for item in items:
        turn = seen[item[0]] = seen.get(item[0], -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(item)
    return rounds


def _runner(group: Group) -> Any:
    if not group.get("fused"):
        return formulas(group.rule, group)
    return _compiled(_Frozen(group))


class _Frozen:
    """A group's rule and the Python values that its formula depends on, as a key of the compiled formulas."""

    def __init__(self, group: Group) -> None:
        assert group.rule is not None
        self.rule, self.key = group.rule, (group.rule, group.rule.choices(group))
        self.values = {name: group[name] for name in group.rule.fields() if name in group}

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.key == other.key


@lru_cache(maxsize=64)
def _compiled(frozen: _Frozen) -> Any:
    """``fused=True``: the formulas of a group as one compiled function, kept per rule and flags."""
    return mx.compile(formulas(frozen.rule, frozen.values))


def resolve(state: OptimizerState, gradients: Any, parameters: Any) -> tuple[list[tuple[Group, list[Item]]], list[str]]:
    """The leaves of a gradient tree by group, and the path of each leaf in the order of the tree.

    A module's places are followed to their Parameters, others go by path. A layer that stands in two places of a
    model is one parameter, and its gradients are summed.

    Raises ValueError for a gradient of a parameter that the optimizer does not hold.
    """
    items: dict[str, Item] = {}
    order: list[str] = []
    for path, g, p in paired(gradients, parameters):
        known = _path_of(state, path, parameters)
        if known is None or known not in state.group_of:
            raise ValueError(
                f"there is a gradient for {path!r}, which this optimizer does not hold; it holds "
                f"{listed(state.group_of)}. Where the names differ (groups made from submodules), "
                "pass the model itself in place of a tree of arrays."
            )
        order.append(known)
        items[known] = (known, g if known not in items else items[known][1] + g, p)
    work: dict[int, tuple[Group, list[Item]]] = {}
    for item in items.values():
        group = state.group_of[item[0]]
        work.setdefault(id(group), (group, []))[1].append(item)
    return list(work.values()), order


def _path_of(state: OptimizerState, path: str, parameters: Any) -> str | None:
    if isinstance(parameters, Module):
        found = state.paths.get(locate(parameters, path))
        if found is not None:
            return found
    return path if path in state.parameters else None


def schedule_evaluation(parameters: Sequence[Tensor], state: OptimizerState) -> None:
    """Evaluate what a step wrote, without waiting. Inside a traced step there is nothing to evaluate yet."""
    schedule([p.array for p in parameters], state)
