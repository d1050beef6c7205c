"""Elements written at indices, one index for each: ``scatter``, ``scatter_add``, ``index_put``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.bounds import inside, outside
from .._core.promotion import INEXACT, NAMES, added_dtype, cast, stored
from .._tensor.modes import mode
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor, wrap
from ._declare import composed, op
from ._division import floored
from ._op import Array, Matched, Operand
from .indexing import _normal, _put
from .joining import cat
from .reduction import axis
from .selecting import _lined
from .shaping import clone, flatten, narrow, reshape


def _scattered(input: mx.array, dim: int, index: mx.array, src: Any) -> tuple[Any, mx.array]:
    """The key of the places that ``index`` names along ``dim``, and the values for them."""
    where = axis(input.ndim, dim)
    if index.dtype not in (mx.int64, mx.int32):
        raise RuntimeError("scatter(): Expected dtype int32/int64 for index")
    base, index = _lined(input), _lined(index)
    values = src if not isinstance(src, mx.array) else _lined(src)
    shape = base.shape
    if index.ndim != len(shape):
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    if isinstance(values, mx.array):
        if values.ndim != len(shape):
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        if values.dtype != input.dtype:
            raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    for d, n in enumerate(index.shape):
        if (d != where and n > shape[d]) or (isinstance(values, mx.array) and n > values.shape[d]):
            also = f" and to be no larger than src {list(values.shape)}" if isinstance(values, mx.array) else ""
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(shape)} apart from dimension "
                f"{where}{also}"
            )
    at: list[mx.array] = [
        mx.expand_dims(mx.arange(n), [a for a in range(index.ndim) if a != d]) for d, n in enumerate(index.shape)
    ]
    at[where] = inside(index, shape[where], outside(where, shape[where], RuntimeError), negative=False)
    if isinstance(values, mx.array):
        values = values[tuple(slice(n) for n in index.shape)]
    return tuple(at), values


def _put_at(input: mx.array, dim: int, index: mx.array, src: Any) -> mx.array:
    if not index.size:
        return input
    key, values = _scattered(input, dim, index, src)
    out = mx.array(_lined(input))
    out[key] = stored(values, input.dtype)
    return mx.reshape(out, input.shape)


def _add_at(input: mx.array, dim: int, index: mx.array, src: mx.array) -> mx.array:
    if not index.size:
        return input
    key, values = _scattered(input, dim, index, src)
    wide = added_dtype(input.dtype)
    return mx.reshape(cast(cast(_lined(input), wide).at[key].add(cast(values, wide)), input.dtype), input.shape)


def _read_at(g: mx.array, dim: int, index: mx.array, src_shape: tuple[int, ...]) -> mx.array:
    """g at the places of ``index``, and zeros in the rest of the shape of src."""
    if not index.size:
        return mx.zeros(src_shape, g.dtype)
    key, _ = _scattered(g, dim, index, 0)
    found = _lined(g)[key]
    if found.size == math.prod(src_shape):
        return mx.reshape(found, src_shape)
    out = mx.zeros(src_shape, g.dtype)
    out[tuple(slice(n) for n in found.shape)] = found
    return out


@op(
    grad={
        "input": lambda g, dim, index: _put_at(g, dim, index, 0),
        "src": lambda g, dim, index, src_shape: _read_at(g, dim, index, src_shape),
    },
    name="scatter.src",
    node=lambda tensors, *_: f"ScatterBackward{int(3 not in tensors)}",
    function=False,
    method=False,
)
def _scatter(input: Array, dim: int, index: Array, src: Operand) -> mx.array:
    """``input`` with elements of ``src`` at the places of ``index``."""
    return _put_at(input, dim, index, src)


@op(
    grad={
        "input": lambda g: g,
        "src": lambda g, dim, index, src_shape: _read_at(g, dim, index, src_shape),
    },
    inplace=True,
)
def scatter_add(input: Array, dim: int, index: Array, src: Array) -> mx.array:
    """``input`` with the elements of ``src`` added along ``dim`` at the places that ``index`` names."""
    return _add_at(input, dim, index, src)


@op(name="scatter.multiplied", function=False, method=False)
def _multiplied(input: Array, dim: int, index: Array, src: Array) -> mx.array:
    """``input`` with its elements at the places of ``index`` multiplied by those of ``src``."""
    if not index.size:
        return input
    key, values = _scattered(input, dim, index, src)
    wide = added_dtype(input.dtype)
    out = cast(_lined(input), wide).at[key].multiply(cast(values, wide))
    return mx.reshape(cast(out, input.dtype), input.shape)


def _reduced(input: Tensor, dim: int, index: Tensor, src: Any, reduce: str) -> Tensor:
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if not isinstance(src, Tensor):
        src = wrap(mx.broadcast_to(cast(src, input.array.dtype), index.array.shape))
    if mode.enabled and (input.requires_grad or src.requires_grad):
        raise NotImplementedError("the derivative of scatter with reduce is not there: use scatter_add for sums")
    return (scatter_add if reduce == "add" else _multiplied)(input, dim, index, src)


_REDUCTIONS = {"sum": "add", "prod": "multiply", "mean": "add", "amax": "maximum", "amin": "minimum"}
_OTHER_NAMES = {"max": "amax", "min": "amin"}  # torch takes them, and its documentation does not say so


def _check_reduced(input: mx.array, _dim: Any, _index: Any, src: mx.array, reduce: str, _include_self: Any) -> None:
    reduce = _OTHER_NAMES.get(reduce, reduce)
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if input.dtype != src.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    ordered = reduce in ("amax", "amin") and input.dtype == mx.complex64
    if ordered or (reduce == "mean" and input.dtype == mx.bool_):
        raise NotImplementedError(
            f"\"scatter_gather_tensor_cpu_reduce_{reduce}\" not implemented for '{NAMES[input.dtype]}'"
        )


def _counted(input: mx.array, dim: int, index: mx.array) -> mx.array:
    """How often ``index`` names each place."""
    zeros = mx.zeros(input.shape, mx.int32)
    return _add_at(zeros, dim, index, mx.ones(index.shape, mx.int32))


def _neutral(reduce: str, dtype: mx.Dtype) -> Any:
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    low = reduce == "amax"
    if dtype in INEXACT:
        return -math.inf if low else math.inf
    return mx.iinfo(dtype).min if low else mx.iinfo(dtype).max


def _reduce_at(input: mx.array, dim: int, index: mx.array, src: mx.array, reduce: str, include_self: bool) -> mx.array:
    reduce = _OTHER_NAMES.get(reduce, reduce)
    if not index.size:
        return input
    key, values = _scattered(input, dim, index, src)
    wide = added_dtype(input.dtype)
    base, values, counts = cast(_lined(input), wide), cast(values, wide), _lined(_counted(input, dim, index))
    if not include_self:
        base = mx.where(counts > 0, mx.array(_neutral(reduce, wide), wide), base)
    out = getattr(base.at[key], _REDUCTIONS[reduce])(values)
    if reduce == "mean":
        counts = cast(mx.maximum(counts + int(include_self), 1), wide)
        out = out / counts if wide in INEXACT else floored(out, counts)
    elif reduce in ("amax", "amin") and wide in INEXACT:  # MLX keeps a NaN, or not, by the order of the elements
        lost = mx.isnan(base).astype(mx.int32).at[key].add(mx.isnan(values).astype(mx.int32)) > 0
        out = mx.where(lost, mx.nan, out)
    return mx.reshape(cast(out, input.dtype), input.shape)


def _product_at(input: mx.array, dim: int, index: mx.array, src: mx.array, include_self: bool) -> mx.array:
    """The products, with a derivative, which MLX's own product at indices does not have."""

    @mx.custom_function
    def product(input: mx.array, src: mx.array) -> mx.array:
        return _reduce_at(input, dim, index, src, "prod", include_self)

    @product.vjp
    def back(given: Any, g: mx.array, result: mx.array) -> tuple[mx.array, mx.array]:
        rest = (given[0], dim, index, given[1], "prod", include_self, result)
        return _base_gradient(g, *rest), _source_gradient(g, *rest)

    found: Any = product(input, src)
    result: mx.array = found
    return result


