"""What comes between two steps while small parameters are joined: the next step goes by what stands there then."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map

import torchish_mlx as torch
from tests.cases import assert_changed, assert_close, assert_same, flat, saved
from tests.each import each
from tests.joining import ELEMENTWISE, KINDS, SHAPES, Event, Loop, assert_joins_alike, net, numbers
from tests.marks import mostly_long
from tests.optimizers.test_rules_compile import ULPS
from tests.resume_cases import of
from torchish_mlx import optim, optimizers

COUNTED = [name for name in KINDS if name in ("Adam-amsgrad", "NAdam", "ASGD")]


def slots(loop: Loop) -> list[tuple[Any, str]]:
    """(parameter, name) of every entry of its own that has its shape."""
    held = [(p, loop.optimizer.state_tree().slots.get(loop.optimizer.state_tree().paths[p], {})) for p in loop.params]
    return [(p, name) for p, own in held for name, a in own.items() if a.shape == p.array.shape]


# What is changed between two steps -----------------------------------------------------------------------------------


def one_in_place(loop: Loop) -> None:
    loop.params[0].data.mul_(0.5)


def all_in_place(loop: Loop) -> None:
    for p in loop.params:
        p.data.mul_(0.5)


def replaced_arrays(loop: Loop) -> None:
    for p in loop.params[1:3]:
        p.array = p.array + 1


def attribute(loop: Loop) -> None:
    loop.model.layers[0].weight = mx.ones((4, 3))
    loop.model.step = loop.model.step * 2


def model_update(loop: Loop) -> None:
    loop.model.update(tree_map(lambda a: a * 0.5, loop.model.parameters()))


def the_same_numbers(loop: Loop) -> None:
    loop.model.update(saved(loop.model.parameters()))


def load_weights(loop: Loop) -> None:
    loop.model.load_weights([(name, a + 1) for name, a in tree_flatten(loop.model.parameters())])


def mlx_in_place(loop: Loop) -> None:
    """MLX's own in-place operations change what an array object holds: it stays the same object."""
    loop.model.layers[0].weight[0] = 5.0
    loop.model.layers[2].bias *= 0.5


def mlx_in_place_everywhere(loop: Loop) -> None:
    """``a`` is the very array in the module."""
    for _, a in tree_flatten(loop.model.parameters()):
        a -= 1


def mlx_in_place_state(loop: Loop) -> None:
    for p, name in slots(loop)[:2]:
        loop.optimizer.state_tree().slots[loop.optimizer.state_tree().paths[p]][name] *= 0.5


def entry_object_in_place(loop: Loop) -> None:
    for p, name in slots(loop)[:2]:
        a = loop.optimizer.state_tree().slots[loop.optimizer.state_tree().paths[p]][name]
        a += 0.25


def entry(loop: Loop) -> None:
    for p, name in slots(loop)[:1]:
        loop.optimizer.state[p][name] = torch.ones(p.shape)


def entry_in_place(loop: Loop) -> None:
    for p, name in slots(loop):
        loop.optimizer.state[p][name].mul_(0.5)


def entry_by_path(loop: Loop) -> None:
    for p, name in slots(loop)[-1:]:
        loop.optimizer.state_tree().slots[loop.optimizer.state_tree().paths[p]][name] = mx.full(p.shape, 0.25)


def entry_of_another_dtype(loop: Loop) -> None:
    for p, name in slots(loop)[:3]:
        loop.optimizer.state[p][name] = loop.optimizer.state[p][name].array.astype(mx.bfloat16)


def further_entry(loop: Loop) -> None:
    """Of a user, who keeps it there: it stays as it is."""
    for p in loop.params[:2]:
        loop.optimizer.state[p]["mine"] = torch.ones(p.shape)


def entry_under_another_name(loop: Loop) -> None:
    for p, name in slots(loop)[:2]:
        if name in loop.optimizer.param_groups[0].rule.late:
            loop.optimizer.state[p]["mine"] = loop.optimizer.state[p][name].array * 1
            del loop.optimizer.state[p][name]


def entries_forgotten(loop: Loop) -> None:
    loop.optimizer.state[loop.params[1]] = {}


def tree(loop: Loop) -> None:
    loop.optimizer.state = tree_map(lambda a: a * 1 if isinstance(a, mx.array) and a.size else a, loop.optimizer.state)


def no_tree(loop: Loop) -> None:
    loop.optimizer.state = {}


def state_dict(loop: Loop) -> None:
    loop.optimizer.load_state_dict(copy.deepcopy(loop.optimizer.state_dict()))


def moved_state_dict(loop: Loop) -> None:
    """Of other numbers."""
    state = copy.deepcopy(loop.optimizer.state_dict())
    for entries in state["state"].values():
        for name, value in entries.items():
            if name != "step" and isinstance(value, torch.Tensor):
                value.mul_(0.5)
    loop.optimizer.load_state_dict(state)


