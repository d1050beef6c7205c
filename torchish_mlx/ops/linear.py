"""Linear and bilinear maps, as layers compute them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, cast, widened
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Array
from .arithmetic import add
from .einsum import einsum
from .matmul import check_factors, product, repeated


def _input_gradient(g: mx.array, weight: mx.array) -> mx.array:
    return mx.expand_dims(g, -1) * weight if weight.ndim == 1 else product(g, weight)


def _weight_gradient(g: mx.array, input: mx.array, weight_shape: Sequence[int]) -> mx.array:
    if not input.size or not g.size:
        return mx.zeros(weight_shape, g.dtype)
    if len(weight_shape) > 1 and input.ndim > 1:
        return mx.matmul(mx.swapaxes(mx.flatten(g, 0, -2), 0, 1), mx.flatten(input, 0, -2))
    columns = mx.reshape(g, (1, -1)) if len(weight_shape) == 1 else mx.expand_dims(g, 1)
    return mx.reshape(mx.matmul(columns, mx.reshape(input, (-1, weight_shape[-1]))), weight_shape)


def _bias_gradient(g: mx.array, bias_shape: tuple[int, ...]) -> mx.array:
    return cast(unbroadcast(widened(g), bias_shape), g.dtype)


def _check_linear(input: mx.array, weight: mx.array, bias: mx.array | None) -> None:
    if not input.ndim or not weight.ndim:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {input.ndim}D and {weight.ndim}D"
        )
    if weight.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {weight.ndim}D")
    check_factors(input, mx.swapaxes(weight, 0, 1) if weight.ndim > 1 else weight)
    if bias is not None and bias.dtype != input.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {NAMES[bias.dtype]} and {NAMES[input.dtype]}"
        )
    if input.dtype == mx.bool_:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def _usual(input: mx.array, weight: mx.array, bias: mx.array) -> bool:
    """Whether these are of a layer, and fit: then nothing has to be looked at once more."""
    if weight.ndim != 2 or not input.dtype == weight.dtype == bias.dtype or not input.size:
        return False
    out, into = weight.shape
    return input.ndim > 1 and input.shape[-1] == into and bias.shape == (out,) and out > 0 and input.dtype in INEXACT


def _node(tensors: Sequence[int], input: Any, *_: Any) -> str:
    """Torch calls functions of matrices, and views their result."""
    dims, biased = 2 if input is None else input.ndim, 2 in tensors
    if dims == 1:
        return "ViewBackward0" if biased else "SqueezeBackward4"
    if dims == 2:
        return "AddmmBackward0" if biased else "MmBackward0"
    return "ViewBackward0" if biased else "UnsafeViewBackward0"


@op(
    grad={"input": _input_gradient, "weight": _weight_gradient, "bias": _bias_gradient},
    module="nn.functional",
    shape="(..., n) and (m, n) give (..., m)",
    node=_node,
)
def linear(input: Array, weight: Array, bias: Array | None = None) -> mx.array:
    """input times the transposed weight, plus bias.

    Raises:
        RuntimeError: sizes or dtypes that do not fit.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.linear(torch.ones(1, 2), torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.5, 0.0]))
    tensor([[3.5000, 7.0000]])
    """
    if bias is not None and _usual(input, weight, bias):
        return mx.addmm(bias, input, mx.swapaxes(weight, 0, 1))
    _check_linear(input, weight, bias)
    turned = weight if weight.ndim == 1 else mx.swapaxes(weight, 0, 1)
    if bias is None:
        return product(input, turned)
    bias = repeated(bias, (*input.shape[:-1], *weight.shape[:-1]))
    if weight.ndim == 1 or not input.size or not bias.size or input.dtype not in INEXACT:
        return product(input, turned) + bias
    return mx.addmm(bias, input, turned)


def _check_bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if input1.ndim != input2.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    for d in range(input1.ndim - 1):
        if input1.shape[d] != input2.shape[d]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {d}: got {input1.shape[d]} and "
                f"{input2.shape[d]}"
            )
    if weight.ndim != 3:
        kind = IndexError if weight.ndim < 3 else RuntimeError
        raise kind(f"bilinear(): weight must have three dimensions, and has {weight.ndim}")
    for name, input, at in (("input1", input1, 1), ("input2", input2, 2)):
        if input.shape[-1] != weight.shape[at]:
            raise RuntimeError(
                f"bilinear(): {name} size does not match weight size: got {input.shape[-1]} but expected "
                f"{weight.shape[at]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected {weight.shape[0]}"
        )


@composed(module="torch nn.functional", method=False, shape="(..., n), (..., k) and (m, n, k) give (..., m)")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The sum of input1[i] * weight[o, i, j] * input2[j] over i and j, plus bias.

    Raises:
        RuntimeError: sizes that do not fit.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.bilinear(torch.ones(1, 2), torch.ones(1, 3), torch.ones(2, 2, 3))
    tensor([[6., 6.]])
    """
    given = {"input1": input1, "input2": input2, "weight": weight, "bias": bias}
    dtypes = {name: NAMES[x.array.dtype] for name, x in given.items() if x is not None}
    if len({*dtypes.values()}) > 1:
        said = ", ".join(f"{name}: {dtype}" for name, dtype in dtypes.items())
        raise RuntimeError(f"All tensors must have the same dtype, got {said}")
    _check_bilinear(input1, input2, weight, bias)
    out: Tensor = einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else add(out, bias)
