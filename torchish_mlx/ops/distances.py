"""Distances and angles between vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from .._core.promotion import INEXACT, NAMES, result_type
from .._tensor.modes import no_grad
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Array
from .arithmetic import add, clamp, div, mul, sub
from .parts import _common
from .reduction import fold, norm
from .reduction import sum as sum_over
from .shaping import copied, expand

MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def _length(off: mx.array, p: float) -> mx.array:
    """The p-norm over the last dimension."""
    last, size = (off.ndim - 1,), mx.abs(off)
    if p == 0:
        return fold(mx.sum, off != 0, last, False, 0).astype(off.dtype)
    if p == 1:
        return fold(mx.sum, size, last, False, 0.0)
    if p == 2:
        return mx.sqrt(fold(mx.sum, off * off, last, False, 0.0))
    if math.isinf(p):
        return fold(mx.max, size, last, False, 0.0) if off.shape[-1] else mx.zeros(off.shape[:-1], off.dtype)
    return mx.power(fold(mx.sum, mx.power(size, p), last, False, 0.0), 1 / p)


def _length_gradient(g: mx.array, off: mx.array, length: mx.array, p: float) -> mx.array:
    """Torch's derivative of the p-norm of ``off``, zero where the norm is."""
    g, length = mx.expand_dims(g, -1), mx.expand_dims(length, -1)
    if p == 0:
        return mx.zeros_like(off)
    if p == 1:
        return g * mx.sign(off)
    if math.isinf(p):
        return mx.where(mx.abs(off) == length, g * mx.sign(off), 0)
    zero = length == 0
    safe = mx.where(zero, 1, length)
    if p == 2:
        return mx.where(zero, 0, g * off / safe)
    size = mx.abs(off)
    if p < 1:
        zero = zero | (off == 0)
    power = mx.power(mx.where(off == 0, 1, size), p - 1)
    slope = mx.where(off == 0, 0, mx.sign(off) * power)
    return mx.where(zero, 0, slope * g / mx.power(safe, p - 1))


def _by_products(first: Sequence[int], second: Sequence[int], p: float, mode: str) -> bool:
    """Whether torch computes the distances as |x|^2 + |y|^2 - 2 xy."""
    many = first[-2] > 25 or second[-2] > 25
    return p == 2 and (mode == MODES[1] or (mode == MODES[0] and many))


def _apart(x1: mx.array, x2: mx.array) -> mx.array:
    return mx.expand_dims(x1, -2) - mx.expand_dims(x2, -3)


def _distances(x1: mx.array, x2: mx.array, p: float, compute_mode: str) -> mx.array:
    if not _by_products(x1.shape, x2.shape, p, compute_mode) or not x1.size or not x2.size:
        return _length(_apart(x1, x2), p)
    squares = mx.sum(x1 * x1, axis=-1, keepdims=True)
    others = mx.swapaxes(mx.sum(x2 * x2, axis=-1, keepdims=True), -1, -2)
    return mx.sqrt(mx.maximum(squares + others - 2 * (x1 @ mx.swapaxes(x2, -1, -2)), 0))


def _pulled(g: mx.array, x1: mx.array, x2: mx.array, result: mx.array, p: float, compute_mode: str) -> mx.array:
    """The gradient of x1, before it is summed where x1 was broadcast."""
    if not _by_products(x1.shape, x2.shape, p, compute_mode):
        terms = _length_gradient(g, _apart(x1, x2), result, p)
        return fold(mx.sum, terms, (terms.ndim - 2,), False, 0.0)
    ratio = mx.where(result == 0, 0, g / mx.where(result == 0, 1, result))
    return x1 * mx.sum(ratio, axis=-1, keepdims=True) - ratio @ x2


def _check_points(x1: mx.array, x2: mx.array, p: float, compute_mode: str | None) -> None:
    for name, x in (("X1", x1), ("X2", x2)):
        if x.dtype not in INEXACT:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {NAMES[x.dtype]}")
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if compute_mode not in MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")


def _x1_gradient(g: mx.array, x1: mx.array, x2: mx.array, result: mx.array, p: float, compute_mode: str) -> mx.array:
    return unbroadcast(_pulled(g, x1, x2, result, p, compute_mode), x1.shape)


def _x2_gradient(g: mx.array, x1: mx.array, x2: mx.array, result: mx.array, p: float, compute_mode: str) -> mx.array:
    g, result = mx.swapaxes(g, -1, -2), mx.swapaxes(result, -1, -2)
    return unbroadcast(_pulled(g, x2, x1, result, p, compute_mode), x2.shape)


@op(
    grad={"x1": _x1_gradient, "x2": _x2_gradient},
    method=False,
    shape="(..., n, m) and (..., k, m) give (..., n, k)",
)
def cdist(x1: Array, x2: Array, p: float = 2.0, compute_mode: str = MODES[0]) -> mx.array:
    """The p-norm of the difference of each row of x1 and each row of x2."""
    _check_points(x1, x2, p, compute_mode)
    return _distances(x1, x2, p, compute_mode)


def _pairs(n: int) -> tuple[mx.array, mx.array]:
    """The first and the second of each pair of different rows."""
    first, second = np.triu_indices(n, 1)
    return mx.array(first), mx.array(second)


def _pair_gradient(g: mx.array, input: mx.array, result: mx.array, p: float) -> mx.array:
    if not result.size:
        return mx.zeros_like(input)
    first, second = _pairs(input.shape[0])
    terms = _length_gradient(g, input[first] - input[second], result, p)
    return mx.zeros_like(input).at[first].add(terms).at[second].add(-terms)


@op(grad={"input": _pair_gradient}, module="torch nn.functional", method=False, shape="(n, m) gives (n (n - 1) / 2,)")
def pdist(input: Array, p: float = 2) -> mx.array:
    """The p-norm of the difference of each pair of rows, in the order of the rows."""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if input.dtype not in INEXACT:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = _pairs(input.shape[0])
    if not first.size:
        return mx.zeros((0,), input.dtype)
    return _length(input[first] - input[second], p)


@composed(shape="()", node="DistBackward0")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference of two tensors."""
    length: Tensor = norm(sub(input, other), p)
    return length


@composed(
    module="torch nn.functional",
    method=False,
    shape="the common one of the vectors, without the last dimension unless ``keepdim``",
    node="NormBackward1",
)
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension."""
    length: Tensor = norm(add(sub(x1, x2), eps), p, max(x1.ndim, x2.ndim) - 1, keepdim)
    return length


def _bounded_length(x: Tensor, dim: int, eps: float) -> Tensor:
    """The norm, and ``eps`` where it is smaller, whose slope is that of the norm all the same."""
    length: Tensor = copied(norm(x, 2, dim, True))
    with no_grad():
        length.array = clamp(length, eps).array
    return length


@composed(
    module="torch nn.functional", method=False, shape="the common one of the tensors, without the dimension ``dim``"
)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between the vectors along ``dim``; a length is at least ``eps``."""
    dtype = result_type(x1.array, x2.array)
    if dtype not in INEXACT:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {NAMES[dtype]}")
    shape = _common([x1.array.shape, x2.array.shape])
    both = [expand(x.to(dtype), shape) for x in (x1, x2)]
    first, second = (div(x, _bounded_length(x, dim, eps)) for x in both)
    cosine: Tensor = sum_over(mul(first, second), dim)
    return cosine
