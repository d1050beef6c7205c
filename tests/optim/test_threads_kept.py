"""Whatever constructors, loads and steps keep was evaluated, or is being evaluated: any thread can go on with it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import RULES, Net, build, for_rule, gradients, inputs, squared_error
from tests.each import each
from tests.threads import assert_usable_elsewhere, elsewhere, kept
from torchish_mlx import checkpoint, optim
from torchish_mlx.amp import GradScaler
from torchish_mlx.nn.utils import clip_grad_norm_, clip_grad_value_
from torchish_mlx.optim import lr_scheduler, swa_utils
from torchish_mlx.optimizers import AdamW, Muon, RowSparse

ADAPTERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.01, "momentum": 0.9},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "Rprop": {},
    "ASGD": {},
    "Adafactor": {},
    "Muon": {},
    "LBFGS": {"line_search_fn": "strong_wolfe"},
    "SparseAdam": {},
    "Lion": {"lr": 1e-4},
}


def lazy(value: Any) -> mx.array:
    """An array that is not evaluated."""
    return mx.array(value) * 1


def made(name: str, model: nn.Module | None = None, **changes: Any) -> tuple[Any, nn.Module]:
    model = Net(bias=name != "Muon") if model is None else model
    return getattr(optim, name)(model, **{**ADAPTERS[name], **changes}), model


def stepped(name: str, **changes: Any) -> tuple[Any, nn.Module]:
    """An optimizer after two steps, and its model."""
    optimizer, model = made(name, **changes)

    def closure(i: int = 0) -> Any:
        optimizer.zero_grad()
        return torch.backward(model, squared_error, inputs(i))

    for i in range(2):
        if name == "SparseAdam":
            for p in torch.parameters(model):
                p.grad = RowSparse(mx.array([0]), mx.ones((1, *p.shape[1:])), p.shape)
            optimizer.step()
        elif name == "LBFGS":
            optimizer.step(closure)
        else:
            closure(i)
            optimizer.step()
    return optimizer, model


def halved(model: nn.Module) -> nn.Module:
    model.set_dtype(mx.bfloat16)
    return model


def loaded(name: str, half: bool = False, **options: Any) -> tuple[Any, nn.Module]:
    optimizer, model = made(name, halved(Net(bias=name != "Muon")) if half else None)
    optimizer.load_state_dict(stepped(name)[0].state_dict(), **options)
    return optimizer, model


def initialized(name: str) -> tuple[Any, nn.Module]:
    optimizer, model = made(name)
    optimizer.init(model)
    return optimizer, model


def extended(name: str) -> tuple[Any, nn.Module]:
    optimizer, model = stepped(name)
    if name != "LBFGS":
        optimizer.add_param_group({"params": [torch.tensor(lazy([[1.0]]), requires_grad=True)], "lr": lazy(0.5)})
    return optimizer, model


def emptied(name: str) -> tuple[Any, nn.Module]:
    optimizer, model = stepped(name)
    for p in torch.parameters(model):
        optimizer.state.pop(p, None)
    return optimizer, model


MAKES: dict[str, Callable[[str], Any]] = {
    "constructor": made,
    "init": initialized,
    "step": stepped,
    "load_state_dict": loaded,
    "load_state_dict of a half-precision model": lambda name: loaded(name, half=True),
    "load_state_dict with keep_state_dtype": lambda name: loaded(name, half=True, keep_state_dtype=True),
    "add_param_group": extended,
    "state.pop": emptied,
    "deepcopy": lambda name: copy.deepcopy(stepped(name)),
    "pickle": lambda name: pickle.loads(pickle.dumps(stepped(name)[0])),
}


@each("make", MAKES)
@pytest.mark.parametrize("name", ADAPTERS)
def test_an_optimizer_keeps_nothing_unevaluated(name, make):
    assert_usable_elsewhere(elsewhere(MAKES[make], name))


def test_the_measure_finds_what_is_not_evaluated():
    """In attributes, containers, closures and slots."""
    array = lazy(1.0)
    for value in ([{"a": (array,)}], lambda: array, torch.Tensor(array), nn.Sequential(nn.ReLU(), {"x": array})):
        assert any(found is array for found in kept(value))
    with pytest.raises(RuntimeError, match="There is no Stream"):
        assert_usable_elsewhere({"a": elsewhere(lazy, 1.0)})


class Written(optim.Optimizer):
    """A user's own: entries that are arrays, numbers, and lists of Tensors, and one that belongs to no parameter."""

    def __init__(self, params: Any, lr: Any) -> None:
        super().__init__(params, {"lr": lr})

    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["step"] = state.get("step", 0) + 1
                state["history"] = [*state.get("history", []), torch.ones_like(p) * group["lr"]][-2:]
                state["buffer"] = torch.zeros_like(p) + 1


