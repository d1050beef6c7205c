"""The adapters through MLX's side: init, update, apply_gradients, state, learning_rate, mx.eval, mx.compile."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import (
    RULES,
    Net,
    assert_close,
    assert_same,
    build,
    flat,
    for_rule,
    gradients,
    inputs,
    net,
    saved,
    squared_error,
    take_steps,
)
from tests.each import each
from tests.mlx_states import numbers_of
from tests.optimizers.test_rules_compile import ULPS, moved
from torchish_mlx import optim
from torchish_mlx import optimizers as rules

every_adapter = pytest.mark.parametrize("case", RULES)


def adapted(case: str, params: Any) -> Any:
    name, kwargs = RULES[case]
    return getattr(optim, name)(params, **{"lr" if k == "learning_rate" else k: v for k, v in kwargs.items()})


def through(door: str, optimizer: Any, model: nn.Module, grads: Any) -> None:
    """One update by one of the doors of an adapter."""
    if door == "step":
        for path, g in tree_flatten(grads):
            torch.locate(model, path).grad = g
        optimizer.step()
        optimizer.zero_grad()
    elif door == "update":
        optimizer.update(model, grads)
    elif door == "module":
        model.update(optimizer.apply_gradients(grads, model))
    else:
        model.update(optimizer.apply_gradients(grads, model.parameters()))


DOORS = ["step", "update", "module", "tree"]


@every_adapter
@each("door", [*DOORS, "in turn"])
@each("init", [False, True])
def test_every_door_is_the_rule(case, door, init):
    """step(), update() and apply_gradients(), also in turn, with layers frozen in between: bit for bit the rule's."""
    model, twin = net(case), net(case)
    optimizer, rule = adapted(case, model), build(case)
    if init:
        optimizer.init(model)
        rule.init(twin)
    for i in range(8):
        for m in (model, twin):
            if i == 2:
                m.layers[0].freeze()
            if i == 5:
                m.unfreeze()
        grads = for_rule(rule, gradients(model, i))
        through(DOORS[i % 4] if door == "in turn" else door, optimizer, model, grads)
        rule.update(twin, grads)
    assert_same(model, twin)
    assert_same(kept(optimizer), kept(rule))
    p = torch.locate(model, "layers.0.weight")
    if rule.counted:
        assert int(optimizer.state[p]["step"]) == 5
        assert int(optimizer.state[torch.locate(model, "step")]["step"]) == 8


def kept(optimizer: Any) -> dict[str, Any]:
    """The numbers and the slots, which a rule and an adapter keep at different places of their states."""
    return {"numbers": numbers_of(optimizer), "slots": {k: v for k, v in optimizer.state.slots.items() if v}}


def run(case: str, kind: str, door: str = "update") -> tuple[dict, dict, int]:
    """Parameters, state and traces of six steps, with every number of the group moved twice."""
    model = net(case)
    optimizer, traces = adapted(case, model), 0
    optimizer.init(model)
    for i in range(2):  # SGD makes its buffers in the first step
        optimizer.update(model, for_rule(optimizer.rule, gradients(model, i)))
    state = [model.state, optimizer.state]

    def captured(grads: Any) -> None:
        nonlocal traces
        traces += 1
        through(door, optimizer, model, for_rule(optimizer.rule, grads))

    def pure(grads: Any, params: Any, state: Any) -> Any:
        nonlocal traces
        traces += 1
        optimizer.state = state
        return optimizer.apply_gradients(for_rule(optimizer.rule, grads), params), optimizer.state

    step: Callable[[Any], None] = captured
    if kind == "captured":
        step = mx.compile(captured, inputs=state, outputs=state)
    elif kind == "pure":
        compiled = mx.compile(pure)

        def step(grads: Any) -> None:
            params, optimizer.state = compiled(grads, model.trainable_parameters(), optimizer.state)
            model.update(params)

    for i in range(2, 8):
        if i in (4, 6):
            numbers = moved(build(case), 0.95 if i == 4 else 0.8)
            optimizer.param_groups[0].update(numbers)
        step(gradients(model, i))
        mx.eval(model.parameters(), optimizer.state)
    return flat(model), flat(optimizer.state), traces


@every_adapter
def test_compiled_is_eager(case):
    """Captured state by step() and by update(), and as a pure function: one trace, and the eager numbers."""
    weights, state, _ = run(case, "eager")
    for kind, door in (("captured", "step"), ("captured", "update"), ("pure", "tree")):
        compiled_weights, compiled_state, traces = run(case, kind, door)
        assert traces == 1
        assert_close(compiled_weights, weights, ULPS)
        assert_close(compiled_state, state, ULPS)


