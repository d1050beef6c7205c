"""States, and assignments inside a traced step, that are refused, with nothing changed."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import RULES, Net, flat, for_rule, gradients, net, saved
from tests.refused import SIDES, assert_equal, everything, make, refused
from torchish_mlx import optim
from torchish_mlx import optimizers as rules

# State --------------------------------------------------------------------------------------------------------------


def other_model() -> nn.Module:
    model = Net()
    model.step = mx.zeros((5, 3))
    return model


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        (lambda: 3, TypeError, "state is a dict of arrays, but got int"),
        (lambda: None, TypeError, "state is a dict of arrays, but got NoneType"),
        (lambda: [mx.ones(2)], TypeError, "state is a dict of arrays, but got list"),
        (lambda: {"lr": mx.array(3)}, ValueError, "not the state of an optimizer with 1 parameter group"),
        (lambda: {"_groups": [3]}, ValueError, r"holds \[3\], expected"),
        (lambda: {"_groups": []}, ValueError, r"holds \[\], expected"),
        (lambda: {"_groups": {"lr": mx.array(0.1)}}, ValueError, "expected .*betas"),
        (lambda: {"layers": []}, ValueError, "holds None, expected .*betas"),
        (lambda: rules.SGD(0.1).state, ValueError, "holds .*dampening.*, expected .*betas"),
        (lambda: replaced("lr", 0.1), ValueError, "each a number"),
        (lambda: replaced("lr", mx.array([0.1, 0.2])), ValueError, "each a number"),
        (lambda: replaced("betas", [mx.array([0.1, 0.2])]), ValueError, "each a number"),
    ],
)
def test_state_that_is_none(side, state, error, match):
    model = Net()
    optimizer = make(side, "AdamW", model)
    with refused(error, match, optimizer, model):
        optimizer.state = state()


@pytest.mark.parametrize("side", SIDES)
def test_state_nested_without_end(side):
    model = Net()
    optimizer = make(side, "AdamW", model)
    state = saved(optimizer.state)
    state["more"] = more = {}
    more["again"] = more
    with refused(ValueError, "nested deeper than 200 levels", optimizer, model):
        optimizer.state = state


def replaced(name: str, value: Any) -> Any:
    state = saved(rules.AdamW(0.1).state)
    state["_groups"][0][name] = value
    return state


@pytest.mark.parametrize("case", [case for case in RULES if case != "SGD"])  # which keeps nothing per parameter
def test_state_of_another_model(case):
    """An adapter knows its parameters and refuses it; a rule alone meets them in its next step, and refuses that."""
    model, foreign = net(case), other_model() if case != "Muon" else None
    if foreign is None:
        foreign = net(case)
        foreign.step = mx.zeros((5, 3))
    state = saved(make("rule", case, foreign).state)
    adapter = make("adapter", case, model)
    match = r"loaded state of 'step' has .*\(5, [31]\).*saved for another model"
    if case.startswith("SGD"):
        match = r"loaded state of 'step' has {'momentum_buffer': \(5, 3\)}, but SGD keeps"
    with refused(ValueError, match, adapter, model):
        adapter.state = state
    rule = make("rule", case, model)
    rule.state = state
    for _ in range(2):
        with refused(ValueError, match, rule, model):
            rule.update(model, for_rule(rule, gradients(model, 0)))


def test_state_with_other_names():
    model, other = Net(), nn.Linear(3, 2)
    adapter = make("adapter", "AdamW", model)
    with refused(
        ValueError,
        "state is of a parameter 'weight', which this optimizer does not hold; it holds 'lay",
        adapter,
        model,
    ):
        adapter.state = saved(make("rule", "AdamW", other).state)


def test_state_of_another_kind_with_the_same_numbers():
    """Adam without amsgrad into Adam with it: the numbers have the same names, the slots do not."""
    model = Net()
    state = saved(make("rule", "Adam", model).state)
    optimizer = optim.Adam(model, amsgrad=True)
    for path, p in torch.named_parameters(model):
        p.grad = mx.full(p.shape, float(len(path)))
    optimizer.step()
    with refused(ValueError, "'max_exp_avg_sq': 'no entry'", optimizer, model):
        optimizer.state = state


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda d: d.pop("state"), "no 'state'"),
        (lambda d: d["param_groups"].append(d["param_groups"][0]), "different number of parameter groups"),
        (lambda d: d["param_groups"][0]["params"].pop(), "doesn't match the size of optimizer's group"),
        (
            lambda d: d["state"][0].pop("exp_avg"),
            r"state\[0\], of a parameter of shape \(\d, \d\), lacks \['exp_avg'\] of AdamW",
        ),
        (
            lambda d: d["state"][0].update(exp_avg=torch.tensor([1.0])),
            r"""state\[0\]\["exp_avg"\].* has shape \(1,\), expected""",
        ),
        (lambda d: d["param_groups"][0].pop("betas"), "betas"),
        (lambda d: d["param_groups"][0].update(lr="x"), "str"),
    ],
)
def test_state_dict_of_another_optimizer(spoil, match):
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    state_dict = optimizer.state_dict()
    state_dict["state"] = {i: dict(entries) for i, entries in state_dict["state"].items()}
    spoil(state_dict)
    with refused(ValueError, match, optimizer, model):
        optimizer.load_state_dict(state_dict)


def test_names_that_the_state_keeps_for_itself():
    with pytest.raises(ValueError, match="a parameter can't be named '_groups'"):
        rules.AdamW(0.1).init({"_groups": mx.ones(2)})


# Inside a traced step -----------------------------------------------------------------------------------------------


def test_a_group_assigned_inside_a_traced_step_is_refused_and_the_step_goes_on():
    """Caught inside the step: the number stays, the step is complete and compiled once."""
    model = Net()
    optimizer, caught = optim.AdamW(model, lr=0.01), []
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        try:
            optimizer.param_groups[0]["lr"] = 5.0
        except RuntimeError as error:
            caught.append(str(error))
        optimizer.update(model, grads)

    twin = Net()
    reference = optim.AdamW(twin, lr=0.01)
    compiled = mx.compile(step, inputs=state, outputs=state)
    for i in range(3):
        compiled(gradients(model, i))
        reference.update(twin, gradients(twin, i))
    assert len(caught) == 1
    assert "group['lr'] is assigned while the optimizer's state is traced" in caught[0]
    assert "assign it before the call" in caught[0]
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert optimizer.learning_rate.item() == np.float32(0.01)
    np.testing.assert_allclose(np.array(model.step), np.array(twin.step), rtol=1e-6)


def test_after_a_refusal_that_ends_a_pure_function_the_state_is_assigned_back():
    """The state that went in is the caller's own, and is assigned back."""
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    before = everything(optimizer, model)
    state = saved(optimizer.state)

    def step(params: Any, state: Any, grads: Any) -> Any:
        optimizer.state = state
        optimizer.param_groups[0]["betas"] = (0.5, 0.5)
        return optimizer.apply_gradients(grads, params), optimizer.state

    with pytest.raises(RuntimeError, match=r"group\['betas'\] is assigned while .* assign the returned state"):
        mx.compile(step)(model.trainable_parameters(), state, gradients(model, 0))
    optimizer.state = state
    assert_equal(before, everything(optimizer, model))
    optimizer.param_groups[0]["betas"] = (0.5, 0.5)
    optimizer.step()
    assert not np.array_equal(before["parameters"]["step"], flat(model)["step"])


