"""Pure schedules and ``as_schedule``, without torch: exact values are Python's, in double."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest

from tests.schedule_cases import ALL, adapter, walk
from torchish_mlx import Tensor
from torchish_mlx import optimizers as rules
from torchish_mlx.optim import lr_scheduler
from torchish_mlx.optim.swa_utils import SWALR
from torchish_mlx.optimizers import schedules

each = pytest.mark.parametrize("name", ALL)


def test_every_schedule_is_here():
    assert set(ALL) == set(schedules.__all__) - {"Schedule"}


# Steps in, values out -----------------------------------------------------------------------------------------------


@each
def test_steps_of_every_kind(name):
    """Every integer dtype, a Python int and an array of steps give the same float32 values, eager and compiled."""
    schedule = ALL[name]
    steps = mx.arange(60)
    values = schedule(steps)
    assert (values.shape, values.dtype) == ((60,), mx.float32)
    assert mx.isfinite(values).all()
    assert len(set(values.tolist())) > 1
    compiled = mx.compile(schedule)
    for dtype in (mx.int8, mx.uint8, mx.int16, mx.uint16, mx.int32, mx.uint32, mx.int64, mx.uint64):
        assert mx.array_equal(schedule(steps.astype(dtype)), values), dtype
    for n in (0, 1, 9, 40, 59):
        value = schedule(mx.array(n, mx.uint64))
        assert (value.shape, value.dtype) == ((), mx.float32)
        assert value.item() == schedule(n).item() == schedule(np.int64(n)).item() == values[n].item()
        assert compiled(mx.array(n, mx.uint64)).item() == pytest.approx(value.item(), rel=3e-7, abs=1e-12)
    assert mx.array_equal(schedule(steps.reshape(6, 10)), values.reshape(6, 10))


@each
def test_a_step_that_is_none(name):
    for wrong in (1.5, mx.array(1.0), mx.array(True), "3", None):
        with pytest.raises(TypeError, match="a schedule takes a step, an int or an array of integers, but got"):
            ALL[name](wrong)


@each
def test_inside_optimizers(name):
    """``learning_rate=`` of our rules and of MLX's, in eager and (one: g++ takes its time) in compiled steps."""
    schedule = ALL[name]
    for cls in (rules.SGD, rules.AdamW, mlx.optimizers.SGD, mlx.optimizers.Adam):
        optimizer = cls(learning_rate=schedule)
        params = {"w": mx.array([1.0, 2.0])}
        optimizer.init(params)

        @partial(mx.compile, inputs=[optimizer.state], outputs=[optimizer.state])
        def step(w: mx.array, optimizer: Any = optimizer) -> mx.array:
            return optimizer.apply_gradients({"w": w}, {"w": w})["w"]

        for n in range(12):
            if n % 2 and cls is rules.SGD:
                step(params["w"])
            else:
                optimizer.apply_gradients(params, params)
            assert optimizer.learning_rate.item() == pytest.approx(schedule(n).item(), rel=3e-7)


@each
def test_inside_join_schedules(name):
    """MLX asks a schedule also for steps before it begins, which wrap around in uint64, and drops the answer."""
    joined = mlx.optimizers.join_schedules([lambda _: mx.array(1.0), ALL[name]], [10])
    values = [joined(mx.array(n, mx.uint64)).item() for n in range(20)]
    assert values == [1.0] * 10 + ALL[name](mx.arange(10)).tolist()


# Values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.999, 0.9999999, 1.0000001, -0.9, 0.0, 1.0])
def test_powers_do_not_drift(gamma):
    """float32(gamma) ** n would be 1e-4 off at n = 10,000; this is not, at 2**24 and beyond either."""
    schedule = schedules.exponential_lr(0.5, gamma)
    for n in (0, 1, 2, 4095, 4096, 10_000, 2**24 - 1, 2**24, 2**24 + 1, 2**29, 2**35):
        if gamma > 1 and n > 2**29:
            assert schedule(n).item() == math.inf
            continue
        exact = 0.5 * gamma**n
        assert schedule(n).item() == pytest.approx(exact, rel=4e-7, abs=2e-37)


