"""What MLX's own tests ask of its optimizers, asked of the rules, wherever torch's numbers allow it.

The slots have torch's names here. What torch forbids is tested as forbidden: negative learning rates, Muon on vectors,
SparseAdam with dense gradients. ``tests/optim/test_mlx_behaviours_from_mlx.py`` asks the same of ``optim.from_mlx``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from tests.cases import RULES, assert_close, assert_same, build, flat, for_rule, gradients, is_slot, net, only_matrices
from tests.optimizers.test_rules_compile import ULPS
from torchish_mlx import optimizers

every_rule = pytest.mark.parametrize("case", RULES)


def parameters(case: str = "", dtype: mx.Dtype = mx.float32) -> dict[str, Any]:
    """Zeros in a dict and a list; matrices where the rule takes nothing else."""
    tail = (2,) if case and only_matrices(case) else ()
    return {"layers": [mx.zeros((10, *tail), dtype), mx.zeros((1, *tail), dtype)], "gain": mx.zeros((1, *tail), dtype)}


def ones(tree: Any) -> Any:
    return tree_map(mx.ones_like, tree)


def slots(rule: Any) -> dict[str, np.ndarray]:
    """path -> array of what is kept of the parameters."""
    return {
        path: value
        for path, value in flat(rule.state).items()
        if is_slot(rule, path) and not path.endswith("._first_step")  # a mark of init(), and no slot of the formula
    }


# The state -----------------------------------------------------------------------------------------------------------


@every_rule
def test_the_state_takes_entries_of_the_users_own(case):
    """They outlive steps, and go with the tree where it is assigned; the rule does not read them."""
    rule, twin, model, other = build(case), build(case), net(case), net(case)
    rule.state["hello"] = "world"
    rule.state[0] = mx.array(1.5)
    for i in range(3):
        rule.update(model, for_rule(rule, gradients(model, i)))
        twin.update(other, for_rule(twin, gradients(other, i)))
    assert rule.state["hello"] == "world"
    assert_same(model, other)

    later = build(case)
    later.state = rule.state
    assert later.state["hello"] == "world"
    assert later.state[0].item() == 1.5
    later.update(model, for_rule(later, gradients(model, 3)))
    twin.update(other, for_rule(twin, gradients(other, 3)))
    assert_same(model, other)


@every_rule
def test_entries_of_the_users_own_as_the_whole_state(case):
    """They are the state, until it is used; then it has begun again, with the numbers that were set."""
    rule, twin, params = build(case), build(case), net(case).parameters()
    for one in (rule, twin):
        one.learning_rate = 0.25
        one.apply_gradients(for_rule(one, gradients(params, 0)), params)
    twin.state = {}
    rule.state = {0: 1, "hello": "world"}
    assert rule.state == {0: 1, "hello": "world"}
    assert rule.step.item() == 0
    assert rule.learning_rate.item() == 0.25
    rule.state = {0: 1}
    assert rule.state == {0: 1}
    assert rule.state["step"].item() == 0
    rule.state = {0: 1}
    grads = for_rule(rule, gradients(params, 1))
    assert_same(rule.apply_gradients(grads, params), twin.apply_gradients(grads, params))
    assert rule.state[0] == 1
    assert_same({path: value for path, value in flat(rule.state).items() if path != "0"}, twin.state)


@pytest.mark.parametrize(
    "tree",
    [
        {"w": {"exp_avg": mx.zeros(2), "exp_avg_sq": mx.zeros(2)}},
        {"w": mx.zeros(2)},
        {"layers": [{}]},
        {"lr": 0.5},
        {"learning_rate": 0.5},
        {"hello": "world", "betas": (0.9, 0.99)},
    ],
    ids=["slots alone", "parameters", "a list", "an option", "a rate", "betas"],
)
def test_what_is_no_state_is_refused(tree):
    """MLX takes any dict, and fails at the next update; here nothing changes."""
    rule = optimizers.Adam(0.1)
    rule.apply_gradients({"w": mx.ones(2)}, {"w": mx.ones(2)})
    before = flat(rule.state)
    with pytest.raises(ValueError, match=r"this is not the state of an optimizer"):
        rule.state = tree
    with pytest.raises(TypeError, match=r"a dict of arrays, but got list"):
        rule.state = [tree]
    assert_same(flat(rule.state), before)


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
@every_rule
def test_a_state_that_was_cast(case, half):
    """As by a user who saves memory: the slots are half as large, the options and the count are what they were."""
    rule, model = build(case), net(case)
    for i in range(3):
        rule.update(model, for_rule(rule, gradients(model, i)))
    numbers = {path: value for path, value in flat(rule.state).items() if path not in slots(rule)}
    cast = tree_map(lambda a: a.astype(half) if mx.issubdtype(a.dtype, mx.floating) else a, rule.state)
    rule.state = cast
    assert_same({path: value for path, value in flat(rule.state).items() if path in numbers}, numbers)
    fresh = build(case)
    fresh.state = cast
    assert fresh.values == build(case).values
    for one in (rule, fresh):
        held = [value for path, value in tree_flatten(one.state) if path in slots(one)]
        assert all(value.dtype == half for value in held)
        assert one.step.item() == 3
        one.update(net(case), for_rule(one, gradients(model, 3)))


def test_a_count_of_its_own_in_a_state_that_was_cast():
    """A parameter that missed a step counts for itself, beyond 256, where bfloat16 has no odd numbers."""
    rule, params = optimizers.Adam(0.1), {"a": mx.ones(2), "b": mx.ones(2)}
    rule.update(params, ones(params))
    rule.update(params, {"a": mx.ones(2)})
    rule.update(params, ones(params))
    assert rule.state["b"]["step"].item() == 2
    rule.state = tree_map(lambda a: a.astype(mx.bfloat16) if a.dtype == mx.float32 else a, rule.state)
    for _ in range(300):
        rule.update(params, ones(params))
    assert rule.state["b"]["step"].item() == 302


@every_rule
def test_numbers_of_the_tree_may_be_pythons(case):
    rule, twin, params = build(case), build(case), net(case).parameters()
    rule.state = {**rule.state, "step": 7, "learning_rate": 0.25}
    twin.state["step"], twin.learning_rate = 7, 0.25
    assert rule.step.item() == 7
    assert rule.lr == 0.25
    grads = for_rule(rule, gradients(params, 0))
    assert_same(rule.apply_gradients(grads, params), twin.apply_gradients(grads, params))


@every_rule
def test_init_makes_zeros_and_the_first_step_does_too(case):
    """Explicit and implicit init; RMSprop's slot is (1 - alpha) g^2 after one step, and so on."""
    rule, params = build(case, weight_decay=0) if "weight_decay" in RULES[case][1] else build(case), parameters(case)
    rule.init(params)
    initial = {"step_size": rule.lr, "sum": rule.values.get("initial_accumulator_value", 0)}
    for path, value in slots(rule).items():
        np.testing.assert_array_equal(value, np.full_like(value, initial.get(path.split(".")[-1], 0)), err_msg=path)
    for one in (rule, build(case)):
        one.apply_gradients(for_rule(one, ones(params)), params)
        expected = after_one_step(one)
        held = slots(one)
        assert {path.split(".")[-1] for path in held} == expected.keys()
        for path, value in held.items():
            wanted = expected[path.split(".")[-1]]
            if wanted is not None:
                np.testing.assert_allclose(value, np.full_like(value, wanted), rtol=1e-6, err_msg=path)


