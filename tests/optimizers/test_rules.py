"""Every rule as an MLX optimizer: init, update, apply_gradients, step, learning_rate, schedules, freezing."""

from __future__ import annotations

import inspect
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map

from tests.cases import (
    RULES,
    Net,
    assert_changed,
    assert_same,
    build,
    flat,
    for_rule,
    gradients,
    inputs,
    is_slot,
    net,
    saved,
    take_steps,
)
from tests.marks import mostly_long
from torchish_mlx import optimizers as rules

every_rule = pytest.mark.parametrize("case", RULES)


def test_the_table_has_every_rule():
    classes = [getattr(rules, name) for name in rules.__all__]
    ours = {c.__name__ for c in classes if inspect.isclass(c) and issubclass(c, rules.Rule) and c is not rules.Rule}
    assert {name for name, _ in RULES.values()} == ours
    assert len(ours) == 14
    assert all(issubclass(c, mlx.optimizers.Optimizer) for c in classes if getattr(c, "__name__", "") in ours)


# Calls ----------------------------------------------------------------------------------------------------------------


@every_rule
def test_init_is_optional(case):
    first, second = (net(case), build(case)), (net(case), build(case))
    second[1].init(second[0].parameters())
    second[1].init(second[0].parameters())  # again: what is there stays
    for model, rule in (first, second):
        take_steps(rule, model, range(3))
    assert_same(first[0], second[0])
    assert_same(first[1].state, second[1].state)


@every_rule
def test_init_takes_a_module_or_a_tree_and_keeps_what_is_there(case):
    model, rule, other = net(case), build(case), build(case)
    rule.init(model)
    other.init(model.trainable_parameters())
    assert_same(rule.state, other.state)
    take_steps(rule, model, range(2))
    before = saved(rule.state)
    rule.init(model)
    assert_same(rule.state, before)


@every_rule
def test_update_is_apply_gradients(case):
    model, rule = net(case), build(case)
    twin, other = net(case), build(case)
    params = twin.parameters()
    for i in range(3):
        rule.update(model, for_rule(rule, gradients(model, i)))
        params = other.apply_gradients(for_rule(other, gradients(twin, i)), params)
    assert_same(model, params)
    assert_same(rule.state, other.state)
    assert_changed(model, net(case))


@every_rule
def test_apply_gradients_changes_nothing_but_its_state(case):
    model, rule = net(case), build(case)
    before, params, grads = flat(model), model.parameters(), gradients(model, 0)
    kept = saved(grads)
    rule.apply_gradients(for_rule(rule, grads), params)
    assert_same(model, before)
    assert_same(params, before)
    assert_same(grads, kept)


@every_rule
def test_parameters_may_be_a_superset(case):
    """The result has the structure of the gradients, and the numbers that it has without the others."""
    model, rule, other = net(case), build(case), build(case)
    for i in range(3):
        grads = for_rule(rule, gradients(model, i))
        some = {"layers": [{}, {}, {"weight": grads["layers"][2]["weight"]}], "step": grads["step"]}
        new = rule.apply_gradients(some, model)
        alone = {"layers": [{}, {}, {"weight": model.layers[2].weight}], "step": model.step}
        assert_same(new, other.apply_gradients(some, alone))
        assert [path for path, _ in tree_flatten(new)] == ["layers.2.weight", "step"]
        model.update(new)
    assert_same(rule.state, other.state)
    untouched = net(case)
    assert_same(model.layers[0], untouched.layers[0])
    assert_same({"gain": model.extra["gain"]}, {"gain": untouched.extra["gain"]})


@every_rule
def test_a_bare_array_is_a_tree(case):
    """As in MLX, where a leaf is a tree."""
    rule, other = build(case), build(case)
    w, tree = mx.ones((2, 3)), {"w": mx.ones((2, 3))}
    for i in range(3):
        grads = gradients({"w": w}, i)
        w = rule.apply_gradients(for_rule(rule, grads)["w"], w)
        tree = other.apply_gradients(for_rule(other, grads), tree)
    assert_same({"w": w}, tree)


