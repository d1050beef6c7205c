"""The learning rates and the momentum that each scheduler gives, from its definition, on both sides.

What torch's test/optim/test_lrscheduler.py asserts of values. One group's rate is a float and the other's a float32
tensor, whose rounding is the tolerance: measured 4.8e-7 relative.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from compat_tests.two_sides import OURS, THEIRS, Side
from torchish_mlx.parity.scheduler_cases import named, train

EPOCHS = 10
both_sides = pytest.mark.parametrize("side", [OURS, THEIRS], ids=["ours", "torch"])


def close(values: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.array(values, "f8"), np.array(expected, "f8"), rtol=1e-6, atol=1e-12)


def mixed(side: Side, cls: str = "SGD", **kwargs: Any) -> Any:
    """Two groups, the second with a tensor as its learning rate."""
    groups = [{"params": [side.parameter([1.0])]}, {"params": [side.parameter([2.0])], "lr": side.tensor(0.5)}]
    return getattr(side.optim, cls)(groups, lr=0.05, **kwargs)


def rates(optimizer: Any, key: str = "lr") -> list[float]:
    return [float(group[key][0] if key == "betas" else group[key]) for group in optimizer.param_groups]


def curve(optimizer: Any, *schedulers: Any, epochs: int = EPOCHS, key: str = "lr") -> list[list[float]]:
    """The groups' rates before each step of all schedulers."""
    found = []
    for _ in range(epochs):
        found.append(rates(optimizer, key))
        train(optimizer)
        for scheduler in schedulers:
            scheduler.step()
    return found


class Factor:
    """A scheduler by name and arguments, and what it makes of the initial rate after n steps."""

    def __init__(self, name: str, of: Callable[[int], float], **kwargs: Any) -> None:
        self.name, self.of, self.kwargs = name, of, kwargs

    def __call__(self, side: Side, optimizer: Any) -> Any:
        return named(side, self.name)(optimizer, **self.kwargs)


FACTORS = {
    "step": Factor("StepLR", lambda n: 0.1 ** (n // 3), step_size=3, gamma=0.1),
    "multistep": Factor(
        "MultiStepLR", lambda n: 0.1 ** sum(n >= m for m in (2, 5, 9)), milestones=[2, 5, 9], gamma=0.1
    ),
    "constant": Factor("ConstantLR", lambda n: 0.4 if n < 4 else 1.0, factor=0.4, total_iters=4),
    "linear": Factor(
        "LinearLR", lambda n: 0.25 + 0.35 * min(n, 4) / 4, start_factor=0.25, end_factor=0.6, total_iters=4
    ),
    "exponential": Factor("ExponentialLR", lambda n: 0.9**n, gamma=0.9),
    "polynomial": Factor("PolynomialLR", lambda n: (1 - min(n, 5) / 5) ** 0.9, total_iters=5, power=0.9),
    "cosine": Factor("CosineAnnealingLR", lambda n: (1 + math.cos(math.pi * n / 20)) / 2, T_max=20),
    "lambda": Factor("LambdaLR", lambda n: 0.95**n, lr_lambda=lambda n: 0.95**n),
    "multiplicative": Factor("MultiplicativeLR", lambda n: 0.95**n, lr_lambda=lambda n: 0.95),
    "restarts": Factor("CosineAnnealingWarmRestarts", lambda n: (1 + math.cos(math.pi * (n % 4) / 4)) / 2, T_0=4),
}
CHAINABLE = [name for name in FACTORS if name not in ("lambda", "restarts")]  # these go from the initial rate
CLOSED = [name for name in CHAINABLE if name != "multiplicative"]
every_factor = pytest.mark.parametrize("factor", FACTORS)


def expected(*factors: str, epochs: int = EPOCHS) -> list[list[float]]:
    of = [math.prod(FACTORS[f].of(n) for f in factors) for n in range(epochs)]
    return [[0.05 * x, 0.5 * x] for x in of]


@both_sides
@every_factor
def test_rates(side, factor):
    optimizer = mixed(side)
    close(curve(optimizer, FACTORS[factor](side, optimizer)), expected(factor))


@both_sides
@every_factor
def test_get_last_lr(side, factor):
    """What the last step set, from the moment that the scheduler is made."""
    optimizer = mixed(side)
    scheduler = FACTORS[factor](side, optimizer)
    found = []
    for _ in range(EPOCHS):
        found.append([float(lr) for lr in scheduler.get_last_lr()])
        assert found[-1] == rates(optimizer)
        assert type(scheduler.get_last_lr()[0]) is float
        assert isinstance(scheduler.get_last_lr()[1], side.library.Tensor)
        train(optimizer)
        scheduler.step()
    close(found, expected(factor))


@both_sides
@every_factor
def test_one_function_or_number_per_group(side, factor):
    """Three groups of different rates go their ways."""
    groups = [{"params": [side.parameter([1.0])], "lr": lr} for lr in (1.0, 0.2, 3.0)]
    optimizer = side.optim.SGD(groups, lr=0.1)
    found = curve(optimizer, FACTORS[factor](side, optimizer))
    close(found, [[20 * a, 4 * a, 60 * a] for a, _ in expected(factor)])


@both_sides
@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
def test_a_function_per_group(side, name):
    optimizer = mixed(side)
    powers = name == "LambdaLR"
    functions = [lambda n: 0.9**n if powers else 0.9, lambda n: 0.8**n if powers else 0.8]
    found = curve(optimizer, named(side, name)(optimizer, functions))
    close(found, [[0.05 * 0.9**n, 0.5 * 0.8**n] for n in range(EPOCHS)])


@both_sides
@pytest.mark.parametrize("factor", CLOSED)
def test_closed_form_is_the_chainable_form(side, factor):
    """``step(n)`` gives what n calls of ``step()`` give; torch warns each time, once."""
    optimizer = mixed(side)
    scheduler = FACTORS[factor](side, optimizer)
    found = []
    for n in range(20):
        train(optimizer)
        with pytest.warns(UserWarning, match="^The epoch parameter") as caught:
            scheduler.step(n)
        assert [str(w.message) for w in caught] == [side.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING]
        found.append(rates(optimizer))
    close(found, expected(factor, epochs=20))
    again = mixed(side)
    close(curve(again, FACTORS[factor](side, again), epochs=20), found)


@both_sides
@pytest.mark.parametrize("factor", [*CLOSED, "lambda"])
def test_constant_for_a_constant_epoch(side, factor):
    optimizer = mixed(side)
    scheduler = FACTORS[factor](side, optimizer)
    found = []
    for _ in range(10):
        train(optimizer)
        with pytest.warns(UserWarning, match="^The epoch parameter") as caught:
            scheduler.step(2)
        assert [str(w.message) for w in caught] == [side.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING]
        found.append(rates(optimizer))
    close(found, [expected(factor)[2]] * 10)


@both_sides
def test_cosine_goes_on_from_an_epoch(side):
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5, eta_min=0.1)
    train(optimizer)
    scheduler.step()
    before = [float(lr) for lr in scheduler.get_last_lr()]
    again = side.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5, eta_min=0.1, last_epoch=0)
    close([float(lr) for lr in again.get_last_lr()], before)