def group_number(loop: Loop) -> None:
    loop.optimizer.param_groups[0]["lr"] *= 0.5


def transposed(loop: Loop) -> None:
    loop.model.layers[0].weight = mx.ones((3, 4)).T * 0.5
    loop.model.layers[2].weight = mx.full((8, 3), 0.5)[::2].reshape(4, 3).T


def another_optimizer(loop: Loop) -> None:
    """A second one steps over the same parameters."""
    other = optim.SGD(loop.params[:4], lr=0.1)
    other.step()


CHANGES: list[Callable[[Loop], None]] = [
    one_in_place,
    all_in_place,
    replaced_arrays,
    attribute,
    model_update,
    the_same_numbers,
    load_weights,
    mlx_in_place,
    mlx_in_place_everywhere,
    mlx_in_place_state,
    entry_object_in_place,
    entry,
    entry_in_place,
    entry_by_path,
    entry_of_another_dtype,
    further_entry,
    entry_under_another_name,
    entries_forgotten,
    tree,
    no_tree,
    state_dict,
    moved_state_dict,
    group_number,
    transposed,
    another_optimizer,
]


def between(change: Callable[[Loop], None]) -> Event:
    return lambda loop, i: change(loop) if i in (2, 4) else None


@pytest.mark.parametrize("name", mostly_long(KINDS, ("Adam-amsgrad", "ASGD").__contains__))
@each("change", CHANGES)
def test_a_change_between_steps_is_seen(change, name):
    assert_joins_alike(ELEMENTWISE[name], steps=6, event=between(change), model=net)


@pytest.mark.parametrize("name", COUNTED)
def test_a_count_that_is_assigned(name):
    def count(loop: Loop, i: int) -> None:
        if i == 2:
            loop.optimizer.state[loop.params[1]]["step"] = torch.tensor(7.0)

    one, _ = assert_joins_alike(ELEMENTWISE[name], event=count, model=net)
    assert one.joined() == len(one.params) - 1
    assert one.optimizer.state[one.params[1]]["step"].item() == 10


@pytest.mark.parametrize("half", [mx.bfloat16, mx.float16], ids=str)
@pytest.mark.parametrize("name", ["SGD-momentum", "Adam-amsgrad", "NAdam", "Lion"])
def test_float32_moments_of_a_half_model(name, half):
    def widen(loop: Loop, i: int) -> None:
        if i == 2:
            state = copy.deepcopy(loop.optimizer.state_dict())
            for entries in state["state"].values():
                entries.update({k: v.float() for k, v in entries.items() if isinstance(v, torch.Tensor)})
            loop.optimizer.load_state_dict(state, keep_state_dtype=True)

    one, _ = assert_joins_alike(ELEMENTWISE[name], event=widen, dtypes=[half])
    assert {one.optimizer.state[p][n].array.dtype for p, n in slots(one)} == {mx.float32}


def counted(loop: Loop) -> Any:
    """All that is held but a count that the rule does not go by, which a state dict does not hold."""
    going = loop.optimizer.param_groups[0].rule.counted
    return {name: a for name, a in loop.held().items() if going or name != "state._groups.0.step"}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_goes_on_by_itself(how, name):
    """It trains as the original does, whichever goes first, and has no part in it."""
    for foreach in (None, False):
        loop = Loop(ELEMENTWISE[name], foreach)
        for i in range(3):
            loop.step(i)
        if how == "deepcopy":
            twin = copy.deepcopy(loop)
        else:
            twin = copy.copy(loop)
            twin.params, twin.optimizer = pickle.loads(pickle.dumps((loop.params, loop.optimizer)))
        assert twin.optimizer.state_tree().plans == {}
        before = loop.held()
        for i in range(3, 6):
            twin.step(i)
        assert_same(loop.held(), before)
        assert_changed(
            {"p": [p.array for p in twin.params if p.numel()]}, {"p": [a.array for a in loop.params if a.numel()]}
        )
        for i in range(3, 6):
            loop.step(i)
        assert_same(counted(twin), counted(loop))


@pytest.mark.parametrize("case", ["SGD-momentum", "Adam"])
def test_a_copied_rule_has_no_plan(case):
    """A rule alone is copied as any Python object is."""
    rule = optimizers.SGD(0.1, momentum=0.9) if case == "SGD-momentum" else optimizers.Adam(0.1)
    params = {str(i): numbers(-1, i, s) for i, s in enumerate(SHAPES)}
    for i in range(3):
        params = rule.apply_gradients({k: numbers(i, int(k), p.shape) for k, p in params.items()}, params)
    assert rule.state.plans
    for twin in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        assert twin.state.plans == {}
        grads = {k: numbers(5, int(k), p.shape) for k, p in params.items()}
        before = flat(rule.state)
        made = twin.apply_gradients(grads, params)
        assert_same(rule.state, before)
        assert_same(made, copy.deepcopy(rule).apply_gradients(grads, params))


