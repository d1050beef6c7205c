"""What MLX's own tests ask of its optimizers, asked of ``optim.from_mlx`` over the same classes.

The numbers are those of the class itself, bit for bit. ``tests/optimizers/test_mlx_behaviours.py`` asks the rules.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

import torchish_mlx as torch
from tests.cases import assert_changed, assert_close, assert_same, flat, gradients
from tests.optimizers.test_mlx_documentation import stated
from tests.optimizers.test_rules_compile import ULPS
from torchish_mlx import optim, optimizers

OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9},
    "RMSprop": {"alpha": 0.9},
    "Adagrad": {},
    "AdaDelta": {},
    "Adam": {"bias_correction": True},
    "AdamW": {"weight_decay": 0.1},
    "Adamax": {},
    "Lion": {"weight_decay": 0.1},
    "Adafactor": {"relative_step": False, "scale_parameter": False},
    "Muon": {},
}
every_class = pytest.mark.parametrize("name", OPTIONS)


class Tree(nn.Module):
    """A module that is a tree: vectors and a matrix in a list, a convolution, a layer without parameters."""

    def __init__(self, dtype: mx.Dtype = mx.float32) -> None:
        super().__init__()
        self.layers = [mx.zeros((10,)), mx.ones((1,)), nn.ReLU(), mx.ones((10, 5))]
        self.gain = mx.ones((1,))
        self.conv = mx.ones((4, 2, 3, 3))
        self.set_dtype(dtype)


def pair(name: str, model: nn.Module, lr: Any = 0.1, **options: Any) -> tuple[Any, Any]:
    """An adapter over the model, and the class itself."""
    cls, options = getattr(native, name), {**OPTIONS[name], **options}
    return optim.from_mlx(cls)(model, lr, **options), cls(lr, **options)


def without_numbers(state: Any) -> dict[str, Any]:
    """The slots of a state of either side."""
    return {
        path: value
        for path, value in flat(state).items()
        if not path.startswith("_groups") and path not in ("step", "learning_rate")
    }


@pytest.mark.parametrize("over", ["a model", "Parameters"])
def test_the_state_takes_entries_of_the_users_own(over):
    params = Tree() if over == "a model" else [torch.Parameter(mx.ones(3))]
    optimizer = optim.from_mlx(native.SGD)(params, 0.1, momentum=0.9)
    optimizer.state["hello"] = "world"
    optimizer.state[0] = mx.array(1.5)
    assert optimizer.state["hello"] == "world"
    for p in optimizer.param_groups[0]["params"]:
        p.grad = mx.ones_like(p.array)
    optimizer.step()
    assert optimizer.state["hello"] == "world"
    assert optimizer.state[0].item() == 1.5
    with pytest.raises(ValueError, match=r"this is not the state of an optimizer"):
        optimizer.state = {"momentum": 0.5}
    assert optimizer.state["hello"] == "world"

    optimizer.state = {0: 1}
    assert optimizer.state[0] == 1
    assert "hello" not in optimizer.state
    if over == "Parameters":
        assert optimizer.state == {0: 1}
    assert not any(path.endswith(".v") for path in flat(optimizer.state_tree()))
    assert optimizers.mlx_state(optimizer)["step"].item() == 0


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
@every_class
def test_shapes_and_dtypes_of_a_tree_are_kept(name, dtype):
    """Also of vectors and convolutions under MLX's Muon, which torch's refuses."""
    model = Tree(dtype)
    optimizer, _ = pair(name, model)
    params = model.parameters()
    for _ in range(2):
        new = optimizer.apply_gradients(tree_map(mx.ones_like, params), params)
        assert tree_map(lambda a: (a.shape, a.dtype), new) == tree_map(lambda a: (a.shape, a.dtype), params)
        assert all(mx.isfinite(leaf).all().item() for _, leaf in tree_flatten(new))
        if dtype == mx.float32:  # AdaDelta's first steps are too small for half precision
            assert_changed(new, params)
    assert_same(params, model.parameters())


@pytest.mark.parametrize("init", [False, True])
@every_class
def test_the_state_is_that_of_the_class(name, init):
    """After init, and after each step: slots under the same names; count and rate through mlx_state()."""
    model, other = Tree(), Tree()
    optimizer, theirs = pair(name, model)
    if init:
        optimizer.init(model.parameters())
        theirs.init(other.parameters())
        assert without_numbers(optimizer.state)
        assert_same(without_numbers(optimizer.state), without_numbers(theirs.state))
    for i in range(3):
        grads = gradients(model, i)
        optimizer.update(model, grads)
        theirs.update(other, grads)
        assert_same(model, other)
        assert_same(without_numbers(optimizer.state), without_numbers(theirs.state))
        assert optimizers.mlx_state(optimizer)["step"].item() == theirs.state["step"].item() == i + 1
    assert_same(optimizers.mlx_state(optimizer), theirs.state)


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "AdaDelta"])
@pytest.mark.parametrize("eps", [0.0, -1.0])
def test_an_epsilon_that_is_not_above_zero_is_refused(name, eps):
    """In the constructor, in a group's own options, and as an attribute: in MLX's words."""
    cls = optim.from_mlx(getattr(native, name))
    with pytest.raises(ValueError, match=r">0"):
        cls(Tree(), 0.1, eps=eps)
    optimizer = cls(Tree(), 0.1)
    with pytest.raises(ValueError, match=r">0"):
        optimizer.eps = eps
    assert optimizer.eps > 0


def test_arguments_by_position_are_mlxs():
    optimizer = optim.from_mlx(native.Adam)(Tree(), 0.1, [0.8, 0.9], 1e-6, True)
    group = optimizer.param_groups[0]
    assert [group[key] for key in ("lr", "betas", "eps", "bias_correction")] == [0.1, [0.8, 0.9], 1e-6, True]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16])
@pytest.mark.parametrize("shape", [(5, 5), (2, 3, 4), (7,)])
def test_adafactor_with_a_rate_of_its_own(shape, dtype):
    """Constructed without a learning rate, as MLX's default is; three dimensions are factored too."""
    model, other = nn.Module(), nn.Module()
    model.x, other.x = mx.ones(shape, dtype), mx.ones(shape, dtype)
    optimizer, theirs = optim.from_mlx(native.Adafactor)(model), native.Adafactor()
    assert optimizer.param_groups[0]["lr"] is None
    for i in range(2):
        optimizer.update(model, gradients(model, i))
        theirs.update(other, gradients(other, i))
        assert model.x.shape == shape
        assert model.x.dtype == dtype
    assert_close(model, other, 0 if dtype == mx.float32 else 2**14)  # MLX keeps a float16 parameter in float32
    assert optimizers.mlx_state(optimizer)["step"].item() == 2


