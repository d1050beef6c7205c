"""States of ``mlx.optimizers`` that can't be taken over, and states of ours that can't be given back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import numpy as np
import pytest
from mlx.utils import tree_map

import torchish_mlx as torch
from tests.cases import flat, gradients
from tests.mlx_states import Net, take_steps
from tests.refused import refused
from torchish_mlx import optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optimizers import mlx_state

SIDES = ["rule", "adapter"]
both = pytest.mark.parametrize("side", SIDES)


def ours(side: str, name: str, model: nn.Module, **kwargs: Any) -> Any:
    """An optimizer of ours that has trained, with a gradient in every Parameter."""
    optimizer = getattr(rules, name)(0.01, **kwargs) if side == "rule" else getattr(optim, name)(model, 0.01, **kwargs)
    take_steps(optimizer, model, range(2))
    for _, p in torch.named_parameters(model):
        p.grad = mx.ones(p.shape)
    return optimizer


def state_of(name: str = "AdamW", model: nn.Module | None = None, **kwargs: Any) -> Any:
    """A state of MLX's class after three steps, with containers of its own."""
    optimizer, model = getattr(native, name)(**{"learning_rate": 0.1, **kwargs}), model or Net()
    take_steps(optimizer, model, range(3))
    return tree_map(lambda a: a, optimizer.state)


# name, arguments of ours, MLX's state, what is said
FOREIGN: dict[str, tuple[str, dict[str, Any], Callable[[], Any], str]] = {
    "Lion to AdamW": ("AdamW", {}, lambda: state_of("Lion"), '["m"] is missing|["v"] is missing'),
    "SGD to AdamW": ("AdamW", {}, lambda: state_of("SGD", momentum=0.9), "MLX's SGD, RMSprop, Adagrad or Muon"),
    "AdaDelta to AdamW": ("AdamW", {}, lambda: state_of("AdaDelta"), '["u"] is a slot that AdamW does not keep'),
    "AdamW to SGD": ("SGD", {"momentum": 0.9}, lambda: state_of(), "state of MLX's Adam, AdamW or Adamax"),
    "AdamW to Adafactor": ("Adafactor", {}, lambda: state_of(), "is a slot that Adafactor does not keep"),
    "Adafactor to AdamW": ("AdamW", {}, lambda: state_of("Adafactor"), "MLX's Adafactor."),
    "Adafactor's first moment": (
        "Adafactor",
        {},
        lambda: state_of("Adafactor", beta_1=0.9),
        '["exp_avg"] is a slot that Adafactor does not keep',
    ),
    "momentum as squares": (
        "RMSprop",
        {},
        lambda: state_of("SGD", momentum=0.9),
        '["v"] has negative entries, where RMSprop keeps squares',
    ),
    "amsgrad": ("Adam", {"amsgrad": True}, lambda: state_of("Adam"), "construct it with amsgrad=False"),
    "centered": ("RMSprop", {"centered": True}, lambda: state_of("RMSprop"), "construct it with centered=False"),
    "momentum of RMSprop": ("RMSprop", {"momentum": 0.5}, lambda: state_of("RMSprop"), "construct it with momentum=0"),
    "no momentum": ("SGD", {}, lambda: state_of("SGD", momentum=0.9), '["v"] holds numbers, but SGD keeps no'),
    "maximize": ("AdamW", {"maximize": True}, lambda: state_of(), "maximize=True"),
    "NAdam": ("NAdam", {}, lambda: state_of(), "NAdam has no counterpart in mlx.optimizers"),
    "RAdam": ("RAdam", {}, lambda: state_of(), "RAdam has no counterpart"),
    "Rprop": ("Rprop", {}, lambda: state_of(), "Rprop has no counterpart"),
    "ASGD": ("ASGD", {}, lambda: state_of(), "ASGD has no counterpart"),
}


@both
@pytest.mark.parametrize("case", FOREIGN)
def test_a_state_of_another_optimizer(side, case):
    name, kwargs, state, said = FOREIGN[case]
    model = Net()
    optimizer = ours(side, name, model, **kwargs)
    with refused(ValueError, "|".join(map(re.escape, said.split("|"))), optimizer, model):
        optimizer.state = state()


