"""Bad input: an error that says what was given and what to do, with parameters, state and groups as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import RULES, Net, assert_same, build, flat, for_rule, gradients, inputs, net, saved, squared_error
from torchish_mlx import optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optimizers._hyper import Static

NAN = float("nan")
SIDES = ["rule", "adapter"]


def adapted(case: str, params: Any, **changes: Any) -> Any:
    """The adapter of a row of the table of rules."""
    name, kwargs = RULES[case]
    kwargs = {"lr" if key == "learning_rate" else key: value for key, value in {**kwargs, **changes}.items()}
    return getattr(optim, name)(params, **kwargs)


def make(side: str, case: str, model: nn.Module) -> Any:
    """An optimizer that has taken two steps on ``model``, with a gradient in every Parameter."""
    optimizer = build(case) if side == "rule" else adapted(case, model)
    rule = optimizer if side == "rule" else optimizer.rule
    for i in range(2):
        optimizer.update(model, for_rule(rule, gradients(model, i)))
    for path, p in torch.named_parameters(model):
        p.grad = mx.full(p.shape, float(len(path)))
    return optimizer


def everything(optimizer: Any, model: nn.Module) -> dict[str, Any]:
    """Copies of all that must not change."""
    seen: dict[str, Any] = {
        "parameters": flat(model),
        "grads": {path: np.array(p.grad.array) for path, p in torch.named_parameters(model)},
        "state": flat(optimizer.state),
    }
    if isinstance(optimizer, optim.Optimizer):
        seen["groups"] = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        seen["params"] = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
        seen["entries"] = {
            path: {k: np.array(v) for k, v in optimizer.state[p].items()} for path, p in torch.named_parameters(model)
        }
    else:
        seen["values"] = dict(optimizer.values)
    return seen


def assert_equal(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, tuple):
        a, b = dict(enumerate(a)), dict(enumerate(b))
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key, value in a.items():
            assert_equal(value, b[key], f"{where}.{key}")
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, err_msg=where, strict=True)
    else:
        assert a == b, where


@contextmanager
def refused(error: type[Exception], match: str, optimizer: Any, model: nn.Module) -> Iterator[None]:
    """The error comes, and nothing has changed; the state and its dicts are the same objects."""
    before, identities = everything(optimizer, model), [id(optimizer.state), *map(id, optimizer.state.values())]
    with pytest.raises(error, match=match):
        yield
    assert_equal(before, everything(optimizer, model))
    assert identities == [id(optimizer.state), *map(id, optimizer.state.values())]


# Gradients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", RULES)
@pytest.mark.parametrize("side", SIDES)
def test_gradient_of_another_shape(side, case):
    model = net(case)
    optimizer = make(side, case, model)
    grads = gradients(model, 5)
    grads["step"] = mx.ones((3, 1))
    grads = for_rule(optimizer if side == "rule" else optimizer.rule, grads)
    with refused(
        ValueError, r"gradient of 'step' has shape \(3, 1\), but the parameter has shape \(1, 3\)", optimizer, model
    ):
        optimizer.update(model, grads)


@pytest.mark.parametrize("case", [case for case in RULES if case != "SparseAdam"])
def test_parameter_that_changed_its_shape_after_backward(case):
    model = net(case)
    optimizer = make("adapter", case, model)
    model.step = mx.ones((2, 3))
    with refused(ValueError, r"'step' has shape \(1, 3\), but the parameter has shape \(2, 3\)", optimizer, model):
        optimizer.step()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("grads", "error", "match"),
    [
        ({"stepp": mx.ones((1, 3))}, ValueError, r"'stepp', but no such parameter; .* has the names .*'step'"),
        (
            {"layers": [{"weights": mx.ones((4, 3))}]},
            ValueError,
            r"'layers.0.weights', but no such parameter; layers.0 has",
        ),
        (
            {"layers": [{}, {}, {}, {"weight": mx.ones((4, 3))}]},
            ValueError,
            r"'layers.3', but no such parameter; layers has 3",
        ),
        (
            {"step": {"weight": mx.ones((1, 3))}},
            ValueError,
            r"'step' has the names \['weight'\], but .* array of shape \(1, 3\)",
        ),
        ({"step": [mx.ones((3,))]}, ValueError, r"'step' has 1 entries, but the parameter is an array"),
        ({"layers": mx.ones((4, 3))}, ValueError, r"'layers' is an array of shape \(4, 3\), where .* 3 entries"),
        (mx.ones((4, 3)), ValueError, r"the tree of gradients is an array of shape \(4, 3\), where .* the names"),
        (None, ValueError, r"the tree of gradients is a NoneType"),
        ({"step": "0.1"}, TypeError, r"gradient of 'step' must be an mx.array, but is str"),
        ({"step": None}, TypeError, r"gradient of 'step' must be an mx.array, but is NoneType"),
        ({"step": [[0.0, 0.0, 0.0]]}, ValueError, r"'step' has 1 entries"),
    ],
    ids=str,
)
def test_gradient_tree_that_does_not_fit(side, grads, error, match):
    model = Net()
    optimizer = make(side, "AdamW", model)
    with refused(error, match, optimizer, model):
        optimizer.update(model, grads)
    with refused(error, match, optimizer, model):
        optimizer.apply_gradients(grads, model.parameters())


def test_gradient_of_a_parameter_that_the_optimizer_does_not_hold():
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    small = optim.AdamW(model.layers[0])
    with refused(
        ValueError,
        r"gradient for 'layers.2.weight', which this optimizer does not hold; it holds 'weight', 'bias'",
        small,
        model.layers[0],
    ):
        small.update(model, gradients(model, 0))
    with refused(ValueError, r"'other'", optimizer, model):
        optimizer.init({"other": mx.ones((2,))})
    with refused(ValueError, r"'0'", optimizer, model):
        optimizer.apply_gradients([mx.ones((2,))], [mx.ones((2,))])


@pytest.mark.parametrize("side", SIDES)
def test_the_last_of_several_gradients_is_checked_before_the_first_is_applied(side):
    model = Net()
    optimizer = make(side, "SGD-momentum", model)
    grads = gradients(model, 0)
    grads["extra"]["gain"] = mx.ones((3,))
    with refused(ValueError, r"'extra.gain' has shape \(3,\)", optimizer, model):
        optimizer.update(model, grads)


def test_a_bad_gradient_of_the_second_group_leaves_the_first_as_it_is():
    model = Net()
    optimizer = optim.Adam([{"params": model.layers[0]}, {"params": model.layers[2]}])
    torch.backward(model, squared_error, inputs())
    optimizer.step()
    p = next(torch.parameters(model.layers[2]))
    p.grad = rules.RowSparse(mx.array([0]), mx.ones((1, 4)), (3, 4))
    before = flat(model), flat(optimizer.state)
    with pytest.raises(
        RuntimeError, match="Adam does not support sparse gradients, please consider SparseAdam instead"
    ):
        optimizer.step()
    assert_equal(before, (flat(model), flat(optimizer.state)))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("case", [case for case in RULES if RULES[case][0] not in ("SparseAdam", "SGD", "Adagrad")])
def test_rows_for_a_rule_of_dense_gradients(side, case):
    model = net(case)
    optimizer = make(side, case, model)
    rows = rules.RowSparse(mx.array([0]), mx.ones((1, 3)), (1, 3))
    with refused(RuntimeError, "does not support sparse gradients", optimizer, model):
        optimizer.update(model, {"layers": [gradients(model, 0)["layers"][0]], "step": rows})


@pytest.mark.parametrize("side", SIDES)
def test_dense_gradients_for_a_rule_of_rows(side):
    model = net("SparseAdam")
    optimizer = make(side, "SparseAdam", model)
    with refused(RuntimeError, "does not support dense gradients, please consider Adam instead", optimizer, model):
        optimizer.update(model, gradients(model, 0))


@pytest.mark.parametrize(
    ("indices", "values", "shape"),
    [((2,), (3, 4), (5, 4)), ((2,), (2, 3), (5, 4)), ((2, 1), (2, 4), (5, 4))],
)
def test_rows_that_do_not_fit_together(indices, values, shape):
    with pytest.raises(ValueError, match="need indices of shape"):
        rules.RowSparse(mx.zeros(indices, mx.int32), mx.zeros(values), shape)


# Parameters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", RULES)
def test_parameters_that_can_not_be_trained(case):
    rule = build(case)
    for dtype, error in ((mx.complex64, RuntimeError), (mx.int32, TypeError), (mx.bool_, TypeError)):
        w = mx.ones((2, 3)).astype(dtype)
        with pytest.raises(error, match=rf"{type(rule).__name__} .*w"):
            rule.apply_gradients(for_rule(rule, {"w": mx.ones((2, 3))}), {"w": w})
        assert rule.step.item() == 0
        assert list(rule.state) == ["_groups"]


def test_muon_takes_matrices_only():
    message = r"Muon only supports 2D parameters whereas we found a parameter with size: \[4\]"
    model, rule = Net(), rules.Muon()
    for refused_call in (
        lambda: rule.init(model.parameters()),
        lambda: rule.update(model, gradients(model, 0)),
        lambda: optim.Muon(model),
    ):
        before = flat(model)
        with pytest.raises(ValueError, match=message):
            refused_call()
        assert_same(before, model)
        assert list(rule.state) == ["_groups"]
        assert rule.step.item() == 0


def all_adapters() -> list[str]:
    return [
        name
        for name in optim.__all__
        if isinstance(getattr(optim, name), type) and name not in ("Optimizer", "MultiOptimizer")
    ]


@pytest.mark.parametrize("name", all_adapters())
@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        (lambda m: [], ValueError, "empty parameter list"),
        (lambda m: iter(()), ValueError, "empty parameter list"),
        (lambda m: nn.ReLU(), ValueError, "empty parameter list"),
        (lambda m: m.parameters(), TypeError, "throw-away tree of arrays.*pass the model itself"),
        (lambda m: m.trainable_parameters(), TypeError, "throw-away tree of arrays.*pass the model itself"),
        (lambda m: {"params": m}, TypeError, 'list of dicts with a key "params"'),
        (lambda m: [{"params": m.parameters()}], TypeError, "throw-away tree of arrays.*pass the model itself"),
        (lambda m: m.weight, TypeError, "should be an iterable of Tensors or dicts, but got mlx.core.array"),
        (
            lambda m: next(torch.parameters(m)),
            TypeError,
            "should be an iterable of Tensors or dicts, but got .*Parameter",
        ),
        (lambda m: [m.weight], TypeError, "mlx.core.array, which has no identity to update: pass .*the model"),
        (
            lambda m: [{"params": m.weight}],
            TypeError,
            "mlx.core.array, which has no identity to update: pass .*the model",
        ),
        (lambda m: [("weight", m.weight)], TypeError, "mlx.core.array"),
        (lambda m: ["weight"], TypeError, "but one of the params is str"),
        (lambda m: [{"params": set(torch.parameters(m))}], TypeError, "ordering of tensors in sets"),
        (lambda m: [torch.Parameter(mx.ones((2, 2))) * 2], ValueError, "can't optimize a non-leaf Tensor"),
        (
            lambda m: [{"params": m}, {"params": m}],
            ValueError,
            "more than one parameter group|only allows? one|parameter groups",
        ),
    ],
)
def test_params_that_can_not_be_optimized(name, params, error, match):
    model = nn.Linear(3, 2, bias=False)
    before = flat(model)
    with pytest.raises(error, match=match):
        getattr(optim, name)(params(model), lr=0.1)
    assert_same(before, model)


def test_a_refused_group_is_not_added():
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    other = nn.Linear(2, 2)
    for group, error, match in (
        ({"params": other.parameters()}, TypeError, "throw-away tree"),
        ({"params": [other.weight]}, TypeError, "no identity"),
        (other, TypeError, "must be a dict"),
        ({"params": model.layers[0]}, ValueError, "more than one parameter group"),
        ({"params": other, "betas": (0.9,)}, ValueError, "betas takes 2 numbers"),
        ({"params": other, "lr": "0.1"}, ValueError, "str"),
    ):
        with refused(error, match, optimizer, model):
            optimizer.add_param_group(group)
    optimizer.add_param_group({"params": other})
    assert len(optimizer.param_groups) == 2


# Hyper-parameters ---------------------------------------------------------------------------------------------------

# Arguments whose sign means something, or that torch lets be anything: only nan is refused.
ANY_SIGN = {("SGD", "dampening"), ("ASGD", "lambd"), ("ASGD", "alpha"), ("ASGD", "t0"), ("Rprop", "step_sizes")}


def bad_values() -> Iterator[Any]:
    """(class, argument, value) for every number of every rule: nan and a negative one, and in each place of a tuple."""
    for name in sorted({name for name, _ in RULES.values()}):
        for argument, field in getattr(rules, name).fields().items():
            if isinstance(field, Static):
                continue
            for bad in (NAN, -0.5) if (name, argument) not in ANY_SIGN else (NAN,):
                bad = 0.5 if argument == "beta2_decay" and bad == -0.5 else bad  # the one that must be negative
                default = field.default
                values = [bad]
                if isinstance(default, tuple):
                    values = [(*default[:i], bad, *default[i + 1 :]) for i in range(len(default))]
                for value in values:
                    yield pytest.param(name, argument, value, id=f"{name}-{argument}-{value}")


@pytest.mark.parametrize(("name", "argument", "value"), list(bad_values()))
def test_numbers_out_of_range(name, argument, value):
    """Refused by both constructors, and by the setter of a rule, with the value in the message."""
    given = next(
        v for v in (value if isinstance(value, tuple) else (value,)) if (v is not None and not v >= 0) or v == 0.5
    )
    match = str(given)
    spelled = "learning_rate" if argument == "lr" else argument
    with pytest.raises(ValueError, match=match):
        getattr(rules, name)(**{spelled: value})
    p = torch.Parameter(mx.ones((2, 2)))
    with pytest.raises(ValueError, match=match):
        getattr(optim, name)([p], **{argument: value})
    case = next(case for case, (kind, _) in RULES.items() if kind == name)
    model = net(case)
    rule = make("rule", case, model)
    with refused(ValueError, match, rule, model):
        setattr(rule, spelled, value)


@pytest.mark.parametrize("value", [NAN, -1.0])
def test_learning_rate_out_of_range_on_mlx_side_of_an_adapter(value):
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    with refused(ValueError, f"Invalid learning rate: {value}", optimizer, model):
        optimizer.learning_rate = value


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("value", [mx.array([0.1, 0.2]), mx.zeros((0,))], ids=["two", "none"])
def test_a_rate_of_several_numbers(side, value):
    model = Net()
    optimizer = make(side, "AdamW", model)
    with refused(ValueError, "Tensor lr must be 1-element", optimizer, model):
        optimizer.learning_rate = value
    if side == "adapter":
        with refused(ValueError, "Tensor lr must be 1-element", optimizer, model):
            optimizer.param_groups[0]["lr"] = value


@pytest.mark.parametrize(
    ("key", "value", "error", "match"),
    [
        ("lr", "0.1", ValueError, "str"),
        ("lr", None, TypeError, "None"),
        ("betas", (0.9,), ValueError, r"betas takes 2 numbers, but got \(0.9,\)"),
        ("betas", (0.9, 0.99, 0.999), ValueError, "betas takes 2 numbers"),
        ("betas", ("a", "b"), ValueError, "str"),
        ("eps", [1e-8, 1e-8], ValueError, r"eps must be 1-element, but is \[1e-08, 1e-08\]"),
    ],
)
def test_a_group_refuses_what_is_no_number(key, value, error, match):
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    with refused(error, match, optimizer, model):
        optimizer.param_groups[0][key] = value


def test_a_schedule_where_a_number_is_wanted():
    schedule = rules.cosine_decay(0.1, 10)
    model = Net()
    rule, adapter = make("rule", "AdamW", model), make("adapter", "AdamW", model)
    match = "is a schedule, where a number is wanted.*write the number in the loop"
    with pytest.raises(TypeError, match="lr " + match):
        optim.AdamW(model, lr=schedule)
    with pytest.raises(TypeError, match="momentum " + match):
        rules.SGD(0.1, momentum=schedule)
    with refused(TypeError, "lr " + match, rule, model):
        rule.learning_rate = schedule
    with refused(TypeError, "lr " + match, adapter, model):
        adapter.learning_rate = schedule


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: rules.Adam(lr=0.1), "unexpected keyword argument 'lr'"),
        (lambda: rules.Adam(0.1, beta=(0.9, 0.9)), "unexpected keyword argument 'beta'"),
        (lambda: optim.from_mlx(mlx.optimizers.Adam(0.1)), "takes a subclass of mlx.optimizers.Optimizer, but got"),
        (lambda: optim.from_mlx(nn.Linear), "takes a subclass of mlx.optimizers.Optimizer, but got"),
    ],
)
def test_arguments_that_do_not_exist(call, match):
    with pytest.raises(TypeError, match=match):
        call()


# State --------------------------------------------------------------------------------------------------------------


def other_model() -> nn.Module:
    model = Net()
    model.step = mx.zeros((5, 3))
    return model


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        (lambda: 3, TypeError, "state is a dict of arrays, but got int"),
        (lambda: None, TypeError, "state is a dict of arrays, but got NoneType"),
        (lambda: [mx.ones(2)], TypeError, "state is a dict of arrays, but got list"),
        (lambda: {"step": mx.array(3)}, ValueError, "not the state of an optimizer with 1 parameter group"),
        (lambda: {"_groups": [3]}, ValueError, r"holds \[3\], expected"),
        (lambda: {"_groups": []}, ValueError, r"holds \[\], expected"),
        (lambda: {"_groups": {"lr": mx.array(0.1)}}, ValueError, "expected .*betas"),
        (lambda: mlx.optimizers.AdamW(0.1).state, ValueError, "holds None, expected .*betas"),
        (lambda: rules.SGD(0.1).state, ValueError, "holds .*dampening.*, expected .*betas"),
        (lambda: replaced("lr", 0.1), ValueError, "each a number"),
        (lambda: replaced("lr", mx.array([0.1, 0.2])), ValueError, "each a number"),
        (lambda: replaced("betas", [mx.array([0.1, 0.2])]), ValueError, "each a number"),
    ],
)
def test_state_that_is_none(side, state, error, match):
    model = Net()
    optimizer = make(side, "AdamW", model)
    with refused(error, match, optimizer, model):
        optimizer.state = state()


def replaced(name: str, value: Any) -> Any:
    state = saved(rules.AdamW(0.1).state)
    state["_groups"][0][name] = value
    return state


@pytest.mark.parametrize("case", [case for case in RULES if case != "SGD"])  # which keeps nothing per parameter
def test_state_of_another_model(case):
    """An adapter knows its parameters and refuses it; a rule alone meets them in its next step, and refuses that."""
    model, foreign = net(case), other_model() if case != "Muon" else None
    if foreign is None:
        foreign = net(case)
        foreign.step = mx.zeros((5, 3))
    state = saved(make("rule", case, foreign).state)
    adapter = make("adapter", case, model)
    match = r"loaded state of 'step' has .*\(5, [31]\).*saved for another model"
    if case.startswith("SGD"):
        match = r"loaded state of 'step' has {'momentum_buffer': \(5, 3\)}, but SGD keeps"
    with refused(ValueError, match, adapter, model):
        adapter.state = state
    rule = make("rule", case, model)
    rule.state = state
    for _ in range(2):
        with refused(ValueError, match, rule, model):
            rule.update(model, for_rule(rule, gradients(model, 0)))


def test_state_with_other_names():
    model, other = Net(), nn.Linear(3, 2)
    adapter = make("adapter", "AdamW", model)
    with refused(
        ValueError,
        "state is of a parameter 'weight', which this optimizer does not hold; it holds 'lay",
        adapter,
        model,
    ):
        adapter.state = saved(make("rule", "AdamW", other).state)


def test_state_of_another_kind_with_the_same_numbers():
    """Adam without amsgrad into Adam with it: the numbers have the same names, the slots do not."""
    model = Net()
    state = saved(make("rule", "Adam", model).state)
    optimizer = optim.Adam(model, amsgrad=True)
    for path, p in torch.named_parameters(model):
        p.grad = mx.full(p.shape, float(len(path)))
    optimizer.step()
    with refused(ValueError, "'max_exp_avg_sq': 'no entry'", optimizer, model):
        optimizer.state = state


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda d: d.pop("state"), "no 'state'"),
        (lambda d: d["param_groups"].append(d["param_groups"][0]), "different number of parameter groups"),
        (lambda d: d["param_groups"][0]["params"].pop(), "doesn't match the size of optimizer's group"),
        (lambda d: d["state"][0].pop("exp_avg"), r"parameter 0 .* lacks \['exp_avg'\]"),
        (lambda d: d["state"][0].update(exp_avg=torch.tensor([1.0])), r"'exp_avg' of shape \(1,\), expected"),
        (lambda d: d["param_groups"][0].pop("betas"), "betas"),
        (lambda d: d["param_groups"][0].update(lr="x"), "str"),
    ],
)
def test_state_dict_of_another_optimizer(spoil, match):
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    state_dict = optimizer.state_dict()
    state_dict["state"] = {i: dict(entries) for i, entries in state_dict["state"].items()}
    spoil(state_dict)
    with refused(ValueError, match, optimizer, model):
        optimizer.load_state_dict(state_dict)


def test_names_that_the_state_keeps_for_itself():
    with pytest.raises(ValueError, match="a parameter can't be named '_groups'"):
        rules.AdamW(0.1).init({"_groups": mx.ones(2)})


# Inside a traced step -----------------------------------------------------------------------------------------------


def test_a_group_assigned_inside_a_traced_step_is_refused_and_the_step_goes_on():
    """Caught inside the step: the number stays, the step is complete and compiled once."""
    model = Net()
    optimizer, caught = optim.AdamW(model, lr=0.01), []
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        try:
            optimizer.param_groups[0]["lr"] = 5.0
        except RuntimeError as error:
            caught.append(str(error))
        optimizer.update(model, grads)

    twin = Net()
    reference = optim.AdamW(twin, lr=0.01)
    compiled = mx.compile(step, inputs=state, outputs=state)
    for i in range(3):
        compiled(gradients(model, i))
        reference.update(twin, gradients(twin, i))
    assert len(caught) == 1
    assert "group['lr'] is assigned while the optimizer's state is traced" in caught[0]
    assert "assign it before the call" in caught[0]
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert optimizer.learning_rate.item() == np.float32(0.01)
    np.testing.assert_allclose(np.array(model.step), np.array(twin.step), rtol=1e-6)


def test_after_a_refusal_that_ends_a_pure_function_the_state_is_assigned_back():
    """The state that went in is the caller's own, and is assigned back."""
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    before = everything(optimizer, model)
    state = saved(optimizer.state)

    def step(params: Any, state: Any, grads: Any) -> Any:
        optimizer.state = state
        optimizer.param_groups[0]["betas"] = (0.5, 0.5)
        return optimizer.apply_gradients(grads, params), optimizer.state

    with pytest.raises(RuntimeError, match=r"group\['betas'\] is assigned while .* assign the returned state"):
        mx.compile(step)(model.trainable_parameters(), state, gradients(model, 0))
    optimizer.state = state
    assert_equal(before, everything(optimizer, model))
    optimizer.param_groups[0]["betas"] = (0.5, 0.5)
    optimizer.step()
    assert not np.array_equal(before["parameters"]["step"], flat(model)["step"])


