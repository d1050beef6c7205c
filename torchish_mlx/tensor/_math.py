"""The formulas behind the rows of the table that are not a single function of MLX. Arrays in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from ._promote import (
    FLOATS,
    HALVES,
    INEXACT,
    NAMES,
    Operand,
    cast,
    category,
    compare,
    compute,
    floating,
    number_category,
    result_type,
)

Dim = int | Sequence[int] | None


def axes(ndim: int, dim: Dim, empty_is_all: bool = True) -> tuple[int, ...]:
    """The dimensions that ``dim`` names, counted from the front. IndexError for one that is not there."""
    if dim is None or (empty_is_all and not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(ndim))
    out = []
    for d in (dim,) if isinstance(dim, int) else dim:
        out.append(axis(ndim, d))
    if len(set(out)) != len(out):
        twice = next(d for d in out if out.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return tuple(out) if ndim else ()


def axis(ndim: int, dim: int) -> int:
    """One dimension counted from the front; a 0-d array has a dimension 0, as in torch."""
    size = max(ndim, 1)
    if not -size <= dim < size:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], but got {dim})")
    return dim % size


# -- elementwise -------------------------------------------------------------------------------------------


def scaled(fn: Any, input: Operand, other: Operand, alpha: Operand) -> mx.array:
    """fn(input, alpha * other), rounded once in half precision."""
    if type(alpha) is int and alpha == 1:
        return compute(fn, input, other)
    dtype = result_type(input, other)
    if not isinstance(alpha, mx.array) and number_category(alpha) > category(dtype):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    wide = mx.float32 if dtype in HALVES else dtype
    return fn(cast(input, wide), cast(other, wide) * cast(alpha, wide)).astype(dtype)


def divide(input: Operand, other: Operand, rounding_mode: str | None = None) -> mx.array:
    """input / other; true division gives floats for integers."""
    if rounding_mode is None:
        return compute(lambda x, y: mx.divide(floating(x), floating(y)), input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    dtype = result_type(input, other)
    if dtype in FLOATS:
        rounded = mx.floor if rounding_mode == "floor" else lambda q: mx.where(q < 0, mx.ceil(q), mx.floor(q))
        return compute(lambda x, y: rounded(x / y), input, other)
    x, y = cast(input, dtype), cast(other, dtype)
    quotient = (mx.abs(x) // mx.abs(y)) * mx.sign(x) * mx.sign(y)
    inexact = (quotient * y != x) & (mx.sign(x) * mx.sign(y) < 0)
    return quotient - inexact.astype(dtype) if rounding_mode == "floor" else quotient


def divide_derivative(
    g: mx.array, _: Any, input: Operand, other: Operand, rounding_mode: str | None = None
) -> tuple[mx.array, ...]:
    """Torch's: g / y and -g (x / y) / y; zero where the quotient is rounded."""
    if rounding_mode is not None:
        return mx.zeros_like(g), mx.zeros_like(g)
    first = compute(mx.divide, g, other)
    return first, -compute(mx.multiply, g, compute(mx.divide, compute(mx.divide, input, other), other))


def power(x: mx.array, exponent: Operand) -> mx.array:
    """x ** exponent, spelled as products and roots for the exponents for which torch does so."""
    if isinstance(exponent, mx.array):
        return mx.power(x, exponent)
    if exponent in _POWERS:
        return _POWERS[exponent](x)
    return mx.power(x, mx.array(exponent, x.dtype))


_POWERS: dict[Any, Any] = {
    0: lambda x: mx.ones_like(x),
    1: lambda x: x,
    2: lambda x: x * x,
    3: lambda x: x * x * x,
    0.5: mx.sqrt,
    -0.5: mx.rsqrt,
    -1: mx.reciprocal,
    -2: lambda x: mx.reciprocal(x * x),
}


def pow(input: Operand, exponent: Operand) -> mx.array:
    """input ** exponent."""
    if isinstance(exponent, mx.array):
        return compute(mx.power, input, exponent)
    dtype = result_type(input, exponent)
    if dtype not in INEXACT and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    wide = mx.float32 if dtype in HALVES else dtype
    return power(cast(input, wide), exponent).astype(dtype)


