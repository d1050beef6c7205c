"""Linear algebra, joining and choosing: the formulas behind the rows of the table. Arrays in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mlx.core as mx

from .._core.promotion import NAMES, Operand, cast, compute, result_type
from ._reduce import axis
from ._reduce import sum as sum_of


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
    return sum_of(compute(mx.multiply, input, tensor, wide=True))


def outer(input: mx.array, vec2: mx.array) -> mx.array:
    """The outer product of two vectors."""
    of_dims("outer", input=(input, 1), vec2=(vec2, 1))
    return compute(mx.multiply, input[:, None], vec2[None, :])


def addmm(input: mx.array, mat1: mx.array, mat2: mx.array, *, beta: Operand = 1, alpha: Operand = 1) -> mx.array:
    """beta * input + alpha * (mat1 @ mat2)."""
    product = mm(mat1, mat2)
    return compute(lambda x, y: (x if beta == 1 else x * beta) + (y if alpha == 1 else y * alpha), input, product)


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
