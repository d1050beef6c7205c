"""Activations that are made of pieces: linear ones, and exponentials below zero."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES
from .._tensor.tensor import Tensor
from ._arguments import Scalar
from ._declare import composed, op
from ._double import exponential, less_one
from ._dtypes import floating_only
from ._masks import at_least, at_most, masked
from ._op import Array, Matched, Operand
from .shaping import reshape

_UNSIGNED = (mx.uint8, mx.uint16, mx.uint32, mx.uint64)
_ALPHA, _SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _check_celu(input: mx.array, alpha: float) -> None:
    floating_only("elu_cpu", input.dtype)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")


@op(
    grad={"input": lambda g, input, alpha: mx.where(input <= 0, g * exponential(mx.minimum(input, 0) / alpha), g)},
    promote="same",
    inplace=True,
    module="torch nn.functional",
    method=False,
    channels="any",
)
def celu(input: Operand, alpha: Scalar = 1.0) -> mx.array:
    """input where it is positive, else alpha * (exp(input / alpha) - 1)."""
    _check_celu(input, alpha)
    return mx.where(input <= 0, less_one(input / alpha) * alpha, input)


@op(
    grad={
        "input": lambda g, input: mx.where(
            input <= 0, g * (_ALPHA * _SCALE) * exponential(mx.minimum(input, 0)), g * _SCALE
        )
    },
    promote="same",
    inplace=True,
    module="torch nn.functional",
    method=False,
    channels="any",
    node="EluBackward0",
)
def selu(input: Matched) -> mx.array:
    """1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
    floating_only("elu_cpu", input.dtype)
    return mx.where(input <= 0, less_one(input) * (_ALPHA * _SCALE), input * _SCALE)


@op(
    grad={"input": lambda g, input, threshold: masked(g, mx.logical_not(input <= _as(threshold, input)))},
    inplace=True,
    module="torch nn.functional",
    method=False,
    channels="any",
)
def threshold(input: Array, threshold: Scalar, value: Scalar) -> mx.array:
    """input where it is larger than ``threshold``, else ``value``."""
    if input.dtype == mx.bool_:
        raise NotImplementedError("\"threshold_cpu\" not implemented for 'Bool'")
    return mx.where(input <= _as(threshold, input), _as(value, input), input)


def _as(number: Any, x: mx.array) -> mx.array:
    """A number in the dtype of x: of integers its integer part."""
    return mx.array(number if x.dtype in INEXACT else int(number), x.dtype)


@op(
    grad={"input": lambda g, input, alpha: mx.where(input <= 0, g * alpha * exponential(mx.minimum(input, 0)), g)},
    promote="same",
    inplace=True,
    module="nn.functional",
    channels="any",
)
def elu(input: Operand, alpha: Scalar = 1.0) -> mx.array:
    """input where it is positive, else alpha * (exp(input) - 1).

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.elu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """
    floating_only("elu_cpu", input.dtype)
    return mx.where(input <= 0, less_one(input) * alpha, input)


