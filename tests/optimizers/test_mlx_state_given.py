"""States given back to the real ``mlx.optimizers``; MultiOptimizers; the warning."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import mlx.core as mx
import mlx.optimizers as native
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import assert_close, assert_same, flat
from tests.marks import examples
from tests.mlx_states import (
    CASES,
    SAME,
    Net,
    both,
    every_case,
    net,
    of_mlx,
    of_ours,
    ours_of,
    slots_of,
    take_over,
    take_steps,
    through_file,
    trained,
)
from torchish_mlx import optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optimizers import mlx_state


@every_case
@both
def test_mlx_goes_on_from_ours(side, case, tmp_path):
    """Through a file: MLX's slots are ours bit for bit, and where the formulas are the same, so are the next steps."""
    model = net(case)
    optimizer = of_ours(side, case, model)
    take_steps(optimizer, model, range(10))
    mlx_optimizer, twin = of_mlx(case, 0.7), copy.deepcopy(model)
    mlx_optimizer.state = through_file(mlx_state(optimizer), tmp_path)
    assert_same(ours_of(flat(mlx_optimizer.state), CASES[case][4]), slots_of(optimizer))
    assert mlx_optimizer.state["step"].dtype == mx.uint64
    assert mlx_optimizer.step.item() == 10
    assert mlx_optimizer.learning_rate.item() == np.float32(0.01)
    take_steps(mlx_optimizer, twin, range(10, 20))
    take_steps(optimizer, model, range(10, 20))
    assert mlx_optimizer.step.item() == 20
    if case in SAME:
        assert_close(twin, model, SAME[case])


@every_case
@both
def test_there_and_back_is_exact(side, case, tmp_path):
    """ours -> file -> MLX -> file -> ours: every array the same, and so the next steps."""
    model = net(case)
    optimizer = of_ours(side, case, model)
    take_steps(optimizer, model, range(10))
    mlx_optimizer = of_mlx(case, 0.7)
    mlx_optimizer.state = through_file(mlx_state(optimizer), tmp_path)
    twin = copy.deepcopy(model)
    other = of_ours(side, case, twin, lr=0.5)
    take_over(other, through_file(mlx_optimizer.state, tmp_path))
    assert_same(other.state, optimizer.state)
    take_steps(optimizer, model, range(10, 13))
    take_steps(other, twin, range(10, 13))
    assert_same(model, twin)


def test_groups_with_equal_options_give_one_state(tmp_path):
    model = Net()
    names = dict(torch.named_parameters(model))
    first = [(k, p) for k, p in names.items() if k.startswith("layers")]
    rest = [(k, p) for k, p in names.items() if not k.startswith("layers")]
    optimizer = optim.AdamW([{"params": first}, {"params": rest}], lr=0.01)
    take_steps(optimizer, model, range(3))
    whole = optim.AdamW(Net(), lr=0.01)
    take_over(whole, through_file(mlx_state(optimizer), tmp_path))
    assert_same(mlx_state(whole), mlx_state(optimizer))
    take_over(optimizer, mlx_state(whole))
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01]
    assert_same(mlx_state(whole), mlx_state(optimizer))


shapes = st.lists(st.integers(0, 3), max_size=4).map(tuple)
trees = st.recursive(
    shapes.map(mx.ones),
    lambda children: st.lists(children, min_size=1, max_size=3) | st.dictionaries(st.sampled_from("abc"), children),
    max_leaves=6,
)


@given(tree=st.dictionaries(st.sampled_from("wxyz"), trees, min_size=1), case=st.sampled_from(["AdamW", "Adafactor"]))
@settings(max_examples=examples(60), deadline=None)
def test_any_tree_comes_back(tree, case):
    """Of any shapes and nesting, by MLX's recipe; an empty dict or list in it has no entry."""
    optimizer, other, theirs = (of_ours("rule", case, Net()), of_ours("rule", case, Net(), lr=0.5), of_mlx(case))
    for _ in range(2):
        optimizer.apply_gradients(tree, tree)
    theirs.state = tree_unflatten(tree_flatten(mlx_state(optimizer)))
    theirs.init(tree)
    if not tree_flatten(tree):
        return
    take_over(other, tree_unflatten(tree_flatten(theirs.state)))
    assert_same(other.state, optimizer.state)


