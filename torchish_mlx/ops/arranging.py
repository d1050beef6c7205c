"""The same elements in another order, repeated, or a part of them as a diagonal or a triangle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import NAMES
from .._core.trace import of_a_trace
from .._tensor.strides import Diagonal, Windows
from .._tensor.tensor import Tensor, wrap
from .._tensor.views import Permute, Reshape, Step
from ._arguments import several
from ._arguments import sizes as in_order
from ._declare import REGISTRY, composed, op, view
from ._op import Array
from .indexing import getitem, select
from .reduction import axes, axis, fold
from .selecting import index_select
from .shaping import as_view, clone, contiguous, expand, flatten, inferred, transpose


def _moved(shape: tuple[int, ...], source: Any, destination: Any) -> Step:
    froms, to = ([d] if isinstance(d, int) else [*d] for d in (source, destination))
    if len(froms) != len(to):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({froms} dims) should contain the same number of "
            f"dims as destination ({to} dims)"
        )
    n = len(shape)
    froms, to = [axis(n, d) for d in froms], [axis(n, d) for d in to]
    for name, dims, given in (("source", froms, source), ("destination", to, destination)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
    if not n:
        return Permute(shape, ())
    order = [d for d in range(n) if d not in froms]
    for at, d in sorted(zip(to, froms, strict=True)):
        order.insert(at, d)
    return Permute(shape, order)


@view(node="PermuteBackward0")
def movedim(shape: tuple[int, ...], source: int | Sequence[int], destination: int | Sequence[int]) -> Step:
    """The dimensions ``source`` at the places ``destination``, and the others in their order."""
    return _moved(shape, source, destination)


@view
def moveaxis(shape: tuple[int, ...], source: int | Sequence[int], destination: int | Sequence[int]) -> Step:
    """The dimensions ``source`` at the places ``destination``, and the others in their order."""
    return _moved(shape, source, destination)


@composed
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two dimensions exchanged."""
    return transpose(input, axis0, axis1)


@composed
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    return transpose(input, dim0, dim1)


@composed
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """A dimension as several of the sizes ``sizes``, of which one may be -1."""
    shape = input.array.shape
    where, sizes = axis(len(shape), dim), tuple(sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if -1 not in sizes and math.prod(sizes) != shape[where]:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[where]}) in "
            "the input tensor"
        )
    return as_view(input, (*shape[:where], *inferred(sizes, shape[where]), *shape[where + 1 :]))


@composed
def ravel(input: Tensor) -> Tensor:
    """All elements as one dimension; a copy only where torch needs one."""
    return as_view(contiguous(input), (input.array.size,))


@composed
def broadcast_to(input: Tensor, *size: Any, **named: Any) -> Tensor:
    """Dimensions of size one repeated without a copy, as ``expand`` does."""
    return expand(input, in_order("broadcast_to", "size", several("broadcast_to", "size", size, named)))


# Order ----------------------------------------------------------------------------------------------------------------


def _flipped(x: mx.array, where: tuple[int, ...]) -> mx.array:
    return x[tuple(slice(None, None, -1) if a in where else slice(None) for a in range(x.ndim))] if x.size else x


@op(grad={"input": lambda g, where: _flipped(g, where)}, name="flip.dims", function=False, method=False)
def _flip(input: Array, where: tuple[int, ...]) -> mx.array:
    """In reverse order along ``where``."""
    return _flipped(input, where)


@composed
def flip(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """The elements in reverse order along ``dims``, as a copy."""
    given = in_order("flip", "dims", several("flip", "dims", dims, named))
    return _flip(input, axes(input.array.ndim, given, empty_is_all=False))


@composed
def fliplr(input: Tensor) -> Tensor:
    """The elements in reverse order along the second dimension."""
    if input.array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@composed
def flipud(input: Tensor) -> Tensor:
    """The elements in reverse order along the first dimension."""
    if input.array.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def _rolled(x: mx.array, shifts: Any, dims: Any, sign: int = 1) -> mx.array:
    by, where = ([v] if isinstance(v, int) else [*v] for v in (shifts, dims))
    if not by:
        raise RuntimeError("`shifts` required")
    if not where and len(by) == 1:
        flat = mx.reshape(x, (-1,)) if x.size else x
        return mx.reshape(mx.roll(flat, sign * by[0], 0), x.shape) if x.size else x
    if len(by) != len(where):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(where)}")
    for n, d in zip(by, where, strict=True):
        if not x.ndim:
            raise IndexError(f"Dimension specified as {d} but tensor has no dimensions")
        a = axis(x.ndim, d)
        x = mx.roll(x, sign * n, a) if x.size else x
    return x


