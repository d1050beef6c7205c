"""Small parameters as one: the formula runs once for many of them.

Where it is elementwise, it runs over a flat array of them. Where it takes sums or products of matrices, it runs over a
stack of those that have one shape, for each of them by itself (``mx.vmap``).

A kernel for 64 elements costs as much as one for 10,000, and so does each call that builds the graph. Small parameters,
their gradients and their slots are therefore concatenated; the new ones are views of the results, and are stored where
they always are. (The joined results can't serve the next step: MLX's ``a *= 2`` and ``a[0] = 1`` change an array, and
Python could not see that.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.cpu import on_cpu
from .._core.trace import tracing
from ._hyper import FIRST
from ._together import GroupIndex, group_indices

MOST = 2**16  # elements of all that are joined into one array, which lives as long as any view of it
LARGEST = 2**14  # elements of a parameter that is worth joining: a larger one costs more to copy than to call for
MANY = 2**4  # arrays that Python joins faster than MLX
MEMBERS = 2**8  # parameters of one array: those of more are slower to join and to cut
BLOCK = 8  # pieces of one cut: each of them holds all others, so its time grows with their square

_shape, _dtype, _contiguous = attrgetter("shape"), attrgetter("dtype"), attrgetter("c_contiguous")


class Bucket:
    """Parameters that are joined: which items of a step they are, and which part of the flat array each has.

    ``numbers`` says how many entries each has in a vector of numbers that differ between groups: one for each element.
    """

    def __init__(self, members: Sequence[int], ps: Sequence[mx.array]) -> None:
        self.members = members
        shapes, self.numbers = [ps[i].shape for i in members], [ps[i].size for i in members]
        self._shapes = [shape if len(shape) != 1 else None for shape in shapes]  # None: as it is cut
        self._cut = Cut(self.numbers)

    def joined(self, gs: Sequence[Any], ps: Sequence[Any], slots: Sequence[Any]) -> tuple[Any, Any, dict[str, Any]]:
        """Gradient, parameter and slots of the members, as one parameter's."""
        own = [slots[i] for i in self.members]
        flats = {name: flattened([s[name] for s in own]) for name in own[0]}
        return flattened([gs[i] for i in self.members]), flattened([ps[i] for i in self.members]), flats

    def cut(self, flat: mx.array) -> list[mx.array]:
        """The views of a result, each in the shape of its parameter."""
        pieces = self._cut(flat)
        return [a if shape is None else a.reshape(shape) for a, shape in zip(pieces, self._shapes, strict=True)]


class Stack:
    """Parameters of one shape that are stacked: which items of a step they are. Each has one entry in ``numbers``."""

    def __init__(self, members: Sequence[int]) -> None:
        self.members, self.numbers = members, [1] * len(members)
        self._cuts: dict[int, Cut] = {}  # by how many rows each has

    def joined(self, gs: Sequence[Any], ps: Sequence[Any], slots: Sequence[Any]) -> tuple[Any, Any, dict[str, Any]]:
        """Gradients, parameters and slots of the members, each with a dimension for the members in front."""
        own = [slots[i] for i in self.members]
        stacks = {name: stacked([s[name] for s in own]) for name in own[0]}
        return stacked([gs[i] for i in self.members]), stacked([ps[i] for i in self.members]), stacks

    def cut(self, stack: mx.array) -> list[mx.array]:
        """The views of a result, each without that dimension."""
        count, *shape = stack.shape
        if not shape:
            return [a.reshape(()) for a in self._cut(1)(stack)]
        return self._cut(shape[0])(stack.reshape(count * shape[0], *shape[1:]))

    def _cut(self, rows: int) -> Cut:
        if rows not in self._cuts:
            self._cuts[rows] = Cut([rows] * len(self.members))
        return self._cuts[rows]


class Cut:
    """Cuts an array into pieces of these sizes, along its first dimension."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._levels: list[list[list[int]]] = []  # where the pieces of each block end, the finest ones first
        while sizes:
            blocks = [sizes[i : i + BLOCK] for i in range(0, len(sizes), BLOCK)]
            self._levels.append([[*accumulate(block[:-1])] for block in blocks])
            sizes = [*map(sum, blocks)] if len(blocks) > 1 else []

    def __call__(self, array: mx.array) -> list[mx.array]:
        """The pieces, as views."""
        pieces = [array]
        for level in reversed(self._levels):
            pieces = [a for block, ends in zip(pieces, level, strict=True) for a in mx.split(block, ends)]
        return pieces


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
        self.buckets: list[Bucket | Stack] = []
        alike: dict[Any, list[int]] = {}
        for i, (g, p, own) in enumerate(zip(gs, ps, slots, strict=True)):
            fits = joins and self.dense and 0 < p.size <= LARGEST and FIRST not in own
            if fits and rule.elementwise and all(a.shape == p.shape for a in own.values()):
                alike.setdefault((g.dtype, p.dtype, *((name, a.dtype) for name, a in own.items())), []).append(i)
            elif fits and rule.stackable:
                kind = (g.dtype, p.dtype, p.shape, *((name, a.dtype, a.shape) for name, a in own.items()))
                alike.setdefault(kind, []).append(i)
            else:
                self.alone.append(i)
        for members in alike.values():
            for run in _runs(members, ps):
                if len(run) == 1:
                    self.alone += run
                else:
                    self.buckets.append(Stack(run) if rule.stackable else Bucket(run, ps))
        self.stacks = len(self.buckets) if rule.stackable else 0
        # The groups of the buckets and of those alone, where there are several groups.
        self.indices: list[GroupIndex] = []
        if len(groups) > 1:
            owners = [index for index, (_, count) in enumerate(groups) for _ in range(count)]
            for bucket in self.buckets:
                self.indices.append(group_indices(owners, bucket.members, bucket.numbers))
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
    """``members`` in runs of at most MOST elements and MEMBERS parameters."""
    run: list[int] = []
    elements = 0
    for i in members:
        if run and (elements + ps[i].size > MOST or len(run) == MEMBERS):
            yield run
            run, elements = [], 0
        run.append(i)
        elements += ps[i].size
    if run:
        yield run


def flattened(arrays: Sequence[mx.array]) -> mx.array:
    """All elements of ``arrays``, one array after the other."""
    if (joined := _copied(arrays)) is not None:
        return joined
    return mx.concatenate([a if a.ndim == 1 else mx.flatten(a) for a in arrays])


def _copied(arrays: Sequence[Any]) -> mx.array | None:
    """The same as one copy by Python, which takes a fifth of the time that MLX takes for many small arrays.

    It needs values, and memory that the processor reads: None where MLX traces, on an accelerator, for few arrays, and
    where one of them is not contiguous.
    """
    if len(arrays) < MANY or not on_cpu() or tracing():
        return None
    mx.eval(arrays)
    memory = [memoryview(a) for a in arrays]
    if not all(map(_contiguous, memory)):
        return None
    return mx.array(np.frombuffer(b"".join(memory), np.uint8)).view(arrays[0].dtype)


def stacked(arrays: Sequence[mx.array]) -> mx.array:
    """``arrays`` of one shape as one with a further dimension in front. (``mx.stack`` takes an operation for each.)"""
    shape = arrays[0].shape
    return flattened(arrays).reshape(len(arrays), *shape)
