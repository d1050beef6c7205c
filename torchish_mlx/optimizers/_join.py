"""Small parameters as one: where a formula is elementwise, it runs once over a flat array of many of them.

A kernel for 64 elements costs as much as one for 10,000, and so does each call that builds the graph. Small parameters,
their gradients and their slots are therefore concatenated; the new ones are views of the results, and are stored where
they always are. (The flat results can't serve the next step: MLX's ``a *= 2`` and ``a[0] = 1`` change an array, and
Python could not see that.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

import mlx.core as mx

from ._hyper import FIRST
from ._together import GroupIndex, group_indices

MOST = 2**16  # elements of all that are joined into one array, which lives as long as any view of it
LARGEST = 2**14  # elements of a parameter that is worth joining: a larger one costs more to copy than to call for
BLOCK = 32  # pieces of one cut: its time grows with their square

_shape, _dtype = attrgetter("shape"), attrgetter("dtype")


class Bucket:
    """Parameters that are joined: which items of a step they are, and which part of the flat array each has."""

    def __init__(self, members: Sequence[int], ps: Sequence[mx.array]) -> None:
        self.members = members
        shapes, sizes = [ps[i].shape for i in members], [ps[i].size for i in members]
        self._shapes = [shape if len(shape) != 1 else None for shape in shapes]  # None: as it is cut
        blocks = [sizes[i : i + BLOCK] for i in range(0, len(sizes), BLOCK)]
        self._ends, self._inner = _inner_ends([*map(sum, blocks)]), [*map(_inner_ends, blocks)]

    def joined(self, gs: Sequence[Any], ps: Sequence[Any], slots: Sequence[Any]) -> tuple[Any, Any, dict[str, Any]]:
        """Gradient, parameter and slots of the members, as one parameter's."""
        own = [slots[i] for i in self.members]
        flats = {name: flattened([s[name] for s in own]) for name in own[0]}
        return flattened([gs[i] for i in self.members]), flattened([ps[i] for i in self.members]), flats

    def cut(self, flat: mx.array) -> list[mx.array]:
        """The views of a result, each in the shape of its parameter."""
        pieces: list[mx.array] = []
        for block, ends in zip(mx.split(flat, self._ends), self._inner, strict=True):
            pieces += mx.split(block, ends)
        return [a if shape is None else a.reshape(shape) for a, shape in zip(pieces, self._shapes, strict=True)]


def _inner_ends(sizes: Sequence[int]) -> list[int]:
    """Where pieces of these sizes end, without the end of the last one."""
    return [*accumulate(sizes[:-1])]


class Plan:
    """Which items of a step are joined; it serves the next steps too, as long as their items are of the same kind."""

    def __init__(
        self,
        rule: Any,
        groups: Sequence[tuple[int, int]],
        paths: Sequence[str],
        gs: Sequence[Any],
        ps: Sequence[mx.array],
        slots: Sequence[dict[str, mx.array]],
        joins: bool,
    ) -> None:
        self.groups, self.paths = groups, paths
        self.elements = sum(p.size for p in ps)
        self.dense = {*map(type, gs)} == {mx.array}
        self._likes = _likes(gs, ps, slots) if self.dense else None
        self._joins = joins
        self.alone: list[int] = []
        self.buckets: list[Bucket] = []
        alike: dict[Any, list[int]] = {}
        for i, (g, p, own) in enumerate(zip(gs, ps, slots, strict=True)):
            fits = joins and rule.elementwise and self.dense and 0 < p.size <= LARGEST
            if fits and FIRST not in own and all(a.shape == p.shape for a in own.values()):
                alike.setdefault((g.dtype, p.dtype, *((name, a.dtype) for name, a in own.items())), []).append(i)
            else:
                self.alone.append(i)
        for members in alike.values():
            for run in _runs(members, ps):
                if len(run) == 1:
                    self.alone += run
                else:
                    self.buckets.append(Bucket(run, ps))
        self.indices: list[
            GroupIndex
        ] = []  # the groups of the buckets and of those alone, where there are several groups
        if len(groups) > 1:
            owners = [index for index, (_, count) in enumerate(groups) for _ in range(count)]
            for bucket in self.buckets:
                self.indices.append(group_indices(owners, bucket.members, [ps[i].size for i in bucket.members]))
            self.indices += [owners[i] for i in self.alone]

    def serves(self, groups: Any, paths: Any, gs: Any, ps: Sequence[mx.array], slots: Any, joins: bool) -> bool:
        """Whether the same plan would be made again: then the items need no other check either."""
        if groups != self.groups or paths != self.paths or joins != self._joins or {*map(type, gs)} != {mx.array}:
            return False
        return _likes(gs, ps, slots) == self._likes


def _likes(gs: Sequence[Any], ps: Sequence[Any], slots: Sequence[dict[str, Any]]) -> list[Any]:
    """All that the checks and the joining depend on."""
    own = [a for entries in slots for a in entries.values()]
    names = [name for entries in slots for name in entries]
    return [[*map(what, arrays)] for arrays in (gs, ps, own) for what in (_shape, _dtype)] + [names, [*map(len, slots)]]


def _runs(members: Sequence[int], ps: Sequence[mx.array]) -> Iterator[list[int]]:
    """``members`` in runs of at most MOST elements."""
    run: list[int] = []
    elements = 0
    for i in members:
        if run and elements + ps[i].size > MOST:
            yield run
            run, elements = [], 0
        run.append(i)
        elements += ps[i].size
    if run:
        yield run


def flattened(arrays: Sequence[mx.array]) -> mx.array:
    """All elements of ``arrays``, one array after the other."""
    return mx.concatenate([a if a.ndim == 1 else mx.flatten(a) for a in arrays])
