"""How large an object is for code that does not know what in it is shared: ``repr``, ``==`` and walks over trees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

EXPLODES = "its containers contain each other so often that, written out, it would have millions of entries"
_FREE = 10_000_000  # entries
_TIMES = 100  # as many entries as there are


def check_spread(obj: Any) -> None:
    """Refuse to save an object that could not be loaded."""
    if explodes(obj):
        raise ValueError(f"the object cannot be saved: {EXPLODES}. Save each of them once")


def explodes(made: Any) -> bool:
    """Whether ``made``, written out, has very many more entries than it holds, as if each container has the next twice.

    >>> doubled = []
    >>> for _ in range(60):
    ...     doubled = [doubled, doubled]
    >>> explodes(doubled), explodes([[1, 2]] * 1000)
    (True, False)
    """
    sizes: dict[int, int] = {}  # of containers, written out; 1 until that is known, and for one that contains itself
    held = 0
    stack: list[tuple[Any, Iterator[Any]]] = [(None, iter([made]))]
    totals = [1]
    while stack:
        value, children = stack[-1]
        for child in children:
            held += 1
            if not isinstance(child, (list, tuple, set, Mapping)):
                totals[-1] += 1
            elif id(child) in sizes:
                totals[-1] += sizes[id(child)]
            else:
                sizes[id(child)] = 1
                stack.append((child, iter(child.values() if isinstance(child, Mapping) else child)))
                totals.append(1)
                break
        else:
            stack.pop()
            size = sizes[id(value)] = totals.pop()
            if stack:
                totals[-1] += size
    return size > _FREE and size > _TIMES * held