@pytest.mark.parametrize("period", [10, 9999, 2**20 + 1])
def test_a_cosine_is_right_beside_its_zeros(period):
    """Where 1 + cos has lost all its digits in float32: sin**2 of the distance has not. Many periods later too."""
    schedule = schedules.cosine_annealing_lr(1.0, period)
    for k in (1, 3, 2 * (2**30 // period) + 1):
        assert schedule(k * period).item() == 0
        for d in (1, 2, 5):
            exact = math.sin(math.pi / 2 * d / period) ** 2
            assert schedule(k * period + d).item() == pytest.approx(exact, rel=4e-7, abs=0)
            assert schedule(k * period - d).item() == pytest.approx(exact, rel=4e-7, abs=0)


@pytest.mark.parametrize("power", [0.9, 0.3, 7.7])
def test_a_polynomial_is_right_at_its_foot(power):
    """What float32 leaves of 0.9 is a 4e-7th of the value there, and a rounded n / total seven times its error."""
    total = 2**24 - 9
    schedule = schedules.polynomial_lr(1.0, total, power)
    for k in (1, 2, 3, 1000, total - 3, total):
        exact = (k / total) ** power
        assert schedule(total - k).item() == pytest.approx(exact, rel=2.5e-7, abs=1e-37)


def test_ends_are_exact():
    """A warm-up ends at the learning rate itself, not a unit of the last place beside it."""
    for lr in np.random.default_rng(0).uniform(1e-5, 1, 50):
        exact = np.float32(lr)
        for total in (3, 7, 1000):
            assert schedules.linear_lr(lr, total_iters=total)(total).item() == exact
            assert schedules.constant_lr(lr, total_iters=total)(total).item() == exact
            assert schedules.swa_lr(1.0, lr, total)(total).item() == exact
        assert schedules.polynomial_lr(lr, 7)(7).item() == 0


def test_one_cycle_stays_low_after_its_end():
    schedule = schedules.one_cycle_lr(1.0, 100)
    assert schedule(99).item() == pytest.approx(1 / 25 / 1e4, rel=3e-7)
    assert schedule(101).item() == schedule(10**9).item() == schedule(99).item()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            lambda: schedules.step_lr(0.1, 0),
            ValueError,
            "step_size expected to be a whole number, 1 or more, but got",
        ),
        (lambda: schedules.step_lr(0.1, 2.5), ValueError, "step_size expected to be a whole number"),
        (lambda: schedules.step_lr(0.1, 2, gamma="0.1"), TypeError, "gamma must be a number, but got '0.1'"),
        (lambda: schedules.step_lr("0.1", 2), TypeError, "lr must be a number"),
        (lambda: schedules.constant_lr(0.1, 2.0), ValueError, "factor expected to be between 0 and 1"),
        (
            lambda: schedules.constant_lr(0.1, total_iters=-1),
            ValueError,
            "total_iters expected to be a whole number",
        ),
        (lambda: schedules.constant_lr(0.1, math.nan), ValueError, "factor expected to be between 0 and 1"),
        (lambda: schedules.linear_lr(0.1, 0), ValueError, "greater than 0 and less or equal to 1"),
        (lambda: schedules.linear_lr(0.1, total_iters=math.inf), ValueError, "a whole number"),
        (lambda: schedules.polynomial_lr(0.1, 5, -1), ValueError, "power expected to be 0 or more, but got -1"),
        (lambda: schedules.cosine_annealing_lr(0.1, 0), ValueError, "T_max expected to be a whole number, 1 or more"),
        (lambda: schedules.cosine_annealing_warm_restarts(0.1, 0), ValueError, "Expected positive integer T_0"),
        (lambda: schedules.cyclic_lr(0.1, 1.0, 0), ValueError, "step_size_up expected"),
        (lambda: schedules.cyclic_lr(0.1, 1.0, 2.5), ValueError, "step_size_up expected"),
        (lambda: schedules.one_cycle_lr(0.1, 10, pct_start=0.1), ValueError, "the rise has no length"),
        (lambda: schedules.lambda_lr(0.1, 0.5), TypeError, "lr_lambda should be a function, but got float"),
        (lambda: schedules.sequential_lr([], []), ValueError, "expects at least one scheduler"),
        (lambda: schedules.sequential_lr([0.1], []), TypeError, "the one at index 0 is 0.1"),
        (lambda: schedules.sequential_lr([len, len, len], [5, 3]), ValueError, "increasing order, but got"),
        (lambda: schedules.chained_scheduler([len, 0.1]), TypeError, "the one at index 1 is 0.1"),
    ],
)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_numbers_may_be_arrays():
    assert schedules.exponential_lr(mx.array(0.5), mx.array([0.5]))(2).item() == 0.125
    optimizer = adapter(lr=Tensor(mx.array(0.5)))
    assert lr_scheduler.ExponentialLR(optimizer, 0.5).as_schedule()(2).item() == 0.125


