"""Gradients that come and go, of other kinds and shapes, while small parameters are joined."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

import torchish_mlx as torch
from tests.cases import assert_same
from tests.joining import ELEMENTWISE, KINDS, SHAPES, Loop, assert_joins_alike, net
from tests.optim.test_evaluation import SLACK, growth
from torchish_mlx import optimizers


@pytest.mark.parametrize("name", KINDS)
def test_sets_that_alternate(name):
    """Every parameter misses some steps, and gets a count of its own."""

    def step(loop: Loop, i: int) -> None:
        loop.step(i, lambda j, g: None if (i + j) % 3 == 0 else g)

    assert_joins_alike(ELEMENTWISE[name], steps=9, step=step, joins=name.startswith("SGD"))


@pytest.mark.parametrize("name", KINDS)
def test_one_that_comes_late(name):
    """And one that misses a step: counts of their own; those that are always there stay joined."""

    def step(loop: Loop, i: int) -> None:
        loop.step(i, lambda j, g: None if (j == 2 and i < 3) or (j == 4 and i == 4) else g)

    one, _ = assert_joins_alike(ELEMENTWISE[name], steps=7, step=step)
    counted = one.optimizer.param_groups[0].rule.counted
    assert one.joined() == len(SHAPES) - 1 - (2 if counted else 0)
    if name == "NAdam":
        counts = [one.optimizer.state[p]["step"].item() for p in one.params]
        assert counts == [7 - 3 * (j == 2) - (j == 4) for j in range(len(SHAPES))]


@pytest.mark.parametrize("name", ["Adam-amsgrad", "NAdam", "ASGD"])
def test_numbers_with_counts_of_their_own(name):
    """0-d parameters are of the shape of their counts."""

    def step(loop: Loop, i: int) -> None:
        loop.step(i, lambda j, g: None if i in (1, 2) and j in (0, 1) else g)

    one, _ = assert_joins_alike(ELEMENTWISE[name], step=step, shapes=[(), (), (3,), (), (2,)])
    assert [one.optimizer.state[p]["step"].item() for p in one.params] == [3, 3, 5, 5, 5]
    assert {one.optimizer.state[p]["step"].array.shape for p in one.params} == {()}


@pytest.mark.parametrize("foreach", [None, False])
@pytest.mark.parametrize("name", ["Adam-amsgrad", "NAdam", "ASGD"])
def test_a_state_that_is_made_while_a_parameter_misses_steps(name, foreach):
    """It has the group's count of that moment, and not of the moment at which it gets a gradient."""
    loop = Loop(ELEMENTWISE[name], foreach)
    for i in range(8):
        if i == 3:
            loop.optimizer.init({str(j): p.array for j, p in enumerate(loop.params)})
        loop.step(i, lambda j, g, i=i: None if j == 1 and i < 6 else g)
    counts = [loop.optimizer.state[p]["step"].item() for p in loop.params]
    assert counts == [8, 3 + 2, *[8] * (len(SHAPES) - 2)]


@pytest.mark.parametrize("name", KINDS)
def test_none_at_all(name):
    def step(loop: Loop, i: int) -> None:
        loop.step(i, lambda j, g: None if i in (0, 3) else g)

    assert_joins_alike(ELEMENTWISE[name], steps=6, step=step)


@pytest.mark.parametrize("name", KINDS)
def test_freezing(name):
    def event(loop: Loop, i: int) -> None:
        if i == 0:
            loop.model.layers[0].freeze()
        if i == 2:
            loop.model.layers[0].unfreeze()
            loop.model.layers[2].freeze()
        if i == 4:
            loop.model.unfreeze()

    assert_joins_alike(ELEMENTWISE[name], steps=7, event=event, model=net)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
def test_gradients_of_another_dtype(name, dtype):
    """All of them in one step, and some of them in another."""

    def step(loop: Loop, i: int) -> None:
        other = mx.float16 if i == 2 else mx.float32 if dtype == mx.bfloat16 else mx.bfloat16
        loop.step(i, lambda j, g: g.astype(other) if i == 2 or (i > 3 and j % 2) else g)

    assert_joins_alike(ELEMENTWISE[name], steps=6, step=step, dtypes=[dtype])


@pytest.mark.parametrize("name", KINDS)
def test_a_parameter_that_gets_another_dtype(name):
    """``set_dtype`` of a layer in the middle of a run; its gradient stays what it was."""

    def event(loop: Loop, i: int) -> None:
        if i in (2, 4):
            loop.params[i].array = loop.params[i].array.astype(mx.bfloat16)

    def step(loop: Loop, i: int) -> None:
        loop.step(i, lambda j, g: g.astype(mx.float32))

    one, _ = assert_joins_alike(ELEMENTWISE[name], steps=6, event=event, step=step)
    assert [p.array.dtype == mx.bfloat16 for p in one.params] == [i in (2, 4) for i in range(len(SHAPES))]


