"""The way from an MLX schedule to a scheduler."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from ...optimizers._hyper import as_array
from ...optimizers.schedules import lambda_lr
from ..optimizer import Optimizer
from ._base import _warn_get_lr_called_within_step
from ._curve import Curve, Sets
from ._lambda import _ByFunction
from ._schedule import Wanted, closed_form


class FromSchedule(_ByFunction):
    """``lr_n = schedule(n)``: any schedule of MLX drives ``param_groups`` as a scheduler of torch.

    The schedule gives the learning rate itself, and not a factor of the initial one. It is called with a 0-d uint64
    array, as MLX's optimizers call it, and its value is read: once per
    :meth:`~LRScheduler.step`, which is called after each optimizer step, or once per epoch if the schedule is meant so.

    Args:
        optimizer: see :class:`LRScheduler`.
        schedule (callable or list): of ``mlx.optimizers`` (``cosine_decay``, ``join_schedules``, ...), of
            ``torchish_mlx.optimizers.schedules``, or your own: from an array to a scalar. Or one for every group.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        TypeError: a schedule is not callable.
        ValueError: a list of another length than the groups, or a schedule that gives no scalar.

    The schedule is the same as a function of the step already: :meth:`~LRScheduler.as_schedule` makes it from
    ``from_schedule_curve`` in this file.

    Example:
        >>> import mlx.core as mx
        >>> import mlx.optimizers
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=0.0)
        >>> scheduler = optim.lr_scheduler.FromSchedule(optimizer, mlx.optimizers.linear_schedule(1.0, 0.0, steps=4))
        >>> rates = []
        >>> for _ in range(3):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [1.0, 0.75, 0.5]
    """

    _argument = "schedule"
    _keys = ("schedules",)
    schedules: list[Any]

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Callable[[mx.array], Any] | Sequence[Callable[[mx.array], Any]],
        last_epoch: int = -1,
    ) -> None:
        super().__init__(optimizer, schedule, last_epoch)

    def get_lr(self) -> list[float]:
        """The values of the schedules at ``last_epoch``."""
        _warn_get_lr_called_within_step(self)
        n = operator.index(self.last_epoch)
        return [_scalar(schedule, mx.array(n, mx.uint64)) for schedule in self.schedules]


def _scalar(schedule: Callable[[mx.array], Any], step: mx.array) -> float:
    value = schedule(step)
    array = as_array(value)
    if array is not None and array.size == 1:
        value = array.item()
    if isinstance(value, (int, float)):
        return float(value)
    given = f"an array of shape {array.shape}" if array is not None else repr(value)
    raise ValueError(f"a schedule gives one number, the learning rate, but at step {step.item()} it gave {given}")


@closed_form(FromSchedule)
def from_schedule_curve(e: Wanted) -> Curve:
    """:class:`FromSchedule`, whose schedule is the function already."""
    return Sets(lambda_lr(1.0, e.scheduler.schedules[e.group]))
