"""The one core of a step: gradients, parameters and state of one group in, new parameters and new state out.

A rule alone, and ``step``, ``update`` and ``apply_gradients`` of an adapter, all end here.

Step counts are per parameter, as in torch, but stand once per group: a parameter gets a count of its own, in its slots,
only when it misses a step or comes late. So the bias corrections of 148 parameters are computed once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import mlx.core as mx

from ._sparse import RowSparse
from ._state import State

Item = tuple[str, Any, mx.array]  # path, gradient, parameter


def paired(gradients: Any, parameters: Any, path: str = "") -> list[Item]:
    """(path, gradient, parameter) of every leaf of ``gradients``, in ``tree_map``'s order."""
    if isinstance(gradients, dict):
        children = list(gradients.items())
    elif isinstance(gradients, (list, tuple)):
        children = list(enumerate(gradients))
    else:
        if not isinstance(parameters, mx.array):
            where = f"the gradient of {path!r}" if path else "the tree of gradients"
            raise ValueError(
                f"{where} is {_named(gradients)}, where the parameters have {_named(parameters)}; give a tree like "
                "theirs"
            )
        return [(path, gradients, parameters)]
    if isinstance(parameters, mx.array):
        raise ValueError(f"the gradient of {path!r} has {_named(gradients)}, but the parameter is {_named(parameters)}")
    items: list[Item] = []
    for key, child in children:
        where = f"{path}.{key}" if path else str(key)
        try:
            parameter = parameters[key]
        except (KeyError, IndexError, TypeError):
            raise ValueError(
                f"there is a gradient for {where!r}, but no such parameter; "
                f"{path or 'the tree of parameters'} has {_named(parameters)}"
            ) from None
        items += paired(child, parameter, where)
    return items


def _named(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"the names {sorted(map(str, tree))}"
    if isinstance(tree, mx.array):
        return f"an array of shape {tuple(tree.shape)}"
    return f"{len(tree)} entries" if isinstance(tree, (list, tuple)) else f"a {type(tree).__name__}"


def check_items(rule: Any, items: Sequence[Item]) -> None:
    """Refuse what the formula can't take, before anything is changed."""
    name = rule.__name__
    for path, g, p in items:
        is_rows = isinstance(g, RowSparse)
        if not is_rows and not isinstance(g, mx.array):
            raise TypeError(f"the gradient of {path!r} must be an mx.array, but is {type(g).__name__}")
        if p.dtype == mx.complex64:
            raise RuntimeError(f"{name} does not support complex parameters (parameter {path!r})")
        if not mx.issubdtype(p.dtype, mx.floating):
            raise TypeError(f"{name} trains floating parameters, but {path!r} is {p.dtype}: freeze it, or convert it")
        rule.check_parameter(p)
        if is_rows and not (rule.sparse or rule.densifies):
            consider = "SparseAdam" if name.startswith("Adam") else "grad.dense() or SparseAdam"
            raise RuntimeError(f"{name} does not support sparse gradients, please consider {consider} instead")
        if rule.sparse and not is_rows:
            raise RuntimeError(f"{name} does not support dense gradients, please consider Adam instead")
        if tuple(g.shape) != tuple(p.shape):
            raise ValueError(
                f"the gradient of {path!r} has shape {tuple(g.shape)}, but the parameter has shape {tuple(p.shape)}; "
                "they must be equal"
            )


def kept_shapes(rule: Any, h: Any, p: mx.array, held: Collection[str]) -> dict[str, tuple[int, ...]]:
    """The shape of each slot that ``rule`` keeps for ``p``; ``held`` are the names of the arrays that are there.

    What the first step makes, SGD's momentum buffer, is expected only where it is.
    """
    shapes = {name: tuple(a.shape) for name, a in rule.slots(h, p).items()}
    return {**shapes, **{name: tuple(p.shape) for name in rule.late if name in held}}


def check_slots(rule: Any, h: Any, slots: Mapping[str, Any], items: Sequence[Item]) -> None:
    """Refuse loaded slots that the formula could not go on with: another model's, or another optimizer's."""
    for path, _, p in items:
        held = slots.get(path)
        if not held:
            continue
        wanted = kept_shapes(rule, h, p, held)
        found = {name: tuple(held[name].shape) if name in held else "no entry" for name in wanted}
        if found != wanted:
            raise ValueError(
                f"the loaded state of {path!r} has {found}, but {rule.__name__} keeps {wanted} for it; "
                "it was saved for another model or by another optimizer"
            )


def advance(
    rule: Any,
    values: Mapping[str, Any],
    arrays: dict[str, Any],
    state: State,
    members: Sequence[str],
    items: Sequence[Item],
    run: Any = None,
) -> list[mx.array]:
    """New parameters of ``items``, in their order; the new slots go into ``state``, the new clock into ``arrays``.

    ``members`` are the paths of all parameters of the group, with or without a gradient in this step.
    ``run`` is :func:`formulas` of this rule and these values, or a compiled version of it.
    """
    slots = state.slots
    if rule.counted:
        before = {name: arrays[name] for name in rule.clock}
        updated = {path for path, _, _ in items}
        begun = [path for path in members if slots.get(path)]
        for path in begun:  # whoever misses this step leaves the group's count with one of its own
            if path not in updated and "step" not in slots[path]:
                slots[path].update(before)
    fresh: Any = None
    given = []
    for path, _, p in items:
        own = slots.get(path)
        if not own:
            fresh = fresh or rule.hypers(values, arrays)
            own = rule.slots(fresh, p)
            if rule.counted and begun:  # it comes late: the others have counted already
                own |= rule.start(fresh)
        given.append(own)
    run = run or formulas(rule, values)
    clock, new, written = run(arrays, [g for _, g, _ in items], [p for _, _, p in items], [dict(s) for s in given])
    arrays.update(clock)
    for (path, _, _), own in zip(items, written, strict=True):
        if own:
            (slots.get(path) or state.create(path)).update(own)
    return new


def formulas(rule: Any, values: Mapping[str, Any]) -> Any:
    """A pure function (arrays of the group, gradients, parameters, slots) -> (clock, parameters, slots)."""

    def run(arrays: dict[str, Any], gs: list[Any], ps: list[mx.array], ss: list[dict[str, mx.array]]) -> Any:
        h = rule.hypers(values, arrays)
        clock = {name: arrays[name] for name in rule.clock}
        shared = rule.tick(h, clock)
        new = []
        for g, p, s in zip(gs, ps, ss, strict=True):
            own = {name: s.pop(name) for name in rule.clock if name in s} if rule.counted else {}
            new.append(rule.apply(h, g, p, s, rule.tick(h, own) if own else shared))
            s.update(own)
        return clock, new, ss

    return run
