"""How an entry of a saved object is named in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def entry(path: Sequence[Any]) -> str:
    """The keys and indices from the whole object to an entry, as one would write them.

    >>> entry(("model", 0, "weight"))
    '["model"][0]["weight"]'
    >>> entry(())
    'the object'
    """
    return "".join(f"[{_key(part)}]" for part in path) or "the object"


def _key(part: Any) -> str:
    """A key in brackets: short, on one line, text in double quotes."""
    if isinstance(part, str):
        text = repr(f"'{part}")[2:-1].replace('"', '\\"')  # the apostrophe makes repr take double quotes
        text = f'"{text}"' if len(text) <= 80 else f'"{text[:77]}..."'
    else:
        text = repr(part)
        text = text if len(text) <= 80 else text[:77] + "..."
    return text.replace("\n", " ")
