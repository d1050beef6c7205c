"""Cosine annealing, with and without restarts."""

from __future__ import annotations

import math
from typing import Any

from ...optimizers.schedules._checks import check_restarts
from ..optimizer import Optimizer
from ._base import LRScheduler, _param_groups_val_list, _warn_get_lr_called_within_step


class CosineAnnealingLR(LRScheduler):
    """``lr_n = eta_min + (lr_0 - eta_min) * (1 + cos(pi * n / T_max)) / 2``

    Each rate comes from the one before, so that other schedulers may act on it too; as in torch it rises again after
    ``T_max``.

    Args:
        optimizer: see :class:`LRScheduler`.
        T_max (int): epochs until ``eta_min`` is reached.
        eta_min (float): the lowest rate.
        last_epoch (int): see :class:`LRScheduler`.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> round(scheduler.get_last_lr()[0], 12)
        0.5

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.cosine_annealing_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``cosine_annealing_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.CosineAnnealingLR``; "SGDR", Loshchilov and Hutter, arXiv:1608.03983.
    """

    _keys = ("T_max", "eta_min")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """From the groups' rates as they are; from the initial ones right after a restart of the scheduler."""
        _warn_get_lr_called_within_step(self)
        n, period, low = self.last_epoch, self.T_max, self.eta_min
        groups = self.optimizer.param_groups
        if self._is_initial:
            return _param_groups_val_list(self.optimizer, "lr")
        if self._step_count == 1 and n > 0:
            return self._get_closed_form_lr()
        if (n - 1 - period) % (2 * period) == 0:  # the rate is eta_min, and says nothing of the amplitude
            rise = 1 - math.cos(math.pi / period)
            return [g["lr"] + (lr - low) * rise / 2 for lr, g in zip(self.base_lrs, groups, strict=True)]
        ratio = (1 + math.cos(math.pi * n / period)) / (1 + math.cos(math.pi * (n - 1) / period))
        return [ratio * (group["lr"] - low) + low for group in groups]

    def _get_closed_form_lr(self) -> list[Any]:
        height = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (lr - self.eta_min) * height / 2 for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """``lr_n = eta_min + (lr_0 - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2``, which restarts after each ``T_i`` epochs

    ``T_0`` is the first period, and each is ``T_mult`` times the one before. ``step(epoch)`` takes fractions, which
    makes the rate move within an epoch: ``scheduler.step(epoch + i / iters)``.

    Args:
        optimizer: see :class:`LRScheduler`.
        T_0 (int): epochs until the first restart, at least 1.
        T_mult (int): by how much a period is longer than the one before, at least 1.
        eta_min (float): the lowest rate.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        ValueError: an argument, or the epoch of a step, out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
        >>> optimizer.step()
        >>> scheduler.step(0.5)
        >>> round(scheduler.get_last_lr()[0], 4), scheduler.last_epoch
        (0.8536, 0)

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.cosine_annealing_warm_restarts`.
    :meth:`~LRScheduler.as_schedule` makes it from ``cosine_annealing_warm_restarts_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts``; Loshchilov and Hutter, arXiv:1608.03983.
    """

    _keys = ("T_0", "T_i", "T_mult", "eta_min", "T_cur")

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check_restarts(T_0, T_mult, eta_min)
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The rates at ``T_cur`` epochs after the last restart."""
        _warn_get_lr_called_within_step(self)
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (lr - self.eta_min) * height / 2 for lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next epoch, or to ``epoch``, which may be a fraction and is not deprecated here.

        Raises:
            ValueError: ``epoch`` is negative; nothing is changed.
        """
        before = self.last_epoch, self.T_cur, self.T_i
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        elif epoch < self.T_0:
            self.T_i = self.T_0
            self.T_cur = epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            restarts = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**restarts - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**restarts
        try:
            self._update_lr(math.floor(epoch))
        except BaseException:
            self.last_epoch, self.T_cur, self.T_i = before
            raise
