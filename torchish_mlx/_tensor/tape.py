"""The tape: whether to record, what a recorded call is, and the backward pass over recorded calls."""

from __future__ import annotations

import functools
import heapq
import inspect
import itertools
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import mlx.core as mx

from .._core.alone import Alone
from .._core.evaluation import arrays_in, schedule, schedule_given

F = TypeVar("F", bound=Callable[..., Any])

AGAIN = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have "
    "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
    "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if "
    "you need to access saved tensors after calling backward."
)


class _Mode(threading.local):
    enabled = True


mode = _Mode()


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

    def __call__(self, function: F) -> F:
        enabled = self._enabled

        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def steps(*args: Any, **kwargs: Any) -> Any:
                generator = function(*args, **kwargs)
                value, send = None, generator.send
                while True:
                    with _GradMode(enabled):
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
            with _GradMode(enabled):
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


class set_grad_enabled(_GradMode):
    """Switch recording on or off, at once; as a context manager, until the end of the block."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self._outside = is_grad_enabled()
        globals()["mode"].enabled = self._enabled

    def __enter__(self) -> None:
        self._before.append(self._outside)
        mode.enabled = self._enabled

    def __call__(self, function: F) -> F:
        mode.enabled = self._outside  # only the function runs in this mode
        return super().__call__(function)


_orders = itertools.count()


class Node(ABC):
    """One recorded call. Subclasses give ``pull``; ``edges`` say where the gradients that it returns go.

    An edge is ``(node, index)``, an output of an earlier call, or ``(tensor, None)``, a leaf.
    """

    __slots__ = ("name", "edges", "outputs", "order", "retained", "__weakref__")

    def __init__(self, name: str, edges: Sequence[tuple[Any, int | None]], outputs: int) -> None:
        self.name = name
        self.edges = edges
        self.outputs = outputs
        self.order = next(_orders)
        self.retained: dict[int, Any] | None = None

    @abstractmethod
    def pull(self, grads: list[Any], create_graph: bool) -> Sequence[Any]:
        """The gradients for ``edges``, given those of the outputs (None where there is none).

        They are arrays, or, with ``create_graph``, Tensors.
        """

    @abstractmethod
    def release(self) -> None:
        """Drop the saved arrays."""

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Torch's name for the edges."""
        return tuple((to, index or 0) for to, index in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name}>"


def run_backward(roots: Sequence[tuple[Any, Any]], *, retain_graph: bool, create_graph: bool) -> None:
    """Send gradients from ``roots``, pairs of (edge, gradient), to the leaves.

    The newest call goes first, so that every use of a value has been summed before its own call is pulled;
    there is no recursion. Gradients are arrays, or Tensors with ``create_graph``. What a leaf gets from
    this pass is summed, scheduled for evaluation, and then added to what it has: a sum, and not the work behind k
    losses, is what is kept.
    """
    pending: dict[Node, list[Any]] = {}
    queue: list[tuple[int, Node]] = []
    leaves: dict[int, tuple[Any, Any]] = {}

    def give(edge: tuple[Any, int | None], gradient: Any) -> None:
        to, index = edge
        if index is None:
            leaves[id(to)] = (to, leaves[id(to)][1] + gradient if id(to) in leaves else gradient)
            return
        slots = pending.get(to)
        if slots is None:
            slots = pending[to] = [None] * to.outputs
            heapq.heappush(queue, (-to.order, to))
        slots[index] = gradient if slots[index] is None else slots[index] + gradient

    before, mode.enabled = mode.enabled, create_graph
    try:
        for edge, gradient in roots:
            give(edge, gradient)
        while queue:
            node = heapq.heappop(queue)[1]
            grads = pending.pop(node)
            if node.retained is not None:
                for index, reference in node.retained.items():
                    if (tensor := reference()) is not None and grads[index] is not None:
                        tensor._accumulate(grads[index])
            for edge, gradient in zip(node.edges, node.pull(grads, create_graph), strict=True):
                if gradient is not None:
                    give(edge, gradient)
            if not retain_graph:
                node.release()
        with Alone("backward()", leaves, lambda: [to for to, _ in leaves.values()]):
            added = any(to._grad is not None for to, _ in leaves.values())
            schedule_given("arrays behind the loss", arrays_in([gradient for _, gradient in leaves.values()]))
            for to, gradient in leaves.values():
                to._accumulate(gradient)
            if added:
                schedule(arrays_in([to._grad for to, _ in leaves.values()]))
    finally:
        mode.enabled = before


def unbroadcast(gradient: mx.array, shape: Sequence[int], dtype: mx.Dtype) -> mx.array:
    """``gradient`` summed over the axes along which an input of ``shape`` was broadcast, in ``dtype``."""
    if gradient.shape != tuple(shape):
        lead = gradient.ndim - len(shape)
        axes = [i for i in range(gradient.ndim) if i < lead or shape[i - lead] != gradient.shape[i]]
        if axes:
            gradient = mx.sum(gradient, axis=axes)
        gradient = mx.reshape(gradient, shape)
    return gradient if gradient.dtype == dtype else gradient.astype(dtype)
