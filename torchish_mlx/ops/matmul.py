"""Products of matrices and vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import HALVES, INEXACT, NAMES
from .._tensor.tape import unbroadcast
from ._declare import op
from ._op import Array, Matched, Number


def check_factors(input: mx.array, other: mx.array) -> None:
    """Refuse factors that cannot be multiplied."""
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


def product(input: mx.array, other: mx.array) -> mx.array:
    """The matrix product; MLX has that of floating numbers alone, and that of integers is a sum of products."""
    if input.dtype in INEXACT:
        return mx.matmul(input, other)
    left = mx.expand_dims(input, 0) if input.ndim == 1 else input
    right = mx.expand_dims(other, 1) if other.ndim == 1 else other
    terms = mx.expand_dims(left, -1) * mx.expand_dims(right, -3)
    out = mx.sum(terms, axis=-2) if terms.size else mx.zeros((*terms.shape[:-2], terms.shape[-1]), input.dtype)
    out = mx.squeeze(out, -1) if other.ndim == 1 else out
    return (mx.squeeze(out, -1 if other.ndim == 1 else -2) if input.ndim == 1 else out).astype(input.dtype)


def turned(x: mx.array) -> mx.array:
    """The transposed matrices."""
    return mx.swapaxes(x, -1, -2)


def _left(g: mx.array, other: mx.array, input_shape: tuple[int, ...]) -> mx.array:
    """The gradient of the first factor."""
    if other.ndim == 1:
        return unbroadcast(mx.expand_dims(g, -1) * other, input_shape)
    if len(input_shape) > 1:
        return unbroadcast(g @ turned(other), input_shape)
    return unbroadcast(mx.squeeze(mx.expand_dims(g, -2) @ turned(other), -2), input_shape)


def _right(g: mx.array, input: mx.array, other_shape: tuple[int, ...]) -> mx.array:
    """The gradient of the second factor."""
    if input.ndim == 1:
        if len(other_shape) == 1:
            return input * g
        return unbroadcast(mx.expand_dims(input, -1) * mx.expand_dims(g, -2), other_shape)
    rows = turned(input)
    if len(other_shape) > 1:
        return unbroadcast(rows @ g, other_shape)
    return unbroadcast(mx.squeeze(rows @ mx.expand_dims(g, -1), -1), other_shape)


def _node(_: Any, input: Any, other: Any) -> str:
    """Torch calls functions of vectors, matrices and batches, and views their result."""
    a, b = [2 if x is None else x.ndim for x in (input, other)]
    if max(a, b) > 2:
        return "UnsafeViewBackward0"
    return ("DotBackward0" if b == 1 else "SqueezeBackward4") if a == 1 else "MvBackward0" if b == 1 else "MmBackward0"


@op(grad={"input": _left, "other": _right}, shape="(..., n, k) and (..., k, m) give (..., n, m)", node=_node)
def matmul(input: Array, other: Array) -> mx.array:
    """The matrix product, batched over leading dimensions; vectors are rows or columns as they must be."""
    check_factors(input, other)
    return product(input, other)


def check_dims(name: str, **arrays: tuple[mx.array, int]) -> None:
    """Check the number of dimensions of each array."""
    for key, (array, ndim) in arrays.items():
        if array.ndim != ndim:
            kind = {1: "vector", 2: "matrix", 3: "batch of matrices"}[ndim]
            raise RuntimeError(f"{name}(): {key} must be a {kind}, got a tensor of shape {list(array.shape)}")


def check_batches(batch1: mx.array, batch2: mx.array) -> None:
    """Refuse batches of matrices that are not as many, or cannot be multiplied."""
    expected, given = [batch1.shape[0], batch1.shape[2]], list(batch2.shape[:2])
    if expected != given:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: {expected} but got: {given}."
        )


_MATRICES: dict[str, Any] = {
    "input": lambda g, mat2: g @ turned(mat2),
    "mat2": lambda g, input: turned(input) @ g,
}


@op(grad=_MATRICES, shape="(n, k) and (k, m) give (n, m)")
def mm(input: Array, mat2: Array) -> mx.array:
    """The product of two matrices."""
    check_dims("mm", input=(input, 2), mat2=(mat2, 2))
    check_factors(input, mat2)
    return product(input, mat2)


@op(grad=_MATRICES, shape="(b, n, k) and (b, k, m) give (b, n, m)")
def bmm(input: Array, mat2: Array) -> mx.array:
    """The products of two batches of matrices."""
    check_dims("bmm", input=(input, 3), mat2=(mat2, 3))
    check_batches(input, mat2)
    check_factors(input, mat2)
    return product(input, mat2)


@op(
    grad={"input": lambda g, vec: mx.expand_dims(g, -1) * vec, "vec": lambda g, input: mx.swapaxes(input, 0, 1) @ g},
    shape="(n, k) and (k,) give (n,)",
)
def mv(input: Array, vec: Array) -> mx.array:
    """The product of a matrix and a vector."""
    check_dims("mv", input=(input, 2), vec=(vec, 1))
    check_factors(input, vec)
    return product(input, vec)


def _check_vectors(input: mx.array, tensor: mx.array) -> None:
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input.dtype != tensor.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {NAMES[input.dtype]} and {NAMES[tensor.dtype]}"
        )
    if input.shape != tensor.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(input.shape)} and src {list(tensor.shape)} to have the "
            f"same number of elements, but got {input.size} and {tensor.size} elements respectively"
        )


@op(
    grad={"input": lambda g, tensor: g * tensor, "tensor": lambda g, input: g * input},
    shape="(n,) and (n,) give ()",
)
def dot(input: Array, tensor: Array) -> mx.array:
    """The inner product of two vectors."""
    _check_vectors(input, tensor)
    if not input.size:
        return mx.zeros((), input.dtype)
    if input.dtype in HALVES:
        return mx.sum(input.astype(mx.float32) * tensor.astype(mx.float32)).astype(input.dtype)
    return mx.sum(input * tensor)


@op(
    grad={
        "input": lambda g, vec2: _times_vector(g, vec2),
        "vec2": lambda g, input: _times_vector(mx.swapaxes(g, 0, 1), input),
    },
    promote="same",
    aliases=("ger",),
    shape="(n,) and (m,) give (n, m)",
    node="MulBackward0",
)
def outer(input: Matched, vec2: Matched) -> mx.array:
    """The outer product of two vectors."""
    check_dims("outer", input=(input, 1), vec2=(vec2, 1))
    return input[:, None] * vec2[None, :]


def _times_vector(g: mx.array, vector: mx.array) -> mx.array:
    """g @ vector, in whatever dtype the vector has."""
    return g @ vector.astype(g.dtype)


def scaled(x: mx.array, number: Any) -> mx.array:
    """x * number; zero for the number 0, whatever x holds, as in torch."""
    if isinstance(number, mx.array):
        return mx.where(number == 0, mx.zeros((), x.dtype), x * number)
    if number == 1:
        return x
    return mx.zeros_like(x) if number == 0 else x * number


def repeated(input: mx.array, shape: Sequence[int]) -> mx.array:
    """``input``, repeated to the shape of the product; RuntimeError where it does not fit."""
    lead = len(shape) - input.ndim
    for d, n in enumerate(input.shape):
        if lead < 0 or n not in (1, shape[d + lead]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[max(d + lead, 0)]}) must match the existing size ({n}) at "
                f"non-singleton dimension {d + lead}.  Target sizes: {list(shape)}.  Tensor sizes: {list(input.shape)}"
            )
    return mx.broadcast_to(input, shape)


def added(input: mx.array, term: mx.array, beta: Any, alpha: Any) -> mx.array:
    """beta * input + alpha * term, in the shape of the term."""
    return repeated(scaled(input, beta), term.shape) + scaled(term, alpha)


def _check_addmm(input: mx.array, mat1: mx.array, mat2: mx.array, *_: Any) -> None:
    check_dims("mm", input=(mat1, 2), mat2=(mat2, 2))
    check_factors(mat1, mat2)
    if input.dtype != mat2.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {NAMES[input.dtype]} and {NAMES[mat2.dtype]}"
        )


@op(
    grad={
        "input": lambda g, beta: scaled(g, beta),
        "mat1": lambda g, mat2, alpha: scaled(g @ mx.swapaxes(mat2, 0, 1), alpha),
        "mat2": lambda g, mat1, alpha: scaled(mx.swapaxes(mat1, 0, 1) @ g, alpha),
    },
    promote="same",
    inplace=True,
    check=_check_addmm,
    always=True,
    shape="(n, k) and (k, m) give (n, m), to which ``input`` broadcasts",
)
def addmm(input: Matched, mat1: Matched, mat2: Matched, *, beta: Number = 1, alpha: Number = 1) -> mx.array:
    """beta * input + alpha * (mat1 @ mat2); in half precision rounded once."""
    return added(input, product(mat1, mat2), beta, alpha)
