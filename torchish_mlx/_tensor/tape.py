"""The tape: what a recorded call is, and the backward pass over recorded calls. It knows arrays, and no Tensors."""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.alone import Alone
from .._core.evaluation import arrays_in, schedule, schedule_given
from .._core.promotion import INEXACT
from .._core.sparse import RowSparse
from .modes import mode

AGAIN = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have "
    "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
    "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if "
    "you need to access saved tensors after calling backward."
)

COMPLEX = (
    "gradients of complex numbers are not recorded here: keep the real and the imaginary part as two Tensors, or "
    "compute under no_grad()"
)

Edge = tuple[Any, Any]  # (node, which of its results), or (leaf, None)

#: The newest call has the least number, and so is the first in a heap.
next_order = itertools.count(0, -1).__next__


class Node(ABC):
    """One recorded call. ``edges`` say where the gradients go that ``pull`` returns, in the same order.

    ``hooks`` are pairs (which result, function) that see the gradient of a result and may return another one.
    ``retained`` are weak references to the Tensors that ``retain_grad`` was called on, by result.
    """

    __slots__ = ("__weakref__", "edges", "hooks", "order", "outputs", "retained")

    def __init__(self, edges: list[Any], outputs: int = 1) -> None:
        self.edges, self.outputs, self.order = edges, outputs, next_order()
        self.hooks: Any = None
        self.retained: Any = None

    @abstractmethod
    def pull(self, grads: list[Any]) -> Sequence[Any]:
        """The gradients for the edges, from those of the results (None where there is none): arrays to arrays."""

    @abstractmethod
    def again(self) -> Pull:
        """The same as a pure function, which can be recorded itself: what ``create_graph`` asks for."""

    def release(self) -> None:  # noqa: B027 - most calls keep nothing
        """Let go of what was kept."""

    def moved(self, storage: Any) -> None:  # noqa: B027
        """Forget the first argument, which an in-place call has overwritten. ``storage`` has the result, or is None
        where the result was cast to another dtype.
        """

    def in_torchs_order(self, grads: list[Any]) -> None:  # noqa: B027
        """Bring the gradients that came in the order of the memory to torch's, for whoever looks at them."""

    @property
    def name(self) -> str:
        """Torch's name of the call, as in ``<AddBackward0>``."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Torch's name for the edges."""
        return tuple((edge[0], edge[1] or 0) for edge in self.edges if edge is not None)

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Pull:
    """``fn(*grads, *arrays)`` gives the gradients of a call's edges.

    ``outs`` is (shape, dtype) of each result, for gradients that are not there; ``edges`` are those of ``arrays``, None
    where no gradient goes.
    """

    __slots__ = ("arrays", "edges", "fn", "outs")

    def __init__(self, fn: Callable[..., Any], outs: Sequence[Any], arrays: list[Any], edges: list[Any]) -> None:
        self.fn, self.outs, self.arrays, self.edges = fn, outs, arrays, edges


class Pure(Node):
    """A recorded call of any pure function of arrays, with MLX's derivative, and so of every order."""

    __slots__ = ("arrays", "fn", "outs", "wants")

    def __init__(self, fn: Any, arrays: list[Any], edges: list[Any], outs: Sequence[mx.array]) -> None:
        self.fn, self.arrays, self.outs = fn, arrays, [(o.shape, o.dtype) for o in outs]
        self.wants = [i for i, e in enumerate(edges) if e is not None and arrays[i].dtype in INEXACT]
        super().__init__([edges[i] for i in self.wants], len(outs))

    def pull(self, grads: list[Any]) -> Any:
        if self.arrays is None:
            raise RuntimeError(AGAIN)
        return vjp_of(self.fn, self.arrays, self.wants, given(grads, self.outs))

    def again(self) -> Pull:
        if self.arrays is None:
            raise RuntimeError(AGAIN)
        fn, wants, n = self.fn, self.wants, self.outputs
        back = dict(zip(wants, self.edges, strict=True))
        edges = [back.get(i) for i in range(len(self.arrays))]
        return Pull(lambda *a: vjp_of(fn, list(a[n:]), wants, a[:n]), self.outs, self.arrays, edges)

    def release(self) -> None:
        self.arrays = None  # type: ignore[assignment]


def given(grads: Sequence[Any], outs: Sequence[Any]) -> list[Any]:
    """``grads``, with zeros in place of those that are not there; ``outs`` is (shape, dtype) of each."""
    return [mx.zeros(*out) if g is None else g for g, out in zip(grads, outs, strict=True)]


