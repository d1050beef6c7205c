"""What the processes of a group tell each other while a run is saved or resumed."""

from __future__ import annotations

import json
from typing import Any

import mlx.core as mx
import numpy as np

from ..optimizers._norm import checked_group


class Ranks:
    """The processes of a group; without one, this process alone."""

    def __init__(self, group: Any) -> None:
        self._group = checked_group(group)
        self.together = group is not None
        self.rank = 0 if self._group is None else self._group.rank()
        self.size = 1 if self._group is None else self._group.size()

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, in order: anything that JSON has. It waits until all have called it."""
        if self._group is None:
            return [value]
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        sizes: Any = mx.distributed.all_gather(mx.array([text.size]), group=self._group).tolist()
        padded = mx.array(np.pad(text, (0, max(sizes) - text.size)))
        table = np.array(mx.distributed.all_gather(padded[None], group=self._group))
        return [json.loads(bytes(row[:size])) for row, size in zip(table, sizes, strict=True)]
