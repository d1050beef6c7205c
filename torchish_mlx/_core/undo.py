"""All or nothing: what was changed is put back when something raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def undone_on_error(*restores: Callable[[], None]) -> Iterator[None]:
    """Call ``restores`` when something raises, the last one first. Each of them puts one thing back as it was.

    Where one of them raises too, the others are still called.

    >>> numbers = [1, 2]
    >>> with undone_on_error(lambda: numbers.append(2)):
    ...     numbers.pop() / 0
    Traceback (most recent call last):
    ...
    ZeroDivisionError: division by zero
    >>> numbers
    [1, 2]
    """
    try:
        yield
    except BaseException:
        with ExitStack() as called:
            for restore in restores:
                called.callback(restore)
        raise