def pow_derivative(g: mx.array, result: mx.array, input: Operand, exponent: Operand) -> tuple[mx.array, ...]:
    """Torch's: g e x^(e-1), zero where e is 0; and g x^e log x, zero where x is 0 and e is not negative."""
    if not isinstance(exponent, mx.array):
        if exponent == 0:
            return (mx.zeros_like(g),)
        return (compute(lambda g, x: g * (power(x, exponent - 1) * exponent), g, input, wide=True),)

    def base(g: mx.array, x: mx.array, e: mx.array) -> mx.array:
        zero = e == 0
        safe = mx.where(zero, 1, e)
        return mx.where(zero, 0, g * (safe * mx.power(x, safe - 1)))

    def log(g: mx.array, out: mx.array, x: mx.array, e: mx.array) -> mx.array:
        zero = (x == 0) & (e >= 0)
        return mx.where(zero, 0, g * (out * mx.log(mx.where(zero, 1, x))))

    return compute(base, g, input, exponent, wide=True), compute(log, g, result, input, exponent, wide=True)


def clamp(input: mx.array, min: Operand | None = None, max: Operand | None = None) -> mx.array:
    """min(max(input, min), max); the slope at a bound is 1."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    dtype = result_type(*[x for x in (input, min, max) if x is not None])
    y = cast(input, dtype)
    if min is not None:
        low = cast(min, dtype)
        y = mx.where(y < low, low, y)
    if max is not None:
        high = cast(max, dtype)
        y = mx.where(y > high, high, y)
    return y


def maximum_derivative(g: mx.array, _: Any, input: mx.array, other: mx.array) -> tuple[mx.array, ...]:
    """All of g to the larger, half to each where they are equal."""
    x, y = compare(lambda x, y: mx.stack(mx.broadcast_arrays(x, y)), input, other)
    half = mx.where(x == y, g / 2, g)
    return mx.where(x < y, 0, half), mx.where(y < x, 0, half)


def minimum_derivative(g: mx.array, _: Any, input: mx.array, other: mx.array) -> tuple[mx.array, ...]:
    """All of g to the smaller, half to each where they are equal."""
    larger, smaller = maximum_derivative(g, _, -input, -other)
    return larger, smaller


def lerp(input: mx.array, end: mx.array, weight: Operand) -> mx.array:
    """input + weight (end - input), taken from the nearer side, as torch does."""
    if input.dtype != end.dtype:
        raise RuntimeError(
            f"expected dtype {NAMES[input.dtype].lower()} for `end` but got dtype {NAMES[end.dtype].lower()}"
        )

    def formula(x: mx.array, y: mx.array, w: mx.array) -> mx.array:
        if isinstance(weight, mx.array):
            return mx.where(mx.abs(w) < 0.5, x + w * (y - x), y - (y - x) * (1 - w))
        return x + w * (y - x) if abs(weight) < 0.5 else y - (y - x) * (1 - w)

    return compute(formula, input, end, weight, wide=True)


def addcmul(input: mx.array, tensor1: mx.array, tensor2: mx.array, *, value: Operand = 1) -> mx.array:
    """input + value * tensor1 * tensor2."""
    dtype = result_type(input, tensor1, tensor2)
    wide = mx.float32 if dtype in HALVES else dtype
    first = cast(tensor1, wide) if value == 1 else cast(tensor1, wide) * cast(value, wide)
    return (cast(input, wide) + first * cast(tensor2, wide)).astype(dtype)


def addcdiv(input: mx.array, tensor1: mx.array, tensor2: mx.array, *, value: Operand = 1) -> mx.array:
    """input + value * tensor1 / tensor2, of floating tensors."""
    dtype = result_type(input, tensor1, tensor2)
    if result_type(tensor1, tensor2) not in INEXACT:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: convert the tensors to a floating dtype, or use "
            "(input + value * torch.div(tensor1, tensor2, rounding_mode='trunc'))."
        )
    wide = mx.float32 if dtype in HALVES else dtype
    first = cast(tensor1, wide) if value == 1 else cast(tensor1, wide) * cast(value, wide)
    return (cast(input, wide) + first / cast(tensor2, wide)).astype(dtype)


def where(condition: mx.array, input: Operand, other: Operand) -> mx.array:
    """input where condition, else other."""
    if condition.dtype not in (mx.bool_, mx.uint8):
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {NAMES[condition.dtype]}"
        )
    return compare(lambda x, y: mx.where(condition, x, y), input, other)


# -- reductions --------------------------------------------------------------------------------------------


def _reduced(fn: Any, x: mx.array, dim: Dim, keepdim: bool, dtype: mx.Dtype) -> mx.array:
    """fn over ``dim`` in float32 for half precision, rounded once."""
    wide = mx.float32 if dtype in HALVES else dtype
    return cast(fn(cast(x, wide), axis=axes(x.ndim, dim), keepdims=keepdim), dtype)


def sum(input: mx.array, dim: Dim = None, keepdim: bool = False, *, dtype: mx.Dtype | None = None) -> mx.array:
    """The sum; that of integers and booleans is int64."""
    if dtype is None:
        dtype = input.dtype if input.dtype in INEXACT else mx.int64
    return _reduced(mx.sum, input, dim, keepdim, dtype)


def mean(input: mx.array, dim: Dim = None, keepdim: bool = False, *, dtype: mx.Dtype | None = None) -> mx.array:
    """The mean of floating numbers."""
    dtype = dtype or input.dtype
    if dtype not in INEXACT:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {NAMES[dtype]}"
        )
    return _reduced(mx.mean, input, dim, keepdim, dtype)


def var(
    input: mx.array,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> mx.array:
    """sum((x - mean)^2) / max(0, n - correction); the correction is 1, or 0 with ``unbiased=False``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if input.dtype not in INEXACT:
        raise RuntimeError("std and var only support floating point and complex dtypes")
    where = axes(input.ndim, dim)
    x = input.astype(mx.float32) if input.dtype in HALVES else input
    off = x - mx.mean(x, axis=where, keepdims=True)
    count = math.prod(input.shape[a] for a in where) - ((1 if unbiased else 0) if correction is None else correction)
    total = mx.sum(off * off, axis=where, keepdims=keepdim)
    return cast(mx.divide(total, mx.array(max_(0, count), total.dtype)), input.dtype)