@every_adapter
def test_the_state_file_of_a_rule_is_that_of_its_adapter(case, tmp_path):
    """MLX's recipe, from an adapter to a fresh one, to a rule alone, and back."""
    model = net(case)
    optimizer = adapted(case, model)
    for i in range(3):
        optimizer.update(model, for_rule(optimizer.rule, gradients(model, i)))
    optimizer.learning_rate = 0.0123
    file = str(tmp_path / "state.safetensors")
    mx.save_safetensors(file, tree_flatten(optimizer.state, destination={}))
    weights = saved(model.parameters())
    results = []
    for kind in ("same", "fresh", "rule", "back"):
        twin = net(case) if kind != "same" else model
        twin.update(weights)
        other = optimizer if kind == "same" else build(case) if kind == "rule" else adapted(case, twin)
        if kind in ("fresh", "rule"):
            other.state = tree_unflatten(mx.load(file))
        if kind == "back":
            rule = build(case)
            rule.state = tree_unflatten(mx.load(file))
            other.state = saved(rule.state)
        if kind == "fresh":
            assert other.param_groups[0]["lr"] == 0.0123
        for i in range(3, 5):
            other.update(twin, for_rule(optimizer.rule, gradients(twin, i)))
        results.append((flat(twin), flat(kept(other))))
    for weights_and_state in results[1:]:
        for a, b in zip(weights_and_state, results[0], strict=True):
            assert_same(a, b)


@every_adapter
def test_learning_rate(case):
    """Reads as an array; a number or an array sets it in every group."""
    model = net(case)
    optimizer = adapted(case, [{"params": model.layers[0]}, {"params": model.layers[2]}])
    assert optimizer.learning_rate.item() == np.float32(RULES[case][1]["learning_rate"])
    for value in (0.5, mx.array(0.25)):
        optimizer.learning_rate = value
        assert optimizer.learning_rate.item() == float(value)
        assert [float(group["lr"]) for group in optimizer.param_groups] == [float(value)] * 2


def test_the_state_is_mlxs_and_torchs():
    """One array, under MLX's nesting and under the Parameter; eval, tree functions and safetensors take the whole."""
    model = Net()
    optimizer = optim.AdamW(model, lr=0.01)
    optimizer.init(model)
    take_steps_by_update(optimizer, model, 2)
    mx.eval(model.parameters(), optimizer.state)
    p = torch.locate(model, "layers.0.weight")
    nested = optimizer.state["layers"][0]["weight"]
    assert mx.array_equal(optimizer.state[p]["exp_avg"].array, nested["exp_avg"])
    optimizer.state[p]["exp_avg"].mul_(0)
    assert mx.all(nested["exp_avg"] == 0).item()
    nested["exp_avg_sq"] = mx.ones_like(nested["exp_avg_sq"])
    assert bool((optimizer.state[p]["exp_avg_sq"] == 1).all())
    names = {path.rsplit(".", 1)[0] for path in flat(optimizer.state) if not path.startswith("_groups")}
    assert names == set(flat(model))


def take_steps_by_update(optimizer: Any, model: nn.Module, steps: int) -> None:
    for i in range(steps):
        optimizer.update(model, gradients(model, i))


def test_groups_made_of_submodules():
    """A gradient tree of the whole model finds the groups; each is trained by its own options."""
    model, twin = Net(), Net()
    optimizer = optim.SGD(
        [{"params": model.layers[0], "lr": 0.5}, {"params": [model.layers[2], torch.locate(model, "step")]}],
        lr=0.1,
        momentum=0.9,
    )
    first, second = rules.SGD(0.5, momentum=0.9), rules.SGD(0.1, momentum=0.9)
    for i in range(3):
        grads = gradients(model, i)
        grads = {"layers": grads["layers"], "step": grads["step"]}
        optimizer.update(model, grads)
        first.update(twin, {"layers": [grads["layers"][0]]})
        second.update(twin, {"layers": [{}, {}, grads["layers"][2]], "step": grads["step"]})
    assert_same(model, twin)


