"""The messages about values that cannot be saved: what they are, and what to save in their place."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..._core.sparse import RowSparse
from ..._docs import see
from ..._tensor.tensor import Tensor

_KEPT = "tensors, numbers, texts, bytes, None, lists, tuples, dicts and sets of them"
_SUBCLASSES = (list, tuple, set, str, bytes, bytearray, int, float, complex)


def refusal(value: Any, where: str) -> TypeError:
    """The error for ``value`` at the entry ``where``.

    >>> print(refusal(frozenset(), '["a"]'))
    ["a"] is a frozenset, which cannot be saved: save set(x) in its place
    """
    name = type(value).__name__
    return TypeError(f"{where} is {_article(name)} {name}, which cannot be saved: {_hint(value)}")


def _article(name: str) -> str:
    return "an" if name[:1].lower() in "aeiou" else "a"


def _hint(value: Any) -> str:
    if isinstance(value, nn.Module):
        return "save torchish_mlx.state_dict(model), and load it into a newly made model" + see("whole-modules")
    if callable(getattr(value, "state_dict", None)):
        return "save its state_dict(), and load it by load_state_dict()"
    if isinstance(getattr(value, "state", None), Mapping):
        return "save its state, a tree of arrays"
    if isinstance(value, np.ndarray):
        return "save torchish_mlx.tensor(a) in its place"
    if isinstance(value, RowSparse):
        return "save x.dense(), or its indices, values and shape"
    if isinstance(value, Tensor):
        return "a file does not keep subclasses of Tensor, so save x.detach() in its place"
    if callable(getattr(value, "numpy", None)):
        return "save torchish_mlx.tensor(x.numpy()) in its place"
    if isinstance(value, (type, Callable)):  # type: ignore[arg-type]
        return "it is code, which a file of weights does not hold; save its name or arguments and make it again"
    for kind, hint in (
        (enum.Enum, "save x.value"),
        (os.PathLike, "save str(x)"),
        (mx.Device, "save torchish_mlx.device(x)"),
        (frozenset, "save set(x)"),
        (np.generic, "save a Python number or a str"),
        (Mapping, "save dict(x)"),
    ):
        if isinstance(value, kind):
            return f"{hint} in its place"
    for base in _SUBCLASSES:
        if isinstance(value, base):
            return f"save {base.__name__}(x) in its place"
    if isinstance(value, Iterable):
        return "save list(x) in its place"
    return f"save what it consists of, {_KEPT}"
