"""Arguments that are mixed up: the message says what was given, what is taken and what to write."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import RULES, assert_same, flat
from tests.each import each
from torchish_mlx import optim
from torchish_mlx import optimizers as rules
from torchish_mlx.optim import lr_scheduler

ADAPTERS = [
    name
    for name in optim.__all__
    if isinstance(getattr(optim, name), type) and name not in ("Optimizer", "MultiOptimizer")
]
NAMES = sorted({name for name, _ in RULES.values()})


def model() -> nn.Module:
    return nn.Linear(2, 2, bias=False)


def read() -> Any:
    """A generator that was read before."""
    generator = torch.parameters(model())
    list(generator)
    return generator


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADAPTERS)
def test_learning_rate_is_lr_in_optim(name):
    """In torch's words after Python's own, with all names that are taken."""
    with pytest.raises(
        TypeError, match=r"'(learning_rate|lr)': in torchish_mlx.optim the learning rate is called lr.*takes params, lr"
    ):
        getattr(optim, name)(model(), learning_rate=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_lr_is_learning_rate_in_optimizers(name):
    with pytest.raises(TypeError, match=r"'lr': in torchish_mlx.optimizers the learning rate is called learning_rate"):
        getattr(rules, name)(lr=0.1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"momentum": 0.9}, r"'momentum': what is called momentum elsewhere is the first of betas"),
        ({"wd": 0.1}, "'wd': it is called weight_decay here"),
        ({"beta1": 0.1}, "'beta1': it is called betas here"),
        ({"epsilon": 0.1}, "'epsilon': it is called eps here"),
        ({"weigth_decay": 0.1}, "'weigth_decay': weight_decay may be meant"),
        ({"warmup": 3}, r"'warmup'\. Adam takes "),
    ],
)
def test_names_that_are_not_taken(options, match):
    for call in (lambda: optim.Adam(model(), **options), lambda: rules.Adam(**options)):
        with pytest.raises(TypeError, match=match):
            call()


def test_a_constructor_of_ones_own_says_what_python_says():
    class Mine(optim.Adam):
        def __init__(self, params: Any, rate: float) -> None:
            super().__init__(params, lr=rate)

    with pytest.raises(TypeError, match=r"unexpected keyword argument 'learning_rate'$"):
        Mine(model(), learning_rate=0.1)


def test_an_error_inside_a_constructor_stays_what_it_is():
    with pytest.raises(TypeError, match=r"^'int' object is not iterable$"):
        optim.Adam([{"params": 3}], lr=0.1)


# Parameters -----------------------------------------------------------------------------------------------------------


@each("name", ADAPTERS)
@each(
    ("params", "error", "match"),
    [
        (lambda: 0.001, TypeError, r"'float' object is not iterable: the parameters come first.*lr=0.001\)"),
        (lambda: model().parameters, TypeError, r"'method' object is not iterable: give the model itself"),
        (lambda: torch.parameters, TypeError, r"'function' object is not iterable: call it, or give the model itself"),
        (lambda: nn.Linear, TypeError, "'type' object is not iterable: it is a class; give an instance"),
        (lambda: np.ones(2), TypeError, r"one of the params is numpy.float64: make it a torchish_mlx.Parameter"),
        (lambda: [np.ones(2)], TypeError, r"one of the params is numpy.ndarray: make it a torchish_mlx.Parameter"),
        (lambda: rules.Adam(), TypeError, "an optimizer is made of a model or of parameters"),
        (lambda: optim.Adam(model()), TypeError, "an optimizer is made of a model or of parameters"),
        (read, ValueError, "empty parameter list: a generator gives its parameters once, and this one was read before"),
    ],
)
def test_what_is_no_parameters(name, params, error, match):
    with pytest.raises(error, match=match):
        getattr(optim, name)(params(), lr=0.1)


def test_swapped_arguments():
    """The rate is met first, and says that the parameters are."""
    for rate in (model(), model().parameters(), torch.parameters(model()), list(torch.parameters(model()))):
        with pytest.raises(TypeError, match=r"lr is .*, where a number is wanted: the parameters come first"):
            optim.AdamW(1e-3, rate)


@each("name", NAMES)
@each(
    "given",
    [
        lambda: model(),
        lambda: model().parameters(),
        lambda: model().parameters,
        lambda: torch.parameters(model()),
        lambda: list(torch.parameters(model())),
        lambda: [{"params": model()}],
    ],
)
def test_a_rule_takes_no_parameters(name, given):
    match = rf"learning_rate is .*take no parameters: construct optimizers.{name}\(.*or use optim.{name}\(model"
    for call in (
        lambda: getattr(rules, name)(given()),
        lambda: getattr(rules, name)(given(), lr=0.1),
        lambda: getattr(rules, name)(given(), 0.1),
        lambda: getattr(rules, name)(learning_rate=given()),
    ):
        with pytest.raises(TypeError, match=match):
            call()
    with pytest.raises(TypeError, match=r"'params': the classes of torchish_mlx.optimizers take no parameters"):
        getattr(rules, name)(params=given())


# Numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"lr": "1e-3"}, TypeError, r"lr is the string '1e-3', where a number is wanted: give float\('1e-3'\)"),
        ({"eps": "1e-8"}, TypeError, "eps is the string '1e-8'"),
        ({"betas": ("0.9", 0.99)}, TypeError, r"betas\[0\] is the string '0.9'"),
        ({"betas": 0.9}, ValueError, r"betas takes 2 numbers, such as \(0.9, 0.999\), but got 0.9"),
        ({"lr": None}, TypeError, "lr is None, where a number is wanted"),
        ({"lr": [0.1]}, TypeError, "lr is a list, where a number is wanted"),
        ({"lr": 1j}, TypeError, "lr is the number 1j, where a number is wanted"),
        ({"lr": float}, TypeError, "lr is the class float, where a number is wanted"),
        ({"weight_decay": {}}, TypeError, "weight_decay is a dict"),
    ],
)
def test_what_is_no_number(options, error, match):
    with pytest.raises(error, match=match):
        optim.AdamW(model(), **options)
    options = {"learning_rate" if name == "lr" else name: value for name, value in options.items()}
    with pytest.raises(error, match=match.replace("lr is", r"(lr|learning_rate) is")):
        rules.AdamW(**options)


def test_a_scheduler_is_no_rate():
    scheduler = lr_scheduler.StepLR(optim.SGD(model(), lr=0.1), 10)
    for call in (lambda: optim.SGD(model(), lr=scheduler), lambda: rules.SGD(scheduler)):
        with pytest.raises(
            TypeError, match="is a scheduler, where a number is wanted: construct the optimizer with a number"
        ):
            call()


def test_adafactors_pair():
    for make in (lambda eps: optim.Adafactor(model(), eps=eps), lambda eps: rules.Adafactor(eps=eps)):
        make((None, 1e-3))
        with pytest.raises(ValueError, match="eps takes 2 numbers"):
            make(1e-3)
        with pytest.raises(TypeError, match=r"eps\[1\] is the string"):
            make((None, "1e-3"))


@pytest.mark.parametrize("value", [np.float32(0.1), np.array(0.1), mx.array(0.1), True, 1])
def test_what_is_a_number(value):
    assert optim.SGD(model(), lr=value).learning_rate.item() == pytest.approx(float(value))
    assert rules.SGD(value).learning_rate.item() == pytest.approx(float(value))


def test_a_method_may_be_a_schedule():
    class Warmup:
        def rate(self, step: mx.array) -> mx.array:
            return 0.1 * step

    assert rules.SGD(Warmup().rate).learning_rate.item() == 0
    assert optim.SGD(model(), lr=Warmup().rate).param_groups[0]["lr"] == 0


# from_mlx, schedulers, calls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (lambda: native.Adam(0.1), r"an instance: give its class.*from_mlx\(Adam\)\(model, lr=1e-3\)"),
        (lambda: rules.SGD(0.1), r"an instance: give its class"),
        (lambda: native.MultiOptimizer([native.SGD(0.1)]), r"an instance: optim.MultiOptimizer\(model"),
        (lambda: optim.Adam, "has torch's API already"),
        (lambda: "Adam", "takes a subclass of mlx.optimizers.Optimizer, but got 'Adam'$"),
        (model, "takes a subclass of mlx.optimizers.Optimizer, but got Linear"),
    ],
)
def test_from_mlx_takes_a_class(given, match):
    with pytest.raises(TypeError, match=match):
        optim.from_mlx(given())


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (model, r"Linear is not an Optimizer: it is a model. Make an optimizer of it"),
        (lambda: rules.Adam(), "it is one of MLX's, which take a function as learning_rate"),
        (lambda: optim.SGD, r"it is a class. Construct it, SGD\(model"),
        (lambda: 10, r"it is the number 10. The optimizer comes first"),
        (lambda: rules.cosine_decay(0.1, 5), "it is the function schedule. The optimizer comes first"),
    ],
)
def test_a_scheduler_takes_an_optimizer(given, match):
    for call in (
        lambda: lr_scheduler.StepLR(given(), 10),
        lambda: lr_scheduler.ReduceLROnPlateau(given()),
        lambda: optim.swa_utils.SWALR(given(), 0.1),
    ):
        with pytest.raises(TypeError, match=match):
            call()


@pytest.mark.parametrize("make", [lambda m: optim.SGD(m, lr=0.1), lambda m: rules.SGD(0.1)], ids=["adapter", "rule"])
def test_update_takes_the_model_first(make):
    """The other way round a step was made of the tree, in silence."""
    m = model()
    optimizer, grads, before = make(m), m.parameters(), flat(m)
    with pytest.raises(
        TypeError, match=r"gradients is a module \(Linear\) and model is a dict: update\(model, gradients\)"
    ):
        optimizer.update(grads, m)
    with pytest.raises(TypeError, match=r"a pair of a number and a tree, which nn.value_and_grad gives"):
        optimizer.update(m, (mx.array(1.0), grads))
    assert_same(m, before)


def test_step_takes_a_function():
    optimizer = optim.SGD(model(), lr=0.1)
    for given in (model().parameters(), mx.array(1.0)):
        with pytest.raises(TypeError, match=r"closure is a .*gradients goes to optimizer.update\(model, gradients\)"):
            optimizer.step(given)
