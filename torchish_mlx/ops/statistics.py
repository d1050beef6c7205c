"""Statistics: products, sums without NaN, quantiles, covariances, and differences and areas of samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import mlx.core as mx

from .._core.dtypes import mlx_dtype
from .._core.promotion import DEFAULTS, FLOATING, FLOATS, INEXACT, NAMES, cast, summed_dtype, widened
from .._core.trace import value
from .._tensor.tensor import Tensor, wrap
from ._arguments import Scalar, several
from ._arguments import sizes as as_sizes
from ._declare import composed, op
from ._op import Array, node_name
from .arithmetic import clamp, lerp, mul, sub, true_divide, where
from .comparison import isnan, logical_not, logical_xor
from .indexing import gather
from .joining import cat
from .reduction import Dim, axes, axis, fold, mean, norm_gradient, restored, std, sum, var, vector_norm
from .scan import chosen_by_zeros, cumsum, products_of_others
from .shaping import flatten, narrow, permute, reshape, squeeze, transpose, unsqueeze
from .sorting import sort

_LEAST = 1e-7  # what torch's renorm adds to a norm


def _product_gradient(g: mx.array, input: mx.array, result: mx.array, dim: int | None) -> mx.array:
    """g times the product of all other elements: the product divided by each, as in torch, where none of them is 0.

    Infinity divided by itself is NaN there. Without ``dim`` the gradient of several zeros is 0, whatever else there is.
    """
    if not input.ndim or not input.size:
        return mx.reshape(g, input.shape) if not input.ndim else mx.zeros(input.shape, g.dtype)
    x = widened(cast(input, g.dtype))
    shape: tuple[int, ...] = (1,)
    if dim is None:
        x, at = mx.reshape(x, (-1,)), 0
    else:
        at = axis(input.ndim, dim)
        shape = tuple(1 if a == at else n for a, n in enumerate(input.shape))
    g, product = (mx.reshape(widened(a), shape) for a in (g, result))

    def others() -> mx.array:
        found = products_of_others(x, at) * products_of_others(x, at, backwards=True)
        return found if dim is not None else mx.where(mx.sum(x == 0) > 1, 0, found)

    return mx.reshape(g * chosen_by_zeros(x, others, lambda safe: product / safe), input.shape)


@op(grad={"input": _product_gradient}, node=("dim", "ProdBackward1"))
def prod(input: Array, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> mx.array:
    """The product; that of integers and booleans is int64."""
    dtype = summed_dtype(input.dtype) if dtype is None else dtype
    return cast(fold(mx.prod, widened(cast(input, dtype)), axes(input.ndim, dim), keepdim, 1), dtype)


def _finite_gradient(g: mx.array, input: mx.array, dim: Dim, keepdim: bool) -> mx.array:
    return mx.where(mx.isnan(input), 0, restored(g, axes(input.ndim, dim), keepdim))


@op(grad={"input": _finite_gradient})
def nansum(input: Array, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> mx.array:
    """The sum of the elements that are no NaN; that of integers and booleans is int64."""
    dtype = summed_dtype(input.dtype) if dtype is None else dtype
    x = mx.where(mx.isnan(input), 0, input) if input.dtype in FLOATS else input
    return cast(fold(mx.sum, widened(cast(x, dtype)), axes(input.ndim, dim), keepdim, 0), dtype)


@composed(outs=True)
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of the elements that are no NaN."""
    dtype = mlx_dtype(dtype, "nanmean")
    if input.array.dtype not in INEXACT:
        kind = NAMES[input.array.dtype]
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {kind}")
    count = sum(logical_not(isnan(input)), dim, keepdim)
    return true_divide(nansum(input, dim, keepdim, dtype=dtype), count)


@op(method=False, name="count_nonzero.dims", function=False)
def _counted(input: Array, dim: Dim) -> mx.array:
    """The number of elements that are not zero."""
    return fold(mx.sum, input != 0, axes(input.ndim, dim), False, 0).astype(mx.int64)


@composed
def count_nonzero(input: Tensor, *dim: Any, **given: Any) -> Tensor:
    """The number of elements that are not zero, over ``dim``, one or several; over all by default."""
    found = given.pop("dim", dim[0] if len(dim) == 1 else dim or None)
    if given:
        raise TypeError(f"count_nonzero() got an unexpected keyword argument {next(iter(given))!r}")
    return _counted(input, found)