@both_sides
def test_cosine_begins_from_the_initial_rate(side):
    """Where no step was counted yet, whatever the group's rate is."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    scheduler.last_epoch, scheduler._step_count = 4, 0
    optimizer.param_groups[0]["lr"] = 7.0
    scheduler.step()
    close(rates(optimizer), expected("cosine")[5])


# Several at once -----------------------------------------------------------------------------------------------------

PAIRS = list(itertools.combinations(CHAINABLE, 2))


@both_sides
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_two_schedulers_multiply(side, pair):
    """Side by side in the loop, and as a ChainedScheduler."""
    optimizer = mixed(side)
    close(curve(optimizer, *[FACTORS[f](side, optimizer) for f in pair]), expected(*pair))
    optimizer = mixed(side)
    members = [FACTORS[f](side, optimizer) for f in pair]
    scheduler = side.optim.lr_scheduler.ChainedScheduler(members)
    assert [float(lr) for lr in scheduler.get_last_lr()] == rates(optimizer)
    close(curve(optimizer, scheduler), expected(*pair))
    assert scheduler.get_last_lr() == members[-1].get_last_lr()


@both_sides
@pytest.mark.parametrize("members", [("linear",), ("step",), ("exponential", "constant", "step"), ("polynomial",)])
def test_chained(side, members):
    optimizer = mixed(side)
    made = [FACTORS[f](side, optimizer) for f in members]
    scheduler = side.optim.lr_scheduler.ChainedScheduler(made)
    close(curve(optimizer, scheduler), expected(*members))
    assert scheduler.get_last_lr() == made[-1].get_last_lr()


def in_turn(*parts: tuple[tuple[str, ...], int]) -> list[list[float]]:
    return [row for factors, epochs in parts for row in expected(*factors, epochs=epochs)]


@both_sides
@pytest.mark.parametrize(
    "names",
    [("exponential", "step"), ("constant", "exponential"), ("constant", "exponential", "step"), ("linear", "restarts")],
    ids="-".join,
)
def test_sequential(side, names):
    """Each begins at its epoch 0 when its turn comes; a step gives no warning."""
    optimizer = mixed(side)
    members = [FACTORS[name](side, optimizer) for name in names]
    milestones = [4, 9][: len(names) - 1]
    scheduler = side.optim.lr_scheduler.SequentialLR(optimizer, members, milestones)
    target = in_turn(*[((name,), 4 if i == 0 else 5) for i, name in enumerate(names)])
    found = []
    for _ in target:
        found.append(rates(optimizer))
        assert [float(lr) for lr in scheduler.get_last_lr()] == found[-1]
        train(optimizer)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scheduler.step()
    close(found, target)


@both_sides
def test_sequential_leaves_the_initial_rate(side):
    """Making several schedulers moves the rate several times; the first one's is what counts."""
    optimizer = side.optim.SGD([side.parameter([1.0])], lr=0.1)
    members = [side.optim.lr_scheduler.ConstantLR(optimizer, factor=f) for f in (1, 0.1)]
    side.optim.lr_scheduler.SequentialLR(optimizer, members, milestones=[10])
    assert optimizer.param_groups[0]["lr"] == 0.1


