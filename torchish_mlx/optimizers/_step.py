"""A step of several groups: what each group has in, the new arrays of the parameters out.

shares -> tasks, which check -> formulas, compiled or not -> new parameters; slots and counts go into the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import mlx.core as mx

from ._core import Inputs, Item, Results, Share, Task
from ._hyper import STRUCTURE
from ._paths import run
from ._state import State
from ._together import nested_alike

MANY = 8  # groups of one kind; to compute fewer of them together is not faster


class Scaling(Protocol):
    """The factor of the gradients, and whether one of them is infinite, as ``GradScaler`` gives them."""

    def unscaled(self, work: Sequence[Share]) -> Sequence[Share]:
        """The same work, with the gradients divided by the factor."""
        ...

    def kept(self, before: Inputs, results: Results) -> Results:
        """``results``, or what was there before where a gradient is infinite."""
        ...


def advanced(
    state: State,
    work: Sequence[Share],
    members: Callable[[Any], Iterable[str]],
    before: Callable[[], None],
    scaling: Scaling | None = None,
) -> dict[str, mx.array]:
    """path -> new array. Everything is checked before anything is changed.

    ``members`` gives the paths of all parameters of a group, with or without a gradient. ``before`` is called once,
    after the checks and before the formulas: it may change the arrays of the groups.
    """
    new: dict[str, mx.array] = {}
    if scaling is not None:
        work = scaling.unscaled(work)
    for turn, each in enumerate(_turns(work)):
        if turn:  # the second update of a parameter goes on from the first
            each = [share._replace(items=[(path, g, new[path]) for path, g, _ in share.items]) for share in each]
        tasks = _tasks(state, each, members)
        if not turn:
            before()
        inputs = [task.begin() for task in tasks]
        if scaling is None:
            found = run(tasks, inputs)
        else:
            earlier = [_as_now(each) for each in inputs]
            found = [scaling.kept(*each) for each in zip(earlier, run(tasks, inputs), strict=True)]
        for task, results in zip(tasks, found, strict=True):
            new.update(zip(task.plan.paths, task.commit(results), strict=True))
    return new


def written(state: State, new: Mapping[str, mx.array], groups: Iterable[Any]) -> list[Any]:
    """What a step wrote into the state in addition to the parameters ``new``: slots and counts.

    ``groups`` are all of the optimizer, each with its ``rule`` and ``arrays``.
    """
    counts = {id(a): a for group in groups if group.rule for name in group.rule.clock for a in (group.arrays[name],)}
    return [[state.slots.get(path) for path in new], list(counts.values())]


def _as_now(inputs: Inputs) -> Inputs:
    """``inputs`` as they are now; the formulas write into the dicts."""
    arrays, indices, gradients, parameters, slots = inputs
    return dict(arrays), indices, gradients, parameters, [dict(each) for each in slots]


def _tasks(state: State, work: Sequence[Share], members: Callable[[Any], Iterable[str]]) -> list[Task]:
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
    return [Task(shares, state, members, shares[0].group.get("foreach") is not False) for shares in together]


def _kind(share: Share) -> Any:
    """What groups that one task may serve have in common."""
    rule, group, arrays, _, _ = share
    if rule.together and (rule.elementwise or rule.traceable):
        return rule, arrays[STRUCTURE].shape, group.get("foreach"), group.get("fused")
    return id(group)


def _turns(work: Sequence[Share]) -> list[Sequence[Share]]:
    """``work``, split where a parameter is in a group twice (torch warns of it, and updates it twice)."""
    if all(len(items) == 1 or len({path for path, _, _ in items}) == len(items) for _, _, _, items, _ in work):
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
