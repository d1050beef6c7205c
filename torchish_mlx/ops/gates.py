"""Activations that are smooth: each is the input times a gate, or the logarithm of one."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .._tensor.tensor import Tensor
from ._arguments import Scalar
from ._declare import composed, op
from ._double import exponential, hyperbolic_tangent, logistic
from ._dtypes import floating_only
from ._op import Operand
from .arithmetic import sub
from .erf import error_function
from .reduction import axis
from .trigonometric import tanh

_ROOT, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu_gradient(g: mx.array, input: mx.array, gate: mx.array, approximate: str) -> mx.array:
    if approximate == "none":
        return g * (gate + input * exponential(input * input * -0.5) * (1 / math.sqrt(2 * math.pi)))
    within = _ROOT * (1 + 3 * _CUBIC * input * input)
    return g * (gate + 2 * input * gate * (1 - gate) * within)


@op(grad={"input": _gelu_gradient}, promote="same", residuals=("gate",), module="nn.functional", channels="any")
def gelu(input: Operand, *, approximate: str = "none") -> Any:
    """input times the probability that a normal number is smaller; with ``approximate="tanh"`` by torch's formula.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.gelu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1587,  0.0000,  1.9545])
    >>> F.gelu(torch.tensor([2.0]), approximate="tanh")
    tensor([1.9546])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    floating_only("GeluKernelImpl", input.dtype)
    if approximate == "none":
        below = input * math.sqrt(0.5)
        gate = (1 + (error_function(below) if below.dtype == mx.float64 else mx.erf(below))) * 0.5
    else:
        gate = (1 + hyperbolic_tangent(_ROOT * (input + _CUBIC * input * input * input))) * 0.5
    return input * gate, gate


@op(
    grad={"input": lambda g, input, gate: g * (gate * (1 + input * (1 - gate)))},
    promote="same",
    residuals=("gate",),
    inplace="argument",
    module="nn.functional",
    channels="any",
)
def silu(input: Operand) -> Any:
    """input * sigmoid(input).

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.silu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """
    floating_only("silu_cpu", input.dtype, complex_too=True)
    gate = logistic(input)
    return input * gate, gate


def _mish_gate(power: mx.array) -> mx.array:
    """tanh(log(1 + power))."""
    grown = power * (power + 2)
    return grown / (grown + 2)


def _mish_gradient(g: mx.array, input: mx.array, power: mx.array) -> mx.array:
    below = power * (power + 2) + 2
    return g * (_mish_gate(power) + input * 4 * (power / below) * ((1 + power) / below))


@op(
    grad={"input": _mish_gradient},
    promote="same",
    residuals=("power",),
    inplace="argument",
    module="nn.functional",
    channels="any",
)
def mish(input: Operand) -> Any:
    """input * tanh(log(1 + exp(input))).

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.mish(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """
    floating_only("mish_cpu", input.dtype)
    power = exponential(mx.minimum(input, 40))  # from there on the gate is 1
    return input * _mish_gate(power), power


def _softplus_gradient(g: mx.array, input: mx.array, power: mx.array, beta: float, threshold: float) -> mx.array:
    return mx.where(input * beta > threshold, g, g * (power / (power + 1)))


@op(grad={"input": _softplus_gradient}, promote="same", residuals=("power",), module="nn.functional", channels="any")
def softplus(input: Operand, beta: Scalar = 1, threshold: Scalar = 20) -> Any:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is larger than ``threshold``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.softplus(torch.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """
    floating_only("softplus_cpu", input.dtype)
    power = exponential(mx.minimum(input * beta, threshold))
    return mx.where(input * beta > threshold, input, mx.log1p(power) / beta), power


def _logsigmoid_gradient(g: mx.array, input: mx.array, power: mx.array) -> mx.array:
    gate = power / (1 + power)
    return g * mx.where(input < 0, 1 - gate, gate)


@op(
    grad={"input": _logsigmoid_gradient},
    promote="same",
    residuals=("power",),
    module="nn.functional",
    channels="any",
    node="LogSigmoidBackward0",
)
def logsigmoid(input: Operand) -> Any:
    """log(sigmoid(input)).

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.logsigmoid(torch.tensor([-1.0, 0.0]))
    tensor([-1.3133, -0.6931])
    """
    floating_only("log_sigmoid_cpu", input.dtype)
    power = exponential(mx.where(input < 0, input, -input))
    return mx.where(input < 0, input, 0) - mx.log1p(power), power


@composed(module="nn.functional")
def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input).

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.tanhshrink(torch.tensor([-1.0, 0.0]))
    tensor([-0.2384,  0.0000])
    """
    small: Tensor = sub(input, tanh(input))
    return small


def _halves(input: mx.array, dim: int) -> tuple[mx.array, mx.array]:
    if not input.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    at = axis(input.ndim, dim)
    size = input.shape[at]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {at} is size {size}")
    first, second = mx.split(input, 2, axis=at) if input.size else (_half(input, at), _half(input, at))
    return first, second


def _half(input: mx.array, at: int) -> mx.array:
    return mx.zeros([n // 2 if i == at else n for i, n in enumerate(input.shape)], input.dtype)


def _glu_gradient(g: mx.array, input: mx.array, dim: int) -> mx.array:
    first, second = _halves(input, dim)
    gate = logistic(second)
    return mx.concatenate([g * gate, g * first * gate * (1 - gate)], axis=axis(input.ndim, dim))


@op(
    grad={"input": _glu_gradient},
    promote="same",
    module="nn.functional",
    shape="that of ``input``, with half the size at ``dim``",
    channels="dim",
)
def glu(input: Operand, dim: int = -1) -> mx.array:
    """The first half along ``dim`` times the sigmoid of the second half.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.glu(torch.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    first, second = _halves(input, dim)
    floating_only("glu_cpu", input.dtype)
    return first * logistic(second)
