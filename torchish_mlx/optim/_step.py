"""The one core of ``step``, ``update`` and ``apply_gradients``: (path, gradient, parameter) in, new arrays out.

p.grad, or a tree -> items by group -> checks -> each group's rule -> new arrays -> the storages, or a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import mlx.core as mx
from mlx.nn import Module

from .._docs import see
from ..optimizers import RowSparse
from ..optimizers._core import Item, Task, paired
from ..optimizers._state import listed
from ..tensor import locate
from ._groups import Group
from ._paths import run
from ._scheduled import advance
from ._state import OptimizerState


def gradients_of(state: OptimizerState, groups: Sequence[Group]) -> list[tuple[Group, list[Item]]]:
    """The parameters of each group that have a gradient: not a frozen one, or one that no loss has reached."""
    work, paths, group_of = [], state.paths, state.group_of
    for group in groups:
        items = []
        for p in group["params"]:
            if (g := p.grad) is not None:
                path = paths.get(p)
                if path is None or group_of.get(path) is not group:
                    path = state.add(p, None, group)
                items.append((path, g if isinstance(g, RowSparse) else g.array, p.array))
        if items:
            work.append((group, items))
    return work


def advance_all(
    state: OptimizerState, work: Sequence[tuple[Group, list[Item]]], scheduled: Sequence[Group] = ()
) -> dict[str, mx.array]:
    """path -> new array. Everything is checked before anything is changed.

    ``scheduled`` are the groups whose learning rate may be a schedule.
    """
    new: dict[str, mx.array] = {}
    turns = [(group, _turns(items)) for group, items in work]
    for turn in range(max((len(each) for _, each in turns), default=0)):
        tasks, counts = [], []
        for group, each in turns:
            if turn < len(each):
                items = each[turn] if turn == 0 else [(path, g, new[path]) for path, g, _ in each[turn]]
                assert group.rule is not None
                tasks.append(Task(group.rule, group, group.arrays, state, items, group.get("foreach") is not False))
                counts.append((len(group["params"]), partial(_members, state, group)))
        if turn == 0:
            advance(scheduled)
        inputs = [task.begin(*count) for task, count in zip(tasks, counts, strict=True)]
        for task, results in zip(tasks, run(tasks, inputs), strict=True):
            new.update(zip(task.plan.paths, task.commit(results), strict=True))
    return new


def _members(state: OptimizerState, group: Group) -> list[str]:
    return [state.add(p, None, group) for p in group["params"]]


def _turns(items: list[Item]) -> list[list[Item]]:
    """``items``, apart where a parameter stands twice in a group (torch warns of it, and updates it twice)."""
    if len({path for path, _, _ in items}) == len(items):
        return [items]
    turns: list[list[Item]] = []
    seen: dict[str, int] = {}
    for item in items:
        turn = seen[item[0]] = seen.get(item[0], -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(item)
    return turns


def resolve(state: OptimizerState, gradients: Any, parameters: Any) -> tuple[list[tuple[Group, list[Item]]], list[str]]:
    """The leaves of a gradient tree by group, and the path of each leaf in the order of the tree.

    A module's places are followed to their Parameters, others go by path. A layer that stands in two places of a
    model is one parameter, and its gradients are summed.

    Raises ValueError for a gradient of a parameter that the optimizer does not hold, and in a tree of arrays for a name
    that two of its groups have.
    """
    items: dict[str, Item] = {}
    order: list[str] = []
    for path, g, p in paired(gradients, parameters):
        known = _path_of(state, path, parameters)
        if known is None or known not in state.group_of:
            raise ValueError(
                f"there is a gradient for {path!r}, which this optimizer does not hold; it holds "
                f"{listed(state.group_of)}. Where the names differ (groups made from submodules), "
                "pass the model itself in place of a tree of arrays." + see("groups-made-of-submodules")
            )
        if f"{known}#2" in state.parameters and not isinstance(parameters, Module):
            raise ValueError(
                f"this optimizer holds several parameters that are called {known!r} in the submodules of its groups, "
                "and a tree of arrays does not tell which it has: pass the model itself, or make the groups from "
                "named_parameters(model)." + see("groups-made-of-submodules")
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
