"""Activations that torch has at its top level."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES
from .._tensor.tensor import Tensor
from ._call import composed, op
from ._op import Array, Operand
from .shaping import reshape

_ALPHA, _SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _check_floats(input: mx.array, *_: Any) -> None:
    if input.dtype not in INEXACT:
        raise NotImplementedError(f"\"elu_cpu\" not implemented for '{NAMES[input.dtype]}'")


def _check_celu(input: mx.array, alpha: float) -> None:
    _check_floats(input)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")


@op(
    grad={"input": lambda g, input, alpha: mx.where(input <= 0, g * mx.exp(mx.minimum(input, 0) / alpha), g)},
    promote="same",
    method=False,
    channels="any",
)
def celu(input: Operand, alpha: float = 1.0) -> mx.array:
    """input where it is positive, else alpha * (exp(input / alpha) - 1)."""
    _check_celu(input, alpha)
    return mx.where(input <= 0, mx.expm1(input / alpha) * alpha, input)


@op(
    grad={
        "input": lambda g, input: mx.where(input <= 0, g * (_ALPHA * _SCALE) * mx.exp(mx.minimum(input, 0)), g * _SCALE)
    },
    promote="same",
    method=False,
    channels="any",
)
def selu(input: Operand) -> mx.array:
    """1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
    _check_floats(input)
    return mx.where(input <= 0, mx.expm1(input) * (_ALPHA * _SCALE), input * _SCALE)


@op(
    grad={"input": lambda g, input, threshold: mx.where(input <= _as(threshold, input), 0, g)},
    method=False,
    channels="any",
)
def threshold(input: Array, threshold: float, value: float) -> mx.array:
    """input where it is larger than ``threshold``, else ``value``."""
    if input.dtype == mx.bool_:
        raise NotImplementedError("\"threshold_cpu\" not implemented for 'Bool'")
    return mx.where(input <= _as(threshold, input), _as(value, input), input)


def _as(number: Any, x: mx.array) -> mx.array:
    """A number in the dtype of x: of integers its integer part."""
    return mx.array(number if x.dtype in INEXACT else int(number), x.dtype)


@op(
    grad={
        "input": lambda g, input, weight: mx.where(input > 0, g, g * weight),
        "weight": lambda g, input: mx.where(input > 0, 0, g * input),
    },
    promote="same",
    name="prelu.kernel",
    function=False,
    method=False,
    channels="any",
)
def _prelu(input: Operand, weight: Operand) -> mx.array:
    """input where it is positive, else weight * input."""
    return mx.where(input > 0, input, weight * input)


@composed(shape="that of ``input``")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where it is positive, else weight * input, with one weight for all or one for each channel."""
    if weight.dtype != input.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {NAMES[input.dtype]} and {NAMES[weight.dtype]}")
    if input.dtype not in INEXACT:
        raise NotImplementedError(f"\"prelu_cpu\" not implemented for '{NAMES[input.dtype]}'")
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