@op(grad={"input": lambda g, shifts, dims: _rolled(g, shifts, dims, -1)})
def roll(input: Array, shifts: int | Sequence[int], dims: int | Sequence[int] = ()) -> mx.array:
    """The elements moved by ``shifts`` along ``dims``, around the end; in row-major order without ``dims``."""
    return _rolled(input, shifts, dims)


@composed(node="Rot90Backward0")
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A quarter turn from the first of ``dims`` to the second, ``k`` times."""
    n, given = input.array.ndim, [*dims]
    if len(given) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(given)}")
    if n < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {n}")
    if given[0] == given[1] or abs(given[0] - given[1]) == n:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {given[0]} and dim1 = {given[1]}")
    for d in given:
        if not -n <= d < n:
            raise RuntimeError(f"Rotation dim{given.index(d)} out of range, dim{given.index(d)} = {d}")
    k %= 4
    if not k:
        return clone(input)
    if k == 2:
        return flip(input, given)
    return transpose(flip(input, given[1 if k == 1 else 0]), *given)


# Repetition -----------------------------------------------------------------------------------------------------------


def _interleaved(shape: Sequence[int], repeats: Sequence[int]) -> tuple[list[int], list[int]]:
    """The shape with a dimension of size one before each, and the sizes to which that is repeated."""
    full = [1] * (len(repeats) - len(shape)) + [*shape]
    return [m for n in full for m in (1, n)], [m for r, n in zip(repeats, full, strict=True) for m in (r, n)]


def _repeat_gradient(g: mx.array, input_shape: tuple[int, ...], repeats: tuple[int, ...]) -> mx.array:
    _, wide = _interleaved(input_shape, repeats)
    where = range(0, len(wide), 2)
    g = mx.reshape(g, wide)
    return mx.reshape(fold(mx.sum, g, tuple(where), False, 0) if wide else g, input_shape)


@op(grad={"input": _repeat_gradient}, name="repeat.sizes", function=False, method=False)
def _repeat(input: Array, repeats: tuple[int, ...]) -> mx.array:
    """The whole repeated along each dimension."""
    narrow, wide = _interleaved(input.shape, repeats)
    after = [r * n for r, n in zip(wide[::2], wide[1::2], strict=True)]
    return mx.reshape(mx.broadcast_to(mx.reshape(input, narrow), wide), after)


@composed(function=False)
def repeat(input: Tensor, *repeats: Any, **named: Any) -> Tensor:
    """The whole repeated along each dimension, as a copy; more numbers than dimensions make new ones in front."""
    sizes = in_order("repeat", "repeats", several("repeat", "repeats", repeats, named))
    if len(sizes) < input.array.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(n < 0 for n in sizes):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(sizes)}")
    return _repeat(input, sizes)


@composed
def tile(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """The whole repeated along each dimension; missing numbers in front are ones."""
    sizes = in_order("tile", "dims", several("tile", "dims", dims, named))
    return _repeat(input, (1,) * (input.array.ndim - len(sizes)) + sizes)


def _counts(repeats: mx.array) -> list[int]:
    try:
        counts: Any = repeats.tolist()
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        raise RuntimeError(
            "the shape of what repeat_interleave gives depends on the values of repeats, which a traced step does not "
            "have: give a number in compiled functions"
        ) from None
    return counts if isinstance(counts, list) else [counts]


@composed
def repeat_interleave(
    input: Any = None, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element along ``dim``, or of the flat input, repeated a number of times, or as often as a tensor says.

    With ``repeats`` alone, the place of each number as often as the number says.
    """
    if repeats is None or input is None:
        alone: Any = input if repeats is None else repeats
        if dim is not None:
            raise TypeError("repeat_interleave() takes repeats alone, or a tensor, repeats and a dimension of it")
        if alone.array.ndim != 1:
            raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
        counts = _counts(alone.array)
        if any(n < 0 for n in counts):
            raise RuntimeError("repeats can not be negative")
        if output_size is not None and output_size != sum(counts):
            raise RuntimeError(f"allocated size does not match required size: {output_size} and {sum(counts)}")
        return wrap(mx.array([i for i, n in enumerate(counts) for _ in range(n)], mx.int64))
    if dim is None:
        input, dim = flatten(input), 0
    size = input.array.shape[axis(input.array.ndim, dim)] if input.array.ndim else 1
    if isinstance(repeats, (Tensor, mx.array)):
        array = repeats.array if isinstance(repeats, Tensor) else repeats
        if array.ndim > 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        if array.dtype not in (mx.int64, mx.int32):
            raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{NAMES[array.dtype]}'")
        counts = _counts(array)
    else:
        counts = [repeats]
    if len(counts) == 1:
        counts = counts * size
    if len(counts) != size:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {len(counts)} and "
            f"input.size({dim}) = {size}"
        )
    if any(n < 0 for n in counts):
        raise RuntimeError("repeats can not be negative")
    if output_size is not None and output_size != sum(counts):
        raise RuntimeError(f"allocated size does not match required size: {output_size} and {sum(counts)}")
    places = wrap(mx.array([i for i, n in enumerate(counts) for _ in range(n)], mx.int64))
    return index_select(input if input.array.ndim else flatten(input), dim, places)


