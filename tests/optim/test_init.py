"""``optimizer.init``: state of what is trained, all of it, so that a compiled step is traced once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.cases import RULES, assert_close, assert_same, build, flat, for_rule, gradients, is_slot, net, saved
from torchish_mlx import optim
from torchish_mlx import optimizers as rules

FROM_MLX = ("SGD", "RMSprop", "Adagrad", "AdaDelta", "Adam", "AdamW", "Adamax", "Lion", "Adafactor", "Muon")
ULPS = 8  # as in test_rules_compile.py: roots and a * b + c of compiled steps on the CPU


def adapted(case: str, params: Any, **changes: Any) -> optim.Optimizer:
    name, kwargs = RULES[case]
    named = {"lr" if k == "learning_rate" else k: v for k, v in {**kwargs, **changes}.items()}
    return getattr(optim, name)(params, **named)


def native_adapted(name: str, model: nn.Module) -> optim.Optimizer:
    more = {"momentum": 0.9} if name in ("SGD", "Muon") else {}
    return optim.from_mlx(getattr(native, name))(model, lr=0.01, **more)


def several(model: nn.Module) -> optim.Optimizer:
    parts = [rules.SGD(0.1, momentum=0.9, dampening=0.5), native.Lion(0.01), rules.Adam(0.01)]
    return optim.MultiOptimizer(model, parts, [lambda path, a: a.ndim == 2, lambda path, a: "layers" in path])


MAKERS: dict[str, Callable[[nn.Module], Any]] = {
    **{f"rule {case}": lambda model, case=case: build(case) for case in RULES},
    **{case: lambda model, case=case: adapted(case, model) for case in RULES},
    **{f"mlx {name}": lambda model, name=name: native_adapted(name, model) for name in FROM_MLX},
    "MultiOptimizer": several,
}


def network(name: str) -> nn.Module:
    return net("Muon" if "Muon" in name else "Adam")


def steps(optimizer: Any, model: nn.Module, count: int, start: int = 0) -> int:
    """Compiled steps; how often the function was traced."""
    state, traces = [model.state, optimizer.state], 0

    def step(grads: Any) -> None:
        nonlocal traces
        traces += 1
        rule = getattr(optimizer, "rule", optimizer)
        optimizer.update(model, grads if rule is None else for_rule(rule, grads))

    compiled = mx.compile(step, inputs=state, outputs=state)
    for i in range(start, start + count):
        compiled(gradients(model, i))
        mx.eval(state)
    return traces


GIVEN: dict[str, Callable[[nn.Module], Any]] = {
    "module": lambda model: model,
    "trainable_parameters()": lambda model: model.trainable_parameters(),
}


@pytest.mark.parametrize("name", MAKERS)
def test_one_trace_after_init(name):
    """The state has after init what it has after steps, with frozen layers too."""
    for frozen in (False, True):
        for given in GIVEN.values():
            model = network(name)
            if frozen:
                model.layers[0].freeze()
            optimizer = MAKERS[name](model)
            optimizer.init(given(model))
            assert steps(optimizer, model, 3) == 1


@pytest.mark.parametrize(
    "name", [name for name in MAKERS if "Adagrad" not in name]
)  # torch's constructor makes its sums
def test_what_is_frozen_gets_no_state(name):
    """Given the module itself: the tree of state is that of trainable_parameters(), of an adapter also given all."""
    givens = [*GIVEN.values(), lambda model: model.parameters()]
    for given in givens[:2] if name.startswith("rule ") else givens:  # a rule knows no module, and takes a whole tree
        model = network(name)
        model.layers[0].freeze()
        model.freeze(recurse=False, keys="extra")
        optimizer = MAKERS[name](model)
        optimizer.init(given(model))
        held = [path for path, _ in tree_flatten(optimizer.state) if is_slot(optimizer, path)]
        held = [path.removeprefix("_") for path in held]  # as a rule calls parameters that have the name of a number
        trained = [path for path, _ in tree_flatten(model.trainable_parameters())]
        assert all(any(path.startswith(f"{p}.") for p in trained) for path in held)
        if held:
            assert {p for p in trained if any(path.startswith(f"{p}.") for path in held)} == set(trained)


def test_the_state_of_a_tiny_lora_model():
    """A large frozen matrix and two small ones that are trained: two moments of each and a few numbers."""
    model = nn.Module()
    model.base, model.lora_a, model.lora_b = mx.zeros((256, 512)), mx.zeros((256, 8)), mx.zeros((8, 512))
    model.freeze(keys="base")
    for optimizer in (optim.AdamW(model), rules.AdamW()):
        optimizer.init(model)
        arrays = [a for _, a in tree_flatten(optimizer.state)]
        assert sum(a.nbytes for a in arrays) - 2 * (model.lora_a.nbytes + model.lora_b.nbytes) < 200


def test_a_module_with_frozen_parameters_that_the_optimizer_does_not_hold():
    model = net("Adam")
    model.layers[0].freeze()
    optimizer = optim.Adam([p for p in torch.parameters(model) if p.requires_grad])
    optimizer.init(model)
    assert steps(optimizer, model, 2) == 1


@pytest.mark.parametrize("name", ["Adagrad", "Adam"])
def test_state_of_what_is_frozen_keeps_its_count(name):
    """What was trained, or what torch's constructor made: frozen parameters get counts of their own in init."""
    model, twin = net(name), net(name)
    pair = [(adapted(name, m), m) for m in (model, twin)]
    for optimizer, m in pair:
        optimizer.update(m, gradients(m, 0))
        m.layers[0].freeze()
    pair[0][0].init(model)
    assert steps(pair[0][0], model, 2, start=1) == 1
    for i in (1, 2):
        pair[1][0].update(twin, gradients(twin, i))
    for optimizer, m in pair:
        m.unfreeze()
        optimizer.update(m, gradients(m, 3))
        counts = {int(optimizer.state[p]["step"].item()) for p in torch.parameters(m.layers[0])}
        assert counts == {2}
    assert_close(model, twin, ULPS)


