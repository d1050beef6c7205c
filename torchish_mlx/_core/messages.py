"""What was given, in words, and values and lists as messages show them: short."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Collection, Sequence
from typing import Any


def is_torchs(value: Any) -> bool:
    """Whether ``value`` is of a class of torch, or of one that inherits from it. (torch itself is not imported.)"""
    cls = value if isinstance(value, type) else type(value)
    return any(base.__module__.partition(".")[0] == "torch" for base in cls.__mro__)


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


def listed(names: Collection[str], write: Callable[[str], str] = repr) -> str:
    """The first names, each as ``write`` writes it, and how many more there are."""
    first = ", ".join(map(write, list(names)[:8]))
    return f"{first} and {len(names) - 8} more" if len(names) > 8 else first


def some(names: Collection[Any]) -> str:
    """The first names, as a list, and how many more there are."""
    return f"{list(names)[:12]}{f' and {len(names) - 12} more' if len(names) > 12 else ''}"


def as_lines(sentences: Sequence[str]) -> str:
    """The sentences below each other, if there are several; the first ones of many."""
    lines = list(sentences[:20])
    if len(sentences) > 20:
        lines.append(f"and {len(sentences) - 20} more")
    if len(sentences) > 1:
        lines.insert(0, "")  # the first one begins a line as well
    return "\n\t".join(lines)


def shown(value: Any) -> str:
    """A value of a state dict: the beginning of its repr, even where it is nested deeply or contains itself.

    >>> shown([[0.1, 0.2]] * 1000)
    '[[0.1, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1, 0.2], ...]'
    """
    try:
        return reprlib.repr(value)
    except ValueError:  # an int of thousands of digits
        return "a huge number"


def shortened(value: Any) -> str:
    """A value of a file: of a list or dict how many entries it has, of others the repr; 80 characters at most.

    >>> shortened("a" * 1000)[-6:]
    'aaa...'
    """
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'dict'} of {len(value)} entries"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge integer"
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def kind(value: Any) -> str:
    """The type of a value, and the value where it is short."""
    text = shown(value) if isinstance(value, (int, float, str, bytes, type(None))) else ""
    return f"{type(value).__name__}{f' {text}' if 0 < len(text) <= 40 and value is not None else ''}"
