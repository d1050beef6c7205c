"""What ``step``, ``update`` and ``apply_gradients`` give to the step in ``optimizers/_step.py``.

p.grad, or a tree -> items by group -> the step -> new arrays -> the storages, or a tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import mlx.core as mx
from mlx.nn import Module
from mlx.utils import tree_flatten

from .._core.evaluation import schedule_given
from .._core.messages import listed
from .._core.sparse import RowSparse, added
from .._docs import see
from ..bridge._held import Held
from ..bridge._ties import retie
from ..bridge.parameters import at_path, walked
from ..nn.modules.module import Module as TorchModule
from ..optimizers._core import Item, Share, paired
from ..optimizers._step import advanced
from ._groups import Group
from ._scaling import Scaling
from ._scheduled import advance
from ._state import OptimizerState


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
            work.append(Share(group.rule, group, group.arrays, items, len(params)))
    schedule_given("gradients", gradients)
    return work


def advance_all(
    state: OptimizerState,
    work: Sequence[Share],
    groups: Sequence[Group] = (),
    scaling: Scaling | None = None,
) -> dict[str, mx.array]:
    """path -> new array, by the step of optimizers/. Everything is checked before anything is changed.

    ``groups`` are those whose learning rate may be a schedule. With ``scaling`` the gradients are divided first, and
    nothing changes where one of them is infinite.
    """
    if scaling is not None and scaling.leaves_out(state, work):
        return {path: p for share in work for path, _, p in share.items}
    if state.aliases:
        state.check_aliases({path for share in work for path, _, _ in share.items})
    return advanced(state, work, partial(_members, state), partial(advance, groups), scaling)


def _members(state: OptimizerState, group: Group) -> list[str]:
    return [state.paths[p] for p in group["params"]]


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
    if isinstance(parameters, TorchModule):
        return _resolved_by_name(state, gradients, parameters)
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
    return Resolved(_shares(state, items), order, placed)


def _shares(state: OptimizerState, items: dict[str, Item]) -> list[Share]:
    work: dict[int, tuple[Group, list[Item]]] = {}
    for item in items.values():
        group = state.group_of[item[0]]
        work.setdefault(id(group), (group, []))[1].append(item)
    return [Share(group.rule, group, group.arrays, own, len(group["params"])) for group, own in work.values()]


def _resolved_by_name(state: OptimizerState, gradients: Any, model: TorchModule) -> Resolved:
    """:func:`resolve` for a module of this package, whose Parameters are found by their names in it."""
    named = dict(model.named_parameters(remove_duplicate=False))
    items: dict[str, Item] = {}
    order: list[str] = []
    leaves: Any = tree_flatten(gradients)
    for name, g in leaves:
        parameter = named.get(name)
        if parameter is None:
            raise ValueError(f"there is a gradient for {name!r}, but no such parameter; the model has {listed(named)}")
        path = state.paths.get(parameter)
        if path is None:
            raise ValueError(
                f"there is a gradient for {name!r}, which this optimizer does not hold. Give it a layer that was added "
                'after it was built: optimizer.add_param_group({"params": layer.parameters()})'
            )
        array = parameter.array
        if g.shape != array.shape:
            raise ValueError(f"the gradient for {name!r} has the shape {g.shape}, and the parameter {array.shape}")
        order.append(path)
        items[path] = (path, g if path not in items else added(items[path][1], g), array)
    return Resolved(_shares(state, items), order, set(items))
