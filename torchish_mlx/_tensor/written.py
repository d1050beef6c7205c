"""What was written in place and not evaluated yet: running statistics, averages, sums that a program keeps.

Such a value holds everything that it is computed from, and in a loop that never reads it, that of every step. So each
thread keeps a list, and the next backward pass has these arrays evaluated together with the gradients, which come from
the same activations.
"""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

import mlx.core as mx

from .._core.evaluation import schedule
from .storage import Alias, Storage, View

#: So many writes into one storage without a backward pass, as in a loop of evaluation, and all are evaluated.
_MOST = 32


class _Here(threading.local):
    def __init__(self) -> None:
        self.writes: WeakKeyDictionary[Storage, int] = WeakKeyDictionary()


_here = _Here()


def note(storage: Storage) -> None:
    """Put a storage that was written in place on the list.

    >>> import mlx.core as mx
    >>> note(kept := Storage(mx.array(1.0) + 1))
    >>> [array.item() for array in unread()], unread()
    ([2.0], [])
    """
    while isinstance(storage, (Alias, View)):
        storage = storage.base
    writes = _here.writes
    count = writes[storage] = writes.get(storage, 0) + 1
    if count == _MOST:
        schedule(unread())


def unread() -> list[mx.array]:
    """The arrays of the storages on the list of this thread, which is empty then."""
    writes = _here.writes
    if not writes:
        return []
    arrays = [storage.read() for storage in writes]
    writes.clear()
    return arrays
