"""Parts of a tensor as views, with one node for all of them, and tensors put together."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import accumulate, combinations_with_replacement
from itertools import combinations as _subsets
from typing import Any

import mlx.core as mx

from .._core.promotion import NAMES
from .._tensor.history import Parts
from .._tensor.tensor import Tensor, wrap
from .._tensor.views import Index
from ._arguments import sizes
from ._arguments import tensors as in_list
from ._declare import attach, composed, view
from .indexing import getitem
from .joining import cat, stack
from .reduction import axis
from .shaping import as_view, expand, flatten, reshape, unsqueeze


def _where(name: str, shape: Sequence[int], dim: int) -> int:
    if not shape:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")
    return axis(len(shape), dim)


@view(name="split.sizes")
def _split_in(shape: tuple[int, ...], sizes: tuple[int, ...], dim: int) -> Any:
    """Parts of the sizes ``sizes`` along ``dim``."""
    ends = [*accumulate(sizes)]
    before = (slice(None),) * dim
    return Parts([Index(shape, (*before, slice(e - n, e))) for n, e in zip(sizes, ends, strict=True)], dim)


@functools.lru_cache(1024)
def _pieces(size: int, piece: int) -> tuple[int, ...]:
    return tuple(min(piece, size - at) for at in range(0, size, piece)) or (0,)


@composed(node="SplitWithSizesBackward0")
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """Views of the given sizes along ``dim``, as a tuple."""
    shape = input.array.shape
    where = _where("split_with_sizes", shape, dim)
    sizes = tuple(int(n) for n in split_sizes)
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={list(sizes)}"
        )
    if sum(sizes) != shape[where]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[where]} (input tensor's size at dimension "
            f"{dim}), but got split_sizes={list(sizes)}"
        )
    return _split_in(input, sizes, where)


def _split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> Any:
    """Views of ``split_size`` elements along ``dim``, the last one of what is left; of the sizes where it is a list."""
    if not isinstance(split_size, int):
        return split_with_sizes(input, split_size, dim)
    shape = input._read().shape
    where = _where("split", shape, dim)
    if split_size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={split_size}")
    if not split_size and shape[where]:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {shape[where]}")
    return _split_in(input, _pieces(shape[where], split_size or 1), where)


attach("split", _split)


@composed(method=False)
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """Views of a number of elements along ``dim``, the last one of what is left; of the sizes where it is a list."""
    return _split(tensor, split_size_or_sections, dim)


@composed
def chunk(input: Tensor, chunks: int, dim: int = 0) -> Any:
    """At most ``chunks`` views of one size along ``dim``, the last one of what is left."""
    shape = input.array.shape
    where = _where("chunk", shape, dim)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = shape[where]
    return _split_in(input, _pieces(size, -(-size // chunks)) if size else (0,) * chunks, where)


@view
def unbind(shape: tuple[int, ...], dim: int = 0) -> Any:
    """The parts at each place of ``dim``, without that dimension, as a tuple of views."""
    if not shape:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    where = axis(len(shape), dim)
    return Parts([Index(shape, (slice(None),) * where + (i,)) for i in range(shape[where])], where, stacked=True)


def _numbers_in(tensor: Tensor | mx.array) -> Any:
    """The number of parts, or where they begin, that a Tensor says."""
    array = tensor.array if isinstance(tensor, Tensor) else tensor
    if array.ndim > 1:
        raise RuntimeError(
            "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but "
            f"got a tensor with {array.ndim} dims"
        )
    if array.dtype != mx.int64:
        raise RuntimeError(
            f"tensor_split expected tensor_indices_or_sections to have dtype of long, but got {NAMES[array.dtype]}"
        )
    return array.tolist()


@composed
def tensor_split(input: Tensor, indices_or_sections: Any = None, dim: int = 0, **given: Any) -> Any:
    """Views along ``dim``: as many as a number says, of sizes that differ by one at most, or between the indices."""
    for name in ("indices", "sections", "tensor_indices_or_sections"):
        indices_or_sections = given.pop(name, indices_or_sections)
    if given or indices_or_sections is None:
        raise TypeError("tensor_split() takes (input, sections, dim) or (input, indices, dim)")
    if isinstance(indices_or_sections, (Tensor, mx.array)):
        indices_or_sections = _numbers_in(indices_or_sections)
    elif type(indices_or_sections) is not int and not isinstance(indices_or_sections, (tuple, list)):
        raise TypeError(
            "tensor_split() received an invalid combination of arguments - got (Tensor, "
            f"{type(indices_or_sections).__name__}), but expected sections, an int, or indices, a tuple of ints"
        )
    shape = input.array.shape
    if not shape:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    where = axis(len(shape), dim)
    size = shape[where]
    if isinstance(indices_or_sections, int):
        n = indices_or_sections
        if n <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {n}")
        ends = [*accumulate(size // n + (i < size % n) for i in range(n))]
        bounds = [(0 if not i else ends[i - 1], e) for i, e in enumerate(ends)]
    else:
        cuts = sizes("tensor_split", "indices", (indices_or_sections,))
        bounds = list(zip([0, *cuts], [*cuts, size], strict=True))
    return tuple([getitem(input, (slice(None),) * where + (slice(a, b),)) for a, b in bounds])


def _split_along(name: str, dims: int, dim: int) -> None:
    def function(input: Tensor, *indices: Any, **given: Any) -> Any:
        ndim = input.array.ndim
        if ndim < dims:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {dims} dimension, but got a "
                f"tensor with {ndim} dimensions!"
            )
        named = [given.pop(key) for key in ("sections", "indices") if key in given]
        what = named[0] if named else indices[0] if len(indices) == 1 else indices
        if given or len(named) + bool(indices) != 1 or not (type(what) is int or isinstance(what, (tuple, list))):
            raise TypeError(
                f"{name}() received an invalid combination of arguments. It takes (input, int sections) or (input, "
                "tuple of ints indices)."
            )
        if not isinstance(what, int):
            what = sizes(name, "indices", (what,))
        where = 0 if ndim == 1 else dim
        if isinstance(what, int) and (what <= 0 or input.array.shape[where] % what):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {where}, but the size of the dimension "
                f"{input.array.shape[where]} is not divisible by the split_size {what}!"
            )
        return tensor_split(input, what, where)

    function.__doc__ = f"``tensor_split`` along dimension {dim}, of a size that the number of parts divides."
    composed(name=name)(function)


_split_along("hsplit", 1, 1)
_split_along("vsplit", 2, 0)
_split_along("dsplit", 3, 2)


# Tensors put together -------------------------------------------------------------------------------------------------


def _each(fn: Any, tensors: Sequence[Any]) -> Any:
    """fn of one Tensor, or of each of several as a tuple."""
    if len(tensors) == 1 and not isinstance(tensors[0], (list, tuple)):
        return fn(tensors[0])
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple([fn(t) for t in given])


def _one(t: Tensor) -> Tensor:
    return t if t.array.ndim else reshape(t, (1,))


def _two(t: Tensor) -> Tensor:
    t = _one(t)
    return unsqueeze(t, 0) if t.array.ndim == 1 else t


def _three(t: Tensor) -> Tensor:
    t = _two(t)
    return unsqueeze(t, -1) if t.array.ndim == 2 else t


@composed(method=False, lists=True)
def atleast_1d(*tensors: Any) -> Any:
    """Tensors with one dimension or more: numbers become vectors."""
    return _each(_one, tensors)


@composed(method=False, lists=True)
def atleast_2d(*tensors: Any) -> Any:
    """Tensors with two dimensions or more: new ones of size one are in front."""
    return _each(_two, tensors)


@composed(method=False, lists=True)
def atleast_3d(*tensors: Any) -> Any:
    """Tensors with three dimensions or more: a vector is the middle one, a matrix the first two."""
    return _each(_three, tensors)


def _listed(name: str, tensors: Any) -> list[Tensor]:
    given = in_list(name, 0, tensors)
    if not given:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return given


@composed(method=False, lists=True, outs=True)
def hstack(tensors: Any) -> Tensor:
    """The tensors next to each other: along the second dimension, or the first of vectors."""
    given = [_one(t) for t in _listed("hstack", tensors)]
    return cat(given, 0 if given[0].array.ndim == 1 else 1)


@composed(method=False, lists=True, outs=True, aliases=("row_stack",))
def vstack(tensors: Any) -> Tensor:
    """The tensors below each other: along the first dimension, where vectors are rows."""
    return cat([_two(t) for t in _listed("vstack", tensors)], 0)


@composed(method=False, lists=True, outs=True)
def dstack(tensors: Any) -> Tensor:
    """The tensors behind each other: along the third dimension."""
    return cat([_three(t) for t in _listed("dstack", tensors)], 2)


@composed(method=False, lists=True, outs=True)
def column_stack(tensors: Any) -> Tensor:
    """The tensors next to each other, where vectors are columns."""
    return hstack([reshape(t, (t.array.size, 1)) if t.array.ndim <= 1 else t for t in _listed("column_stack", tensors)])


@composed(method=False, lists=True, node="BlockDiagBackward0")
def block_diag(*tensors: Any) -> Tensor:
    """The matrices along the diagonal of a matrix of zeros."""
    blocks = [_two(t) for t in (tensors or (wrap(mx.zeros((1, 0))),))]
    for i, t in enumerate(blocks):
        if t.array.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.array.ndim} "
                "dimensions"
            )
    widths = [t.array.shape[1] for t in blocks]
    rows = []
    for i, t in enumerate(blocks):
        height = t.array.shape[0]
        left, right = sum(widths[:i]), sum(widths[i + 1 :])
        rows.append(cat([wrap(mx.zeros((height, left), mx.bool_)), t, wrap(mx.zeros((height, right), mx.bool_))], 1))
    return cat(rows, 0)


def _common(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape to which all broadcast."""
    out: list[int] = []
    for shape in shapes:
        n = max(len(out), len(shape))
        a, b = [1] * (n - len(out)) + out, [1] * (n - len(shape)) + list(shape)
        for d, (x, y) in enumerate(zip(a, b, strict=True)):
            if x != y and 1 not in (x, y):
                raise RuntimeError(
                    f"The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton dimension {d}"
                )
        out = [y if x == 1 else x for x, y in zip(a, b, strict=True)]
    return tuple(out)


