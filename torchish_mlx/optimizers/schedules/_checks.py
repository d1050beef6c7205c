"""What torch's schedulers refuse, in its words: for the pure schedules, and for the schedulers over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def check_constant(factor: float) -> None:
    """The factor of ``ConstantLR``."""
    if not 0 <= factor <= 1.0:
        raise ValueError("Constant multiplicative factor expected to be between 0 and 1.")


def check_linear(start_factor: float, end_factor: float) -> None:
    """The factors of ``LinearLR``."""
    if not 0 < start_factor <= 1.0:
        raise ValueError("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.")
    if not 0 <= end_factor <= 1.0:
        raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")


def check_restarts(T_0: Any, T_mult: Any, eta_min: Any) -> None:
    """The arguments of ``CosineAnnealingWarmRestarts``."""
    if T_0 <= 0 or not isinstance(T_0, int):
        raise ValueError(f"Expected positive integer T_0, but got {T_0}")
    if T_mult < 1 or not isinstance(T_mult, int):
        raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
    if not isinstance(eta_min, (float, int)):
        raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")


def check_cycle(mode: Any, scale_fn: Any) -> None:
    """The mode of ``CyclicLR``."""
    if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
        raise ValueError("mode is invalid and scale_fn is None")


def check_strategy(strategy: Any) -> None:
    """How ``OneCycleLR`` and ``SWALR`` go from one rate to another."""
    if strategy not in ("cos", "linear"):
        raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {strategy}")


def check_anneal_epochs(epochs: Any) -> None:
    """How long ``SWALR`` takes."""
    if not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"anneal_epochs must be equal or greater than 0, got {epochs}")


def length_of_cycle(total_steps: Any, epochs: Any, steps_per_epoch: Any, pct_start: Any, anneal_strategy: Any) -> int:
    """The steps of one cycle, from the arguments of ``OneCycleLR``."""
    if total_steps is not None:
        if total_steps <= 0 or not isinstance(total_steps, int):
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
    elif epochs is None or steps_per_epoch is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    else:
        for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"Expected positive integer {name}, but got {value}")
        total_steps = epochs * steps_per_epoch
    if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
        raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
    check_strategy(anneal_strategy)
    return total_steps


def check_milestones(name: str, schedules: Sequence[Any], milestones: Sequence[int]) -> None:
    """The milestones of ``SequentialLR``. In unsorted ones torch's bisection would find a wrong one."""
    if len(milestones) != len(schedules) - 1:
        raise ValueError(
            "Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
            f"points, but got number of schedulers {len(schedules)} and the number of milestones to be equal to "
            f"{len(milestones)}"
        )
    if list(milestones) != sorted(milestones):
        raise ValueError(f"{name} expects milestones in increasing order, but got {milestones}")
