"""What MLX documents of its optimizers, with ``import torchish_mlx.optimizers as optim`` in place of MLX's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as mlx_optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

import torchish_mlx.optimizers as optim
from tests.cases import RULES, assert_close, assert_same, flat, for_rule, gradients, net, saved
from tests.each import each
from tests.optimizers.test_rules_compile import ULPS

# The optimizers that MLX lists, constructed with arguments that MLX documents.
LISTED: dict[str, Callable[[], Any]] = {
    "SGD": lambda: optim.SGD(learning_rate=0.1, momentum=0.8, weight_decay=1e-4, dampening=0.0, nesterov=True),
    "RMSprop": lambda: optim.RMSprop(learning_rate=0.01, alpha=0.99, eps=1e-8),
    "Adagrad": lambda: optim.Adagrad(learning_rate=0.1, eps=1e-8),
    "Adafactor": lambda: optim.Adafactor(learning_rate=0.1, weight_decay=0.0),
    "AdaDelta": lambda: optim.AdaDelta(learning_rate=3.0, rho=0.9, eps=1e-6),
    "Adam": lambda: optim.Adam(learning_rate=0.05, betas=[0.9, 0.999], eps=1e-8),
    "AdamW": lambda: optim.AdamW(learning_rate=0.05, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.01),
    "Adamax": lambda: optim.Adamax(learning_rate=0.05, betas=[0.9, 0.999], eps=1e-8),
    "Lion": lambda: optim.Lion(learning_rate=0.01, betas=[0.9, 0.99], weight_decay=0.0),
    "MultiOptimizer": lambda: optim.MultiOptimizer(
        [optim.Muon(learning_rate=0.05, momentum=0.95), optim.Adam(learning_rate=0.05)], [lambda path, p: p.ndim == 2]
    ),
    "Muon": lambda: optim.Muon(learning_rate=0.05, momentum=0.95, weight_decay=0.01, nesterov=True, ns_steps=5),
}
listed = pytest.mark.parametrize("name", LISTED)


def problem(name: str) -> tuple[nn.Module, Any, mx.array, mx.array]:
    """A linear classifier of points by the sign of their sum; Muon's has no bias, which is no matrix."""
    mx.random.seed(0)
    x = mx.random.uniform(-1, 1, (32, 10))
    y = (x.sum(axis=1) > 0).astype(mx.float32)

    def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
        return nn.losses.binary_cross_entropy(model(x).squeeze(), y)

    return nn.Linear(10, 1, bias=name != "Muon"), loss_fn, x, y


def test_the_names_of_mlx_are_here():
    public = {
        name
        for name, value in vars(mlx_optimizers).items()
        if getattr(value, "__module__", "").startswith("mlx.optimizers") and not name.startswith("_")
    }
    assert public >= {"Adam", "Optimizer", "cosine_decay", "clip_grad_norm"}
    assert public <= set(optim.__all__)
    assert LISTED.keys() <= public


@listed
def test_the_training_loop(name):
    """Loss and gradient, update, evaluate the parameters and the state."""
    model, loss_fn, x, y = problem(name)
    mx.eval(model.parameters())
    loss_and_grad_fn = nn.value_and_grad(model, loss_fn)
    optimizer = LISTED[name]()
    assert isinstance(optimizer, mlx_optimizers.Optimizer)
    losses = []
    for _ in range(60):
        loss, grads = loss_and_grad_fn(model, x, y)
        optimizer.update(model, grads)
        mx.eval(model.parameters(), optimizer.state)
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def step_of(model: nn.Module, optimizer: Any, loss_fn: Any, traces: list[int]) -> Any:
    def step(x: mx.array, y: mx.array) -> mx.array:
        traces.append(1)
        loss_and_grad_fn = nn.value_and_grad(model, loss_fn)
        loss, grads = loss_and_grad_fn(model, x, y)
        optimizer.update(model, grads)
        return loss

    return step


@pytest.mark.parametrize("name", ["SGD", "AdamW", "MultiOptimizer"])  # test_rules_compile.py has them all
def test_the_compiled_training_loop(name):
    """The same loop with the states of model and optimizer captured gives the same numbers."""
    results = []
    for compiled in (False, True):
        model, loss_fn, x, y = problem(name)
        optimizer = LISTED[name]()
        state = [model.state, optimizer.state]
        traces = []

        step = step_of(model, optimizer, loss_fn, traces)
        if compiled:
            step = partial(mx.compile, inputs=state, outputs=state)(step)
        losses = []
        for _ in range(10):
            loss = step(x, y)
            mx.eval(state)
            losses.append(loss.item())
        results.append((flat(model), np.array(losses)))
    assert len(traces) <= 2
    (eager, eager_losses), (weights, losses) = results
    assert_close(weights, eager, 100)  # the loss is compiled too: its kernels round otherwise
    np.testing.assert_allclose(losses, eager_losses, rtol=1e-5)