@composed(method=False, lists=True)
def broadcast_tensors(*tensors: Any) -> Any:
    """The tensors, each expanded to the shape to which all broadcast."""
    given = _flat(tensors)
    shape = _common([t.array.shape for t in given])
    return tuple([expand(t, shape) for t in given])


def _flat(tensors: Sequence[Any]) -> list[Tensor]:
    return [*tensors[0]] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else [*tensors]


@composed(method=False, lists=True)
def meshgrid(*tensors: Any, indexing: str | None = None) -> Any:
    """A grid for each of the vectors: it has the numbers of the vector along its own dimension, as expanded views.

    With ``indexing="xy"`` the first two dimensions are exchanged.
    """
    given = _flat(tensors)
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if len({t.dtype for t in given}) > 1:
        raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    for t in given:
        if t.array.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t.array.ndim}D")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swap = indexing == "xy" and len(given) >= 2
    if swap:
        given[:2] = given[1::-1]
    shape = tuple([t.array.size for t in given])
    grids = [
        expand(as_view(t, (1,) * i + (-1 if t.array.size else 0,) + (1,) * (len(given) - i - 1)), shape)
        for i, t in enumerate(given)
    ]
    if swap:
        grids[:2] = grids[1::-1]
    return tuple(grids)


@composed(method=False, lists=True)
def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of one element of each vector, as rows; of one vector the vector itself."""
    given = _flat(tensors)
    for t in given:
        if t.array.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.array.shape)}")
    if len(given) == 1:
        return given[0]
    return stack([flatten(g) for g in meshgrid(*given, indexing="ij")], 1)


@composed(method=False)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector in order, as rows."""
    if input.array.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.array.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(mx.zeros((0,), input.array.dtype))
    choose = combinations_with_replacement if with_replacement else _subsets
    rows = [*choose(range(input.array.size), r)]
    places = mx.array(rows, mx.int64) if rows else mx.zeros((0, r), mx.int64)
    chosen: Tensor = getitem(input, wrap(places))
    return chosen
