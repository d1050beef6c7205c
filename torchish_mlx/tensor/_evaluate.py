"""When MLX computes: see ``optimizers/_evaluate.py``; and the number in an array, where there is one."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..optimizers._evaluate import of_a_trace, schedule

__all__ = ["schedule", "value"]


def value(array: mx.array) -> Any:
    """The number in an array of one element, for which it waits; None where it is being traced."""
    try:
        return array.item()
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        return None
