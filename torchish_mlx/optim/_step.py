"""The one core of ``step``, ``update`` and ``apply_gradients``: (path, gradient, parameter) in, new arrays out.

p.grad, or a tree -> items by group -> checks -> each group's rule -> new arrays -> the storages, or a tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import mlx.core as mx
from mlx.nn import Module

from .._core.evaluation import schedule_given
from .._core.messages import listed
from .._core.sparse import RowSparse, added
from .._docs import see
from ..bridge._held import Held
from ..bridge._ties import retie
from ..bridge.parameters import at_path, walked
from ..optimizers._core import Item, Share, Task, paired
from ..optimizers._hyper import STRUCTURE
from ..optimizers._together import nested_alike
from ._groups import Group
from ._paths import run
from ._scaling import Scaling, before_step
from ._scheduled import ScheduledGroup, advance
from ._state import OptimizerState

MANY = 8  # groups of one kind; to compute fewer of them together is not faster


def gradients_of(state: OptimizerState, groups: Sequence[Group]) -> list[Share]:
    """The parameters of each group that have a gradient: not a frozen one, or one that no loss has reached.

    Raises RuntimeError for gradients that another thread has left unevaluated.
    """
    work = _with_gradients(state, groups)
    if _meet({path: array for share in work for path, _, array in share.items}) and retie(state.paths):
        state.renew()
        work = _with_gradients(state, groups)
    return work


def _meet(arrays: Mapping[str, mx.array]) -> bool:
    """Whether two parameters hold one array: then they were tied after the last check."""
    return len({id(array) for array in arrays.values()}) != len(arrays)


def _with_gradients(state: OptimizerState, groups: Sequence[Group]) -> list[Share]:
    work, paths = [], state.paths
    gradients: list[mx.array] = []
    for group in groups:
        items, params = [], group["params"]
        for p in params:
            if (g := p.grad) is not None:
                path = paths[p]
                if isinstance(g, RowSparse):
                    gradients += (g.indices, g.values)
                else:
                    gradients.append(g := g._storage.read())
                items.append((path, g, p._storage.read()))
        if items:
            work.append(Share(group, group.arrays, items, len(params)))
    schedule_given("gradients", gradients)
    return work


def advance_all(
    state: OptimizerState,
    work: Sequence[Share],
    groups: Sequence[Group] = (),
    scaling: Scaling | None = None,
) -> dict[str, mx.array]:
    """path -> new array. Everything is checked before anything is changed.

    ``groups`` are those whose learning rate may be a schedule. With ``scaling`` the gradients are divided first, and
    nothing changes where one of them is infinite.
    """
    new: dict[str, mx.array] = {}
    if scaling is not None:
        if scaling.leaves_out(state, work):
            return {path: p for share in work for path, _, p in share.items}
        work = scaling.unscaled(work)
    if state.aliases:
        state.check_aliases({path for share in work for path, _, _ in share.items})
    for turn, each in enumerate(_turns(work)):
        if turn:  # the second update of a parameter goes on from the first
            each = [share._replace(items=[(path, g, new[path]) for path, g, _ in share.items]) for share in each]
        tasks = _tasks(state, each)
        if not turn:
            advance(groups)
        inputs = [task.begin() for task in tasks]
        if scaling is None:
            found = run(tasks, inputs)
        else:
            before = [before_step(each) for each in inputs]
            found = [scaling.kept(*each) for each in zip(before, run(tasks, inputs), strict=True)]
        for task, results in zip(tasks, found, strict=True):
            new.update(zip(task.plan.paths, task.commit(results), strict=True))
    return new


def written(state: OptimizerState, new: Mapping[str, mx.array], groups: Sequence[Group]) -> list[Any]:
    """What a step wrote into the state in addition to the parameters ``new``: slots, counts, rates of schedules."""
    counts = {id(a): a for group in groups if group.rule for name in group.rule.clock for a in (group.arrays[name],)}
    rates = [group.arrays for group in groups if isinstance(group, ScheduledGroup)]
    return [[state.slots.get(path) for path in new], list(counts.values()), rates]


def _tasks(state: OptimizerState, work: Sequence[Share]) -> list[Task]:
    """A task for each group, or where they are many, one for all that have the same rule, choices and execution."""
    together: list[Sequence[Share]] = [[share] for share in work]
    if len(work) >= MANY:
        alike: dict[Any, list[Share]] = {}
        for share in work:
            alike.setdefault(_kind(share), []).append(share)
        together = []
        for shares in alike.values():
            as_one = len(shares) >= MANY and nested_alike([share.arrays for share in shares])
            together += [shares] if as_one else [[share] for share in shares]
    members = partial(_members, state)
    return [
        Task(shares[0].group.rule, shares, state, members, shares[0].group.get("foreach") is not False)
        for shares in together
    ]


def _kind(share: Share) -> Any:
    """What groups that one task may serve have in common."""
    group = share.group
    rule = group.rule
    if rule.together and (rule.elementwise or rule.traceable):
        return rule, share.arrays[STRUCTURE].shape, group.get("foreach"), group.get("fused")
    return id(group)


def _members(state: OptimizerState, group: Group) -> list[str]:
    return [state.paths[p] for p in group["params"]]


def _turns(work: Sequence[Share]) -> list[Sequence[Share]]:
    """``work``, split where a parameter is in a group twice (torch warns of it, and updates it twice)."""
    if all(len(items) == 1 or len({path for path, _, _ in items}) == len(items) for _, _, items, _ in work):
        return [work] if work else []
    turns: list[list[Share]] = []
    for share in work:
        seen: dict[str, int] = {}
        own: list[list[Item]] = []
        for item in share.items:
            turn = seen[item[0]] = seen.get(item[0], -1) + 1
            if turn == len(own):
                own.append([])
            own[turn].append(item)
        turns += [[] for _ in range(len(own) - len(turns))]
        for each, mine in zip(turns, own, strict=False):
            each.append(share._replace(items=mine))
    return list(turns)


class Resolved(NamedTuple):
    """The leaves of a gradient tree as parameters of an optimizer."""

    work: list[Share]  # by group, each parameter once
    order: list[str]  # the path of each leaf, in the order of the tree
    placed: set[str]  # the paths of those that were found by their places in a module


def resolve(state: OptimizerState, gradients: Any, parameters: Any) -> Resolved:
    """The leaves of a gradient tree by group, and the path of each leaf in the order of the tree.

    A module's places are followed to their Parameters, others are found by path. A parameter that is in several places
    of a model (a layer, or tied weights) gets the sum of their gradients.

    Raises ValueError for a gradient of a parameter that the optimizer does not hold: in a module also for one that has
    the path of another one, whose layer was replaced; in a tree of arrays for a name that two of its groups have.
    """
    items: dict[str, Item] = {}
    order: list[str] = []
    placed: set[str] = set()
    replaced: list[str] = []
    looked = False
    also = {path: at for at, held in state.parameters.items() for path in getattr(held, "_also", ())}
    for path, g, p in paired(gradients, parameters):
        known = path if path in state.parameters else None
        if isinstance(parameters, Module):
            found = state.paths.get(at_path(parameters, path))
            if found is None and not looked:
                looked = bool(walked(parameters))  # it may be tied to one that is held
                found = state.paths.get(at_path(parameters, path))
            if found is not None:
                known = found
                placed.add(found)
            elif known is not None and isinstance(state.parameters[known]._storage, Held):
                replaced.append(path)
                continue
        elif path in also and (known is None or not state.parameters[known]._storage.owned):
            known = also[path]  # tied weights
        if known is None or known not in state.group_of:
            raise ValueError(
                f"there is a gradient for {path!r}, which this optimizer does not hold; it holds "
                f"{listed(state.group_of)}. Give it a layer that was added after it was built: "
                'optimizer.add_param_group({"params": layer}). Where the names differ (groups made from submodules), '
                "pass the model itself in place of a tree of arrays." + see("groups-made-of-submodules")
            )
        if f"{known}#2" in state.parameters and not isinstance(parameters, Module):
            raise ValueError(
                f"this optimizer holds several parameters that are called {known!r} in the submodules of its groups, "
                "and a tree of arrays does not tell which it has: pass the model itself, or make the groups from "
                "named_parameters(model)." + see("groups-made-of-submodules")
            )
        order.append(known)
        items[known] = (known, g if known not in items else added(items[known][1], g), p)
    if replaced:
        raise ValueError(
            f"there is a gradient for {listed(replaced)}, and this optimizer holds other parameters of that name: a "
            "layer was replaced after the optimizer was built, or this is another model. The moments are those of the "
            'old layer. Give the optimizer the new one, optimizer.add_param_group({"params": layer}), or build the '
            "optimizer again." + see("a-layer-that-was-replaced")
        )
    if _meet({path: array for path, _, array in items.values()}) and retie(state.paths):
        state.renew()
        return resolve(state, gradients, parameters)
    work: dict[int, tuple[Group, list[Item]]] = {}
    for item in items.values():
        group = state.group_of[item[0]]
        work.setdefault(id(group), (group, []))[1].append(item)
    shares = [Share(group, group.arrays, own, len(group["params"])) for group, own in work.values()]
    return Resolved(shares, order, placed)
