"""Schedules that multiply the learning rate, and that of a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import mlx.core as mx

from ._checks import check_constant, check_linear
from ._curves import Schedule, count, number, power_of_ratio, powers, single, whole


def lambda_lr(lr: float, lr_lambda: Callable[[Any], Any]) -> Schedule:
    """``lr * lr_lambda(n)``

    Args:
        lr: the initial learning rate.
        lr_lambda: the factor of a step, as a function of an int64 array, in float32; to be compiled it may use no
            more than operators and MLX's functions.

    Raises:
        TypeError: ``lr_lambda`` is not callable.

    Example:
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.lambda_lr(0.5, lambda n: 1 / (1 + n))(3).item()
        0.125

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.LambdaLR`.

    Source: ``torch.optim.lr_scheduler.LambdaLR``.
    """
    lr = number("lr", lr)
    if not callable(lr_lambda):
        raise TypeError(f"lr_lambda should be a function, but got {type(lr_lambda).__name__}")

    def schedule(step: Any) -> mx.array:
        n = whole(step)
        factor = lr_lambda(n)
        if not isinstance(factor, mx.array):
            factor = mx.full(n.shape, factor, mx.float32)
        return lr * single(factor)

    return schedule


def step_lr(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """``lr * gamma ** (n // step_size)``

    Args:
        lr: the initial learning rate.
        step_size: steps between two decays, at least 1.
        gamma: the factor of a decay.

    Raises:
        ValueError: ``step_size`` is not a positive whole number.

    Example:
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.step_lr(1.0, step_size=2, gamma=0.5)(5).item()
        0.25

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.StepLR`.

    Source: ``torch.optim.lr_scheduler.StepLR``.
    """
    size, power = count("step_size", step_size, 1), powers(number("gamma", gamma), number("lr", lr))
    return lambda step: power(whole(step) // size)


def multi_step_lr(lr: float, milestones: Iterable[int], gamma: float = 0.1) -> Schedule:
    """``lr * gamma ** (number of milestones <= n)``

    Args:
        lr: the initial learning rate.
        milestones: steps of the decays; one that is listed twice counts twice. One that no step is equal to
            (-1, 2.5) does not count, as with the scheduler.
        gamma: the factor of a decay.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.multi_step_lr(1.0, milestones=[3, 6], gamma=0.5)(mx.array([2, 3, 6])).tolist()
        [1.0, 0.5, 0.25]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.MultiStepLR`.

    Source: ``torch.optim.lr_scheduler.MultiStepLR``.
    """
    passed = milestones_passed(milestones)
    power = powers(number("gamma", gamma), number("lr", lr))
    return lambda step: power(passed(whole(step)))


def milestones_passed(milestones: Iterable[int]) -> Callable[[mx.array], mx.array]:
    """``n -> number of milestones <= n``"""
    reached = sorted(int(m) for m in milestones if m >= 0 and m == int(m))  # a scheduler looks for n among them
    listed = mx.array(reached or [0], mx.int64)
    if not reached:
        return mx.zeros_like
    return lambda n: (n[..., None] >= listed).sum(axis=-1)


def constant_lr(lr: float, factor: float = 1.0 / 3, total_iters: int = 5) -> Schedule:
    """``lr * factor`` before the step ``total_iters``, and ``lr`` from then on.

    With ``total_iters=0`` the factor stays forever, as with the scheduler.

    Args:
        lr: the learning rate.
        factor: in [0, 1]. (From 0, torch's scheduler fails to come back: it divides by the factor.)
        total_iters: how many steps the factor holds.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.constant_lr(1.0, factor=0.5, total_iters=2)(mx.arange(4)).tolist()
        [0.5, 0.5, 1.0, 1.0]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.ConstantLR`.

    Source: ``torch.optim.lr_scheduler.ConstantLR``.
    """
    lr, factor = number("lr", lr), number("factor", factor)
    check_constant(factor)
    total = count("total_iters", total_iters)
    later = lr if total else lr * factor
    return lambda step: mx.where(whole(step) < total, lr * factor, later)


def linear_lr(lr: float, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5) -> Schedule:
    """``lr * (start_factor + (end_factor - start_factor) * min(n, total_iters) / total_iters)``

    With ``total_iters=0`` it stays at the first factor, as the scheduler does.

    Args:
        lr: the learning rate.
        start_factor: the first factor, in (0, 1].
        end_factor: the last factor, in [0, 1].
        total_iters: steps until the last factor is reached.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.linear_lr(1.0, start_factor=0.5, total_iters=2)(mx.arange(4)).tolist()
        [0.5, 0.75, 1.0, 1.0]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.LinearLR`.

    Source: ``torch.optim.lr_scheduler.LinearLR``.
    """
    lr, start, end = number("lr", lr), number("start_factor", start_factor), number("end_factor", end_factor)
    check_linear(start, end)
    total = count("total_iters", total_iters)
    first, last = lr * start, lr * (end if total else start)
    fall, rise = first / max(total, 1), last / max(total, 1)

    def schedule(step: Any) -> mx.array:
        n = mx.minimum(whole(step), total)
        return mx.where(n == total, last, fall * single(total - n) + rise * single(n))

    return schedule


def exponential_lr(lr: float, gamma: float) -> Schedule:
    """``lr * gamma ** n``

    Args:
        lr: the initial learning rate.
        gamma: the factor of every step.

    Example:
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.exponential_lr(1.0, gamma=0.5)(3).item()
        0.125

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.ExponentialLR`.

    Source: ``torch.optim.lr_scheduler.ExponentialLR``.
    """
    power = powers(number("gamma", gamma), number("lr", lr))
    return lambda step: power(whole(step))


def polynomial_lr(lr: float, total_iters: int = 5, power: float = 1.0) -> Schedule:
    """``lr * (1 - min(n, total_iters) / total_iters) ** power``

    With ``total_iters=0`` it stays at ``lr``, as the scheduler does.

    Args:
        lr: the initial learning rate.
        total_iters: steps until the learning rate is 0.
        power: of the polynomial, 0 or more.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.polynomial_lr(1.0, total_iters=4, power=2)(mx.array([0, 1, 4])).tolist()
        [1.0, 0.5625, 0.0]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.PolynomialLR`.

    Source: ``torch.optim.lr_scheduler.PolynomialLR``.
    """
    total, exponent, lr = count("total_iters", total_iters), number("power", power), number("lr", lr)
    if not exponent >= 0:
        raise ValueError(f"power expected to be 0 or more, but got {power}")
    if not total:
        return constant_lr(lr, 1.0, 0)
    curve = power_of_ratio(total, exponent, lr)
    return lambda step: curve(total - mx.minimum(whole(step), total))
