"""``optim.from_mlx``: torch's face over MLX's own optimizers, with the numbers that they give, bit for bit."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

import torchish_mlx as torch
from tests.cases import assert_close, assert_same, flat, gradients, inputs, saved, squared_error
from tests.marks import mostly_long
from tests.optimizers.test_rules_compile import ULPS
from torchish_mlx import optim
from torchish_mlx import optimizers as rules

CLASSES: dict[str, tuple[type, dict[str, Any]]] = {
    "SGD": (mlx.optimizers.SGD, {"learning_rate": 0.1}),
    "SGD-momentum": (
        mlx.optimizers.SGD,
        {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01, "dampening": 0.1},
    ),
    "SGD-nesterov": (mlx.optimizers.SGD, {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "RMSprop": (mlx.optimizers.RMSprop, {"learning_rate": 0.01, "alpha": 0.9}),
    "Adagrad": (mlx.optimizers.Adagrad, {"learning_rate": 0.1}),
    "AdaDelta": (mlx.optimizers.AdaDelta, {"learning_rate": 1.0}),
    "Adam": (mlx.optimizers.Adam, {"learning_rate": 0.01}),
    "Adam-bias": (mlx.optimizers.Adam, {"learning_rate": 0.01, "betas": [0.8, 0.95], "bias_correction": True}),
    "AdamW": (mlx.optimizers.AdamW, {"learning_rate": 0.01, "weight_decay": 0.1}),
    "AdamW-bias": (mlx.optimizers.AdamW, {"learning_rate": 0.01, "bias_correction": True}),
    "Adamax": (mlx.optimizers.Adamax, {"learning_rate": 0.01}),
    "Lion": (mlx.optimizers.Lion, {"learning_rate": 0.01, "weight_decay": 0.1}),
    "Adafactor": (mlx.optimizers.Adafactor, {}),
    "Adafactor-warm": (mlx.optimizers.Adafactor, {"warmup_init": True, "weight_decay": 0.1, "eps": (1e-20, 1e-2)}),
    "Adafactor-rate": (
        mlx.optimizers.Adafactor,
        {"learning_rate": 0.01, "relative_step": False, "scale_parameter": False, "beta_1": 0.9},
    ),
    "Muon": (mlx.optimizers.Muon, {"learning_rate": 0.01}),
}
every_class = pytest.mark.parametrize("case", CLASSES)
RATES = {7: 0.5, 13: 0.25}  # the rate is multiplied after so many steps
READS_THE_STEP = ("Adam-bias", "AdamW-bias", "Adafactor", "Adafactor-warm", "Adafactor-rate")


def native(case: str) -> Any:
    cls, kwargs = CLASSES[case]
    return cls(**kwargs)


def ours(case: str, params: Any) -> Any:
    cls, kwargs = CLASSES[case]
    return optim.from_mlx(cls)(params, **{"lr" if k == "learning_rate" else k: v for k, v in kwargs.items()})


def network() -> nn.Module:
    """MLX's optimizers keep entries named step and learning_rate beside those of the parameters: no such names here."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    model.update(gradients(model, 99))
    return model


def train_natively(case: str, steps: int, compiled: bool = False) -> nn.Module:
    model, optimizer = network(), native(case)
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        optimizer.update(model, grads)

    if compiled:
        step = mx.compile(step, inputs=state, outputs=state)
    for i in range(steps):
        if i in RATES and "learning_rate" in optimizer.state:
            optimizer.learning_rate = optimizer.learning_rate.item() * RATES[i]
        step(gradients(model, i))
        mx.eval(state)
    return model


