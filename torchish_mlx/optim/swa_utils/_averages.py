"""How to average: functions of two Tensors, and of two lists of Tensors in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..._core.promotion import INEXACT
from ..._tensor.modes import no_grad
from ..._tensor.tensor import Tensor

AvgFn = Callable[[Tensor, Tensor, Tensor], Any]
MultiAvgFn = Callable[[list[Tensor], list[Tensor], Tensor], Any]


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAvgFn:
    """``average += (1 - decay) * (weight - average)``, for lists of Tensors, in place.

    Args:
        decay (float): how much of the average stays, in [0, 1].

    Raises:
        ValueError: ``decay`` is not in [0, 1].

    Example:
        >>> import torchish_mlx as torch
        >>> average = torch.tensor([1.0])
        >>> get_ema_multi_avg_fn(0.75)([average], [torch.tensor([2.0])], 1)
        >>> average
        tensor([1.2500])

    Source: ``torch.optim.swa_utils.get_ema_multi_avg_fn``.
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], _: Any) -> None:
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            if average.dtype in INEXACT:
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(average * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> MultiAvgFn:
    """``average += (weight - average) / (n + 1)``, for lists of floating Tensors, in place.

    The mean of all weights so far, ``n`` of which are in the average.

    Example:
        >>> import torchish_mlx as torch
        >>> average = torch.tensor([1.0])
        >>> get_swa_multi_avg_fn()([average], [torch.tensor([4.0])], 2)
        >>> average
        tensor([2.])

    Source: ``torch.optim.swa_utils.get_swa_multi_avg_fn``.
    """

    @no_grad()
    def swa_update(
        averaged_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], num_averaged: Any
    ) -> None:
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            if average.dtype in INEXACT:
                average.lerp_(current, 1 / (num_averaged + 1))
            elif isinstance(num_averaged, Tensor):
                average.addcdiv_(current - average, num_averaged + 1)
            else:
                average.add_(current - average, alpha=1 / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> AvgFn:
    """``decay * average + (1 - decay) * weight``, of two Tensors.

    Args:
        decay (float): how much of the average stays, in [0, 1].

    Raises:
        ValueError: ``decay`` is not in [0, 1].

    Example:
        >>> import torchish_mlx as torch
        >>> get_ema_avg_fn(0.75)(torch.tensor([1.0]), torch.tensor([2.0]), 1)
        tensor([1.2500])

    Source: ``torch.optim.swa_utils.get_ema_avg_fn``.
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:  # noqa: ARG001
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> AvgFn:
    """``average + (weight - average) / (n + 1)``, of two Tensors: the mean of all weights so far.

    Example:
        >>> import torchish_mlx as torch
        >>> get_swa_avg_fn()(torch.tensor([1.0]), torch.tensor([4.0]), 2)
        tensor([2.])

    Source: ``torch.optim.swa_utils.get_swa_avg_fn``.
    """

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")
