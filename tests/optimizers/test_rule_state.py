"""The state of a rule used alone: what MLX's documentation prints, readable and writable."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

from tests.cases import RULES, assert_same, build, flat, gradients, net, take_steps
from torchish_mlx import optimizers as rules

every_rule = pytest.mark.parametrize("case", RULES)


@every_rule
def test_step_and_learning_rate_are_at_the_top(case):
    rule, model = build(case), net(case)
    rule.init(model.trainable_parameters())
    assert list(rule.state)[:2] == ["step", "learning_rate"]
    assert rule.state["step"].dtype == mx.uint64
    take_steps(rule, model, range(2))
    assert rule.state["step"].item() == rule.step.item() == 2
    assert rule.state["learning_rate"].item() == rule.learning_rate.item()


def test_the_keys_are_those_of_mlx():
    ours, theirs, model = rules.Adam(0.1), native.Adam(0.1), nn.Linear(2, 2)
    ours.init(model.trainable_parameters())
    theirs.init(model.trainable_parameters())
    assert [key for key in ours.state if key != "_groups"] == list(theirs.state)


@pytest.mark.parametrize("value", [0.5, mx.array(0.5), mx.array(0.5, mx.bfloat16), np.float32(0.5)])
@pytest.mark.parametrize("compiled", [False, True])
def test_writing_the_learning_rate(value, compiled):
    rule, twin, model, other = rules.SGD(0.1), rules.SGD(0.1), nn.Linear(2, 2), nn.Linear(2, 2)
    other.update(model.parameters())
    step = lambda grads: rule.update(model, grads)  # noqa: E731
    if compiled:
        step = mx.compile(step, inputs=[model.state, rule.state], outputs=[model.state, rule.state])
    grads = {"weight": mx.ones((2, 2)), "bias": mx.ones(2)}
    step(grads)
    twin.update(other, grads)
    rule.state["learning_rate"] = value
    twin.learning_rate = 0.5
    assert rule.lr == 0.5
    step(grads)
    twin.update(other, grads)
    assert_same(model, other)


@every_rule
def test_writing_the_count(case):
    """The next step is the one after that count, as with a state that was saved there."""
    rule, model = build(case), net(case)
    take_steps(rule, model, range(2))
    rule.state["step"] = 10
    assert rule.step.item() == 10
    twin, other = build(case), net(case)
    other.update(model.parameters())
    twin.state = {**tree_unflatten(tree_flatten(rule.state)), "step": mx.array(10, mx.uint64)}
    take_steps(rule, model, range(2, 4))
    take_steps(twin, other, range(2, 4))
    assert rule.step.item() == 12
    assert_same(model, other)


def test_what_is_no_number_is_refused():
    rule = rules.SGD(0.1)
    with pytest.raises(ValueError, match=r"are numbers, but an array of shape \(2,\)"):
        rule.state["learning_rate"] = mx.ones(2)
    assert rule.learning_rate.item() == np.float32(0.1)


def test_parameters_with_these_names_go_on_working():
    """MLX's own optimizers lose their count to such a parameter; here its slots are kept next to it."""
    params = {"step": mx.array([1.0]), "learning_rate": {"weight": mx.array([2.0])}, "other": mx.array([3.0])}
    rule, plain = rules.Adam(0.1), rules.Adam(0.1)
    rule.init(params)
    renamed = {"a": params["step"], "b": params["learning_rate"], "other": params["other"]}
    for _ in range(3):
        params = rule.apply_gradients(params, params)
        renamed = plain.apply_gradients(renamed, renamed)
    assert rule.step.item() == 3
    assert_same(list(params.values()), list(renamed.values()))
    twin = rules.Adam(0.1)
    twin.state = tree_unflatten(tree_flatten(rule.state))
    assert_same(twin.apply_gradients(params, params), rule.apply_gradients(params, params))
    assert_same(twin.state, rule.state)


def test_a_schedule_shows_in_the_state():
    rule, model = rules.SGD(lambda step: 1.0 / (step + 1)), net("SGD")
    rates = []
    for i in range(3):
        rule.update(model, gradients(model, i))
        rates.append(rule.state["learning_rate"].item())
    assert rates == [1.0, 0.5, pytest.approx(1 / 3)]
    assert rule.lr == pytest.approx(1 / 3)


@every_rule
def test_states_saved_before_the_numbers_moved_to_the_top(case):
    """Where a rule kept its count and its rate among the numbers of its group."""
    rule, model = build(case), net(case)
    take_steps(rule, model, range(2))
    older = {key: value for key, value in rule.state.items() if key not in ("step", "learning_rate")}
    older = {key.removeprefix("_") if key in ("_step", "_learning_rate") else key: v for key, v in older.items()}
    older["_groups"] = [dict(rule.arrays)]
    twin = build(case)
    twin.state = tree_unflatten(tree_flatten(older))
    assert_same(flat(twin.state), flat(rule.state))


def test_parts_of_the_tree_may_be_replaced_and_removed():
    rule, params = rules.Adam(0.1), {"a": mx.array([1.0]), "b": mx.array([2.0])}
    for _ in range(2):
        params = rule.apply_gradients(params, params)
    rule.state["a"] = {name: value * 0 for name, value in rule.state["a"].items()}
    params = rule.apply_gradients(params, params)
    assert rule.state["a"]["exp_avg"].item() == pytest.approx(0.1 * (params["a"].item() + 0.1), rel=0.1)
    del rule.state["a"]
    rule.apply_gradients(params, params)
    assert rule.state["a"]["step"].item() == 1  # it begins again, while the others go on
    assert rule.step.item() == 4
    with pytest.raises(KeyError, match="starts over"):
        del rule.state["step"]
    with pytest.raises(RuntimeError, match=r"optimizer.state = \{\} starts over"):
        rule.state.clear()
    rule.state["hello"] = "world"
    assert rule.state["hello"] == "world"
    rule.apply_gradients(params, params)