# SGD: the first step of torch sets momentum_buffer, undampened --------------------------------------------------------

SGDS: dict[str, dict[str, Any]] = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "dampening": {"momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1},
    "dampening, loop": {"momentum": 0.9, "dampening": 0.4, "foreach": False},
    "dampening, fused": {"momentum": 0.9, "dampening": 0.4, "fused": True},
    "negative dampening": {"momentum": 0.5, "dampening": -0.5, "maximize": True},
}


def parts(model: nn.Module, i: int) -> Any:
    """Gradients of step i: the first layer has none in the first two steps, and some again later."""
    grads = gradients(model, i)
    if i in (0, 1, 4):
        grads["layers"][0] = {}
    return grads


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
@pytest.mark.parametrize("case", SGDS)
def test_sgd_after_init_is_sgd_without(case, dtype):
    """Eagerly bit for bit, with parameters that miss the first steps."""
    model, twin = net("SGD"), net("SGD")
    model.set_dtype(dtype)
    twin.set_dtype(dtype)
    optimizer, reference = (optim.SGD(m, lr=0.1, **SGDS[case]) for m in (model, twin))
    optimizer.init(model)
    for i in range(6):
        optimizer.update(model, parts(model, i))
        reference.update(twin, parts(twin, i))
        assert_same(model, twin)
    marks = {path for path in flat(optimizer.state) if path.endswith("._first_step")}
    assert bool(marks) == bool(SGDS[case].get("dampening"))
    assert_same({k: a for k, a in flat(optimizer.state).items() if k not in marks}, reference.state)
    assert list(optimizer.state[torch.locate(model, "layers.0.weight")]) == ["momentum_buffer"]
    entries = optimizer.state_dict()["state"], reference.state_dict()["state"]
    assert [list(held) for held in entries[0].values()] == [list(held) for held in entries[1].values()]


