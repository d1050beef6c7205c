"""Small parameters as one flat array: the same bits as one by one, for every rule, shape and dtype."""

from __future__ import annotations

import collections
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx as torch
from tests.cases import RULES, assert_close, assert_same, build, flat, net, take_steps
from tests.joining import (
    APART,
    ELEMENTWISE,
    KINDS,
    SHAPES,
    STEPPING,
    Loop,
    assert_joins_alike,
    for_optimizer,
    numbers,
    shapes_for,
)
from tests.marks import examples, mostly_long
from tests.resume_cases import of
from torchish_mlx import optim, optimizers
from torchish_mlx.optimizers import _join
from torchish_mlx.optimizers._hyper import Hyper

DTYPES = {
    "float32": (mx.float32,),
    "bfloat16": (mx.bfloat16,),
    "float16": (mx.float16,),
    "mixed": (mx.float32, mx.bfloat16, mx.float32, mx.float16, mx.bfloat16),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("kind", mostly_long(DTYPES, ("float32", "mixed").__contains__))
def test_joined_is_one_by_one(name, kind):
    one, _ = assert_joins_alike(ELEMENTWISE[name], steps=7, dtypes=DTYPES[kind])  # RAdam divides from its 6th step on
    alike = collections.Counter(p.array.dtype for p in one.params if p.numel())
    assert one.joined() == sum(count for count in alike.values() if count > 1)


@pytest.mark.parametrize("case", RULES)
def test_a_rule_alone(case, monkeypatch):
    """It has no foreach, and joins; here once with no parameter small enough for it."""
    held = []
    for largest in (_join.LARGEST, 0):
        monkeypatch.setattr(_join, "LARGEST", largest)
        rule, model = build(case), net(case)
        take_steps(rule, model, range(6))
        held.append(flat([model.parameters(), rule.state]))
    assert_same(*held)


@pytest.mark.parametrize("name", [name for name in APART if not name.startswith("LBFGS")])
def test_what_is_not_elementwise_is_not_joined(name):
    loop = Loop(STEPPING[name], None, shapes_for(name))
    for i in range(3):
        loop.step(i, for_optimizer(name))
    assert loop.joined() == (4 if name == "MultiOptimizer" else 0)  # the vectors of AdamW and the matrices of Lion


class ByNorm(optimizers.SGD):
    """A user's rule on top of one of ours: the gradient as a direction."""

    @classmethod
    def formula(cls, h: Any, g: mx.array, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        return super().formula(h, g / mx.sqrt(mx.sum(g * g)), p, s, k)


class Clamped(optimizers.SGD):
    """One that says of its own formula that it is elementwise."""

    elementwise = True

    @classmethod
    def formula(cls, h: Any, g: mx.array, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        return super().formula(h, mx.clip(g, -0.5, 0.5), p, s, k)


class Widened(optimizers.Adam):
    """One that changes what surrounds the formula."""

    @classmethod
    def apply(cls, h: Any, g: Any, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        return super().apply(h, g - mx.mean(g), p, s, k)


class Slower(optimizers.Adam):
    """One that changes a default only."""

    lr: Any = Hyper(1e-4)


class Below(ByNorm):
    """A subclass of a formula that is not elementwise."""


@pytest.mark.parametrize(
    ("rule", "joins"), [(ByNorm, False), (Widened, False), (Below, False), (Clamped, True), (Slower, True)]
)
def test_a_subclass_with_a_formula_of_its_own(rule, joins):
    make = of(optim.from_mlx(rule), lr=0.1)
    assert_joins_alike(make, shapes=[(4, 3), (4,), (2, 2)], joins=joins)
    loop = Loop(make, None, [(4, 3), (4,), (2, 2)])
    loop.step(0)
    assert loop.joined() == (3 if joins else 0)


def test_the_subclass_is_one_that_joining_would_change():
    class Joined(ByNorm):
        elementwise = True

    with pytest.raises(AssertionError, match="Arrays are not equal"):
        assert_joins_alike(of(optim.from_mlx(Joined), lr=0.1))


def test_a_users_subclass_of_an_mlx_class_is_not_joined():
    class Normed(mlx.optimizers.SGD):
        def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]) -> mx.array:
            return super().apply_single(gradient / mx.sqrt(mx.sum(gradient * gradient)), parameter, state)

    assert_joins_alike(of(optim.from_mlx(Normed), lr=0.1), shapes=[(4, 3), (4,), (2, 2)], joins=False)


# Many, and more than fit into one array -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("most", "largest"), [(2**20, 11), (12, 2**14), (13, 12), (1, 2**14), (30, 4)])
def test_more_than_fit_into_one(name, most, largest, monkeypatch):
    monkeypatch.setattr(_join, "MOST", most)
    monkeypatch.setattr(_join, "LARGEST", largest)
    one, _ = assert_joins_alike(ELEMENTWISE[name], shapes=SHAPES * 2, joins=False)
    buckets = [bucket for plan in one.optimizer.state_tree().plans.values() for bucket in plan.buckets]
    sizes = [[one.params[i].numel() for i in bucket.members] for bucket in buckets]
    assert all(len(members) > 1 and max(members) <= largest and sum(members) <= most for members in sizes)
    assert bool(sizes) == (most > 1)
    assert [i for bucket in buckets for i in bucket.members] == sorted(i for b in buckets for i in b.members)


@pytest.mark.parametrize("name", ["SGD", "Adam-amsgrad"])
def test_many(name):
    one, _ = assert_joins_alike(ELEMENTWISE[name], steps=3, shapes=[(i % 7, i % 3) for i in range(700)])
    assert one.joined() == len([i for i in range(700) if i % 7 and i % 3])


shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
dtypes = st.sampled_from([mx.float32, mx.float32, mx.bfloat16, mx.float16])


@given(
    arrays=st.lists(st.tuples(shapes, dtypes, dtypes), min_size=1, max_size=9),
    name=st.sampled_from(KINDS),
    most=st.sampled_from([5, 40, 2**20]),
    largest=st.sampled_from([1, 8, 2**14]),
    absent=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 8)), max_size=6),
)
@settings(max_examples=examples(60))
def test_any_shapes_and_dtypes(arrays, name, most, largest, absent):
    """Gradients of any dtype, some of them missing in some steps."""
    held = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_join, "MOST", most)
        patch.setattr(_join, "LARGEST", largest)
        for foreach in (None, False):
            loop = Loop(ELEMENTWISE[name], foreach, [s for s, _, _ in arrays], [dtype for _, dtype, _ in arrays])
            for i in range(4):
                loop.step(i, lambda j, g, i=i: None if (i, j) in absent else g.astype(arrays[j][2]))
            held.append(loop.held())
            assert all(p.array.dtype == dtype for p, (_, dtype, _) in zip(loop.params, arrays, strict=True))
            assert all(tuple(p.shape) == shape for p, (shape, _, _) in zip(loop.params, arrays, strict=True))
    assert_same(*held)