@pytest.mark.parametrize("name", ["SGD", "AdamW", "MultiOptimizer"])
def test_dropout_in_a_compiled_step(name):
    """With ``mx.random.state`` captured each step drops other elements; without it all steps drop the same."""
    mx.random.seed(3)
    model = nn.Sequential(nn.Linear(10, 200), nn.Dropout(0.5))
    model.train()
    optimizer = LISTED[name]()
    optimizer.init(model.trainable_parameters())

    def step(x: mx.array) -> Any:
        grads = nn.value_and_grad(model, lambda model: model(x).sum())(model)[1]
        optimizer.update(model, grads)
        return grads["layers"][0]["bias"] == 0

    for random, differs in ((True, True), (False, False)):
        state = [model.state, optimizer.state] + ([mx.random.state] if random else [])
        compiled = mx.compile(step, inputs=state, outputs=state)
        first, second = [compiled(mx.ones((1, 10))) for _ in range(2)]
        assert 0 < first.sum().item() < 200
        assert (first != second).any().item() is differs


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_data_parallel_training_in_one_process(name):
    """The gradients are averaged over the machines, here one, all at once or one by one, before the update."""
    results = []
    for averaged in (lambda grads: grads, nn.average_gradients, lambda grads: tree_map(mx.distributed.all_sum, grads)):
        model, loss_fn, x, y = problem(name)
        optimizer = LISTED[name]()
        for _ in range(3):
            loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
            optimizer.update(model, averaged(grads))
            mx.eval(loss, model.parameters())
        results.append(flat(model))
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])


@listed
def test_saving_and_loading(name, tmp_path):
    """The recipe: flatten, save, construct again, unflatten, assign. A dict of arrays may stand for the model."""
    optimizer = LISTED[name]()
    model = {"w": mx.ones((5, 5))}
    for i in range(2):
        optimizer.update(model, gradients(model, i))
    file = str(tmp_path / "optimizer.safetensors")
    mx.save_safetensors(file, tree_flatten(optimizer.state, destination={}))
    weights = saved(model)

    loaded = LISTED[name]()
    loaded.state = tree_unflatten(mx.load(file))
    for i in range(2, 4):
        optimizer.update(model, gradients(model, i))
        loaded.update(weights, gradients(weights, i))
    assert_same(model, weights)
    assert_same(loaded.state, optimizer.state)


# A schedule of MLX's docstrings, the updates that are made there, and the rates before and after them.
STATED: list[tuple[Any, int, float, float]] = [
    (lambda: optim.exponential_decay(1e-1, 0.9), 5, 0.1, 0.06561),
    (lambda: optim.step_decay(1e-1, 0.9, 10), 21, 0.1, 0.081),
    (lambda: optim.cosine_decay(1e-1, 1000), 5, 0.1, 0.0999961),
    (lambda: optim.linear_schedule(0, 1e-1, 100), 101, 0.0, 0.1),
    (
        lambda: optim.join_schedules([optim.linear_schedule(0, 1e-1, steps=10), optim.cosine_decay(1e-1, 200)], [10]),
        12,
        0.0,
        0.0999938,
    ),
]
stated = pytest.mark.parametrize(
    ("schedule", "updates", "first", "last"),
    STATED,
    ids=["exponential_decay", "step_decay", "cosine_decay", "linear_schedule", "join_schedules"],
)


@stated
@each("case", [case for case in RULES if case != "SparseAdam"])
def test_the_learning_rates_that_the_schedules_state(schedule, updates, first, last, case):
    """The rates of MLX's docstrings, in a loop of empty updates, for every rule and as MLX's own SGD has them."""
    name, kwargs = RULES[case]
    options = {key: value for key, value in kwargs.items() if key != "learning_rate"}
    optimizer, theirs = getattr(optim, name)(learning_rate=schedule(), **options), mlx_optimizers.SGD(schedule())
    assert optimizer.learning_rate.dtype == mx.float32
    assert optimizer.learning_rate.item() == np.float32(first)
    for _ in range(updates):
        optimizer.update({}, {})
        theirs.update({}, {})
        assert optimizer.learning_rate.item() == theirs.learning_rate.item()
    assert optimizer.learning_rate.item() == pytest.approx(last, rel=1e-6)
    assert optimizer.step.item() == theirs.step.item() == updates


@pytest.mark.parametrize("case", RULES)
def test_a_schedule_of_the_users_own(case):
    """Any function of the count; it gets the count as an array, as MLX's optimizers hand it over."""
    name, kwargs = RULES[case]
    seen = []

    def schedule(step: mx.array) -> Any:
        seen.append(step.item())
        assert step.dtype == mx.uint64
        return 0.1 / (1 + step)

    optimizer, model = getattr(optim, name)(**{**kwargs, "learning_rate": schedule}), net(case)
    for i in range(3):
        optimizer.update(model, for_rule(optimizer, gradients(model, i)))
        assert optimizer.learning_rate.item() == np.float32(0.1 / (1 + np.float32(i)))
    assert seen == [0, 0, 1, 2]


