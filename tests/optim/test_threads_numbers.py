"""Made in one thread, loaded in another, stepped in a third one: the numbers of a single thread, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import RULES, Net, assert_same, build, for_rule, gradients, inputs, squared_error
from tests.optim.test_threads_kept import ADAPTERS, SCHEDULERS
from tests.threads import elsewhere
from torchish_mlx import checkpoint, optim
from torchish_mlx.amp import GradScaler
from torchish_mlx.optim import lr_scheduler, swa_utils
from torchish_mlx.optimizers import AdamW, Muon, RowSparse

Run = Callable[..., Any]  # calls a function: here, or in a thread of its own


def here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def both(program: Callable[[Run], Any]) -> tuple[Any, Any]:
    """What a program gives in one thread, and with each of its parts in a new thread."""
    return program(here), program(elsewhere)


FURTHER: dict[str, Callable[[nn.Module], Any]] = {
    "MultiOptimizer": lambda model: optim.MultiOptimizer(model, [Muon(), AdamW()], [lambda _, a: a.ndim == 2]),
    "from_mlx": lambda model: optim.from_mlx(mlx.optimizers.AdaDelta)(model, lr=0.1),
}
NAMES = [*ADAPTERS, *FURTHER]


def made(name: str, **options: Any) -> tuple[nn.Module, Any]:
    model = Net(bias=name != "Muon")
    if name in FURTHER:
        return model, FURTHER[name](model)
    return model, getattr(optim, name)(model, **ADAPTERS[name], **options)


def step(model: nn.Module, optimizer: Any, i: int) -> None:
    """One step in torch's words."""

    def closure() -> Any:
        optimizer.zero_grad()
        return torch.backward(model, squared_error, inputs(i))

    if isinstance(optimizer, optim.LBFGS):
        optimizer.step(closure)
    elif isinstance(optimizer, optim.SparseAdam):
        for p, g in zip(torch.parameters(model), gradients_in_order(model, i), strict=True):
            p.grad = RowSparse(mx.array([0]), g[:1], g.shape)
        optimizer.step()
    else:
        closure()
        optimizer.step()


def gradients_in_order(model: nn.Module, i: int) -> list[mx.array]:
    return [g for _, g in tree_flatten(gradients(model, i))]


def of_torch(name: str, **options: Any) -> Callable[[Run], Any]:
    """Made, trained and saved; another one made, loaded, and trained further."""

    def program(run: Run) -> Any:
        model, optimizer = run(lambda: made(name, **options))
        for i in range(2):
            run(step, model, optimizer, i)
        weights, saved = run(torch.state_dict, model), run(optimizer.state_dict)
        model, optimizer = run(lambda: made(name, **options))
        run(torch.load_state_dict, model, weights)
        run(optimizer.load_state_dict, saved)
        for i in range(2, 5):
            run(step, model, optimizer, i)
        return model.parameters(), optimizer.state

    return program


@pytest.mark.parametrize("name", NAMES)
def test_a_training(name):
    one, several = both(of_torch(name))
    assert_same(one, several)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("LBFGS", "SparseAdam")])
def test_a_training_that_is_compiled(name, large, compiled):
    one, several = both(of_torch(name))
    assert_same(one, several)
    assert compiled


def test_a_training_that_is_compiled_of_one_optimizer(compiled):
    """The others are among the long tests."""
    one, several = both(of_torch("AdamW", fused=True))
    assert_same(one, several)
    assert compiled


def of_mlx(name: str) -> Callable[[Run], Any]:
    """MLX's loop, where the user evaluates; the state goes through the recipe of MLX's documentation."""

    def update(model: nn.Module, optimizer: Any, i: int) -> None:
        grads = gradients(model, i)
        optimizer.update(model, for_rule(AdamW, grads) if name != "SparseAdam" else rows(grads))
        mx.eval(model.parameters(), optimizer.state)

    def rows(tree: Any) -> Any:
        return mlx.utils.tree_map(lambda g: RowSparse(mx.array([0]), g[:1], g.shape), tree)

    def program(run: Run) -> Any:
        model, optimizer = run(made, name)
        run(optimizer.init, model)
        for i in range(2):
            run(update, model, optimizer, i)
        saved = run(lambda: dict(tree_flatten(optimizer.state)))
        model, optimizer = run(made, name)
        run(setattr, optimizer, "state", tree_unflatten(list(saved.items())))
        for i in range(2, 4):
            run(update, model, optimizer, i)
        return model.parameters(), optimizer.state

    return program


@pytest.mark.parametrize("name", [name for name in NAMES if name != "LBFGS"])
def test_a_training_in_mlxs_words(name):
    one, several = both(of_mlx(name))
    assert_same(one, several)


