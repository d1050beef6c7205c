"""Cycles of the learning rate, without end or just one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import mlx.core as mx

from ._checks import check_cycle, length_of_cycle
from ._curves import Schedule, anneal, count, number, powers, single, whole


def cyclic_lr(
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[Any], Any] | None = None,
    scale_mode: Literal["cycle", "iterations"] = "cycle",
) -> Schedule:
    """``base_lr + (max_lr - base_lr) * triangle(n) * scale``: up in ``step_size_up`` steps and down again, for ever

    The momentum that the scheduler moves with it is ``cyclic_lr(max_momentum, base_momentum, ...)``.

    Args:
        base_lr: the learning rate at both ends of a cycle.
        max_lr: that at the peak of the first cycle.
        step_size_up: steps of the rise, at least 1.
        step_size_down: steps of the fall; by default as many.
        mode: ``"triangular"``: scale 1; ``"triangular2"``: half as high after each cycle; ``"exp_range"``:
            ``gamma ** n``.
        gamma: of ``"exp_range"``.
        scale_fn: a scale of your own, instead of ``mode``, as a function of an int64 array: of the number of the cycle,
            from 1, or of the step.
        scale_mode: ``"cycle"`` or ``"iterations"``: which of the two ``scale_fn`` gets.

    Raises:
        ValueError: no such mode, or a number of steps that is not whole.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> schedule = schedules.cyclic_lr(0.5, 1.0, step_size_up=2, mode="triangular2")
        >>> [round(x, 4) for x in schedule(mx.arange(8)).tolist()]
        [0.5, 0.75, 1.0, 0.75, 0.5, 0.625, 0.75, 0.625]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.CyclicLR`.

    Source: ``torch.optim.lr_scheduler.CyclicLR``; Smith, arXiv:1506.01186.
    """
    low, high = number("base_lr", base_lr), number("max_lr", max_lr)
    up = count("step_size_up", step_size_up, 1)
    down = up if step_size_down is None else count("step_size_down", step_size_down)
    check_cycle(mode, scale_fn)
    by_cycle = scale_mode == "cycle" if scale_fn else mode != "exp_range"
    scale = scale_fn or powers({"triangular": 1.0, "triangular2": 0.5, "exp_range": gamma}[mode])

    def schedule(step: Any) -> mx.array:
        n = whole(step)
        cycle, phase = n // (up + down), n % (up + down)
        rising = phase <= up
        share = mx.where(rising, single(phase) / up, single(up + down - phase) / max(down, 1))
        rest = mx.where(rising, single(up - phase) / up, single(phase - up) / max(down, 1))
        height = single(mx.array(scale((cycle + 1 if scale_fn else cycle) if by_cycle else n)))
        return high * (height * share) + low * ((1 - height) + height * rest)

    return schedule


def one_cycle_lr(
    max_lr: float,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """From ``max_lr / div_factor`` up to ``max_lr``, and down to ``max_lr / div_factor / final_div_factor``

    Past ``total_steps``, where torch's scheduler raises, it stays at the last and lowest value. The momentum that the
    scheduler moves with it is ``one_cycle_lr(base_momentum, ..., div_factor=base_momentum / max_momentum,
    final_div_factor=1.0)``.

    Args:
        max_lr: the peak.
        total_steps: steps of the cycle, or None for a product of the next two.
        epochs: how often the data is gone through.
        steps_per_epoch: how many steps that takes.
        pct_start: the share of the steps that the rise takes, a float in [0, 1].
        anneal_strategy: ``"cos"`` or ``"linear"``.
        div_factor: the peak over the first value.
        final_div_factor: the first value over the last.
        three_phase: fall to the first value in as many steps as the rise took, and then on to the last.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx.optimizers import schedules
        >>> schedule = schedules.one_cycle_lr(1.0, total_steps=10, pct_start=0.4, div_factor=4.0, final_div_factor=2.5)
        >>> [round(x, 4) for x in schedule(mx.array([0, 3, 9])).tolist()]
        [0.25, 1.0, 0.1]

    The scheduler that writes these rates: :class:`~torchish_mlx.optim.lr_scheduler.OneCycleLR`.

    Source: ``torch.optim.lr_scheduler.OneCycleLR``; Smith and Topin, arXiv:1708.07120.
    """
    total = length_of_cycle(total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy)
    high = number("max_lr", max_lr)
    first = high / div_factor
    values = [first, high, first, first / final_div_factor] if three_phase else [first, high, first / final_div_factor]
    ends = ends_of_phases(total, pct_start, three_phase)
    if ends[0] == 0:
        raise ValueError(
            f"pct_start * total_steps is 1, and the rise has no length (torch divides by it); got {pct_start} * {total}"
        )
    return phases(ends, values, anneal_strategy, total)


def ends_of_phases(total: int, pct_start: float, three_phase: bool) -> list[float]:
    """The steps, which need not be whole, at which the phases of one cycle end."""
    falls = [float(2 * pct_start * total) - 2] if three_phase else []
    return [float(pct_start * total) - 1, *falls, total - 1]


def phases(ends: Sequence[float], values: Sequence[float], strategy: str, total: int) -> Schedule:
    """From ``values[i]`` at the end of a phase to ``values[i + 1]`` at ``ends[i]``; the first begins at 0.

    At the step ``total`` the last phase goes on, as torch's does; past it, it stays at what was reached before.
    """
    share = anneal(strategy)
    parts = list(zip([0.0, *ends[:-1]], ends, values[:-1], values[1:], strict=True))

    def schedule(step: Any) -> mx.array:
        n = whole(step)
        n = mx.where(n > total, total - 1, n)
        out = None
        for start, end, a, b in reversed(parts):
            # Distances from both ends. Each is a whole number and a fraction, because the ends are not whole steps.
            behind = single(n - math.ceil(start)) + (math.ceil(start) - start)
            ahead = single(math.floor(end) - n) + (end - math.floor(end))
            length = end - start or math.inf
            value = a * share(ahead, length) + b * share(behind, length)
            out = value if out is None else mx.where(n <= math.floor(end), value, out)
        return single(out)

    return schedule