@pytest.mark.parametrize("case", ["momentum", "dampening"])
def test_a_compiled_sgd_after_init(case):
    """Each of the two functions, with and without gradients of the first layer, is traced once."""
    most = 2
    model, twin = net("SGD"), net("SGD")
    optimizer, reference = (optim.SGD(m, lr=0.1, **SGDS[case]) for m in (model, twin))
    optimizer.init(model)
    state, traces = [model.state, optimizer.state], []

    def step(grads: Any) -> None:
        traces.append(1)
        optimizer.update(model, grads)

    compiled = mx.compile(step, inputs=state, outputs=state)
    for i in range(6):
        compiled(parts(model, i))
        reference.update(twin, parts(twin, i))
        assert_close(model, twin, 2)
    assert len(traces) == most
    optimizer.update(model, parts(model, 6))  # an eager step in between changes nothing
    reference.update(twin, parts(twin, 6))
    compiled(parts(model, 7))
    reference.update(twin, parts(twin, 7))
    assert len(traces) == most
    assert_close(model, twin, 4)


def test_a_rule_that_is_used_alone_marks_each_parameter():
    for compile_ in (False, True):
        model, twin = net("SGD"), net("SGD")
        rule, reference = (rules.SGD(0.1, **SGDS["dampening"]) for _ in range(2))
        rule.init(model)
        state = [model.state, rule.state]

        def step(grads: Any, rule: Any = rule, model: nn.Module = model) -> None:
            rule.update(model, grads)

        if compile_:
            step = mx.compile(step, inputs=state, outputs=state)
        for i in range(6):
            step(parts(model, i))
            reference.update(twin, parts(twin, i))
            assert_close(model, twin, 4 * compile_)


def test_the_buffer_before_the_first_step():
    """It is zeros, in the tree and in state[p]; a state dict, a copy and a pickle have it after the first step only."""
    model = nn.Linear(2, 2)
    optimizer = optim.SGD(model, lr=0.1, momentum=0.9, dampening=0.5)
    optimizer.init(model)
    p = next(torch.parameters(model))
    assert optimizer.state["weight"]["momentum_buffer"].tolist() == [[0, 0], [0, 0]]
    assert list(optimizer.state[p]) == ["momentum_buffer"]
    assert optimizer.state_dict()["state"] == {}
    duplicate = copy.deepcopy(optimizer)
    assert duplicate.state_dict()["state"] == {}
    optimizer.update(model, gradients(model, 0))
    assert list(optimizer.state_dict()["state"][0]) == ["momentum_buffer"]
    assert list(copy.deepcopy(optimizer).state_dict()["state"][0]) == ["momentum_buffer"]


def test_a_buffer_that_was_written_is_one_that_has_begun():
    """As in torch, whose step dampens the gradient wherever there is a buffer."""
    outcomes = []
    for init in (False, True):
        p = torch.Parameter(mx.ones(3))
        optimizer = optim.SGD([p], lr=0.1, momentum=0.9, dampening=0.5)
        if init:
            optimizer.init({"0": p.array})
        optimizer.state[p]["momentum_buffer"] = torch.zeros(3)
        p.grad = torch.ones(3)
        optimizer.step()
        outcomes.append(p.tolist())
    assert outcomes[0] == outcomes[1] == pytest.approx([0.95] * 3)


def test_a_momentum_that_comes_after_the_first_step():
    """While momentum is 0 no step uses the buffer, and the first one that does is undampened."""
    outcomes = []
    for init in (False, True):
        model = net("SGD")
        optimizer = optim.SGD(model, lr=0.1, momentum=0.9, dampening=0.5)
        if init:
            optimizer.init(model)
        optimizer.param_groups[0]["momentum"] = 0
        optimizer.update(model, gradients(model, 0))
        optimizer.param_groups[0]["momentum"] = 0.9
        for i in (1, 2):
            optimizer.update(model, gradients(model, i))
        outcomes.append(flat(model))
    assert_same(*outcomes)