@pytest.mark.parametrize("case", RULES)
def test_a_rule_alone(case):
    def evaluated() -> nn.Module:
        model = Net(bias=case != "Muon")
        mx.eval(model.parameters())  # which MLX leaves to its user
        return model

    def update(rule: Any, model: nn.Module, i: int) -> None:
        rule.update(model, for_rule(rule, gradients(model, i)))
        mx.eval(model.parameters(), rule.state)

    def program(run: Run) -> Any:
        rule, model = run(build, case), run(evaluated)
        run(rule.init, model.trainable_parameters())
        run(update, rule, model, 0)
        other = run(build, case)
        run(setattr, other, "state", tree_unflatten(tree_flatten(rule.state)))
        run(update, other, model, 1)
        return model.parameters(), other.state

    one, several = both(program)
    assert_same(one, several)


def of_a_compiled_step(name: str) -> Callable[[Run], Any]:
    def program(run: Run) -> Any:
        def compiled() -> Any:
            model, optimizer = made(name)
            optimizer.init(model)
            state = [model.state, optimizer.state]

            def step(grads: Any) -> None:
                optimizer.update(model, grads)

            return model, optimizer, mx.compile(step, inputs=state, outputs=state)

        def call(i: int) -> None:
            compiled_step(gradients(model, i))
            mx.eval(model.state, optimizer.state)

        model, optimizer, compiled_step = run(compiled)
        for i in range(4):
            run(call, i)
        return model.parameters(), optimizer.state

    return program


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("LBFGS", "SparseAdam")])
def test_a_step_that_a_user_compiles(name):
    one, several = both(of_a_compiled_step(name))
    assert_same(one, several)


def test_one_step_that_a_user_compiles():
    """The others are among the long tests."""
    one, several = both(of_a_compiled_step("AdamW"))
    assert_same(one, several)


@pytest.mark.parametrize("rate", [0.1, mx.array(0.1), "a Tensor"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler(name, rate):
    def construct() -> Any:
        lr = torch.tensor(0.1) if rate == "a Tensor" else rate
        optimizer = optim.SGD(Net(), lr=lr, momentum=0.9)
        return optimizer, SCHEDULERS[name](optimizer)

    def advance(optimizer: Any, scheduler: Any, i: int) -> None:
        optimizer.step()
        scheduler.step(*([float(i)] if name == "ReduceLROnPlateau" else []))

    def program(run: Run) -> Any:
        optimizer, scheduler = run(construct)
        for i in range(3):
            run(advance, optimizer, scheduler, i)
        return optimizer.state["_groups"], [float(lr) for lr in scheduler.get_last_lr()]

    one, several = both(program)
    assert_same(one, several)


def test_a_scaler_an_average_and_a_scheduler_in_one_run(tmp_path):
    """All that a run has, saved in one thread and resumed in another."""

    def construct() -> dict[str, Any]:
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm(8), nn.Linear(8, 3))
        model.update(mlx.utils.tree_map(lambda a: mx.full(a.shape, 0.1), model.trainable_parameters()))
        optimizer = optim.NAdam(model, lr=0.01)
        average = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))
        scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 10)
        scaler = GradScaler(init_scale=8.0, growth_interval=2)
        return {"model": [model, average], "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler}

    def train(parts: dict[str, Any], i: int) -> None:
        (model, average), optimizer, scaler = parts["model"], parts["optimizer"], parts["scaler"]
        optimizer.zero_grad()
        torch.backward(model, lambda m, x: scaler.scale(squared_error(m, x)), inputs(i))
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model, 0.1)
        scaler.step(optimizer)
        scaler.update()
        average.update_parameters(model)
        parts["scheduler"].step()

    def program(run: Run) -> Any:
        file = tmp_path / f"{run.__name__}.pt"
        parts = run(construct)
        for i in range(3):
            run(train, parts, i)
        run(lambda: checkpoint.save(file, step=3, **parts))
        parts = run(construct)
        run(lambda: checkpoint.resume(file, **parts))
        for i in range(3, 6):
            run(train, parts, i)
        (model, average), scaler = parts["model"], parts["scaler"]
        return model.parameters(), average.parameters(), parts["optimizer"].state, scaler.state

    one, several = both(program)
    assert_same(one, several)


def test_gradients_of_one_thread_for_a_step_in_another():
    """As torch has it: gradients are there when backward() returns, also sums, unscaled and clipped ones."""

    def compute(model: nn.Module) -> None:
        for i in range(2):
            torch.backward(model, squared_error, inputs(i))
        torch.nn.utils.clip_grad_norm_(model, 0.1)

    def program(run: Run) -> Any:
        model, optimizer = run(made, "AdamW")
        run(compute, model)
        run(optimizer.step)
        return model.parameters(), optimizer.state

    one, several = both(program)
    assert_same(one, several)
