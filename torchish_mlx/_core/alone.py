"""One thread at a time: an optimizer, and the Parameters that it holds, have no lock of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .._docs import see
from .evaluation import this_thread

F = TypeVar("F", bound=Callable[..., Any])

_at_work: list[Alone] = []


class Alone:
    """A context that raises RuntimeError, before anything is changed, where another thread works on the same.

    It never waits, so it can't end in a deadlock. A thread may enter it again while it is inside. Two threads work on
    the same where they have the same ``subject``, compared by identity, or Parameters in common.

    Args:
        doing: what the thread does, for the message, as ``"step()"``.
        subject: the optimizer's state, or the model.
        parameters: gives the Parameters whose arrays are read or written; only called where two threads are inside.

    >>> with Alone("step()", subject := {}), Alone("state_dict()", subject):
    ...     pass
    """

    __slots__ = ("_doing", "_parameters", "_subject", "_thread")

    def __init__(self, doing: str, subject: Any, parameters: Callable[[], Iterable[Any]] = tuple) -> None:
        self._doing, self._subject, self._parameters = doing, subject, parameters
        self._thread = this_thread()

    def __enter__(self) -> None:
        _at_work.append(self)  # first, so that of two threads that enter at once one sees the other
        if len(_at_work) > 1:
            for other in list(_at_work):
                if other._thread != self._thread and self._shares(other):
                    _at_work.remove(self)
                    raise RuntimeError(
                        f"{self._doing} was called in one thread while another one is inside {other._doing}, on the "
                        "same optimizer or the same parameters. Nothing was changed by this call. Let all threads "
                        "take one threading.Lock around the whole of an iteration (zero_grad(), backward() and "
                        "step()), and around state_dict() and load_state_dict()." + see("several-threads")
                    )

    def __exit__(self, *exception: object) -> None:
        _at_work.remove(self)

    def _shares(self, other: Alone) -> bool:
        if self._subject is other._subject:
            return True
        mine = {id(p) for p in self._parameters()}
        return any(id(p) in mine for p in other._parameters())


def alone(doing: str) -> Callable[[F], F]:
    """Let only one thread at a time be in this method of an optimizer, or in others that work on its state."""

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with Alone(doing, self._tree):
                return method(self, *args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def has_moved(optimizer: Any) -> bool:
    """Whether more than one thread has worked on ``optimizer`` so far, the calling one included."""
    here, last = this_thread(), optimizer.__dict__.get("_last_thread")
    if last != here:
        optimizer._last_thread = here
        if last is not None:
            optimizer._moved = True
    return "_moved" in optimizer.__dict__