@every_rule
def test_trees_of_tuples_and_lists(case):
    rule, other = build(case), build(case)
    pair, named = (mx.ones((2, 3)), [mx.full((3, 2), 2.0)]), {"a": mx.ones((2, 3)), "b": mx.full((3, 2), 2.0)}
    for i in range(3):
        grads = for_rule(rule, gradients(named, i))
        pair = rule.apply_gradients((grads["a"], [grads["b"]]), pair)
        named = other.apply_gradients(grads, named)
    assert isinstance(pair, tuple)
    assert_same({"a": pair[0], "b": pair[1][0]}, named)


@every_rule
def test_apply_single_is_one_leaf_of_apply_gradients(case):
    rule, other = build(case), build(case)
    w, slots = mx.ones((2, 3)), {}
    grad = for_rule(rule, gradients({"w": w}, 0))
    rule.init_single(w, slots)
    new = rule.apply_single(grad["w"], w, slots)
    assert_same({"w": new}, other.apply_gradients(grad, {"w": w}))
    assert_same(slots, other.state.get("w", {}))
    assert rule.step.item() == 0


@every_rule
def test_empty_trees_and_layers_without_parameters(case):
    """They count as steps, as in MLX, and the gradients that come later find their rule."""
    rule, model = build(case), net(case)
    rule.init({})
    rule.update({}, {})
    rule.update(nn.ReLU(), {})
    assert rule.step.item() == 2
    assert rule.apply_gradients({"layers": [{}, {}]}, model) == {"layers": [{}, {}]}
    take_steps(rule, model, range(1))
    assert rule.step.item() == 4
    assert_changed(model, net(case))


@every_rule
def test_nothing_in_a_parameter(case):
    """A parameter without elements stays as it is, and its neighbours are trained."""
    rule, other = build(case), build(case)
    params, alone = {"empty": mx.zeros((2, 0)), "w": mx.ones((2, 3))}, mx.ones((2, 3))
    for i in range(2):
        grads = gradients(params, i)
        if rule.sparse:
            grads["empty"] = rules.RowSparse(mx.zeros((0,), mx.int32), mx.zeros((0, 0)), (2, 0))
        grads["w"] = for_rule(rule, grads["w"])
        params = rule.apply_gradients(grads, params)
        alone = other.apply_gradients({"w": grads["w"]}, {"w": alone})["w"]
    assert params["empty"].shape == (2, 0)
    assert_same({"w": params["w"]}, {"w": alone})


# Numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", mostly_long(RULES, ("AdamW", "Muon", "SparseAdam").__contains__))
def test_learns(case):
    """From weights nearby back to those of a teacher: in 300 steps every rule leaves less than 2 % of the loss."""
    model, rule, teacher, x = net(case), build(case), net(case), inputs(rows=32)
    teacher.update(tree_map(lambda p, noise: p + 0.3 * noise, teacher.parameters(), gradients(teacher, 11)))

    def loss(model: nn.Module) -> mx.array:
        return mx.mean((model(x) - teacher(x)) ** 2)

    first = loss(model).item()
    for _ in range(300):
        grads = nn.value_and_grad(model, loss)(model)[1]
        if rule.sparse:
            grads = tree_map(lambda g: rules.RowSparse(mx.arange(g.shape[0]), g, g.shape), grads)
        rule.update(model, grads)
        mx.eval(model.parameters(), rule.state)
    assert loss(model).item() < 0.02 * first


@every_rule
def test_maximize_is_the_negated_gradient(case):
    up, down, model, twin = build(case, maximize=True), build(case), net(case), net(case)
    for i in range(3):
        up.update(model, for_rule(up, gradients(model, i)))
        down.update(twin, for_rule(down, tree_map(lambda g: -g, gradients(twin, i))))
    assert_same(model, twin)


