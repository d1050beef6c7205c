"""When MLX computes: a torch script never says so, so a few places schedule what must not pile up."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..optimizers._hyper import of_a_trace


def schedule(*trees: Any) -> bool:
    """Evaluate the arrays in ``trees`` without waiting for them.

    False, and nothing is done, where they are being traced: there is nothing to evaluate yet.

    >>> import mlx.core as mx
    >>> schedule([mx.array(1.0) + 1], {"b": mx.array(2.0)})
    True
    >>> mx.compile(lambda x: (schedule(x), x + 1)[1])(mx.array(1.0)).item()
    2.0
    """
    try:
        mx.async_eval(*trees)
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        return False
    return True


def value(array: mx.array) -> Any:
    """The number in an array of one element, for which it waits; None where it is being traced."""
    try:
        return array.item()
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        return None
