"""Products of matrices and vectors with a sum added, of higher dimensions, and cross products."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import HALVES, INEXACT, NAMES, result_type, summed_dtype
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Array, Matched, Number
from .arithmetic import mul
from .matmul import added, check_batches, check_dims, dot, mm, product, repeated, scaled, turned
from .reduction import axis
from .reduction import sum as sum_over
from .shaping import copied, permute, reshape


def _sum_first(x: mx.array) -> mx.array:
    return mx.sum(x, axis=0) if x.size else mx.zeros(x.shape[1:], x.dtype)


def _check_mv(input: mx.array, mat: mx.array, vec: mx.array, *_: Any) -> None:
    """Refuse what torch's addmv does not take."""
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}")
    rows, columns = mat.shape
    if columns != vec.size or (input.ndim and input.size not in (1, rows)):
        raise RuntimeError(f"size mismatch, got input ({input.size}), mat ({rows}x{columns}), vec ({vec.size})")
    _check_dtypes("addmv", input, mat, vec)


def _check_dtypes(name: str, *arrays: mx.array) -> None:
    names = [NAMES[x.dtype] for x in arrays]
    if len(set(names)) > 1:
        raise RuntimeError(
            f"{name} input tensors must have the same dtype, but got {', '.join(names[:-1])}, and {names[-1]}"
        )


def _check_batches(name: str, input: mx.array, batch1: mx.array, batch2: mx.array) -> None:
    """Refuse batches that do not go together."""
    check_dims(name, batch1=(batch1, 3), batch2=(batch2, 3))
    _check_dtypes(name, input, batch1, batch2)
    check_batches(batch1, batch2)


