"""What was given, in words, for messages."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any


def is_torchs(value: Any) -> bool:
    """Whether ``value`` is of a class of torch, or of one that inherits from it. (torch itself is not imported.)"""
    kind = value if isinstance(value, type) else type(value)
    return any(base.__module__.partition(".")[0] == "torch" for base in kind.__mro__)


def what(value: Any) -> str:
    """What was given, in words."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        return f"the string {value!r}"
    if isinstance(value, (int, float, complex)):
        return f"the number {value!r}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if any(base.__module__.startswith("mlx.nn") for base in type(value).__mro__):
        return f"a module ({type(value).__name__})"
    if is_torchs(value):
        return f"a {type(value).__name__} of torch"
    if callable(value) and hasattr(value, "__name__"):
        return f"the {'method' if inspect.ismethod(value) else 'function'} {value.__name__}"
    return f"a {type(value).__module__.partition('.')[0]}.{type(value).__name__}".replace("builtins.", "")


def listed(names: Collection[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(repr, list(names)[:8]))
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
