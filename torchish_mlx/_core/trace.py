"""Whether an array is being traced by ``mx.compile`` or a gradient: only then it has no value that can be read."""

from __future__ import annotations

from typing import Any

import mlx.core as mx


def of_a_trace(error: Exception) -> bool:
    """Whether MLX refused to evaluate a traced array; the second text is that after a ``value_and_grad`` inside."""
    return "transformation" in str(error) or "without a primitive" in str(error)


def traced(array: mx.array) -> bool:
    """Whether ``array``, an empty one, is being traced by ``mx.compile`` or a gradient: only then it can't be read."""
    try:
        array.tolist()
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        return True
    return False


def value(array: mx.array) -> Any:
    """The number in an array of one element, for which it waits; None where it is being traced."""
    try:
        return array.item()
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        return None