def test_milestones_that_no_step_is_equal_to():
    """The scheduler looks for its step among the milestones, and so passes by these."""
    optimizer = adapter(lr=1.0)
    scheduler = lr_scheduler.MultiStepLR(optimizer, [-2, 2.5, 3.0, 4], 0.5)
    assert scheduler.as_schedule()(mx.arange(6)).tolist() == [1.0, 1.0, 1.0, 0.5, 0.25, 0.25]
    assert walk(scheduler, 5) == [1.0, 1.0, 1.0, 0.5, 0.25, 0.25]


def test_cycles_of_fractions_of_steps():
    scheduler = lr_scheduler.CyclicLR(adapter(), 0.1, 1.0, step_size_up=2.5, step_size_down=2.5)
    with pytest.raises(ValueError, match=r"step_size_up expected to be a whole number, 1 or more, but got 2\.5"):
        scheduler.as_schedule()
    scheduler = lr_scheduler.CyclicLR(adapter(), 0.1, 1.0, step_size_up=3, step_size_down=7)
    assert scheduler.as_schedule()(mx.array([0, 3, 10])).tolist() == pytest.approx([0.1, 1.0, 0.1])


# as_schedule --------------------------------------------------------------------------------------------------------


def test_groups():
    optimizer = adapter(groups=3)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    assert scheduler.as_schedule()(1).item() == scheduler.as_schedule(group=2)(1).item() == np.float32(0.05)
    optimizer = adapter(groups=3)
    optimizer.param_groups[2]["lr"] = 1.0
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    with pytest.raises(ValueError, match=r"group 2 has another learning rate .*: call as_schedule\(group=i\)"):
        scheduler.as_schedule()
    assert [scheduler.as_schedule(i)(1).item() for i in range(3)] == [np.float32(0.05), np.float32(0.05), 0.5]
    for wrong in (3, -1, 1.0, "0"):
        with pytest.raises(ValueError, match=r"group must be the index of a group, 0 to 2, but got"):
            scheduler.as_schedule(wrong)
    chain = lr_scheduler.ChainedScheduler([scheduler, lr_scheduler.StepLR(optimizer, 2, 0.5)])
    with pytest.raises(ValueError, match="group 2 has another"):
        chain.as_schedule()
    assert chain.as_schedule(2)(2).item() == 0.125


def test_groups_that_differ_in_other_numbers():
    for make in (
        lambda o: lr_scheduler.LambdaLR(o, [lambda n: 1.0, lambda n: 0.5]),
        lambda o: lr_scheduler.CyclicLR(o, 0.1, [1.0, 2.0]),
        lambda o: lr_scheduler.OneCycleLR(o, [1.0, 2.0], 10),
        lambda o: SWALR(o, [0.1, 0.2]),
        lambda o: lr_scheduler.FromSchedule(o, [lambda n: 1.0, lambda n: 0.5]),
    ):
        scheduler = make(adapter(groups=2))
        with pytest.raises(ValueError, match="group 1 has another learning rate"):
            scheduler.as_schedule()
        assert scheduler.as_schedule(0)(9).item() != scheduler.as_schedule(1)(9).item()


class Own(lr_scheduler.LRScheduler):
    def get_lr(self):
        return list(self.base_lrs)