def test_clip_grad_norm():
    """The documentation's example, and the same inside a compiled step."""
    grads = {"w1": mx.array([2, 3]), "w2": mx.array([1])}
    clipped, norm = optim.clip_grad_norm(grads, max_norm=2.0)
    assert norm.item() == pytest.approx(14**0.5, rel=1e-6)
    assert sum(mx.sum(g * g) for _, g in tree_flatten(clipped)).item() ** 0.5 == pytest.approx(2.0, rel=1e-5)
    untouched, norm = optim.clip_grad_norm(grads, max_norm=100.0)
    assert_same(untouched, {name: g.astype(mx.float32) for name, g in grads.items()})

    results = []
    for compiled in (False, True):
        model, optimizer = net("Adam"), optim.SGD(learning_rate=0.1, momentum=0.9)
        state = [model.state, optimizer.state]

        def step(grads: Any, model: nn.Module = model, optimizer: Any = optimizer) -> mx.array:
            grads, norm = optim.clip_grad_norm(grads, max_norm=1.0)
            optimizer.update(model, grads)
            return norm

        if compiled:
            step = mx.compile(step, inputs=state, outputs=state)
        norms = mx.stack([step(gradients(model, i)) for i in range(4)])
        results.append({"model": model.parameters(), "norms": norms})
    assert norms.min().item() > 1
    assert_close(*results, max(ULPS, 4))


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_init_before_the_first_update(name):
    """Optional, to have the state before it: the parameters' names are keys, next to the count and the rate."""
    model = nn.Linear(2, 2)
    optimizer = optim.SGD(learning_rate=1e-1, momentum=0.9) if name == "SGD" else optim.Adam(learning_rate=1e-1)
    optimizer.init(model.trainable_parameters())
    assert [key for key in optimizer.state.keys() if key != "_groups"] == ["step", "learning_rate", "weight", "bias"]  # noqa: SIM118
    assert optimizer.state["step"].dtype == mx.uint64


@listed
def test_update_is_how_apply_gradients_is_used(name):
    """``model.update(optimizer.apply_gradients(grads, model))`` is ``optimizer.update(model, grads)``."""
    first = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 3, bias=False))
    second = copy.deepcopy(first)
    optimizer, other = LISTED[name](), LISTED[name]()
    for i in range(3):
        optimizer.update(first, gradients(first, i))
        second.update(other.apply_gradients(gradients(second, i), second))
    assert_same(first, second)


def test_the_learning_rate_can_be_set():
    """By a number or an array, between updates."""
    for name, make in LISTED.items():
        optimizer, model = make(), nn.Linear(3, 4, bias=False)
        optimizer.update(model, gradients(model, 0))
        for rate in (0.5, mx.array(0.25)):
            optimizer.learning_rate = rate
            assert optimizer.learning_rate.item() == float(rate), name
            optimizer.update(model, gradients(model, 1))


# MultiOptimizer -------------------------------------------------------------------------------------------------------


def test_multi_optimizer_trains_each_part_by_its_own():
    """MLX's MultiOptimizer over our rules: each part moves as under its rule alone, by paths and by arrays."""
    model, twin = net("Adam"), net("Adam")
    parts = [optim.Muon(0.1), optim.SGD(optim.exponential_decay(0.1, 0.5), momentum=0.9), optim.NAdam(0.01)]
    optimizer = optim.MultiOptimizer(
        parts, [lambda path, p: path.endswith("weight"), lambda path, p: path == "step" or "gain" in path]
    )
    alone = [optim.Muon(0.1), optim.SGD(optim.exponential_decay(0.1, 0.5), momentum=0.9), optim.NAdam(0.01)]
    optimizer.init(model.trainable_parameters())
    for i in range(4):
        grads = gradients(model, i)
        optimizer.update(model, grads)
        leaves = tree_flatten(grads)
        chosen: list[list[Any]] = [[], [], []]
        for path, g in leaves:
            chosen[0 if path.endswith("weight") else 1 if path == "step" or "gain" in path else 2].append((path, g))
        for rule, part in zip(alone, chosen, strict=True):
            twin.update(rule.apply_gradients(tree_unflatten(part), twin))
    assert_same(model, twin)
    assert [rule.step.item() for rule in parts] == [4, 4, 4]
    optimizer.learning_rate = 0.125
    assert [rule.learning_rate.item() for rule in parts] == [0.125] * 3


def test_multi_optimizer_compiles_and_loads(tmp_path):
    """Its state is captured and saved as any other."""

    def make() -> Any:
        return optim.MultiOptimizer([optim.Muon(0.1), optim.AdamW(0.01)], [lambda path, p: path.endswith("weight")])

    model, optimizer = net("Adam"), make()
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state]
    compiled = mx.compile(lambda grads: optimizer.update(model, grads), inputs=state, outputs=state)
    for i in range(3):
        compiled(gradients(model, i))
    file = str(tmp_path / "multi.safetensors")
    mx.save_safetensors(file, tree_flatten(optimizer.state, destination={}))
    twin, other = net("Adam"), make()
    twin.update(saved(model.parameters()))
    other.state = tree_unflatten(mx.load(file))
    compiled(gradients(model, 3))
    other.update(twin, gradients(twin, 3))
    assert_close(model, twin, ULPS)