def train(case: str, door: str, steps: int, compiled: bool = False) -> tuple[nn.Module, Any, int]:
    """The same steps through our optimizer: by step(), update() or apply_gradients(), or by each in turn."""
    model, traces = network(), 0
    optimizer = ours(case, model)
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step(grads: Any, way: str) -> None:
        nonlocal traces
        traces += 1
        if way == "step":
            optimizer.zero_grad()
            for path, g in tree_flatten(grads):
                torch.locate(model, path).grad = g
            optimizer.step()
            optimizer.zero_grad()
        elif way == "update":
            optimizer.update(model, grads)
        else:
            params = model if way == "module" else model.parameters()
            model.update(optimizer.apply_gradients(grads, params))

    run = step
    if compiled:
        inner = mx.compile(lambda grads: step(grads, door), inputs=state, outputs=state)

        def run(grads: Any, way: str) -> None:
            inner(grads)

    for i in range(steps):
        group = optimizer.param_groups[0]
        if i in RATES and group["lr"] is not None:
            group["lr"] = optimizer.learning_rate.item() * RATES[i]
        run(gradients(model, i), ("step", "update", "module", "tree")[i % 4] if door == "all" else door)
        mx.eval(state)
    return model, optimizer, traces


@every_class
@pytest.mark.parametrize(
    "door", mostly_long(["step", "update", "module", "tree", "all"], lambda door: door in ("step", "all"))
)
def test_twenty_steps_are_mlxs(case, door):
    reference = train_natively(case, 20)
    model, optimizer, _ = train(case, door, 20)
    assert_same(model, reference)
    for p in torch.parameters(model):
        assert optimizer.state[p]["step"].item() == 20


@pytest.mark.parametrize(
    "case", [case for case in CLASSES if case not in ("AdamW-bias", "Adafactor", "Adafactor-warm")]
)
@pytest.mark.parametrize("door", ["step", "update"])
def test_twenty_compiled_steps_are_mlxs(case, door):
    """Compiled with captured state, with the rate changed twice, in at most two traces."""
    model, _, traces = train(case, door, 20, compiled=True)
    assert traces <= 2
    # what a compiled kernel hands to Muon's matrix products may be laid out in another way: measured 1 ulp
    assert_close(model, train_natively(case, 20), max(ULPS, 4) if case == "Muon" else ULPS)
    if case in ("SGD-momentum", "Adam-bias", "Lion", "Muon"):  # not all: each builds its kernels
        assert_close(model, train_natively(case, 20, compiled=True), ULPS)


@every_class
def test_the_slots_are_mlxs(case):
    model, optimizer, _ = train(case, "step", 3)
    twin, theirs = network(), native(case)
    for i in range(3):
        theirs.update(twin, gradients(twin, i))
    slots = {path: a for path, a in flat(optimizer.state).items() if not path.startswith("_groups")}
    expected = {path: a for path, a in flat(theirs.state).items() if path not in ("step", "learning_rate")}
    assert slots.keys() == expected.keys()
    assert_same(slots, expected)
    p = next(torch.parameters(model))
    names = {path.rsplit(".", 1)[1] for path in expected if path.startswith("layers.0.weight.")}
    assert set(optimizer.state[p]) == names | {"step"}


@every_class
def test_a_parameter_that_misses_steps(case):
    """It is trained as by an MLX optimizer that took only its steps: counts are per parameter, as in torch."""
    model = network()
    optimizer = ours(case, model)
    shared, twin = native(case), network()
    alone = {path: (native(case), p) for path, p in tree_flatten(model.parameters())}
    for i in range(8):
        if i == 2:
            model.layers[0].freeze()
            twin.layers[0].freeze()
        if i == 5:
            model.unfreeze()
            twin.unfreeze()
        grads = gradients(model, i)
        optimizer.zero_grad()
        for path, g in tree_flatten(grads):
            torch.locate(model, path).grad = g
            own, p = alone[path]
            alone[path] = own, own.apply_gradients({"p": g}, {"p": p})["p"]
        optimizer.step()
        if i < 5 or case not in READS_THE_STEP:
            shared.init(twin.parameters())
            shared.update(twin, grads)
            assert_same(model, twin)
    assert_same(model, {path: p for path, (_, p) in alone.items()})
    counts = {path: optimizer.state[p]["step"].item() for path, p in torch.named_parameters(model)}
    assert counts == {path: 5 if path.startswith("layers.0") else 8 for path in counts}


