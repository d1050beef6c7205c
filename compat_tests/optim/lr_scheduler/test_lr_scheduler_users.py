"""Schedulers that users write, as subclasses old and new, and what users do to groups: the same on both sides."""

from __future__ import annotations

import math
from typing import Any

import pytest

from compat_tests.optim.lr_scheduler.test_lr_scheduler_curves import both_sides, close, mixed, rates
from torchish_mlx.parity.scheduler_cases import Warmup


@both_sides
def test_get_lr_with_another_signature(side):
    class Steps(side.optim.lr_scheduler.LRScheduler):  # type: ignore[name-defined]
        def get_lr(self, step: int) -> list[Any]:
            return self.base_lrs

    with pytest.raises(TypeError, match="get_lr"):
        Steps(mixed(side))


@both_sides
@pytest.mark.parametrize("base", ["LRScheduler", "_LRScheduler"])
def test_a_warm_up_before_another_scheduler(side, base):
    """The kind that wraps a scheduler, sets its base rates, steps it and hands on its last rates."""

    class GradualWarmup(getattr(side.optim.lr_scheduler, base)):  # type: ignore[misc]
        def __init__(self, optimizer: Any, multiplier: float, total: int, after: Any) -> None:
            self.multiplier, self.total, self.after, self.finished = multiplier, total, after, False
            super().__init__(optimizer)

        def get_lr(self) -> list[Any]:
            if self.last_epoch > self.total:
                if not self.finished:
                    self.after.base_lrs = [lr * self.multiplier for lr in self.base_lrs]
                    self.finished = True
                return self.after.get_last_lr()
            return [lr * ((self.multiplier - 1) * self.last_epoch / self.total + 1) for lr in self.base_lrs]

        def step(self, epoch: Any = None) -> None:
            if self.finished and self.after:
                self.after.step()
                self._last_lr = self.after.get_last_lr()
            else:
                super().step(epoch)

    optimizer = side.optim.SGD([side.parameter([1.0])], lr=0.1)
    after = side.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 0.5**n)
    scheduler = GradualWarmup(optimizer, 3.0, 4, after)
    found = []
    for _ in range(8):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    close(found, [0.1, 0.15, 0.2, 0.25, 0.3, 0.1, 0.15, 0.075])


@both_sides
def test_a_subclass_that_sets_everything_before_the_base(side):
    """Old style: it reads ``_step_count`` and ``_last_lr``, and its state dict holds what it keeps."""

    class Restarting(side.optim.lr_scheduler._LRScheduler):  # type: ignore[name-defined]
        def __init__(self, optimizer: Any, period: int, last_epoch: int = -1) -> None:
            self.period, self.cycle, self.history = period, 0, []
            super().__init__(optimizer, last_epoch)

        def get_lr(self) -> list[Any]:
            self.history.append((self._step_count, self._get_lr_called_within_step, self._is_initial))
            place = self.last_epoch % self.period
            self.cycle += place == 0
            return [lr * (1 + math.cos(math.pi * place / self.period)) / 2 for lr in self.base_lrs]

    optimizer = mixed(side)
    scheduler = Restarting(optimizer, 4)
    assert scheduler.history == [(1, True, True)]
    optimizer.step()
    for _ in range(6):
        scheduler.step()
    assert scheduler.history[1:] == [(n, True, False) for n in range(2, 8)]
    assert scheduler.cycle == 2
    close(rates(optimizer), [0.025, 0.25])
    fresh = Restarting(mixed(side), 99)
    fresh.load_state_dict(scheduler.state_dict())
    assert (fresh.period, fresh.cycle, fresh.last_epoch, fresh._step_count) == (4, 2, 6, 7)
    assert set(scheduler.state_dict()) == {
        *("period", "cycle", "history", "base_lrs", "last_epoch", "_step_count", "_last_lr"),
        *("_is_initial", "_get_lr_called_within_step"),
    }


@both_sides
def test_a_subclass_whose_attributes_come_later(side):
    """Loading brings them, whatever they are called."""

    class Adaptive(side.optim.lr_scheduler.LRScheduler):  # type: ignore[name-defined]
        def get_lr(self) -> list[Any]:
            if self.last_epoch > 0:
                self.best, self.gamma, self.patience = 0.5, 0.25, 3
            return [lr * getattr(self, "gamma", 1.0) for lr in self.base_lrs]

    optimizer = mixed(side)
    scheduler = Adaptive(optimizer)
    optimizer.step()
    scheduler.step()
    fresh = Adaptive(mixed(side))
    fresh.load_state_dict(scheduler.state_dict())
    assert (fresh.best, fresh.gamma, fresh.patience) == (0.5, 0.25, 3)


@both_sides
@pytest.mark.parametrize("name", ["StepLR", "ReduceLROnPlateau", "SequentialLR"])
def test_a_subclass_of_a_scheduler(side, name):
    """It may add attributes, and override ``step`` or ``get_lr`` around the base's."""

    class Logged(getattr(side.optim.lr_scheduler, name)):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.log: list[Any] = []
            super().__init__(*args, **kwargs)

        def step(self, *args: Any, **kwargs: Any) -> None:
            super().step(*args, **kwargs)
            self.log.append(float(self.get_last_lr()[0]))

    optimizer = mixed(side)
    step = side.optim.lr_scheduler.StepLR(optimizer, 1)
    args = {"StepLR": (1,), "ReduceLROnPlateau": ("min", 0.1, 0), "SequentialLR": ([step], [])}[name]
    scheduler = Logged(optimizer, *args)
    optimizer.step()
    for _ in range(3):
        scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))
    close(scheduler.log[-3:], [0.05, 0.005, 0.0005] if name == "ReduceLROnPlateau" else [0.005, 0.0005, 0.00005])
    if name != "SequentialLR":
        fresh = Logged(mixed(side), *args)
        fresh.load_state_dict(scheduler.state_dict())
        assert fresh.log == scheduler.log


@both_sides
def test_get_last_lr_does_not_follow_the_group(side):
    """It is what the last step set, not what a user has written since; a tensor in it is a copy."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.LambdaLR(optimizer, Warmup(10))
    optimizer.param_groups[0]["lr"] = 7.0
    optimizer.param_groups[1]["lr"].fill_(8.0)
    close([float(lr) for lr in scheduler.get_last_lr()], [0.005, 0.05])
    assert scheduler.get_last_lr() is scheduler._last_lr


@both_sides
def test_groups_that_come_later(side):
    """Rates that belong to groups are as many as there were; the step is refused."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.LambdaLR(optimizer, Warmup(10))
    optimizer.add_param_group({"params": [side.parameter([1.0])]})
    optimizer.step()
    with pytest.raises(ValueError, match=r"zip\(\)"):
        scheduler.step()
    multiplies = side.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.add_param_group({"params": [side.parameter([1.0])], "lr": 0.3})
    multiplies.step()
    assert optimizer.param_groups[3]["lr"] == 0.15
