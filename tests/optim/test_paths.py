"""``fused`` and ``foreach``: which path a step takes, and that all of them give the same numbers."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.optimizers
import pytest

import torchish_mlx as torch
from tests.cases import assert_close, assert_same
from tests.joining import SHAPES, STEPPING, Loop, for_optimizer, net, shapes_for
from tests.optimizers.test_rules_compile import ULPS
from tests.resume_cases import of
from torchish_mlx import optim, optimizers
from torchish_mlx.optimizers import _paths

SGD = of(optim.SGD, lr=0.1)  # the fewest kernels


# Which path ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("elements", [15, 16, 17])
@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize("fused", [None, False, True])
def test_the_table(fused, foreach, elements, compiled, monkeypatch):
    monkeypatch.setattr(_paths, "SMALL", 16)
    params = [torch.Parameter(mx.zeros(n)) for n in (elements - 5, 5)]
    if fused and foreach:
        with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
            optim.SGD(params, fused=True, foreach=True)
        return
    optimizer = optim.SGD(params, lr=0.1, fused=fused, foreach=foreach)
    for _ in range(2):
        for p in params:
            p.grad = mx.ones(p.shape)
        optimizer.step()
    compiles = fused or (fused is None and foreach is None and elements >= 16)
    assert compiled == ([["SGD"]] * 2 if compiles else [])
    joined = [len(bucket.members) for plan in optimizer.state_tree().plans.values() for bucket in plan.buckets]
    assert joined == ([] if foreach is False else [2])


@pytest.mark.parametrize("name", ["Lion", "Muon", "MultiOptimizer"])
def test_optimizers_without_the_arguments(name, compiled, large):
    """They choose by size too, and by what a group says."""
    for foreach, expected in ((None, 1), (False, 0), (True, 0)):
        compiled.clear()
        loop = Loop(STEPPING[name], foreach, shapes_for(name))
        loop.step(0)
        assert len(compiled) == expected


def test_what_has_a_gradient_counts(compiled, monkeypatch):
    """Over all groups, in this step."""
    monkeypatch.setattr(_paths, "SMALL", 16)
    params = [torch.Parameter(mx.zeros(8)) for _ in range(3)]
    optimizer = optim.SGD([{"params": [p]} for p in params], lr=0.1)
    for with_gradient, expected in (([0], 0), ([0, 2], 1), ([1], 0), ([0, 1, 2], 1)):
        compiled.clear()
        for i, p in enumerate(params):
            p.grad = mx.ones(8) if i in with_gradient else None
        optimizer.step()
        assert compiled == [["SGD"] * len(with_gradient)] * expected


@pytest.mark.parametrize("door", ["step", "update", "apply_gradients"])
def test_every_door(door, compiled, large):
    model = net()
    loop = Loop(SGD, None, model=model)
    loop.step(0)
    if door == "update":
        loop.optimizer.update(model, model.parameters())
    elif door == "apply_gradients":
        loop.optimizer.apply_gradients(model.parameters(), model.parameters())
    assert compiled == [["SGD"]] * (1 if door == "step" else 2)


@pytest.mark.parametrize("fused", [None, True])
def test_nothing_is_compiled_within_a_users_compile(fused, compiled, large):
    loop, plain = Loop(SGD, None, model=net(), fused=fused), Loop(SGD, False, model=net())
    state = [loop.model.state, loop.optimizer.state]
    step = mx.compile(lambda g: loop.optimizer.update(loop.model, g), inputs=state, outputs=state)
    for _ in range(3):
        step(loop.model.parameters())
        plain.optimizer.update(plain.model, plain.model.parameters())
    assert compiled == []
    assert_close(loop.held(), plain.held(), ULPS)


@pytest.mark.parametrize("fused", [None, True])
def test_nothing_is_compiled_by_a_pure_function_of_a_user(fused, compiled, large):
    """The state goes in as an argument, and comes out."""
    optimizer = optim.SGD([torch.Parameter(mx.zeros(3))], lr=0.1, momentum=0.9, fused=fused)

    def pure(p: mx.array, g: mx.array, state: Any) -> Any:
        optimizer.state = state
        return optimizer.apply_gradients({"0": g}, {"0": p})["0"], optimizer.state

    step, p = mx.compile(pure), mx.zeros(3)
    optimizer.init({"0": p})
    for _ in range(3):
        p, optimizer.state = step(p, mx.ones(3), optimizer.state)
    assert compiled == []
    assert p.tolist() == pytest.approx([-0.1 * (1 + 1.9 + 2.71)] * 3)


def test_a_compiled_step_can_be_differentiated(compiled, large):
    """It is a function of arrays still: by the gradient, as one by one."""
    slopes = []
    for foreach in (None, False):
        loop = Loop(of(optim.SGD, lr=0.1), foreach, [(3,), (2,)])

        def total(g: mx.array, loop: Loop = loop) -> mx.array:
            new = loop.optimizer.apply_gradients({"0": g, "1": mx.ones(2)}, {"0": mx.ones(3), "1": mx.ones(2)})
            return (new["0"] ** 2).sum() + new["1"].sum()

        slopes.append(mx.grad(total)(mx.array([1.0, 2.0, 3.0])))
    assert mx.allclose(*slopes, rtol=1e-6)
    assert compiled


# The same numbers ---------------------------------------------------------------------------------------------------


#: Adadelta squares a quotient of roots. The centered RMSprop divides by a difference of squares, which cancels: in a
#: parameter of one element a buffer that passes 0 was 64 units off.
ALIKE = ("AdamW-fused", "AdamW-amsgrad-maximize", "NAdam-decoupled", "RAdam-decoupled")  # kernels take a second each
MORE = {"Adadelta": 2, "RMSprop-centered": 2}


@pytest.mark.parametrize("name", [name for name in STEPPING if name not in ALIKE])
def test_compiled_is_one_by_one(name, large):
    """``fused=True``, and by size: over steps, some of which not every parameter has a gradient in."""
    shapes = [s for s in shapes_for(name) if name != "RMSprop-centered" or math.prod(s) > 8]
    shapes = shapes[:2] if name.endswith("Adafactor") else shapes  # it has a kernel for each
    plain = Loop(STEPPING[name], False, shapes)
    loops = [Loop(STEPPING[name], None, shapes, fused=fused) for fused in (True, None)]
    prepared = for_optimizer(name)
    for i in range(7):  # RAdam divides from its 6th step on
        for loop in (plain, *loops):
            loop.step(i, lambda j, g, i=i: None if i in (2, 3) and j == 1 else prepared(j, g))
        for loop in loops:
            assert_close(loop.held(), plain.held(), ULPS * MORE.get(name, 1))


@pytest.mark.parametrize("name", ["SGD-momentum", "Adam", "Lion"])
@pytest.mark.parametrize("half", [mx.bfloat16, mx.float16], ids=str)
def test_half_precision_is_one_by_one(name, half):
    """What is kept is rounded, and so the same but for a rounding here and there: a unit in the last place."""
    plain, fused = Loop(STEPPING[name], False, dtypes=[half]), Loop(STEPPING[name], None, dtypes=[half], fused=True)
    for i in range(4):
        for loop in (plain, fused):
            loop.step(i)
    unit = 2 ** (16 if half == mx.bfloat16 else 13)  # of the last place, in those of float32
    assert_close(fused.held(), plain.held(), unit)
    assert [p.array.dtype for p in fused.params] == [half] * len(SHAPES)


@pytest.mark.parametrize("option", [{"fused": True}, {}], ids=str)
@pytest.mark.parametrize("name", ["SparseAdam", "SGD", "Adagrad"])
def test_rows(name, option, large):
    """Sparse gradients are taken on every path, by themselves or beside dense ones."""
    loops = [Loop(STEPPING[name], None, [(4, 3), (5, 2)], **option), Loop(STEPPING[name], False, [(4, 3), (5, 2)])]
    for i in range(3):
        for loop in loops:
            loop.step(i, lambda j, g: for_optimizer("SparseAdam" if j == 0 else name)(j, g))
    assert_close(loops[0].held(), loops[1].held(), 2 * ULPS)


class Reads(mlx.optimizers.SGD):
    """A user's class that looks at a number, which MLX's optimizers may do where nobody compiles them."""

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]) -> mx.array:
        if gradient.size and mx.max(mx.abs(gradient)).item() > 1:
            gradient = mx.sign(gradient)
        return super().apply_single(gradient, parameter, state)


class Shakes(mlx.optimizers.SGD):
    """One that draws random numbers: MLX's key is no argument of a function that is compiled here."""

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]) -> mx.array:
        return super().apply_single(gradient + mx.random.normal(gradient.shape), parameter, state)


class Remembers(mlx.optimizers.SGD):
    """One that keeps a number in Python."""

    seen = 0

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]) -> mx.array:
        type(self).seen += 1
        return super().apply_single(gradient / type(self).seen, parameter, state)


class ReadsAsRule(optimizers.SGD):
    """The same of a rule."""

    @classmethod
    def formula(cls, h: Any, g: mx.array, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        return super().formula(h, g if not g.size or mx.max(g).item() < 1 else 0.5 * g, p, s, k)


@pytest.mark.parametrize("cls", [Reads, Shakes, Remembers, ReadsAsRule])
def test_a_users_class_is_not_compiled_by_itself(cls, large):
    """Nothing is known of what it does: by default it is run as it is written, however large the model."""
    held = []
    for foreach in (None, False):
        mx.random.seed(5)
        if cls is Remembers:
            cls.seen = 0
        loop = Loop(of(optim.from_mlx(cls), lr=0.1), foreach)
        for i in range(3):
            loop.step(i)
        held.append(loop.held())
    assert_same(*held)
