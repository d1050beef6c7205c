"""Arguments that are one number for all of an image's sizes, or one number for each of them."""

from __future__ import annotations

from numbers import Integral
from typing import Any


def integers(function: str, argument: str, given: Any, position: str = "") -> tuple[int, ...] | int:
    """A number, or a tuple of numbers; TypeError for anything else."""
    start = f"{function}(): argument {argument!r}{position} must be tuple of ints"
    if isinstance(given, Integral):
        return int(given)
    if not isinstance(given, (tuple, list)):
        raise TypeError(f"{start}, not {type(given).__name__}")
    for at, each in enumerate(given):
        if not isinstance(each, Integral):
            raise TypeError(f"{start}, but found element of type {type(each).__name__} at pos {at}")
    return tuple(map(int, given))


def for_each(given: tuple[int, ...] | int, n: int) -> tuple[int, ...]:
    """``n`` numbers, where one number, or a tuple of one, means all; another count stays what it is.

    >>> for_each(3, 2), for_each((1, 2), 2), for_each((1,), 2), for_each((1, 2, 3), 2)
    ((3, 3), (1, 2), (1, 1), (1, 2, 3))
    """
    found = (given,) if isinstance(given, int) else given
    return found * n if len(found) == 1 else found
