"""Cycles of rate and momentum, and rates that go by a metric, from their definitions, on both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx
from compat_tests.optim.lr_scheduler.test_lr_scheduler_curves import FACTORS, both_sides, close, curve, mixed, rates
from compat_tests.two_sides import OURS
from torchish_mlx.parity.scheduler_cases import named, train

# CyclicLR ------------------------------------------------------------------------------------------------------------


def heights(mode: str, up: int, down: int, steps: int) -> list[float]:
    """How far between the lowest and the highest value each step is."""
    found = []
    for n in range(steps):
        cycle, place = divmod(n, up + down)
        triangle = place / up if place <= up else (up + down - place) / down
        found.append(triangle * {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": 0.9**n}[mode])
    return found


@both_sides
@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize(("up", "down"), [(4, None), (2, 6), (5, 1)])
@pytest.mark.parametrize("per_group", [False, True])
def test_cyclic(side, mode, up, down, per_group):
    """The rate goes from low to high and back, momentum from high to low and back."""
    low, high = ([1, 3], [5, 7.5]) if per_group else (1, 5)
    optimizer = mixed(side, momentum=0.4)
    scheduler = side.optim.lr_scheduler.CyclicLR(
        optimizer, low, high, up, down, mode, gamma=0.9, base_momentum=low, max_momentum=high
    )
    lows, highs = (low, high) if per_group else ([low] * 2, [high] * 2)
    wave = heights(mode, up, down or up, 25)
    lrs, momentums = [], []
    for _ in wave:
        lrs.append(rates(optimizer))
        momentums.append(rates(optimizer, "momentum"))
        train(optimizer)
        scheduler.step()
    close(lrs, [[a + (b - a) * h for a, b in zip(lows, highs, strict=True)] for h in wave])
    close(momentums, [[b - (b - a) * h for a, b in zip(lows, highs, strict=True)] for h in wave])


@both_sides
@pytest.mark.parametrize("cls", ["SGD", "Adam"])
def test_cyclic_without_momentum(side, cls):
    optimizer = mixed(side, cls)
    before = [(group.get("momentum"), group.get("betas")) for group in optimizer.param_groups]
    scheduler = side.optim.lr_scheduler.CyclicLR(optimizer, 1, 5, step_size_up=4, cycle_momentum=False)
    close(curve(optimizer, scheduler), [[1 + 4 * h] * 2 for h in heights("triangular", 4, 4, 10)])
    assert [(group.get("momentum"), group.get("betas")) for group in optimizer.param_groups] == before


@both_sides
def test_cyclic_moves_the_first_beta(side):
    optimizer = mixed(side, "Adam")
    scheduler = side.optim.lr_scheduler.CyclicLR(optimizer, 1, 5, step_size_up=4)
    found = curve(optimizer, scheduler, key="betas")
    close(found, [[0.9 - 0.1 * h] * 2 for h in heights("triangular", 4, 4, 10)])
    assert [group["betas"][1] for group in optimizer.param_groups] == [0.999, 0.999]


@both_sides
@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR"])
def test_no_momentum_to_cycle(side, name):
    optimizer = side.optim.Rprop([side.parameter([1.0])])
    kwargs: dict[str, Any] = {"base_lr": 1, "max_lr": 5} if name == "CyclicLR" else {"max_lr": 5, "total_steps": 9}
    with pytest.raises(ValueError, match="must support momentum or beta1 with `cycle_momentum` option enabled"):
        named(side, name)(optimizer, **kwargs)
    assert optimizer.param_groups[0]["lr"] == 0.01 or side is not OURS


@both_sides
@pytest.mark.parametrize("scale_mode", ["cycle", "iterations"])
def test_cyclic_with_a_scale_function(side, scale_mode):
    """Of the number of the cycle, from 1, or of the step."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.CyclicLR(
        optimizer, 1, 5, 4, scale_fn=lambda x: 1 / (1 + x), scale_mode=scale_mode, cycle_momentum=False
    )
    wave = heights("triangular", 4, 4, 20)
    scales = [1 / (1 + (n if scale_mode == "iterations" else 1 + n // 8)) for n in range(20)]
    target = [[1 + 4 * h * s] * 2 for h, s in zip(wave, scales, strict=True)]
    close(curve(optimizer, scheduler, epochs=20), target)


@both_sides
def test_cosine_then_cyclic(side):
    optimizer = side.optim.SGD([side.parameter([1.0])], lr=0.5)
    s = side.optim.lr_scheduler
    cosine = s.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.1)
    cyclic = s.CyclicLR(optimizer, base_lr=0.1, max_lr=0.3, step_size_up=1, step_size_down=3)
    for i in range(40):
        train(optimizer)
        (cosine if i <= cosine.T_max else cyclic).step()
        if i > cosine.T_max:
            assert 0.1 - 1e-12 <= optimizer.param_groups[0]["lr"] <= 0.3 + 1e-12


# OneCycleLR ----------------------------------------------------------------------------------------------------------


def joined(knots: Sequence[float], values: Sequence[float], cosine: bool, steps: int) -> list[float]:
    """From value to value at the knots, along straight lines or half cosines."""
    found = []
    for n in range(steps):
        i = max(k for k in range(len(knots) - 1) if knots[k] <= n)
        t = (n - knots[i]) / (knots[i + 1] - knots[i])
        t = (1 - math.cos(math.pi * t)) / 2 if cosine else t
        found.append(values[i] + (values[i + 1] - values[i]) * t)
    return found


@both_sides
@pytest.mark.parametrize("cls", ["SGD", "Adam"])
@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle(side, cls, strategy, three_phase):
    optimizer = mixed(side, cls, **({"momentum": 0.4} if cls == "SGD" else {}))
    scheduler = side.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=24,
        total_steps=11,
        pct_start=4 / 11,
        anneal_strategy=strategy,
        base_momentum=0.2,
        max_momentum=0.8,
        div_factor=12,
        final_div_factor=4,
        three_phase=three_phase,
    )
    knots, lrs, momentums = ([0, 3, 10], [2, 24, 0.5], [0.8, 0.2, 0.8])
    if three_phase:
        knots, lrs, momentums = ([0, 3, 6, 10], [2, 24, 2, 0.5], [0.8, 0.2, 0.8, 0.8])
    found, moved = [], []
    for _ in range(11):
        found.append(rates(optimizer))
        moved.append(rates(optimizer, "momentum" if cls == "SGD" else "betas"))
        train(optimizer)
        scheduler.step()
    close(found, [[x] * 2 for x in joined(knots, lrs, strategy == "cos", 11)])
    close(moved, [[x] * 2 for x in joined(knots, momentums, strategy == "cos", 11)])


@both_sides
def test_one_cycle_by_epochs(side):
    """The total is epochs times steps per epoch; a step past the end is refused."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[1.0, 2.0], epochs=2, steps_per_epoch=5)
    assert scheduler.total_steps == 10
    found = curve(optimizer, scheduler)
    close(found[2], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^Tried to step 11 times\. The specified number of total steps is 10$"):
        scheduler.step()


@both_sides
def test_one_cycle_of_an_old_state_dict(side):
    """Old versions of torch kept the function itself, as ``anneal_func``."""
    cls = side.optim.lr_scheduler.OneCycleLR
    kwargs: dict[str, Any] = {"max_lr": 24, "total_steps": 11, "pct_start": 4 / 11, "div_factor": 12}
    optimizer = mixed(side)
    scheduler = cls(optimizer, anneal_strategy="linear", final_div_factor=4, **kwargs)
    del scheduler._anneal_func_type
    state = scheduler.state_dict()
    assert "_anneal_func_type" not in state
    scheduler.load_state_dict({**state, "anneal_func": cls._annealing_cos})
    found = curve(optimizer, scheduler, epochs=11)
    close(found, [[x] * 2 for x in joined([0, 3, 10], [2, 24, 0.5], True, 11)])


# ReduceLROnPlateau ---------------------------------------------------------------------------------------------------

FLAT = [1.0] * 40
#: arguments, metrics, the steps at which the rate is divided by ten
PLATEAUS: dict[str, tuple[dict[str, Any], list[float], list[int]]] = {
    "enough": ({"threshold_mode": "abs", "threshold": 0.01, "patience": 5, "cooldown": 5},
               [10 - 0.017 * i for i in range(40)], []),
    "flat": ({"patience": 5}, FLAT, [6, 12, 18, 24, 30, 36]),
    "cooldown": ({"patience": 5, "cooldown": 5}, FLAT, [6, 17, 28, 39]),
    "not-enough": ({"threshold_mode": "abs", "threshold": 0.105, "patience": 5},
                   [10 - 0.017 * i for i in range(40)], [6, 13, 20, 27, 34]),
    "max": ({"mode": "max", "threshold_mode": "abs", "patience": 5, "cooldown": 5},
            [-0.8] * 2 + [-0.234] * 38, [8, 19, 30]),
    "max-enough": ({"mode": "max", "threshold": 0.1, "patience": 3}, [1.5 * 1.03**i for i in range(40)], []),
    "max-not-enough": ({"mode": "max", "threshold": 0.1, "patience": 5, "cooldown": 5},
                       [1.5 * 1.001**i for i in range(40)], [6, 17, 28, 39]),
    "enough-relative": ({"threshold": 0.1, "patience": 0}, [1.5 * 0.85**i for i in range(40)], []),
    "late": ({"threshold": 0.1, "patience": 5, "cooldown": 5}, [1.0] * 7 + [0.6] + [0.5] * 32, [6, 17, 28, 39]),
    "impatient": ({"patience": 0}, FLAT[:6], [1, 2, 3, 4, 5]),
}  # fmt: skip


@both_sides
@pytest.mark.parametrize("case", PLATEAUS)
def test_plateau(side, case):
    kwargs, metrics, drops = PLATEAUS[case]
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0, **kwargs)
    assert [float(lr) for lr in scheduler.get_last_lr()] == rates(optimizer)
    found = []
    for metric in metrics:
        train(optimizer)
        scheduler.step(metric)
        found.append(rates(optimizer))
        assert [float(lr) for lr in scheduler.get_last_lr()] == found[-1]
    close(found, [[lr * 0.1 ** sum(i >= d for d in drops) for lr in (0.05, 0.5)] for i in range(len(metrics))])


@both_sides
def test_plateau_with_a_floor(side):
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.04, 0.003])
    for _ in range(5):
        scheduler.step(1.0)
    close(rates(optimizer), [0.04, 0.003])


@both_sides
@pytest.mark.parametrize("factor", ["step", "multistep", "exponential", "linear", "constant", "cosine"])
def test_plateau_beside_another_scheduler(side, factor):
    """Both divide the rate."""
    optimizer = mixed(side)
    plateau = side.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, eps=0)
    other = FACTORS[factor](side, optimizer)
    for i in range(9):
        train(optimizer)
        plateau.step(1.0)
        other.step()
        x = FACTORS[factor].of(i + 1) * 0.1 ** sum(i >= d for d in (3, 6))
        close(rates(optimizer), [0.05 * x, 0.5 * x])


@both_sides
@pytest.mark.parametrize("shape", [(), (1,)])
def test_plateau_keeps_tensors(side, shape):
    """A tensor is changed in place, be it a scalar or one element; a float beside it stays a float."""
    lr = side.tensor(0.5 if shape == () else [0.5])
    groups = [{"params": [side.parameter([1.0])], "lr": lr}, {"params": [side.parameter([1.0])], "lr": 0.2}]
    optimizer = side.optim.SGD(groups, lr=0.1)
    scheduler = side.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    scheduler.step(1.0)
    scheduler.step(2.0)
    assert optimizer.param_groups[0]["lr"] is lr
    assert tuple(lr.shape) == shape
    assert type(optimizer.param_groups[1]["lr"]) is float
    assert rates(optimizer) == [0.25, 0.1]


METRICS = {
    "float": lambda side, x: x,
    "int": lambda side, x: int(x),
    "numpy": lambda side, x: np.float32(x),
    "numpy-array": lambda side, x: np.array(x),
    "tensor": lambda side, x: side.tensor(x),
    "one-element": lambda side, x: side.tensor([x]),
    "array": lambda side, x: mx.array(x),
}


@both_sides
@pytest.mark.parametrize("kind", METRICS)
def test_plateau_takes_anything_that_float_takes(side, kind):
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for x in (4.0, 2.0, 3.0):
        scheduler.step(METRICS[kind](side, x))
    assert scheduler.best == 2.0
    assert type(scheduler.best) is float
    close(rates(optimizer), [0.005, 0.05])


@both_sides
@pytest.mark.parametrize("min_lr", [0, [1e-3, 2e-3]])
def test_plateau_and_a_group_that_comes_later(side, min_lr):
    """One floor is for all; a list has to grow with the groups."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=min_lr)
    scheduler.step(1.0)
    optimizer.add_param_group({"params": [side.parameter([1.0])], "lr": 0.2})
    if min_lr:
        message = r"^The number of param groups in the `optimizer` \(3\) differs from when `ReduceLROnPlateau` was init"
        with pytest.raises(RuntimeError, match=message):
            scheduler.step(1.0)
        close(rates(optimizer), [0.05, 0.5, 0.2])
        scheduler.min_lrs.append(0.1)
    scheduler.step(1.0)
    close(rates(optimizer), [0.005, 0.05, 0.1 if min_lr else 0.02])


@pytest.mark.parametrize("groups", [1, 2])
def test_a_metric_of_several_elements(groups):
    """float() refuses it on both sides, each in its words."""
    scheduler = torchish_mlx.optim.lr_scheduler.ReduceLROnPlateau(mixed(OURS))
    with pytest.raises((ValueError, RuntimeError, TypeError)):
        scheduler.step(mx.array([1.0] * (groups + 1)))
    assert scheduler.last_epoch == 0
    with pytest.raises((ValueError, RuntimeError, TypeError)):
        float(torch.ones(groups + 1))


# SWALR ---------------------------------------------------------------------------------------------------------------


@both_sides
@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [1, 2, 4])
@pytest.mark.parametrize("start", [0, 5])
def test_swalr(side, strategy, epochs, start):
    """After another scheduler: from where that left the rate, to ``swa_lr``, and there it stays."""
    optimizer = mixed(side)
    before = side.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda n: 0.9)
    swa = side.optim.swa_utils.SWALR(optimizer, [0.01, 0.02], epochs, strategy)
    for i in range(start):
        close(rates(optimizer), [0.05 * 0.9**i, 0.5 * 0.9**i])
        train(optimizer)
        before.step()
    for i in range(9):
        t = min(1.0, i / epochs)
        t = (1 - math.cos(math.pi * t)) / 2 if strategy == "cos" else t
        pairs = ((0.05, 0.01), (0.5, 0.02))
        close(rates(optimizer), [(1 - t) * lr * 0.9**start + t * end for lr, end in pairs])
        train(optimizer)
        swa.step()


@both_sides
def test_swalr_without_annealing(side):
    """No epochs: ``swa_lr`` from the moment that it is made."""
    optimizer = mixed(side)
    scheduler = side.optim.swa_utils.SWALR(optimizer, 0.01, anneal_epochs=0)
    close(curve(optimizer, scheduler), [[0.01, 0.01]] * 10)
