"""Putting a call on the tape, and Tensors around its results."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT
from .._tensor.channels import ChannelsLast
from .._tensor.storage import Storage
from .._tensor.tape import COMPLEX, TRACED, noted
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
    if op.lists:
        kept += _versions(op, recipe.keep, args)
    else:
        for i in recipe.keep:
            storage = args[i]._storage
            kept.append((storage, storage.version))
    if recipe.rest:
        shape = arrays[recipe.first].shape
        for i in recipe.rest:
            if arrays[i].shape != shape:
                fit = _shapes(arrays, wants)
    if dtype is not None or op.casts or op.lists:
        if type(out) is ARRAY and out.dtype == mx.complex64:
            raise RuntimeError(COMPLEX)
        fit = _kinds(op, arrays, wants)
    known: Any = arrays
    if recipe.extra:
        known = arrays + recipe.unknown
        for i in recipe.shapes:
            array = arrays[i]
            known[op.arity + i] = list(map(_shape, array)) if i in op.lists else _shape(array)
        if recipe.results:
            if type(out) is ARRAY:
                known.append(out)
            elif recipe.plain:
                known += (None, *out[1:])
            else:
                known += _named(recipe, out)
    for i in recipe.drop:
        known[i] = None
    node: Any = (RecordedLast if ndim else Recorded)(recipe, to, known, kept, fit)
    if TRACED:
        noted(node)
    if recipe.spare:
        node.spare = _versions(op, recipe.spare, args)
    if type(out) is not ARRAY:
        if not (op.residuals and op.single):
            return _several(op, recipe, node, out, ndim)
        out = out[0]
    made = NEW(Tensor)
    if ndim:
        node.of_one(out, ndim)
        made._storage = storage = ChannelsLast(out) if out.ndim == ndim else Storage(out)
    else:
        made._storage = storage = Storage(out)
    made._requires_grad, made._edge = True, (node, 0)
    if recipe.keeps_result:
        kept.append((storage, 0))
    return made


# A comprehension in ``record`` would make all that it names slower there, because it is a function of its own.


def _each(op: Op, i: int, values: Any) -> Any:
    """The Tensors or arrays that an argument is: those of a list, or itself."""
    return values[i] if i in op.lists else (values[i],)


def _versions(op: Op, which: list[int], args: Any) -> list[Any]:
    return [(t._storage, t._storage.version) for i in which for t in _each(op, i, args)]


def _shape(array: Any) -> Any:
    return getattr(array, "shape", ())


def _shapes(arrays: list[Any], wants: list[int]) -> list[Any]:
    return [(arrays[i].shape, None) for i in wants]


def _kinds(op: Op, arrays: list[Any], wants: list[int]) -> list[Any]:
    return [(a.shape, a.dtype) for i in wants for a in _each(op, i, arrays)]


def _named(recipe: Recipe, out: Any) -> list[Any]:
    """The fields of the result and the residuals that formulas name, and None for the others."""
    if recipe.op.residuals:
        out = (*((out[0],) if recipe.op.single else out[0]), *out[1:])
    return [x if k in recipe.results else None for k, x in enumerate(out)]


def _several(op: Op, recipe: Recipe, node: Recorded, out: Any, ndim: int) -> Any:
    """The results of a recorded call that are several."""
    made = finished(op, out, ndim)
    out = out[0] if op.residuals else out
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
