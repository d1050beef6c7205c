"""Pure schedules against torch's schedulers: 10,000 steps, eager, compiled, and inside an MLX optimizer.

The limit is 1e-6 relative at every step, near the zeros of a schedule too: there is no floor but the smallest float32.
Measured over all configurations: 3.6e-7 for the four that are made of cosines, 2.2e-7 for CyclicLR, 1.6e-7 for the
others. torch's schedulers compute each rate from the one before: after 10,000 steps they are 3e-12 from torch's own
closed forms at most (CosineAnnealingLR over 200 periods), so that it is no matter which of the two is compared.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest

from torchish_mlx.optimizers import schedules
from torchish_mlx.parity.rates import OURS, THEIRS, near, our_optimizer, rates, their_optimizer
from torchish_mlx.parity.schedule_cases import CONFIGS, factory, label, torchs_rates

STEPS = 10_000


@cache
def reference(i: int) -> np.ndarray:
    return torchs_rates(CONFIGS[i], STEPS)


each = pytest.mark.parametrize("i", range(len(CONFIGS)), ids=map(label, CONFIGS))


@each
def test_eager(i):
    """All steps in one array, and one by one as an optimizer asks: the same bits."""
    theirs, schedule = reference(i), factory(CONFIGS[i])
    values = schedule(mx.arange(len(theirs)))
    near(values, theirs, "eager")
    for n in {0, 1, 2, 7, len(theirs) // 3, len(theirs) - 1} & set(range(len(theirs))):
        assert schedule(mx.array(n, mx.uint64)).item() == schedule(n).item() == values[n].item()


def place(i: int) -> int:
    """How many configurations of its class come before it."""
    return [config[0] for config in CONFIGS[:i]].count(CONFIGS[i][0])


#: Four configurations of each class: a compiled step costs g++ most of a second.
FOUR = [i for i in range(len(CONFIGS)) if place(i) < 4]
FIRST = [i for i in range(len(CONFIGS)) if place(i) == 0]


@pytest.mark.parametrize("i", FIRST, ids=[label(CONFIGS[i]) for i in FIRST])
def test_compiled(i):
    """All steps in one array, for the first configuration of each class."""
    near(mx.compile(factory(CONFIGS[i]))(mx.arange(len(reference(i)))), reference(i), "compiled")


@pytest.mark.long
@pytest.mark.parametrize("i", FOUR, ids=[label(CONFIGS[i]) for i in FOUR])
def test_compiled_inside_mlx_sgd(i):
    """``mlx.optimizers.SGD(learning_rate=schedule)`` in a compiled step, one call for each of the 10,000 steps."""
    theirs, schedule = reference(i), factory(CONFIGS[i])
    optimizer = mlx.optimizers.SGD(learning_rate=schedule)
    optimizer.init({"w": mx.array(0.0)})

    @partial(mx.compile, inputs=[optimizer.state], outputs=[optimizer.state])
    def step(w: mx.array) -> tuple[mx.array, mx.array]:
        new = optimizer.apply_gradients({"w": mx.array(1.0)}, {"w": w})["w"]
        return w - new, optimizer.learning_rate

    zero, used = mx.array(0.0), []
    for _ in theirs:
        moved, rate = step(zero)
        used.append(rate)
    near(mx.stack(used), theirs, "learning_rate")
    near(moved.reshape(1), theirs[-1:], "what the parameter moved by in the last step")


@pytest.mark.parametrize("i", FIRST, ids=[CONFIGS[i][0] for i in FIRST])
def test_eager_inside_mlx_sgd(i):
    theirs, schedule = reference(i), factory(CONFIGS[i])
    optimizer = mlx.optimizers.SGD(learning_rate=schedule)
    w = {"w": mx.array(0.0)}
    for n in range(300):
        optimizer.apply_gradients(w, w)
        near(optimizer.learning_rate.reshape(1), theirs[n : n + 1], f"eager step {n}")


@each
def test_as_schedule(i):
    """The function of a scheduler of ours is that of its class's name; asked in mid-training it starts at step 0."""
    cls, lr, kwargs = CONFIGS[i]
    optimizer = our_optimizer(lr)
    scheduler = getattr(OURS, cls)(optimizer, **kwargs)
    optimizer.step()
    if kwargs.get("total_steps") != 2 and kwargs.get("anneal_epochs") != 0:
        scheduler.step()
        scheduler.step()
    before, held = dict(scheduler.__dict__), dict(optimizer.param_groups[0])
    steps = mx.arange(len(reference(i)))
    values = scheduler.as_schedule()(steps)
    near(values, reference(i), "as_schedule")
    if cls != "SWALR":  # which gets its start from where it is
        assert mx.array_equal(values, factory(CONFIGS[i])(steps))
    assert (scheduler.__dict__, dict(optimizer.param_groups[0])) == (before, held)


