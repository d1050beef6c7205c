"""States of the real ``mlx.optimizers``, through real files by MLX's recipe, taken over."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import mlx.core as mx
import mlx.optimizers as native
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import torchish_mlx as torch
from tests.cases import assert_close, assert_same, flat, gradients
from tests.mlx_states import (
    CASES,
    SAME,
    Net,
    both,
    every_case,
    net,
    numbers_of,
    of_mlx,
    of_ours,
    ours_of,
    slots_of,
    take_over,
    take_steps,
    through_file,
    trained,
)
from tests.optim.test_from_mlx import CLASSES
from torchish_mlx import optim
from torchish_mlx.optimizers import mlx_state


@every_case
@both
def test_slots_count_and_rate_are_those_of_mlx(side, case, tmp_path):
    """Bit for bit, into a fresh optimizer and into one that has trained."""
    mlx_optimizer, model = trained(case)
    expected = ours_of(flat(mlx_optimizer.state), CASES[case][4])
    assert bool(expected) == (case != "SGD")
    for steps in (0, 3):
        optimizer = of_ours(side, case, model, lr=0.7)
        take_steps(optimizer, copy.deepcopy(model) if side == "rule" else model, range(20, 20 + steps))
        take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
        assert_same(slots_of(optimizer), expected)
        arrays = numbers_of(optimizer)
        assert arrays["step"].item() == 10
        assert arrays["lr"].item() == np.float32(0.7 if case == "Adafactor" else 0.01)
        if side == "adapter":
            assert optimizer.param_groups[0]["lr"] == (0.7 if case == "Adafactor" else 0.01)
            entries = optimizer.state[next(iter(torch.parameters(model)))]
            assert not optimizer.rule.counted or entries["step"].item() == 10


@both
def test_a_file_of_our_own_gives_tensors(side, tmp_path):
    mlx_optimizer, model = trained("AdamW")
    torch.save(mlx_optimizer.state, tmp_path / "a.pt")
    optimizer = of_ours(side, "AdamW", model)
    take_over(optimizer, torch.load(tmp_path / "a.pt"))
    assert_same(slots_of(optimizer), ours_of(flat(mlx_optimizer.state), CASES["AdamW"][4]))


@every_case
@both
def test_the_next_steps_are_those_of_our_formula_from_that_state(side, case, tmp_path):
    """The same numbers, written into a state by hand, give the same bits."""
    mlx_optimizer, model = trained(case)
    by_hand, twin = of_ours("rule", case, model), copy.deepcopy(model)
    tree = tree_unflatten([(k, mx.array(v)) for k, v in ours_of(flat(mlx_optimizer.state), CASES[case][4]).items()])
    by_hand.state = {**by_hand.state, **(tree or {}), "step": mx.array(10)}
    optimizer = of_ours(side, case, model)
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    take_steps(optimizer, model, range(10, 12))
    take_steps(by_hand, twin, range(10, 12))
    assert_same(model, twin)
    assert_same(slots_of(optimizer), slots_of(by_hand))


@pytest.mark.parametrize("case", SAME)
@both
def test_training_goes_on_as_in_mlx(side, case, tmp_path):
    """Ten steps of MLX's own continuation, where the formulas are the same."""
    mlx_optimizer, model = trained(case)
    twin = copy.deepcopy(model)
    optimizer = of_ours(side, case, model)
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    take_steps(optimizer, model, range(10, 20))
    take_steps(mlx_optimizer, twin, range(10, 20))
    assert_close(model, twin, SAME[case])


@both
def test_muon_goes_on_as_in_mlx_but_for_its_bfloat16(side, tmp_path):
    """The momentum is MLX's to rounding; ten orthogonalized steps are within what bfloat16 rounds."""
    mlx_optimizer, model = trained("Muon")
    twin = copy.deepcopy(model)
    optimizer = of_ours(side, "Muon", model)
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    take_steps(optimizer, model, range(10, 20))
    take_steps(mlx_optimizer, twin, range(10, 20))
    assert_close(slots_of(optimizer), ours_of(flat(mlx_optimizer.state), CASES["Muon"][4]), 4)
    off = max(np.abs(a - b).max() for a, b in zip(flat(model).values(), flat(twin).values(), strict=True))
    assert 0 < off < 0.01 * 0.1  # of ten steps of 0.01 each


@both
def test_a_half_precision_model_keeps_the_bits(side, tmp_path):
    mlx_optimizer, model = of_mlx("AdamW"), Net()
    model.set_dtype(mx.bfloat16)
    take_steps(mlx_optimizer, model, range(10))
    optimizer = of_ours(side, "AdamW", model)
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    assert_same(slots_of(optimizer), ours_of(flat(mlx_optimizer.state), CASES["AdamW"][4]))
    held = dict(tree_flatten(optimizer.state))
    assert held["layers.0.weight.exp_avg"].dtype == mx.bfloat16
    twin = copy.deepcopy(model)
    take_steps(optimizer, model, range(10, 12))
    take_steps(mlx_optimizer, twin, range(10, 12))
    assert model.layers[0].weight.dtype == mx.bfloat16
    for path, value in flat(model).items():
        np.testing.assert_allclose(value, flat(twin)[path], rtol=2**-7, atol=2**-9, err_msg=path)