def written() -> Any:
    optimizer = Written(Net(), lr=torch.Tensor(lazy(0.1)))
    optimizer.step()
    return optimizer


def rated(value: Any) -> Any:
    optimizer = optim.SGD(Net(), lr=0.1, momentum=0.5)
    optimizer.param_groups[0]["lr"] = value()
    optimizer.param_groups[0]["momentum"] = value()
    return optimizer


def from_tree(make: Callable[[Any], Any]) -> Any:
    """The state of MLX's recipe for saving, read from a file, which ``mx.load`` leaves unevaluated."""

    def run(path: Any) -> Any:
        optimizer, _ = stepped("AdamW")
        file = str(path / "state.safetensors")
        mx.save_safetensors(file, dict(tree_flatten(optimizer.state)))
        return make(tree_unflatten(list(mx.load(file).items())))

    return run


def with_state(optimizer: Any, state: Any) -> Any:
    optimizer.state = state
    return optimizer


def native_state(_path: Any) -> Any:
    native, model = mlx.optimizers.AdamW(1e-3), nn.Linear(3, 4)
    native.init(model.trainable_parameters())
    with pytest.warns(UserWarning, match="comes from mlx.optimizers"):
        return with_state(optim.AdamW(model), native.state)


def rule_stepped(case: str) -> Any:
    rule, model = build(case), Net(bias=case != "Muon")
    rule.update(model, for_rule(rule, gradients(model, 0)))
    mx.eval(model.parameters(), rule.state)
    return rule, model


def resumed(path: Any) -> Any:
    def run() -> dict[str, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Linear(4, 3))
        optimizer, native = optim.AdamW(model), mlx.optimizers.Adam(1e-3)
        native.init(model.trainable_parameters())
        mx.eval(native.state)  # which MLX leaves to its user
        average = swa_utils.AveragedModel(model)
        torch.backward(model, squared_error, inputs())
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(model)
        scheduler = lr_scheduler.ExponentialLR(optimizer, 0.9)
        return {"model": [model, average], "optimizer": [optimizer, native], "scheduler": scheduler}

    checkpoint.save(path / "run.pt", step=1, **elsewhere(run))
    parts = run()
    checkpoint.resume(path / "run.pt", **parts)
    return parts


def averaged(times: int, **options: Any) -> Any:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Linear(4, 3))
    average = swa_utils.AveragedModel(model, **options)
    for _ in range(times):
        average.update_parameters(model)
    return average


def average_loaded(_path: Any) -> Any:
    average = averaged(0)
    average.load_state_dict(averaged(2).state_dict())
    return average


def scaled(after: str) -> Any:
    scaler, model = GradScaler(init_scale=8.0), Net()
    optimizer = optim.SGD(model, lr=0.1)
    torch.backward(model, lambda m, x: scaler.scale(squared_error(m, x)), inputs())
    if after == "unscale_":
        scaler.unscale_(optimizer)
        return scaler, optimizer, [p.grad for p in torch.parameters(model)]
    scaler.step(optimizer)
    scaler.update(torch.tensor([4], dtype=mx.float16) if after == "update(new)" else None)
    if after == "load":
        new = GradScaler()
        new.scale(mx.array(1.0))
        new.load_state_dict(scaler.state_dict())
        return new
    return scaler


def clipped(clip: Callable[..., Any]) -> Any:
    model = Net()
    torch.backward(model, squared_error, inputs())
    clip(model, 0.1)
    return [p.grad for p in torch.parameters(model)]


def of_backward(times: int, batch_norm: bool = False) -> Any:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Linear(4, 3)) if batch_norm else Net()
    losses = [torch.backward(model, squared_error, inputs()) for _ in range(times)]
    return model, losses, [p.grad for p in torch.parameters(model)]


def of_the_tape(times: int) -> Any:
    p = torch.Parameter([1.0, 2.0])
    for _ in range(times):
        (p * p * p).sum().backward()
    return p, p.grad


def zeroed(_path: Any) -> Any:
    optimizer, model = stepped("SGD")
    optimizer.zero_grad(set_to_none=False)
    return [p.grad for p in torch.parameters(model)]