@every_class
@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16], ids=["float16", "bfloat16"])
def test_dtypes_stay_where_mlx_would_widen_them(case, half):
    model = network()
    model.set_dtype(half)
    optimizer = ours(case, model)
    for i in range(3):
        optimizer.update(model, gradients(model, i, mx.float32))
    for path, a in [*tree_flatten(model.parameters()), *tree_flatten(optimizer.state)]:
        assert a.dtype == (mx.float32 if path.startswith("_groups") else half), path


@every_class
@pytest.mark.parametrize("how", ["state_dict", "state", "deepcopy", "pickle"])
def test_training_goes_on(case, how, tmp_path):
    """From a state dict, from MLX's file recipe, from a copy: bit for bit."""
    model, optimizer, _ = train(case, "all", 9)
    if how in ("state_dict", "state"):
        twin = network()
        twin.update(saved(model.parameters()))
        other = ours(case, twin)
        if how == "state_dict":
            other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        else:
            file = str(tmp_path / "state.safetensors")
            mx.save_safetensors(file, tree_flatten(optimizer.state, destination={}))
            other.state = tree_unflatten(mx.load(file))
    elif how == "deepcopy":
        twin, other = copy.deepcopy((model, optimizer))
    else:
        other = pickle.loads(pickle.dumps(optimizer))
        twin = network()
        twin.update(saved(model.parameters()))
        assert type(other) is type(optimizer)
    if how != "pickle":  # where a Parameter has no name
        assert_same(other.state, optimizer.state)
    for i in range(9, 12):
        grads = gradients(model, i)
        optimizer.update(model, grads)
        if how == "pickle":  # its Parameters are its own
            held = other.param_groups[0]["params"]
            for p, (_, g) in zip(held, tree_flatten(grads), strict=True):
                p.grad = g
            other.step()
        else:
            other.update(twin, grads)
    if how == "pickle":
        twin = {path: p.array for (path, _), p in zip(tree_flatten(model.parameters()), held, strict=True)}
    assert_same(model, twin)


def test_arguments_are_torchs_and_mlxs():
    """lr for learning_rate, first after params; the rest as MLX spells it; all of it in the group."""
    p = torch.Parameter(mx.ones((2, 2)))
    optimizer = optim.from_mlx(mlx.optimizers.AdamW)([p], 0.25, betas=[0.5, 0.75], weight_decay=0.125)
    group = optimizer.param_groups[0]
    assert {k: v for k, v in group.items() if k != "params"} == {
        "lr": 0.25,
        "betas": [0.5, 0.75],
        "eps": 1e-8,
        "weight_decay": 0.125,
        "bias_correction": False,
    }
    assert type(optimizer).__name__ == "AdamW"
    assert optim.from_mlx(mlx.optimizers.AdamW) is type(optimizer)
    assert isinstance(optim.Lion([p], lr=0.1), optim.Optimizer)
    for unknown in ({}, {"learning_rate": 0.1}):
        with pytest.raises(TypeError, match="missing a required argument: 'lr'"):
            optim.from_mlx(mlx.optimizers.Adam)([p], **unknown)
    with pytest.raises(ValueError, match="Adam beta1 should be in"):
        optim.from_mlx(mlx.optimizers.Adam)([p], lr=0.1, betas=[1.5, 0.9])


def test_groups_have_options_of_their_own():
    """Each group is trained as by an MLX optimizer with its options."""
    model, twin = network(), network()
    optimizer = optim.from_mlx(mlx.optimizers.AdamW)(
        [{"params": model.layers[0], "weight_decay": 0.5}, {"params": model.layers[2], "lr": 0.5}], lr=0.1
    )
    first = mlx.optimizers.AdamW(0.1, weight_decay=0.5)
    second = mlx.optimizers.AdamW(0.5)
    for i in range(4):
        grads = gradients(model, i)
        optimizer.update(model, grads)
        first.update(twin, {"layers": [grads["layers"][0]]})
        second.update(twin, {"layers": [{}, {}, grads["layers"][2]]})
    assert_same(model, twin)


