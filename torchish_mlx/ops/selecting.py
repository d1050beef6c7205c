"""Elements chosen by indices and masks, and written at them: ``index_select``, ``masked_fill``, ``scatter``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.bounds import inside, outside
from .._core.promotion import NAMES, added_dtype, cast, stored
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor, wrap
from ._arguments import Scalar
from ._declare import composed, op
from ._op import Array, Operand
from .indexing import gather, getitem, positions
from .parts import _common, broadcast_tensors, unbind
from .reduction import axis
from .shaping import expand, flatten, reshape

# Masks ----------------------------------------------------------------------------------------------------------------


def _check_mask(name: str, mask: mx.array) -> None:
    if mask.dtype != mx.bool_:
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {NAMES[mask.dtype].lower()}")


@op(
    grad={
        "input": lambda g, mask, input_shape: unbroadcast(mx.where(mask, 0, g), input_shape),
        "value": lambda g, mask: mx.sum(mx.where(mask, g, 0)) if g.size else mx.zeros((), g.dtype),
    },
    inplace=True,
    casts=True,
    channels="any",
    node=("value", "MaskedFillBackward1"),
)
def masked_fill(input: Array, mask: Array, value: Operand) -> mx.array:
    """``input`` with ``value``, a number or a tensor without dimensions, where ``mask`` is true."""
    _check_mask("masked_fill_", mask)
    if isinstance(value, mx.array) and value.ndim:
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    if isinstance(value, mx.array) and value.dtype == mx.complex64:
        value = value.item()
    return mx.where(mask, stored(value, input.dtype), input)


@composed(outs=True, node="MaskedSelectBackward0")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """A vector of the elements where ``mask`` is true."""
    if mask.array.dtype != mx.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    given, chosen = broadcast_tensors(input, mask)
    taken: Tensor = getitem(given, chosen)
    return taken


def _places(mask: mx.array, shape: Sequence[int]) -> mx.array:
    """Where ``mask`` is true in row-major order."""
    return positions(mx.reshape(mx.broadcast_to(mask, shape), (-1,)))[0].astype(mx.int64)


def _source_gradient(g: mx.array, mask: mx.array, source_shape: tuple[int, ...]) -> mx.array:
    at = _places(mask, g.shape)
    out = mx.zeros((math.prod(source_shape),), g.dtype)
    if at.size:
        out[: at.size] = mx.reshape(g, (-1,))[at]
    return mx.reshape(out, source_shape)


@op(
    grad={
        "input": lambda g, mask, input_shape: unbroadcast(mx.where(mask, 0, g), input_shape),
        "source": _source_gradient,
    },
    inplace=True,
)
def masked_scatter(input: Array, mask: Array, source: Array) -> mx.array:
    """``input`` with the first elements of ``source`` in the places where ``mask`` is true, in row-major order."""
    _check_mask("masked_scatter_", mask)
    if source.dtype != input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {NAMES[input.dtype]} and "
            f"{NAMES[source.dtype]}"
        )
    shape = _common([input.shape, mask.shape])
    at = _places(mask, shape)
    if at.size > source.size:
        raise RuntimeError(
            "masked_scatter: expected number of elements of source to be at least the number of ones "
            f"in mask, {at.size}, but got {source.size}"
        )
    out = mx.reshape(mx.broadcast_to(input, shape), (-1,))
    if at.size:
        out = mx.array(out)
        out[at] = mx.reshape(source, (-1,))[: at.size]
    return mx.reshape(out, shape)


@composed
def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not zero, a row for each."""
    array = input.array
    if not array.ndim:
        n = positions(mx.reshape(array != 0, (1,)))[0].size
        return wrap(mx.zeros((n, 0), mx.int64))
    return wrap(mx.stack([p.astype(mx.int64) for p in positions(array != 0)], axis=1))