@pytest.mark.parametrize("options", [{}, {"nesterov": False}, {"momentum": 0.0}], ids=str)
def test_muon_is_mlxs_on_arrays_of_any_shape(options):
    model, other = Tree(), Tree()
    optimizer, theirs = pair("Muon", model, **options)
    for i in range(2):
        optimizer.update(model, gradients(model, i))
        theirs.update(other, gradients(other, i))
    assert_same(model, other)
    assert_changed(model, Tree())


# Compiled ------------------------------------------------------------------------------------------------------------


def loss(model: nn.Module, x: mx.array) -> mx.array:
    return model(x).square().sum()


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Muon"])  # test_from_mlx.py compiles them all
def test_a_compiled_step_of_either_form(name):
    """With the states captured, and as a function of parameters and state that hands both back."""
    start = nn.Linear(10, 10)
    inputs = [mx.random.uniform(shape=(2, 10), key=mx.random.key(i)) for i in range(2)]

    def fresh() -> nn.Module:
        model = nn.Linear(10, 10)
        model.update(start.parameters())
        return model

    eager = fresh()
    _, theirs = pair(name, eager)
    for x in inputs:
        theirs.update(eager, nn.value_and_grad(eager, loss)(eager, x)[1])

    model = fresh()
    optimizer, _ = pair(name, model)
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def captured(x: mx.array) -> None:
        optimizer.update(model, nn.value_and_grad(model, loss)(model, x)[1])

    for x in inputs:
        captured(x)
    assert_close(model, eager, 16 * ULPS)  # the gradients are compiled too

    model = fresh()
    other, _ = pair(name, model)
    other.init(model.parameters())
    call = fresh()

    @mx.compile
    def pure(params: Any, kept: Any, x: mx.array) -> Any:
        call.update(params)
        grads = nn.value_and_grad(call, loss)(call, x)[1]
        other.state = kept
        return other.apply_gradients(grads, params), other.state

    params, kept = model.parameters(), other.state
    for x in inputs:
        params, kept = pure(params, kept, x)
    other.state = kept
    assert_close(params, eager, 16 * ULPS)
    assert optimizers.mlx_state(other)["step"].item() == 2


@pytest.mark.parametrize("rates", [(1.0, 2.0), (-1.0, -2.0)], ids=str)
def test_a_step_that_captures_the_state_as_an_input_alone(rates):
    """It goes by the rate of the moment. A negative rate, which torch's optimizers refuse, is MLX's to allow."""
    model = nn.Module()
    model.w = mx.full((5, 5), 3.0)
    params = model.parameters()
    optimizer = optim.from_mlx(native.SGD)(model, rates[0])
    step = mx.compile(lambda grads: optimizer.apply_gradients(grads, params), inputs=optimizer.state)
    for rate in rates:
        optimizer.learning_rate = rate
        assert_same(step({"w": mx.ones((5, 5))}), {"w": mx.full((5, 5), 3.0 - rate)})