class OwnStep(lr_scheduler.StepLR):
    def get_lr(self):
        return [2 * lr for lr in super().get_lr()]


class Described(Own):
    def as_schedule(self, group=None):
        return schedules.constant_lr(self.base_lrs[group or 0], 1.0)


class Renamed(lr_scheduler.StepLR):
    """A subclass that computes nothing of its own."""


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda o: lr_scheduler.MultiplicativeLR(o, lambda n: 0.9), "multiplies by a function of every step"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o), "depends on the metrics"),
        (lambda o: Own(o), "Own computes its rates in a way of its own, and may define as_schedule itself"),
        (lambda o: OwnStep(o, 2), "OwnStep computes its rates in a way of its own"),
        (
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 2), OwnStep(o, 2)]),
            "OwnStep computes",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 2), SWALR(o, 0.2)]),
            "SWALR goes on from what the others have made of the rate",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler(
                [lr_scheduler.StepLR(o, 2), lr_scheduler.CosineAnnealingLR(o, 9, eta_min=0.01)]
            ),
            "CosineAnnealingLR with eta_min=0.01 adds to the rate as well as multiplying it",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.CosineAnnealingLR(o, k) for k in (5, 7)]),
            "CosineAnnealingLR adds to what the others have set",
        ),
        (
            lambda o: lr_scheduler.SequentialLR(
                o,
                [lr_scheduler.StepLR(o, 2), lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 2)])],
                [5],
            ),
            "a ChainedScheduler can't begin at a milestone",
        ),
    ],
)
def test_no_closed_form(make, match):
    scheduler = make(adapter())
    with pytest.raises(ValueError, match=rf"has no closed form: .*{match}.* Call step\(\) in the loop instead"):
        scheduler.as_schedule()


def test_subclasses():
    optimizer = adapter()
    assert Renamed(optimizer, 2).as_schedule()(2).item() == np.float32(0.01)
    chain = lr_scheduler.ChainedScheduler([Described(optimizer), lr_scheduler.ConstantLR(optimizer, 0.5, 3)])
    assert chain.as_schedule()(mx.array([0, 2, 3, 4])).tolist() == pytest.approx([0.05, 0.1, 0.2, 0.1])


def test_a_lambda_that_cannot_be_traced_fails_when_it_is_called():
    schedule = lr_scheduler.LambdaLR(adapter(), lambda n: math.cos(n if isinstance(n, int) else n.item())).as_schedule()
    assert schedule(2).item() == pytest.approx(0.1 * math.cos(2))
    with pytest.raises(ValueError, match="eval"):
        mx.compile(schedule)(mx.array(2))


def test_swalr_knows_where_it_came_from_until_it_arrives():
    optimizer = adapter()
    optimizer.param_groups[0]["lr"] = 0.9
    scheduler = SWALR(optimizer, 0.1, anneal_epochs=4)
    expected = schedules.swa_lr(0.9, 0.1, 4)(mx.arange(9)).tolist()
    optimizer.step()
    for _ in range(4):
        assert scheduler.as_schedule()(mx.arange(9)).tolist() == pytest.approx(expected, rel=1e-6)
        scheduler.step()
    with pytest.raises(ValueError, match="it has reached swa_lr"):
        scheduler.as_schedule()


def test_it_drives_an_mlx_optimizer_as_the_scheduler_drives_ours():
    """The same training in torch's words and in MLX's."""
    ours, native = adapter(), None
    parts = [lr_scheduler.LinearLR(ours, 0.1, total_iters=5), lr_scheduler.CosineAnnealingLR(ours, 20)]
    scheduler = lr_scheduler.SequentialLR(ours, parts, [5])
    native = mlx.optimizers.SGD(learning_rate=scheduler.as_schedule(), momentum=0.9)
    w = {"w": mx.array([0.0])}
    p = ours.param_groups[0]["params"][0]
    for _ in range(25):
        p.grad = mx.ones((1,))
        ours.step()
        scheduler.step()
        w = native.apply_gradients({"w": mx.ones((1,))}, w)
        assert w["w"].item() == pytest.approx(p.item(), rel=2e-6)
