"""What registering a hook returns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

_ids = itertools.count()


class RemovableHandle:
    """What registering a hook returns; ``remove()``, or leaving a ``with`` block, takes the hook away again.

    Source: ``torch.utils.hooks.RemovableHandle``.
    """

    def __init__(self, remove: Callable[[int], Any]) -> None:
        """``remove`` is given the id of the handle. (To hold the handle instead would be a cycle of references.)"""
        self.id = next(_ids)
        self._remove = remove

    def remove(self) -> None:
        """Take the hook away. To call it again changes nothing."""
        self._remove(self.id)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