def _shares(
    g: mx.array, input: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool, result: Any
) -> Any:
    """For the mean and the extremes: the gradient of each place, divided by the number of elements that share it."""
    if reduce == "mean":
        count = _counted(input, dim, index) + int(include_self)
        return g / mx.maximum(count, 1).astype(g.dtype)
    chosen = (src == _read_at(result, dim, index, src.shape)).astype(g.dtype)
    return g / _add_at((input == result).astype(g.dtype), dim, index, chosen)  # torch counts input in any case


def _base_gradient(
    g: mx.array, input: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool, result: Any
) -> mx.array:
    if reduce == "prod":
        safe = mx.where(input == 0, 1, input)
        out = g * _product_at(safe, dim, index, src, include_self) / safe
    elif reduce == "sum":
        out = g
    else:
        out = _shares(g, input, dim, index, src, reduce, include_self, result)
        out = out if reduce == "mean" else out * (input == result)
    return out if include_self else _put_at(out, dim, index, 0)


def _source_gradient(
    g: mx.array, input: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool, result: Any
) -> mx.array:
    def read(x: mx.array) -> mx.array:
        return _read_at(x, dim, index, src.shape)

    if reduce == "sum":
        return read(g)
    if reduce == "prod":
        zero = src == 0
        zeros = _add_at(mx.zeros(input.shape, g.dtype), dim, index, zero.astype(g.dtype))
        if mode.deriving and mx.any(zeros > 1).item():
            raise RuntimeError(
                "scatter_reduce(): Double backward is unsupported for src when >1 zeros in src are scattered to the "
                "same position in self"
            )
        alone = zero & (read(zeros) == 1)
        others = _product_at(input, dim, index, mx.where(alone, 1, src), include_self)
        return mx.where(alone, read(g * others), read(g * result) / mx.where(zero, 1, src))
    share = read(_shares(g, input, dim, index, src, reduce, include_self, result))
    return share if reduce == "mean" else share * (src == read(result))