def without(tree: Any, *keys: Any) -> Any:
    for key in keys[:-1]:
        tree = tree[key]
    del tree[keys[-1]]


def put(tree: Any, value: Any, *keys: Any) -> None:
    for key in keys[:-1]:
        tree = tree[key]
    tree[keys[-1]] = value


WEIGHT = ("layers", 0, "weight")
# what is done to a good state, what is said
SPOILED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "no m": (
        lambda s: without(s, *WEIGHT, "m"),
        ValueError,
        'state["layers"][0]["weight"]["m"] is missing: AdamW needs',
    ),
    "another shape of m": (
        lambda s: put(s, mx.ones((4, 2)), *WEIGHT, "m"),
        ValueError,
        'state["layers"][0]["weight"]["',
    ),
    "one slot of integers": (
        lambda s: put(s, mx.ones((4, 3), mx.int32), *WEIGHT, "m"),
        ValueError,
        '["weight"]["m"] is an array of mlx.core.int32, expected an array of a floating dtype',
    ),
    "a number for a slot": (lambda s: put(s, 1.0, *WEIGHT, "m"), ValueError, '["weight"]["m"] is a float, expected'),
    "an array for a parameter": (
        lambda s: put(s, mx.ones((4, 3)), "extra"),
        ValueError,
        'state["extra"] is an array of shape (4, 3), expected the slots of a parameter',
    ),
    "a number for a parameter": (lambda s: put(s, 3, *WEIGHT), ValueError, 'state["layers"][0]["weight"] is a int'),
    "no rate": (lambda s: without(s, "learning_rate"), ValueError, 'state["learning_rate"] is missing'),
    "a negative rate": (lambda s: put(s, mx.array(-1.0), "learning_rate"), ValueError, "Invalid learning rate: -1.0"),
    "a rate that is none": (lambda s: put(s, mx.array(np.nan), "learning_rate"), ValueError, "is nan, which AdamW"),
    "two rates": (lambda s: put(s, mx.ones(2), "learning_rate"), ValueError, 'state["learning_rate"] is of shape (2,)'),
    "a rate that is text": (lambda s: put(s, "0.1", "learning_rate"), ValueError, 'state["learning_rate"] is a str'),
    "half a step": (lambda s: put(s, mx.array(2.5), "step"), ValueError, 'state["step"] is 2.5, expected a whole'),
    "a negative count": (lambda s: put(s, mx.array(-1), "step"), ValueError, 'state["step"] is -1, expected'),
    "a Python count": (lambda s: put(s, 3, "step"), ValueError, 'state["step"] is a int, expected'),
    "one parameter twice": (
        lambda s: put(s, {"m": mx.ones((4, 3)), "v": mx.ones((4, 3))}, "layers.0.weight"),
        ValueError,
        "are both of the parameter 'layers.0.weight'",
    ),
    "another scalar at the top": (lambda s: put(s, mx.array(0.9), "momentum"), ValueError, 'state["momentum"] is an'),
}


@both
@pytest.mark.parametrize("case", SPOILED)
def test_a_state_with_an_entry_that_does_not_fit(side, case):
    spoil, error, said = SPOILED[case]
    model, state = Net(), state_of()
    optimizer = ours(side, "AdamW", model)
    spoil(state)
    with refused(error, re.escape(said), optimizer, model):
        optimizer.state = state


@both
def test_a_state_nested_without_end(side):
    model, state = Net(), state_of()
    optimizer = ours(side, "AdamW", model)
    state["more"] = more = {}
    more["again"] = more
    with refused(ValueError, "nested deeper than 200 levels", optimizer, model):
        optimizer.state = state


@both
@pytest.mark.parametrize("name", ["AdamW", "Adafactor"])
def test_a_state_of_another_model(side, name):
    """An adapter knows its parameters; a rule meets them in its next step, and refuses that."""
    model, other = Net(), Net()
    other.layers[0] = nn.Linear(5, 4)
    optimizer, state = ours(side, name, model), state_of(name, other)
    match = r'state\["layers"\]\[0\]\["weight"\]\["\w+"\] has the shape \((4, )?5,?\), expected \((4, )?3,?\)'
    if side == "adapter":
        with refused(ValueError, match, optimizer, model):
            optimizer.state = state
        return
    with pytest.warns(UserWarning, match="options"):
        optimizer.state = state
    with refused(ValueError, "saved for another model", optimizer, model):
        optimizer.update(model, gradients(model, 0))


