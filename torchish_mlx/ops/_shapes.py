"""The ops that show a Tensor in another shape: views that share its storage and write through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.device import check_placement
from .._core.promotion import INEXACT, cast
from .._tensor.storage import Alias, View
from .._tensor.tensor import Tensor, origin_of
from .._tensor.views import Expand, Index, Permute, Reshape, reshaped_strides
from ._call import call
from ._inplace import run_inplace, view
from ._op import Op
from ._reduce import axes, axis

CLONE = Op("clone", lambda input: mx.array(input), {})
COPY = Op("copy_", lambda input, other: mx.broadcast_to(cast(other, input.dtype), _at_least(input, other)), {})
INDEX = Op("index", lambda input, key: input[tuple(key)], {"input": "key"})
INDEX_PUT = Op("index_put", lambda input, key, value: _put(input, key, value), {"input": "key", "value": "key"})


def _at_least(input: mx.array, other: Any) -> tuple[int, ...]:
    """The shape of ``input``, to which ``other`` must broadcast."""
    given = other.shape if isinstance(other, mx.array) else ()
    shape = input.shape
    if len(given) > len(shape):
        raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(given)}")
    for d in range(1, min(len(given), len(shape)) + 1):
        if given[-d] != shape[-d] and given[-d] != 1:
            raise RuntimeError(
                f"The size of tensor a ({shape[-d]}) must match the size of tensor b ({given[-d]}) at non-singleton "
                f"dimension {len(shape) - d}"
            )
    return shape


def _sizes(shape: Sequence[Any]) -> tuple[int, ...]:
    given = shape[0] if len(shape) == 1 and not isinstance(shape[0], (int, Tensor)) else shape
    return tuple(int(n) for n in given)


def inferred(shape: Sequence[Any], size: int) -> tuple[int, ...]:
    """``shape`` with its -1 worked out; RuntimeError where it does not hold ``size`` elements."""
    sizes = _sizes(shape)
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if -1 in sizes:
        rest = math.prod(n for n in sizes if n != -1)
        if rest == 0:
            raise RuntimeError(
                f"cannot reshape tensor of {size} elements into shape {list(sizes)} because the unspecified dimension "
                "size -1 can be any value and is ambiguous"
            )
        if size % rest == 0:
            return tuple(size // rest if n == -1 else n for n in sizes)
    elif math.prod(sizes) == size and not any(n < 0 for n in sizes):
        return sizes
    raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {size}")


def _viewable(input: Tensor, new: tuple[int, ...]) -> bool:
    """Whether ``input`` can be seen in the shape ``new`` without a copy, by torch's strides."""
    if not isinstance(input._storage, (View, Alias)):
        return True
    return reshaped_strides(input.array.shape, input._storage.strides(), new) is not None


