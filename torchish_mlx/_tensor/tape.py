"""The tape: what a recorded call is, and its derivative. It knows arrays, and no Tensors."""

from __future__ import annotations

import itertools
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import mlx.core as mx

from .._core.handle import RemovableHandle
from .._core.promotion import INEXACT

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

BEFORE, AFTER = "before", "after"
_metadata: WeakKeyDictionary[Node, dict[Any, Any]] = WeakKeyDictionary()
#: Of each call that was recorded under ``detect_anomaly``: where that was.
traces: WeakKeyDictionary[Node, str] = WeakKeyDictionary()
#: Not empty while ``detect_anomaly`` asks for that.
TRACED: list[bool] = []

#: The newest call has the least number, and so is the first in a heap.
next_order = itertools.count(0, -1).__next__


class Node(ABC):
    """One recorded call. ``edges`` say where the gradients go that ``pull`` returns, in the same order.

    ``hooks`` are pairs (which result, function) that see the gradient of a result and may return another one. In place
    of a result, ``BEFORE`` is for functions that see the gradients of all results, and ``AFTER`` for those that see
    what the call makes of them. ``metadata`` is for users.
    ``retained`` are weak references to the Tensors that ``retain_grad`` was called on, by result. ``called`` is torch's
    name of the call, where it is another one than its class gives; most calls don't set it.
    """

    __slots__ = ("__weakref__", "called", "edges", "hooks", "order", "outputs", "retained")

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

    def differentiated(self, grads: list[Any], recorded: Callable[[Pull, list[Any]], list[Any]]) -> list[Any]:
        """What ``pull`` gives, as Tensors on the tape, from gradients that are Tensors."""
        return recorded(self.again(), grads)

    @property
    def results(self) -> int:
        """How many results the call has."""
        return self.outputs

    def release(self) -> None:  # noqa: B027 - most calls keep nothing
        """Let go of what was kept."""

    def moved(self, storage: Any) -> None:  # noqa: B027
        """Forget the first argument, which an in-place call has overwritten. ``storage`` has the result, or is None
        where the result was cast to another dtype.
        """

    def in_torchs_order(self, grads: list[Any]) -> None:  # noqa: B027
        """Bring the gradients that came in the order of the memory to torch's, for whoever looks at them."""

    def name(self) -> str:
        """Torch's name of the call, ``"AddBackward0"``."""
        called: str | None = getattr(self, "called", None)
        return self.usual_name() if called is None else called

    def usual_name(self) -> str:
        """The name, where the call was not given another one."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Where the gradients go that the call makes, as pairs (call, which of its results)."""
        return tuple([(None, 0) if edge is None else _next(*edge) for edge in self.edges])

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for users, which nothing here reads."""
        return _metadata.setdefault(self, {})

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(grad_inputs, grad_outputs)`` called after the call has made gradients.

        Both are tuples; the tuple that it returns, if any, takes the place of ``grad_inputs``.

        Source: ``torch.autograd.graph.Node.register_hook``.
        """
        return self._hook(AFTER, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Have ``hook(grad_outputs)`` called before the call makes gradients; it may return others, as a tuple.

        Source: ``torch.autograd.graph.Node.register_prehook``.
        """
        return self._hook(BEFORE, hook)

    def _hook(self, index: Any, hook: Callable[..., Any]) -> RemovableHandle:
        entry = (index, hook)
        self.hooks = entries = [] if self.hooks is None else self.hooks
        entries.append(entry)
        return RemovableHandle(lambda _: entries.remove(entry) if entry in entries else None)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {hex(id(self))}>"


class AccumulateGrad:
    """The end of a graph, as ``next_functions`` shows it: what adds a gradient to ``variable.grad``."""

    next_functions = ()

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def name(self) -> str:
        """Torch's name of it."""
        return "torch::autograd::AccumulateGrad"

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {hex(id(self))}>"


def _next(to: Any, index: int | None) -> tuple[Any, int]:
    return (AccumulateGrad(to), 0) if index is None else (to, index)


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


def noted(node: Node) -> None:
    """Keep where a call is made, which ``detect_anomaly`` shows."""
    traces[node] = "".join(traceback.format_stack()[:-3])


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


def unbroadcast(gradient: mx.array, shape: Sequence[int]) -> mx.array:
    """``gradient`` summed over the axes along which an input of ``shape`` was broadcast."""
    own = gradient.shape
    if own == shape:
        return gradient
    lead = len(own) - len(shape)
    axes = [i for i, n in enumerate(own) if i < lead or shape[i - lead] != n]
    if axes and not gradient.size:  # MLX's CPU backend reads past the end of an array without elements
        return mx.zeros(shape, gradient.dtype)
    if len(axes) == lead:  # no axis of size one is to be kept
        return mx.sum(gradient, axis=axes) if axes else gradient
    return mx.reshape(mx.sum(gradient, axis=axes), shape)