def test_parameters_that_are_missing_or_unknown():
    """With what would make it load."""
    model = Net()
    optimizer = ours("adapter", "AdamW", model)
    state = state_of()
    without(state, *WEIGHT)
    with refused(ValueError, r'state\["layers"\]\[0\]\["weight"\] is missing: .*freeze it', optimizer, model):
        optimizer.state = state
    state = state_of()
    put(state, {"m": mx.ones(2), "v": mx.ones(2)}, "layers", 0, "norm")
    match = r"parameter 'layers.0.norm', which this optimizer does not hold; it holds .*named_parameters\(model\)"
    with refused(ValueError, match, optimizer, model):
        optimizer.state = state
    with refused(ValueError, r'\["weight"\] is missing', optimizer, model):
        optimizer.state = {"step": mx.array(3), "learning_rate": mx.array(0.1)}


def test_a_rule_refuses_a_count_without_slots():
    model = Net()
    optimizer = ours("rule", "AdamW", model)
    with refused(ValueError, r'state\["step"\] is 3, but there are no slots', optimizer, model):
        optimizer.state = {"step": mx.array(3), "learning_rate": mx.array(0.1)}


@both
def test_muon_takes_matrices_only(side):
    model = Net(matrices=True)
    optimizer = ours(side, "Muon", model)
    match = "2D parameters" if side == "rule" else "which this optimizer does not hold"
    with refused(ValueError, match, optimizer, model):
        optimizer.state = state_of("Muon")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda s: s["states"].pop(), 'state["states"] is expected to be a list of 2 states'),
        (lambda s: s.update(more=1), "and state also has ['more']"),
        (lambda s: s.update(states=3), "but it holds a int"),
        (lambda s: put(s, {"states": []}, "states", 1), 'state["states"][1] is no state of an MLX optimizer'),
        (lambda s: without(s, "states", 1, "learning_rate"), 'state["states"][1]["learning_rate"] is missing'),
        (lambda s: s["states"].reverse(), 'state["states"][0]["layers"]'),
    ],
)
def test_states_of_a_multi_optimizer(spoil, said):
    model = Net()

    def kinds(owner: Any) -> list[Any]:
        return [owner.SGD(0.1, momentum=0.9), owner.Adam(0.1)]

    theirs = native.MultiOptimizer(kinds(native), [lambda path, a: a.ndim == 2])
    take_steps(theirs, model, range(2))
    state = tree_map(lambda a: a, theirs.state)
    optimizer = optim.MultiOptimizer(model, kinds(rules), [lambda path, a: a.ndim == 2])
    take_steps(optimizer, model, range(2))
    for _, p in torch.named_parameters(model):
        p.grad = mx.ones(p.shape)
    spoil(state)
    with refused(ValueError, re.escape(said), optimizer, model):
        optimizer.state = state
    with refused(ValueError, "groups of several kinds", optimizer, model):
        optimizer.state = state_of()


@both
def test_loading_inside_a_traced_step(side):
    model = Net()
    optimizer, state = ours(side, "AdamW", model), state_of()

    def step(tree: Any) -> None:
        optimizer.state = tree

    with refused(RuntimeError, "can't be loaded inside a traced step", optimizer, model):
        mx.compile(step)(state)


def test_optimizers_without_a_rule():
    model = Net()
    optimizer = optim.LBFGS(model)
    before = flat(optimizer.state)
    with pytest.raises(ValueError, match="has no counterpart"):
        optimizer.state = state_of()
    with pytest.raises(ValueError, match="has no counterpart"):
        mlx_state(optimizer)
    assert flat(optimizer.state).keys() == before.keys()
    with pytest.raises(TypeError, match="but got Net"):
        mlx_state(model)


