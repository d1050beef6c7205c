"""Normalization as torch.nn.functional has it: with defaults, and with its checks of sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Operand
from .arithmetic import add, div, mul, pow, true_divide
from .limits import clamp_min
from .norms import batch, group_norm, instance_norm, layer
from .reduction import norm
from .shaping import expand_as

_SAME = "that of ``input``"


@composed(module="nn.functional", name="layer_norm", shape=_SAME)
def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, whose shape is given; times weight, plus bias.

    Raises:
        RuntimeError: the last dimensions of ``input``, or a weight, do not have this shape.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.layer_norm(torch.tensor([[1.0, 3.0], [2.0, 2.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [ 0.0000,  0.0000]])
    """
    return layer(input, normalized_shape, weight, bias, eps)


def _check_batch(size: Sequence[int]) -> None:
    if math.prod((size[0], *size[2:])) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")


@composed(module="nn.functional", name="group_norm", shape=_SAME)
def _group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Mean 0 and variance 1 over each group of channels of each sample; times weight, plus bias, by channel.

    Raises:
        RuntimeError, ValueError: the channels can't be divided into so many groups; one value for each group.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.group_norm(torch.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    size = input.shape
    if len(size) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(size)}")
    groups = [size[0] * size[1] // num_groups, num_groups, *size[2:]]
    _check_batch(groups)
    return group_norm(input, num_groups, weight, bias, eps)


@composed(module="nn.functional", name="batch_norm", shape=_SAME)
def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Mean 0 and variance 1 of each channel over the batch, or by the running ones; times weight, plus bias.

    With ``training`` the running mean and variance move by ``momentum`` towards those of the batch, in place.

    Raises:
        ValueError: one value for each channel, or ``eps`` that is not positive, with ``training``.
        RuntimeError: no running mean and variance without ``training``; sizes that do not fit.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.batch_norm(torch.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    if training:
        _check_batch(input.shape)
        if eps <= 0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    if momentum is None:
        raise TypeError("batch_norm(): argument 'momentum' (position 7) must be float, not NoneType")
    return batch(input, weight, bias, running_mean, running_var, training, momentum, eps)


@composed(module="nn.functional", name="instance_norm", shape=_SAME)
def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Mean 0 and variance 1 of each channel of each sample, or by the running ones; times weight, plus bias.

    With ``use_input_stats`` the running mean and variance move towards the average of those of the samples, in place.

    Raises:
        ValueError: one value for each channel of a sample.
        RuntimeError: no running mean and variance without ``use_input_stats``; sizes that do not fit.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.instance_norm(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    return instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, True)


def _windows(x: mx.array, size: int, before: int) -> mx.array:
    """The sum of ``size`` channels around each, with zeros outside."""
    if not x.size:
        return x
    widths = [(0, 0)] * x.ndim
    widths[1] = (before, size - 1 - before)
    padded, channels = mx.pad(x, widths), x.shape[1]
    total = padded[:, :channels]
    for k in range(1, size):
        total = total + padded[:, k : k + channels]
    return total


@op(
    grad={"input": lambda g, size: _windows(g, size, (size - 1) // 2) / size},
    promote="same",
    name="lrn.windows",
    function=False,
    method=False,
)
def _window_mean(input: Operand, size: int) -> mx.array:
    """The mean of ``size`` channels around each; of integers its integer part."""
    if size <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got kH: {size} kW: 1")
    total = _windows(input, size, size // 2)
    return total / size if input.dtype in INEXACT else total // size


@composed(module="nn.functional", shape=_SAME)
def local_response_norm(input: Tensor, size: Any, alpha: Any = 1e-4, beta: Any = 0.75, k: Any = 1.0) -> Tensor:
    """input / (k + alpha * the mean of the squares of ``size`` channels around each) ** beta.

    Raises:
        ValueError: fewer than three dimensions.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.local_response_norm(torch.ones(1, 2, 1), 2, alpha=1.0)
    tensor([[[0.7378],
             [0.5946]]])
    """
    if input.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {input.ndim} dimensions)"
        )
    if not input.numel():
        return input
    if input.array.dtype in (mx.bool_, mx.int32, mx.complex64):
        raise NotImplementedError(f"\"avg_pool2d\" not implemented for '{NAMES[input.array.dtype]}'")
    squares = _window_mean(mul(input, input), size)
    out: Tensor = true_divide(input, pow(add(mul(squares, alpha), k), beta))
    return out


@composed(module="nn.functional", outs=True, shape=_SAME)
def normalize(input: Tensor, p: Any = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12) -> Tensor:
    """input over its p-norm along ``dim``, or over ``eps`` where that is larger.

    Raises:
        RuntimeError: integers.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if input.array.dtype not in INEXACT:
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {NAMES[input.array.dtype]}"
        )
    length = clamp_min(norm(input, p, dim, True), eps)
    out: Tensor = div(input, expand_as(length, input))
    return out
