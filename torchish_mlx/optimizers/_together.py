"""Several groups as one: where rule and choices are the same, one call of the formulas serves all of them.

A number that is the same in all groups stays a number. Otherwise it becomes a vector with an entry for each group, and
each element of joined parameters takes the entry of its group. Equal counts are one array, so that what depends on the
count alone is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_map

from .._core.trace import traced
from ._hyper import STRUCTURE

GroupIndex = int | mx.array  # the group of a parameter, or of each element of joined parameters


def nested_alike(dicts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the numbers of the groups are nested in the same way.

    They are not where a rate is a tensor in one group and a number in another: only the number has its
    complement next to it (see ``Decay``).
    """

    def alike(column: Sequence[Any]) -> bool:
        if not isinstance(column[0], list):
            return True
        return len({*map(len, column)}) == 1 and all(alike(each) for each in zip(*column, strict=True))

    names = [name for name, value in dicts[0].items() if isinstance(value, list)]
    return all(alike([arrays[name] for arrays in dicts]) for name in names)


def merged(rule: Any, values: Mapping[str, Any], dicts: Sequence[dict[str, Any]], new: bool) -> dict[str, Any]:
    """The arrays of several groups, with a vector where the groups differ; ``values`` are the options of the first.

    Numbers are compared where they can be read. The counts of the last step can't be read without waiting for it, and
    are compared by identity. Where the groups are merged for the first time (``new``), equal counts are read, and
    become the same array.
    """
    first = dicts[0]
    readable = not traced(first[STRUCTURE])
    whole: dict[str, Any] = {STRUCTURE: first[STRUCTURE]}
    unread = rule.unread(values)
    for name in rule.fields():
        if name in first:
            whole[name] = first[name] if name in unread else _one([arrays[name] for arrays in dicts], readable)
    for name in rule.clock:
        held = [arrays[name] for arrays in dicts]
        if readable and new and _differ(held) and len({array.item() for array in held}) == 1:
            for arrays in dicts:
                arrays[name] = held[0]
            held = held[:1]
        whole[name] = _one(held, readable=False)
    return whole


def _differ(arrays: Sequence[mx.array]) -> bool:
    """Whether these are several array objects."""
    return len({*map(id, arrays)}) > 1


def _one(carried: Sequence[Any], readable: bool) -> Any:
    """A number of several groups, in the form that it has in one group."""
    if isinstance(carried[0], list):
        return [_one(column, readable) for column in zip(*carried, strict=True)]
    if not _differ(carried):
        return carried[0]
    if not readable:
        return mx.stack([array.reshape(()) for array in carried])
    numbers = [*map(mx.array.item, carried)]
    same = numbers.count(numbers[0]) == len(numbers)
    return carried[0] if same else mx.array(np.array(numbers, np.float32))


def several(h: SimpleNamespace, k: Any) -> bool:
    """Whether a number in ``h`` or ``k`` differs between the groups."""
    return bool(_vectors(h, k))


def at(h: SimpleNamespace, k: Any, index: GroupIndex) -> tuple[SimpleNamespace, Any]:
    """``h`` and ``k`` of one parameter, or of joined ones, out of those of all groups."""
    return SimpleNamespace(**{name: _picked(value, index) for name, value in vars(h).items()}), _picked(k, index)


def _picked(value: Any, index: GroupIndex) -> Any:
    if isinstance(value, mx.array):
        return value[index] if value.ndim else value
    if isinstance(value, (tuple, list)):
        return type(value)([_picked(v, index) for v in value])
    return value


def each_of_stack(function: Any, h: SimpleNamespace, k: Any, g: Any, p: mx.array, s: dict[str, mx.array]) -> Any:
    """``function(h, k, g, p, s)`` of each parameter of a stack; vectors in ``h`` and ``k`` have an entry for each."""

    def one(own: list[mx.array], g: Any, p: mx.array, s: dict[str, mx.array]) -> Any:
        numbers = iter(own)
        h_of_one, k_of_one = tree_map(lambda leaf: next(numbers) if _is_vector(leaf) else leaf, [vars(h), k])
        return function(SimpleNamespace(**h_of_one), k_of_one, g, p, {**s})

    return mx.vmap(one)(_vectors(h, k), g, p, s)


def _vectors(h: SimpleNamespace, k: Any) -> list[mx.array]:
    """The numbers in ``h`` and ``k`` that differ between the groups."""
    return [leaf for leaf in dict(tree_flatten([vars(h), k])).values() if _is_vector(leaf)]


def _is_vector(leaf: Any) -> bool:
    return isinstance(leaf, mx.array) and leaf.ndim > 0


def group_indices(owners: Sequence[int], members: Sequence[int], sizes: Sequence[int]) -> GroupIndex:
    """The groups of joined parameters: one for each element, or the one to which all of them belong."""
    groups = [owners[i] for i in members]
    if len(set(groups)) == 1:
        return groups[0]
    return mx.array(np.repeat(np.array(groups, np.int32), sizes))


def give_back(clock: Mapping[str, mx.array], dicts: Sequence[dict[str, Any]]) -> None:
    """Write the clock of all groups into each."""
    for name, value in clock.items():
        each = _scalars(value) if value.ndim else [value] * len(dicts)
        for arrays, own in zip(dicts, each, strict=True):
            arrays[name] = own


def _scalars(vector: mx.array, block: int = 32) -> list[mx.array]:
    """The elements of a vector as arrays of their own. (The time of a cut grows with the square of the pieces.)"""
    pieces = mx.split(vector, range(block, vector.size, block)) if vector.size > block else [vector]
    return [one.reshape(()) for piece in pieces for one in mx.split(piece, piece.size)]