def test_a_dampening_that_comes_after_init():
    outcomes = []
    for init in (False, True):
        model = net("SGD")
        optimizer = optim.SGD(model, lr=0.1, momentum=0.9)
        if init:
            optimizer.init(model)
        optimizer.param_groups[0]["dampening"] = 0.5
        for i in range(3):
            optimizer.update(model, gradients(model, i))
        outcomes.append(flat(model))
    assert_same(*outcomes)


@pytest.mark.parametrize("tree", [False, True], ids=["load_state_dict", "a tree"])
def test_loading_into_a_compiled_sgd_after_init(tree):
    """A loaded buffer has begun, whatever init() made, and the compiled step is not traced again."""
    kwargs = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}
    source = net("SGD")
    trained = optim.SGD(source, **kwargs)
    for i in range(2):
        trained.update(source, gradients(source, i))
    model = net("SGD")
    optimizer, traces = optim.SGD(model, **kwargs), []
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        traces.append(1)
        optimizer.update(model, grads)

    compiled = mx.compile(step, inputs=state, outputs=state)
    for repeat in range(2):
        compiled(gradients(model, 0))
        if tree:
            optimizer.state = saved(trained.state)
        else:
            optimizer.load_state_dict(trained.state_dict())
        model.update(saved(source.parameters()))
        twin, reference = net("SGD"), optim.SGD(net("SGD"), **kwargs)
        twin.update(saved(source.parameters()))
        reference = optim.SGD(twin, **kwargs)
        reference.load_state_dict(trained.state_dict())
        compiled(gradients(model, 2))
        reference.update(twin, gradients(twin, 2))
        assert_close(model, twin, 2)
        assert len(traces) == 1, repeat


def test_a_loaded_tree_from_before_the_first_step():
    """It is that of init(), and begins again."""
    model, twin = net("SGD"), net("SGD")
    kwargs = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}
    optimizer, reference = optim.SGD(model, **kwargs), optim.SGD(twin, **kwargs)
    optimizer.init(model)
    before, weights = saved(optimizer.state), saved(model.parameters())
    state = [model.state, optimizer.state]
    compiled = mx.compile(lambda grads: optimizer.update(model, grads), inputs=state, outputs=state)
    for i in range(2):
        reference.update(twin, gradients(twin, i))
    for _ in range(2):
        for i in range(2):
            compiled(gradients(model, i))
        assert_close(model, twin, 2)
        optimizer.state = before
        model.update(weights)


def test_mlx_takes_the_state_of_init():
    """mlx_state() gives MLX's names and nothing else."""
    model = nn.Linear(2, 2)
    optimizer = optim.SGD(model, lr=0.1, momentum=0.9)
    optimizer.init(model)
    theirs = native.SGD(0.1, momentum=0.9)
    theirs.init(model.trainable_parameters())
    ours = rules.mlx_state(optimizer)
    assert {path: np.array(a).tolist() for path, a in tree_flatten(ours)} == {
        path: np.array(a).tolist() for path, a in tree_flatten(theirs.state)
    }


# What init can't do ---------------------------------------------------------------------------------------------------


def test_an_optimizer_that_is_written_in_python_makes_its_state_itself():
    class Momentum(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.1})

        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    buffer = self.state[p].setdefault("buffer", torch.zeros_like(p))
                    buffer.mul_(0.9).add_(p.grad)
                    p.data.add_(buffer, alpha=-group["lr"])

    model = nn.Linear(2, 2)
    optimizer = Momentum(model)
    optimizer.init(model)
    assert len(tree_flatten(optimizer.state)) == 1  # the empty array of its group
    assert steps(optimizer, model, 4) == 2