@every_rule
def test_step_counts_and_learning_rate_reads(case):
    rule, model = build(case), net(case)
    assert rule.step.dtype == mx.uint64
    for i in range(3):
        assert rule.step.item() == i
        take_steps(rule, model, range(i, i + 1))
    assert rule.step.item() == 3
    assert rule.learning_rate.dtype == mx.float32
    assert rule.learning_rate.item() == np.float32(RULES[case][1]["learning_rate"])


@every_rule
def test_constructors_take_mlx_words(case):
    """learning_rate first and by position, then the options by name; each can be read and written as an attribute."""
    name, kwargs = RULES[case]
    options = {key: value for key, value in kwargs.items() if key != "learning_rate"}
    rule = getattr(rules, name)(kwargs["learning_rate"], **options)
    model, twin = net(case), net(case)
    take_steps(rule, model, range(2))
    take_steps(build(case), twin, range(2))
    assert_same(model, twin)
    for key, value in options.items():
        assert getattr(rule, key) == value
    assert next(iter(inspect.signature(getattr(rules, name)).parameters)) == "learning_rate"


@every_rule
@pytest.mark.parametrize("kind", [float, mx.array])
def test_a_written_number_is_a_constructed_one(case, kind):
    """learning_rate and every option, written on a fresh rule, give what the constructor gives."""
    name, kwargs = RULES[case]
    written, model, twin = getattr(rules, name)(), net(case), net(case)
    for key, value in kwargs.items():
        number = type(value) is float and not key.startswith("decoupled")
        setattr(written, key, kind(value) if number and key == "learning_rate" else value)
    take_steps(written, model, range(3))
    take_steps(build(case), twin, range(3))
    assert_same(model, twin)


SCHEDULE = rules.join_schedules([rules.linear_schedule(0.001, 0.2, 3), rules.exponential_decay(0.2, 0.5)], [3])


@every_rule
def test_a_schedule_is_the_rate_written_before_each_step(case):
    scheduled, written = build(case, learning_rate=SCHEDULE), build(case, learning_rate=SCHEDULE(mx.array(0)))
    model, twin = net(case), net(case)
    for i in range(6):
        rate = SCHEDULE(mx.array(i, mx.uint64))
        written.learning_rate = rate
        take_steps(written, twin, range(i, i + 1))
        take_steps(scheduled, model, range(i, i + 1))
        assert scheduled.learning_rate.item() == written.learning_rate.item() == rate.item()
    assert_same(model, twin)


@every_rule
def test_freezing_and_unfreezing(case):
    """A parameter that misses steps, or comes late, is trained as by an optimizer that took only its steps."""
    model, rule = net(case), build(case)
    model.layers[0].freeze()  # comes late
    alone: dict[str, Any] = {path: (build(case), p) for path, p in tree_flatten(model.parameters())}
    steps: dict[str, int] = dict.fromkeys(alone, 0)
    for i in range(7):
        if i == 3:
            model.layers[0].unfreeze()
        if i == 2:
            model.layers[2].freeze()  # misses two
        if i == 4:
            model.layers[2].unfreeze()
            model.freeze(keys=["step"], recurse=False)
        if i == 6:
            model.unfreeze()
        grads = gradients(model, i)
        for path, g in tree_flatten(grads):
            own, p = alone[path]
            alone[path] = own, own.apply_gradients({"p": for_rule(own, g)}, {"p": p})["p"]
            steps[path] += 1
        rule.update(model, for_rule(rule, grads))
        assert_same(model, {path: p for path, (_, p) in alone.items()})
    assert len(set(steps.values())) == 3
    assert rule.step.item() == 7


@every_rule
def test_a_frozen_layer_has_no_state_and_stays(case):
    model, rule = net(case), build(case)
    model.layers[0].freeze()
    rule.init(model.trainable_parameters())
    take_steps(rule, model, range(2))
    assert_same(model.layers[0], net(case).layers[0])
    assert not any(path.startswith("layers.0") for path in flat(rule.state))