OTHERS: dict[str, Callable[[Any], Any]] = {
    "a step that a user wrote": lambda _: written(),
    "lr, an array": lambda _: made("AdamW", lr=lazy(0.1)),
    "lr, a Tensor": lambda _: made("AdamW", lr=torch.Tensor(lazy(0.1)), betas=(torch.Tensor(lazy(0.9)),) * 2),
    "lr of LBFGS": lambda _: made("LBFGS", lr=torch.Tensor(lazy(0.1))),
    "an option, an array": lambda _: rated(lambda: lazy(0.1)),
    "an option, a Tensor": lambda _: rated(lambda: torch.Tensor(lazy(0.1))),
    "state = tree": from_tree(lambda tree: with_state(made("AdamW")[0], tree)),
    "state = tree, of a rule": from_tree(lambda tree: with_state(AdamW(), tree)),
    "state = {}, of a rule": lambda _: with_state(rule_stepped("NAdam")[0], {}),
    "state of mlx.optimizers": native_state,
    "a rule's learning rate, an array": lambda _: AdamW(learning_rate=lazy(0.1)),
    "a rule's learning rate, a schedule": lambda _: AdamW(learning_rate=lambda step: lazy(0.1) * step),
    "MultiOptimizer": lambda _: optim.MultiOptimizer(Net(), [Muon(), AdamW()], [lambda _, a: a.ndim == 2]),
    "from_mlx": lambda _: optim.from_mlx(mlx.optimizers.AdaDelta)(Net(), lr=lazy(0.1)),
    "checkpoint.resume": resumed,
    "load_state_dict of a model": lambda _: loaded_model(mx.float32),
    "load_state_dict of a half-precision model": lambda _: loaded_model(mx.float16),
    "AveragedModel": lambda _: averaged(0),
    "AveragedModel, SWA": lambda _: averaged(2, use_buffers=True),
    "AveragedModel, EMA": lambda _: averaged(2, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9)),
    "AveragedModel, loaded": average_loaded,
    "GradScaler": lambda _: scaled("update"),
    "GradScaler, unscale_": lambda _: scaled("unscale_"),
    "GradScaler, update(new)": lambda _: scaled("update(new)"),
    "GradScaler, loaded": lambda _: scaled("load"),
    "Parameter of an array": lambda _: torch.Parameter(lazy([1.0])),
    "Parameter of data": lambda _: [torch.Parameter([1.0]), torch.Parameter(np.ones(3))],
    "tensor": lambda _: [torch.tensor([1, 2], dtype=mx.float16), torch.tensor([torch.tensor(1.0), torch.tensor(2.0)])],
    "sparse_coo_tensor": lambda _: torch.sparse_coo_tensor([[0, 2]], [[1.0], [2.0]], (3, 1)),
    "backward": lambda _: of_backward(1),
    "backward twice": lambda _: of_backward(2),
    "backward of BatchNorm": lambda _: of_backward(1, batch_norm=True),
    "backward on the tape": lambda _: of_the_tape(1),
    "backward on the tape, twice": lambda _: of_the_tape(2),
    "clip_grad_norm_": lambda _: clipped(clip_grad_norm_),
    "clip_grad_value_": lambda _: clipped(clip_grad_value_),
    "zero_grad(set_to_none=False)": zeroed,
}


def loaded_model(dtype: mx.Dtype) -> Any:
    model, other = Net(), Net()
    model.set_dtype(dtype)
    torch.load_state_dict(model, torch.state_dict(other))
    return model


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_is_kept_unevaluated(name, tmp_path):
    assert_usable_elsewhere(elsewhere(OTHERS[name], tmp_path))


@pytest.mark.parametrize("case", RULES)
def test_a_rule_keeps_nothing_unevaluated(case):
    def initialized() -> Any:
        rule = build(case)
        rule.init(Net(bias=case != "Muon").trainable_parameters())
        return rule

    for make in (lambda: build(case), initialized, lambda: rule_stepped(case)):
        assert_usable_elsewhere(elsewhere(make))


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 2]),
    "ConstantLR": lr_scheduler.ConstantLR,
    "LinearLR": lr_scheduler.LinearLR,
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda _: 0.9),
    "PolynomialLR": lr_scheduler.PolynomialLR,
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, torch.Tensor(lazy(0.1))),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.05),
    "FromSchedule": lambda o: lr_scheduler.FromSchedule(o, lambda step: 0.1 * mx.array(0.9) ** step),
}


@pytest.mark.parametrize("rate", ["a number", "an array", "a Tensor"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_keeps_nothing_unevaluated(name, rate):
    def run() -> Any:
        lr: Any = {"a number": 0.1, "an array": lazy(0.1), "a Tensor": torch.Tensor(lazy(0.1))}[rate]
        optimizer = optim.SGD(Net(), lr=lr, momentum=0.9)
        scheduler = SCHEDULERS[name](optimizer)
        for i in range(3):
            optimizer.step()
            scheduler.step(*([float(i)] if name == "ReduceLROnPlateau" else []))
        scheduler.load_state_dict(copy.deepcopy(scheduler.state_dict()))
        return scheduler, optimizer

    assert_usable_elsewhere(elsewhere(run))
