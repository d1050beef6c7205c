"""``SWALR``: a scheduler that goes to a constant learning rate, for averaging."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..._core.undo import undone_on_error
from ...optimizers import schedules
from ...optimizers.schedules._checks import check_anneal_epochs, check_strategy
from ..lr_scheduler._base import (
    LRScheduler,
    _checked,
    _format_param,
    _warn_get_lr_called_within_step,
    kept,
)
from ..lr_scheduler._curve import MADE, Anneals, Curve, NoClosedForm
from ..lr_scheduler._schedule import Wanted, closed_form, lr
from ..optimizer import Optimizer


class SWALR(LRScheduler):
    """Goes from each group's learning rate to ``swa_lr`` in ``anneal_epochs`` steps, and stays there.

    ``lr_n = a(n / anneal_epochs) * swa_lr + (1 - a(n / anneal_epochs)) * lr_0``, with ``a(t) = (1 - cos(pi t)) / 2``
    or ``a(t) = t``, written so that it starts from whatever the rate is: another scheduler may have moved it before.

    Args:
        optimizer: see :class:`.LRScheduler`.
        swa_lr (float or list): where it goes, for all groups or one for each; it becomes ``group["swa_lr"]``.
        anneal_epochs (int): how many steps it takes, 0 or more.
        anneal_strategy (str): "cos" or "linear".
        last_epoch (int): see :class:`.LRScheduler`.

    Raises:
        TypeError: not an optimizer.
        ValueError: a list of another length than the groups, an unknown strategy, an invalid number of epochs.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [1.0, 0.75, 0.5, 0.5]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.swa_lr`.
    :meth:`~.LRScheduler.as_schedule` makes it from ``swa_lr_curve`` in this file.

    Source: ``torch.optim.swa_utils.SWALR``.
    """

    _keys = ("_anneal_strategy", "anneal_epochs")
    anneal_func: Callable[[float], float]

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = _checked(optimizer)
        swa_lrs = _format_param("swa_lr", optimizer, swa_lr)
        self._set_anneal_func(anneal_strategy)
        check_anneal_epochs(anneal_epochs)
        self.anneal_epochs = anneal_epochs
        with undone_on_error(kept(self)):
            for value, group in zip(swa_lrs, optimizer.param_groups, strict=True):
                group["swa_lr"] = value
            super().__init__(optimizer, last_epoch)

    @staticmethod
    def _linear_anneal(t: float) -> float:
        return t

    @staticmethod
    def _cosine_anneal(t: float) -> float:
        return (1 - math.cos(math.pi * t)) / 2

    @staticmethod
    def _get_initial_lr(lr: Any, swa_lr: Any, alpha: float) -> Any:
        return swa_lr if alpha == 1 else (lr - alpha * swa_lr) / (1 - alpha)

    def _set_anneal_func(self, anneal_strategy: str) -> None:
        check_strategy(anneal_strategy)
        self._anneal_strategy = anneal_strategy
        self.anneal_func = self._cosine_anneal if anneal_strategy == "cos" else self._linear_anneal

    def get_lr(self) -> list[Any]:
        """The learning rates of this step, from the groups' as they are."""
        _warn_get_lr_called_within_step(self)
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        length = max(1, self.anneal_epochs)
        before, now = (self.anneal_func(max(0, min(1, n / length))) for n in (step - 1, step))
        rates = []
        for group in self.optimizer.param_groups:
            initial = self._get_initial_lr(group["lr"], group["swa_lr"], before)
            rates.append(group["swa_lr"] * now + initial * (1 - now))
        return rates

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and ``anneal_func``, in torch's layout."""
        return {key: value for key, value in super().state_dict().items() if key != "anneal_func"}

    def _take_over(self, state_dict: Mapping[str, Any]) -> None:
        self._set_anneal_func(state_dict["_anneal_strategy"])
        super()._take_over(state_dict)


@closed_form(SWALR)
def swa_lr_curve(e: Wanted) -> Curve:
    """:class:`SWALR`; by itself it gives :func:`.swa_lr`, from the rate at which it began, which it does not keep."""
    s, end = e.scheduler, lr(e.scheduler.optimizer.param_groups[e.group]["swa_lr"])
    length, strategy = s.anneal_epochs, s._anneal_strategy
    if e.begin > MADE:
        raise NoClosedForm("SWALR counts its steps in a way of its own where it begins a SequentialLR within another")
    if e.begin == MADE:
        done = s.anneal_func(min(1, (s._step_count - 1) / max(1, length)))
        if e.start is None and length and done == 1:
            raise NoClosedForm("it has reached swa_lr, and the rate from which it came is not kept (ask earlier)")
        found = e.start if e.start is not None else s._get_initial_lr(lr(s._last_lr[e.group]), end, done)
        values = schedules.swa_lr(found, end, length, strategy)
        return Anneals(lambda n, _: values(n))
    before, after = schedules.swa_lr(1.0, 0.0, length, strategy), schedules.swa_lr(0.0, end, length, strategy)
    return Anneals(lambda n, start: before(n) * start() + after(n))
