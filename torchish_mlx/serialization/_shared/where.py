"""How entries and values are shown in messages: short, and on one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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


def shortened(value: Any) -> str:
    """A value of a file as messages show it: not longer than 80 characters.

    >>> shortened("a" * 1000)[-6:]
    'aaa...'
    """
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'dict'} of {len(value)} entries"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge integer"
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
