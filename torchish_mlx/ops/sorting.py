"""Sorting, order statistics, and where values are among sorted ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import FLOATS, NAMES, cast, result_type, widened
from .._core.trace import value
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Array, Operand
from .reduction import axis, restored
from .scan import scattered


class SortResult(NamedTuple):
    """What functions return that choose elements along a dimension: the elements, and where they were."""

    values: Tensor
    indices: Tensor


def _flipped(x: mx.array, where: int) -> mx.array:
    return x[(slice(None),) * where + (slice(None, None, -1),)]


def order(x: mx.array, where: int, descending: bool = False) -> mx.array:
    """Where the elements are in their order along ``where``, int64: a NaN is the largest, equal ones stay in order."""
    if not x.ndim or not x.size:
        return mx.zeros(x.shape, mx.int64)
    x = x.astype(mx.uint8) if x.dtype == mx.bool_ else widened(x)
    if not descending:
        return mx.argsort(x, axis=where).astype(mx.int64)
    return x.shape[where] - 1 - _flipped(mx.argsort(_flipped(x, where), axis=where).astype(mx.int64), where)


def _at(x: mx.array, indices: mx.array, where: int) -> mx.array:
    return mx.take_along_axis(x, indices, axis=where) if x.ndim and x.size else x


def _pair(x: mx.array, indices: mx.array, where: int, keepdim: bool = True) -> SortResult:
    values = _at(x, indices, where)
    if not keepdim and x.ndim:
        values, indices = mx.squeeze(values, where), mx.squeeze(indices, where)
    return SortResult(values, indices)  # type: ignore[arg-type]


def _back(g: mx.array, indices: mx.array, input_shape: tuple[int, ...], dim: int, keepdim: bool = True) -> mx.array:
    where = (axis(len(input_shape), dim),) if input_shape else ()
    return scattered(restored(g, where, keepdim), restored(indices, where, keepdim), input_shape, dim)


_SORTED = {"input": lambda g, indices, input_shape, dim: _back(g, indices, input_shape, dim)}
_CHOSEN = {"input": lambda g, indices, input_shape, dim, keepdim: _back(g, indices, input_shape, dim, keepdim)}


@op(grad=_SORTED, shape="that of ``input``, both", node=("stable", "SortBackward1"))
def sort(input: Array, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> SortResult:
    """The elements in order along ``dim``, and where they were; the order is always stable."""
    del stable
    where = axis(input.ndim, dim)
    return _pair(input, order(input, where, descending), where)


@op(shape="that of ``input``")
def argsort(input: Array, dim: int = -1, descending: bool = False, *, stable: bool = False) -> mx.array:
    """Where the elements are in their order along ``dim``, int64; the order is always stable."""
    del stable
    return order(input, axis(input.ndim, dim), descending)


@composed(outs=True)
def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension."""
    values: Tensor = sort(input, 0).values
    return values