def test_an_option_that_changes_reaches_a_compiled_step():
    """MLX's classes read their options as Python numbers: a change of one is traced anew, not silently stale."""
    model, traces = network(), []
    optimizer = optim.from_mlx(mlx.optimizers.AdamW)(model, lr=0.1)
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        traces.append(1)
        optimizer.update(model, grads)

    compiled = mx.compile(step, inputs=state, outputs=state)
    twin, theirs = network(), mlx.optimizers.AdamW(0.1)
    for i in range(4):
        if i == 2:
            optimizer.param_groups[0]["weight_decay"] = theirs.weight_decay = 0.5
        compiled(gradients(model, i))
        theirs.update(twin, gradients(twin, i))
    assert len(traces) == 2
    assert_close(model, twin, ULPS)


# Optimizers of users --------------------------------------------------------------------------------------------------


class Signed(mlx.optimizers.Optimizer):
    """Sign of a running mean, with a rate that decays by its own count: what a user of MLX may write."""

    def __init__(self, learning_rate: float, beta: float = 0.9, half_life: float = 10.0) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.beta, self.half_life = beta, half_life

    def init_single(self, parameter: mx.array, state: dict[str, mx.array]) -> None:
        state["mean"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, mx.array]) -> mx.array:
        state["mean"] = self.beta * state["mean"] + (1 - self.beta) * gradient
        rate = self.learning_rate * 0.5 ** (self.step.astype(mx.float32) / self.half_life)
        return parameter - rate * mx.sign(state["mean"])


class Plain(mlx.optimizers.Optimizer):
    """No rate, no slots, no constructor of its own."""

    def init_single(self, parameter: mx.array, state: dict[str, mx.array]) -> None:
        pass

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, mx.array]) -> mx.array:
        return parameter - gradient


class Vague(mlx.optimizers.Optimizer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_users_own_class(compiled):
    model, twin = network(), network()
    optimizer, theirs = optim.from_mlx(Signed)(model, lr=0.1, half_life=3.0), Signed(0.1, half_life=3.0)
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step() -> None:
        optimizer.zero_grad()
        torch.backward(model, squared_error, inputs())
        optimizer.step()
        optimizer.zero_grad()

    run = mx.compile(step, inputs=state, outputs=state) if compiled else step
    value_and_grad = nn.value_and_grad(twin, squared_error)
    for i in range(8):
        if i == 4:
            optimizer.param_groups[0]["lr"] = theirs.learning_rate = 0.05
        run()
        theirs.update(twin, value_and_grad(twin, inputs())[1])
        mx.eval(state, twin.parameters())
    assert_close(model, twin, ULPS)
    assert set(optimizer.state[next(torch.parameters(model))]) == {"mean", "step"}


def test_a_class_without_arguments():
    model, twin = network(), network()
    optimizer = optim.from_mlx(Plain)(model)
    optimizer.update(model, gradients(model, 0))
    assert_same(model, tree_map(lambda p, g: p - g, twin.parameters(), gradients(twin, 0)))


def test_a_class_whose_arguments_have_no_names():
    with pytest.raises(TypeError, match=r"Vague.__init__ takes \*args or \*\*kwargs.*write them out"):
        optim.from_mlx(Vague)


def test_a_rule_of_ours():
    """from_mlx of a rule is an adapter over it, with the rule's arguments."""
    model, twin = network(), network()
    optimizer, reference = optim.from_mlx(rules.NAdam)(model, lr=0.05), optim.NAdam(twin, lr=0.05)
    for i in range(3):
        optimizer.update(model, gradients(model, i))
        reference.update(twin, gradients(twin, i))
    assert_same(model, twin)
    assert optimizer.rule is rules.NAdam


# MultiOptimizer -------------------------------------------------------------------------------------------------------


def parts() -> list[Any]:
    return [mlx.optimizers.Muon(0.02), mlx.optimizers.Adam(0.01, bias_correction=True), mlx.optimizers.SGD(0.1, 0.9)]


class ScheduledDecay(mlx.optimizers.SGD):
    """With a schedule of another number than the learning rate."""

    def __init__(self) -> None:
        super().__init__(0.1)
        self._maybe_schedule("decay", rules.cosine_decay(0.1, 5))


FILTERS = [lambda path, p: path.endswith("weight"), lambda path, p: path.endswith("bias")]


def scaled_network() -> nn.Module:
    """With a parameter that no filter takes. (MLX's MultiOptimizer can't merge parts of one list that have holes.)"""
    model = network()
    model.scale = mx.ones((3,))
    return model


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("door", ["step", "update"])
def test_multi_optimizer_is_mlxs(compiled, door):
    """Bit for bit mlx.optimizers.MultiOptimizer, with the rate of one group changed."""
    model, twin = scaled_network(), scaled_network()
    optimizer = optim.from_mlx(mlx.optimizers.MultiOptimizer)(model, parts(), FILTERS)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.01, 0.1]
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2, 1]
    native_parts = parts()
    theirs = mlx.optimizers.MultiOptimizer(native_parts, FILTERS)
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        if door == "update":
            optimizer.update(model, grads)
            return
        for path, g in tree_flatten(grads):
            torch.locate(model, path).grad = g
        optimizer.step()
        optimizer.zero_grad()

    run = mx.compile(step, inputs=state, outputs=state) if compiled else step
    for i in range(20):
        if i == 10:
            optimizer.param_groups[0]["lr"] = native_parts[0].learning_rate = 0.005
        run(gradients(model, i))
        theirs.update(twin, gradients(twin, i))
        mx.eval(state, twin.parameters())
    assert_close(model, twin, max(ULPS, 4) if compiled else 0)  # as for Muon above: measured 1 ulp


