"""When MLX computes: what is kept is scheduled, so that no work accumulates, and any thread can use it.

MLX's streams belong to threads. An array that was not evaluated in the thread that made it can't be evaluated in
another one ("There is no Stream(cpu, 0) in current thread"); an array that is being computed can be used by all.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from typing import Any

import mlx.core as mx

from .._docs import see
from .sparse import RowSparse
from .trace import of_a_trace

_numbers = itertools.count(1)


class _Here(threading.local):
    def __init__(self) -> None:
        self.number = next(_numbers)


_here = _Here()


def this_thread() -> int:
    """The number of the calling thread, which no other thread ever has (the system gives its numbers again)."""
    return _here.number


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


def arrays_in(*values: Any) -> list[mx.array]:
    """The arrays in dicts, lists and tuples, and those behind Tensors and gradients of rows; each container once.

    >>> arrays_in({"a": [mx.array(1.0), 2]}, "b")
    [array(1, dtype=float32)]
    """
    found: list[mx.array] = []
    waiting, seen = list(values), set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, mx.array):
            found.append(value)
        elif isinstance(value, RowSparse):
            found += [value.indices, value.values]
        elif isinstance(value, (Mapping, list, tuple)):
            if id(value) not in seen:
                seen.add(id(value))
                waiting += value.values() if isinstance(value, Mapping) else value
        elif isinstance(array := getattr(value, "array", None), mx.array):  # a Tensor, which this layer does not know
            found.append(array)
    return found


def schedule_given(what: str, *trees: Any) -> bool:
    """:func:`schedule` what a call was given, before it changes anything.

    Raises RuntimeError, which begins with ``what``, for arrays that another thread has left unevaluated: no thread
    could evaluate what is computed from them.
    """
    try:
        return schedule(*trees)
    except RuntimeError as error:
        if "Stream" not in str(error):
            raise
        raise RuntimeError(
            f"{what} come from another thread, which has not evaluated them, and no other thread can (MLX says: "
            f"{error}) Evaluate them in the thread that computes them, by mx.eval(arrays), before this one uses them. "
            "Nothing was changed." + see("arrays-of-another-thread")
        ) from error