def after_one_step(rule: Any) -> dict[str, float | None]:
    """The slots after a step with gradients of 1 from parameters of 0; None where they are a matter of the formula."""
    v = rule.values
    betas = v.get("betas", (0, 0))
    moments = {"exp_avg": 1 - betas[0], "exp_avg_sq": 1 - betas[1]}
    alpha = v.get("alpha", 0)
    return {
        "SGD": {"momentum_buffer": 1.0} if v.get("momentum") else {},
        "Adam": moments | ({"max_exp_avg_sq": 1 - betas[1]} if v.get("amsgrad") else {}),
        "AdamW": moments,
        "Adamax": {"exp_avg": 1 - betas[0], "exp_inf": 1.0},
        "NAdam": moments,
        "RAdam": moments,
        "SparseAdam": dict.fromkeys(moments),
        "Adagrad": {"sum": 1 + v.get("initial_accumulator_value", 0)},
        "Adadelta": {"square_avg": 1 - v.get("rho", 0), "acc_delta": None},
        "RMSprop": {"square_avg": 1 - alpha}
        | ({"grad_avg": 1 - alpha} if v.get("centered") else {})
        | ({"momentum_buffer": None} if v.get("momentum") else {}),
        "Rprop": {"prev": 1.0, "step_size": v["lr"]},
        "ASGD": {"ax": None},
        "Adafactor": {"variance": 1.0},
        "Muon": {"momentum_buffer": 1 - v.get("momentum", 0)},
    }[type(rule).__name__]


