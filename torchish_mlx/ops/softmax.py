"""Softmax and its logarithm, and sums of exponentials."""

from __future__ import annotations

import warnings
from typing import Any

import mlx.core as mx

from .._core.promotion import cast, widened
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._double import exponential, log_of_sum, softmax_along
from ._dtypes import floating_only
from ._op import Array, Operand
from .arithmetic import neg
from .reduction import Dim, axes, axis, fold, restored


def _normal(kernel: str, input: mx.array, dtype: Any) -> tuple[mx.array, mx.Dtype]:
    """The input in the dtype to compute in, and the dtype of the result."""
    dtype = input.dtype if dtype is None else dtype
    if input.size:
        floating_only(f"{kernel}_lastdim_kernel_impl", dtype)
    return widened(cast(input, dtype)), dtype


def _total(x: mx.array, dim: int) -> mx.array:
    return fold(mx.sum, x, axes(x.ndim, dim), True, 0.0)


def _softmax_gradient(g: mx.array, result: mx.array, dim: int) -> mx.array:
    g, result = widened(g), widened(result)
    each = g * result
    return each - result * _total(each, dim)


@op(grad={"input": _softmax_gradient}, shape="that of ``input``", channels="dim")
def softmax(input: Array, dim: int, dtype: Any = None) -> mx.array:
    """exp(input) divided by its sum over ``dim``."""
    where = axis(input.ndim, dim)
    x, dtype = _normal("softmax", input, dtype)
    if not x.ndim:
        return cast(exponential(x - x), dtype)
    return cast(softmax_along(x, where) if x.size else x, dtype)


def _log_softmax_gradient(g: mx.array, result: mx.array, dim: int) -> mx.array:
    g = widened(g)
    return g - exponential(widened(result)) * _total(g, dim)


@op(grad={"input": _log_softmax_gradient}, shape="that of ``input``", channels="dim")
def log_softmax(input: Array, dim: int, dtype: Any = None) -> mx.array:
    """The logarithm of the softmax over ``dim``."""
    where = axis(input.ndim, dim)
    x, dtype = _normal("log_softmax", input, dtype)
    if not x.size or not x.ndim:
        return cast(x - x, dtype)
    off = x - mx.max(x, axis=where, keepdims=True)
    return cast(off - mx.log(mx.sum(exponential(off), axis=where, keepdims=True)), dtype)


def _sum_gradient(g: mx.array, result: mx.array, input: mx.array, dim: Dim, keepdim: bool) -> mx.array:
    where = axes(input.ndim, dim)
    return restored(g, where, keepdim) * exponential(input - restored(result, where, keepdim))


def _dimension(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel + 1,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


@composed(module="nn.functional", name="softmax", shape="that of ``input``")
def _softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(input) divided by its sum over ``dim``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return softmax(input, _dimension("softmax", input, dim, _stacklevel), dtype)


@composed(module="nn.functional", name="log_softmax", shape="that of ``input``")
def _log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of the softmax over ``dim``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.log_softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return log_softmax(input, _dimension("log_softmax", input, dim, _stacklevel), dtype)


@composed(module="nn.functional", shape="that of ``input``")
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(-input) divided by its sum over ``dim``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.softmin(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return softmax(neg(input), _dimension("softmin", input, dim, _stacklevel), dtype)


@op(grad={"input": _sum_gradient}, promote="float")
def logsumexp(input: Operand, dim: Dim, keepdim: bool = False) -> mx.array:
    """The logarithm of the sum of exp(input) over ``dim``."""
    return fold(log_of_sum, input, axes(input.ndim, dim), keepdim, -mx.inf)
