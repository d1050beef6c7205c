"""What evaluates, and when: one evaluation per step(), and no memory that grows in a loop without mx.eval."""

from __future__ import annotations

import gc
import io
import re
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.cases import Net, gradients, inputs, squared_error
from tests.marks import mostly_long
from torchish_mlx import optim
from torchish_mlx._core.cpu import on_cpu
from torchish_mlx.optimizers import _paths

STEPS = 2000
FEWER = 500  # where a variant of the loop is looked at
WARM_UP = 100
SLACK = 256  # bytes: which buffers are in use when it is measured varies by a few of the smallest

ADAPTERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.01, "momentum": 0.9},
    "Adam": {"lr": 1e-3, "amsgrad": True},
    "AdamW": {"lr": 1e-3, "fused": True},
    "Adamax": {"lr": 1e-3},
    "NAdam": {"lr": 1e-3},
    "RAdam": {"lr": 1e-3},
    "Adagrad": {"lr": 1e-2},
    "Adadelta": {"lr": 1.0},
    "RMSprop": {"lr": 1e-3, "centered": True, "momentum": 0.5},
    "Rprop": {"lr": 1e-3},
    "ASGD": {"lr": 1e-2},
    "Adafactor": {"lr": 1e-2},
    "Muon": {"lr": 1e-3},
    "Lion": {"lr": 1e-4},
}


class Written(optim.Optimizer):
    """Momentum, as a user of torch writes it."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if "buffer" not in state:
                        state["buffer"] = torch.zeros_like(p)
                    state["buffer"].mul_(0.9).add_(p.grad)
                    p.data.add_(state["buffer"], alpha=-group["lr"])


def adapter(name: str, params: Any) -> Any:
    return getattr(optim, name)(params, **ADAPTERS[name])


def step_of(model: nn.Module, optimizer: Any, loss_fn: Any = squared_error, backwards: int = 1) -> Callable[[], Any]:
    """One step of a torch loop, which evaluates nothing itself."""
    x = inputs()

    def step() -> Any:
        optimizer.zero_grad()
        for _ in range(backwards):
            loss = torch.backward(model, loss_fn, x)
        optimizer.step()
        return loss

    return step


def growth(step: Callable[[], Any], steps: int = STEPS) -> int:
    """By how many bytes MLX's active memory is larger after ``steps`` steps than after WARM_UP ones."""
    for _ in range(WARM_UP):
        step()
    gc.collect()  # what earlier tests left is not this loop's
    mx.synchronize()
    before = mx.get_active_memory()
    for _ in range(steps - WARM_UP):
        step()
    mx.synchronize()
    return mx.get_active_memory() - before


def test_the_measure_sees_a_loop_that_grows():
    """The same loop with an update that nothing evaluates: what the tests below would see if step() did not."""
    model = Net()
    optimizer = optim.SGD(model, lr=0.01)
    x = inputs()

    def step() -> None:
        _, grads = nn.value_and_grad(model, squared_error)(model, x)
        optimizer.update(model, grads)

    assert growth(step, FEWER) > 4 * SLACK


@pytest.mark.parametrize(
    ("name", "steps"),
    mostly_long(
        [("Adam", STEPS), ("AdamW", FEWER), ("NAdam", FEWER), ("Lion", FEWER)], lambda name, _: name == "AdamW"
    ),
)
def test_memory_is_flat(name, steps):
    model = Net()
    assert abs(growth(step_of(model, adapter(name, model)), steps)) <= SLACK


def test_memory_is_flat_with_a_step_that_a_user_wrote():
    model = Net()
    assert abs(growth(step_of(model, Written(model, lr=0.01)), FEWER)) <= SLACK


@pytest.mark.long
def test_memory_is_flat_with_batch_norm_and_dropout():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Dropout(0.5), nn.Linear(4, 3))
    assert abs(growth(step_of(model, optim.Adam(model, lr=1e-3)), FEWER)) <= SLACK


@pytest.mark.long
def test_memory_is_flat_with_accumulated_gradients():
    model = Net()
    assert abs(growth(step_of(model, optim.Adam(model, lr=1e-3), backwards=2), FEWER)) <= SLACK


@pytest.mark.long
def test_memory_is_flat_with_frozen_and_missed_parameters():
    model = Net()
    model.layers[0].freeze()
    optimizer = optim.Adam(model, lr=1e-3)
    step = step_of(model, optimizer)
    turn = iter(range(10**6))

    def alternating() -> None:
        (model.layers[2].freeze if next(turn) % 2 else model.layers[2].unfreeze)()
        step()

    assert abs(growth(alternating, FEWER)) <= SLACK


