"""The one core of a step: gradients, parameters and state of groups in, new parameters and new state out.

A rule alone, and ``step``, ``update`` and ``apply_gradients`` of an adapter, all end here.

Step counts are per parameter, as in torch, but are kept once per group: a parameter gets a count of its own, in its
slots, only when it has no gradient in a step or is added late. So the bias corrections of 148 parameters are
computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.cpu import on_cpu
from .._core.sparse import RowSparse
from .._core.trace import traced
from .._docs import see
from ._hyper import FIRST, STRUCTURE
from ._join import Plan
from ._kernels import WORTHWHILE, after, computed_once
from ._state import State
from ._together import GroupIndex, at, each_of_stack, give_back, merged, several

Item = tuple[str, Any, mx.array]  # path, gradient, parameter
Slots = list[dict[str, mx.array]]
#: The arrays of the groups, which group each parameter has where there are several, gradients, parameters, slots.
Inputs = tuple[dict[str, Any], list[GroupIndex], list[Any], list[mx.array], Slots]
Results = tuple[dict[str, Any], list[mx.array], Slots]  # clock, parameters, slots
_NONE: dict[str, Any] = {}


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
    if children and isinstance(parameters, mx.array):
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
            raise RuntimeError(
                f"{name} does not support complex parameters (parameter {path!r}){see('complex-parameters')}"
            )
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

    What the first step makes, SGD's momentum buffer, is expected only if it is there.
    """
    shapes = {name: tuple(a.shape) for name, a in rule.slots(h, p).items()}
    return {**shapes, **{name: tuple(p.shape) for name in rule.late if name in held}}


def check_slots(rule: Any, h: Any, slots: Mapping[str, Any], items: Sequence[Item]) -> None:
    """Refuse loaded slots with which the formula could not continue: those of another model or another optimizer."""
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


class Share(NamedTuple):
    """What one group has in a step."""

    rule: Any
    group: Any  # its options, a mapping
    arrays: dict[str, Any]
    items: Sequence[Item]  # the parameters that have a gradient
    total: int  # of its parameters, with or without a gradient


class Task:
    """A group in a step, or several with the same rule and choices: the formulas' inputs, and where the results go.

    ``members`` gives the paths of all parameters of a group, with or without a gradient.

    Raises what :func:`check_items` raises, with nothing changed.
    """

    def __init__(
        self,
        shares: Sequence[Share],
        state: State,
        members: Callable[[Any], Iterable[str]],
        joins: bool = True,
    ) -> None:
        self.shares, self.state, self.members, self.joins = shares, state, members, joins
        self.rule, self.values, self.arrays, items, _ = shares[0]  # rule and choices of all groups are the same
        if len(shares) > 1:
            items = [item for share in shares for item in share.items]
        self._groups = [(id(share.arrays), len(share.items)) for share in shares]
        columns: Any = zip(*items, strict=True) if items else ((), (), ())
        self.paths, self.gs, self.ps = columns
        self.given: list[dict[str, Any]] = [state.slots.get(path, _NONE) for path in self.paths]
        plan: Plan | None = state.plans.get(id(self.arrays))
        if plan is None or not plan.serves(self._groups, self.paths, self.gs, self.ps, self.given, joins):
            check_items(self.rule, items)
            plan = None
        self._plan = plan
        self._fresh = False  # whether a parameter gets its slots in this step

    def begin(self) -> Inputs:
        """The arguments of :func:`formulas`."""
        if self.rule.late and self.state.unused:
            self._mark_first()
        new, start = self._plan is None, 0
        for share in self.shares:
            if new or share.total != len(share.items):
                self._count(share, start)
            start += len(share.items)
        arrays = self.arrays
        if len(self.shares) > 1:
            arrays = merged(self.rule, self.values, [share.arrays for share in self.shares], new)
        if self._plan is None:
            self._plan = Plan(self.rule, self._groups, self.paths, self.gs, self.ps, self.given, self.joins)
        gs, ps, alone, buckets = self.gs, self.ps, self._plan.alone, self._plan.buckets
        joined = [bucket.joined(gs, ps, self.given) for bucket in buckets]
        return (
            arrays,
            self._plan.indices,
            [g for g, _, _ in joined] + [gs[i] for i in alone],
            [p for _, p, _ in joined] + [ps[i] for i in alone],
            [s for _, _, s in joined] + [dict(self.given[i]) for i in alone],
        )

    def _mark_first(self) -> None:
        """Tell the formula which parameters make their first step with slots that init() made, where that matters."""
        if self.rule.hypers(self.values, self.arrays).marks:
            for path, own in zip(self.paths, self.given, strict=True):
                if path in self.state.unused and own and FIRST not in own:
                    own[FIRST] = mx.array(True)
                    self._plan = None

    def _count(self, share: Share, start: int) -> None:
        """Say which parameters share the group's count in this step, and make the slots of the new ones.

        A parameter that has no gradient in this step leaves the group's count, and keeps its own from then on. One that
        is new while others have counted begins a count of its own. Where no parameter shares the group's count, it
        becomes that of the first step, or the one that all of them have.

        The items of the share begin at ``start`` among those of the task.
        """
        rule, arrays, slots, members = self.rule, share.arrays, self.state.slots, [*self.members(share.group)]
        given = {path: own for path in members if (own := slots.get(path))}
        if rule.counted:
            updated = {path for path, _, _ in share.items}
            sharing = [path for path, own in given.items() if "step" not in own]
            for path in sharing:
                if path not in updated:
                    given[path].update((name, arrays[name]) for name in rule.clock)
            if not sharing and given:
                _make_common(arrays, rule.clock, given, updated)
        fresh: Any = None
        for i, (_, _, p) in enumerate(share.items, start):
            if not self.given[i]:
                fresh = fresh or rule.hypers(share.group, arrays)
                self.given[i] = rule.slots(fresh, p)
                if given and rule.counted:  # it is new: the others have counted already
                    self.given[i] |= rule.start(fresh)
        self._fresh = self._fresh or fresh is not None
        made = fresh is not None and any(self.given[start : start + len(share.items)])
        if made and members and not given and rule.counted:
            arrays.update(rule.start(fresh))

    @property
    def plan(self) -> Plan:
        """How the items are joined; known from :meth:`begin` on."""
        assert self._plan is not None
        return self._plan

    def commit(self, results: Results) -> list[mx.array]:
        """New parameters, in the order of the items; the new slots go into the state, the new clock into the arrays."""
        clock, new, written = results
        if len(self.shares) == 1:
            self.arrays.update(clock)
        else:
            give_back(clock, [share.arrays for share in self.shares])
        plan, state = self.plan, self.state
        paths, find, create = self.paths, state.slots.get, state.create
        ordered: list[Any] = [None] * len(paths)
        if self._fresh and any(written):  # in the order of the parameters, which torch's state has
            for path in paths:
                if path not in state.slots:
                    create(path)
        for bucket, p, s in zip(plan.buckets, new, written, strict=False):
            for i, view in zip(bucket.members, bucket.cut(p), strict=True):
                ordered[i] = view
            owns = [find(paths[i]) or create(paths[i]) for i in bucket.members] if s else []
            for name, flat in s.items():
                for own, view in zip(owns, bucket.cut(flat), strict=True):
                    own[name] = view
        single = len(plan.buckets)
        for i, p, s in zip(plan.alone, new[single:], written[single:], strict=True):
            ordered[i] = p
            if s:
                (find(paths[i]) or create(paths[i])).update(s)
        state.plans[id(self.arrays)] = plan
        if state.unused and (not self.rule.late or self.rule.hypers(self.values, self.arrays).remembers):
            state.unused.difference_update(paths)
        return ordered