max_ = max


def std(
    input: mx.array,
    dim: Dim | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> mx.array:
    """The square root of the variance."""
    x = input.astype(mx.float32) if input.dtype in HALVES else input
    return cast(mx.sqrt(var(x, dim, unbiased, keepdim, correction=correction)), input.dtype)


def std_derivative(g: mx.array, result: mx.array, input: mx.array, *args: Any, **kwargs: Any) -> mx.array:
    """That of the variance times g / (2 result), zero where the result is 0."""
    zero = result == 0
    scale = mx.where(zero, 0, g / (2 * mx.where(zero, 1, result)))
    return mx.vjp(lambda x: var(x, *args, **kwargs), [input], [scale])[1][0]


def amax(input: mx.array, dim: Dim = (), keepdim: bool = False) -> mx.array:
    """The largest element over ``dim``."""
    return mx.max(input, axis=_filled_axes("amax", input, dim), keepdims=keepdim)


def amin(input: mx.array, dim: Dim = (), keepdim: bool = False) -> mx.array:
    """The smallest element over ``dim``."""
    return mx.min(input, axis=_filled_axes("amin", input, dim), keepdims=keepdim)


def _filled_axes(name: str, x: mx.array, dim: Dim) -> tuple[int, ...]:
    where = axes(x.ndim, dim)
    if any_zero(x, where):
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be of a size other than 0: the input has shape {x.shape}"
        )
    return where


def any_zero(x: mx.array, where: Sequence[int]) -> bool:
    """Whether a reduction over ``where`` would be over no elements."""
    return any_(x.shape[a] == 0 for a in where)


any_ = any


def extreme_derivative(
    g: mx.array, result: mx.array, input: mx.array, dim: Dim = (), keepdim: bool = False
) -> mx.array:
    """g shared evenly among the elements that are the largest (or smallest)."""
    where = axes(input.ndim, dim)
    g, result = restored(g, where, keepdim), restored(result, where, keepdim)
    chosen = (input == result) | (mx.isnan(input) & mx.isnan(result))
    count = mx.sum(chosen, axis=where, keepdims=True)
    return mx.where(chosen, g / count.astype(g.dtype), 0)