# Memory ------------------------------------------------------------------------------------------------------------


def peak(foreach: bool | None, fused: bool | None, steps: int = 6) -> float:
    """The most memory in a loop of steps of AdamW, over that of parameters, gradients and both moments."""
    shapes = [(128, 128)] * 60 + [(64,)] * 60 + [(1024, 1024)] * 2
    params = [torch.Parameter(mx.zeros(s)) for s in shapes]
    mx.eval([p.array for p in params])
    optimizer = optim.AdamW(params, lr=1e-3, foreach=foreach, fused=fused)
    size = 4 * 4 * sum(p.numel() for p in params)
    elsewhere, at = mx.get_active_memory() - size // 4, 0
    for i in range(steps):
        for j, p in enumerate(params):
            p.grad = None
            p.grad = mx.full(p.shape, 0.1 * (i + j + 1))
        mx.eval([p.grad.array for p in params])
        if i >= 2:
            mx.synchronize()
            mx.reset_peak_memory()
        optimizer.step()
        mx.synchronize()
        at = max(at, mx.get_peak_memory()) if i >= 2 else 0
    return (at - elsewhere) / size


@pytest.mark.parametrize(
    ("foreach", "fused", "most"), [(None, None, 1.3), (None, True, 1.3), (False, None, 1.45), (True, None, 2.0)]
)
def test_old_arrays_are_donated(foreach, fused, most):
    """What a step makes takes the memory of what it replaces; what is beyond is of the operations in between."""
    assert peak(foreach, fused) < most