@pytest.mark.parametrize("name", KINDS)
def test_gradients_and_parameters_that_are_not_contiguous(name):
    def turned(a: mx.array) -> mx.array:
        """The same numbers, in the memory of a transposed, twice as large array."""
        return mx.repeat(a.T, 2, axis=0)[::2].T if a.ndim else a

    def event(loop: Loop, i: int) -> None:
        if i == 2:
            for p in loop.params[::2]:
                p.array = turned(p.array)

    one, _ = assert_joins_alike(
        ELEMENTWISE[name], event=event, step=lambda loop, i: loop.step(i, lambda j, g: turned(g))
    )
    plain = Loop(ELEMENTWISE[name], None)
    for i in range(5):
        plain.step(i)
    assert_same(one.held(), plain.held())


@pytest.mark.parametrize("name", ["SGD", "SGD-momentum", "Adagrad"])
def test_rows_in_between(name):
    """A RowSparse gradient of one parameter, in some steps."""

    def step(loop: Loop, i: int) -> None:
        def rows(j: int, g: mx.array) -> Any:
            chosen = j == 0 and i in (2, 3, 5)
            return optimizers.RowSparse(mx.array([2, 0, 2]), g[mx.array([2, 0, 2])], g.shape) if chosen else g

        loop.step(i, rows)

    assert_joins_alike(ELEMENTWISE[name], steps=7, step=step)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_refused_step_changes_nothing(name, groups):
    """One gradient, the last, has the wrong shape; the step after it is that of a loop without it."""

    def make(given: Any) -> Any:
        params = given[0]["params"]
        return ELEMENTWISE[name]([{"params": params[:4]}, {"params": params[4:]}] if groups == 2 else given)

    loops = [Loop(make, foreach) for foreach in (None, False, None)]
    for i in range(5):
        for loop in loops:
            if i in (1, 3) and loop is not loops[2]:
                before = loop.held()
                tree = {str(j): g for j, g in enumerate(loop.gradients(i))}
                last = str(len(loop.params) - 1)
                with pytest.raises(ValueError, match="has shape"):
                    loop.optimizer.apply_gradients(
                        {**tree, last: tree[last][:1]}, {str(j): p.array for j, p in enumerate(loop.params)}
                    )
                assert_same(loop.held(), before)
            loop.step(i)
        for loop in loops[1:]:
            assert_same(loop.held(), loops[0].held())
    assert loops[0].joined() == len(SHAPES) - 1


@pytest.mark.parametrize("name", ["SGD-momentum", "Adam-amsgrad"])
def test_a_refused_step_of_another_kind_of_gradient(name):
    """What is no array, and a sparse gradient where none is taken, after steps that were joined."""
    loop, plain = Loop(ELEMENTWISE[name], None), Loop(ELEMENTWISE[name], None)
    for i in range(4):
        if i == 2:
            before = loop.held()
            arrays = {str(j): p.array for j, p in enumerate(loop.params)}
            with pytest.raises(TypeError, match=r"must be an mx\.array"):
                loop.optimizer.apply_gradients({**arrays, "1": 1.5}, arrays)
            if name == "Adam-amsgrad":
                rows = optimizers.RowSparse(mx.array([0]), mx.ones((1, 3)), (4, 3))
                with pytest.raises(RuntimeError, match="does not support sparse gradients"):
                    loop.optimizer.apply_gradients({**arrays, "0": rows}, arrays)
            assert_same(loop.held(), before)
        loop.step(i)
        plain.step(i)
    assert_same(loop.held(), plain.held())


@pytest.mark.long
@pytest.mark.parametrize("name", ["Adam-amsgrad", "SGD-momentum"])
def test_memory_is_flat_while_sets_alternate(name):
    loop = Loop(ELEMENTWISE[name], None)
    turn = iter(range(10**6))
    grads = [[p * 0.1 for p in (q.array for q in loop.params)] for _ in range(3)]
    mx.eval(grads)

    def step() -> None:
        i = next(turn)
        for j, p in enumerate(loop.params):
            p.grad = None if (i + j) % 3 == 0 else grads[i % 3][j]
        loop.optimizer.step()

    assert abs(growth(step, 400)) <= SLACK


def test_gradients_are_let_go():
    """Nothing of a step holds its gradients: a loop that drops them has their memory back."""
    params = [torch.Parameter(mx.zeros((100, 100))) for _ in range(20)]
    optimizer = ELEMENTWISE["SGD"]([{"params": params}])
    for _ in range(2):
        for p in params:
            p.grad = mx.ones((100, 100))
        optimizer.step()
        mx.synchronize()
        held = mx.get_active_memory()
        optimizer.zero_grad()
        mx.synchronize()
        assert held - mx.get_active_memory() >= 4 * 20 * 100 * 100
