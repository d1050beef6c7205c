"""Losses of numbers: squared and absolute errors, likelihoods, divergences."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, category
from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor, wrap
from ._arguments import Truth
from ._declare import composed, op
from ._dtypes import floating_only
from ._losses import reduced, reduction_of, weighted
from ._op import Operand
from .arithmetic import add, clamp, exp, log, mul, square, sub, true_divide, where
from .comparison import gt, lt
from .exponential import xlogy
from .parts import broadcast_tensors
from .reduction import any, mean
from .shaping import copied, unsqueeze

SHAPE = '() or, with ``reduction="none"``, that of ``input`` and ``target``'


def _by(slope: Callable[..., mx.array]) -> dict[str, Callable[..., mx.array]]:
    """The formulas of a function of input - target, by its slope."""
    return {
        "input": lambda g, input, target, bound: g * slope(input - target, bound),
        "target": lambda g, input, target, bound: -g * slope(input - target, bound),
    }


def _error(name: str, slope: Callable[..., mx.array]) -> Callable[[Any], Any]:
    return op(grad=_by(slope), promote="same", name=name, function=False, method=False)


@_error("mse_loss.elements", lambda off, _: 2 * off)
def _squared(input: Operand, target: Operand, bound: float = 0) -> mx.array:  # noqa: ARG001
    floating_only("mse_cpu", input.dtype)
    return mx.square(input - target)


@_error("l1_loss.elements", lambda off, _: mx.sign(off))
def _absolute(input: Operand, target: Operand, bound: float = 0) -> mx.array:  # noqa: ARG001
    return mx.abs(input - target)


@_error("smooth_l1_loss.elements", lambda off, beta: mx.where(mx.abs(off) < beta, off / beta, mx.sign(off)))
def _smooth(input: Operand, target: Operand, bound: float) -> mx.array:
    floating_only("smooth_l1_cpu", input.dtype)
    size = mx.abs(input - target)
    return mx.where(size < bound, 0.5 * size * size / bound, size - 0.5 * bound)


@_error("huber_loss.elements", lambda off, delta: mx.clip(off, -delta, delta))
def _huber(input: Operand, target: Operand, bound: float) -> mx.array:
    floating_only("huber_cpu", input.dtype)
    size = mx.abs(input - target)
    return mx.where(size <= bound, 0.5 * size * size, bound * (size - 0.5 * bound))


def _common(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in their common shape, with torch's warning where it is not that of both."""
    if input.shape == target.shape:
        return input, target
    warnings.warn(
        f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely "
        "lead to incorrect results due to broadcasting. Please ensure they have the same size.",
        stacklevel=4,
    )
    first, second = broadcast_tensors(input, target)
    return first, second


def _check_weight(weight: Tensor, input: Tensor) -> None:
    if tuple(weight.shape) != tuple(input.shape):
        raise ValueError("Weights and input must have the same size.")


@composed(module="nn.functional", shape=SHAPE, node="MseLossBackward0")
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2, times weight; the mean is divided by the sum of the weights.

    Raises:
        ValueError: another reduction, or a weight of another shape than ``input``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    input, target = _common(input, target)
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    if weight is None:
        return reduced(_squared(input, target), reduction_of(reduction))
    _check_weight(weight, input)
    return weighted(mul(square(sub(input, target)), weight), weight, reduction)