def _check_outer(input: mx.array, vec1: mx.array, vec2: mx.array, beta: Any, alpha: Any) -> None:
    for name, vector in (("vec1", vec1), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {vector.ndim}-D")
    if result_type(input, vec1, vec2) in INEXACT:
        return
    for name, number in (("beta", beta), ("alpha", alpha)):
        if isinstance(number, float):
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")


@op(
    grad={
        "input": lambda g, beta: scaled(g, beta),
        "mat": lambda g, vec, alpha: scaled(g[:, None] * vec[None, :], alpha),
        "vec": lambda g, mat, alpha: scaled(turned(mat) @ g, alpha),
    },
    promote="same",
    inplace=True,
    check=_check_mv,
    always=True,
    shape="(n, k) and (k,) give (n,), to which ``input`` broadcasts",
)
def addmv(input: Matched, mat: Matched, vec: Matched, *, beta: Number = 1, alpha: Number = 1) -> mx.array:
    """beta * input + alpha * (mat @ vec); in half precision rounded once."""
    return added(input, product(mat, vec), beta, alpha)


#: The gradients of a product of batches with a sum added; that of ``addbmm`` is the same for every matrix.
_OF_BATCHES: dict[str, Any] = {
    "input": lambda g, beta: scaled(g, beta),
    "batch1": lambda g, batch2, alpha: scaled(g @ turned(batch2), alpha),
    "batch2": lambda g, batch1, alpha: scaled(turned(batch1) @ g, alpha),
}


@op(
    grad=_OF_BATCHES,
    promote="same",
    inplace=True,
    check=lambda input, batch1, batch2, *_: _check_batches("baddbmm", input, batch1, batch2),
    always=True,
    shape="(b, n, k) and (b, k, m) give (b, n, m), to which ``input`` broadcasts",
)
def baddbmm(input: Matched, batch1: Matched, batch2: Matched, *, beta: Number = 1, alpha: Number = 1) -> mx.array:
    """beta * input + alpha * (batch1 @ batch2), matrix by matrix; in half precision rounded once."""
    return added(input, product(batch1, batch2), beta, alpha)


@op(
    grad=_OF_BATCHES,
    promote="same",
    inplace=True,
    check=lambda input, batch1, batch2, *_: _check_batches("addbmm", input, batch1, batch2),
    always=True,
    shape="(b, n, k) and (b, k, m) give (n, m), to which ``input`` broadcasts",
)
def addbmm(input: Matched, batch1: Matched, batch2: Matched, *, beta: Number = 1, alpha: Number = 1) -> mx.array:
    """beta * input + alpha * the sum of the products batch1 @ batch2; in half precision rounded once."""
    return added(input, _sum_first(product(batch1, batch2)), beta, alpha)


@op(
    grad={
        "input": lambda g, beta: scaled(g, beta),
        "vec1": lambda g, vec2, alpha: (g @ vec2) * alpha,
        "vec2": lambda g, vec1, alpha: (turned(g) @ vec1) * alpha,
    },
    promote="same",
    inplace=True,
    check=_check_outer,
    always=True,
    shape="(n,) and (m,) give (n, m), to which ``input`` broadcasts",
)
def addr(input: Matched, vec1: Matched, vec2: Matched, *, beta: Number = 1, alpha: Number = 1) -> mx.array:
    """beta * input + alpha * (the outer product of vec1 and vec2)."""
    term = vec1[:, None] * vec2[None, :]
    if input.dtype == mx.bool_:
        return (input & bool(beta)) | (term & bool(alpha))
    return repeated(scaled(input, beta), term.shape) + term * alpha


@composed(outs=True, shape="()", node="VdotBackward0")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors, as ``dot``."""
    found: Tensor = dot(input, other)
    return found


@composed(method=False, outs=True, shape="that of the product of the matrices")
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices."""
    check_dims("chain_matmul", **{f"matrix {i}": (m.array, 2) for i, m in enumerate(matrices)})
    first, *rest = matrices
    return functools.reduce(mm, rest, first) if rest else copied(first)


def _on_diagonal(g: mx.array, input_shape: Sequence[int]) -> mx.array:
    rows, columns = input_shape
    return g * mx.eye(rows, columns, dtype=g.dtype)


@op(grad={"input": _on_diagonal}, shape="()")
def trace(input: Array) -> mx.array:
    """The sum of the diagonal of a matrix; that of integers and booleans is int64."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    dtype = summed_dtype(input.dtype)
    if not input.size:
        return mx.zeros((), dtype)
    wide = input.astype(mx.float32 if dtype in HALVES else dtype)
    return mx.sum(mx.diagonal(wide)).astype(dtype)


# Higher dimensions ----------------------------------------------------------------------------------------------------


def _contracted(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    """The dimensions of each that are summed over."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(a.ndim - dims, a.ndim)), list(range(dims))
    first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    return first, second


@composed(method=False, outs=True, shape="the dimensions of ``a`` and then of ``b`` that are not summed over")
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over the last ``dims`` dimensions of a and the first of b, or over those that it names."""
    first, second = _contracted(a, b, dims)
    for i, j in zip(first, second, strict=True):
        if a.shape[i] != b.shape[j] and 1 in (a.shape[i], b.shape[j]):  # a size of one is repeated
            a, b = (a, sum_over(b, j, True)) if a.shape[i] == 1 else (sum_over(a, i, True), b)
        if a.shape[i] != b.shape[j]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size "
                f"{b.shape[j]} in dim {j}"
            )
    first, second = [axis(a.ndim, d) for d in first], [axis(b.ndim, d) for d in second]
    rest = [d for d in range(a.ndim) if d not in first], [d for d in range(b.ndim) if d not in second]
    count = math.prod(a.shape[d] for d in first)
    shape = [a.shape[d] for d in rest[0]], [b.shape[d] for d in rest[1]]
    left = reshape(permute(a, (*rest[0], *first)), (math.prod(shape[0]), count))
    right = reshape(permute(b, (*second, *rest[1])), (count, math.prod(shape[1])))
    return reshape(mm(left, right), (*shape[0], *shape[1]))


@composed(outs=True, shape="all but the last dimension of ``input``, and then those of ``other``")
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last dimensions of both; a product where one has no dimensions."""
    if not input.ndim or not other.ndim:
        scaled: Tensor = mul(input, other)
        return scaled
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@composed(outs=True, shape="the product of the sizes of both in each dimension")
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of ``input`` times the whole of ``other``."""
    ndim = max(input.ndim, other.ndim)
    sizes = [(1,) * (ndim - x.ndim) + tuple(x.shape) for x in (input, other)]
    left = reshape(input, [n for size in sizes[0] for n in (size, 1)])
    right = reshape(other, [n for size in sizes[1] for n in (1, size)])
    return reshape(mul(left, right), [n * m for n, m in zip(*sizes, strict=True)])


def _cross_dim(input: Sequence[int], other: Sequence[int], dim: int | None) -> int:
    """The dimension of size 3, counted from the end: the first one, unless ``dim`` says which."""
    ndim = max(len(input), len(other))
    if len(input) != len(other):
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    if dim is None:
        found = [d for d, n in enumerate(input) if n == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0]
    where = axis(ndim, dim)
    if input[where] != 3 or other[where] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input[where]} and {other[where]}"
        )
    return where - ndim


def _crossed(a: mx.array, b: mx.array, where: int) -> mx.array:
    """The cross product along a dimension counted from the end."""
    x, y = (mx.split(v, 3, axis=where) for v in (a, b))
    parts = [x[i] * y[j] - x[j] * y[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return mx.concatenate(parts, axis=where)


def _check_cross(input: Any, other: Any, dim: int | None = None) -> None:
    _cross_dim(input.shape, other.shape, dim)
    first, second = input.dtype, other.dtype
    if first == mx.bool_:
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")
    if first != second:
        raise RuntimeError(f"expected scalar type {NAMES[first]} but found {NAMES[second]}")


@op(
    grad={
        "input": lambda g, other, input_shape, dim: _crossed(other, g, _cross_dim(input_shape, other.shape, dim)),
        "other": lambda g, input, other_shape, dim: _crossed(g, input, _cross_dim(input.shape, other_shape, dim)),
    },
    promote="same",
    check=_check_cross,
    node="LinalgCrossBackward0",
)
def cross(input: Matched, other: Matched, dim: int | None = None) -> mx.array:
    """The cross product of the vectors of three along ``dim``, by default the first dimension of size 3."""
    return _crossed(input, other, _cross_dim(input.shape, other.shape, dim))
