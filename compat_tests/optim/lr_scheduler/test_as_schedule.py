"""``as_schedule`` of composites, as torch steps them, and ``FromSchedule``, the other direction."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest

from torchish_mlx import optim
from torchish_mlx.parity.rates import OURS, THEIRS, hyperbola, inverse_root, near, our_optimizer, rates, their_optimizer

STEPS = 10_000
# A scheduler within the first part of a SequentialLR is stepped when that is made, and warns of the order.
pytestmark = pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")

Make = Callable[[Any, Any], Any]
COMPOSITES: dict[str, Make] = {
    "warm-up and cosine": lambda L, o: L.SequentialLR(
        o, [L.LinearLR(o, 0.01, total_iters=500), L.CosineAnnealingLR(o, 9500, eta_min=1e-4)], [500]
    ),
    "exponential, steps, restarts": lambda L, o: L.SequentialLR(
        o,
        [L.ExponentialLR(o, 0.999), L.StepLR(o, 100, 0.9), L.CosineAnnealingWarmRestarts(o, 10, 2)],
        [1000, 5000],
    ),
    "two at one milestone": lambda L, o: L.SequentialLR(
        o, [L.ConstantLR(o, 0.5), L.ExponentialLR(o, 0.9), L.PolynomialLR(o, 300, 2.0)], [20, 20]
    ),
    "the second from the start": lambda L, o: L.SequentialLR(
        o, [L.ConstantLR(o, 0.5), L.LinearLR(o, 0.25, total_iters=50)], [0]
    ),
    "closed forms at a milestone": lambda L, o: L.SequentialLR(
        o, [L.ExponentialLR(o, 0.99), L.MultiStepLR(o, [-3, 0, 40], 0.5), L.ConstantLR(o, 0.5, 0)], [60, 200]
    ),
    "averaging goes on from what is there": lambda L, o: L.SequentialLR(
        o, [L.CosineAnnealingLR(o, 2000), L.SWALR(o, 0.05, 40), L.SWALR(o, 0.01, 30, "linear")], [600, 3000]
    ),
    "averaging first": lambda L, o: L.SequentialLR(o, [L.SWALR(o, 0.05, 40), L.ExponentialLR(o, 0.9)], [55]),
    "one cycle overwrites initial_lr": lambda L, o: L.SequentialLR(
        o, [L.CosineAnnealingLR(o, 20), L.OneCycleLR(o, 1.0, 9990)], [70]
    ),
    "warm-up and decay in a chain": lambda L, o: L.ChainedScheduler(
        [L.ConstantLR(o, 0.1, 200), L.ExponentialLR(o, 0.9995), L.MultiStepLR(o, [0, 500, 7000], 0.5)]
    ),
    "multipliers after a function": lambda L, o: L.ChainedScheduler(
        [L.StepLR(o, 3), L.LambdaLR(o, hyperbola), L.LinearLR(o, 0.1, total_iters=90), L.ExponentialLR(o, 0.99)]
    ),
    "a cosine that multiplies": lambda L, o: L.ChainedScheduler(
        [L.ExponentialLR(o, 0.999), L.CosineAnnealingLR(o, 300), L.StepLR(o, 70, 0.9)]
    ),
    "cosines after a function": lambda L, o: L.ChainedScheduler(
        [L.LambdaLR(o, hyperbola), L.CosineAnnealingLR(o, 40), L.StepLR(o, 30, 0.9)]
    ),
    "the cycle's first rate is the group's": lambda L, o: L.ChainedScheduler(
        [L.ExponentialLR(o, 0.9), L.CyclicLR(o, 0.01, 0.2, 40), L.PolynomialLR(o, 4000)]
    ),
    "a chain of chains": lambda L, o: L.ChainedScheduler(
        [L.ChainedScheduler([L.StepLR(o, 100, 0.9), L.LinearLR(o)]), L.ChainedScheduler([L.PolynomialLR(o, 9000)])]
    ),
    "a chain, then a cosine": lambda L, o: L.SequentialLR(
        o,
        [
            L.ChainedScheduler([L.LinearLR(o, 0.1), L.ExponentialLR(o, 0.99), L.PolynomialLR(o, 70)]),
            L.CosineAnnealingLR(o, 500),
        ],
        [50],
    ),
    "a chain with a cosine, then steps": lambda L, o: L.SequentialLR(
        o, [L.ChainedScheduler([L.CosineAnnealingLR(o, 30), L.ExponentialLR(o, 0.99)]), L.StepLR(o, 9)], [200]
    ),
    "a sequence in a sequence": lambda L, o: L.SequentialLR(
        o,
        [L.SequentialLR(o, [L.ExponentialLR(o, 0.9), L.PolynomialLR(o, 90)], [10]), L.CosineAnnealingLR(o, 500, 0.01)],
        [80],
    ),
    "its milestone is passed at once": lambda L, o: L.SequentialLR(
        o, [L.SequentialLR(o, [L.StepLR(o, 5), L.ExponentialLR(o, 0.9)], [1]), L.ConstantLR(o)], [30]
    ),
    "three deep": lambda L, o: L.SequentialLR(
        o,
        [
            L.SequentialLR(
                o, [L.SequentialLR(o, [L.CosineAnnealingLR(o, 9), L.StepLR(o, 5)], [20]), L.LinearLR(o)], [40]
            ),
            L.ExponentialLR(o, 0.999),
        ],
        [60],
    ),
    "a sequence in a chain": lambda L, o: L.ChainedScheduler(
        [
            L.ExponentialLR(o, 0.999),
            L.SequentialLR(o, [L.LinearLR(o, 0.1, total_iters=20), L.CosineAnnealingLR(o, 90)], [20]),
            L.StepLR(o, 500, 0.5),
        ]
    ),
    "two sequences in a chain": lambda L, o: L.ChainedScheduler(
        [
            L.SequentialLR(o, [L.LinearLR(o), L.LambdaLR(o, hyperbola), L.ExponentialLR(o, 0.999)], [20, 90]),
            L.SequentialLR(o, [L.PolynomialLR(o, 40), L.StepLR(o, 50, 0.9)], [35]),
        ]
    ),
}


COMPILED = {"warm-up and cosine", "averaging first", "warm-up and decay in a chain", "a sequence in a sequence"}


@pytest.mark.parametrize("what", COMPOSITES)
def test_composites(what):
    """Measured: 3.5e-7."""
    theirs, ours = their_optimizer(0.1), our_optimizer(0.1)
    expected = rates(COMPOSITES[what](THEIRS, theirs), theirs, STEPS)
    scheduler = COMPOSITES[what](OURS, ours)
    schedule = scheduler.as_schedule()
    steps = mx.arange(len(expected))
    near(schedule(steps), expected, what)
    if what in COMPILED:  # a second of g++ each, and more
        near(mx.compile(schedule)(steps), expected, f"{what}, compiled")
    assert schedule(7).item() == schedule(steps)[7].item()
    assert schedule(7).shape == ()


# Random trees -------------------------------------------------------------------------------------------------------

Tree = tuple[Any, ...]
LENGTH = 60
REFUSALS = "adds to|begins at its trough|SWALR goes on from|SWALR counts its steps|can't begin at a milestone"


def leaf(r: random.Random) -> Tree:
    gamma, rate = r.choice([0.9, 0.5, 1.1, 0.97]), r.choice([0.01, 0.2])
    return r.choice(
        [
            ("StepLR", {"step_size": r.randint(1, 9), "gamma": gamma}),
            ("MultiStepLR", {"milestones": r.choices(range(30), k=r.randint(0, 4)), "gamma": gamma}),
            ("ConstantLR", {"factor": r.choice([0.1, 0.5, 1.0]), "total_iters": r.randint(0, 12)}),
            (
                "LinearLR",
                {
                    "start_factor": r.choice([0.1, 0.5, 1.0]),
                    "end_factor": r.choice([0.0, 0.3, 1.0]),
                    "total_iters": r.randint(1, 15),
                },
            ),
            ("ExponentialLR", {"gamma": gamma}),
            ("PolynomialLR", {"total_iters": r.randint(1, 30), "power": r.choice([1.0, 2.0, 0.5])}),
            ("CosineAnnealingLR", {"T_max": r.randint(1, 25)}),
            ("CosineAnnealingLR", {"T_max": r.randint(1, 25), "eta_min": 0.01}),
            ("CosineAnnealingWarmRestarts", {"T_0": r.randint(1, 9), "T_mult": r.randint(1, 3)}),
            ("CyclicLR", {"base_lr": 0.02, "max_lr": 0.3, "step_size_up": r.randint(1, 9), "mode": "triangular2"}),
            ("OneCycleLR", {"max_lr": 0.4, "total_steps": LENGTH + 5, "three_phase": r.random() < 0.5}),
            ("LambdaLR", {"lr_lambda": inverse_root}),
            (
                "SWALR",
                {"swa_lr": rate, "anneal_epochs": r.randint(0, 12), "anneal_strategy": r.choice(["cos", "linear"])},
            ),
        ]
    )


def tree(r: random.Random, depth: int) -> Tree:
    kind = r.random()
    if depth == 0 or kind < 0.2:
        return leaf(r)
    count = r.randint(1, 3)
    if kind < 0.55:
        return "ChainedScheduler", [tree(r, depth - 1) for _ in range(count)]
    parts = [tree(r, depth - 1), *(leaf(r) for _ in range(count - 1))]
    return "SequentialLR", parts, sorted(r.choices(range(25), k=count - 1))


def grown(library: Any, optimizer: Any, node: Tree) -> Any:
    cls, given, *milestones = node
    if isinstance(given, dict):
        return getattr(library, cls)(optimizer, **given)
    parts = [grown(library, optimizer, part) for part in given]
    return library.SequentialLR(optimizer, parts, *milestones) if milestones else library.ChainedScheduler(parts)


@pytest.mark.parametrize("seed", range(8))
def test_random_trees(seed):
    """Near to torch (measured: 3.6e-7) or refused with a reason. Relative to a thousandth of the peak at least: a
    cosine that adds to what others have set crosses zero, where only the last digits of what cancels are left.
    """
    r = random.Random(seed)
    for _ in range(50):
        node = tree(r, 3)
        theirs, ours = their_optimizer(0.1), our_optimizer(0.1)
        try:
            expected = rates(grown(THEIRS, theirs, node), theirs, LENGTH)
        except NotImplementedError:  # a composite at a milestone: neither side takes it
            expected = None
        try:
            schedule = grown(OURS, ours, node).as_schedule()
        except (ValueError, NotImplementedError) as error:
            assert re.search(REFUSALS, str(error)), node  # noqa: PT017
            # Of all leaves, only these two go on from what others have left in a way that has no closed form.
            assert expected is None or "CosineAnnealingLR" in str(node) or "SWALR" in str(node), node
            continue
        assert expected is not None, node
        values = np.array(schedule(mx.arange(LENGTH + 1))).astype(np.float64)
        scale = np.maximum(np.abs(expected), 1e-3 * np.abs(expected).max())
        assert (np.abs(values - expected) <= 1e-6 * scale).all(), (node, values - expected)


# FromSchedule -------------------------------------------------------------------------------------------------------

MLX = mlx.optimizers
CURVES: dict[str, tuple[Any, Callable[[int], float]]] = {
    "exponential_decay": (MLX.exponential_decay(0.1, 0.99), lambda n: 0.1 * 0.99**n),
    "step_decay": (MLX.step_decay(0.1, 0.5, 20), lambda n: 0.1 * 0.5 ** (n // 20)),
    "linear_schedule": (MLX.linear_schedule(0.01, 0.1, 70), lambda n: 0.01 + 0.09 * min(n, 70) / 70),
    "cosine_decay": (
        MLX.cosine_decay(0.1, 300, 0.01),
        lambda n: 0.01 + 0.045 * (1 + math.cos(math.pi * min(n, 300) / 300)),
    ),
    "join_schedules": (
        MLX.join_schedules([MLX.linear_schedule(0.01, 0.1, 50), MLX.exponential_decay(0.1, 0.99)], [50]),
        lambda n: 0.01 + 0.09 * n / 50 if n < 50 else 0.1 * 0.99 ** (n - 50),
    ),
    "ours": (
        optim.lr_scheduler.LambdaLR(our_optimizer(0.1), inverse_root).as_schedule(),
        lambda n: 0.1 * inverse_root(n),
    ),
    "a user's": (lambda n: 0.1 * mx.rsqrt(1 + n), lambda n: 0.1 * inverse_root(n)),
}


@pytest.mark.parametrize("what", CURVES)
def test_from_schedule(what):
    """A schedule drives a group as torch's LambdaLR does, whose factor is the same curve. MLX computes the power of a
    rounded 0.99 in float32: 5e-6 off after 300 steps.
    """
    schedule, curve = CURVES[what]
    theirs, ours = their_optimizer(1.0), our_optimizer(1.0)
    expected = rates(THEIRS.LambdaLR(theirs, curve), theirs, 300)
    scheduler = optim.lr_scheduler.FromSchedule(ours, schedule)
    values = rates(scheduler, ours, 300)
    np.testing.assert_allclose(values, expected, rtol=2e-5)
    assert scheduler.last_epoch == 300
    steps = mx.arange(301, dtype=mx.uint64)
    near(scheduler.as_schedule()(steps), np.array([schedule(n).item() for n in steps]), what)