# A step --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
@every_rule
def test_shapes_and_dtypes_of_a_tree_are_kept(case, dtype):
    """By a rule that is constructed with a learning rate alone, by position."""
    rule, params = getattr(optimizers, RULES[case][0])(0.1), parameters(case, dtype)
    for _ in range(2):
        new = rule.apply_gradients(for_rule(rule, ones(params)), params)
        assert isinstance(new["layers"], list)
        assert tree_map(lambda a: (a.shape, a.dtype), new) == tree_map(lambda a: (a.shape, a.dtype), params)
        assert all(mx.any(leaf != 0).item() and mx.isfinite(leaf).all().item() for _, leaf in tree_flatten(new))
    assert rule.state["step"] == 2


def test_every_class_of_mlx_is_here_and_in_the_table():
    """A class of theirs that appears in a later version must not be missed."""
    classes = {name for name, value in vars(native).items() if inspect.isclass(value)}
    theirs = {name for name in classes if issubclass(getattr(native, name), native.Optimizer)}
    assert theirs - {"Optimizer", "MultiOptimizer", "Lion", "AdaDelta"} <= {name for name, _ in RULES.values()}
    assert optimizers.AdaDelta is optimizers.Adadelta


def test_what_torch_forbids():
    """Vectors under Muon, dense gradients under SparseAdam, negative rates: torch's ValueErrors and RuntimeErrors."""
    params = parameters()
    with pytest.raises(ValueError, match=r"Muon only supports 2D parameters"):
        optimizers.Muon(0.1).apply_gradients(ones(params), params)
    with pytest.raises(ValueError, match=r"Muon only supports 2D parameters"):
        optimizers.Muon(0.1).init({"conv": mx.zeros((4, 2, 3, 3))})
    with pytest.raises(RuntimeError, match=r"SparseAdam does not support dense gradients"):
        optimizers.SparseAdam(0.1).apply_gradients(ones(params), params)
    for case in RULES:
        with pytest.raises(ValueError, match=r"[Ll]earning rate"):
            build(case, learning_rate=-1.0)
        rule = build(case)
        with pytest.raises(ValueError, match=r"[Ll]earning rate"):
            rule.learning_rate = -1.0


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "AdaDelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"])
def test_a_negative_epsilon_is_refused(name):
    """MLX refuses 0 as well in three of them; torch takes it, and with it 0 / 0 where a gradient is 0."""
    with pytest.raises(ValueError, match=r"Invalid epsilon value: -1.0"):
        getattr(optimizers, name)(learning_rate=0.01, eps=-1.0)
    params = {"w": mx.ones(2)}
    new = getattr(optimizers, name)(learning_rate=0.01, eps=0.0).apply_gradients({"w": mx.array([0.0, 1.0])}, params)
    assert np.isfinite(new["w"][1].item())


