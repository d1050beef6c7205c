"""The state of a rule: saved and loaded by MLX's recipe, copied, pickled, reset; training goes on bit for bit."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

from tests.cases import RULES, Net, assert_same, build, flat, net, saved, take_steps
from torchish_mlx import optimizers as rules

every_rule = pytest.mark.parametrize("case", RULES)
SCHEDULE = rules.exponential_decay(0.2, 0.7)


def through_file(state: Any, path: Any, kind: str) -> Any:
    """MLX's recipe: flatten, save, load, unflatten."""
    arrays = tree_flatten(state, destination={})
    if kind == "npz":
        mx.savez(str(path / "state.npz"), **arrays)
        return tree_unflatten(list(mx.load(str(path / "state.npz")).items()))
    mx.save_safetensors(str(path / "state.safetensors"), arrays)
    return tree_unflatten(mx.load(str(path / "state.safetensors")))


def half_way(case: str, **changes: Any) -> tuple[Any, Any]:
    """A rule and a model after four steps, in two of which a layer was frozen, with every count there is."""
    rule, model = build(case, **changes), net(case)
    take_steps(rule, model, range(2))
    model.layers[0].freeze()
    take_steps(rule, model, range(2, 4))
    model.layers[0].unfreeze()
    return rule, model


def assert_goes_on(rule: Any, model: Any, other: Any, twin: Any) -> None:
    """Four more steps of each give the same, and the rates move alike."""
    for i in range(4, 8):
        take_steps(rule, model, range(i, i + 1))
        take_steps(other, twin, range(i, i + 1))
        assert rule.learning_rate.item() == other.learning_rate.item()
    assert_same(model, twin)
    assert_same(rule.state, other.state)
    assert rule.values == other.values
    assert other.step.item() == 8


@every_rule
@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_saved_and_loaded_into_a_fresh_rule(case, kind, tmp_path):
    """Also what was changed since the constructor: the file holds the numbers, the fresh rule the flags."""
    rule, model = half_way(case)
    rule.learning_rate = 0.0123
    twin = copy.deepcopy(model)
    fresh = build(case)
    fresh.state = through_file(rule.state, tmp_path, kind)
    assert_goes_on(rule, model, fresh, twin)


@every_rule
def test_loaded_into_a_rule_that_has_trained(case):
    """Its own slots and counts go, also those of parameters that the loaded state does not know."""
    rule, model = half_way(case)
    twin = copy.deepcopy(model)
    used = build(case, learning_rate=0.7)
    used.apply_gradients({}, {})
    take_steps(used, net(case), range(5, 8))
    used.init({"another": mx.ones((2, 2))})
    used.state = saved(rule.state)
    assert_goes_on(rule, model, used, twin)


@every_rule
def test_a_schedule_goes_on_from_the_loaded_count(case, tmp_path):
    rule, model = half_way(case, learning_rate=SCHEDULE)
    twin, fresh = copy.deepcopy(model), build(case, learning_rate=SCHEDULE)
    fresh.state = through_file(rule.state, tmp_path, "safetensors")
    take_steps(rule, model, range(4, 5))
    take_steps(fresh, twin, range(4, 5))
    assert fresh.learning_rate.item() == SCHEDULE(mx.array(4)).item()
    assert_same(model, twin)


@every_rule
def test_every_number_is_in_the_file(case, tmp_path):
    """Changed numbers come back as they were written where float32 holds them, and the formulas read them."""
    rule, model = half_way(case)
    changed = {"betas": (0.5, 0.75), "weight_decay": 0.25, "eps": 0.125, "rho": 0.5, "alpha": 0.5, "lambd": 0.5}
    for name in rule.fields().keys() & changed.keys():
        if (case, name) not in (("Adafactor", "eps"), ("Muon", "eps")):
            setattr(rule, name, changed[name])
    rule.learning_rate = 0.375
    fresh, twin = build(case), copy.deepcopy(model)
    fresh.state = through_file(rule.state, tmp_path, "safetensors")
    assert fresh.values == rule.values
    assert fresh.lr == 0.375
    assert_goes_on(rule, model, fresh, twin)


