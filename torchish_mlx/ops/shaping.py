"""Other shapes of the same elements: views that share a storage and write through."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.device import check_placement
from .._core.dtypes import mlx_dtype
from .._core.promotion import INEXACT, NAMES
from .._tensor.conversion import origin_of
from .._tensor.storage import Alias, View
from .._tensor.tensor import Tensor
from .._tensor.views import Bits, Expand, Index, Permute, Reshape, Step, reshaped_strides
from ._arguments import several, sizes
from ._declare import attach, composed, op, view
from ._op import Array
from ._view import show
from .reduction import axes, axis


@op(grad={"input": lambda g: g}, name="clone.copy", function=False, method=False, channels="any")
def copied(input: Array) -> mx.array:
    """The same elements in a storage of their own."""
    return mx.array(input)


@op(
    grad={"input": lambda g, input_shape: mx.reshape(g, input_shape)},
    name="reshape.copy",
    function=False,
    method=False,
    node="UnsafeViewBackward0",
)
def _copied_in(input: Array, shape: tuple[int, ...]) -> mx.array:
    """The same elements in another shape, in a storage of their own."""
    return mx.reshape(input, shape)


def inferred(shape: Sequence[Any], size: int, function: str = "reshape", argument: str = "shape") -> tuple[int, ...]:
    """``shape`` with its -1 worked out; RuntimeError where it does not hold ``size`` elements."""
    given = sizes(function, argument, shape)
    if given.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if -1 in given:
        rest = math.prod(n for n in given if n != -1)
        if rest == 0 and size == 0:
            raise RuntimeError(
                f"cannot reshape tensor of {size} elements into shape {list(given)} because the unspecified dimension "
                "size -1 can be any value and is ambiguous"
            )
        if rest > 0 and size % rest == 0:
            return tuple(size // rest if n == -1 else n for n in given)
    elif math.prod(given) == size and not any(n < 0 for n in given):
        return given
    raise RuntimeError(f"shape '{list(given)}' is invalid for input of size {size}")


@functools.lru_cache(4096, typed=True)
def _inferred(shape: tuple[Any, ...], size: int) -> tuple[int, ...]:
    for given in shape:
        if any(type(n) is not int for n in (given if isinstance(given, tuple) else (given,))):
            raise TypeError("the value of a Tensor may change, so it is no key")
    return inferred(shape, size)


def _inferred_once(shape: tuple[Any, ...], input: Tensor, function: str, argument: str) -> tuple[int, ...]:
    """:func:`inferred`, worked out once for each shape that is written as numbers or as a tuple."""
    size = input._read().size
    try:
        return _inferred(shape, size)
    except TypeError:  # a list, or a Tensor
        return inferred(shape, size, function, argument)


@functools.lru_cache(4096)
def _is_view(shape: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...]) -> bool:
    return reshaped_strides(shape, strides, new) is not None


def _viewable(input: Tensor, new: tuple[int, ...]) -> bool:
    """Whether ``input`` can be seen in the shape ``new`` without a copy, by torch's strides."""
    storage = input._storage
    if not isinstance(storage, (View, Alias)):
        return True
    return _is_view(storage.read().shape, storage.layout()[0], new)


@view(name="view.shape")
def _in_shape(shape: tuple[int, ...], new: tuple[int, ...]) -> Step:
    """The same elements in the shape ``new``."""
    return Reshape(shape, new)