def test_after_a_refusal_that_ends_a_captured_step_saved_state_goes_in():
    """mx.compile leaves placeholders in all that was captured when a function raises; what was saved replaces them."""
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    before = everything(optimizer, model)
    weights, state = saved(model.parameters()), saved(optimizer.state)
    captured = [model.state, optimizer.state]

    def step(grads: Any, lr: float | None = None) -> None:
        if lr is not None:
            optimizer.param_groups[0]["lr"] = lr
        optimizer.update(model, grads)

    compiled = mx.compile(step, inputs=captured, outputs=captured)
    with pytest.raises(RuntimeError, match=r"group\['lr'\] is assigned while"):
        compiled(gradients(model, 0), 5.0)
    model.update(weights)
    optimizer.state = state
    assert_equal(before, everything(optimizer, model))
    compiled(gradients(model, 0))
    twin = Net()
    reference = make("adapter", "AdamW", twin)
    reference.update(twin, gradients(twin, 0))
    np.testing.assert_allclose(np.array(model.step), np.array(twin.step), rtol=1e-6)


def test_an_entry_of_the_state_that_is_no_tensor_is_refused_inside_a_traced_step():
    model = Net()
    optimizer = make("adapter", "AdamW", model)
    p = next(torch.parameters(model))
    state = [model.state, optimizer.state]
    caught = []

    def step() -> None:
        try:
            optimizer.state[p]["seen"] = 3
        except RuntimeError as error:
            caught.append(str(error))

    mx.compile(step, inputs=state, outputs=state)()
    assert "state[p]['seen'] is set to int inside a traced step" in caught[0]
    assert "seen" not in optimizer.state[p]
    assert optimizer.state[p]["step"].item() == 2