@op(
    grad={"input": _base_gradient, "src": _source_gradient},
    promote="same",
    inplace=True,
    check=_check_reduced,
    always=True,
)
def scatter_reduce(
    input: Matched, dim: int, index: Array, src: Matched, reduce: str, *, include_self: bool = True
) -> mx.array:
    """``input`` with the sum, product, mean or extreme of elements of ``src`` along ``dim`` at the places of ``index``.

    ``reduce`` is ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``. Without ``include_self`` what ``input``
    has at these places does not count.
    """
    return _reduce_at(input, dim, index, src, reduce, include_self)


@composed(inplace=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """``input`` with elements of ``src``, or a number, along ``dim`` at the places that ``index`` names.

    With ``reduce="add"`` or ``"multiply"`` what is there is added to or multiplied, which has no derivative.
    """
    given = value if src is None else src
    if given is None:
        raise TypeError('scatter() missing 1 required positional arguments: "src"')
    if isinstance(given, Tensor) and not given.array.ndim and not given.requires_grad and index.array.ndim:
        given = given.array.item()  # torch takes it as a number
    if reduce is not None:
        return _reduced(input, dim, index, given, reduce)
    return _scatter(input, dim, index, given)


def _with_history_of(input: Tensor, values: Any) -> Tensor:
    """A copy of ``input``, after ``values`` were written nowhere: their gradient is 0, and the result wants one."""
    if not (isinstance(values, Tensor) and values.requires_grad):
        return clone(input)
    both = cat([flatten(input), flatten(values.to(input.dtype))])
    return clone(reshape(narrow(both, 0, 0, input.array.size), input.array.shape))


@composed(inplace=True)
def index_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """``input`` with ``values`` at arrays of indices; added to what is there with ``accumulate``."""
    if input.array.dtype != values.array.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {NAMES[input.array.dtype]} for the "
            f"destination and {NAMES[values.array.dtype]} for the source."
        )
    key = _normal(input.array.shape, tuple(slice(None) if i is None else i for i in indices))
    if any(isinstance(k, mx.array) and not k.size for k in key.arrays or ()):
        return _with_history_of(input, values)
    return (_put_added if accumulate else _put)(input, key.arrays, values)


@op(
    grad={
        "input": lambda g: g,
        "value": lambda g, key, value_shape: unbroadcast(g[key], value_shape),
    },
    name="index_put.added",
    function=False,
    method=False,
)
def _put_added(input: Array, key: Any, value: Operand) -> mx.array:
    """``input`` with ``value`` added at arrays of indices."""
    if not input.size:
        return input
    wide = mx.int32 if input.dtype == mx.bool_ else input.dtype  # torch rounds each sum of halves
    return cast(cast(input, wide).at[key].add(cast(value, wide)), input.dtype)