@every_rule
def test_each_parameter_for_itself(case):
    """Shapes from 0-d to 4-d side by side: each gets what it gets alone."""
    shapes = [(2, 3), (3, 2)] if RULES[case][0] == "Muon" else [(), (1,), (5,), (2, 3), (2, 3, 2), (2, 1, 3, 2)]
    params = {f"p{i}": mx.full(shape, 1.0 + i) for i, shape in enumerate(shapes)}
    rule, alone = build(case), {name: build(case) for name in params}
    single = dict(params)
    for i in range(3):
        grads = for_rule(rule, gradients(params, i))
        params = rule.apply_gradients(grads, params)
        for name, own in alone.items():
            single |= own.apply_gradients({name: grads[name]}, {name: single[name]})
    assert_same(params, single)
    assert [p.shape for p in params.values()] == shapes


# Names ----------------------------------------------------------------------------------------------------------------


@every_rule
def test_parameters_named_as_the_optimizer_names_its_own(case):
    """step, learning_rate, lr, state, betas: a parameter may have any name, and is trained as under another."""
    names = ["step", "learning_rate", "lr", "state", "betas", "slots", "groups"]
    params = {name: mx.full((2, 3), 1.0 + i) for i, name in enumerate(names)}
    plain = {f"p{i}": p for i, p in enumerate(params.values())}
    rule, other = build(case), build(case)
    for i in range(3):
        grads = gradients(plain, i)
        params = rule.apply_gradients(for_rule(rule, dict(zip(names, grads.values(), strict=True))), params)
        plain = other.apply_gradients(for_rule(other, grads), plain)
    assert_same(dict(enumerate(params.values())), dict(enumerate(plain.values())))
    assert rule.step.item() == 3
    assert rule.learning_rate.item() == other.learning_rate.item()


def test_a_name_and_numbers_side_by_side():
    """Keys of a dict that are digits, beside names: "1" is not a place in a list."""
    params = {"a": {"0": mx.ones(2), "name": mx.ones(2)}, "1": mx.ones(2)}
    rule, other = build("Adam"), build("Adam")
    flat_params = dict(zip("xyz", [p for _, p in tree_flatten(params)], strict=True))
    for i in range(2):
        grads = gradients(flat_params, i)
        x, y, z = grads.values()
        params = rule.apply_gradients({"a": {"0": x, "name": y}, "1": z}, params)
        flat_params = other.apply_gradients(grads, flat_params)
    assert_same(dict(enumerate(p for _, p in tree_flatten(params))), dict(enumerate(flat_params.values())))


def test_the_state_is_nested_as_mlx_nests_it():
    model, rule = Net(), rules.Adam(0.1)
    rule.init(model)
    state = rule.state
    assert list(state) == ["step", "learning_rate", "_groups", "layers", "_step", "_learning_rate", "extra"]
    assert state["layers"][2]["weight"]["exp_avg"].shape == (3, 4)
    assert state["_step"]["exp_avg_sq"].shape == (1, 3)
    theirs = mlx.optimizers.Adam(0.1)
    theirs.init(nn.Linear(2, 2).parameters())
    assert {path.rsplit(".", 1)[0] for path in flat(theirs.state) if "." in path} == {"weight", "bias"}
    rule = rules.Adam(0.1)
    rule.init(nn.Linear(2, 2).parameters())
    assert {path.rsplit(".", 1)[0] for path in flat(rule.state) if is_slot(rule, path)} == {"weight", "bias"}


@every_rule
def test_the_state_keeps_its_identity(case):
    """mx.compile captures these very dicts, so nothing may replace them."""
    model, rule = net(case), build(case)
    take_steps(rule, model, range(2))
    ids = identities(rule.state)
    take_steps(rule, model, range(2, 4))
    rule.learning_rate = 0.5
    rule.init(model)
    rule.state = saved(rule.state)
    rule.state = rule.state
    assert identities(rule.state) == ids


def identities(tree: Any) -> Any:
    if isinstance(tree, dict):
        return id(tree), {key: identities(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return id(tree), [identities(value) for value in tree]
    return None
