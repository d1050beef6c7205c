"""Losses of classes that are each there or not: the binary cross entropy of probabilities and of their logits."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES
from .._tensor.tensor import Tensor
from ._arguments import Truth
from ._declare import composed, op
from ._double import exponential
from ._dtypes import floating_only
from ._losses import reduction_of, refuse_gradients, total, within
from ._op import Operand
from .shaping import expand


def _whole(loss: mx.array, weight: mx.array | None, reduction: str) -> mx.array:
    loss = loss if weight is None else loss * weight
    if reduction == "none":
        return loss
    return total(loss) if reduction == "sum" else mx.divide(total(loss), mx.array(loss.size, loss.dtype))


def _parts(g: mx.array, weight: mx.array | None, reduction: str, size: int) -> mx.array:
    """The gradient of each element's loss."""
    g = g / max(size, 1) if reduction == "mean" else g
    return g if weight is None else g * weight


@op(
    grad={
        "input": lambda g, input, target, weight, reduction: (
            _parts(g, weight, reduction, input.size) * ((input - target) / mx.maximum((1 - input) * input, 1e-12))
        ),
        "target": lambda g, input, weight, reduction: (
            _parts(g, weight, reduction, input.size) * (mx.log1p(-input) - mx.log(input))
        ),
    },
    promote="same",
    name="binary_cross_entropy.elements",
    function=False,
    method=False,
)
def _binary(input: Operand, target: Operand, weight: Operand | None, reduction: str) -> mx.array:
    """The logarithms are at least -100."""
    loss = (target - 1) * mx.maximum(mx.log1p(-input), -100) - target * mx.maximum(mx.log(input), -100)
    return _whole(loss, weight, reduction)


@composed(module="nn.functional", shape='() or, with ``reduction="none"``, that of ``input``')
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-target * log(input) - (1 - target) * log(1 - input), times weight, with logarithms of at least -100.

    Raises:
        RuntimeError: a number is not between 0 and 1; of up to 65,536 numbers, in an eager step on the CPU.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.binary_cross_entropy(torch.tensor([0.8, 0.1]), torch.tensor([1.0, 0.0]))
    tensor(0.1643)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if target.dtype != input.dtype:
        raise RuntimeError(f"Found dtype {NAMES[target.array.dtype]} but expected {NAMES[input.array.dtype]}")
    floating_only("binary_cross_entropy", input.array.dtype)
    within("input", input.array)
    within("target", target.array)
    refuse_gradients("binary_cross_entropy", weight=weight)
    weight = None if weight is None else expand(weight, input.shape)
    loss: Tensor = _binary(input, target, weight, reduction)
    return loss


def _positives(target: mx.array, pos_weight: mx.array | None) -> mx.array | int:
    """How much the logarithm of the sigmoid counts."""
    return 1 if pos_weight is None else 1 + (pos_weight - 1) * target


def _logits_gradient(
    g: mx.array,
    input: mx.array,
    target: mx.array,
    weight: mx.array | None,
    pos_weight: mx.array | None,
    power: mx.array,
    reduction: str,
) -> mx.array:
    below = mx.where(input < 0, 1, power) / (1 + power)  # sigmoid(-input)
    return _parts(g, weight, reduction, input.size) * ((1 - target) - _positives(target, pos_weight) * below)


def _logits_target_gradient(
    g: mx.array,
    input: mx.array,
    weight: mx.array | None,
    pos_weight: mx.array | None,
    power: mx.array,
    reduction: str,
) -> mx.array:
    slope = -input
    if pos_weight is not None:
        slope = slope - (pos_weight - 1) * (mx.minimum(input, 0) - mx.log1p(power))
    return _parts(g, weight, reduction, input.size) * slope


@op(
    grad={"input": _logits_gradient, "target": _logits_target_gradient},
    promote="same",
    residuals=("power",),
    name="binary_cross_entropy_with_logits.elements",
    function=False,
    method=False,
)
def _binary_of_logits(
    input: Operand, target: Operand, weight: Operand | None, pos_weight: Operand | None, reduction: str
) -> Any:
    power = exponential(mx.where(input < 0, input, -input))
    logs = mx.where(input < 0, input, 0) - mx.log1p(power)
    return _whole((1 - target) * input - _positives(target, pos_weight) * logs, weight, reduction), power


@composed(module="nn.functional", shape='() or, with ``reduction="none"``, that of ``input``')
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The binary cross entropy of sigmoid(input); ``pos_weight`` is the weight of the target's part in it.

    Raises:
        ValueError: ``target`` has another shape than ``input``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.binary_cross_entropy_with_logits(torch.tensor([1.5, -2.0]), torch.tensor([1.0, 0.0]))
    tensor(0.1642)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    refuse_gradients("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    floating_only("log_sigmoid_cpu", input.array.dtype)
    if target.dtype not in INEXACT:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {NAMES[target.array.dtype]}")
    loss: Tensor = _binary_of_logits(input, target, weight, pos_weight, reduction)
    return loss