@composed(module="nn.functional", shape=SHAPE)
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``, times weight; the mean is divided by the sum of the weights. The slope at 0 is 0.

    Raises:
        ValueError: another reduction, or a weight of another shape than ``input``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))
    tensor(1.5000)
    """
    input, target = _common(input, target)
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    if mx.bool_ in (input.array.dtype, target.array.dtype):
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported: make it a number.")
    if weight is None:
        return reduced(_absolute(input, target), reduction_of(reduction))
    _check_weight(weight, input)
    return weighted(mul(_absolute(input, target), weight), weight, reduction)


@composed(module="nn.functional", shape=SHAPE, node="SmoothL1LossBackward0")
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """With ``d = |input - target|``: d^2 / (2 beta) where d < beta, else d - beta / 2.

    Raises:
        RuntimeError: ``beta`` is negative.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.smooth_l1_loss(torch.tensor([0.5, 2.0]), torch.tensor([0.0, 4.0]), reduction="none")
    tensor([0.1250, 1.5000])
    """
    input, target = _common(input, target)
    reduction = reduction_of(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return reduced(_absolute(input, target) if beta == 0 else _smooth(input, target, beta), reduction)


@composed(module="nn.functional", shape=SHAPE, node="HuberLossBackward0")
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """With ``d = |input - target|``: d^2 / 2 where d <= delta, else delta (d - delta / 2); times weight.

    Raises:
        RuntimeError: ``delta`` is not positive.
        ValueError: another reduction, or a weight of another shape than ``input``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.huber_loss(torch.tensor([0.5, 2.0]), torch.tensor([0.0, 4.0]), reduction="none", delta=0.5)
    tensor([0.1250, 0.8750])
    """
    input, target = _common(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    first, second = input.array.dtype, target.array.dtype
    if first not in INEXACT and category(second) > category(first):
        raise RuntimeError(f"result type {NAMES[second]} can't be cast to the desired output type {NAMES[first]}")
    loss = _huber(input, target, delta).to(input.dtype)
    if weight is None:
        return reduced(loss, reduction_of(reduction))
    _check_weight(weight, input)
    loss = mul(loss, weight)
    return mean(loss) if reduction == "mean" else weighted(loss, weight, reduction)


# Likelihoods and divergences ------------------------------------------------------------------------------------------

_MEAN_OF_KL = (
    "reduction: 'mean' divides the total loss by both the batch size and the support size."
    "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
    "'mean' will be changed to behave the same as 'batchmean' in the next major release."
)


@composed(module="nn.functional", shape=SHAPE)
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input), or exp(target) * (target - input) with ``log_target``.

    ``reduction="batchmean"`` divides the sum by the size of the batch.

    Raises:
        RuntimeError: integers.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.kl_div(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]), reduction="batchmean")
    tensor(0.1308)
    """
    if size_average is None and reduce is None and reduction == "mean":
        warnings.warn(_MEAN_OF_KL, stacklevel=3)
    by_batch = reduction == "batchmean"
    reduction = reduction_of(reduction, size_average, reduce, "batchmean")
    if input.dtype not in INEXACT or target.dtype not in INEXACT:
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if log_target:
        loss = mul(exp(target), sub(target, input))
    else:
        loss = sub(xlogy(target, target), mul(target, input))
    out = reduced(loss, "sum" if reduction == "batchmean" else reduction)
    return true_divide(out, input.shape[0]) if by_batch and input.ndim else out


def _refuse_word(reduction: str, sentence: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(sentence)


@composed(module="nn.functional", shape=SHAPE)
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Truth | None = None,
    eps: float = 1e-8,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(input) - target * input, or input - target * log(input + eps) without ``log_input``.

    With ``full`` Stirling's approximation of log(target!) is added where target > 1.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.poisson_nll_loss(torch.tensor([0.0]), torch.tensor([2.0]))
    tensor(1.)
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    _refuse_word(reduction, f"{reduction} is not a valid value for reduction")
    if log_input:
        loss = sub(exp(input), mul(target, input))
    else:
        loss = sub(input, mul(target, log(add(input, eps))))
    if full:
        stirling = add(sub(mul(target, log(target)), target), mul(log(mul(target, 2 * math.pi)), 0.5))
        loss = add(loss, where(gt(target, 1), stirling, 0.0))
    return reduced(loss, reduction)


@composed(module="nn.functional", shape=SHAPE)
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: Truth = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log(var) + (input - target)^2 / var) / 2 with ``var`` at least ``eps``; plus log(2 pi) / 2 with ``full``.

    Raises:
        ValueError: a variance that is negative, or of a shape that does not fit.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.gaussian_nll_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([4.0]))
    tensor(1.1931)
    """
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        spread = wrap(mx.full(tuple(input.shape), var, input.array.dtype))
    elif bool(any(lt(var, 0))):
        raise ValueError("var has negative entry/entries")
    else:
        spread = var
    size, own = tuple(input.shape), tuple(spread.shape)
    if own != size:
        if size[:-1] == own:
            spread = unsqueeze(spread, -1)
        elif len(size) != len(own) or [n for m, n in zip(size, own, strict=True) if m != n] != [1]:
            raise ValueError("var is of incorrect size")
    _refuse_word(reduction, f"{reduction} is not valid")
    spread = copied(spread)
    with no_grad():
        spread.array = clamp(spread, eps).array
    loss = mul(add(log(spread), true_divide(square(sub(input, target)), spread)), 0.5)
    return reduced(add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)