def test_multi_optimizer_of_rules_goes_on_from_a_state_dict():
    """Rules of ours as parts; a fresh one takes the state over, and a copy of the pair stays linked."""

    def make(model: nn.Module) -> Any:
        return optim.MultiOptimizer(model, [rules.Muon(0.02), rules.AdamW(0.01)], [lambda path, p: p.ndim == 2])

    model, twin = network(), network()
    optimizer = make(model)
    for i in range(3):
        optimizer.update(model, gradients(model, i))
    twin.update(saved(model.parameters()))
    other = make(twin)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    third, third_optimizer = copy.deepcopy((model, optimizer))
    for i in range(3, 6):
        for m, o in ((model, optimizer), (twin, other), (third, third_optimizer)):
            o.update(m, gradients(m, i))
    assert_same(model, twin)
    assert_same(model, third)
    assert [group["lr"] for group in other.param_groups] == [0.02, 0.01]


@pytest.mark.parametrize(
    ("optimizers", "filters", "match"),
    [
        (lambda: [rules.SGD(0.1), rules.SGD(0.1)], [], "Given 0 filters but 1 needed"),
        (lambda: [rules.SGD(0.1)], FILTERS, "Given 2 filters but 0 needed"),
        (lambda: [ScheduledDecay()], [], r"ScheduledDecay has a scheduled \['decay'\].*except for the learning rate"),
        (lambda: [rules.Muon(0.1)], [], "Muon only supports 2D parameters"),
    ],
)
def test_multi_optimizer_refuses(optimizers, filters, match):
    model = network()
    before = flat(model)
    with pytest.raises(ValueError, match=match):
        optim.MultiOptimizer(model, optimizers(), filters)
    assert_same(model, before)


def test_multi_optimizer_takes_no_more_groups():
    optimizer = optim.MultiOptimizer(network(), [rules.SGD(0.1)])
    with pytest.raises(ValueError, match="the groups of a MultiOptimizer come from its filters"):
        optimizer.add_param_group({"params": nn.Linear(2, 2)})
    assert len(optimizer.param_groups) == 1
    assert np.isclose(optimizer.learning_rate.item(), 0.1)