def test_adamw_is_its_formula():
    """Five steps with corrected bias and decoupled decay, next to NumPy's doubles."""
    rng = np.random.default_rng(0)
    p, m, v = rng.normal(size=(3, 4)), np.zeros((3, 4)), np.zeros((3, 4))
    params = {"w": mx.array(p, mx.float32)}
    rule = optimizers.AdamW(learning_rate=3e-4, bias_correction=True)
    for t in range(1, 6):
        g = rng.normal(size=(3, 4))
        params = rule.apply_gradients({"w": mx.array(g, mx.float32)}, params)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p * (1 - 3e-4 * 0.01) - 3e-4 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(np.array(params["w"]), p, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16])
@pytest.mark.parametrize("shape", [(5, 5), (2, 3, 4), (7,)])
def test_adafactor_factors_each_matrix(shape, dtype):
    """Squares that are an outer product of rows and columns are found exactly, for each matrix of a stack by itself."""
    rule = optimizers.Adafactor()
    row, column = (mx.random.uniform(0.5, 2, shape=s, key=mx.random.key(7)) for s in ((*shape[:-1], 1), shape[:-2]))
    g = (row * column[..., None, None] if len(shape) > 1 else mx.ones(shape)) * mx.ones(shape)
    params = {"x": mx.full(shape, 2.0, dtype)}
    for count in (1, 2):
        new = rule.apply_gradients({"x": g.astype(dtype)}, params)
        assert new["x"].shape == shape
        assert new["x"].dtype == dtype
        assert rule.state["step"] == count
        # g / sqrt(g^2) is 1 everywhere: each element moves by lr * RMS(p)
        moved = 2.0 - min(1e-2, count**-0.5) * 2.0
        np.testing.assert_allclose(flat(new)["x"], np.full(shape, moved), rtol=1e-5 if dtype == mx.float32 else 1e-3)
    kept = {name: slot.shape for name, slot in rule.state["x"].items()}
    factored = {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}
    assert kept == (factored if len(shape) > 1 else {"variance": shape})


@pytest.mark.parametrize("options", [{}, {"nesterov": False}, {"momentum": 0.0}], ids=str)
def test_muon_on_matrices_of_any_shape(options):
    """They keep their shape and change; the other vectors and convolutions are torch's to refuse."""
    params = {"wide": [mx.ones((5, 10)), mx.ones((1, 3))], "tall": mx.ones((10, 5)), "square": mx.ones((3, 3))}
    rule = optimizers.Muon(0.01, **options)
    rule.init(params)
    new = rule.apply_gradients(gradients(params, 0), params)
    for (path, before), (_, after) in zip(tree_flatten(params), tree_flatten(new), strict=True):
        assert before.shape == after.shape, path
        assert not mx.array_equal(before, after), path


# Positions of arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "AdaDelta", "Adam", "AdamW", "Adamax", "Muon"])
def test_arguments_by_position_are_mlxs(name):
    """Their order is MLX's, as far as MLX has them: what a program gives by position means the same."""
    theirs = list(inspect.signature(getattr(native, name)).parameters)
    assert list(inspect.signature(getattr(optimizers, name)).parameters)[: len(theirs)] == theirs


def test_what_torch_has_at_another_position_is_refused():
    """MLX's fourth argument of Adam is bias_correction, and torch's is weight_decay."""
    betas = (0.9, 0.999)
    assert optimizers.Adam(1e-3, betas, 1e-8, True).values["bias_correction"] is True
    assert optimizers.Adam(1e-3, betas, 1e-8, True).values["weight_decay"] == 0
    assert optimizers.AdamW(1e-3, betas, 1e-8, 0.1, True).values["weight_decay"] == 0.1
    assert optimizers.AdamW(1e-3, betas, 1e-8, 0.1, True).values["amsgrad"] is False
    with pytest.raises(TypeError, match=r"bias_correction takes True, but got 0.01\. .* by name, such as weight_decay"):
        optimizers.Adam(1e-3, betas, 1e-8, 0.01)
    with pytest.raises(ValueError, match=r"bias_correction=False is not torch's Adam"):
        optimizers.Adam(1e-3, betas, 1e-8, False)


# Compiled ------------------------------------------------------------------------------------------------------------


def loss(model: nn.Module, x: mx.array) -> mx.array:
    return model(x).square().sum()


