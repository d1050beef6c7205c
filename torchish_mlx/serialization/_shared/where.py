"""How messages name an entry of an object: short, and on one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._core.messages import shortened


def entry(path: Sequence[Any]) -> str:
    """The keys and indices from the whole object to an entry, as one would write them; of a long path, both ends.

    >>> entry(("model", 0, "weight"))
    '["model"][0]["weight"]'
    >>> entry(())
    'the object'
    """
    middle = ("...",) if len(path) > 10 else ()
    begin, end = (path[:6], path[-3:]) if middle else (path, ())
    return "".join([*map(_key, begin), *middle, *map(_key, end)]) or "the object"


def _key(part: Any) -> str:
    """A key in its brackets; text in double quotes."""
    if isinstance(part, str):
        text = repr(f"'{part}")[2:-1].replace('"', '\\"')  # the apostrophe makes repr take double quotes
        text = f'"{text}"' if len(text) <= 80 else f'"{text[:77]}..."'
    else:
        text = shortened(part)
    return f"[{text}]".replace("\n", " ")