def vjp_of(fn: Any, arrays: list[Any], wants: list[int], grads: Sequence[Any]) -> list[mx.array]:
    """MLX's derivative of ``fn(*arrays)``, a list of arrays, for the arguments ``wants``.

    MLX counts one gradient only of an array that is returned twice, so no two outputs may be the same.
    """

    def outputs(*wanted: mx.array) -> list[mx.array]:
        now = list(arrays)
        for i, array in zip(wants, wanted, strict=True):
            now[i] = array
        return [o if i == 0 else o * 1 for i, o in enumerate(fn(*now))]

    return mx.vjp(outputs, [arrays[i] for i in wants], list(grads))[1]


def run_backward(
    roots: Sequence[tuple[Any, Any]],
    *,
    retain_graph: bool,
    create_graph: bool,
    recorded: Callable[[Pull, list[Any]], list[Any]],
) -> None:
    """Send gradients from ``roots``, pairs of (edge, gradient), to the leaves.

    The newest call goes first, so that every use of a value has been summed before its own call is pulled; there is no
    recursion. Gradients are arrays, or Tensors with ``create_graph``, where ``recorded`` makes them of a ``Pull``. What
    a leaf gets from this pass is summed, scheduled for evaluation, and then added to the gradient that it has. So k
    losses leave one sum in memory, and not all that they were computed from.
    """
    pending: dict[int, tuple[Node, list[Any]]] = {}
    queue: list[int] = []
    leaves: dict[int, tuple[Any, Any]] = {}
    push, pop = heapq.heappush, heapq.heappop
    edges: Any = [edge for edge, _ in roots]
    found: Any = [gradient for _, gradient in roots]
    before, mode.enabled = mode.enabled, create_graph
    try:
        while True:
            for edge, gradient in zip(edges, found):  # noqa: B905 - ``strict`` would take longer than the rest of the line
                if edge is None or gradient is None:
                    continue
                to, index = edge
                if index is None:
                    key = id(to)
                    if key in leaves:
                        known = leaves[key][1]
                        gradient = gradient + known if type(gradient) is RowSparse else known + gradient
                    leaves[key] = (to, gradient)
                    continue
                order = to.order
                entry = pending.get(order)
                if entry is None:
                    entry = pending[order] = (to, [None] * to.outputs)
                    push(queue, order)
                    entry[1][index] = gradient
                else:
                    slots = entry[1]
                    slots[index] = gradient if slots[index] is None else slots[index] + gradient
            if not queue:
                break
            node, grads = pending.pop(pop(queue))
            if node.hooks is not None or node.retained is not None:
                _watched(node, grads)
            found = recorded(node.again(), grads) if create_graph else node.pull(grads)
            edges = node.edges
            if not retain_graph:
                node.release()
        wanted = [
            (to, gradient if to._hooks is None else to._hooked(gradient))
            for to, gradient in leaves.values()
            if to.requires_grad
        ]
        with Alone("backward()", leaves, lambda: [to for to, _ in wanted]):
            added = [to for to, _ in wanted if to._grad is not None]
            schedule_given("arrays behind the loss", arrays_in([gradient for _, gradient in wanted]))
            for to, gradient in wanted:
                to._accumulate(gradient)
            if added:
                schedule(arrays_in([to._grad for to in added]))
    finally:
        mode.enabled = before


def _watched(node: Node, grads: list[Any]) -> None:
    """Call the hooks of a call's results with their gradients, and keep the gradient of those with ``retain_grad``."""
    node.in_torchs_order(grads)
    hooks: list[Any] = node.hooks or []
    for index, hook in list(hooks):
        if grads[index] is not None:
            grads[index] = hook(grads[index])
    for index, reference in (node.retained or {}).items():
        if (tensor := reference()) is not None and grads[index] is not None:
            tensor._accumulate(grads[index])


def unbroadcast(gradient: mx.array, shape: Sequence[int]) -> mx.array:
    """``gradient`` summed over the axes along which an input of ``shape`` was broadcast."""
    if gradient.shape == shape:
        return gradient
    lead = gradient.ndim - len(shape)
    axes = [i for i, n in enumerate(gradient.shape) if i < lead or shape[i - lead] != n]
    if axes and not gradient.size:  # MLX's CPU backend reads past the end of an array without elements
        return mx.zeros(shape, gradient.dtype)
    return mx.reshape(mx.sum(gradient, axis=axes) if axes else gradient, shape)