@op(
    grad={"input": lambda g, input, negative_slope: mx.where(input > 0, g, g * negative_slope)},
    promote="same",
    inplace=True,
    module="nn.functional",
    channels="any",
)
def leaky_relu(input: Operand, negative_slope: Scalar = 0.01) -> mx.array:
    """input where it is positive, else negative_slope * input.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.leaky_relu(torch.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    floating_only("leaky_relu_cpu", input.dtype)
    return mx.where(input > 0, input, input * negative_slope)


def _bounded(input: mx.array, low: float, high: float) -> mx.array:
    if input.dtype == mx.bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if low < 0 and input.dtype in _UNSIGNED:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return at_most(at_least(input, _as(low, input)), _as(high, input))


def _inside(g: mx.array, input: mx.array, low: float, high: float) -> mx.array:
    return masked(g, mx.logical_not((input <= low) | (input >= high)))


@op(
    grad={"input": lambda g, input, min_val, max_val: _inside(g, input, min_val, max_val)},
    inplace=True,
    module="nn.functional",
    channels="any",
)
def hardtanh(input: Array, min_val: float = -1.0, max_val: float = 1.0) -> mx.array:
    """The input, at least ``min_val`` and at most ``max_val``; the slope at these bounds is 0.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.hardtanh(torch.tensor([-2.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _bounded(input, min_val, max_val)


@op(
    grad={"input": lambda g, input: _inside(g, input, 0, 6)},
    inplace="argument",
    module="nn.functional",
    channels="any",
    node="HardtanhBackward0",
)
def relu6(input: Array) -> mx.array:
    """The input, at least 0 and at most 6; the slope at these bounds is 0.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.relu6(torch.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """
    return _bounded(input, 0, 6)


def _hardswish_gradient(g: mx.array, input: mx.array) -> mx.array:
    return mx.where(input <= -3, 0, mx.where(input < 3, g * (input / 3 + 0.5), g))


@op(grad={"input": _hardswish_gradient}, promote="same", inplace="argument", module="nn.functional", channels="any")
def hardswish(input: Operand) -> mx.array:
    """input * relu6(input + 3) / 6.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.hardswish(torch.tensor([-4.0, 1.5, 4.0]))
    tensor([-0.0000, 1.1250, 4.0000])
    """
    floating_only("hardswish_cpu", input.dtype)
    return input * mx.minimum(mx.maximum(input + 3, 0), 6) / 6


@op(
    grad={"input": lambda g, input: mx.where((input > -3) & (input < 3), g / 6, 0)},
    promote="same",
    inplace="argument",
    module="nn.functional",
    channels="any",
)
def hardsigmoid(input: Operand) -> mx.array:
    """relu6(input + 3) / 6.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.hardsigmoid(torch.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    floating_only("hardsigmoid_cpu", input.dtype)
    return mx.minimum(mx.maximum(input + 3, 0), 6) / 6


def _outside(g: mx.array, input: mx.array, lambd: Scalar) -> mx.array:
    return mx.where((input >= -lambd) & (input <= lambd), 0, g)


@op(grad={"input": _outside}, promote="same", module="torch nn.functional", channels="any")
def hardshrink(input: Operand, lambd: Scalar = 0.5) -> mx.array:
    """input where its size is larger than ``lambd``, else 0."""
    floating_only("hardshrink_cpu", input.dtype)
    return mx.where((input >= -lambd) & (input <= lambd), 0, input)


@op(grad={"input": _outside}, promote="same", module="nn.functional", channels="any")
def softshrink(input: Operand, lambd: Scalar = 0.5) -> mx.array:
    """input, moved towards 0 by ``lambd``; 0 where its size is not larger than that.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.softshrink(torch.tensor([-1.0, 0.2, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    floating_only("softshrink_check", input.dtype)
    if lambd < 0:
        raise RuntimeError(
            f"lambda must be in range [0, {mx.finfo(input.dtype).max:.6g}] for input dtype {NAMES[input.dtype]}, but "
            f"found {lambd:g}"
        )
    return mx.where(input > lambd, input - lambd, mx.where(input < -lambd, input + lambd, input * 0))


def _softsign_gradient(g: mx.array, input: mx.array) -> mx.array:
    size = mx.abs(input) + 1
    return g / (size * size)


@op(grad={"input": _softsign_gradient}, promote="float", module="nn.functional", channels="any", node="DivBackward0")
def softsign(input: Operand) -> mx.array:
    """input / (1 + the size of input).

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.softsign(torch.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return input / (mx.abs(input) + 1)


@op(
    grad={
        "input": lambda g, input, weight: mx.where(input > 0, g, g * weight),
        "weight": lambda g, input: mx.where(input > 0, 0, g * input),
    },
    promote="same",
    name="prelu.kernel",
    node="PreluKernelBackward0",
    function=False,
    method=False,
    channels="any",
)
def _prelu(input: Matched, weight: Matched) -> mx.array:
    """input where it is positive, else weight * input."""
    return mx.where(input > 0, input, weight * input)


@composed(module="torch nn.functional", shape="that of ``input``")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where it is positive, else weight * input, with one weight for all or one for each channel."""
    mine, given = input.array.dtype, weight.array.dtype
    if given != mine:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {NAMES[mine]} and {NAMES[given]}")
    if mine not in INEXACT:
        raise NotImplementedError(f"\"prelu_cpu\" not implemented for '{NAMES[mine]}'")
    if weight.numel() != 1:
        if not input.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}."
            )
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    spread = (1, -1, *[1] * (input.ndim - 2)) if input.ndim > 1 else (1,) * input.ndim
    out: Tensor = _prelu(input, reshape(weight, spread))
    return out
