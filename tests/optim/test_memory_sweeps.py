"""A model, its optimizer and all that belongs to them are freed by reference counts, with their last name."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.marks import mostly_long
from torchish_mlx import amp, optim
from torchish_mlx.nn.utils import clip_grad_norm_
from torchish_mlx.optim import lr_scheduler
from torchish_mlx.optim.swa_utils import AveragedModel

OPTIMIZERS = [
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD", "Adafactor",
    "Lion",
]  # fmt: skip
X = mx.ones((4, 8))


def tied_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 64), nn.LayerNorm(64), nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, 8))
    model.layers[4].weight = model.layers[3].weight
    return model


def loss_of(model: nn.Module, x: mx.array) -> mx.array:
    return (model(x) ** 2).mean()


def by_step(model: nn.Module, optimizer: Any) -> None:
    for _ in range(5):
        torch.backward(model, loss_of, X)
        clip_grad_norm_(model, 1.0)
        optimizer.step()
        optimizer.zero_grad()


def by_update(model: nn.Module, optimizer: Any) -> None:
    for _ in range(5):
        gradients = mx.grad(lambda tree: sum((a**2).sum() for _, a in tree_flatten(tree)))(model.parameters())
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)


def compiled(model: nn.Module, optimizer: Any) -> None:
    def step(x: mx.array) -> mx.array:
        loss = torch.backward(model, loss_of, x)
        optimizer.step()
        optimizer.zero_grad()
        return loss.array

    state = [model.state, optimizer.state]
    function = mx.compile(step, inputs=state, outputs=state)
    for _ in range(5):
        mx.eval(function(X), state)


def scheduled(model: nn.Module, optimizer: Any) -> None:
    schedulers = [
        lr_scheduler.CosineAnnealingLR(optimizer, 10),
        lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step),
        lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.9)]),
        lr_scheduler.SequentialLR(
            optimizer, [lr_scheduler.LinearLR(optimizer), lr_scheduler.StepLR(optimizer, 2)], milestones=[2]
        ),
    ]
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
    for _ in range(5):
        torch.backward(model, loss_of, X)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
        plateau.step(1.0)


def scaled(model: nn.Module, optimizer: Any) -> None:
    scaler = amp.GradScaler(init_scale=8.0)
    for _ in range(5):
        torch.backward(model, lambda m, x: scaler.scale(loss_of(m, x)), X)
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


def averaged(model: nn.Module, optimizer: Any) -> None:
    average = AveragedModel(model, use_buffers=True)
    for _ in range(5):
        torch.backward(model, loss_of, X)
        optimizer.step()
        average.update_parameters(model)
    torch.load_state_dict(model, average.module and torch.state_dict(average.module))


def saved(model: nn.Module, optimizer: Any) -> None:
    by_step(model, optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    entries = [optimizer.state[p] for p in torch.parameters(model)]
    optimizer.state[next(torch.parameters(model))] = entries[0]
    optimizer.register_step_post_hook(lambda *_: None)
    optimizer.add_param_group({"params": nn.Linear(3, 3)})
    with pytest.raises(ValueError, match="number of parameter groups"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})


KINDS: dict[str, Callable[[nn.Module, Any], None]] = {
    "step": by_step,
    "update": by_update,
    "compiled": compiled,
    "scheduled": scheduled,
    "scaled": scaled,
    "averaged": averaged,
    "saved": saved,
}


@pytest.fixture(autouse=True)
def counted_only() -> Iterator[None]:
    """Without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def grown(sweep: Callable[[], None], times: int) -> tuple[int, int]:
    """By how many bytes and objects more there are after ``times`` sweeps than after two."""
    figures = []
    for count in (2, times):
        for _ in range(count):
            sweep()
        mx.synchronize()
        if not figures:
            gc.collect()
        figures.append((mx.get_active_memory(), len(gc.get_objects())))
    (memory, objects), (memory_then, objects_then) = figures
    return memory_then - memory, objects_then - objects