def _pair_of(name: str, spread: Any, what: str) -> None:
    """var_mean or std_mean."""

    def function(
        input: Tensor,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: Scalar | None = None,
    ) -> tuple[Tensor, Tensor]:
        over = None if isinstance(dim, bool) else dim
        if input.dtype not in INEXACT:
            raise RuntimeError(f"{name} only support floating point and complex dtypes")
        return spread(input, dim, unbiased, keepdim, correction=correction), mean(input, over, keepdim)

    function.__doc__ = f"The {what} and the mean over ``dim``."
    composed(name=name, method=False, node=node_name(name))(function)


_pair_of("var_mean", var, "variance")
_pair_of("std_mean", std, "standard deviation")


class Extremes(NamedTuple):
    """What ``aminmax`` returns."""

    min: Tensor
    max: Tensor


def _extremes_gradient(
    g: list[mx.array], input: mx.array, min: mx.array, max: mx.array, dim: int | None, keepdim: bool
) -> mx.array:
    """Each shared evenly among the elements that equal the extreme; none equals a NaN, which makes all of it NaN."""
    over, out = axes(input.ndim, dim), mx.zeros(input.shape, g[0].dtype)
    if not input.size:
        return out
    for one, extreme in zip(g, (min, max), strict=True):
        chosen = (input == restored(extreme, over, keepdim)).astype(one.dtype)
        out = out + restored(one, over, keepdim) * chosen / mx.sum(chosen, axis=over, keepdims=True)
    return out


