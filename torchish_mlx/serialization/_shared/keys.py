"""Which keys a file may have: those that are hashed and compared quickly, also if an attacker chose them."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..._core.device import Device
from ..._core.dtypes import dtype
from ..._tensor.arraylike import Size
from .arrays import plain

MOST = 4096  # keys whose hash a file can choose; all of them may have the same hash
_PARTS = 16  # of a tuple, with the parts of tuples in it
_BITS = 8 * 255  # of a whole number, whose hash is computed again at each look-up
_PLAIN = {str, bytes, bool, float, type(None)}
_IN_TUPLES = _PLAIN | {int, complex, Device, mx.Dtype, dtype}


class Keys:
    """Checks the keys of a file when it is written and when it is read, so that every key that is saved can be loaded.

    Args:
        more: types that may be keys too.

    >>> keys = Keys()
    >>> keys.complaint((1, "a")) is None
    True
    >>> keys.complaint([])
    'a list is a key. Keys are text, numbers and tuples of these: give it a name, and save again'
    """

    def __init__(self, *more: type) -> None:
        self._plain = _PLAIN.union(more)
        self._parts = _IN_TUPLES.union(more)
        self._odd = 0

    def complaint(self, key: Any) -> str | None:
        """Why ``key`` can't be one; None if it can. It is not hashed."""
        key = plain(key)
        kind = type(key)
        if kind in self._plain or (kind is int and -(2**63) <= key < 2**63):
            return None
        self._odd += 1
        if self._odd > MOST:
            return (
                f"there are more than {MOST} keys that are tuples, complex or very large numbers, which could be "
                "chosen to be slow. Use text or plain numbers as keys, and save again"
            )
        left = [key]
        for _ in range(_PARTS + 1):
            if not left:
                return None
            part = plain(left.pop())
            if type(part) in (tuple, Size):
                left.extend(part[: _PARTS + 1])
            elif type(part) not in self._parts:
                return (
                    f"a {type(part).__name__} is a key. Keys are text, numbers and tuples of these: give it a name, "
                    "and save again"
                )
            elif type(part) is int and part.bit_length() > _BITS:
                return f"a number of {part.bit_length()} bits is a key. Use text as the key, and save again"
        return f"a tuple of more than {_PARTS} parts is a key. Use text as the key, and save again"
