"""What losses have in common: how they are reduced, torch's old words for that, and its checks of arguments."""

from __future__ import annotations

import warnings

import mlx.core as mx

from .._core.bounds import seen
from .._core.promotion import widened
from .._tensor.modes import mode
from .._tensor.tensor import Tensor
from .arithmetic import true_divide
from .reduction import fold, mean, sum

REDUCTIONS = ("none", "mean", "sum")


def reduction_of(word: str, size_average: bool | None = None, reduce: bool | None = None, also: str = "") -> str:
    """``"none"``, ``"mean"``, ``"sum"`` or ``also``; from torch's old arguments, with its warning, if they are given.

    Raises:
        ValueError: it is another word.
    """
    if size_average is not None or reduce is not None:
        word = "none" if reduce is not None and not reduce else "mean" if size_average in (None, True) else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{word}' instead.", stacklevel=4
        )
    if word == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=4)
        return "mean"
    if word not in REDUCTIONS and word != also:
        raise ValueError(f"{word} is not a valid value for reduction")
    return word


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The loss itself, its mean or its sum."""
    if reduction == "none":
        return loss
    whole: Tensor = mean(loss) if reduction == "mean" else sum(loss)
    return whole


def weighted(loss: Tensor, weight: Tensor, reduction: str) -> Tensor:
    """As ``reduced``, with a mean over the weights that ``loss`` was multiplied with."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"Invalid reduction mode: {reduction}. Expected one of 'none', 'mean', 'sum'.")
    if reduction == "mean":
        return true_divide(sum(loss), sum(weight))
    return reduced(loss, reduction)


def total(x: mx.array) -> mx.array:
    """The sum of all elements, 0 of none."""
    return fold(mx.sum, x, tuple(range(x.ndim)), False, 0.0)


def refuse_gradients(function: str, **given: Tensor | None) -> None:
    """Refuse arguments that torch has no derivative for, where one is wanted."""
    for name, tensor in given.items():
        if isinstance(tensor, Tensor) and mode.enabled and tensor.requires_grad:
            raise RuntimeError(
                f"The function '{function}' is not differentiable with respect to argument '{name}'. This input cannot "
                "have requires_grad True."
            )


def within(name: str, x: mx.array) -> None:
    """Refuse a number that is not between 0 and 1 where a look costs little: as for indices (``bounds``)."""
    values = seen(widened(x))
    if values is not None and values.size and not 0 <= values.min() <= values.max() <= 1:
        raise RuntimeError(f"all elements of {name} should be between 0 and 1")
