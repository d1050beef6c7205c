"""Putting a call on the tape, and Tensors around its results."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT
from .._tensor.channels import ChannelsLast
from .._tensor.storage import Storage
from .._tensor.tape import COMPLEX
from .._tensor.tensor import Tensor, wrap
from ._channels import edge_in_memory
from ._op import Op, Recipe
from ._recorded import ARRAY, Recorded, RecordedLast

FLOAT32, NEW = mx.float32, Tensor.__new__


def record(
    op: Op,
    key: int,
    args: Any,
    arrays: list[Any],
    out: Any,
    dtype: Any = None,
    edges: Any = None,
    ndim: int = 0,
) -> Any:
    """Put a call on the tape; ``edges`` are given by the general path, and taken from the arguments otherwise.

    ``ndim`` is that of the images where the call works on channels-last memory.
    """
    recipe = op.recipes.get(key)
    if recipe is None:
        recipe = op.recipes[key] = Recipe(op, key)
    wants = recipe.wants
    if not wants:
        return finished(op, out, ndim)
    to: list[Any] = []
    kept: list[Any] = []
    fit: Any = None
    if edges is None and not ndim:
        for i in wants:
            t = args[i]
            to.append(t._edge or t._to())
    elif edges is None:
        for i in wants:
            t = args[i]
            images = not i or (op.channels != "last" and type(t._storage) is ChannelsLast)
            to.append(edge_in_memory(t) if images else t._edge or t._to())
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
        if type(out) is ARRAY and out.dtype == mx.complex64:
            raise RuntimeError(COMPLEX)
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
    node: Any = (RecordedLast if ndim else Recorded)(recipe, to, known, kept, fit)
    for i in recipe.spare:
        storage = args[i]._storage
        node.spare.append((storage, storage.version))
    if type(out) is not ARRAY:
        return filled(op, recipe, node, out, ndim)
    made = NEW(Tensor)
    if ndim:
        node.of_one(out, ndim)
        made._storage = storage = ChannelsLast(out) if out.ndim == ndim else Storage(out)
    else:
        made._storage = storage = Storage(out)
    made._requires_grad, made._edge = True, (node, 0)
    if recipe.results:
        kept.append((storage, 0))
    return made


def filled(op: Op, recipe: Recipe, node: Recorded, out: Any, ndim: int) -> Any:
    """The results of a recorded call that are several, or have residuals, or are in channels-last memory."""
    made = finished(op, out, ndim)
    if type(made) is Tensor:
        if type(node) is RecordedLast:
            node.of_one(out[0], ndim)
        made._requires_grad, made._edge = True, (node, 0)
        if recipe.results[:1] == [0]:
            node.kept.append((made._storage, 0))
        return made
    node.outs, node.outputs = [(o.shape, o.dtype) for o in out], len(made)
    if type(node) is RecordedLast:
        node.of_several(out, ndim)
    for k, t in enumerate(made):
        if node.outs[k][1] in INEXACT:
            t._requires_grad, t._edge = True, (node, k)
        if k in recipe.results:
            node.kept.append((t._storage, 0))
    return made


def finished(op: Op, out: Any, ndim: int = 0) -> Any:
    """Tensors around the results; those with ``ndim`` dimensions are images in channels-last memory."""
    if op.residuals:
        out = out[0]
    if type(out) is ARRAY:
        return _wrapped(out, ndim)
    made = [_wrapped(o, ndim) for o in out]
    return type(out)(*made) if hasattr(out, "_fields") else tuple(made)


def _wrapped(out: mx.array, ndim: int) -> Tensor:
    if not ndim or out.ndim != ndim:
        return wrap(out)
    made = NEW(Tensor)
    made._storage = ChannelsLast(out)
    return made
