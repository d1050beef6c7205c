"""Half precision: parameters and state keep their dtype, whatever the gradients are, and the arithmetic is float32's."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten, tree_map

from tests.cases import RULES, assert_same, build, for_rule, gradients, net, saved, squared_error, take_steps

every_rule = pytest.mark.parametrize("case", RULES)
every_half = pytest.mark.parametrize("half", [mx.float16, mx.bfloat16], ids=["float16", "bfloat16"])
# A column of the state whose float32 value is larger than float16 holds, or that starts at eps, would need eps of its own.
EPS = {"Adam": 1e-4, "NAdam": 1e-4, "RAdam": 1e-4}


def half_net(case: str, half: mx.Dtype) -> Any:
    model = net(case)
    model.set_dtype(half)
    return model


@every_rule
@every_half
@pytest.mark.parametrize("wide_gradients", [True, False], ids=["float32", "half"])
def test_dtypes_stay(case, half, wide_gradients):
    """Also those of a float32 parameter beside them, and in a compiled step."""
    model, rule = half_net(case, half), build(case)
    model.step = model.step.astype(mx.float32)
    dtypes = {path: p.dtype for path, p in tree_flatten(model.parameters())}
    state = [model.state, rule.state]
    rule.init(model)
    compiled = mx.compile(lambda grads: rule.update(model, for_rule(rule, grads)), inputs=state, outputs=state)
    for i in range(4):
        grads = gradients(model, i, mx.float32 if wide_gradients else half)
        (compiled if i > 1 else lambda grads: rule.update(model, for_rule(rule, grads)))(grads)
        assert {path: p.dtype for path, p in tree_flatten(model.parameters())} == dtypes
        for path, entry in tree_flatten(rule.state):
            if not path.startswith("_groups"):
                assert entry.dtype == dtypes[path.rsplit(".", 1)[0]], path
    assert set(dtypes.values()) == {half, mx.float32}
    assert all(mx.all(mx.isfinite(p)).item() for _, p in tree_flatten(model.parameters()))


@every_rule
@every_half
def test_a_step_is_float32s_rounded_once(case, half):
    """From the same half-precision parameters, slots and gradients: float32's new values, rounded to half."""
    rule, model = build(case), half_net(case, half)
    take_steps(rule, model, range(3), half)
    wide, twin = build(case), net(case)
    wide.state = tree_map(lambda a: a.astype(mx.float32) if a.dtype == half else a, saved(rule.state))
    twin.update(tree_map(lambda p: p.astype(mx.float32), model.parameters()))
    grads = gradients(model, 3, half)
    rule.update(model, for_rule(rule, grads))
    wide.update(twin, for_rule(wide, tree_map(lambda g: g.astype(mx.float32), grads)))
    assert_same(model, tree_map(lambda p: p.astype(half), twin.parameters()))
    narrowed = [(path, a.astype(half) if not path.startswith("_groups") else a) for path, a in tree_flatten(wide.state)]
    assert_same(dict(tree_flatten(rule.state)), dict(narrowed))


@every_rule
@every_half
def test_wide_gradients_of_half_parameters_are_not_rounded(case, half):
    """A float32 gradient enters the float32 arithmetic as it is."""
    model = half_net(case, half)
    grads = gradients(model, 0, mx.float32)
    rule, wide = build(case), build(case)
    new = rule.apply_gradients(for_rule(rule, grads), model)
    params = tree_map(lambda p: p.astype(mx.float32), model.parameters())
    reference = wide.apply_gradients(for_rule(wide, grads), params)
    assert_same(new, tree_map(lambda p: p.astype(half), reference))


@every_half
def test_training_in_half_precision_learns(half):
    for case in ("SGD-momentum", "AdamW", "Muon", "Adafactor"):
        model, rule = half_net(case, half), build(case)
        x = mx.random.normal((32, 3), key=mx.random.key(5)).astype(half)
        first = squared_error(model, x).item()
        for _ in range(100):
            grads = mx.grad(lambda p, m=model, x=x: squared_error((m.update(p), m)[1], x))(model.trainable_parameters())
            rule.update(model, grads)
        assert squared_error(model, x).item() < 0.4 * first