# Schedules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["update", "apply_gradients", "step"])
@every_class
def test_a_decaying_rate_with_gradients(name, door):
    """After each step the rate is the one that the step was made with, by the array and in the group."""
    model = Tree()
    optimizer, theirs = pair(name, model, native.step_decay(0.1, 0.9, 1))
    other = Tree()
    for i in range(4):
        grads = gradients(model, i)
        if door == "update":
            optimizer.update(model, grads)
        elif door == "step":
            flat_grads = tree_flatten(grads, destination={})
            for path, p in torch.named_parameters(model):
                p.grad = flat_grads[path]
            optimizer.step()
        else:
            model.update(optimizer.apply_gradients(grads, model))
        theirs.update(other, grads)
        assert optimizer.learning_rate.item() == theirs.learning_rate.item()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.9**i, abs=1e-7)
    assert_same(model, other)


@pytest.mark.parametrize("compiled", [False, True])
@every_class
def test_empty_updates_follow_a_schedule(name, compiled):
    """Warm-up and cosine, over 150 updates of nothing, eagerly and in a compiled step that captures the state."""
    warmup, cosine = native.linear_schedule(0.0, 1e-3, 100), native.cosine_decay(1e-3, 100)
    schedule = native.join_schedules([warmup, cosine], [101])
    optimizer, _ = pair(name, Tree(), schedule)
    step = lambda: optimizer.update({}, {})  # noqa: E731
    if compiled:
        step = mx.compile(step, inputs=optimizer.state, outputs=optimizer.state)
    for i in range(150):
        step()
        if i in (0, 1, 50, 100, 101, 149):
            rate = i * 1e-5 if i <= 100 else 1e-3 * 0.5 * (1 + math.cos(math.pi * (i - 101) / 100))
            assert optimizer.learning_rate.item() == pytest.approx(rate, rel=1e-5, abs=1e-12)
    assert optimizer.param_groups[0]["lr_step"] == 150


@stated
@every_class
def test_the_learning_rates_that_the_schedules_state(schedule, updates, first, last, name):
    """The rates of MLX's docstrings, in a loop of empty updates, as the class itself has them."""
    optimizer, theirs = pair(name, Tree(), schedule())
    assert optimizer.learning_rate.item() == theirs.learning_rate.item() == pytest.approx(first, rel=1e-7)
    for _ in range(updates):
        optimizer.update({}, {})
        theirs.update({}, {})
        assert optimizer.learning_rate.item() == theirs.learning_rate.item()
    assert optimizer.learning_rate.item() == pytest.approx(last, rel=1e-6)


def test_torchs_step_of_nothing_does_not_count():
    """torch's optimizers do nothing without gradients, and their schedulers are called by the loop."""
    optimizer, _ = pair("Adam", Tree(), native.exponential_decay(0.1, 0.5))
    optimizer.step()
    assert optimizer.param_groups[0]["lr_step"] == 0


# Saved and loaded ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 2])
@every_class
def test_a_state_that_was_flattened(name, steps):
    """``tree_flatten`` drops the places of layers without parameters; the next update goes on all the same."""
    model, twin = Tree(), Tree()
    optimizer, theirs = pair(name, model)
    optimizer.init(model.trainable_parameters())
    for i in range(steps):
        optimizer.update(model, gradients(model, i))
    twin.update(model.parameters())
    other, _ = pair(name, twin)
    other.state = tree_unflatten(tree_flatten(optimizer.state))
    theirs.state = tree_unflatten(tree_flatten(optimizers.mlx_state(optimizer)))
    third = Tree()
    third.update(model.parameters())
    for i in range(steps, steps + 2):
        for one, trained in ((optimizer, model), (other, twin), (theirs, third)):
            one.update(trained, gradients(trained, i))
    assert_same(model, twin)
    assert_same(model, third)
    assert_same(optimizer.state, other.state)


# MultiOptimizer ------------------------------------------------------------------------------------------------------


def test_several_optimizers_over_a_model_with_layers_without_parameters():
    """Matrices under Muon, the rest under AdamW, as MLX's own trains them; each group has the slots of its own."""
    model, other = (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)) for _ in range(2))
    other.update(model.parameters())
    before = flat(model)
    parts = [native.Muon(0.01), native.AdamW(0.01)]
    optimizer = optim.from_mlx(native.MultiOptimizer)(model, parts, [lambda _, a: a.ndim >= 2])
    theirs = native.MultiOptimizer([native.Muon(0.01), native.AdamW(0.01)], [lambda _, a: a.ndim >= 2])
    for i in range(2):
        grads = gradients(model, i)
        optimizer.update(model, grads)
        theirs.update(other, grads)
    assert_same(model, other)
    assert_changed(flat(model), before)
    assert set(without_numbers(optimizer.state)) == {
        *(f"layers.{i}.weight.v" for i in (0, 2)),
        *(f"layers.{i}.bias.{name}" for i in (0, 2) for name in ("m", "v")),
    }