def test_memory_is_flat_on_the_tape():
    weight, x = torch.Parameter(mx.zeros((3, 3))), torch.tensor(inputs())
    optimizer = optim.Adam([weight], lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        ((x @ weight - x) ** 2).mean().backward()
        optimizer.step()

    assert abs(growth(step, FEWER)) <= SLACK


@pytest.mark.long
def test_memory_is_flat_with_a_changing_rate():
    model = Net()
    optimizer = optim.SGD(model, lr=0.01)
    step = step_of(model, optimizer)

    def scheduled() -> None:
        optimizer.param_groups[0]["lr"] *= 0.999
        step()

    assert abs(growth(scheduled, FEWER)) <= SLACK


@pytest.mark.long
def test_memory_is_flat_with_a_tensor_for_a_rate():
    model = Net()
    rate = torch.tensor(0.01)
    optimizer = optim.SGD(model, lr=rate)
    step = step_of(model, optimizer)

    def scheduled() -> None:
        rate.mul_(0.999)
        step()

    assert abs(growth(scheduled, FEWER)) <= SLACK


@pytest.mark.long
def test_kept_losses_keep_their_numbers_only():
    """A list of losses that are not read holds a number each, and not the work behind it."""
    model = Net()
    step, losses = step_of(model, optim.Adam(model, lr=1e-3)), []
    assert growth(lambda: losses.append(step())) <= 4 * (STEPS - WARM_UP) + SLACK
    assert losses[-1].item() < losses[0].item()


# What evaluates ---------------------------------------------------------------------------------------------------


def trainable(name: str) -> nn.Module:
    return Net(bias=name != "Muon")


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_step_schedules_the_gradients_and_then_what_it_wrote(name, evaluations):
    """The gradients are scheduled by backward(), and once more at the start of step(): nothing is left to do then."""
    model = trainable(name)
    optimizer = adapter(name, model)
    x = inputs()
    _paths._can_compile(on_cpu())  # it tries the C++ compiler once in a process
    for _ in range(3):
        evaluations.clear()
        optimizer.zero_grad()
        assert evaluations == []
        torch.backward(model, squared_error, x)
        assert evaluations == ["async_eval"]
        optimizer.step()
        assert evaluations == ["async_eval"] * 3
        optimizer.zero_grad(set_to_none=False)
        assert evaluations == ["async_eval"] * 4


def test_accumulating_schedules_what_was_accumulated(evaluations):
    """One evaluation of the new gradients, and one of the sums where there were some; see test_accumulation.py."""
    model, weight = Net(), torch.Parameter(mx.zeros((3, 3)))
    x = inputs()
    evaluations.clear()
    torch.backward(model, squared_error, x)
    assert evaluations == ["async_eval"]
    (weight * 2).sum().backward()
    assert evaluations == ["async_eval"] * 2
    torch.backward(model, squared_error, x)
    assert evaluations == ["async_eval"] * 4
    (weight * 2).sum().backward()
    assert evaluations == ["async_eval"] * 6


def test_a_step_with_a_closure_or_several_groups_schedules_its_results_once(evaluations):
    model = Net()
    optimizer = optim.Adam([{"params": layer} for layer in (model.layers[0], model.layers[2])], lr=1e-3)
    evaluations.clear()
    optimizer.step(lambda: torch.backward(model, squared_error, inputs()))
    assert evaluations == ["async_eval"] * 3  # backward(), its gradients in step(), and the results


@pytest.mark.parametrize("name", ADAPTERS)
def test_update_and_apply_gradients_evaluate_nothing(name, evaluations):
    model = trainable(name)
    optimizer = adapter(name, model)
    evaluations.clear()
    optimizer.init(model)
    assert evaluations == ["async_eval"]
    evaluations.clear()
    for i in range(3):
        optimizer.update(model, gradients(model, i))
        optimizer.apply_gradients(gradients(model, i), model)
        optimizer.apply_gradients(gradients(model, i), model.parameters())
    assert evaluations == []


def pending(*trees: Any) -> list[str]:
    """The operations behind the arrays of some trees that were not run yet."""
    drawing = io.StringIO()
    mx.export_to_dot(drawing, *[leaf for tree in trees for _, leaf in tree_flatten(tree)])
    return re.findall(r'label ="(\w+)"', drawing.getvalue())


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_a_step_wrote_is_evaluated(name):
    """Parameters, state and the loss can be read without work that is left."""
    model = trainable(name)
    optimizer = adapter(name, model)
    optimizer.init(model)
    mx.eval(model.parameters(), optimizer.state)
    optimizer.update(model, gradients(model, 0))
    assert pending(model.parameters(), optimizer.state)
    for _ in range(2):
        loss = step_of(model, optimizer)()
        mx.synchronize()
        assert pending(model.parameters(), optimizer.state, [loss.array]) == []


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_step_reads_nothing(name):
    """Inside a captured compile any read of an array raises: .item(), bool(), a conversion to NumPy. (It is traced
    when it is called; its results are not evaluated here, for that would build a kernel for each of these.)
    """
    model = trainable(name)
    optimizer = adapter(name, model)
    optimizer.init(model)
    state = [model.state, optimizer.state]
    traces = []

    def step(x: mx.array) -> mx.array:
        traces.append(1)
        optimizer.zero_grad()
        loss = torch.backward(model, squared_error, x)
        optimizer.step()
        optimizer.zero_grad()
        return loss.array

    compiled = mx.compile(step, inputs=state, outputs=state)
    for _ in range(5):
        compiled(inputs())
    assert len(traces) <= 2


@pytest.mark.parametrize("name", ADAPTERS)
def test_update_reads_nothing(name):
    model = trainable(name)
    optimizer = adapter(name, model)
    optimizer.init(model)
    state = [model.state, optimizer.state]
    compiled = mx.compile(lambda grads: optimizer.update(model, grads), inputs=state, outputs=state)
    before = model.step
    compiled(gradients(model, 0))
    assert model.step is not before


@pytest.mark.parametrize("read", [mx.array.item, bool, float, np.array, mx.eval], ids=lambda f: f.__name__)
def test_a_read_inside_a_trace_raises(read):
    """What the two tests above would see."""
    with pytest.raises((ValueError, RuntimeError)):
        mx.compile(lambda x: (read(x), x + 1)[1])(mx.array(1.0))