class Slow(rules.Adam):
    """A user's rule that keeps one array more than its base."""

    @classmethod
    def slots(cls, h: Any, p: mx.array) -> dict[str, mx.array]:
        return {**super().slots(h, p), "slow": p}


def test_a_rule_with_more_slots_than_its_base():
    model, optimizer = Net(), Slow(0.1)
    with pytest.raises(ValueError, match="Slow keeps 'slow', of which MLX has nothing"):
        optimizer.state = state_of("Adam")
    take_steps(optimizer, model, range(1))
    with pytest.raises(ValueError, match="has 'slow', which MLX's Slow does not keep"):
        mlx_state(optimizer)


class Leaky(native.SGD):
    """A user's class that has MLX schedule one more of its options."""

    def __init__(self, learning_rate: float, leak: float = 0.5) -> None:
        super().__init__(learning_rate)
        self._maybe_schedule("leak", leak)


def test_a_class_with_more_in_its_state():
    model, theirs = Net(), Leaky(0.1)
    take_steps(theirs, model, range(2))
    optimizer = optim.from_mlx(Leaky)(model, 0.1)
    take_steps(optimizer, model, range(2))
    for _, p in torch.named_parameters(model):
        p.grad = mx.ones(p.shape)
    with refused(ValueError, r"Leaky keeps \['leak'\] in its state besides", optimizer, model):
        optimizer.state = theirs.state
    with pytest.raises(ValueError, match=r"Leaky keeps \['leak'\]"):
        mlx_state(optimizer)


# Given back -----------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("name", "kwargs", "said"),
    [
        ("Adam", {"amsgrad": True}, "does not keep: it takes over one with amsgrad=False only"),
        ("RMSprop", {"centered": True}, "has 'grad_avg', which MLX's RMSprop does not keep"),
        ("RMSprop", {"momentum": 0.5}, "with momentum=0 only"),
        ("AdamW", {"maximize": True}, "maximize=True"),
        ("NAdam", {}, "NAdam has no counterpart"),
    ],
)
def test_what_mlx_has_not_is_not_given(side, name, kwargs, said):
    model = Net()
    with pytest.raises(ValueError, match=said):
        mlx_state(ours(side, name, model, **kwargs))


@both
def test_several_counts(side):
    """A parameter that missed a step has a count of its own, for which MLX has no place."""
    model = Net()
    optimizer = ours(side, "AdamW", model)
    model.layers[0].freeze()
    take_steps(optimizer, model, range(2))
    with pytest.raises(ValueError, match=r"MLX has one count .*'layers.0.\w+' has made 2 steps and .* 4: save by"):
        mlx_state(optimizer)


def test_a_parameter_that_no_step_has_reached():
    """Trainable, it would count with the others in MLX."""
    model = Net()
    optimizer = optim.AdamW(model)
    first = dict(torch.named_parameters(model))["layers.0.weight"]
    first.grad = mx.ones(first.shape)
    optimizer.step()
    with pytest.raises(ValueError, match=r"has made 0 steps and 'layers\.0\.weight' 1"):
        mlx_state(optimizer)


@pytest.mark.parametrize(("option", "values"), [("lr", (0.1, 0.2)), ("weight_decay", (0.0, 0.1))])
def test_groups_that_differ(option, values):
    model = Net()
    names = list(torch.named_parameters(model))
    groups = [{"params": names[:2], option: values[0]}, {"params": names[2:], option: values[1]}]
    with pytest.raises(ValueError, match=rf"different {option} \({values[0]}, {values[1]}\).*MultiOptimizer"):
        mlx_state(optim.AdamW(groups))


def test_names_that_mlx_has_taken():
    class Clock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = mx.ones(3)

    optimizer = optim.AdamW(model := Clock())
    take_steps(optimizer, model, range(1))
    with pytest.raises(ValueError, match="a parameter is named 'step', and MLX keeps its own 'step' at that place"):
        mlx_state(optimizer)
    layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
    optimizer = optim.AdamW([{"params": layer} for layer in layers])
    for layer in layers:
        take_steps(optimizer, layer, range(1))
    with pytest.raises(ValueError, match=r"a second parameter is named '(weight|bias)'"):
        mlx_state(optimizer)
