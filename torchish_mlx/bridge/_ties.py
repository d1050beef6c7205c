"""Tied weights: one array object at several places is one Parameter."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import mlx.core as mx

from .._tensor.tensor import Tensor
from ._held import address, found, put
from ._registry import LOCK


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
            registry, key = owned[0]
            owner = registry.owner()
            array = dict.get(owner, key) if owner is not None and type(key) is str else found(registry, key)
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


def united(tensors: Iterable[Tensor], held: Iterable[Tensor] = ()) -> list[Tensor]:
    """``tensors``, in which one array object is one Parameter, also where it was listed from different modules."""
    given = list(tensors)
    retie((*held, *given))
    return [_of_place(tensor) for tensor in given]


def _of_place(tensor: Tensor) -> Tensor:
    """The Parameter that has the place of ``tensor`` now; after a tie it may be another one."""
    owned = tensor._storage.owned
    if owned:
        registry, key = owned[0]
        return registry.get(key, tensor)
    return tensor


def tie(a: Tensor, b: Tensor, array: mx.array) -> Tensor:
    """Make one of two Parameters that hold one array; gives the one that goes on."""
    with LOCK:
        mine: Any = a._storage
        other: Any = b._storage
        if mine is other:
            return a
        if _claim(other, array) > _claim(mine, array):
            a, b, mine, other = b, a, other, mine
        both = other.kept() is array  # they were made for one array, where different modules were listed
        for registry, key in list(other.owned):
            if found(registry, key) is array:
                registry.forget(key)
                other.disown(registry, key)
                registry.add(key, a, array)
        if path := getattr(b, "path", None):
            a._also = (*getattr(a, "_also", ()), path)  # type: ignore[attr-defined]
        if both:
            b._storage = mine
        elif not other.placed and other._array is None:
            # MLX has freed its array with the assignment: zeros of its shape, which take no memory
            other._array = mx.broadcast_to(mx.zeros((), array.dtype), array.shape)
            mx.eval(other._array)
        return a


def _claim(storage: Any, array: mx.array) -> tuple[bool, bool]:
    """The storage with the larger claim had the array first; then it was assigned to another place, too."""
    return storage.kept() is array, storage.seen() is array


def retie_by_memory(before: Iterable[tuple[Tensor, mx.array]]) -> bool:
    """Do what :func:`retie` does where MLX has made new objects already; ``before`` are the arrays of earlier.

    Two Parameters are tied if their arrays share memory now and did not before. (Copies of a layer share memory until
    they are trained, and are not tied.)
    """
    alike: dict[Any, list[tuple[Tensor, mx.array, mx.array]]] = {}
    for tensor, old in before:
        owned = tensor._storage.owned
        if owned and (now := found(*owned[0])) is not None:
            alike.setdefault((now.shape, now.dtype), []).append((tensor, old, now))
    changed = False
    for several in alike.values():
        first: dict[Any, tuple[Tensor, mx.array, mx.array]] = {}
        for entry in several if len(several) > 1 else ():
            here = address(entry[2])
            if here is None:  # in a trace, where nothing can be read
                return changed
            known = first.setdefault(here, entry)
            if known[0]._storage is entry[0]._storage or address(known[1]) == address(entry[1]):
                continue
            if address(entry[1]) == here:  # the array was this one's, and was assigned to the other
                known, entry = entry, known
                first[here] = known
            (one, _, array), (other, _, _) = known, entry
            one._storage.kept = weakref.ref(array)  # type: ignore[attr-defined]
            for place in other._storage.owned:
                put(place[0], place[1], array)
            tie(one, other, array)
            changed = True
    return changed