@op(grad=_SORTED, shape="that of ``input`` with size ``k`` along ``dim``, both")
def topk(input: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> SortResult:
    """The ``k`` largest (or smallest) elements along ``dim`` in order, and where they are."""
    del sorted
    if input.dtype == mx.bool_:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    where = axis(input.ndim, dim)
    if not 0 <= k <= (input.shape[where] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if not input.ndim:
        return _pair(input, mx.zeros((), mx.int64), where)
    first = (slice(None),) * where + (slice(0, k),)
    indices = order(input, where, descending=largest)[first]
    return _pair(input if indices.size else input[first], indices, where)


def _one(input: mx.array, indices: mx.array, at: Any, where: int, keepdim: bool) -> SortResult:
    """The element that ``at``, a number or an array, says in the order."""
    if not input.ndim:
        return _pair(input, indices, where)
    if isinstance(at, int):
        found = indices[(slice(None),) * where + (slice(at, at + 1),)]
    else:
        found = mx.take_along_axis(indices, at, axis=where)
    return _pair(input, found, where, keepdim)


def _refuse_nothing(name: str, input: mx.array, where: int) -> None:
    if input.ndim and not input.shape[where]:
        raise IndexError(f"{name}(): Expected reduction dim {where} to have non-zero size.")


@op(grad=_CHOSEN)
def kthvalue(input: Array, k: int, dim: int = -1, keepdim: bool = False) -> SortResult:
    """The k-th smallest element along ``dim``, counted from 1, and where it is."""
    where = axis(input.ndim, dim)
    _refuse_nothing("kthvalue", input, where)
    if not 1 <= k <= (input.shape[where] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {where}")
    if not input.size:
        shape = [1 if at == where else n for at, n in enumerate(input.shape)]
        return _one(mx.zeros(shape, input.dtype), mx.zeros(shape, mx.int64), 0, where, keepdim)
    return _one(input, order(input, where), k - 1, where, keepdim)


def _middle(x: mx.array, where: int, ignore_nan: bool) -> Any:
    """Where the median is in the order: the lower of two; a NaN is the median unless it is ignored."""
    n = x.shape[where] if x.ndim else 1
    if x.dtype not in FLOATS:
        return (n - 1) // 2
    count = mx.sum(mx.isnan(x), axis=where if x.ndim else None, keepdims=True).astype(mx.int64)
    if ignore_nan:
        return mx.maximum(n - count - 1, 0) // 2
    return mx.where(count > 0, n - count, (n - 1) // 2)


def _equal_shares(g: mx.array, input: mx.array, result: mx.array) -> mx.array:
    """g shared evenly among the elements that equal the result."""
    if not input.size:
        return mx.zeros_like(input)
    chosen = (input == result) | (mx.isnan(input) & mx.isnan(result))
    return mx.where(chosen, g / mx.sum(chosen).astype(g.dtype), 0)


def _median_of_all(input: mx.array, ignore_nan: bool) -> mx.array:
    if not input.size:
        return mx.array(mx.nan if input.dtype in FLOATS else -(2**63), input.dtype)
    x = mx.reshape(input, (-1,))
    return mx.reshape(x[order(x, 0)[_middle(x, 0, ignore_nan)]], ())


def _median(name: str, ignore_nan: bool, words: str) -> None:
    """median or nanmedian, of all elements and along a dimension."""

    def of_all(input: Array) -> mx.array:
        return _median_of_all(input, ignore_nan)

    def along(input: Array, dim: int, keepdim: bool = False) -> SortResult:
        where = axis(input.ndim, dim)
        _refuse_nothing("median", input, where)
        return _one(input, order(input, where), _middle(input, where, ignore_nan), where, keepdim)

    of_all.__doc__ = f"The median of all elements{words}."
    along.__doc__ = f"The medians along ``dim``{words}, and where they are."
    whole = op(grad={"input": _equal_shares}, name=name + ".all", function=False, method=False)(of_all)
    part = op(grad=_CHOSEN, name=name + ".dim", function=False, method=False, node=f"{name.title()}Backward1")(along)

    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        return whole(input) if dim is None else part(input, dim, keepdim)

    function.__doc__ = f"The median of all elements{words}, the lower of two; with ``dim`` a pair (values, indices)."
    composed(name=name, outs=True)(function)


_median("median", False, "")
_median("nanmedian", True, " that are no NaN")


@op(grad=_CHOSEN)
def mode(input: Array, dim: int = -1, keepdim: bool = False) -> SortResult:
    """The most frequent element along ``dim``, the smallest of several, and where its last one is."""
    where = axis(input.ndim, dim)
    _refuse_nothing("mode", input, where)
    indices = order(input, where)
    if not input.ndim or not input.size:
        return _one(input, indices, 0, where, keepdim)
    n = input.shape[where]
    x = _at(input, indices, where)
    places = mx.reshape(mx.arange(n, dtype=mx.int64), (n,) + (1,) * (input.ndim - where - 1))
    before = mx.take_along_axis(x, mx.maximum(mx.broadcast_to(places, x.shape) - 1, 0), axis=where)
    begins = mx.cummax(mx.where((x != before) | (places == 0), places, 0), axis=where)
    last = mx.argmax(places - begins, axis=where, keepdims=True).astype(mx.int64)
    return _one(input, indices, last, where, keepdim)


# Among sorted values --------------------------------------------------------------------------------------------------


def _bound(values: mx.array, x: mx.array, right: bool, sorter: mx.array | None = None) -> mx.array:
    """How many of the sorted ``values`` are less than each x (or not greater, from the right): torch's bisection."""
    n = values.shape[-1]
    low, high = mx.zeros(x.shape, mx.int64), mx.full(x.shape, n, mx.int64)

    def taken(of: mx.array, at: mx.array) -> mx.array:
        return of[at] if of.ndim == 1 else mx.take_along_axis(of, at, axis=-1)

    for _ in range(n.bit_length()):
        middle = (low + high) // 2
        at = mx.minimum(middle, n - 1)
        found = taken(values, at if sorter is None else taken(sorter, at))
        above = (found > x) if right else (found >= x)
        going = low < high
        low, high = mx.where(going & ~above, middle + 1, low), mx.where(going & above, middle, high)
    return low


def _in_one_dtype(boundaries: mx.array, x: Any) -> tuple[mx.array, mx.array]:
    """Both in their common dtype."""
    dtype = result_type(boundaries, x)
    if (not isinstance(x, mx.array) or x.size) and dtype in (mx.bool_, mx.complex64):
        raise NotImplementedError(f"\"searchsorted_out_cpu\" not implemented for '{NAMES[dtype]}'")
    return cast(boundaries, dtype), cast(x, dtype)


@op(method=False, shape="that of ``input``")
def searchsorted(
    sorted_sequence: Array,
    input: Operand,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Array | None = None,
) -> mx.array:
    """Where ``input`` would go into the sorted last dimension: before equal values, or behind them if ``right``."""
    name = "torch.searchsorted"
    if side not in (None, "left", "right"):
        raise RuntimeError(f"{name}(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(f"{name}(): side and right can't be set to opposites, got side of left while right was True")
    if not sorted_sequence.ndim:
        raise RuntimeError(f"{name}(): input value can be a scalar only when boundary tensor dimension is 1")
    sorted_sequence, x = _in_one_dtype(sorted_sequence, input)
    if sorted_sequence.ndim > 1 and x.shape[:-1] != sorted_sequence.shape[:-1]:
        raise RuntimeError(
            f"{name}(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(sorted_sequence.shape)} and input "
            f"value tensor {list(x.shape)}"
        )
    if sorter is not None:
        if sorter.shape != sorted_sequence.shape:
            raise RuntimeError(
                f"{name}(): boundary and sorter must have the same size, but got boundary tensor "
                f"{list(sorted_sequence.shape)}and got sorter tensor {list(sorter.shape)}"
            )
        if sorter.dtype != mx.int64:
            raise RuntimeError(f"{name}(): sorter must be a tensor of long dtype but got dtype {NAMES[sorter.dtype]}")
        n = sorter.shape[-1]
        if sorter.size and value((mx.min(sorter) < 0) | (mx.max(sorter) >= n)):
            raise RuntimeError("torch.searchsorted(): sorter index out of range")
        sorter = mx.clip(sorter, 0, max(n - 1, 0)) if sorter.size else sorter
    out = _bound(sorted_sequence, x, right or side == "right", sorter)
    return out.astype(mx.int32) if out_int32 else out


@op(method=False, shape="that of ``input``")
def bucketize(input: Operand, boundaries: Array, *, out_int32: bool = False, right: bool = False) -> mx.array:
    """How many of the sorted ``boundaries`` are less than each element, or not greater if ``right``."""
    if boundaries.ndim != 1:
        raise RuntimeError(
            f"torch.searchsorted(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})"
        )
    out = _bound(*_in_one_dtype(boundaries, input), right)
    return out.astype(mx.int32) if out_int32 else out


@op(method=False, promote="compare", shape="that of ``elements``")
def isin(elements: Operand, test_elements: Operand, *, assume_unique: bool = False, invert: bool = False) -> mx.array:
    """Whether each element is one of ``test_elements``, or with ``invert`` none of them."""
    del assume_unique
    tested = mx.reshape(test_elements, (-1,))
    if not tested.size or not elements.size:
        return mx.full(elements.shape, invert, mx.bool_)
    tested = tested[order(tested, 0)]
    at = mx.minimum(_bound(tested, elements, False), tested.size - 1)
    found = tested[at] == elements
    return ~found if invert else found