@every_rule
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)
def test_copies_go_on_by_themselves(case, copied):
    rule, model = half_way(case)
    other, twin = copied((rule, copy.deepcopy(model)))
    before = flat(other.state)
    take_steps(rule, model, range(4, 6))
    assert_same(other.state, before)  # nothing is shared
    take_steps(other, twin, range(4, 6))
    assert_same(rule.state, other.state)
    assert_same(model, twin)
    other.learning_rate = 0.5
    other.state = saved(other.state)
    assert rule.learning_rate.item() == np.float32(RULES[case][1]["learning_rate"])
    take_steps(rule, model, range(6, 8))
    take_steps(other, twin, range(6, 8))
    if case != "Rprop":
        assert np.any(flat(model)["step"] != flat(twin)["step"])


@every_rule
def test_an_empty_state_starts_over(case):
    """As in MLX, ``state = {}`` forgets what was gathered; the numbers stay."""
    rule, _ = half_way(case)
    rule.learning_rate = 0.05
    rule.state = {}
    assert rule.step.item() == 0
    assert list(rule.state) == ["step", "learning_rate", "_groups"]
    model, twin = net(case), net(case)
    fresh = build(case, learning_rate=0.05)
    take_steps(rule, model, range(3))
    take_steps(fresh, twin, range(3))
    assert_same(model, twin)
    assert_same(rule.state, fresh.state)


@every_rule
def test_what_was_assigned_is_copied(case):
    """The tree that was loaded is the caller's: training does not change it, and it can be loaded again."""
    rule, model = half_way(case)
    tree, weights = saved(rule.state), saved(model.parameters())
    before = flat(tree)
    results = []
    for _ in range(2):
        rule.state = tree
        model.update(weights)
        take_steps(rule, model, range(4, 6))
        results.append(flat(model))
        assert_same(tree, before)
    assert_same(*results)


@every_rule
def test_a_checkpoint_between_freezing_and_unfreezing(case, tmp_path):
    """The counts of parameters that missed steps are in the file."""
    rule, _ = half_way(case)
    fresh = build(case)
    fresh.state = through_file(rule.state, tmp_path, "safetensors")
    own = {path for path, _ in tree_flatten(rule.state) if path.endswith(".step") and not path.startswith("_groups")}
    assert bool(own) == (type(rule).counted)
    assert_same(fresh.state, rule.state)


def test_the_state_of_adafactor_with_the_default_eps(tmp_path):
    """None stands for the machine epsilon of the parameter: no array stands for it, also after loading."""
    rule, model = rules.Adafactor(0.1), Net()
    take_steps(rule, model, range(2))
    fresh, twin = rules.Adafactor(0.1), copy.deepcopy(model)
    fresh.state = through_file(rule.state, tmp_path, "safetensors")
    assert fresh.eps == (None, 1e-3)
    take_steps(rule, model, range(2, 4))
    take_steps(fresh, twin, range(2, 4))
    assert_same(model, twin)


def test_names_of_the_slots_are_torchs():
    expected = {
        "SGD": set(),
        "SGD-momentum": {"momentum_buffer"},
        "Adam": {"exp_avg", "exp_avg_sq"},
        "Adam-amsgrad": {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
        "Adamax": {"exp_avg", "exp_inf"},
        "NAdam": {"exp_avg", "exp_avg_sq"},
        "RAdam": {"exp_avg", "exp_avg_sq"},
        "Adagrad": {"sum"},
        "Adadelta": {"square_avg", "acc_delta"},
        "RMSprop": {"square_avg"},
        "RMSprop-centered": {"square_avg", "momentum_buffer", "grad_avg"},
        "Rprop": {"prev", "step_size"},
        "ASGD": {"ax"},
        "Adafactor": {"row_var", "col_var"},
        "Muon": {"momentum_buffer"},
        "SparseAdam": {"exp_avg", "exp_avg_sq"},
    }
    for case, names in expected.items():
        rule, model = build(case), net(case)
        take_steps(rule, model, range(1))
        assert set(rule.state.get("_step", {})) == names, case
    assert set(rule.state["_groups"][0]) >= {"betas", "eps"}
    assert rule.state["step"].item() == 1
    assert rule.state["learning_rate"].dtype == mx.float32