def test_views_have_their_own_numbers():
    """A parameter or a state entry that someone keeps is not changed by later steps, nor by its neighbours'."""
    loop = Loop(ELEMENTWISE["Adam"], None)
    loop.step(0)
    kept = [p.array for p in loop.params] + [loop.optimizer.state[p]["exp_avg"].array for p in loop.params]
    before = flat(kept)
    for i in range(1, 4):
        loop.step(i)
    assert_same(kept, before)
    neighbours = flat([p.array for p in loop.params[1:]])
    loop.params[0].data.zero_()
    assert_same([p.array for p in loop.params[1:]], neighbours)
    assert mx.array_equal(loop.params[0].array, mx.zeros(SHAPES[0]))


def test_a_copy_keeps_little_alive():
    """A clone of a small parameter that nobody evaluates keeps the flat array it comes from: at most MOST elements."""
    params = [torch.Parameter(mx.zeros(64)), *(torch.Parameter(mx.zeros((100, 100))) for _ in range(20))]
    optimizer = optim.SGD(params, lr=0.1)
    kept: list[Any] = []
    for i in range(12):
        if i == 2:
            mx.synchronize()
            before = mx.get_active_memory()
        for p in params:
            p.grad = mx.ones(p.shape)
        optimizer.step()
        kept.append(params[0].detach().clone())
    mx.synchronize()
    assert (mx.get_active_memory() - before) / 10 <= 4 * _join.MOST


def test_others_read_the_views(tmp_path):
    """NumPy, DLPack and files get each parameter's own numbers, from within the flat array."""

    def from_file(a: mx.array) -> np.ndarray:
        mx.save_safetensors(str(tmp_path / "a.safetensors"), {"a": a})
        return np.array(mx.load(str(tmp_path / "a.safetensors"))["a"])

    loop, plain = Loop(ELEMENTWISE["Adam"], None), Loop(ELEMENTWISE["Adam"], False)
    for i in range(2):
        loop.step(i)
        plain.step(i)
    for p, q in zip(loop.params, plain.params, strict=True):
        mx.eval(p.array)
        for read in (np.array, np.asarray, np.from_dlpack, from_file):
            np.testing.assert_array_equal(read(p.array), np.array(q.array))


TRANSFORMS = {
    "vmap": lambda step, total, one, several: mx.vmap(step)(several),
    "grad": lambda step, total, one, several: mx.grad(total)(one),
    "jvp": lambda step, total, one, several: mx.jvp(lambda *a: total(a), one, [mx.ones(a.shape) for a in one])[1],
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transformed(transform):
    """A step is a function of arrays, joined too: over a batch of models, and by gradients that depend on weights."""
    shapes = [(3,), (2, 2), (4,)]
    several = [numbers(0, i, (2, *s)) for i, s in enumerate(shapes)]
    found = []
    for foreach in (None, False):
        optimizer = optim.SGD([torch.Parameter(mx.zeros(s)) for s in shapes], lr=0.1, foreach=foreach)

        def step(weights: Any, optimizer: Any = optimizer) -> Any:
            named = {str(i): a for i, a in enumerate(weights)}
            return optimizer.apply_gradients({name: a * a for name, a in named.items()}, named)

        def total(weights: Any, step: Any = step) -> mx.array:
            return sum((a**2).sum() * (int(name) + 1) for name, a in step(weights).items())

        found.append(transform(step, total, [a[0] for a in several], several))
    assert_close({"": found[0]}, {"": found[1]}, 2)
