"""Copies of modules. ``copy.deepcopy`` fails on most of MLX's, for they keep functions that are written in C++."""

from __future__ import annotations

import copy
import copyreg
import pickle
import types
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ._registry import registries, without_registries
from .parameter import walked

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.FunctionType, types.BuiltinFunctionType)
_REFUSED = (TypeError, copy.Error, pickle.PicklingError)


def copied(module: nn.Module) -> nn.Module:
    """A copy of a model with arrays and Parameters of its own, without gradients, and held by no optimizer.

    What can't be copied is shared: functions in C++ (activations, compiled functions), groups of machines. Tied weights
    are tied in the copy.
    """
    walked(module)  # so that what is one array is one object at each of its places
    memo: dict[int, Any] = dict.fromkeys(map(id, registries(module)))
    new: nn.Module = deep_copied(module, memo)
    without_registries(new)
    return new


def deep_copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """``copy.deepcopy(value, memo)``, which shares what can't be copied."""
    if isinstance(value, _ATOMS):
        return value
    memo = {} if memo is None else memo
    if id(value) in memo:
        return memo[id(value)]
    memo.setdefault(id(memo), []).append(value)  # kept alive, for the memo goes by ids
    if type(value) is tuple:
        new: Any = tuple(deep_copied(entry, memo) for entry in value)
    elif isinstance(value, nn.Module):
        new = value.__deepcopy__(memo) if hasattr(value, "__deepcopy__") else rebuilt(value, memo)
    else:
        try:
            own = isinstance(value, mx.array) or hasattr(value, "__deepcopy__")
            new = copy.deepcopy(value, memo) if own else rebuilt(value, memo)
        except _REFUSED:
            new = value
    memo[id(value)] = new
    return new


def rebuilt(value: Any, memo: dict[int, Any]) -> Any:
    """A copy by way of ``__reduce_ex__``, as ``copy.deepcopy`` makes it of an object without ``__deepcopy__``."""
    reduce = copyreg.dispatch_table.get(type(value))
    parts = value.__reduce_ex__(4) if reduce is None else reduce(value)
    if isinstance(parts, str):
        return value
    make, args, state, entries, items = (*parts, None, None, None)[:5]
    new = memo[id(value)] = make(*deep_copied(args, memo))
    if state is not None:
        state = deep_copied(state, memo)
        if hasattr(new, "__setstate__"):
            new.__setstate__(state)
        else:
            attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
            new.__dict__.update(attributes or {})
            for name, slot in (slots or {}).items():
                setattr(new, name, slot)
    for entry in entries or ():
        new.append(deep_copied(entry, memo))
    for key, entry in items or ():
        new[deep_copied(key, memo)] = deep_copied(entry, memo)
    return new
