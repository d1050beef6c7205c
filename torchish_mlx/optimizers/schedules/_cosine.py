"""Cosine annealing, with and without restarts, and the annealing to the rate of an average."""

from __future__ import annotations

import math
from typing import Any, Literal

import mlx.core as mx

from ._checks import check_anneal_epochs, check_restarts
from ._curves import Schedule, anneal, cosine, count, hump, number, single, whole


def cosine_annealing_lr(lr: float, T_max: int, eta_min: float = 0.0) -> Schedule:
    """``eta_min + (lr - eta_min) * (1 + cos(pi * n / T_max)) / 2``, which rises again after ``T_max``

    Args:
        lr: the initial learning rate.
        T_max: steps until ``eta_min`` is reached, at least 1.
        eta_min: the lowest learning rate.

    Raises:
        ValueError: ``T_max`` is not a positive whole number.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> schedules.cosine_annealing_lr(1.0, T_max=100)(mx.array([0, 100, 200])).tolist()
        [1.0, 0.0, 1.0]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.CosineAnnealingLR`.

    Source: ``torch.optim.lr_scheduler.CosineAnnealingLR``; "SGDR", Loshchilov and Hutter, arXiv:1608.03983.
    """
    lr, period, low = number("lr", lr), count("T_max", T_max, 1), number("eta_min", eta_min)
    return lambda step: cosine(whole(step), period, lr, low)


def cosine_annealing_warm_restarts(lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Schedule:
    """``eta_min + (lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2``, again from ``lr`` after each ``T_i`` steps

    Args:
        lr: the initial learning rate.
        T_0: steps until the first restart, at least 1.
        T_mult: by how much a period is longer than the one before, at least 1.
        eta_min: the lowest learning rate.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> [round(x, 4) for x in schedules.cosine_annealing_warm_restarts(1.0, T_0=2, T_mult=2)(mx.arange(6)).tolist()]
        [1.0, 0.5, 1.0, 0.8536, 0.5, 0.1464]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.CosineAnnealingWarmRestarts`.

    Source: ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts``; Loshchilov and Hutter, arXiv:1608.03983.
    """
    check_restarts(T_0, T_mult, eta_min)
    lr, low = number("lr", lr), float(eta_min)
    lengths, starts = [T_0], [0]
    while T_mult > 1 and starts[-1] + lengths[-1] < 2**40:
        starts.append(starts[-1] + lengths[-1])
        lengths.append(lengths[-1] * T_mult)
    period, begins = mx.array(lengths, mx.int64), mx.array(starts, mx.int64)
    quarters = single([math.pi / 2 / length for length in lengths])

    def schedule(step: Any) -> mx.array:
        n = whole(step)
        if T_mult == 1:
            passed = n % T_0
            return lr * hump(T_0 - passed, T_0) + low * hump(passed, T_0)
        i = (n[..., None] >= begins).sum(axis=-1) - 1
        passed, quarter = n - mx.take(begins, i), mx.take(quarters, i)
        return lr * hump(mx.take(period, i) - passed, quarter) + low * hump(passed, quarter)

    return schedule


def swa_lr(
    lr: float, swa_lr: float, anneal_epochs: int = 10, anneal_strategy: Literal["cos", "linear"] = "cos"
) -> Schedule:
    """From ``lr``, where the averaging begins, to ``swa_lr`` in ``anneal_epochs`` steps, and constant from then on.

    Args:
        lr: the learning rate of the step at which the scheduler begins.
        swa_lr: that of the averaging.
        anneal_epochs: 0 for ``swa_lr`` at once.
        anneal_strategy: ``"cos"`` or ``"linear"``.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> [round(x, 4) for x in schedules.swa_lr(1.0, 0.5, anneal_epochs=2)(mx.arange(4)).tolist()]
        [1.0, 0.75, 0.5, 0.5]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.swa_utils.SWALR`.

    Source: ``torch.optim.swa_utils.SWALR``.
    """
    start, end, share = number("lr", lr), number("swa_lr", swa_lr), anneal(anneal_strategy)
    check_anneal_epochs(anneal_epochs)

    def schedule(step: Any) -> mx.array:
        n = mx.minimum(whole(step), anneal_epochs)
        part = start * share(anneal_epochs - n, max(anneal_epochs, 1)) + end * share(n, max(anneal_epochs, 1))
        return mx.where(n == anneal_epochs, end, part)

    return schedule