@op(grad={"input": _extremes_gradient})
def aminmax(input: Array, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
    """The smallest and the largest element over ``dim``, or of all."""
    if input.dtype == mx.complex64 and dim is not None and not input.ndim:
        raise RuntimeError("aminmax not implemented for ComplexFloat")
    if input.dtype == mx.complex64:
        raise NotImplementedError("\"aminmax_cpu\" not implemented for 'ComplexFloat'")
    over = axes(input.ndim, dim)
    if dim is None and not input.size:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    if 0 in [input.shape[d] for d in over]:
        raise IndexError(f"aminmax(): Expected reduction dim {over[0]} to have non-zero size.")
    least, most = (fold(fn, input, over, keepdim, 0) for fn in (mx.min, mx.max))
    return Extremes(least, most)  # type: ignore[arg-type]


def _sizes_of_parts(x: mx.array, p: float, dim: int) -> tuple[mx.array, list[int]]:
    """The norm of each part along ``dim``, and the dimensions of a part."""
    others = [d for d in range(x.ndim) if d != axis(x.ndim, dim)]
    return vector_norm(x, p, others, True), others


def _renorm_gradient(g: mx.array, input: mx.array, p: float, dim: int, maxnorm: float) -> mx.array:
    """That of ``maxnorm * x / size`` in parts that were scaled; in the others g, whatever is in them."""
    x, g = widened(input), widened(g)
    size, others = _sizes_of_parts(x, p, dim)
    along = norm_gradient(mx.sum(x * g, axis=others, keepdims=True), size, x, p, others, True)
    inverse = mx.reciprocal(size + _LEAST)
    return cast(mx.where(size > maxnorm, maxnorm * inverse * (g - inverse * along), g), input.dtype)


@op(grad={"input": _renorm_gradient}, inplace=True)
def renorm(input: Array, p: float, dim: int, maxnorm: float) -> mx.array:
    """Each part along ``dim`` whose p-norm is larger than ``maxnorm`` scaled down to it."""
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    x = widened(input)
    size, _ = _sizes_of_parts(x, p, dim)
    return cast(x * mx.where(size > maxnorm, maxnorm / (size + _LEAST), 1.0), input.dtype)


# Differences and areas ------------------------------------------------------------------------------------------------


def _part(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    part: Tensor = narrow(x, dim, start, max(0, length))
    return part


@composed(outs=True)
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Any:
    """The differences of neighbours along ``dim``, taken ``n`` times; exclusive or of booleans."""
    if not input.array.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    where = axis(input.array.ndim, dim)
    if n and (prepend is not None or append is not None):
        input = cat([x for x in (prepend, input, append) if x is not None], where)
    if not n:
        return input.clone()
    n = min(n, input.array.shape[where])
    for _ in range(n):
        left = input.array.shape[where] - 1
        later, earlier = _part(input, where, 1, left), _part(input, where, 0, left)
        input = (logical_xor if input.array.dtype == mx.bool_ else sub)(later, earlier)
    return input


def _refuse_booleans(name: str, y: Tensor, x: Tensor | None) -> None:
    if mx.bool_ in [t.array.dtype for t in (y, x) if t is not None]:
        raise RuntimeError(
            f"{name}: received a bool input for {'`y`' if x is None else '`x` or `y`'}, but bool is not supported"
        )


def _strips(y: Tensor, x: Tensor | None, dx: float, dim: int) -> Tensor:
    """The area between each two neighbours."""
    at = axis(y.array.ndim, dim)
    left = max(0, y.array.shape[at] - 1)
    both = _part(y, at, 0, left) + _part(y, at, min(1, y.array.shape[at]), left)
    if x is None:
        return both * dx / 2.0
    if x.array.ndim == 1:
        if x.array.size != left + 1:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        x = reshape(x, (-1,) + (1,) * (y.array.ndim - at - 1))
    elif x.array.ndim < y.array.ndim:
        x = reshape(x, (1,) * (y.array.ndim - x.array.ndim) + x.array.shape)
    along = at - y.array.ndim
    steps = x.array.shape[along] - 1
    return (_part(x, along, 1, steps) - _part(x, along, 0, steps)) * both / 2.0


@composed(method=False, aliases=("trapz",))
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The area under the samples ``y`` along ``dim``, at ``x`` or at a distance ``dx``, by the trapezoidal rule."""
    where = axis(y.array.ndim, dim)
    if not y.array.shape[where]:
        return wrap(mx.zeros([n for at, n in enumerate(y.array.shape) if at != where], y.array.dtype))
    _refuse_booleans("trapezoid", y, x)
    return sum(_strips(y, x, dx, dim), dim)


@composed(method=False)
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The areas under the samples ``y`` up to each along ``dim``, by the trapezoidal rule."""
    _refuse_booleans("cumulative_trapezoid", y, x)
    return cumsum(_strips(y, x, dx, dim), dim)


# Quantiles ------------------------------------------------------------------------------------------------------------


def _quantiles(name: str, ignore_nan: bool, words: str) -> None:
    """quantile or nanquantile."""

    def function(
        input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Tensor:
        if input.array.dtype not in (mx.float32, mx.float64):
            raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
        if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
            raise RuntimeError(
                f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
                f"{interpolation}"
            )
        if not isinstance(q, Tensor):
            if not 0 <= q <= 1:
                raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
            q = wrap(mx.array(q, input.array.dtype))
        if q.array.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q.array.dtype != input.array.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        if q.array.size and value(mx.any((q.array < 0) | (q.array > 1))):
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
        if not input.array.size:
            raise RuntimeError(f"{name}() input tensor must be non-empty")
        ndim = input.array.ndim
        at = axis(ndim, 0 if dim is None else dim)
        x = flatten(input) if dim is None or not ndim else transpose(input, at, -1)
        found = _interpolated(sort(x, -1).values, reshape(q, (-1,)), ignore_nan, interpolation)
        if not ndim:
            out = reshape(found, (-1,))
        elif dim is None:
            out = reshape(found, (-1,) + (1,) * (ndim if keepdim else 0))
        else:
            kept = transpose(unsqueeze(found, -2), at - ndim - 1, -2)
            kept = permute(kept, kept.array.ndim - 1, *range(kept.array.ndim - 1))
            out = kept if keepdim else squeeze(kept, at + 1)
        return out if q.array.ndim else squeeze(out, 0)

    function.__doc__ = f"The quantiles ``q`` along ``dim``, or of all elements{words}."
    composed(name=name, outs=True, node="SqueezeBackward4")(function)


def _interpolated(x: Tensor, q: Tensor, ignore_nan: bool, interpolation: str) -> Tensor:
    """The quantiles along the last dimension of sorted ``x``, which they replace."""
    last = x.array.shape[-1] - 1
    count = mx.sum(mx.isnan(x.array), axis=-1, keepdims=True)
    ranks = mul(q, clamp(wrap((last - count).astype(x.array.dtype)), 0)) if ignore_nan else mul(q, float(last))
    if not ignore_nan:
        ranks = where(wrap(count > 0), float(last), ranks)
    places = ranks.array
    if interpolation in ("lower", "higher", "nearest"):
        by = {"lower": mx.floor, "higher": mx.ceil, "nearest": mx.round}[interpolation]
        return gather(x, -1, wrap(by(places).astype(mx.int64)))
    below = mx.floor(places)
    low, high = (gather(x, -1, wrap(by.astype(mx.int64))) for by in (below, mx.ceil(places)))
    weight = wrap(mx.full(places.shape, 0.5, places.dtype)) if interpolation == "midpoint" else sub(ranks, wrap(below))
    return lerp(low, high, weight)


_quantiles("quantile", False, "")
_quantiles("nanquantile", True, " that are no NaN")


# Covariances ----------------------------------------------------------------------------------------------------------


def _check_weights(input: Tensor, fweights: Tensor | None, aweights: Tensor | None) -> None:
    n = input.array.shape[-1] if input.array.ndim else 1
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        if weights.array.ndim > 1:
            raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {weights.array.ndim}")
        if (weights.array.dtype in INEXACT) != (name == "aweights"):
            kind = "floating point" if name == "aweights" else "integral"
            raise RuntimeError(
                f"cov(): expected {name} to have {kind} dtype but got {name} with {NAMES[weights.array.dtype]} dtype"
            )
        if weights.array.size != n:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got "
                f"{weights.array.size} != {n}"
            )
        if n and value(mx.any(weights.array < 0)):
            raise RuntimeError(f"cov(): {name} cannot be negative")


@composed
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of the rows, whose columns are observations."""
    if input.array.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got {input.array.ndim}")
    if input.dtype == mx.bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    _check_weights(input, fweights, aweights)
    x = reshape(input, (1, -1)) if input.array.ndim < 2 else input
    if x.dtype not in INEXACT:
        x = x.to(DEFAULTS[FLOATING])
    n = x.array.shape[1]
    weights = fweights if aweights is None else aweights if fweights is None else fweights * aweights
    if weights is None:
        average, freedom = sum(x, 1, True) / n if n else mean(x, 1, True), max(0.0, float(n - correction))
        off = x - average
        scaled: Any = off
    else:
        weights = reshape(weights, (-1,))
        total = sum(weights)
        off = x - sum(x * weights, 1, True) / total
        if aweights is None or not correction:
            freedom = total - correction
        else:
            freedom = total - correction * sum(weights * reshape(aweights, (-1,))) / total
        freedom = clamp(freedom, 0)
        scaled = off * weights
    product = off.matmul(transpose(scaled.to(off.dtype), 0, 1))
    return squeeze(true_divide(product, freedom))


@composed
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of the rows, whose columns are observations."""
    if input.array.ndim > 2:
        raise RuntimeError(f"corrcoef(): expected input to have two or fewer dimensions but got {input.array.ndim}")
    c = cov(input)
    if not c.array.ndim:
        return c / c
    n = c.array.shape[0]
    deviation = c[list(range(n)), list(range(n))].sqrt()
    return clamp(c / unsqueeze(deviation, 1) / unsqueeze(deviation, 0), -1, 1)


@composed(function=False, node="SumBackward1")
def sum_to_size(input: Tensor, *size: Any, **named: Any) -> Tensor:
    """The sum over the dimensions that an expansion of ``size`` to the shape of ``input`` repeats."""
    sizes = as_sizes("sum_to_size", "size", several("sum_to_size", "size", size, named))
    if not sizes:
        return sum(input)
    shape = input.array.shape
    lead = len(shape) - len(sizes)
    if lead < 0 or any(n not in (1, m) for n, m in zip(sizes, shape[lead:], strict=True)):
        raise RuntimeError(f"size {{{list(sizes)}}} is not expandable to size {{{list(shape)}}}.")
    over = [d for d, m in enumerate(shape) if d < lead or (sizes[d - lead] == 1 and m != 1)]
    return reshape(sum(input, over, True), sizes) if over else input
