"""Schedulers that multiply the rate as it is: they can be chained, and keep changes from outside."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable

from ...optimizers.schedules._checks import check_constant, check_linear
from ..optimizer import Optimizer
from ._base import _Factors


def _check_total(name: str, total: float) -> None:
    """torch takes a negative number, and the schedule never ends."""
    if total < 0:
        raise ValueError(f"{name} expected to be greater than or equal to 0, but got {total}")


class StepLR(_Factors):
    """``lr_n = lr_0 * gamma ** (n // step_size)``

    Args:
        optimizer: see :class:`LRScheduler`.
        step_size (int): epochs between two decays.
        gamma (float): the factor of a decay.
        last_epoch (int): see :class:`LRScheduler`.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [1.0, 1.0, 0.5, 0.5, 0.25]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.step_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``step_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.StepLR``.
    """

    _keys = ("step_size", "gamma")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self.last_epoch == 0 or self.last_epoch % self.step_size else self.gamma

    def _total(self) -> float:
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(_Factors):
    """``lr_n = lr_0 * gamma ** (number of milestones <= n)``

    Args:
        optimizer: see :class:`LRScheduler`.
        milestones (iterable of int): epochs of the decays; one that is listed twice counts twice.
        gamma (float): the factor of a decay.
        last_epoch (int): see :class:`LRScheduler`.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [1.0, 0.5, 0.5, 0.25, 0.25]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.multi_step_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``multi_step_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.MultiStepLR``.
    """

    _keys = ("milestones", "gamma")

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return self.gamma ** self.milestones[self.last_epoch] if self.last_epoch in self.milestones else None

    def _total(self) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ConstantLR(_Factors):
    """``lr_n = lr_0 * factor`` before the epoch ``total_iters``, and ``lr_0`` from then on.

    Args:
        optimizer: see :class:`LRScheduler`.
        factor (float): in [0, 1].
        total_iters (int): how many epochs the factor holds.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.5, 0.5, 1.0, 1.0]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.constant_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``constant_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.ConstantLR``.
    """

    _keys = ("factor", "total_iters")

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        check_constant(factor)
        _check_total("total_iters", total_iters)
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else None

    def _total(self) -> float:
        return self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)


class LinearLR(_Factors):
    """``lr_n = lr_0 * (start_factor + (end_factor - start_factor) * min(n, total_iters) / total_iters)``

    Args:
        optimizer: see :class:`LRScheduler`.
        start_factor (float): the first factor, in (0, 1].
        end_factor (float): the last factor, in [0, 1].
        total_iters (int): epochs until the last factor is reached.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.5, 0.75, 1.0, 1.0]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.linear_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``linear_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.LinearLR``.
    """

    _keys = ("start_factor", "end_factor", "total_iters")

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_linear(start_factor, end_factor)
        _check_total("total_iters", total_iters)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        change = self.end_factor - self.start_factor
        return 1.0 + change / (self.total_iters * self.start_factor + (self.last_epoch - 1) * change)

    def _total(self) -> float:
        change = self.end_factor - self.start_factor
        return self.start_factor + change * min(self.total_iters, self.last_epoch) / self.total_iters


class ExponentialLR(_Factors):
    """``lr_n = lr_0 * gamma ** n``

    Args:
        optimizer: see :class:`LRScheduler`.
        gamma (float): the factor of every epoch.
        last_epoch (int): see :class:`LRScheduler`.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.exponential_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``exponential_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.ExponentialLR``.
    """

    _keys = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self._is_initial else self.gamma

    def _total(self) -> float:
        return self.gamma**self.last_epoch


class PolynomialLR(_Factors):
    """``lr_n = lr_0 * (1 - min(n, total_iters) / total_iters) ** power``

    Args:
        optimizer: see :class:`LRScheduler`.
        total_iters (int): epochs until the rate is 0.
        power (float): of the polynomial.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        ValueError: ``total_iters`` is negative.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=1.0)
        >>> scheduler = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5625]

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.polynomial_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``polynomial_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.PolynomialLR``.
    """

    _keys = ("total_iters", "power")

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        _check_total("total_iters", total_iters)
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        left, before = (1.0 - n / self.total_iters for n in (self.last_epoch, self.last_epoch - 1))
        return (left / before) ** self.power

    def _total(self) -> float:
        return (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power
