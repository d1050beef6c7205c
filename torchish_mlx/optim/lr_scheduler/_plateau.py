"""The scheduler that uses a measurement instead of the epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal, SupportsFloat

from ..optimizer import Optimizer
from ._base import (
    EPOCH_DEPRECATION_WARNING,
    LRScheduler,
    _checked,
    _param_groups_val_list,
    _update_param_group_val,
)


class ReduceLROnPlateau(LRScheduler):
    """``lr <- max(lr * factor, min_lr)`` when a metric has not improved for more than ``patience`` steps.

    Improved means, in mode "min": below ``best * (1 - threshold)`` ("rel") or ``best - threshold`` ("abs"); in mode
    "max": above ``best * (1 + threshold)`` or ``best + threshold``.

    Args:
        optimizer: see :class:`LRScheduler`.
        mode (str): "min" or "max": which way the metric should go.
        factor (float): less than 1.
        patience (int): how many steps without improvement are allowed.
        threshold (float): the least change that counts.
        threshold_mode (str): "rel" or "abs".
        cooldown (int): steps after a reduction in which nothing is counted.
        min_lr (float or list): the lowest rate of all groups, or of each.
        eps (float): a smaller reduction than this is not made.

    Raises:
        ValueError: an argument out of its range, or a list of another length than the groups.
        TypeError: not an optimizer.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        >>> for loss in (1.0, 1.0, 1.0):
        ...     scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.1]

    It is no function of the step, because it depends on the metrics: ``reduce_lr_on_plateau_curve`` in
    ``_closed_forms.py`` refuses it.

    Source: ``torch.optim.lr_scheduler.ReduceLROnPlateau``.
    """

    _keys = ("factor", "min_lrs", "patience", "cooldown", "best", "num_bad_epochs")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        self.factor = factor
        self.optimizer = _checked(optimizer)
        count = len(optimizer.param_groups)
        if not isinstance(min_lr, (list, tuple)):
            self.default_min_lr: float | None = min_lr
            self.min_lrs = [min_lr] * count
        elif len(min_lr) != count:
            raise ValueError(f"expected {count} min_lrs, got {len(min_lr)}")
        else:
            self.default_min_lr = None
            self.min_lrs = list(min_lr)
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = _param_groups_val_list(optimizer, "lr")
        self._init_is_better(mode=mode, threshold=threshold, threshold_mode=threshold_mode)
        self._reset()

    def _reset(self) -> None:
        """Forget the best metric and the counts."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take the metric of one more epoch.

        Args:
            metrics: a number, or an array or Tensor of one element (which is evaluated).
            epoch (int, optional): deprecated in torch; what ``last_epoch`` becomes.

        Raises:
            RuntimeError: groups were added and ``min_lr`` was a list; nothing is changed.
        """
        current = float(metrics)
        if epoch is None:
            epoch = self.last_epoch + 1
        else:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        before = dict(self.__dict__)
        try:
            self._take(current, epoch)
        except BaseException:
            self.__dict__.update(before)
            raise

    def _take(self, current: float, epoch: int) -> None:
        self.last_epoch = epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr(epoch)
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = _param_groups_val_list(self.optimizer, "lr")

    def _reduce_lr(self, epoch: int) -> None:  # noqa: ARG002 (a name that users' subclasses override)
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when "
                    f"`ReduceLROnPlateau` was initialized ({len(self.min_lrs)}), usually due to a new param group "
                    "being added to the optimizer. Please modify the `min_lrs` field to match the length of the "
                    "`optimizer` param groups."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, lowest in zip(groups, self.min_lrs, strict=True):
            held = float(group["lr"])
            new = max(held * self.factor, lowest)
            if held - new > self.eps:
                _update_param_group_val(group, "lr", new)

    @property
    def in_cooldown(self) -> bool:
        """Whether the last reduction is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def _is_better(self, a: float, best: float) -> bool:
        if self.threshold_mode == "rel":
            return a < best * (1.0 - self.threshold) if self.mode == "min" else a > best * (self.threshold + 1.0)
        return a < best - self.threshold if self.mode == "min" else a > best + self.threshold

    def _init_is_better(self, mode: Any, threshold: float, threshold_mode: Any) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        self.mode_worse = float("inf") if mode == "min" else -float("inf")
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode

    def _take_over(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_over(state_dict)
        self._init_is_better(mode=self.mode, threshold=self.threshold, threshold_mode=self.threshold_mode)