def test_after_a_refusal_that_ends_a_captured_step_saved_state_goes_in():
    """mx.compile leaves placeholders in all that was captured when a function raises; what was saved replaces them."""
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    before = everything(optimizer, model)
    weights, state = saved(model.parameters()), saved(optimizer.state)
    captured = [model.state, optimizer.state]

    def step(grads: Any, lr: float | None = None) -> None:
        if lr is not None:
            optimizer.param_groups[0]["lr"] = lr
        optimizer.update(model, grads)

    compiled = mx.compile(step, inputs=captured, outputs=captured)
    with pytest.raises(RuntimeError, match=r"group\['lr'\] is assigned while"):
        compiled(gradients(model, 0), 5.0)
    model.update(weights)
    optimizer.state = state
    assert_equal(before, everything(optimizer, model))
    compiled(gradients(model, 0))
    twin = Net()
    reference = make("adapter", "AdamW", twin)
    reference.update(twin, gradients(twin, 0))
    np.testing.assert_allclose(np.array(model.step), np.array(twin.step), rtol=1e-6)


def test_an_entry_of_the_state_that_is_no_tensor_is_refused_inside_a_traced_step():
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    p = next(torch.parameters(model))
    state = [model.state, optimizer.state]
    caught = []

    def step() -> None:
        try:
            optimizer.state[p]["seen"] = 3
        except RuntimeError as error:
            caught.append(str(error))

    mx.compile(step, inputs=state, outputs=state)()
    assert "state[p]['seen'] is set to int inside a traced step" in caught[0]
    assert "seen" not in optimizer.state[p]
    assert optimizer.state[p]["step"].item() == 2
