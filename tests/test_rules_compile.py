"""Rules inside mx.compile: the same numbers as eagerly, and no new trace for a new number."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from tests.cases import RULES, assert_close, assert_same, build, flat, for_rule, gradients, net
from torchish_mlx.optimizers import Rule
from torchish_mlx.optimizers._hyper import Static

STEPS = 6
ULPS = 8  # a compiled kernel may contract a * b + c, after which later steps drift


def moved(rule: Rule, factor: float) -> dict[str, Any]:
    """Every number of the rule, moved a little, where the rule allows it and it changes no code path."""
    changed: dict[str, Any] = {}
    for name, field in rule.fields().items():
        value = getattr(rule, name)
        if isinstance(field, Static) or (name in ("momentum", "dampening") and value == 0):
            continue
        for scale in (factor, 1 / factor):
            new = _scaled(value, scale)
            try:
                rule.validate({**rule.values, name: new})
            except ValueError:
                continue
            changed[name] = new
            break
    assert "lr" in changed
    return changed


def _scaled(value: Any, scale: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_scaled(v, scale) for v in value)
    return value if value is None else value * scale + (1e-4 if value == 0 else 0)


def run(case: str, kind: str) -> tuple[dict, dict, int]:
    """Parameters, state and the number of traces after some steps, with every number moved twice."""
    rule, model, traces = build(case), net(case), 0
    rule.init(model.trainable_parameters())
    state = [model.state, rule.state]

    def captured(grads: Any) -> None:
        nonlocal traces
        traces += 1
        rule.update(model, for_rule(rule, grads))

    def pure(grads: Any, params: Any, state: Any) -> Any:
        nonlocal traces
        traces += 1
        rule.state = state
        return rule.apply_gradients(for_rule(rule, grads), params), rule.state

    if kind == "captured":
        step = mx.compile(captured, inputs=state, outputs=state)
    elif kind == "pure":
        compiled = mx.compile(pure)

        def step(grads: Any) -> None:
            params, rule.state = compiled(grads, model.trainable_parameters(), rule.state)
            model.update(params)
    else:
        step = captured

    for i in range(STEPS):
        if i in (2, 4):
            for name, value in moved(rule, 0.95 if i == 2 else 0.8).items():
                setattr(rule, name, value)
        step(gradients(model, i))
        mx.eval(state)
    return flat(model), flat(rule.state), traces


@pytest.mark.parametrize("case", RULES)
def test_compiled_is_eager(case):
    parameters, state, _ = run(case, "eager")
    for kind in ("captured", "pure"):
        compiled_parameters, compiled_state, traces = run(case, kind)
        assert traces <= 2  # of 6 steps, with all numbers changed twice
        assert_close(compiled_parameters, parameters, ULPS)
        assert_close(compiled_state, state, ULPS)
