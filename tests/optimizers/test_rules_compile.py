"""Rules inside mx.compile: the same numbers as eagerly, and no new trace for a new number."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map

from tests.cases import (
    RULES,
    assert_close,
    assert_same,
    build,
    flat,
    for_rule,
    gradients,
    inputs,
    is_slot,
    net,
    saved,
    squared_error,
    take_steps,
)
from torchish_mlx import optimizers as rules
from torchish_mlx.optimizers import Rule
from torchish_mlx.optimizers._hyper import Static

STEPS = 6
# On the CPU a compiled step takes roots that are one unit off, and some compilers contract a * b + c: 4 were measured.
ULPS = 8


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


# A value of every number that is far enough from those of the table to show after one step.
FAR: dict[str, Any] = {
    "lr": 0.5,
    "momentum": 0.4,
    "dampening": 0.6,
    "weight_decay": 0.3,
    "betas": (0.4, 0.6),
    "eps": 0.1,
    "momentum_decay": 3.0,
    "lr_decay": 0.5,
    "rho": 0.3,
    "alpha": 0.3,
    "etas": (0.1, 3.0),
    "step_sizes": (0.5, 0.6),
    "lambd": 0.3,
    "t0": -5.0,
    "beta2_decay": -0.1,
    "d": 3.0,
}


def far(case: str) -> dict[str, Any]:
    """The numbers of a rule that a step after the first one reads, each with another value."""
    rule = build(case)
    names = {name for name, field in rule.fields().items() if not isinstance(field, Static)}
    names -= {"initial_accumulator_value"} | ({"lr"} if case == "Rprop" else set())  # read when the slots are made
    if case == "SGD":
        names -= {"momentum", "dampening"}  # momentum other than 0 is another code path
    if case == "RMSprop":
        names -= {"momentum"}
    if case == "SGD-nesterov":
        names -= {"dampening"}  # must be 0
    assert names
    return {name: (0.5, 10.0) if (case, name) == ("Adafactor", "eps") else FAR[name] for name in names}


@pytest.mark.parametrize("case", RULES)
def test_a_changed_number_reaches_a_compiled_step(case):
    """Each number by itself: a step that was traced before the change does what an eager step does after it."""
    rule, model, traces = build(case), net(case), []
    take_steps(rule, model, range(8))  # RAdam divides from its 6th step on
    weights, before = saved(model.parameters()), saved(rule.state)
    state = [model.state, rule.state]
    grads = tree_map(lambda g: 5 * g, gradients(model, 8))  # large, for Adafactor's threshold

    def step(grads: Any) -> None:
        traces.append(1)
        rule.update(model, for_rule(rule, grads))

    compiled = mx.compile(step, inputs=state, outputs=state)

    def outcome(run: Any, name: str | None = None, value: Any = None) -> dict[str, np.ndarray]:
        rule.state = before
        model.update(weights)
        if name is not None:
            setattr(rule, name, value)
        run(grads)
        slots = {path: a for path, a in flat(rule.state).items() if is_slot(rule, path)}
        return flat(model) | {f"state.{path}": a for path, a in slots.items()}

    usual = outcome(compiled)
    for name, value in far(case).items():
        seen = outcome(compiled, name, value)
        assert_close(seen, outcome(step, name, value), ULPS)
        later = case == "ASGD" and name in LATER
        assert later or any(np.any(seen[path] != usual[path]) for path in usual), name
    assert len(traces) == 1 + len(far(case))  # one trace, and the eager calls


LATER = ("lr", "alpha", "t0")  # ASGD computes the length of the step after with them, as torch does


def test_what_asgd_reads_for_the_step_after():
    for name in LATER:
        outcomes = []
        for change in (False, True):
            rule, model = build("ASGD"), net("ASGD")
            state = [model.state, rule.state]
            rule.init(model.parameters())
            compiled = mx.compile(lambda grads, r=rule, m=model: r.update(m, grads), inputs=state, outputs=state)
            for i in range(8):
                if change and i == 4:
                    setattr(rule, name, FAR[name])
                compiled(gradients(model, i))
            outcomes.append(flat([model.parameters(), rule.state["_step"]]))
        assert any(np.any(outcomes[0][path] != outcomes[1][path]) for path in outcomes[0]), name


def test_a_changed_code_path_is_traced_anew():
    """A flag, and a momentum that leaves 0: nothing of it is silently stale."""
    for attribute, value in (("nesterov", True), ("maximize", True), ("momentum", 0.0)):
        results = []
        for compile_ in (True, False):
            rule, model = build("SGD-nesterov", nesterov=False), net("SGD")
            take_steps(rule, model, range(1))
            state = [model.state, rule.state]

            def step(grads: Any, rule: Rule = rule, model: nn.Module = model) -> None:
                rule.update(model, grads)

            if compile_:
                step = mx.compile(step, inputs=state, outputs=state)
            step(gradients(model, 1))
            setattr(rule, attribute, value)
            step(gradients(model, 2))
            results.append(flat(model))
        assert_close(*results, ULPS)


@pytest.mark.parametrize("case", RULES)
def test_a_schedule_inside_a_compiled_step(case):
    """It is a function of the count, which is captured: one trace, and the rates of the eager loop."""
    schedule = rules.join_schedules([rules.linear_schedule(0.001, 0.1, 3), rules.cosine_decay(0.1, 5)], [3])
    results, traces = [], []
    for compile_ in (False, True):
        rule, model, rates = build(case, learning_rate=schedule), net(case), []
        rule.init(model.parameters())
        state = [model.state, rule.state]

        def step(grads: Any, rule: Rule = rule, model: nn.Module = model) -> None:
            traces.append(1)
            rule.update(model, for_rule(rule, grads))

        if compile_:
            traces.clear()
            step = mx.compile(step, inputs=state, outputs=state)
        for i in range(6):
            step(gradients(model, i))
            rates.append(rule.learning_rate.item())
        results.append(flat(model) | flat(rule.state) | {"rates": np.array(rates)})
    assert len(traces) <= 2
    assert len(set(rates)) == 6
    assert_close(*results, 2 * ULPS)


@pytest.mark.parametrize("case", ["SGD-momentum", "Adam", "NAdam", "ASGD"])  # the kinds of clocks; each builds kernels
def test_freezing_between_compiled_steps(case):
    """Frozen, a layer leaves the captured tree of gradients: a new trace, and the numbers of the eager loop."""
    results = []
    for compile_ in (False, True):
        rule, model, traces = build(case), net(case), []
        rule.init(model.parameters())
        state = [model.state, rule.state]

        def step(grads: Any, rule: Rule = rule, model: nn.Module = model, traces: list[int] = traces) -> None:
            traces.append(1)
            rule.update(model, for_rule(rule, grads))

        if compile_:
            step = mx.compile(step, inputs=state, outputs=state)
        for i in range(6):
            if i == 2:
                model.layers[0].freeze()
            if i == 4:
                model.layers[0].unfreeze()
            step(gradients(model, i))
        results.append(flat(model) | {f"state.{path}": a for path, a in flat(rule.state).items()})
        if compile_:
            assert len(traces) <= 4
    assert_close(*results, ULPS)


def test_the_whole_training_step_compiles():
    """Loss, gradient and update in one function, as MLX's documentation does it, with dropout."""
    mx.random.seed(3)
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
    optimizer = rules.AdamW(learning_rate=0.02)
    state = [model.state, optimizer.state, mx.random.state]
    traces = []

    def step(x: mx.array) -> mx.array:
        traces.append(1)
        loss, grads = nn.value_and_grad(model, squared_error)(model, x)
        optimizer.update(model, grads)
        return loss

    compiled = mx.compile(step, inputs=state, outputs=state)
    losses = []
    for i in range(150):
        losses.append(compiled(inputs(i)))
        mx.eval(state)
    assert len(traces) == 2  # the slots come in the first call
    assert mx.mean(mx.array(losses[-20:])).item() < 0.3 * losses[0].item()