def test_a_tree_of_one_submodule_does_not_say_which_it_is_of():
    """Refused before anything is changed: by name it would be trained with the first group's options."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = optim.SGD([{"params": model.layers[0], "lr": 0.1}, {"params": model.layers[1], "lr": 1.0}])
    second = model.layers[1].parameters()
    with pytest.raises(ValueError, match=r"several parameters that are called 'weight'.*pass the model itself"):
        optimizer.apply_gradients({"weight": mx.ones((2, 2))}, second)
    new = optimizer.apply_gradients({"weight": mx.ones((2, 2))}, model.layers[1])
    assert mx.allclose(new["weight"], second["weight"] - 1.0)


def test_superset_parameters_and_partial_gradients():
    model = Net()
    optimizer = optim.Adam(model, lr=0.1)
    before = flat(model)
    grads = {"layers": [{}, {}, {"bias": mx.ones((3,))}]}
    new = optimizer.apply_gradients(grads, model)
    assert [path for path, _ in tree_flatten(new)] == ["layers.2.bias"]
    assert_same(model, before)
    assert optimizer.apply_gradients({}, model) == {}
    assert list(optimizer.state) == ["_groups", "layers"]


def test_mlxs_training_loop():
    """value_and_grad, update, mx.eval of the parameters and the state, on a model with BatchNorm."""
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer, mean = optim.AdamW(model, lr=0.02), model.layers[1].running_mean
    optimizer.init(model)
    assert (
        len(optimizer.state_tree().slots) == len(list(torch.parameters(model))) == 6
    )  # no slots of the running statistics
    value_and_grad = nn.value_and_grad(model, squared_error)
    losses = []
    for i in range(60):
        loss, grads = value_and_grad(model, inputs(i, rows=32))
        optimizer.update(model, grads)
        mx.eval(model.parameters(), optimizer.state)
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    assert not mx.array_equal(mean, model.layers[1].running_mean)


def test_torchs_training_step_compiles_with_captured_state():
    """zero_grad, backward and step inside mx.compile, with a scheduled rate outside: the numbers of the eager loop."""
    results = []
    for compile_ in (False, True):
        model = Net()
        optimizer, traces = optim.Adam(model, lr=0.05, amsgrad=True), []
        optimizer.init(model)

        def step(
            x: mx.array, model: nn.Module = model, optimizer: Any = optimizer, traces: list[int] = traces
        ) -> mx.array:
            traces.append(1)
            optimizer.zero_grad()
            loss = torch.backward(model, squared_error, x)
            optimizer.step()
            optimizer.zero_grad()
            return loss.array

        if compile_:
            state = [model.state, optimizer.state]
            step = mx.compile(step, inputs=state, outputs=state)
        losses = []
        for i in range(12):
            optimizer.param_groups[0]["lr"] *= 0.9
            losses.append(step(inputs(i)).item())
        results.append((flat(model), np.array(losses)))
        assert len(traces) == (1 if compile_ else 12)
    assert_close(results[1][0], results[0][0], 200)  # forward and backward are compiled as well, and round otherwise
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-5)


class Averaged(optim.Optimizer):
    """Momentum in torch's words, by a user: an optimizer without a rule."""

    def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = torch.zeros_like(p)
                    state["momentum_buffer"].mul_(group["momentum"]).add_(p.grad)
                    p.data.add_(state["momentum_buffer"], alpha=-group["lr"])


@pytest.mark.parametrize("door", [*DOORS, "in turn"])
@pytest.mark.parametrize("compiled", [False, True])
def test_an_optimizer_that_a_user_wrote(door, compiled):
    """Its step() serves MLX's side as well, and a changed number is seen by a compiled step."""
    model, twin = Net(), Net()
    optimizer, rule = Averaged(model), rules.SGD(0.1, momentum=0.9)
    through("step", optimizer, model, gradients(model, 0))
    rule.update(twin, gradients(twin, 0))
    state = [model.state, optimizer.state]
    steps = {
        d: mx.compile(lambda grads, d=d: through(d, optimizer, model, grads), inputs=state, outputs=state)
        if compiled
        else (lambda grads, d=d: through(d, optimizer, model, grads))
        for d in DOORS
    }
    for i in range(1, 7):
        if i == 4:
            optimizer.param_groups[0]["lr"] = rule.learning_rate = 0.05
        steps[DOORS[i % 4] if door == "in turn" else door](gradients(model, i))
        rule.update(twin, gradients(twin, i))
        assert all(p.grad is None for p in torch.parameters(model))
    assert_close(model, twin, 4)  # mul_ and add_ round as one formula does, but for the last bit