def as_view(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, without a copy: writes go both ways.

    RuntimeError where torch would need a copy (after ``t()``, say): use ``reshape`` there.
    """
    new = inferred(shape, input.array.size)
    if not _viewable(input, new):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return view(input, Reshape(input.array.shape, new))


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape: a view where torch has one, else a copy."""
    new = inferred(shape, input.array.size)
    if not _viewable(input, new):
        input = call(CLONE, (input,), {})
    return view(input, Reshape(input.array.shape, new))


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.view`` in the shape of ``other``."""
    return as_view(input, other.shape)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.reshape`` in the shape of ``other``."""
    return reshape(input, other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from ``start_dim`` to ``end_dim`` as one."""
    shape = input.array.shape
    start, end = axis(len(shape), start_dim), axis(len(shape), end_dim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end and shape:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order."""
    order = axes(input.array.ndim, _sizes(dims), empty_is_all=False)
    if len(order) != input.array.ndim:
        raise RuntimeError(f"permute: dims {list(order)} do not name each of the {input.array.ndim} dimensions once")
    return view(input, Permute(input.array.shape, order))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    order = list(range(input.array.ndim))
    a, b = axis(len(order), dim0), axis(len(order), dim1)
    if order:
        order[a], order[b] = order[b], order[a]
    return view(input, Permute(input.array.shape, order))


def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or a number as it is."""
    if input.array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.array.ndim}D")
    return view(input, Permute(input.array.shape, range(input.array.ndim)[::-1]))


def reverse_axes(input: Tensor) -> Tensor:
    """The dimensions in reverse order."""
    return view(input, Permute(input.array.shape, range(input.array.ndim)[::-1]))


def matrix_transpose(input: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    if input.array.ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {input.array.ndim}-D tensor."
        )
    return transpose(input, -2, -1)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size one at ``dim``."""
    where = axis(input.array.ndim + 1, dim)
    return view(input, Index(input.array.shape, (slice(None),) * where + (None,)))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without the dimensions of size one, or those of ``dim`` that are."""
    shape = input.array.shape
    where = [d for d in axes(len(shape), dim, empty_is_all=False) if shape[d] == 1]
    return view(input, Index(shape, tuple(0 if d in where else slice(None) for d in range(len(shape)))))


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of size one repeated without a copy; -1 keeps a size. It cannot be written to."""
    shape, new = input.array.shape, _sizes(sizes)
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
    return view(input, Expand(shape, target))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.expand`` to the shape of ``other``."""
    return expand(input, other.shape)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements from ``start`` along ``dim``."""
    where = axis(input.array.ndim, dim)
    size = input.array.shape[where]
    first = start + size if start < 0 else start
    if length < 0 or not 0 <= first <= size - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return view(input, Index(input.array.shape, (slice(None),) * where + (slice(first, first + length),)))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The part at ``index`` along ``dim``, without that dimension."""
    return getitem(input, (slice(None),) * axis(input.array.ndim, dim) + (index,))


# -- indexing ----------------------------------------------------------------------------------------------


def _normal(shape: tuple[int, ...], key: Any) -> tuple[list[Any], bool]:
    """The key as a list without Ellipsis, and whether it is basic (ints, slices, None)."""
    parts = list(key) if isinstance(key, tuple) else [key]
    basic = True
    used = 0
    for i, k in enumerate(parts):
        if isinstance(k, (np.generic, np.ndarray)):
            k = parts[i] = k.item() if k.ndim == 0 else mx.array(np.asarray(k))
        if isinstance(k, (list, range)):
            k = parts[i] = mx.array(list(k))
        if isinstance(k, Tensor) and not k.array.ndim and k.dtype != mx.bool_:
            k = parts[i] = int(k)
        if k is None or k is Ellipsis:
            continue
        used += 1
        if isinstance(k, bool):
            raise IndexError("a bool is no index here: use unsqueeze(0), or a mask")
        if isinstance(k, int):
            continue
        if isinstance(k, slice):
            parts[i] = slice(*[None if s is None else int(s) for s in (k.start, k.stop, k.step)])
            if parts[i].step is not None and parts[i].step <= 0:
                raise ValueError("step must be greater than zero")
            continue
        array = k.array if isinstance(k, Tensor) else k
        if not isinstance(array, mx.array) or array.dtype in INEXACT:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and tensors of integers are valid indices "
                f"(got {type(k).__name__})"
            )
        if array.dtype == mx.bool_:
            raise IndexError(
                "an index by a mask has a shape that depends on values, which MLX does not have: use "
                "torch.where(mask, x, y), or multiply by the mask"
            )
        basic = False
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    if sum(k is Ellipsis for k in parts) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    for i, k in enumerate(parts):
        if k is Ellipsis:
            parts[i : i + 1] = [slice(None)] * (len(shape) - used)
            break
    axis_at = 0
    for k in parts:
        if k is None:
            continue
        if isinstance(k, int) and not -shape[axis_at] <= k < shape[axis_at]:
            raise IndexError(f"index {k} is out of bounds for dimension {axis_at} with size {shape[axis_at]}")
        axis_at += 1
    return parts, basic


def getitem(input: Tensor, key: Any) -> Tensor:
    """``input[key]``: a view for ints, slices and None, a copy for tensors of integers."""
    parts, basic = _normal(input.array.shape, key)
    if basic:
        return view(input, Index(input.array.shape, tuple(parts)))
    return call(INDEX, (input, parts), {})


def _put(input: mx.array, key: Sequence[Any], value: Any) -> mx.array:
    out = mx.array(input)
    out[tuple(key)] = cast(value, input.dtype)
    return out


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """``input[key] = value``: a write, recorded where a gradient is wanted."""
    parts, basic = _normal(input.array.shape, key)
    if basic:
        run_inplace(COPY, getitem(input, key), (value,), {}, casts=True)
    else:
        run_inplace(INDEX_PUT, input, (parts, value), {}, casts=True)


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with a storage of its own; recorded where a gradient is wanted."""
    check_placement(memory_format=memory_format)
    out: Tensor = call(CLONE, (input,), {})
    out._keep_origin(origin_of(input))
    return out


def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """The Tensor itself where torch would hold it in row-major order, else a copy."""
    check_placement(memory_format=memory_format)
    return input if input.is_contiguous() else call(CLONE, (input,), {})


VIEWS = {
    f.__name__: f
    for f in (
        reshape,
        flatten,
        permute,
        transpose,
        t,
        unsqueeze,
        squeeze,
        narrow,
        select,
        clone,
    )
}
METHODS = {
    **VIEWS,
    "view": as_view,
    **{f.__name__: f for f in (view_as, reshape_as, expand, expand_as, contiguous)},
    "__getitem__": getitem,
    "__setitem__": setitem,
}
PROPERTIES = {"T": reverse_axes, "mT": matrix_transpose}