def test_without_init_the_second_trace_is_the_last():
    """The first call makes the slots, so the captured tree grows once."""
    model, rule, traces = net("Adam"), build("Adam"), []
    state = [model.state, rule.state]

    def step(grads: Any) -> None:
        traces.append(1)
        rule.update(model, grads)

    compiled = mx.compile(step, inputs=state, outputs=state)
    for i in range(5):
        compiled(gradients(model, i))
    assert len(traces) == 2
    twin, reference = net("Adam"), build("Adam")
    take_steps(reference, twin, range(5))
    assert_close(model, twin, ULPS)


def test_loading_is_seen_by_a_step_that_is_compiled_already():
    """``state`` is loaded into the dicts that the compiled step captured."""
    model, rule = net("NAdam"), build("NAdam")
    state = [model.state, rule.state]
    rule.init(model.parameters())
    compiled = mx.compile(lambda grads: rule.update(model, grads), inputs=state, outputs=state)
    compiled(gradients(model, 0))
    other_model, other = net("NAdam"), build("NAdam", learning_rate=0.5, betas=(0.5, 0.6))
    take_steps(other, other_model, range(3))
    rule.state = saved(other.state)
    model.update(saved(other_model.parameters()))
    compiled(gradients(model, 3))
    take_steps(other, other_model, range(3, 4))
    assert_close(model, other_model, ULPS)
    assert [path for path, _ in tree_flatten(rule.state)] == [path for path, _ in tree_flatten(other.state)]


@pytest.mark.parametrize("case", RULES)
def test_the_gradient_of_an_update(case):
    """A rule is a pure function of arrays: its update can be differentiated by the rate, as eagerly by differences."""
    model = net(case)
    rule, params = build(case), model.parameters()
    grads = gradients(model, 0)
    if rule.sparse:
        grads = tree_map(lambda g: rules.RowSparse(mx.array([0]), g[:1], g.shape), grads)
    rule.init(params)
    state = saved(rule.state)

    def moved_by(rate: mx.array) -> mx.array:
        rule.state = state
        rule.learning_rate = rate
        new = rule.apply_gradients(grads, params)
        return sum(mx.sum(new_p) for _, new_p in tree_flatten(new))

    rate = mx.array(0.1)
    slope = mx.grad(moved_by)(rate).item()
    difference = ((moved_by(rate * 1.1) - moved_by(rate * 0.9)) / (rate * 0.2)).item()
    rule.state = state
    if case == "Rprop":
        assert slope == difference == 0  # its rate is read when the slots are made
    else:
        assert slope == pytest.approx(difference, rel=0.01, abs=1e-3)
        assert slope != 0
    assert_same(rule.state, state)


def test_a_state_that_was_reset_is_made_anew_after_a_changed_number():
    """Writing a number must not bring back the shape of the first trace, which made slots without their places."""
    rule, params = rules.Adam(learning_rate=0.1), {"w": mx.ones(3)}
    step = mx.compile(
        lambda p, g: rule.apply_gradients(g, p),
        inputs=rule.state,
        outputs=rule.state,
    )
    for round_ in range(2):
        for _ in range(3):
            params = step(params, {"w": mx.ones(3)})
            mx.eval(params, rule.state)
        assert rule.step.item() == 3
        assert sorted(rule.state["w"]) == ["exp_avg", "exp_avg_sq"], round_
        rule.state = {}
        rule.learning_rate = 0.2
