"""What views and writes record, without Tensors: how a gradient comes back through a view, parts, or a write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .tape import Node, Pull, given, next_order, unbroadcast
from .views import Step, apply, write


class Parts(NamedTuple):
    """The views into which a call splits a tensor along ``dim``. If they are ``stacked``, each is without that axis."""

    steps: list[Step]
    dim: int
    stacked: bool = False


class ViewNode(Node):
    """A recorded view."""

    __slots__ = ("steps",)

    def __init__(self, steps: Sequence[Step], edge: Any) -> None:
        self.edges, self.outputs, self.order, self.hooks, self.retained = [edge], 1, next_order(), None, None
        self.steps = steps

    def pull(self, grads: list[Any]) -> Any:
        g = grads[0]
        for step in reversed(self.steps):
            g = step.pull(g)
        return (g,)

    def again(self) -> Pull:
        return Pull(lambda g: self.pull([g]), [None], [], [])

    def usual_name(self) -> str:
        return self.steps[-1].call() if self.steps else "ViewBackward0"


class PartsNode(Node):
    """Recorded parts of one Tensor: their gradients are joined, not added."""

    __slots__ = ("dtype", "parts")

    def __init__(self, parts: Parts, dtype: mx.Dtype, edge: Any) -> None:
        super().__init__([edge], len(parts.steps))
        self.parts, self.dtype = parts, dtype

    def pull(self, grads: list[Any]) -> Any:
        together = mx.stack if self.parts.stacked else mx.concatenate
        return (together(given(grads, self._outs()), axis=self.parts.dim),)

    def again(self) -> Pull:
        return Pull(lambda *g: self.pull(list(g)), self._outs(), [], [])

    def _outs(self) -> list[Any]:
        return [(step.after, self.dtype) for step in self.parts.steps]

    def usual_name(self) -> str:
        return "UnbindBackward0" if self.parts.stacked else "SplitBackward0"


class WriteNode(Node):
    """A recorded write of a value into a part of a base. Of the result's gradient, that part goes to the value, and the
    rest to the base.
    """

    __slots__ = ("dtype", "path", "shape", "wants")

    def __init__(
        self, path: Sequence[Step], base: Any, value: Any, shape: tuple[int, ...], dtype: mx.Dtype | None
    ) -> None:
        super().__init__([edge for edge in (base, value) if edge is not None])
        self.path, self.shape, self.dtype, self.wants = path, shape, dtype, (base is not None, value is not None)

    def pull(self, grads: list[Any]) -> Any:
        g = grads[0]
        part = apply(g, self.path)
        found = []
        if self.wants[0]:
            found.append(write(g, mx.zeros(part.shape, g.dtype), self.path))
        if self.wants[1]:
            of_value = unbroadcast(part, self.shape)
            found.append(of_value if self.dtype is None else of_value.astype(self.dtype))
        return found

    def again(self) -> Pull:
        return Pull(lambda g: self.pull([g]), [None], [], [])

    def usual_name(self) -> str:
        return "CopySlices"
