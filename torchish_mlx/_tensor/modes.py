"""Whether operations are recorded: ``no_grad``, ``enable_grad`` and ``set_grad_enabled``, for each thread."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    enabled = True  #: whether operations are recorded
    deriving = False  #: whether formulas of gradients are run to be differentiated themselves
    inference = False  #: whether ``inference_mode`` is on
    anomaly = False  #: whether gradients that are NaN are refused


mode = _Mode()


def _switch(enabled: bool) -> None:
    mode.enabled = enabled


def is_grad_enabled() -> bool:
    """Whether operations are recorded now, in this thread."""
    return mode.enabled


class _GradMode:
    """A context manager, also usable as a decorator of functions and generator functions."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.enabled)
        mode.enabled = self._enabled

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mode.enabled = self._before.pop()

    def _again(self) -> _GradMode:
        """Another context of the same kind, for each call of a decorated function."""
        return _GradMode(self._enabled)

    def __call__(self, function: F) -> F:
        again = self._again

        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def steps(*args: Any, **kwargs: Any) -> Any:
                generator = function(*args, **kwargs)
                value, send = None, generator.send
                while True:
                    with again():
                        try:
                            out = send(value)
                        except StopIteration as stop:
                            return stop.value
                    try:
                        value, send = (yield out), generator.send
                    except GeneratorExit:
                        generator.close()
                        raise
                    except BaseException as error:  # handed on into the generator
                        value, send = error, generator.throw

            return steps  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


class no_grad(_GradMode):
    """Record nothing: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    >>> import torchish_mlx as torch
    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> with torch.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, function: Any = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_GradMode):
    """Record again inside ``no_grad``: ``with enable_grad():``, ``@enable_grad()`` or ``@enable_grad``."""

    def __new__(cls, function: Any = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(True)


class inference_mode(_GradMode):
    """As ``no_grad``, for what needs no gradient later either; inside ``inference_mode(False)`` calls are recorded.

    Torch refuses to record what was computed inside. Here it may be used like any other Tensor.

    Source: ``torch.inference_mode``.

    >>> import torchish_mlx as torch
    >>> with torch.inference_mode():
    ...     torch.is_inference_mode_enabled()
    True
    """

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)
        self._inference, self._was = mode, list[bool]()

    def __enter__(self) -> None:
        super().__enter__()
        self._was.append(mode.inference)
        mode.inference = self._inference

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mode.inference = self._was.pop()
        super().__exit__(kind, error, trace)

    def _again(self) -> _GradMode:
        return inference_mode(self._inference)


def is_inference_mode_enabled() -> bool:
    """Whether the calling thread is inside ``inference_mode``."""
    return mode.inference


class set_grad_enabled(_GradMode):
    """Switch recording on or off, at once; as a context manager, until the end of the block."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self._outside = is_grad_enabled()
        _switch(self._enabled)

    def __enter__(self) -> None:
        self._before.append(self._outside)
        mode.enabled = self._enabled

    def __call__(self, function: F) -> F:
        mode.enabled = self._outside  # only the function runs in this mode
        return super().__call__(function)