def test_lbfgs_needs_its_closure():
    """A gradient alone is not enough for it: an error, and nothing is changed."""
    model = Net()
    optimizer = optim.LBFGS(model)
    before = flat(model)
    for call in (optimizer.update, optimizer.apply_gradients):
        with pytest.raises(TypeError, match="closure"):
            call(*((model, gradients(model, 0)) if call == optimizer.update else (gradients(model, 0), model)))
        assert_same(model, before)
        assert all(p.grad is None for p in torch.parameters(model))


def test_copies_of_model_and_optimizer_stay_linked():
    model = Net()
    optimizer = optim.NAdam(model, lr=0.05)
    take_steps_by_update(optimizer, model, 2)
    twin, other = copy.deepcopy((model, optimizer))
    before = flat(twin)
    for i in range(2, 4):
        through("step", optimizer, model, gradients(model, i))
    assert_same(twin, before)
    for i in range(2, 4):
        through("step", other, twin, gradients(twin, i))
    assert_same(model, twin)
    assert_same(optimizer.state, other.state)


# In MLX's MultiOptimizer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_adapters_inside_mlxs_multi_optimizer(compiled):
    """Adapters over parts of a model, named by their paths in it, are parts of mlx.optimizers.MultiOptimizer."""

    def split(model: nn.Module) -> list[Any]:
        named = dict(torch.named_parameters(model))
        weights = [(path, p) for path, p in named.items() if path.endswith("weight")]
        rest = [(path, p) for path, p in named.items() if not path.endswith("weight")]
        return [optim.Muon(weights, lr=0.02), optim.AdamW(rest, lr=0.01)]

    model, twin = Net(), Net()
    parts = split(model)
    optimizer = mlx.optimizers.MultiOptimizer(parts, [lambda path, p: path.endswith("weight")])
    optimizer.init(model.trainable_parameters())
    alone = [rules.Muon(0.02, weight_decay=0.1), rules.AdamW(0.01)]
    reference = mlx.optimizers.MultiOptimizer(alone, [lambda path, p: path.endswith("weight")])
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        optimizer.update(model, grads)

    if compiled:
        step = mx.compile(step, inputs=state, outputs=state)
    for i in range(5):
        if i == 3:
            optimizer.learning_rate = reference.learning_rate = 0.005
        step(gradients(model, i))
        reference.update(twin, gradients(twin, i))
    assert_close(model, twin, ULPS)
    assert parts[0].param_groups[0]["lr"] == 0.005
    loaded = mlx.optimizers.MultiOptimizer(split(model), [lambda path, p: path.endswith("weight")])
    loaded.state = saved(optimizer.state)
    assert_same(loaded.state, optimizer.state)


def test_our_multi_optimizer_inside_mlxs():
    """MultiOptimizer in MultiOptimizer: ours over the layers, a rule over the rest."""
    model, twin = Net(), Net()
    named = [(path, p) for path, p in torch.named_parameters(model) if path.startswith("layers")]
    inner = optim.MultiOptimizer(named, [rules.Muon(0.02), rules.SGD(0.1)], [lambda path, p: p.ndim == 2])
    optimizer = mlx.optimizers.MultiOptimizer([inner, rules.Adam(0.01)], [lambda path, p: path.startswith("layers")])
    muon, sgd, adam = rules.Muon(0.02), rules.SGD(0.1), rules.Adam(0.01)
    for i in range(4):
        grads = gradients(model, i)
        optimizer.update(model, grads)
        layers = grads["layers"]
        muon.update(twin, {"layers": [{k: v for k, v in layer.items() if k == "weight"} for layer in layers]})
        sgd.update(twin, {"layers": [{k: v for k, v in layer.items() if k == "bias"} for layer in layers]})
        adam.update(twin, {key: value for key, value in grads.items() if key != "layers"})
    assert_same(model, twin)


def test_a_rule_and_its_adapter_take_each_others_place():
    """The rule's loop goes on with the adapter's state in the middle of training, and the reverse."""
    model, twin = Net(), Net()
    rule, reference = build("NAdam"), build("NAdam")
    take_steps(rule, model, range(2))
    adapter = adapted("NAdam", model)
    adapter.state = rule.state
    for i in range(2, 4):
        through("step", adapter, model, gradients(model, i))
    rule.state = adapter.state
    take_steps(rule, model, range(4, 6))
    take_steps(reference, twin, range(6))
    assert_same(model, twin)
