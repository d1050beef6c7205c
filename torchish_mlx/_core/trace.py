"""Whether an array is being traced by ``mx.compile`` or a gradient: only then it has no value that can be read.

And whether anything is being traced: then what a function does besides computing happens once, and not in each call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


class _Here(threading.local):
    eager = False
    called = False


_here = _Here()
#: The argument of a function while it is traced, which never gets a value. What MLX says about that tells whether it
#: traces now.
_placeholder: list[mx.array] = []


@mx.compile
def _leave(x: mx.array) -> mx.array:
    _placeholder.append(x)
    return x * 1


_leave(mx.zeros(()))


@mx.compile
def _note(x: mx.array) -> mx.array:
    _here.called = True
    return x


def tracing() -> bool:
    """Whether MLX traces a function in this thread, for ``mx.compile``, a gradient or ``mx.vmap``.

    A compiled function is called itself where its argument is being traced, and else when it is compiled alone, which
    is once in a thread. Where it was called the slower question decides.

    >>> tracing(), mx.compile(lambda: mx.array(tracing()))().item()
    (False, True)
    """
    _here.called = False
    _note(_placeholder[0])
    return _here.called and _without_value()


def _without_value() -> bool:
    """Whether MLX says of the placeholder that it is being traced. Its error takes ten times as long as a call."""
    try:
        _placeholder[0].item()
    except ValueError:
        return True
    except RuntimeError:
        return False
    return False  # MLX_DISABLE_COMPILE: there are no traces


def frozen() -> bool:
    """Whether what is done now happens once, for all calls of the function that MLX traces.

    MLX does not say whether a gradient is traced for itself or inside ``mx.compile``. So it may be frozen in every
    trace but those that :func:`eager` is around.
    """
    return not _here.eager and tracing()


@contextmanager
def eager() -> Iterator[None]:
    """Around a gradient of MLX: what happens in its trace is not frozen, if nothing is being traced around it."""
    before = _here.eager
    _here.eager = before or not tracing()
    try:
        yield
    finally:
        _here.eager = before