# Triangles and diagonals ----------------------------------------------------------------------------------------------


def _triangle(fn: Any, name: str, x: mx.array, diagonal: int) -> mx.array:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    return fn(x, diagonal) if x.size else x


@op(grad={"input": lambda g, diagonal: mx.tril(g, diagonal) if g.size else g}, inplace=True)
def tril(input: Array, diagonal: int = 0) -> mx.array:
    """The lower triangle of matrices, with zeros above the diagonal that is ``diagonal`` places above the main one."""
    return _triangle(mx.tril, "tril", input, diagonal)


@op(grad={"input": lambda g, diagonal: mx.triu(g, diagonal) if g.size else g}, inplace=True)
def triu(input: Array, diagonal: int = 0) -> mx.array:
    """The upper triangle of matrices, with zeros below the diagonal that is ``diagonal`` places above the main one."""
    return _triangle(mx.triu, "triu", input, diagonal)


@view
def diagonal(shape: tuple[int, ...], offset: int = 0, dim1: int = 0, dim2: int = 1) -> Step:
    """The diagonal of two dimensions as the last one, ``offset`` places above the main one."""
    a, b = axis(len(shape), dim1), axis(len(shape), dim2)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return Diagonal(shape, offset, (a, b))


def _square_of(shape: Sequence[int], offset: int, dim1: int, dim2: int) -> Diagonal:
    """The step to the diagonal that ``shape`` is, from the smallest array that has it."""
    n = len(shape) + 1
    a, b = axis(n, dim1), axis(n, dim2)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    before = [*shape[:-1]]
    for d in sorted((a, b)):
        before.insert(d, shape[-1] + abs(offset))
    return Diagonal(tuple(before), offset, (a, b))


@op(
    grad={"input": lambda g, input_shape, offset, dim1, dim2: _square_of(input_shape, offset, dim1, dim2).forward(g)},
    shape="that of ``input`` with a new dimension",
)
def diag_embed(input: Array, offset: int = 0, dim1: int = -2, dim2: int = -1) -> mx.array:
    """The last dimension as the diagonal of two dimensions, with zeros around it."""
    return _square_of(input.shape, offset, dim1, dim2).pull(input)


@composed(outs=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix of zeros; of a matrix a copy of its diagonal."""
    ndim = input.array.ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    if ndim == 1:
        return diag_embed(input, diagonal)
    return clone(REGISTRY["diagonal"].function(input, diagonal))


@composed
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements as the diagonal of a matrix of zeros."""
    return diag_embed(flatten(input), offset)


def _windows(shape: tuple[int, ...], dimension: int, size: int, step: int) -> Step:
    where = axis(len(shape), dimension)
    length = shape[where] if shape else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {where} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return Windows(shape, where, size, step) if shape else Reshape(shape, (size,))


@view(name="unfold.windows")
def _unfold(shape: tuple[int, ...], dimension: int, size: int, step: int) -> Step:
    """Windows along a dimension as a new last dimension."""
    return _windows(shape, dimension, size, step)


@composed(function=False)
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of ``size`` elements along ``dimension``, ``step`` apart, as a new last dimension: a view."""
    return _unfold(input, dimension, size, step)


# Copies with a part replaced ------------------------------------------------------------------------------------------


def _with_part(input: Tensor, src: Tensor, part: Any) -> Tensor:
    out = clone(input)
    shown = part(out)
    if tuple(shown.shape) != tuple(src.shape):
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(shown.shape)}"
        )
    REGISTRY["copy"].inplace(shown, src)
    return out


@composed
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of ``input`` with ``src`` in the place of ``select(dim, index)``."""
    return _with_part(input, src, lambda x: select(x, dim, index))


@composed(outs=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of ``input`` with ``src`` in the place of a slice along ``dim``."""
    where = axis(input.array.ndim, dim)
    return _with_part(input, src, lambda x: getitem(x, (slice(None),) * where + (slice(start, end, step),)))


@composed
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of ``input`` with ``src`` in the place of a diagonal."""
    return _with_part(input, src, lambda x: diagonal(x, offset, dim1, dim2))
