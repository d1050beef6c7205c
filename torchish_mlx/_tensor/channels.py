"""Images in channels-last memory: MLX's convolutions work on (n, h, w, c), and torch's shape is (n, c, h, w).

What comes out of a convolution stays in MLX's order through elementwise functions, norms, pools and sums, and is shown
in torch's shape to everybody else. The same holds for sequences, (n, c, l), and volumes, (n, c, d, h, w).
"""

from __future__ import annotations

import functools
from typing import Any

import mlx.core as mx

from .storage import Storage


@functools.cache
def to_last(ndim: int) -> tuple[int, ...]:
    """The axes that bring torch's order into channels-last memory order.

    >>> to_last(4)
    (0, 2, 3, 1)
    """
    return (0, *range(2, ndim), 1)


@functools.cache
def to_first(ndim: int) -> tuple[int, ...]:
    """The axes that bring channels-last memory order into torch's order.

    >>> to_first(4)
    (0, 3, 1, 2)
    """
    return (0, ndim - 1, *range(1, ndim - 1))


def axis_in_memory(dim: int, ndim: int) -> int:
    """Where a dimension of torch's order is in channels-last memory; one that is out of range stays what it is.

    >>> [axis_in_memory(dim, 4) for dim in (0, 1, 2, 3, -1, -3)]
    [0, 3, 1, 2, 2, 3]
    """
    return to_first(ndim)[dim % ndim] if -ndim <= dim < ndim else dim


class ChannelsLast(Storage):
    """A box whose array is kept in channels-last memory order, ``last``, and shown in torch's order."""

    __slots__ = ("_from", "_shown", "last")

    def __init__(self, last: mx.array) -> None:
        self._array: Any = None
        self.places: Any = ()
        self.version = 0
        self.last: Any = last
        self._from: Any = None
        self._shown: Any = None

    def read(self) -> mx.array:
        if self.last is None:  # it became a place in a module
            return super().read()
        if self._from is not self.last:
            self._from, self._shown = self.last, mx.transpose(self.last, to_first(self.last.ndim))
        return self._shown

    def write(self, value: mx.array) -> None:
        if self.last is None:
            super().write(value)
        else:
            self.last = mx.transpose(value, to_last(value.ndim))

    def add_place(self, container: Any, key: Any) -> None:
        self.last = self._from = self._shown = None
        super().add_place(container, key)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A copy and a pickle are of the plain array."""
        plain = Storage(self.read())
        plain.places, plain.version = self.places, self.version
        return Storage, (), plain.__getstate__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Storage:
        plain = Storage(None if self.placed else self.read())
        plain.places, plain.version = self.places, self.version
        copied = memo[id(self)] = plain.__deepcopy__(memo)
        return copied