def _make_common(
    arrays: dict[str, Any], clock: Sequence[str], given: Mapping[str, dict[str, Any]], updated: set[str]
) -> None:
    """Where all parameters have the same count, loaded from elsewhere, make it the count of the group."""
    first, *others = given.values()
    same = all(own[name] is first[name] for own in others for name in clock)
    if same and updated.issuperset(given) and all(name in first for name in clock):
        arrays.update((name, first[name]) for name in clock)
        for own in given.values():
            for name in clock:
                del own[name]


def formulas(rule: Any, values: Mapping[str, Any], apart: bool = True, stacks: int = 0) -> Any:
    """A pure function that takes the five of :data:`Inputs` and returns the three of :data:`Results`.

    Where MLX traces it for the CPU, kernels are kept apart, or with ``apart=False`` left to MLX. The first ``stacks``
    parameters are stacks of several.
    """

    def advance(h: Any, k: Any, g: Any, p: mx.array, s: dict[str, mx.array]) -> Any:
        own = {name: s.pop(name).astype(mx.float32) for name in rule.clock if name in s} if rule.counted else {}
        new = rule.apply(h, g, p, s, computed_once(h, rule.tick(h, own)) if own else k)
        s.update(own)
        return new, s

    def run(arrays: dict[str, Any], indices: list[GroupIndex], gs: list[Any], ps: list[mx.array], ss: Slots) -> Any:
        h = rule.hypers(values, arrays)
        h.traced = tracing = traced(arrays[STRUCTURE])
        clock = {name: arrays[name] for name in rule.clock}
        shared = computed_once(h, rule.tick(h, clock))
        apart_here, new = apart and on_cpu(), list[mx.array]()
        whole, k, differ = h, shared, bool(indices) and several(h, shared)
        for i, (g, p, s) in enumerate(zip(gs, ps, ss, strict=True)):
            if differ:
                h, k = at(whole, shared, indices[i])
            h.traced = tracing and p.size >= WORTHWHILE
            h.apart = h.traced and apart_here
            g = after(h, new, g)
            made, slots = each_of_stack(advance, h, k, g, p, s) if i < stacks else advance(h, k, g, p, s)
            new.append(made)
            s.update(slots)
        return clock, new, ss

    return run