# Options, groups and what a user compiles ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "option", "values"),
    [
        (of(optim.Adam, amsgrad=True), "amsgrad", [False, True]),
        (of(optim.Adam), "maximize", [True, False]),
        (of(optim.NAdam, weight_decay=0.1), "decoupled_weight_decay", [True, False]),
        (of(optim.SGD, lr=0.1, momentum=0.9), "nesterov", [True, False]),
        (of(optim.SGD, lr=0.1), "momentum", [0.9, 0]),
        (of(optim.SGD, lr=0.1, momentum=0.9), "momentum", [0, 0.5]),
        (of(optim.SGD, lr=0.1, momentum=0.9), "dampening", [0.5, 0]),
        (of(optim.RMSprop, momentum=0.9, centered=True), "centered", [False, True]),
        (of(optim.AdamW), "weight_decay", [0.5, 0]),
        (of(optim.Lion, lr=0.1), "betas", [[0.5, 0.5], (0.9, 0.99)]),
        (of(optim.SGD, lr=0.1), "lr", [torch.tensor(0.3), 0.1]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_option_that_is_switched(make, option, values):
    def switch(loop: Loop, i: int) -> None:
        if i in (2, 4):
            loop.optimizer.param_groups[0][option] = values[i // 2 - 1]

    assert_joins_alike(make, steps=6, event=switch)


@pytest.mark.parametrize("name", KINDS)
def test_foreach_that_is_switched(name):
    """Joined and one by one in turn: as one by one throughout."""

    def switch(loop: Loop, i: int) -> None:
        if loop.foreach:
            assert (loop.joined() > 0) == (i > 0 and i % 3 != 2)  # what the step before has done
            loop.optimizer.param_groups[0]["foreach"] = [None, False, True][i % 3]

    assert_joins_alike(ELEMENTWISE[name], steps=7, event=switch)


@pytest.mark.parametrize("name", KINDS)
def test_a_group_that_is_added(name):
    def make(groups: Any) -> Any:
        return ELEMENTWISE[name]([{"params": groups[0]["params"][:4]}])

    def add(loop: Loop, i: int) -> None:
        if i == 2:
            loop.optimizer.add_param_group({"params": loop.params[4:], "lr": 0.001})
            loop.choose()

    one, _ = assert_joins_alike(make, event=add, model=net)
    assert one.joined() == len(one.params)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
def test_a_parameter_twice_in_a_group(name):
    def make(groups: Any) -> Any:
        return ELEMENTWISE[name]([{"params": groups[0]["params"] + groups[0]["params"][2:6]}])

    assert_joins_alike(make)


@pytest.mark.parametrize("name", ["SGD-momentum", "Adam-amsgrad", "ASGD"])
def test_steps_of_all_kinds_in_turn(name):
    """``step``, ``update``, ``apply_gradients``, and in between a step in the user's ``mx.compile``."""

    def steps(loop: Loop) -> Any:
        if not hasattr(loop, "compiled"):
            state = [loop.model.state, loop.optimizer.state]
            loop.compiled = mx.compile(lambda g: loop.optimizer.update(loop.model, g), inputs=state, outputs=state)
        return loop.compiled

    def step(loop: Loop, i: int) -> None:
        grads = as_tree(loop, loop.gradients(i))
        kind = [0, 1, 3, 3, 0, 3, 2, 2, 1][i]
        if kind == 0:
            loop.step(i)
        elif kind == 1:
            loop.optimizer.update(loop.model, grads)
        elif kind == 2:
            loop.model.update(loop.optimizer.apply_gradients(grads, loop.model.parameters()))
        else:
            steps(loop)(grads)
        mx.eval(loop.model.parameters(), loop.optimizer.state)

    one, other = (Loop(ELEMENTWISE[name], foreach, model=net()) for foreach in (None, False))
    for i in range(9):
        for loop in (one, other):
            step(loop, i)
        assert_close(one.held(), other.held(), 4 * ULPS)
    assert one.joined() == len(one.params)


def as_tree(loop: Loop, leaves: list[Any]) -> Any:
    """A tree of gradients like the parameters of the model."""
    by_id = {id(p): g for p, g in zip(loop.params, leaves, strict=True)}
    found = [by_id[id(torch.locate(loop.model, name))] for name, _ in tree_flatten(loop.model.parameters())]
    places = iter(found)
    return tree_map(lambda _: next(places), loop.model.parameters())


def test_a_file_in_between():
    """Saved and loaded in place of the state that the plan is of."""

    def load(loop: Loop, i: int) -> None:
        if i == 1:
            loop.file = io.BytesIO()
            torch.save(loop.optimizer.state_dict(), loop.file)
        if i == 3:
            loop.file.seek(0)
            loop.optimizer.load_state_dict(torch.load(loop.file))

    one, _ = assert_joins_alike(ELEMENTWISE["Adam"], steps=6, event=load)
    assert np.array(one.optimizer.state[one.params[0]]["step"].array) == 4