# MultiOptimizer -------------------------------------------------------------------------------------------------------


def matrix(path: str, array: mx.array) -> bool:
    return array.ndim == 2


def several(ours: bool, lr: float = 0.02) -> list[Any]:
    return [
        rules.Muon(lr, weight_decay=0.0) if ours else native.Muon(lr, weight_decay=0.0),
        native.Lion(lr / 10),
        rules.Adam(lr) if ours else native.Adam(lr, bias_correction=True),
    ]


def cube(path: str, array: mx.array) -> bool:
    return array.ndim == 3


@pytest.mark.parametrize("adapted", [True, False])
def test_states_of_a_multi_optimizer(adapted, tmp_path):
    """MLX's own and ours, there and back; each optimizer has its own rate and count."""
    model, filters = Net(), [matrix, cube]
    theirs = native.MultiOptimizer(several(False), filters)
    take_steps(theirs, model, range(10))
    ours = (
        optim.MultiOptimizer(model, several(True, 0.5), filters)
        if adapted
        else rules.MultiOptimizer(several(True), filters)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours.state = through_file(theirs.state, tmp_path)
    assert len(caught) == (1 if adapted else 2)  # one for each optimizer of ours, where MLX's class passes them on
    tree = flat(mlx_state(ours))
    assert_same(tree, theirs.state)
    if adapted:
        assert [group["lr"] for group in ours.param_groups] == [0.02, 0.002, 0.02]
        assert "group 0: momentum=0.95" in str(caught[0].message)
        assert "group 1: betas=[0.9, 0.99]" in str(caught[0].message)
    back = native.MultiOptimizer(several(False), filters)
    back.state = through_file(mlx_state(ours), tmp_path)
    twin = copy.deepcopy(model)
    take_steps(ours, model, range(10, 12))
    take_steps(back, twin, range(10, 12))
    parameters, others = flat(model), flat(twin)
    assert_close(parameters["extra.gain"], others["extra.gain"], 16)
    assert_same(parameters["extra.cube"], others["extra.cube"])


def test_a_multi_optimizer_of_mlx_for_groups(tmp_path):
    """Groups of one class are what MLX's users write as a MultiOptimizer; each takes its own rate."""
    model = Net()
    theirs = native.MultiOptimizer([native.AdamW(0.1), native.AdamW(0.01)], [matrix])
    take_steps(theirs, model, range(3))
    names = list(torch.named_parameters(model))
    groups = [
        {"params": [(k, p) for k, p in names if p.ndim == 2]},
        {"params": [(k, p) for k, p in names if p.ndim != 2]},
    ]
    optimizer = optim.AdamW(groups, lr=0.5)
    take_over(optimizer, through_file(theirs.state, tmp_path))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]
    expected = {k.split(".", 2)[2]: v for k, v in flat(theirs.state).items()}
    assert_same(slots_of(optimizer), ours_of(expected, CASES["AdamW"][4]))


# The warning ----------------------------------------------------------------------------------------------------------


@both
def test_the_warning_names_what_mlx_does_not_save(side, tmp_path):
    mlx_optimizer, model = trained("AdamW")
    kwargs = {"betas": (0.5, 0.75), "eps": 1e-6, "weight_decay": 0.25}
    optimizer = rules.AdamW(0.1, **kwargs) if side == "rule" else optim.AdamW(model, **kwargs)
    told = take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    for said in ("betas=(0.5, 0.75)", "eps=1e-06", "weight_decay=0.25", "bias_correction=True"):
        assert said in told
    assert "lr=" not in told
    told = take_over(of_ours(side, "Adafactor", model, lr=0.125), trained("Adafactor")[0].state)
    assert "lr=0.125" in told  # MLX's Adafactor need not have one


@both
def test_a_warning_that_is_an_error_changes_nothing(side):
    mlx_optimizer, model = trained("AdamW")
    optimizer = of_ours(side, "AdamW", model)
    before = flat(optimizer.state)
    with pytest.raises(UserWarning, match="betas"):  # as errors all warnings are here
        optimizer.state = mlx_optimizer.state
    assert_same(before, optimizer.state)
