"""The nodes of recorded calls: what a call kept, and what backward makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, widened
from .._tensor.channels import to_first, to_last
from .._tensor.modes import mode
from .._tensor.storage import Storage
from .._tensor.tape import AGAIN, Node, Pull, given, next_order, unbroadcast
from ._op import Recipe

ARRAY = mx.array


class Recorded(Node):
    """A recorded call of an op: what its formulas named, and nothing else.

    ``known`` is (*arguments, *shapes, *fields of the result) with None for what no formula names; ``kept`` are the
    storages and versions of the Tensors in it, ``spare`` those that only a second derivative asks for; ``fit`` is
    (shape, dtype or None) of each edge, or None where all agree; ``outs`` is (shape, dtype) of each of several results.
    """

    __slots__ = ("fit", "kept", "known", "outs", "recipe", "spare")

    def __init__(self, recipe: Recipe, edges: list[Any], known: Any, kept: Any, fit: Any) -> None:
        self.edges, self.outputs, self.order, self.hooks, self.retained = edges, 1, next_order(), None, None
        self.recipe, self.known, self.kept, self.fit = recipe, known, kept, fit
        self.spare: Any = ()
        self.outs: Any = None

    def usual_name(self) -> str:
        op, known = self.recipe.op, self.known
        return op.node_name if op.form is None or known is None else op.named(self.recipe.tensors, known)

    def _checked(self) -> list[Any]:
        """What is known, after a look at whether it is still what it was."""
        if self.known is None:
            raise RuntimeError(AGAIN)
        for storage, version in (*self.kept, *self.spare):
            if storage.version != version:
                array = storage.read()
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"[{NAMES[array.dtype]}Tensor {list(array.shape)}], which {self.name()} of "
                    f"{self.recipe.op.name}() needs, is at version {storage.version}; expected version {version} "
                    "instead. Hint: do the operation in place before the Tensor is used, or not in place."
                )
        known: list[Any] = self.known
        return known

    def own(self, k: int) -> Any:
        """Where a gradient of the result ``k``, in the order in which it is kept here, goes."""
        return (self, k)

    def _fitted(self, found: Any) -> list[Any]:
        fitted = []
        for g, (shape, dtype) in zip(found, self.fit, strict=True):
            if g is not None:
                g = unbroadcast(g, shape)
                if dtype is not None and g.dtype != dtype:
                    g = g.astype(dtype)
            fitted.append(g)
        return fitted

    def _gradients(self, by: Any, grads: Any, known: list[Any]) -> Any:
        g: Any = grads[0]
        if self.outs is not None:
            floats = [g for g, out in zip(given(grads, self.outs), self.outs, strict=True) if out[1] in INEXACT]
            g = floats[0] if len(floats) == 1 else floats
        if self.fit is None:
            return by(g, known)
        if self.recipe.op.promote is not None and self.fit[0][1] is not None:  # halves are computed in float32
            known = [widened(x) if isinstance(x, ARRAY) else x for x in known]
            g = widened(g) if isinstance(g, ARRAY) else list(map(widened, g))
        return self._fitted(by(g, known))

    def pull(self, grads: list[Any]) -> Any:
        known = self.known
        if known is None:
            raise RuntimeError(AGAIN)
        for storage, version in self.kept:
            if storage.version != version:
                self._checked()
        if self.fit is None and self.outs is None:
            return self.recipe.gradients(grads[0], known)
        return self._gradients(self.recipe.gradients, grads, known)

    def again(self) -> Pull:
        known, recipe, n = self._checked(), self.recipe, len(self.outs or [None])
        back = dict(zip(recipe.wants, self.edges, strict=False))
        first = 2 * recipe.op.arity  # where the fields of the result begin
        edges = [back.get(i) if i < first else self.own(i - first) for i in recipe.inner]

        def fn(*arrays: Any) -> Any:
            now = list(known)
            for i, array in zip(recipe.inner, arrays[n:], strict=True):
                now[i] = array
            before, mode.deriving = mode.deriving, True
            try:
                return list(self._gradients(recipe.again, arrays[:n], now))
            finally:
                mode.deriving = before

        return Pull(fn, self.outs or [None], [known[i] for i in recipe.inner], edges)

    def release(self) -> None:
        if self.kept or self.recipe.results:
            if self.recipe.op.form is not None:
                self.called = self.name()
            self.known = None
            self.kept, self.spare = [], ()

    def moved(self, storage: Storage | None) -> None:
        recipe = self.recipe
        first = 1 if recipe.keep[:1] == [0] else 0
        if storage is None:
            self.kept = self.kept[first:]
        else:
            self.kept = self.kept[first : len(recipe.keep)] + [(storage, storage.version)] * recipe.results.count(0)


class RecordedLast(Recorded):
    """A recorded call whose results are in channels-last memory.

    The gradient of a result may come in either order: at index k in torch's, from whoever knows nothing of the memory,
    and at index n + k in that of the memory, where n is the number of results. So a gradient is transposed only where
    somebody uses the other order.
    """

    __slots__ = ("count", "images")

    @property
    def results(self) -> int:
        return self.count

    def of_one(self, out: mx.array, ndim: int) -> None:
        """Learn the one result: its shape and dtype in memory order if it is an image."""
        self.count, self.outputs = 1, 2
        self.images = [(out.shape, out.dtype) if out.ndim == ndim else None]

    def of_several(self, outs: Sequence[mx.array], ndim: int) -> None:
        """Learn the results: which are images, with their shapes and dtypes in memory order."""
        self.count, self.outputs = len(outs), 2 * len(outs)
        self.images = [(o.shape, o.dtype) if o.ndim == ndim else None for o in outs]

    def own(self, k: int) -> Any:
        return (self, k if self.images[k] is None else self.count + k)

    def _joined(self, grads: Sequence[Any]) -> list[Any]:
        """The gradients of the results in memory order, from those in both."""
        found = list(grads[: self.count])
        for k, g in enumerate(grads[self.count :]):
            if self.images[k] is None:
                continue
            if found[k] is not None:
                found[k] = _transposed(found[k], to_last(found[k].ndim))
            if g is not None:
                found[k] = g if found[k] is None else found[k] + g
        return found

    def in_torchs_order(self, grads: list[Any]) -> None:
        for k in range(self.count):
            g = grads[self.count + k]
            if g is not None:
                g = _transposed(g, to_first(g.ndim))
                grads[k] = g if grads[k] is None else grads[k] + g
                grads[self.count + k] = None

    def pull(self, grads: list[Any]) -> Any:
        if self.count == 1 and grads[0] is None:
            return super().pull(grads[1:])
        return super().pull(self._joined(grads))

    def again(self) -> Pull:
        pull, n = super().again(), self.outputs
        given = self.outs or [None] * self.count
        first = [(_first(o[0]), o[1]) if o else plain for o, plain in zip(self.images, given, strict=True)]
        last = [image or ((), mx.float32) for image in self.images]
        fn = pull.fn
        return Pull(lambda *a: fn(*self._joined(a[:n]), *a[n:]), first + last, pull.arrays, pull.edges)


def _first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[a] for a in to_first(len(shape)))


def _transposed(g: Any, axes: tuple[int, ...]) -> Any:
    return mx.transpose(g, axes) if type(g) is ARRAY else g.permute(axes)


def call_it(name: str, made: Any, given: Sequence[Any] = ()) -> None:
    """Give the call that made these Tensors torch's name; but not where a function returned what it was ``given``."""
    for tensor in made if isinstance(made, tuple) else (made,):
        edge = tensor._edge
        if edge is not None and edge[1] is not None and not any(tensor is each for each in given):
            edge[0].called = name
