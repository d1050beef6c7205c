"""``FromSchedule``: any schedule of MLX drives ``param_groups`` as a scheduler."""

from __future__ import annotations

from functools import partial

import mlx.core as mx
import pytest

from tests.schedule_cases import ALL, adapter, walk
from torchish_mlx import Parameter, optim
from torchish_mlx.optim import lr_scheduler


class Ramp:
    """A callable object: a state dict keeps its ``__dict__``."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def __call__(self, step: mx.array) -> mx.array:
        return self.slope * step


@pytest.mark.parametrize("name", ALL)
def test_from_schedule(name):
    scheduler = lr_scheduler.FromSchedule(adapter(), ALL[name])
    assert walk(scheduler, 30) == ALL[name](mx.arange(31)).tolist()
    assert scheduler.get_last_lr() == [ALL[name](30).item()]
    assert mx.array_equal(scheduler.as_schedule()(mx.arange(31)), ALL[name](mx.arange(31)))


def test_it_asks_with_the_array_that_mlx_asks_with():
    asked = []

    def schedule(step):
        asked.append((step.dtype, step.shape, step.item()))
        return 0.5

    walk(lr_scheduler.FromSchedule(adapter(), schedule), 2)
    assert asked == [(mx.uint64, (), 0), (mx.uint64, (), 1), (mx.uint64, (), 2)]


def test_one_schedule_for_each_group():
    optimizer = adapter(groups=2)
    scheduler = lr_scheduler.FromSchedule(optimizer, [Ramp(0.5), lambda n: mx.array([3.0])])
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == scheduler.get_last_lr() == [0.5, 3.0]
    assert all(type(group["lr"]) is float for group in optimizer.param_groups)


def test_saving_and_resuming():
    scheduler = lr_scheduler.FromSchedule(adapter(groups=2), [Ramp(0.5), lambda n: 0.25 * n])
    walk(scheduler, 3)
    state = scheduler.state_dict()
    assert state["schedules"] == [{"slope": 0.5}, None]
    assert state["last_epoch"] == 3
    fresh = lr_scheduler.FromSchedule(adapter(groups=2), [Ramp(9.0), lambda n: 0.25 * n])
    fresh.load_state_dict(state)
    assert fresh.schedules[0].slope == 0.5
    fresh.optimizer.step()
    fresh.step()
    assert fresh.get_last_lr() == [2.0, 1.0]
    assert fresh.last_epoch == 4
    resumed = adapter()
    resumed.param_groups[0]["initial_lr"] = 0.1
    assert lr_scheduler.FromSchedule(resumed, Ramp(0.5), last_epoch=3).get_last_lr() == [2.0]
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.FromSchedule(adapter(), Ramp(0.5), last_epoch=3)


def test_step_to_an_epoch():
    scheduler = lr_scheduler.FromSchedule(adapter(), Ramp(0.5))
    scheduler.optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(10)
    assert (scheduler.get_last_lr(), scheduler.last_epoch) == ([5.0], 10)
    scheduler.step()
    assert scheduler.get_last_lr() == [5.5]


def test_in_composites():
    optimizer = adapter()
    parts = [lr_scheduler.LinearLR(optimizer, 0.5), lr_scheduler.FromSchedule(optimizer, Ramp(0.5))]
    scheduler = lr_scheduler.SequentialLR(optimizer, parts, [4])
    schedule = scheduler.as_schedule()
    values = walk(scheduler, 8)
    assert values[4:] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert schedule(mx.arange(9)).tolist() == pytest.approx(values)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (0.1, TypeError, "schedule should be a function, but got float"),
        ([Ramp(1.0), None], TypeError, "schedule should be a function, but got NoneType"),
        ([Ramp(1.0)], ValueError, "Expected 2 schedules, but got 1"),
        ([], ValueError, "Expected 2 schedules, but got 0"),
        (lambda n: mx.zeros((2,)), ValueError, r"gives one number, .* at step 0 it gave an array of shape \(2,\)"),
        (lambda n: None, ValueError, "at step 0 it gave None"),
        (lambda n: "0.1", ValueError, "at step 0 it gave '0.1'"),
        (lambda n: 1j, ValueError, "at step 0 it gave 1j"),
    ],
)
def test_what_is_no_schedule(given, error, match):
    optimizer = adapter(groups=2)
    before = [dict(group) for group in optimizer.param_groups]
    with pytest.raises(error, match=match):
        lr_scheduler.FromSchedule(optimizer, given)
    assert [dict(group) for group in optimizer.param_groups] == before


def test_a_schedule_that_fails_later_changes_nothing():
    optimizer = adapter(groups=2)
    scheduler = lr_scheduler.FromSchedule(optimizer, [Ramp(0.5), lambda n: 0.1 if n.item() < 2 else None])
    optimizer.step()
    scheduler.step()
    state = dict(scheduler.state_dict())
    with pytest.raises(ValueError, match="at step 2 it gave None"):
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert {**scheduler.state_dict(), "schedules": None} == {**state, "schedules": None}


def test_state_of_another():
    scheduler = lr_scheduler.FromSchedule(adapter(), Ramp(0.5))
    for other in (
        lr_scheduler.StepLR(adapter(), 3).state_dict(),
        lr_scheduler.FromSchedule(adapter(groups=2), Ramp(0.5)).state_dict(),
    ):
        before = dict(scheduler.__dict__)
        with pytest.raises(ValueError, match=r"not the state dict of a FromSchedule|Expected 1 schedules, but got 2"):
            scheduler.load_state_dict(other)
        assert scheduler.__dict__ == before
    with pytest.raises(TypeError, match="list is not an Optimizer"):
        lr_scheduler.FromSchedule([], Ramp(0.5))


def test_a_compiled_step_sees_it():
    """Driven by a schedule, a compiled step is traced once."""
    optimizer, traces = optim.SGD([Parameter(mx.array([0.0]))], lr=0.1), []
    p = optimizer.param_groups[0]["params"][0]
    optimizer.init({"0": p.array})

    @partial(mx.compile, inputs=[optimizer.state], outputs=[optimizer.state])
    def step(w: mx.array) -> mx.array:
        traces.append(1)
        return w - optimizer.apply_gradients({"0": mx.ones((1,))}, {"0": w})["0"]

    scheduler = lr_scheduler.FromSchedule(optimizer, Ramp(0.5))
    for n in range(5):
        assert step(p.array).item() == 0.5 * n
        scheduler.step()
    assert len(traces) == 1
