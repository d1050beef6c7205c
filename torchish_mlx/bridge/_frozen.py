"""MLX's sets of frozen names: how a place of a module is written there, and whether it is in one."""

from __future__ import annotations

from typing import Any

import mlx.nn as nn

from ._walk import arrays_of

Key = Any  # an attribute of the module, or a tuple: the path to an array in a list or dict


def dotted(key: Key) -> str:
    """How MLX writes a key: ``blocks.0``."""
    return ".".join(map(str, key)) if type(key) is tuple else str(key)


def frozen(names: Any, key: Key) -> bool:
    """Whether MLX's set of frozen names has a key, or what is above it."""
    if type(key) is not tuple:
        return key in names
    return any(prefix in names for prefix in prefixes(dotted(key)))


def prefixes(key: str) -> list[str]:
    """``a``, ``a.b``, ``a.b.c``: what MLX may have frozen for the array at ``a.b.c``."""
    parts = key.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def freeze(owner: nn.Module, key: str, value: bool) -> None:
    """Freeze or unfreeze one array of a module."""
    names = owner._no_grad
    if value:
        names.add(key)
        return
    for prefix in prefixes(key):
        if prefix in names:  # what else is below it stays frozen
            names.discard(prefix)
            below = [dotted(inner) for inner, _ in arrays_of(owner)]
            names.update(other for other in below if other.startswith(prefix + "."))
    names.discard(key)
