"""Copies of modules. ``copy.deepcopy`` fails on most of MLX's, for they keep functions that are written in C++."""

from __future__ import annotations

import copy
import copyreg
import pickle
import types
from typing import Any

import mlx.nn as nn

from ._registry import registries, without_registries
from .parameters import walked

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.FunctionType, types.BuiltinFunctionType)


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
    """``copy.deepcopy(value, memo)``, which shares what can't be copied. What a module's ``__deepcopy__`` raises is
    raised.
    """
    if isinstance(value, _ATOMS):
        return value
    memo = {} if memo is None else memo
    if id(value) in memo:
        return memo[id(value)]
    memo.setdefault(id(memo), []).append(value)  # kept alive, for the memo goes by ids
    if type(value) is tuple:
        new: Any = tuple(deep_copied(entry, memo) for entry in value)
    elif not hasattr(value, "__deepcopy__"):
        new = rebuilt(value, memo)
    elif isinstance(value, nn.Module):
        new = copy.deepcopy(value, memo)
    else:
        new = _attempt(copy.deepcopy, value, memo, otherwise=value)
    memo[id(value)] = new
    return new


def rebuilt(value: Any, memo: dict[int, Any]) -> Any:
    """A copy by way of ``__reduce_ex__``, as ``copy.deepcopy`` makes it of an object without ``__deepcopy__``."""
    reduce = copyreg.dispatch_table.get(type(value), value.__reduce_ex__)
    parts = _attempt(reduce, 4 if reduce == value.__reduce_ex__ else value, otherwise="")
    if isinstance(parts, str):
        return value
    make, args, state, entries, items = (*parts, None, None, None)[:5]
    new = _attempt(make, *deep_copied(args, memo), otherwise=value)
    if new is value:
        return value
    memo[id(value)] = new
    if state is not None:
        state = deep_copied(state, memo)
        if hasattr(new, "__setstate__"):
            new.__setstate__(state)
        else:
            attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
            if attributes:
                new.__dict__.update(attributes)
            for name, slot in (slots or {}).items():
                setattr(new, name, slot)
    for entry in entries or ():
        new.append(deep_copied(entry, memo))
    for key, entry in items or ():
        new[deep_copied(key, memo)] = deep_copied(entry, memo)
    return new


def _attempt(function: Any, *args: Any, otherwise: Any) -> Any:
    """What ``function`` gives, or ``otherwise`` where Python can't copy."""
    try:
        return function(*args)
    except (TypeError, copy.Error, pickle.PicklingError):
        return otherwise