def eager_steps(case: str) -> Any:
    model, rule = net(case), build(case)
    for i in range(2):
        x = mx.random.normal((4, 3), key=mx.random.key(i))
        rule.update(model, for_rule(rule, nn.value_and_grad(model, loss)(model, x)[1]))
    return flat(model)


@pytest.mark.parametrize("case", ["SGD-momentum", "AdamW", "NAdam", "Adafactor", "Muon"])  # test_rules_compile has all
def test_a_compiled_step_of_either_form(case):
    """With the states captured, and as a function of parameters and state that hands both back."""
    wanted = eager_steps(case)

    model, rule = net(case), build(case)
    state = [model.state, rule.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def captured(x: mx.array) -> None:
        rule.update(model, for_rule(rule, nn.value_and_grad(model, loss)(model, x)[1]))

    for i in range(2):
        captured(mx.random.normal((4, 3), key=mx.random.key(i)))
    assert_close(flat(model), wanted, 4 * ULPS)

    model, rule = net(case), build(case)
    rule.init(model.trainable_parameters())

    @mx.compile
    def pure(params: Any, kept: Any, x: mx.array) -> Any:
        model.update(params)
        grads = nn.value_and_grad(model, loss)(model, x)[1]
        rule.state = kept
        return rule.apply_gradients(for_rule(rule, grads), params), rule.state

    params, kept = model.parameters(), rule.state
    for i in range(2):
        params, kept = pure(params, kept, mx.random.normal((4, 3), key=mx.random.key(i)))
    assert_close(params, wanted, 4 * ULPS)
    rule.state = kept
    assert rule.step.item() == 2


@every_rule
def test_a_rate_that_changes_between_compiled_calls(case):
    """The compiled step is not traced again, and goes by the rate of the moment."""
    rule, twin, params = build(case), build(case), net(case).trainable_parameters()
    rule.init(params)
    twin.init(params)
    traces: list[int] = []

    @partial(mx.compile, inputs=rule.state, outputs=rule.state)
    def step(grads: Any) -> Any:
        traces.append(1)
        return rule.apply_gradients(for_rule(rule, grads), params)

    for i, rate in enumerate((0.25, 0.5, 0.75)):
        rule.learning_rate = twin.learning_rate = rate
        grads = gradients(params, i)
        assert_close(step(grads), twin.apply_gradients(for_rule(twin, grads), params), ULPS)
    assert len(traces) <= 2  # SGD makes its buffers in the first


def test_a_step_that_captures_the_state_as_an_input_alone():
    """A rule that keeps nothing of the parameters goes by the rate of the moment then, too."""
    rule, params = optimizers.SGD(1.0), {"w": mx.full((5, 5), 3.0)}
    step = mx.compile(lambda grads: rule.apply_gradients(grads, params), inputs=rule.state)
    assert_same(step(ones(params)), {"w": mx.full((5, 5), 2.0)})
    rule.learning_rate = 2.0
    assert_same(step(ones(params)), {"w": mx.full((5, 5), 1.0)})


# Schedules -----------------------------------------------------------------------------------------------------------


def test_the_schedules_are_where_mlx_has_them():
    from torchish_mlx.optimizers.schedulers import cosine_decay, join_schedules  # noqa: PLC0415 - the spelling matters

    assert cosine_decay is optimizers.cosine_decay is native.schedulers.cosine_decay
    assert join_schedules is optimizers.schedulers.join_schedules
    assert set(optimizers.schedulers.__all__) <= set(optimizers.__all__)
    theirs = {name for name, value in vars(native.schedulers).items() if inspect.isfunction(value)}
    assert set(optimizers.schedulers.__all__) == theirs


def warmup_and_cosine() -> Callable[[Any], mx.array]:
    schedulers = optimizers.schedulers
    return schedulers.join_schedules(
        [schedulers.linear_schedule(0.0, 1e-3, 100), schedulers.cosine_decay(1e-3, 100)], [101]
    )


def test_joined_schedules():
    """Each from its boundary on, counted from there; as many boundaries as there are joints."""
    schedule = optimizers.schedulers.join_schedules([lambda _: 3, lambda _: 4, lambda s: 10 + s], [2, 4])
    assert [schedule(i).item() for i in range(7)] == [3, 3, 4, 4, 10, 11, 12]
    with pytest.raises(ValueError, match=r"boundar"):
        optimizers.schedulers.join_schedules([lambda _: 3, lambda _: 4], [1, 2])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("case", [case for case in RULES if case != "SparseAdam"])  # torch's takes no rate of 0
def test_empty_updates_follow_a_schedule(case, compiled):
    """Warm-up and cosine, over 150 updates of nothing, eagerly and in a compiled step that captures the state."""
    schedule = warmup_and_cosine()
    rule = build(case, learning_rate=schedule)
    step = lambda: rule.update({}, {})  # noqa: E731
    if compiled:
        step = mx.compile(step, inputs=rule.state, outputs=rule.state)
    for i in range(150):
        step()
        if i in (0, 1, 50, 100, 101, 149):
            rate = i * 1e-5 if i <= 100 else 1e-3 * 0.5 * (1 + math.cos(math.pi * (i - 101) / 100))
            assert rule.learning_rate.item() == pytest.approx(rate, rel=1e-5, abs=1e-12)
            assert rule.learning_rate.item() == pytest.approx(schedule(i).item(), rel=1e-6)
    assert rule.step.item() == 150


@every_rule
def test_a_decaying_rate_with_gradients(case):
    """After each step the rate is the one that the step was made with."""
    rule, params = build(case, learning_rate=optimizers.step_decay(0.1, 0.9, 1)), net(case).parameters()
    for i in range(6):
        rule.apply_gradients(for_rule(rule, ones(params)), params)
        assert rule.learning_rate.item() == pytest.approx(0.1 * 0.9**i, abs=1e-7)


# Saved and loaded ----------------------------------------------------------------------------------------------------


class Holes(nn.Module):
    """Layers by name and in a list, which ends with some that have no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2, bias=False)
        self.drop = nn.Dropout(0.5)
        self.rest = [nn.Linear(2, 2, bias=False), nn.ReLU(), nn.ReLU()]


@pytest.mark.parametrize("steps", [0, 2])
@every_rule
def test_a_state_that_was_flattened(case, steps):
    """``tree_flatten`` drops the places of layers without parameters; the next update goes on all the same."""
    rule, model = build(case), Holes()
    rule.init(model.trainable_parameters())
    for i in range(steps):
        rule.update(model, for_rule(rule, gradients(model, i)))
    other, twin = build(case), Holes()
    twin.update(model.parameters())
    other.state = tree_unflatten(tree_flatten(rule.state))
    for i in range(steps, steps + 2):
        rule.update(model, for_rule(rule, gradients(model, i)))
        other.update(twin, for_rule(other, gradients(twin, i)))
    assert_same(model, twin)
    assert_same(rule.state, other.state)


# MultiOptimizer ------------------------------------------------------------------------------------------------------


def test_several_optimizers_over_a_model_with_layers_without_parameters():
    """Matrices under Adam, the rest under SGD; each holds the slots of its own."""
    model = Holes()
    model.first, model.rest[0] = nn.Linear(2, 2), nn.Linear(2, 2)
    adam, sgd = optimizers.Adam(learning_rate=0.001), optimizers.SGD(learning_rate=0.1, momentum=0.9)
    both = native.MultiOptimizer([adam, sgd], [lambda path, weight: weight.ndim > 1])
    grads = gradients(model, 0)
    before = flat(model)
    both.update(model, grads)
    assert [set(slots(one)) for one in (adam, sgd)] == [
        {f"{at}.weight.{name}" for at in ("first", "rest.0") for name in ("exp_avg", "exp_avg_sq")},
        {f"{at}.bias.momentum_buffer" for at in ("first", "rest.0")},
    ]
    assert all((flat(model)[path] != value).all() for path, value in before.items())
    assert len(both.state["states"]) == 2