def closed_form(cls: str, lr: float, kwargs: dict[str, Any], n: int) -> float:
    """torch's own formula at the step n."""
    scheduler = getattr(THEIRS, cls)(their_optimizer(lr), **kwargs)
    if cls == "CosineAnnealingWarmRestarts":
        scheduler.step(n)
        return scheduler.get_last_lr()[0]
    scheduler._update_lr(n)
    return scheduler.get_last_lr()[0]


@pytest.mark.parametrize(
    ("cls", "kwargs"),
    [
        ("StepLR", {"step_size": 1_000_003, "gamma": 0.7}),
        ("MultiStepLR", {"milestones": [2**24, 2**24 + 1, 2**33]}),
        ("ConstantLR", {"factor": 0.5, "total_iters": 2**24 + 1}),
        ("LinearLR", {"start_factor": 1e-3, "total_iters": 2**24 + 7}),
        ("ExponentialLR", {"gamma": 1 - 1e-7}),
        ("PolynomialLR", {"total_iters": 2**24 + 7, "power": 2.5}),
        ("CosineAnnealingLR", {"T_max": 2**24 + 7, "eta_min": 1e-3}),
        ("CosineAnnealingLR", {"T_max": 777, "eta_min": 1e-3}),
        ("CosineAnnealingWarmRestarts", {"T_0": 1000, "eta_min": 1e-3}),
        ("CyclicLR", {"base_lr": 1e-3, "max_lr": 0.1, "step_size_up": 1234, "step_size_down": 77}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 2**25, "final_div_factor": 10.0}),
    ],
    ids=str,
)
def test_long_training(cls, kwargs):
    """Step counts that float32 does not hold (2**24 + 1), and those of an int32 overflowed."""
    schedule = factory((cls, 0.1, kwargs))
    compiled = mx.compile(schedule) if cls in ("ExponentialLR", "CosineAnnealingLR", "CyclicLR") else schedule
    last = kwargs.get("total_steps", 2**33 + 5)
    for n in (2**24 - 1, 2**24, 2**24 + 1, 2**24 + 5, min(3 * 10**9 + 1, last), last):
        expected = np.array([closed_form(cls, 0.1, kwargs, n)])
        near(schedule(mx.array(n, mx.uint64)).reshape(1), expected, f"step {n}")
        near(compiled(mx.array(n, mx.int64)).reshape(1), expected, f"step {n}, compiled")


def momentum(cls: str, kwargs: dict[str, Any], steps: int) -> np.ndarray:
    optimizer = their_optimizer(0.1)
    scheduler = getattr(THEIRS, cls)(optimizer, **kwargs)
    optimizer.step()
    out = [optimizer.param_groups[0]["momentum"]]
    for _ in range(steps):
        scheduler.step()
        out.append(optimizer.param_groups[0]["momentum"])
    return np.array(out)


@pytest.mark.parametrize("three_phase", [False, True])
def test_momentum_of_one_cycle(three_phase):
    """What the docstring says of the momentum, which the scheduler moves the other way."""
    theirs = momentum("OneCycleLR", {"max_lr": 1.0, "total_steps": 500, "three_phase": three_phase}, 499)
    shape = {"total_steps": 500, "three_phase": three_phase}
    ours = schedules.one_cycle_lr(0.85, div_factor=0.85 / 0.95, final_div_factor=1.0, **shape)
    near(ours(mx.arange(500)), theirs, "momentum")


