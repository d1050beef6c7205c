"""Schedules made of schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from ._checks import check_milestones
from ._curves import Schedule, single, whole


def sequential_lr(schedules: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """One schedule after the other: each begins, from its own step 0, at its milestone.

    Args:
        schedules: at least one; ours, MLX's, or any function of an integer array.
        milestones: the steps at which all but the first begin, in increasing order.

    Raises:
        ValueError: no schedule, another number of milestones, or unsorted ones.
        TypeError: one that is not callable.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> parts = [schedules.linear_lr(1.0, 0.5, total_iters=2), schedules.exponential_lr(1.0, gamma=0.5)]
        >>> schedule = schedules.sequential_lr(parts, milestones=[2])
        >>> schedule(mx.arange(5)).tolist()
        [0.5, 0.75, 1.0, 0.5, 0.25]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.SequentialLR`.

    Source: ``torch.optim.lr_scheduler.SequentialLR``.
    """
    _check_schedules("SequentialLR expects at least one scheduler, but got no scheduler.", schedules)
    check_milestones("SequentialLR", schedules, milestones)

    def schedule(step: Any) -> mx.array:
        n = whole(step)
        value = single(mx.array(schedules[0](n)))
        for begin, later in zip(milestones, schedules[1:], strict=True):
            value = mx.where(n >= begin, single(mx.array(later(mx.maximum(n - begin, 0)))), value)
        return value

    return schedule


def chained_scheduler(schedules: Sequence[Schedule]) -> Schedule:
    """The product of several schedules: the first carries the learning rate, the others are made with one of 1.

    That is what torch's class does with schedulers that multiply. With others it does something else
    (``LambdaLR`` and those after it in the chain, ``CosineAnnealingLR`` after its first trough): for them take
    ``scheduler.as_schedule()`` of the ``ChainedScheduler``.

    Args:
        schedules: at least one; ours, MLX's, or any function of an integer array.

    Raises:
        ValueError: no schedule.
        TypeError: one that is not callable.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> parts = [schedules.constant_lr(1.0, 0.5, total_iters=2), schedules.exponential_lr(1.0, gamma=0.5)]
        >>> schedules.chained_scheduler(parts)(mx.arange(4)).tolist()
        [0.5, 0.25, 0.25, 0.125]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.ChainedScheduler`.

    Source: ``torch.optim.lr_scheduler.ChainedScheduler``.
    """
    _check_schedules("ChainedScheduler expects at least one scheduler to be chained, but got no scheduler.", schedules)

    def schedule(step: Any) -> mx.array:
        n = whole(step)
        value = single(mx.array(schedules[0](n)))
        for other in schedules[1:]:
            value = value * single(mx.array(other(n)))
        return value

    return schedule


def _check_schedules(empty: str, schedules: Sequence[Any]) -> None:
    if not schedules:
        raise ValueError(empty)
    for i, schedule in enumerate(schedules):
        if not callable(schedule):
            raise TypeError(f"a schedule is a function of the step, but the one at index {i} is {schedule!r}")