@composed(outs=True)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not zero, a row for each; with ``as_tuple`` a vector for each dimension."""
    if as_tuple:
        return unbind(argwhere(input if input.array.ndim else reshape(input, (1,))), 1)
    return argwhere(input)


# Indices along a dimension --------------------------------------------------------------------------------------------


def _vector(name: str, input: mx.array, dim: int, index: mx.array, negative: bool = False) -> tuple[int, mx.array]:
    """The dimension and the checked indices, for an index that is a vector or a number."""
    where = axis(input.ndim, dim)
    if index.ndim > 1:
        if name == "index_fill_":
            raise RuntimeError("Index has to be a vector/scalar")
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    if index.dtype != mx.int64 and name == "index_fill_":
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.dtype != mx.int64 and name == "index_copy":
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {NAMES[index.dtype]}")
    if index.dtype not in (mx.int64, mx.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index")
    size = input.shape[where] if input.ndim else 1
    return where, inside(mx.reshape(index, (-1,)), size, outside(where, size), negative=negative)


def _at(shape: Sequence[int], where: int, index: mx.array) -> Any:
    """The key of ``index`` along a dimension; MLX's own places all the same."""
    return (slice(None),) * where + (mx.where(index < 0, index + shape[where], index),)


def _lined(x: mx.array) -> mx.array:
    return x if x.ndim else mx.reshape(x, (1,))


def _added(input: mx.array, where: int, index: mx.array, source: mx.array) -> mx.array:
    base = _lined(input)
    if not index.size or not base.size:
        return input
    wide = added_dtype(input.dtype)
    out = cast(base, wide).at[_at(base.shape, where, index)].add(cast(source, wide))
    return mx.reshape(cast(out, input.dtype), input.shape)


def _selected(x: mx.array, dim: int, index: mx.array) -> mx.array:
    """The parts of x at ``index``, in the shape that a source has there."""
    where, base = axis(x.ndim, dim), _lined(x)
    index = mx.reshape(index, (-1,))
    if not index.size or not base.size:
        return mx.zeros((*base.shape[:where], index.size, *base.shape[where + 1 :]), x.dtype)
    return mx.take(base, _at(base.shape, where, index)[-1], axis=where)


def _select_gradient(g: mx.array, input_shape: tuple[int, ...], dim: int, index: mx.array) -> mx.array:
    where = axis(len(input_shape), dim)
    shape = (*input_shape[:where], index.size, *input_shape[where + 1 :])
    return _added(mx.zeros(input_shape, g.dtype), where, mx.reshape(index, (-1,)), mx.reshape(g, shape))


@op(grad={"input": _select_gradient}, shape="that of ``input``, with the size of ``index`` at ``dim``")
def index_select(input: Array, dim: int, index: Array) -> mx.array:
    """The parts of ``input`` along ``dim`` at the places that the vector ``index`` names."""
    _, at = _vector("index_select", input, dim, index)
    if not input.ndim:
        if at.size != 1:
            raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {at.size} value(s)")
        return mx.array(input)
    return _selected(input, dim, at)


def _check_copied(input: mx.array, where: int, index: mx.array, source: mx.array) -> None:
    if not source.ndim and index.size != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {index.size})")
    if source.ndim != input.ndim and source.ndim and input.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({input.ndim})"
        )
    mine, theirs = ((*x.shape[:where], *x.shape[where + 1 :]) for x in (input, source))
    if mine != theirs:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{' '.join(map(str, mine))} at dimension {where} and source slice shape: {' '.join(map(str, theirs))} at "
            f"dimension 0."
        )
    if source.ndim and source.shape[where] != index.size:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.size}) should be equal to source.size(dim) "
            f"({source.shape[where]})"
        )


def _check_source(name: str, input: mx.array, dim: int, index: mx.array, source: mx.array) -> None:
    """Refuse a source that is not the parts of ``input`` that ``index`` names."""
    if source.dtype != input.dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got (self) {NAMES[input.dtype]} and "
            f"(source) {NAMES[source.dtype]}"
        )
    where = axis(input.ndim, dim)
    if name == "index_copy":
        _check_copied(input, where, index, source)
        return
    shapes = [x.shape for x in (_lined(input), _lined(source))]
    if len({(len(shape), *shape[:where], *shape[where + 1 :]) for shape in shapes}) > 1:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{list(input.shape)} source.shape = {list(source.shape)}"
        )
    if shapes[1][where] != index.size:
        raise RuntimeError(
            f"{name}_(): Number of indices ({index.size}) should be equal to source.size(dim): ({shapes[1][where]}), "
            f"for dim: {dim}"
        )


def _back(g: mx.array, dim: int, index: mx.array, source_shape: tuple[int, ...]) -> mx.array:
    return mx.reshape(_selected(g, dim, index), source_shape)