def test_momentum_of_cyclic():
    theirs = momentum("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 17, "mode": "triangular2"}, 499)
    ours = schedules.cyclic_lr(0.9, 0.8, step_size_up=17, mode="triangular2")
    near(ours(mx.arange(500)), theirs, "momentum")


@pytest.mark.parametrize(
    ("cls", "kwargs"),
    [
        ("ConstantLR", {"factor": 1.5}),
        ("ConstantLR", {"factor": -0.5}),
        ("LinearLR", {"start_factor": 0}),
        ("LinearLR", {"start_factor": 1.5}),
        ("LinearLR", {"end_factor": -0.5}),
        ("LinearLR", {"end_factor": 1.5}),
        ("CosineAnnealingWarmRestarts", {"T_0": 0}),
        ("CosineAnnealingWarmRestarts", {"T_0": 2.5}),
        ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 0}),
        ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 1.5}),
        ("CosineAnnealingWarmRestarts", {"T_0": 2, "eta_min": "0"}),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.2, "mode": "square"}),
        ("OneCycleLR", {"max_lr": 0.1}),
        ("OneCycleLR", {"max_lr": 0.1, "epochs": 3}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 0}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 1.5}),
        ("OneCycleLR", {"max_lr": 0.1, "epochs": -1, "steps_per_epoch": 5}),
        ("OneCycleLR", {"max_lr": 0.1, "epochs": 5, "steps_per_epoch": 0}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "pct_start": 1}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "pct_start": -0.5}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "pct_start": 1.5}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "anneal_strategy": "cosine"}),
        ("SWALR", {"swa_lr": 0.1, "anneal_strategy": "cosine"}),
        ("SWALR", {"swa_lr": 0.1, "anneal_epochs": -1}),
        ("SWALR", {"swa_lr": 0.1, "anneal_epochs": 1.5}),
    ],
    ids=str,
)
def test_the_class_and_the_schedule_refuse_in_the_same_words(cls, kwargs):
    with pytest.raises(ValueError) as theirs:
        getattr(THEIRS, cls)(their_optimizer(0.1), **kwargs)
    with pytest.raises(ValueError) as ours:
        factory((cls, 0.1, kwargs))
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(("count", "milestones"), [(0, []), (2, []), (1, [3])])
def test_sequences_of_wrong_lengths(count, milestones):
    optimizer = their_optimizer(0.1)
    with pytest.raises(ValueError) as theirs:
        THEIRS.SequentialLR(optimizer, [THEIRS.StepLR(optimizer, 3) for _ in range(count)], milestones)
    with pytest.raises(ValueError) as ours:
        schedules.sequential_lr([schedules.step_lr(0.1, 3)] * count, milestones)
    assert str(ours.value) == str(theirs.value)


def test_an_empty_chain():
    with pytest.raises(ValueError) as theirs:
        THEIRS.ChainedScheduler([])
    with pytest.raises(ValueError) as ours:
        schedules.chained_scheduler([])
    assert str(ours.value) == str(theirs.value)


def test_pure_composites():
    """``sequential_lr`` and ``chained_scheduler`` of pure schedules, and the schedulers that they are named after."""
    o = their_optimizer(0.1)
    parts = [THEIRS.LinearLR(o, 0.01, total_iters=500), THEIRS.CosineAnnealingLR(o, 9500, eta_min=1e-4)]
    expected = rates(THEIRS.SequentialLR(o, parts, [500]), o, STEPS)
    pure = [schedules.linear_lr(0.1, 0.01, total_iters=500), schedules.cosine_annealing_lr(0.1, 9500, 1e-4)]
    near(mx.compile(schedules.sequential_lr(pure, [500]))(mx.arange(STEPS + 1)), expected, "sequential")
    o = their_optimizer(0.1)
    chain = [THEIRS.ConstantLR(o, 0.1, 200), THEIRS.ExponentialLR(o, 0.9995), THEIRS.PolynomialLR(o, 9000)]
    expected = rates(THEIRS.ChainedScheduler(chain), o, STEPS)
    pure = [schedules.constant_lr(0.1, 0.1, 200), schedules.exponential_lr(1.0, 0.9995)]
    pure.append(schedules.polynomial_lr(1.0, 9000))
    near(mx.compile(schedules.chained_scheduler(pure))(mx.arange(STEPS + 1)), expected, "chained")