@both
def test_a_scheduled_rate_goes_on(side, tmp_path):
    """The file holds the rate of the last step; a rule with the schedule takes the next from the count."""
    schedule = native.exponential_decay(0.1, 0.5)
    mlx_optimizer, model = trained("Adam", 3, schedule)
    assert mlx_optimizer.learning_rate.item() == np.float32(0.025)
    optimizer = of_ours(side, "Adam", model, schedule if side == "rule" else 0.1)
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    assert optimizer.learning_rate.item() == np.float32(0.025)
    take_steps(optimizer, model, range(3, 4))
    assert optimizer.learning_rate.item() == np.float32(0.0125 if side == "rule" else 0.025)


@both
@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize("case", ["Adam", "SGD-momentum", "Adagrad", "Adafactor"])
def test_a_state_saved_before_the_first_step(side, case, init, tmp_path):
    """With slots (``init`` was called) or without: training begins as if nothing had been loaded."""
    mlx_optimizer, model = of_mlx(case), net(case)
    if init:
        mlx_optimizer.init(model.trainable_parameters())
    optimizer, twin = of_ours(side, case, model, lr=0.01), copy.deepcopy(model)
    take_steps(optimizer, copy.deepcopy(model) if side == "rule" else model, range(5, 7))
    model.update(twin.parameters())
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    fresh = of_ours("rule", case, twin)
    take_steps(optimizer, model, range(3))
    take_steps(fresh, twin, range(3))
    assert_same(model, twin)
    assert_same(slots_of(optimizer), slots_of(fresh))


@both
def test_a_file_that_is_written_again_later(side, tmp_path):
    """MLX loads lazily: what was taken over has been read, and does not change with the file."""
    mlx_optimizer, model = trained("Adam")
    optimizer = of_ours(side, "Adam", model)
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    through_file(trained("Adam", 2)[0].state, tmp_path)
    assert_same(slots_of(optimizer), ours_of(flat(mlx_optimizer.state), CASES["Adam"][4]))


def test_frozen_parameters_need_no_slots(tmp_path):
    """As in MLX, which makes none for them; unfrozen, they begin a count of their own."""
    mlx_optimizer, model = of_mlx("Adagrad"), Net()
    model.layers[0].freeze()
    take_steps(mlx_optimizer, model, range(4))
    optimizer = of_ours("adapter", "Adagrad", model)
    take_over(optimizer, through_file(mlx_optimizer.state, tmp_path))
    entries = optimizer.state[dict(torch.named_parameters(model))["layers.0.weight"]]
    assert {name: value.sum().item() for name, value in entries.items()} == {"step": 0, "sum": 0}  # as torch's Adagrad
    again = mlx_state(optimizer)
    assert_same(again, {**mlx_optimizer.state, "layers": [{}, {}, mlx_optimizer.state["layers"][2]]})
    model.layers[0].unfreeze()
    take_steps(optimizer, model, range(4, 6))
    counts = {path: optimizer.state[p]["step"].item() for path, p in torch.named_parameters(model)}
    assert counts["layers.0.weight"] == 2
    assert counts["layers.2.weight"] == 6


@both
@pytest.mark.parametrize("case", ["AdamW", "SGD-momentum", "Adafactor"])
def test_a_compiled_step_sees_the_loaded_state(side, case, tmp_path):
    """Loading mutates the state that it captured: the next call goes on from it, and so does the one after."""
    mlx_optimizer, model = trained(case)
    weights = model.parameters()
    optimizer = of_ours(side, case, model)
    held = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        optimizer.update(model, grads)

    compiled = mx.compile(step, inputs=held, outputs=held)
    for i in range(2):
        compiled(gradients(model, 30 + i))
    mx.eval(held)
    identities = {path: id(slots) for path, slots in optimizer.state.slots.items()}
    model.update(weights)
    twin, eager_model = of_ours(side, case, copied := copy.deepcopy(model)), copied
    for target in (optimizer, twin):
        take_over(target, through_file(mlx_optimizer.state, tmp_path))
    assert {path: id(slots) for path, slots in optimizer.state.slots.items()} == identities
    for i in range(10, 13):
        compiled(gradients(model, i))
        take_steps(twin, eager_model, range(i, i + 1))
    assert numbers_of(optimizer)["step"].item() == 13
    assert_close(model, eager_model, 4)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_of_mlx_go_on_bit_for_bit(name, tmp_path):
    """``optim.Lion`` and every ``from_mlx``: the slots are MLX's own, with all options; and back into MLX."""
    cls, kwargs = CLASSES[name]
    case = "Muon" if cls is native.Muon else ""
    mlx_optimizer, model = cls(**kwargs), net(case)
    take_steps(mlx_optimizer, model, range(10))
    twin = copy.deepcopy(model)
    options = {"lr" if key == "learning_rate" else key: value for key, value in kwargs.items()}
    optimizer = optim.from_mlx(cls)(model, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer.state = through_file(mlx_optimizer.state, tmp_path)
    assert len(caught) == 1
    assert_same(
        slots_of(optimizer), {k: v for k, v in flat(mlx_optimizer.state).items() if k not in ("step", "learning_rate")}
    )
    take_steps(optimizer, model, range(10, 15))
    take_steps(mlx_optimizer, twin, range(10, 15))
    assert_same(model, twin)
    back = cls(**kwargs)
    back.state = through_file(mlx_state(optimizer), tmp_path)
    assert_same(back.state, mlx_optimizer.state)
    take_steps(back, model, range(15, 18))
    take_steps(mlx_optimizer, twin, range(15, 18))
    assert_same(model, twin)
