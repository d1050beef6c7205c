"""Schedulers that move momentum along with the rate: ``CyclicLR`` and ``OneCycleLR``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from ..._core.undo import undone_on_error
from ...optimizers.schedules._checks import check_cycle, length_of_cycle
from ...optimizers.schedules._cycle import ends_of_phases
from ..optimizer import Optimizer
from ._base import (
    LRScheduler,
    _checked,
    _format_param,
    _update_param_group_val,
    _warn_get_lr_called_within_step,
    kept,
)
from ._lambda import saved_function


def _uses_betas(optimizer: Optimizer) -> bool:
    """Whether momentum is the first of ``betas``."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
    return "betas" in optimizer.defaults


def _set_momentum(group: dict[str, Any], value: Any, betas: bool) -> None:
    if betas:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def _begin_momentum(optimizer: Optimizer, base: list[Any], highest: list[Any], betas: bool) -> None:
    for low, high, group in zip(base, highest, optimizer.param_groups, strict=True):
        _set_momentum(group, high, betas)
        group["max_momentum"] = high
        group["base_momentum"] = low


class CyclicLR(LRScheduler):
    """The rate goes up from ``base_lr`` to ``max_lr`` and down again in straight lines; momentum the other way.

    ``lr = base_lr + (max_lr - base_lr) * height * scale``: ``height`` goes from 0 to 1 to 0 in each cycle; ``scale`` is

    - "triangular": 1,
    - "triangular2": ``1 / 2 ** (cycle - 1)``,
    - "exp_range": ``gamma ** epoch``,
    - or ``scale_fn`` of the cycle, from 1, or of the epoch (``scale_mode``).

    Args:
        optimizer: see :class:`LRScheduler`.
        base_lr (float or list): the lowest rate, of all groups or of each.
        max_lr (float or list): the highest.
        step_size_up (int): epochs of the way up.
        step_size_down (int, optional): epochs of the way down; ``step_size_up`` by default.
        mode (str): one of the three above.
        gamma (float): of "exp_range".
        scale_fn (callable, optional): takes the place of ``mode``.
        scale_mode (str): "cycle" or "iterations": what ``scale_fn`` gets.
        cycle_momentum (bool): move ``momentum``, or the first of ``betas``, from ``max_momentum`` to ``base_momentum``.
        base_momentum (float or list): the lowest momentum.
        max_momentum (float or list): the highest.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        TypeError: not an optimizer.
        ValueError: a list of another length than the groups, an unknown mode, an optimizer without momentum.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.SGD([Parameter(mx.array([1.0]))], lr=0.1, momentum=0.9)
        >>> scheduler = optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.25, max_lr=0.75, step_size_up=2)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
        (0.5, 0.8500000000000001)

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.cyclic_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``cyclic_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.CyclicLR``; "Cyclical Learning Rates", Smith, arXiv:1506.01186.
    """

    _keys = ("max_lrs", "total_size", "step_ratio", "cycle_momentum")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = _checked(optimizer)
        base_lrs = _format_param("base_lr", optimizer, base_lr)
        self.max_lrs = _format_param("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        check_cycle(mode, scale_fn)
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode: str = scale_mode
        self._init_scale_fn()
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = _uses_betas(optimizer)
            self.base_momentums = _format_param("base_momentum", optimizer, base_momentum)
            self.max_momentums = _format_param("max_momentum", optimizer, max_momentum)
        with undone_on_error(kept(self)):
            if last_epoch == -1:
                for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                    _update_param_group_val(group, "lr", lr)
                if cycle_momentum:
                    _begin_momentum(optimizer, self.base_momentums, self.max_momentums, self.use_beta1)
            super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _init_scale_fn(self) -> None:
        if self._scale_fn_custom is not None:
            return
        self._scale_fn_ref: Callable[[float], float]
        if self.mode == "exp_range":
            self._scale_fn_ref = partial(self._exp_range_scale_fn, self.gamma)
            self.scale_mode = "iterations"
        else:
            triangular = self.mode == "triangular"
            self._scale_fn_ref = self._triangular_scale_fn if triangular else self._triangular2_scale_fn
            self.scale_mode = "cycle"

    def scale_fn(self, x: float) -> float:
        """What scales the height of a cycle: of its number, or of the epoch."""
        return self._scale_fn_ref(x) if self._scale_fn_custom is None else self._scale_fn_custom(x)

    @staticmethod
    def _triangular_scale_fn(_: float) -> float:
        return 1.0

    @staticmethod
    def _triangular2_scale_fn(x: float) -> float:
        return 1 / (2.0 ** (x - 1))

    @staticmethod
    def _exp_range_scale_fn(gamma: float, x: float) -> float:
        return gamma**x

    def get_lr(self) -> list[Any]:
        """The rates of ``last_epoch``; sets the momentum of every group."""
        _warn_get_lr_called_within_step(self)
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        rates = [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]
        if self.cycle_momentum:
            momentums = [
                high - (high - low) * height * scale
                for low, high in zip(self.base_momentums, self.max_momentums, strict=True)
            ]
            for group, momentum in list(zip(self.optimizer.param_groups, momentums, strict=True)):
                _set_momentum(group, momentum, self.use_beta1)
        return rates

    def state_dict(self) -> dict[str, Any]:
        """As torch saves it: ``_scale_fn_custom`` is None for a function, ``__dict__`` for a callable object."""
        state = super().state_dict()
        state.pop("_scale_fn_ref", None)
        state["_scale_fn_custom"] = saved_function(state.pop("_scale_fn_custom"))
        return state

    def _take_over(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_over({key: value for key, value in state_dict.items() if key != "_scale_fn_custom"})
        saved = state_dict.get("_scale_fn_custom")
        if saved is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(saved)
        self._init_scale_fn()


class OneCycleLR(LRScheduler):
    """One rise and one fall over a whole training; momentum goes the other way. Step it after every batch.

    From ``max_lr / div_factor`` up to ``max_lr`` in the first ``pct_start`` of all steps, then down to
    ``max_lr / (div_factor * final_div_factor)``; with ``three_phase`` first back to where it began, as fast as it rose.

    Args:
        optimizer: see :class:`LRScheduler`.
        max_lr (float or list): the highest rate, of all groups or of each.
        total_steps (int, optional): of the whole training; or else
        epochs, steps_per_epoch (int, optional): whose product is ``total_steps``.
        pct_start (float): share of the steps that the rise takes, in [0, 1].
        anneal_strategy (str): "cos" or "linear".
        cycle_momentum (bool): move ``momentum``, or the first of ``betas``, from ``max_momentum`` to ``base_momentum``
            and back.
        base_momentum (float or list): the lowest momentum.
        max_momentum (float or list): the highest.
        div_factor (float): by which the first rate is below ``max_lr``.
        final_div_factor (float): by which the last rate is below the first.
        three_phase (bool): see above.
        last_epoch (int): see :class:`LRScheduler`.

    Raises:
        TypeError: not an optimizer.
        ValueError: an argument out of its range, no number of steps, an optimizer without momentum; and ``step()``
            past the end, which changes nothing.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> optimizer = optim.AdamW([Parameter(mx.array([1.0]))])
        >>> scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=11, pct_start=0.5)
        >>> for _ in range(4):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> round(optimizer.param_groups[0]["lr"], 3), round(optimizer.param_groups[0]["betas"][0], 3)
        (0.971, 0.853)

    The same as a function of the step: :func:`~torchish_mlx.optimizers.schedules.one_cycle_lr`.
    :meth:`~LRScheduler.as_schedule` makes it from ``one_cycle_lr_curve`` in ``_closed_forms.py``.

    Source: ``torch.optim.lr_scheduler.OneCycleLR``; "Super-Convergence", Smith and Topin, arXiv:1708.07120.
    """

    _keys = ("total_steps", "_schedule_phases", "cycle_momentum")

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = _checked(optimizer)
        self.total_steps = length_of_cycle(total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type: str = anneal_strategy
        highest = _format_param("max_lr", optimizer, max_lr)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = _uses_betas(optimizer)
            max_momentums = _format_param("max_momentum", optimizer, max_momentum)
            base_momentums = _format_param("base_momentum", optimizer, base_momentum)
        with undone_on_error(kept(self)):
            if last_epoch == -1:
                for group, high in zip(optimizer.param_groups, highest, strict=True):
                    group["initial_lr"] = high / div_factor
                    group["max_lr"] = high
                    group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    _begin_momentum(optimizer, base_momentums, max_momentums, self.use_beta1)
            super().__init__(optimizer, last_epoch)

    def _anneal_func(self, start: Any, end: Any, pct: float) -> Any:
        kind = self.__dict__.get("_anneal_func_type")
        if kind is None:  # a scheduler that an old version of torch saved
            return self.anneal_func(start, end, pct)  # type: ignore[attr-defined]
        return self._annealing_cos(start, end, pct) if kind == "cos" else self._annealing_linear(start, end, pct)

    @staticmethod
    def _annealing_cos(start: Any, end: Any, pct: float) -> Any:
        """From ``start`` to ``end`` along half a cosine, as ``pct`` goes from 0 to 1."""
        return end + (start - end) / 2.0 * (math.cos(math.pi * pct) + 1)

    @staticmethod
    def _annealing_linear(start: Any, end: Any, pct: float) -> Any:
        """From ``start`` to ``end`` in a straight line, as ``pct`` goes from 0 to 1."""
        return (end - start) * pct + start

    def get_lr(self) -> list[Any]:
        """The rates of ``last_epoch``; sets the momentum of every group. ValueError past the end."""
        _warn_get_lr_called_within_step(self)
        n = self.last_epoch
        if n > self.total_steps:
            raise ValueError(f"Tried to step {n} times. The specified number of total steps is {self.total_steps}")
        start, phase = 0.0, self._schedule_phases[0]
        for following in self._schedule_phases[1:]:
            if n <= phase["end_step"]:
                break
            start, phase = phase["end_step"], following
        pct = (n - start) / (phase["end_step"] - start)
        groups = self.optimizer.param_groups
        rates = [self._anneal_func(group[phase["start_lr"]], group[phase["end_lr"]], pct) for group in groups]
        if self.cycle_momentum:
            momentums = [
                self._anneal_func(group[phase["start_momentum"]], group[phase["end_momentum"]], pct) for group in groups
            ]
            for group, momentum in zip(groups, momentums, strict=True):
                _set_momentum(group, momentum, self.use_beta1)
        return rates


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and between which entries of a group it goes."""
    rates = ["initial_lr", "max_lr", "min_lr"]
    momentums = ["max_momentum", "base_momentum", "max_momentum"]
    if three_phase:
        rates.insert(2, "initial_lr")
        momentums.append("max_momentum")
    return [
        {
            "end_step": end,
            "start_lr": rates[i],
            "end_lr": rates[i + 1],
            "start_momentum": momentums[i],
            "end_momentum": momentums[i + 1],
        }
        for i, end in enumerate(ends_of_phases(total_steps, pct_start, three_phase))
    ]