@both_sides
def test_sequential_of_chained(side):
    optimizer = mixed(side)
    chained = side.optim.lr_scheduler.ChainedScheduler([FACTORS[f](side, optimizer) for f in ("linear", "constant")])
    members = [chained, FACTORS["step"](side, optimizer)]
    with pytest.warns(UserWarning, match="before `optimizer.step"):  # making it steps what was made before
        scheduler = side.optim.lr_scheduler.SequentialLR(optimizer, members, [5])
    close(curve(optimizer, scheduler), in_turn((("linear", "constant"), 5), (("step",), 5)))


@both_sides
def test_sequential_of_sequential(side):
    """The inner one's rates come out, and its last rates are the outer one's."""
    optimizer = mixed(side)
    s = side.optim.lr_scheduler
    inner = s.SequentialLR(optimizer, [FACTORS[f](side, optimizer) for f in ("constant", "exponential")], [4])
    members = [inner, FACTORS["step"](side, optimizer)]
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        outer = s.SequentialLR(optimizer, members, [6])
    assert outer.get_last_lr() == inner.get_last_lr()
    assert len(outer.get_last_lr()) == 2
    found = curve(optimizer, outer)
    close(found[6:], expected("step", epochs=4))
    close(found[:3], expected("constant", epochs=3))


@both_sides
def test_sequential_does_not_alias_a_tensor(side):
    """Two ramps, up and down, of a rate that is a tensor; its initial value stays."""
    lr = side.tensor(2.0)
    optimizer = side.optim.SGD([side.parameter([1.0])], lr=lr)
    s = side.optim.lr_scheduler
    ramps = [s.LinearLR(optimizer, *ends, total_iters=4) for ends in ((0.1, 0.8), (0.8, 0.1))]
    scheduler = s.SequentialLR(optimizer, ramps, milestones=[4])
    found = curve(optimizer, scheduler, epochs=8)
    close(found, [[2 * x] for x in (0.1, 0.275, 0.45, 0.625, 0.8, 0.625, 0.45, 0.275)])
    assert optimizer.param_groups[0]["lr"] is lr
    assert float(optimizer.param_groups[0]["initial_lr"]) == 2.0


# Warm restarts -------------------------------------------------------------------------------------------------------


def annealed(t: float, period: float, low: float = 1e-10) -> list[float]:
    return [low + (lr - low) * (1 + math.cos(math.pi * t / period)) / 2 for lr in (0.05, 0.5)]


def restarted(epoch: float, first: int, times: int) -> tuple[float, int]:
    """(epochs since the last restart, the period): by counting them."""
    period = first
    while epoch >= period:
        epoch, period = epoch - period, period * times
    return epoch, period


@both_sides
@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("width", [1.0, 0.1])
def test_warm_restarts(side, times, width):
    """By ``step()``, and by ``step(epoch)`` with tenths of an epoch."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=times, eta_min=1e-10)
    found, target = [], []
    for i in range(100):
        found.append(rates(optimizer))
        target.append(annealed(*restarted(round(i * width, 1), 10, times)))
        scheduler.step(*([round((i + 1) * width, 1)] if width < 1 else []))
    close(found, target)


@both_sides
@pytest.mark.parametrize(
    ("times", "epochs"),
    [
        (1, [0, 1, 2, 3, 11, 27, 4, 5, 13]),
        (2, [1, 4, 25, 31, 33, 80, 81, 3]),
        (3, [0.1, 0.3, 1.3, 17.5, 19.5, 29.5, 31.5, 50, 2.5]),
    ],
)
def test_warm_restarts_there_and_back(side, times, epochs):
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=times, eta_min=1e-10)
    for epoch in epochs:
        scheduler.step(epoch)
        close(rates(optimizer), annealed(*restarted(epoch, 10, times)))
        assert scheduler.last_epoch == math.floor(epoch)


@both_sides
def test_warm_restarts_from_a_late_epoch(side):
    """An epoch that was set beyond the period counts from the last restart."""
    scheduler = side.optim.lr_scheduler.CosineAnnealingWarmRestarts(mixed(side), T_0=4)
    for epoch in (7, 8, 9):
        scheduler.T_cur = epoch
        scheduler.step()
        assert scheduler.T_cur == (epoch + 1) % 4