def restored(x: mx.array, where: Sequence[int], keepdim: bool) -> mx.array:
    """A reduced array with the dimensions ``where`` back, of size one."""
    return x if keepdim or not where else mx.expand_dims(x, where)


def norm(
    input: mx.array,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: mx.Dtype | None = None,
) -> mx.array:
    """(sum |x|^p)^(1/p): the largest for inf, the number of non-zeros for 0."""
    order = _order(p)
    dtype = dtype or input.dtype
    if dtype not in INEXACT:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got " + NAMES[dtype]
        )
    where = axes(input.ndim, dim)
    x = cast(input, mx.float32 if dtype in HALVES else dtype)
    if order == 2:
        out = mx.sqrt(mx.sum(x * x, axis=where, keepdims=keepdim))
    elif order == 1:
        out = mx.sum(mx.abs(x), axis=where, keepdims=keepdim)
    elif order == 0:
        out = mx.sum(x != 0, axis=where, keepdims=keepdim).astype(x.dtype)
    elif math.isinf(order):
        out = (mx.max if order > 0 else mx.min)(mx.abs(x), axis=where, keepdims=keepdim)
    else:
        out = mx.power(mx.sum(mx.power(mx.abs(x), order), axis=where, keepdims=keepdim), 1 / order)
    return cast(out, dtype)


def _order(p: float | str | None) -> float:
    if p is None or p == "fro":
        return 2.0
    if isinstance(p, str):
        raise RuntimeError(f"norm(): p is a number, inf, -inf or 'fro', not {p!r}")
    return float(p)


def norm_derivative(
    g: mx.array,
    result: mx.array,
    input: mx.array,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: mx.Dtype | None = None,
) -> mx.array:
    """Torch's, which is 0 where the norm is 0."""
    order, where = _order(p), axes(input.ndim, dim)
    x, g, out = (cast(a, mx.float32) if a.dtype in HALVES else a for a in (input, g, result))
    g, out = restored(g, where, keepdim), restored(out, where, keepdim)
    if order == 0:
        return mx.zeros_like(x)
    if order == 1:
        return g * mx.sign(x)
    if math.isinf(order):
        chosen = mx.abs(x) == out
        return mx.sign(x) * mx.where(chosen, g / mx.sum(chosen, axis=where, keepdims=True).astype(g.dtype), 0)
    zero = out == 0
    safe = mx.where(zero, 1, out)
    if order == 2:
        return x * mx.where(zero, 0, g / safe)
    scale = mx.where(zero, 0, g / mx.power(safe, order - 1))
    size = mx.abs(x)
    if order < 2:
        size = mx.where(x == 0, 1, size)
        return mx.sign(x) * mx.power(size, order - 1) * scale
    return x * power(size, order - 2) * scale


# -- linear algebra ----------------------------------------------------------------------------------------


def matmul(input: mx.array, other: mx.array) -> mx.array:
    """The matrix product, batched over leading dimensions; vectors are rows or columns as they must be."""
    if input.dtype != other.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {NAMES[input.dtype]} != {NAMES[other.dtype]}"
        )
    if not input.ndim or not other.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {input.ndim}D and {other.ndim}D"
        )
    inner = other.shape[-2 if other.ndim > 1 else 0]
    if input.shape[-1] != inner:
        if other.ndim == 1:
            raise RuntimeError(f"size mismatch, got input {input.shape}, vec ({inner})")
        rows = math.prod(input.shape[:-1])
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{input.shape[-1]} and {inner}x{other.shape[-1]})"
        )
    return mx.matmul(input, other)


def of_dims(name: str, **arrays: tuple[mx.array, int]) -> None:
    """Check the number of dimensions of each array."""
    for key, (array, ndim) in arrays.items():
        if array.ndim != ndim:
            kind = {1: "vector", 2: "matrix", 3: "batch of matrices"}[ndim]
            raise RuntimeError(f"{name}(): {key} must be a {kind}, got a tensor of shape {list(array.shape)}")