@pytest.mark.filterwarnings("ignore:.*GradScaler:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", mostly_long(["SGD", "AdamW", "Adafactor"], lambda name: name == "AdamW"))
def test_a_sweep_leaves_nothing(name: str, kind: str) -> None:
    def sweep() -> None:
        model = tied_model()
        optimizer = getattr(optim, name)(model, lr=1e-3)
        KINDS[kind](model, optimizer)

    memory, objects = grown(sweep, 4)
    assert memory <= 0
    assert objects <= 2  # those of this function


@pytest.mark.parametrize("name", mostly_long([*OPTIMIZERS, "LBFGS"], ("AdamW", "LBFGS").__contains__))
def test_a_hundred_sweeps(name: str) -> None:
    def sweep() -> None:
        model = nn.Linear(64, 64)
        optimizer = getattr(optim, name)(model, lr=1e-3)
        for _ in range(5):
            if name == "LBFGS":
                optimizer.step(lambda: torch.backward(model, loss_of, mx.ones((4, 64))))
            else:
                torch.backward(model, loss_of, mx.ones((4, 64)))
                optimizer.step()

    memory, objects = grown(sweep, 100 if name in ("SGD", "AdamW") else 10)
    assert memory <= 0
    assert objects <= 2


def test_the_peak_of_a_sweep_is_that_of_one_model() -> None:
    def sweep() -> None:
        model = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 8))
        optimizer = optim.AdamW(model)
        torch.backward(model, loss_of, mx.ones((4, 512)))
        optimizer.step()
        mx.eval(model.parameters(), optimizer.state)
        mx.synchronize()  # until then MLX's thread holds the memory of the last operation

    sweep()
    mx.reset_peak_memory()
    sweep()
    one = mx.get_peak_memory()
    for _ in range(30):
        sweep()
    assert mx.get_peak_memory() <= 1.1 * one


def test_a_parameter_outlives_its_module() -> None:
    model = nn.Linear(3, 2)
    p = next(torch.parameters(model))
    expected = p.tolist()
    torch.backward(model, loss_of, mx.ones((4, 3)))
    gradient = p.grad.tolist()
    view, data = p[0], p.data
    model.freeze(keys=["bias"])
    frozen = torch.locate(model, "bias")
    del model
    assert p.owner is None
    assert p.tolist() == expected
    assert p.grad.tolist() == gradient
    assert p.requires_grad
    assert not frozen.requires_grad
    data.mul_(2)
    assert p.tolist() == [[2 * x for x in row] for row in expected]
    assert view.tolist() == p[0].tolist()
    optimizer = optim.SGD([p, frozen], lr=1.0)
    optimizer.step()
    assert p[0, 0].item() == pytest.approx(2 * expected[0][0] - gradient[0][0])


def test_an_optimizer_outlives_its_model() -> None:
    def make() -> Any:
        model = nn.Linear(3, 2)
        optimizer = optim.AdamW(model)
        torch.backward(model, loss_of, mx.ones((4, 3)))
        optimizer.step()
        return optimizer

    optimizer = make()
    for p in optimizer.param_groups[0]["params"]:
        p.grad = mx.ones(p.shape)
    before = optimizer.param_groups[0]["params"][0].tolist()
    optimizer.step()
    assert optimizer.param_groups[0]["params"][0].tolist() != before
    assert len(optimizer.state_dict()["state"]) == 2
    assert optim.SGD(nn.Linear(2, 2)).param_groups[0]["params"][0].shape == (2, 2)


def test_gradients_stay_with_the_model() -> None:
    """Nobody holds the Parameters between backward() and step()."""
    model = nn.Linear(3, 2)
    torch.backward(model, loss_of, mx.ones((4, 3)))
    assert all(p.grad is not None for p in torch.parameters(model))
    number = id(next(torch.parameters(model)))
    assert {id(p) for p in torch.parameters(model)} >= {number}


def test_an_array_that_is_gone_is_said_to_be() -> None:
    model = nn.Linear(3, 2)
    p = next(torch.parameters(model))
    nn.value_and_grad(model, loss_of)(model, mx.ones((4, 3)))  # other objects of the arrays, which p has not seen
    del model
    with pytest.raises(RuntimeError, match="Keep the model as long as its Parameters are used"):
        p.tolist()
