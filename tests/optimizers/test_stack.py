"""Small parameters of one shape as a stack, where a formula is not elementwise: the same bits as one by one."""

from __future__ import annotations

import collections
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import assert_close, assert_same
from tests.joining import STEPPING, Loop, assert_joins_alike, shapes_for
from tests.marks import examples
from tests.optimizers.test_rules_compile import ULPS
from tests.resume_cases import of
from torchish_mlx import optim, optimizers
from torchish_mlx.optimizers import _join

STACKED = ("Adafactor", "Muon")
DTYPES = {"float32": (mx.float32,), "bfloat16": (mx.bfloat16,), "mixed": (mx.float32, mx.float16, mx.float32)}


def wanted(loop: Loop) -> int:
    """How many parameters have another one of their shape and dtype."""
    alike = collections.Counter((tuple(p.shape), p.array.dtype) for p in loop.params if p.numel())
    return sum(count for count in alike.values() if count > 1)


@pytest.mark.parametrize("name", STACKED)
@pytest.mark.parametrize("dtypes", DTYPES.values(), ids=DTYPES)
def test_stacked_is_one_by_one(name, dtypes):
    one, _ = assert_joins_alike(STEPPING[name], steps=4, shapes=shapes_for(name) * 4, dtypes=dtypes)
    assert one.joined() == wanted(one)


@pytest.mark.parametrize("name", STACKED)
def test_parameters_that_miss_steps(name):
    """They have counts of their own, and are stacked with those that have such counts too."""

    def step(loop: Loop, i: int) -> None:
        loop.step(i, lambda j, g: None if (i + j) % 3 == 0 or (i < 2 and j % 2) else g)

    assert_joins_alike(STEPPING[name], steps=6, shapes=shapes_for(name) * 6, step=step, joins=False)


def test_counts_of_their_own_are_stacked():
    loop = Loop(STEPPING["Adafactor"], None, [(3,)] * 6)
    for i in range(3):
        loop.step(i, lambda j, g, i=i: None if i == 0 and j < 4 else g)
    slots = loop.optimizer.state_tree().slots.values()
    assert ["step" in own for own in slots].count(True) == 4
    assert loop.joined() == 6


@pytest.mark.parametrize("name", STACKED)
def test_fused(name):
    """The formula of a stack, compiled; kernels are kept apart for the large stacks."""
    shapes = [*shapes_for(name), (40, 30), (17, 5)] * 12
    one, other = (
        Loop(STEPPING[name], foreach, shapes, fused=fused) for foreach, fused in ((None, True), (False, None))
    )
    for i in range(4):
        for loop in (one, other):
            loop.step(i)
    assert one.joined() == wanted(one)
    assert any(sum(one.params[i].numel() for i in bucket.members) > 2**13 for bucket in buckets(one))
    if name == "Muon":  # in bfloat16, where a last bit is seen
        found, expected = one.held(), other.held()
        assert all(np.abs(found[key] - expected[key]).max(initial=0) < 1e-4 for key in expected if key[0] == "p")
    else:
        assert_close(one.held(), other.held(), ULPS)


def buckets(loop: Loop) -> list[Any]:
    return [bucket for plan in loop.optimizer.state_tree().plans.values() for bucket in plan.buckets]


@pytest.mark.parametrize("most", [40, 2**16])
@pytest.mark.parametrize("members", [2, 3, 256])
def test_more_than_fit_into_one(most, members, monkeypatch):
    monkeypatch.setattr(_join, "MOST", most)
    monkeypatch.setattr(_join, "MEMBERS", members)
    one, _ = assert_joins_alike(STEPPING["Adafactor"], steps=3, shapes=[(3, 4), (7,), (), (2, 1, 3)] * 10)
    sizes = [[one.params[i].numel() for i in bucket.members] for bucket in buckets(one)]
    assert all(1 < len(each) <= members and sum(each) <= most for each in sizes)


def test_large_ones_stay_alone():
    loop = Loop(STEPPING["Adafactor"], None, [(129, 128)] * 3 + [(128, 128)] * 2)
    loop.step(0)
    assert [bucket.members for bucket in buckets(loop)] == [[3, 4]]


sides = st.sampled_from([1, 1, 2, 3, 5, 9, 17])


@given(
    shapes=st.lists(st.lists(sides, max_size=4).map(tuple), min_size=1, max_size=3),
    absent=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 11)), max_size=6),
    gradients=st.sampled_from([mx.float32, mx.float32, mx.bfloat16]),
)
@settings(max_examples=examples(60))
def test_any_shape(shapes, absent, gradients):
    """Sums over a stack are taken in the order of sums over one array, dimensions of size 1 included."""
    assert_joins_alike(
        STEPPING["Adafactor"],
        steps=3,
        shapes=shapes * 4,
        step=lambda loop, i: loop.step(i, lambda j, g: None if (i, j) in absent else g.astype(gradients)),
        joins=False,
    )


class Normed(optimizers.Adafactor):
    """A user's formula on top of one that may be stacked."""

    @classmethod
    def formula(cls, h: Any, g: mx.array, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        return super().formula(h, g / mx.sqrt(mx.sum(g * g)), p, s, k)


class Stackable(Normed):
    """One that says that it may be."""

    stackable = True


@pytest.mark.parametrize(("rule", "stacks"), [(Normed, False), (Stackable, True)])
def test_a_subclass_with_a_formula_of_its_own(rule, stacks):
    one, _ = assert_joins_alike(of(optim.from_mlx(rule), lr=0.1), shapes=[(4, 3), (4,)] * 3, joins=stacks)
    assert one.joined() == (6 if stacks else 0)


def test_a_rule_alone():
    """It has no foreach, and stacks."""
    held = []
    for stackable in (True, False):
        rule = type("Rule", (optimizers.Adafactor,), {"stackable": stackable})(learning_rate=0.1)
        arrays = {str(i): mx.array(np.random.default_rng(i).normal(size=(3, 2)).astype("f4")) for i in range(5)}
        for i in range(3):
            arrays = rule.apply_gradients({name: a * (i + 1) for name, a in arrays.items()}, arrays)
        held.append({name: np.array(a) for name, a in arrays.items()})
    assert_same(*held)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 63, 64, 65, 512, 700])
def test_a_cut(count):
    sizes = [i % 4 for i in range(count)]
    array = mx.arange(sum(sizes) * 2).reshape(-1, 2)
    pieces = _join.Cut(sizes)(array)
    assert [piece.shape[0] for piece in pieces] == sizes
    assert mx.array_equal(mx.concatenate(pieces), array)
