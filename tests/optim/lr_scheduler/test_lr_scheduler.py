"""Schedulers on MLX's side: compiled steps see what they move, and every way to step counts as one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_map

from tests.cases import Net, assert_close, gradients
from tests.optimizers.test_rules_compile import ULPS
from torchish_mlx import Parameter, optim, tensor
from torchish_mlx.optim import lr_scheduler as s

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda model: optim.SGD(model, lr=0.1, momentum=0.9),
    "AdamW": lambda model: optim.AdamW(model, lr=0.01),
    "RMSprop": lambda model: optim.RMSprop(model, lr=0.01, momentum=0.5),
    "mlx.SGD": lambda model: optim.from_mlx(mlx.optimizers.SGD)(model, lr=0.1, momentum=0.9),
    "mlx.AdamW": lambda model: optim.from_mlx(mlx.optimizers.AdamW)(model, lr=0.01),
    "mlx.Lion": lambda model: optim.Lion(model, lr=0.01),
}
every_optimizer = pytest.mark.parametrize("kind", OPTIMIZERS)


# Compiled steps ------------------------------------------------------------------------------------------------------


def one_cycle(optimizer: Any) -> Any:
    return s.OneCycleLR(optimizer, max_lr=0.2, total_steps=12, base_momentum=0.3, max_momentum=0.9)


def nested(optimizer: Any) -> Any:
    warm_up = s.LinearLR(optimizer, start_factor=0.1, total_iters=3)
    cyclic = s.CyclicLR(optimizer, base_lr=0.01, max_lr=0.1, step_size_up=2, base_momentum=0.2, max_momentum=0.8)
    return s.SequentialLR(optimizer, [s.ChainedScheduler([warm_up, s.ExponentialLR(optimizer, 0.9)]), cyclic], [4])


def trained(kind: str, schedule: Callable[[Any], Any] | None, compiled: bool) -> tuple[nn.Module, list[Any], int]:
    """Ten steps, each followed by the scheduler's; the groups' rates, and how often the step was traced."""
    model, traces = Net(), 0
    optimizer = OPTIMIZERS[kind](model)
    optimizer.init(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler")  # a composite in a composite steps it
        scheduler = schedule(optimizer) if schedule else None
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        nonlocal traces
        traces += 1
        optimizer.update(model, grads)

    run = mx.compile(step, inputs=state, outputs=state) if compiled else step
    seen = []
    for i in range(10):
        seen.append([(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups])
        run(gradients(model, i))
        mx.eval(state)
        if scheduler:
            scheduler.step()
    return model, seen, traces


@every_optimizer
@pytest.mark.parametrize("schedule", [one_cycle, nested])
def test_a_compiled_step_sees_what_a_scheduler_moves(kind, schedule):
    """Learning rate, momentum and betas, without a new trace."""
    model, seen, traces = trained(kind, schedule, compiled=True)
    reference, expected, _ = trained(kind, schedule, compiled=False)
    assert traces == 1
    assert seen == expected
    moved = 1 if kind in ("SGD", "RMSprop", "mlx.SGD") else 2
    assert len({row[0][0] for row in seen}) >= 7
    assert len({str(row[0][moved]) for row in seen}) >= 3
    assert_close(model, reference, ULPS)
    still, *_ = trained(kind, None, compiled=True)
    with pytest.raises(AssertionError):
        assert_close(model, still, 1000)


@pytest.mark.parametrize("kind", ["SGD", "mlx.SGD"])
def test_a_rate_that_is_a_tensor_is_seen(kind):
    model, lr, traces = Net(), tensor(0.5), 0
    cls = optim.SGD if kind == "SGD" else optim.from_mlx(mlx.optimizers.SGD)
    optimizer = cls(model, lr=lr)
    optimizer.init(model)
    scheduler = s.StepLR(optimizer, step_size=1, gamma=0.5)
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        nonlocal traces
        traces += 1
        optimizer.update(model, grads)

    run = mx.compile(step, inputs=state, outputs=state)
    for i in range(4):
        before = np.array(model.step)
        run(tree_map(mx.ones_like, model.parameters()))
        np.testing.assert_allclose(before - np.array(model.step), 0.5 * 0.5**i, rtol=1e-5)
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] is lr
    assert traces == 1


# The order of the steps ----------------------------------------------------------------------------------------------


def by_step(optimizer: Any, model: nn.Module) -> None:
    optimizer.step()


def by_update(optimizer: Any, model: nn.Module) -> None:
    optimizer.update(model, gradients(model, 0))


def by_apply(optimizer: Any, model: nn.Module) -> None:
    model.update(optimizer.apply_gradients(gradients(model, 0), model))


def by_compiled_update(optimizer: Any, model: nn.Module) -> None:
    optimizer.init(model)
    state = [model.state, optimizer.state]
    mx.compile(lambda grads: optimizer.update(model, grads), inputs=state, outputs=state)(gradients(model, 0))


WAYS = [by_step, by_update, by_apply, by_compiled_update]


@every_optimizer
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_step_counts(kind, way):
    """No warning after it; the warning without it."""
    model = Net()
    optimizer = OPTIMIZERS[kind](model)
    scheduler = s.ExponentialLR(optimizer, 0.9)
    way(optimizer, model)
    scheduler.step()  # a warning is an error
    scheduler = s.ExponentialLR(OPTIMIZERS[kind](Net()), 0.9)
    with pytest.warns(UserWarning, match=r"^Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`"):
        scheduler.step()


def test_a_compiled_step_that_was_traced_before():
    """It runs without Python, and is seen by the arrays that it leaves."""
    model = Net()
    optimizer = OPTIMIZERS["AdamW"](model)
    optimizer.init(model)
    state = [model.state, optimizer.state]
    run = mx.compile(lambda grads: optimizer.update(model, grads), inputs=state, outputs=state)
    run(gradients(model, 0))
    scheduler = s.ExponentialLR(optimizer, 0.9)
    run(gradients(model, 1))
    scheduler.step()  # a warning is an error
    other = OPTIMIZERS["AdamW"](model)
    scheduler = s.ExponentialLR(other, 0.9)
    other.param_groups[0]["lr"] = 0.5
    other.load_state_dict(other.state_dict())
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


@every_optimizer
def test_nothing_is_patched(kind):
    """The step of the class stays the optimizer's step."""
    model = Net()
    optimizer = OPTIMIZERS[kind](model)
    step, before = type(optimizer).step, set(vars(optimizer))
    scheduler = one_cycle(optimizer)
    optimizer.step()
    scheduler.step()
    assert "step" not in vars(optimizer)
    assert type(optimizer).step is step
    assert set(vars(optimizer)) - before <= {"_opt_called", "_watched", "_registered", "_last_thread"}


def test_a_users_own_optimizer():
    """Its ``step`` counts as any other."""

    class Plain(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.5})

        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    p.data.add_(p.grad, alpha=-group["lr"])

    p = Parameter(mx.array([1.0]))
    optimizer = Plain([p])
    scheduler = s.StepLR(optimizer, 1, gamma=0.5)
    for expected in (0.5, 0.25, 0.125):
        p.grad = mx.array([1.0])
        optimizer.step()
        scheduler.step()
        assert p.item() == expected
        assert optimizer.param_groups[0]["lr"] == expected / 2 or expected == 0.5
    assert scheduler.get_last_lr() == [0.0625]