def mm(input: mx.array, mat2: mx.array) -> mx.array:
    """The product of two matrices."""
    of_dims("mm", input=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2)


def bmm(input: mx.array, mat2: mx.array) -> mx.array:
    """The products of two batches of matrices."""
    of_dims("bmm", input=(input, 3), mat2=(mat2, 3))
    return matmul(input, mat2)


def mv(input: mx.array, vec: mx.array) -> mx.array:
    """The product of a matrix and a vector."""
    of_dims("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec)


def dot(input: mx.array, tensor: mx.array) -> mx.array:
    """The inner product of two vectors."""
    of_dims("dot", input=(input, 1), tensor=(tensor, 1))
    if input.shape != tensor.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(input.shape)} and src {list(tensor.shape)} to have the "
            f"same number of elements, but got {input.size} and {tensor.size} elements respectively"
        )
    return sum(compute(mx.multiply, input, tensor, wide=True))


def outer(input: mx.array, vec2: mx.array) -> mx.array:
    """The outer product of two vectors."""
    of_dims("outer", input=(input, 1), vec2=(vec2, 1))
    return compute(mx.multiply, input[:, None], vec2[None, :])


def addmm(input: mx.array, mat1: mx.array, mat2: mx.array, *, beta: Operand = 1, alpha: Operand = 1) -> mx.array:
    """beta * input + alpha * (mat1 @ mat2)."""
    product = mm(mat1, mat2)
    return compute(lambda x, y: (x if beta == 1 else x * beta) + (y if alpha == 1 else y * alpha), input, product)


# -- joining and choosing ----------------------------------------------------------------------------------


def cat(tensors: Sequence[mx.array], dim: int = 0) -> mx.array:
    """The tensors one after the other along ``dim``."""
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    dtype = result_type(*tensors)
    filled = [t for t in tensors if t.shape != (0,)] or list(tensors[:1])
    where = axis(filled[0].ndim, dim)
    for i, t in enumerate(filled):
        if t.ndim != filled[0].ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {filled[0].ndim} and {t.ndim}")
        for d, (a, b) in enumerate(zip(filled[0].shape, t.shape, strict=True)):
            if d != where and a != b:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {where}. Expected size {a} but got size {b} for "
                    f"tensor number {i} in the list."
                )
    return mx.concatenate([cast(t, dtype) for t in filled], axis=where)


def stack(tensors: Sequence[mx.array], dim: int = 0) -> mx.array:
    """The tensors along a new dimension."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, t in enumerate(tensors):
        if t.shape != tensors[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at entry 0 and "
                f"{list(t.shape)} at entry {i}"
            )
    dtype = result_type(*tensors)
    return mx.stack([cast(t, dtype) for t in tensors], axis=axis(tensors[0].ndim + 1, dim))


def gather(input: mx.array, dim: int, index: mx.array) -> mx.array:
    """The elements of ``input`` along ``dim`` that ``index`` names."""
    where = axis(input.ndim, dim)
    if not input.ndim:
        return mx.reshape(input, index.shape)
    return mx.take_along_axis(input, index, axis=where)


def arg(fn: Any, input: mx.array, dim: int | None, keepdim: bool) -> mx.array:
    """Indices as int64, as in torch."""
    if dim is None:
        out = fn(mx.reshape(input, (-1,)), axis=0)
        return (mx.reshape(out, (1,) * input.ndim) if keepdim else out).astype(mx.int64)
    where = axis(input.ndim, dim)
    return fn(input, axis=where, keepdims=keepdim).astype(mx.int64) if input.ndim else mx.zeros((), mx.int64)


def reduced(fn: Any, input: mx.array, dim: Dim, keepdim: bool) -> mx.array:
    """any and all."""
    return fn(input, axis=axes(input.ndim, dim, empty_is_all=False), keepdims=keepdim)


def fill(input: mx.array, value: Operand) -> mx.array:
    """Every element ``value``, a number or a tensor without dimensions."""
    if isinstance(value, mx.array) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return mx.broadcast_to(cast(value, input.dtype), input.shape)
