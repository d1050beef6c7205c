"""Bad input: an error that says what was given and what to do, with parameters, state and groups as they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import pytest

import torchish_mlx as torch
from tests.cases import RULES, Net, assert_same, build, flat, for_rule, gradients, inputs, net, squared_error
from tests.each import each
from tests.refused import NAN, SIDES, assert_equal, make, refused
from torchish_mlx import optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optimizers._hyper import Static

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
        assert list(rule.state) == ["step", "learning_rate", "_groups"]


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
        assert list(rule.state) == ["step", "learning_rate", "_groups"]
        assert rule.step.item() == 0


def all_adapters() -> list[str]:
    return [
        name
        for name in optim.__all__
        if isinstance(getattr(optim, name), type) and name not in ("Optimizer", "MultiOptimizer")
    ]


@each("name", all_adapters())
@each(
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
                    yield name, argument, value


@each(("name", "argument", "value"), list(bad_values()))
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
    match = (
        r"is a schedule, where a number is wanted.*FromSchedule\(optimizer, schedule\).*write the number in the loop"
    )
    with pytest.raises(TypeError, match="momentum " + match):
        rules.SGD(0.1, momentum=schedule)
    with refused(TypeError, "lr " + match, rule, model):
        rule.learning_rate = schedule
    with refused(TypeError, "lr " + match, adapter, model):
        adapter.learning_rate = schedule
    with refused(TypeError, "lr " + match, adapter, model):
        adapter.param_groups[0]["lr"] = schedule


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


@pytest.mark.parametrize("cls", [rules.Adam, rules.AdamW])
def test_training_without_bias_correction(cls):
    """MLX's argument is taken where it says what torch does; without correction it is another optimizer."""
    cls(learning_rate=0.1, bias_correction=True)
    with pytest.raises(ValueError, match=r"optim\.from_mlx\(mlx\.optimizers\.Adam\)"):
        cls(learning_rate=0.1, bias_correction=False)
