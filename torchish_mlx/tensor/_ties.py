"""Tied weights: one array object at several places is one Parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mlx.core as mx

from ._held import found
from ._registry import LOCK
from .tensor import Tensor


def retie(tensors: Iterable[Tensor]) -> bool:
    """Compare what modules hold for Parameters, and say whether a tie was made or has ended since the last look.

    Parameters of one array object become one: the one whose array it was goes on with the places of the other, which is
    left without a place, as torch's old Parameter after ``head.weight = emb.weight``. MLX makes new objects in
    ``nn.value_and_grad`` and in compiled functions, so the look has to come before these.
    """
    first: dict[int, Tensor] = {}
    changed = False
    for tensor in tensors:
        owned = tensor._storage.owned
        if not owned:
            continue
        if len(owned) == 1:
            array = found(*owned[0])
        else:
            array = tensor._storage.read()
            changed = changed or len(tensor._storage.owned) != len(owned)
        if array is None:
            continue
        other = first.setdefault(id(array), tensor)
        if other._storage is not tensor._storage:
            first[id(array)] = tie(other, tensor, array)
            changed = True
    return changed


def tie(a: Tensor, b: Tensor, array: mx.array) -> Tensor:
    """Make one of two Parameters that hold one array; gives the one that goes on."""
    with LOCK:
        mine, other = a._storage, b._storage
        if mine is other:
            return a
        if other.seen() is array and mine.seen() is not array:
            a, b, mine, other = b, a, other, mine
        was = other.seen() is array  # whether it was the array of both when they were looked at last
        for registry, key in list(other.owned):
            if found(registry, key) is array:
                registry.forget(key)
                other.disown(registry, key)
                registry.add(key, a, array)
        if was:
            b._storage = mine
        elif not other.placed and other._array is None:
            # MLX has freed its array with the assignment: zeros of its shape, which take no memory
            other._array = mx.broadcast_to(mx.zeros((), array.dtype), array.shape)
            mx.eval(other._array)
        return a