@op(
    grad={
        "input": lambda g: g,
        "source": lambda g, dim, index, source_shape, alpha: _back(g, dim, index, source_shape) * alpha,
    },
    inplace=True,
)
def index_add(input: Array, dim: int, index: Array, source: Array, *, alpha: Scalar = 1) -> mx.array:
    """``input`` with alpha times the parts of ``source`` added along ``dim`` at the places of ``index``."""
    where, at = _vector("index_add", input, dim, index)
    _check_source("index_add", input, dim, index, source)
    return _added(input, where, at, _lined(source if alpha == 1 else cast(source * alpha, source.dtype)))


def _replaced(input: mx.array, dim: int, index: mx.array, value: Any) -> mx.array:
    where, base = axis(input.ndim, dim), _lined(input)
    index = mx.reshape(index, (-1,))
    if not index.size or not base.size:
        return input
    out = mx.array(base)
    out[_at(base.shape, where, index)] = stored(value, input.dtype)
    return mx.reshape(out, input.shape)


@op(
    grad={
        "input": lambda g, dim, index: _replaced(g, dim, index, 0),
        "source": lambda g, dim, index, source_shape: _back(g, dim, index, source_shape),
    },
    inplace=True,
)
def index_copy(input: Array, dim: int, index: Array, source: Array) -> mx.array:
    """``input`` with the parts along ``dim`` at the places of ``index`` replaced by those of ``source``."""
    _, at = _vector("index_copy", input, dim, index)
    _check_source("index_copy", input, dim, index, source)
    return _replaced(input, dim, at, _lined(source))


def _fill_gradient(g: mx.array, dim: int, index: mx.array) -> mx.array:
    chosen = _replaced(mx.zeros(g.shape, mx.bool_), dim, index, True)  # an index that is there twice counts once
    return mx.sum(mx.where(chosen, g, 0)) if g.size else mx.zeros((), g.dtype)


@op(
    grad={"input": lambda g, dim, index: _replaced(g, dim, index, 0), "value": _fill_gradient},
    inplace=True,
    casts=True,
    node=("value", "IndexFillBackward1"),
)
def index_fill(input: Array, dim: int, index: Array, value: Operand) -> mx.array:
    """``input`` with ``value``, a number or a tensor without dimensions, along ``dim`` at the places of ``index``."""
    if isinstance(value, mx.array) and value.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    _, at = _vector("index_fill_", input, dim, index, negative=True)
    return _replaced(input, dim, at, value)


# Flat indices ---------------------------------------------------------------------------------------------------------


def _flat_index(size: int, index: mx.array) -> mx.array:
    return inside(
        mx.reshape(index, (-1,)),
        size,
        lambda wrong: IndexError(f"out of range: tried to access index {wrong} on a tensor of {size} elements."),
    )


def _take_gradient(g: mx.array, input_shape: tuple[int, ...], index: mx.array) -> mx.array:
    out = mx.zeros((math.prod(input_shape),), g.dtype)
    if index.size:
        out = out.at[_flat_index(out.size, index)].add(mx.reshape(g, (-1,)))
    return mx.reshape(out, input_shape)


@op(grad={"input": _take_gradient}, shape="that of ``index``")
def take(input: Array, index: Array) -> mx.array:
    """The elements at ``index``, counted in row-major order."""
    if index.dtype != mx.int64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {NAMES[index.dtype]}")
    if not index.size:
        return mx.zeros(index.shape, input.dtype)
    return mx.reshape(mx.take(mx.reshape(input, (-1,)), _flat_index(input.size, index), axis=0), index.shape)


def _around(indices: Tensor, size: int) -> Tensor:
    """Indices modulo the size, as torch takes them here."""
    return wrap(mx.remainder(indices.array, size)) if size else indices


@composed(outs=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """The elements along ``dim`` that ``indices`` names, where both broadcast; of the flat input without ``dim``."""
    if indices.array.dtype != mx.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {NAMES[indices.array.dtype]}"
        )
    if dim is None:
        return gather(flatten(input), 0, flatten(indices))
    a, b = [*input.array.shape], [*indices.array.shape]
    if len(a) != len(b):
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{len(a)} dimensions for input, and {len(b)} dimensions for indices"
        )
    where = axis(len(a), dim)
    shape = _common([(*x[:where], 1, *x[where + 1 :]) for x in (a, b)])
    wide, long = ((*shape[:where], *x[where : where + 1], *shape[where + 1 :]) for x in (a, b))
    return gather(expand(input, wide), where, _around(expand(indices, long), a[where] if a else 1))