@composed(name="view", function=False)
def as_view(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    """The same elements in another shape, without a copy: writes go both ways.

    RuntimeError where torch would need a copy (after ``t()``, say): use ``reshape`` there. With a dtype in place of the
    shape, the bytes of the elements in that dtype.
    """
    if named.keys() == {"dtype"} and not shape:
        return _in_dtype(input, mlx_dtype(named["dtype"], "view"))
    if named or not shape:
        shape = several("view", "size", shape, named)
    if len(shape) == 1 and isinstance(shape[0], (mx.Dtype, type)):
        return _in_dtype(input, mlx_dtype(shape[0], "view"))
    new = _inferred_once(shape, input, "view", "size")
    if not _viewable(input, new):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return _in_shape(input, new)


def _in_dtype(input: Tensor, dtype: mx.Dtype) -> Tensor:
    array, source = input._read(), input.detach()
    old, new = array.dtype.size, dtype.size
    if old != new:
        names = f"to view {NAMES[array.dtype]} as {NAMES[dtype]} (different element sizes), but got "
        if not array.ndim:
            raise RuntimeError(f"self.dim() cannot be 0 {names}0")
        if input.stride(-1) != 1:
            raise RuntimeError(f"self.stride(-1) must be 1 {names}{input.stride(-1)}")
        if array.shape[-1] * old % new:
            raise RuntimeError(f"self.size(-1) must be divisible by {new // old} {names}{array.shape[-1]}")
    shown: Tensor = show(source, Bits(tuple(array.shape), array.dtype, dtype), array)
    return shown


@composed
def reshape(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    """The same elements in another shape: a view where torch has one, else a copy."""
    if named or not shape:
        shape = several("reshape", "shape", shape, named)
    new = _inferred_once(shape, input, "reshape", "shape")
    made: Tensor = _in_shape(input, new) if _viewable(input, new) else _copied_in(input, new)
    return made


@composed(function=False)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.view`` in the shape of ``other``."""
    return as_view(input, other.shape)


@composed(function=False)
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.reshape`` in the shape of ``other``."""
    return reshape(input, other.shape)


@composed
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from ``start_dim`` to ``end_dim`` as one."""
    shape = input.array.shape
    start, end = axis(len(shape), start_dim), axis(len(shape), end_dim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end and shape:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@view
def permute(shape: tuple[int, ...], *dims: Any, **named: Any) -> Step:
    """The dimensions in another order."""
    given = sizes("permute", "dims", several("permute", "dims", dims, named))
    if len(given) != len(shape):
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {len(shape)} is not equal to len(dims) = {len(given)}"
        )
    if len({d % max(len(shape), 1) for d in given}) != len(given):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    order = axes(len(shape), given, empty_is_all=False)
    return Permute(shape, order)


@view
def transpose(shape: tuple[int, ...], dim0: int, dim1: int) -> Step:
    """Two dimensions exchanged."""
    order = list(range(len(shape)))
    a, b = axis(len(order), dim0), axis(len(order), dim1)
    if order:
        order[a], order[b] = order[b], order[a]
    return Permute(shape, order)


@view
def t(shape: tuple[int, ...]) -> Step:
    """A matrix transposed; a vector or a number as it is."""
    if len(shape) > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {len(shape)}D")
    return Permute(shape, range(len(shape))[::-1])


@view(name="T.axes", node="PermuteBackward0")
def _reversed_axes(shape: tuple[int, ...]) -> Step:
    """The dimensions in reverse order."""
    return Permute(shape, range(len(shape))[::-1])


def _matrix_transpose(input: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    if input.array.ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {input.array.ndim}-D tensor."
        )
    turned: Tensor = transpose(input, -2, -1)
    return turned


@view
def unsqueeze(shape: tuple[int, ...], dim: int) -> Step:
    """A new dimension of size one at ``dim``."""
    return Index(shape, (slice(None),) * axis(len(shape) + 1, dim) + (None,))


@view
def squeeze(shape: tuple[int, ...], dim: int | Sequence[int] | None = None) -> Step:
    """Without the dimensions of size one, or those of ``dim`` that are."""
    where = [d for d in axes(len(shape), dim, empty_is_all=False) if shape[d] == 1]
    step = Index(shape, tuple(0 if d in where else slice(None) for d in range(len(shape))))
    step.called = f"SqueezeBackward{0 if dim is None else 1 if isinstance(dim, int) else 2}"
    return step


@view(name="expand.sizes")
def _expanded(shape: tuple[int, ...], new: tuple[int, ...]) -> Step:
    """Dimensions of size one repeated without a copy."""
    lead = len(new) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand(): the number of sizes provided ({len(new)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({len(shape)})"
        )
    target = tuple(shape[d - lead] if n == -1 and d >= lead else n for d, n in enumerate(new))
    for d, n in enumerate(shape):
        if n not in (1, target[d + lead]):
            raise RuntimeError(
                f"The expanded size of the tensor ({target[d + lead]}) must match the existing size ({n}) at "
                f"non-singleton dimension {d + lead}.  Target sizes: {list(target)}.  Tensor sizes: {list(shape)}"
            )
    return Expand(shape, target)


@composed(function=False)
def expand(input: Tensor, *size: Any, **named: Any) -> Tensor:
    """Dimensions of size one repeated without a copy; -1 keeps a size. It cannot be written to."""
    return _expanded(input, sizes("expand", "size", several("expand", "size", size, named)))


@composed(function=False)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.expand`` to the shape of ``other``."""
    return expand(input, other.shape)


@view(name="narrow.number")
def _narrow(shape: tuple[int, ...], dim: int, start: int, length: int) -> Step:
    """``length`` elements from ``start`` along ``dim``."""
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    where = axis(len(shape), dim)
    size = shape[where]
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    first = start + size if start < 0 else start
    if first > size - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return Index(shape, (slice(None),) * where + (slice(first, first + length),))


@composed(node="SliceBackward0")
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """``length`` elements from ``start`` along ``dim``; ``start`` may be a Tensor without dimensions."""
    if isinstance(start, (Tensor, mx.array)):
        if start.ndim or start.dtype in INEXACT or start.dtype == mx.bool_:
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start.item()
    elif not isinstance(start, int) or isinstance(start, bool):
        raise TypeError(f"narrow(): argument 'start' (position 3) must be int, not {type(start).__name__}")
    part: Tensor = _narrow(input, dim, start, length)
    return part


@composed
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with a storage of its own; recorded where a gradient is wanted."""
    check_placement(memory_format=memory_format)
    out: Tensor = copied(input)
    out._keep_origin(origin_of(input))
    return out


@composed(function=False)
def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """The Tensor itself where torch would hold it in row-major order, else a copy."""
    check_placement(memory_format=memory_format)
    return input if input.is_contiguous() else copied(input)


attach("T", property(_reversed_axes))
attach("mT", property(_matrix_transpose))
