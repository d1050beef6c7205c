"""The record of a call on the tape, and what backward makes of it."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, widened
from .._tensor.storage import Storage
from .._tensor.tape import AGAIN, Node, Pull, given, next_order, unbroadcast
from .._tensor.tensor import Tensor, wrap
from ._op import Op, Recipe

FLOAT32, ARRAY, NEW = mx.float32, mx.array, Tensor.__new__


class Recorded(Node):
    """A recorded call of an op: what its formulas named, and nothing else.

    ``known`` is (*arguments, *shapes, *fields of the result) with None for what no formula names; ``kept`` are the
    storages and versions of the Tensors in it, ``spare`` those that only a second derivative asks for; ``fit`` is
    (shape, dtype or None) of each edge, or None where all agree; ``outs`` is (shape, dtype) of each of several results.
    """

    __slots__ = ("fit", "kept", "known", "outs", "recipe", "spare")

    def __init__(self, recipe: Recipe, edges: list[Any], known: Any, kept: list[Any], fit: Any) -> None:
        self.edges, self.outputs, self.order, self.hooks, self.retained = edges, 1, next_order(), None, None
        self.recipe, self.known, self.kept, self.fit = recipe, known, kept, fit
        self.spare: list[Any] = []
        self.outs: Any = None

    @property
    def name(self) -> str:
        return self.recipe.op.node_name

    def _checked(self) -> list[Any]:
        """What is known, after a look at whether it is still what it was."""
        if self.known is None:
            raise RuntimeError(AGAIN)
        for storage, version in (*self.kept, *self.spare):
            if storage.version != version:
                array = storage.read()
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"[{NAMES[array.dtype]}Tensor {list(array.shape)}], which {self.name} of "
                    f"{self.recipe.op.name}() needs, is at version {storage.version}; expected version {version} "
                    "instead. Hint: do the operation in place before the Tensor is used, or not in place."
                )
        known: list[Any] = self.known
        return known

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
            g = widened(g)
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
        known, recipe, n = self._checked(), self.recipe, self.outputs
        back = dict(zip(recipe.wants, self.edges, strict=False))
        first = 2 * recipe.op.arity  # where the fields of the result begin
        edges = [back.get(i) if i < first else (self, i - first) for i in recipe.inner]

        def fn(*arrays: Any) -> Any:
            now = list(known)
            for i, array in zip(recipe.inner, arrays[n:], strict=True):
                now[i] = array
            return list(self._gradients(recipe.again, arrays[:n], now))

        return Pull(fn, self.outs or [None], [known[i] for i in recipe.inner], edges)

    def release(self) -> None:
        if self.kept or self.recipe.results:
            self.known = None
            self.kept = self.spare = []

    def moved(self, storage: Storage | None) -> None:
        recipe = self.recipe
        first = 1 if recipe.keep[:1] == [0] else 0
        if storage is None:
            self.kept = self.kept[first:]
        else:
            self.kept = self.kept[first : len(recipe.keep)] + [(storage, storage.version)] * recipe.results.count(0)


def record(op: Op, key: int, args: Any, arrays: list[Any], out: Any, dtype: Any = None, edges: Any = None) -> Any:
    """Put a call on the tape; ``edges`` are given for lists of Tensors, and taken from the arguments otherwise."""
    recipe = op.recipes.get(key)
    if recipe is None:
        recipe = op.recipes[key] = Recipe(op, key)
    wants = recipe.wants
    if not wants:
        return finished(op, out)
    to: list[Any] = []
    kept: list[Any] = []
    fit: Any = None
    if edges is None:
        for i in wants:
            t = args[i]
            to.append(t._edge or t._to())
    else:
        to = [e for i in wants for e in edges[i]]
    for i in recipe.keep:
        for t in args[i] if i in op.lists else (args[i],):
            storage = t._storage
            kept.append((storage, storage.version))
    if recipe.rest:
        shape = arrays[recipe.first].shape
        for i in recipe.rest:
            if arrays[i].shape != shape:
                fit = [(arrays[i].shape, None) for i in wants]
    if dtype is not None or op.casts or op.lists:
        fit = [(a.shape, a.dtype) for i in wants for a in (arrays[i] if i in op.lists else (arrays[i],))]
    known: Any = arrays
    if recipe.extra:
        shapes: list[Any] = [None] * op.arity
        for i in recipe.shapes:
            shapes[i] = [a.shape for a in arrays[i]] if i in op.lists else getattr(arrays[i], "shape", ())
        known = arrays + shapes
        if recipe.results:
            if type(out) is ARRAY:
                known += (out,)
            elif recipe.plain:
                known += (None, *out[1:])
            else:
                known += [x if k in recipe.results else None for k, x in enumerate(out)]
    for i in recipe.drop:
        known[i] = None
    node = Recorded(recipe, to, known, kept, fit)
    for i in recipe.spare:
        storage = args[i]._storage
        node.spare.append((storage, storage.version))
    if type(out) is not ARRAY:
        return filled(op, recipe, node, out)
    made = NEW(Tensor)
    made._storage = storage = Storage(out)
    made._requires_grad, made._edge = True, (node, 0)
    if recipe.results:
        kept.append((storage, 0))
    return made


def filled(op: Op, recipe: Recipe, node: Recorded, out: Any) -> Any:
    """The results of a recorded call that are several, or have residuals."""
    made = finished(op, out)
    if type(made) is Tensor:
        made._requires_grad, made._edge = True, (node, 0)
        if recipe.results[:1] == [0]:
            node.kept.append((made._storage, 0))
        return made
    node.outs, node.outputs = [(o.shape, o.dtype) for o in out], len(made)
    for k, t in enumerate(made):
        if node.outs[k][1] in INEXACT:
            t._requires_grad, t._edge = True, (node, k)
        if k in recipe.results:
            node.kept.append((t._storage, 0))
    return made


def finished(op: Op, out: Any) -> Any:
    """Tensors around the result."""
    if op.residuals:
        out = out[0]
    if type(out) is mx.array:
        return wrap(out)
    made = [wrap(o) for o in out]
    return type(out)(*made) if hasattr(out, "_fields") else tuple(made)
