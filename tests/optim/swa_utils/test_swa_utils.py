"""Averaged models: what is averaged, on a copy of its own, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from tests.averaging import (
    FUNCTIONS,
    NEAR,
    Model,
    averaged,
    each_function,
    each_use_of_buffers,
    nothing_changes,
    plain,
    plain_lists,
    walk,
)
from tests.cases import assert_same, flat
from torchish_mlx import optim
from torchish_mlx.optim.swa_utils import (
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
)

# -- what is averaged ------------------------------------------------------------------------------------------------


@each_function
@each_use_of_buffers
def test_averages(name, use_buffers):
    """Ten models against a sum in double precision, frozen parameters among them; buffers averaged or as the last."""
    kwargs, weight_of = FUNCTIONS[name]
    model = Model()
    buffers = [path for path, _ in torch.named_buffers(model)]
    ema = AveragedModel(model, use_buffers=use_buffers, **kwargs)
    expected: dict[str, Any] = {}
    for i in range(10):
        walk(model, i)
        ema.update_parameters(model)
        share = 1.0 if i == 0 else weight_of(i)
        for path, value in flat(model).items():
            last = 1.0 if path in buffers and not use_buffers else share
            expected[path] = expected.get(path, 0) * (1 - last) + value.astype(np.float64) * last
    assert buffers == ["bn.running_mean", "bn.running_var"]
    assert ema.n_averaged.item() == 10
    found = flat(ema.module)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=NEAR, atol=NEAR, err_msg=path)


@each_function
def test_the_first_update_copies(name):
    """Whatever was there: also for a function that would divide by the number of models."""
    model = Model()
    ema = AveragedModel(model, **FUNCTIONS[name][0])
    walk(ema, 7)
    ema.n_averaged = mx.array(0)
    ema.update_parameters(model)
    assert_same(ema.module, model)


def test_the_function_gets_tensors():
    """No graph, n as a Tensor without dimensions; first called at the second update."""
    seen = []

    def avg_fn(average, weight, n):
        seen.append((type(average), type(weight), average.requires_grad, weight.requires_grad, n.shape, n.item()))
        return weight

    averaged(nn.Linear(2, 2, bias=False), updates=4, avg_fn=avg_fn)
    tensor = torch.Tensor
    assert seen == [(tensor, tensor, False, False, (), n) for n in (1, 2, 3)]


def test_the_lists_are_grouped_by_dtype():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.BatchNorm(2))
    model.layers[1].set_dtype(mx.bfloat16)
    seen = []

    def multi_avg_fn(averages, weights, n):
        seen.append([(a.dtype, tuple(a.shape)) for a in averages])
        assert seen[-1] == [(w.dtype, tuple(w.shape)) for w in weights]

    averaged(model, updates=2, multi_avg_fn=multi_avg_fn, use_buffers=True)
    wide, narrow = (mx.float32, (2,)), (mx.bfloat16, (2,))
    assert seen == [[(mx.float32, (2, 2)), wide, wide, wide, wide, wide], [narrow, narrow]]


def test_a_function_may_give_an_array():
    model = nn.Linear(2, 2)
    ema = averaged(model, avg_fn=lambda average, weight, n: mx.maximum(average.array, weight.array))
    before = flat(ema.module)
    walk(model, 9)
    ema.update_parameters(model)
    for path, value in flat(ema.module).items():
        np.testing.assert_array_equal(value, np.maximum(before[path], flat(model)[path]))


def test_packed_integers_are_copied():
    """A quantized layer: the mean of its words means nothing, and float32 would not hold them."""
    model = nn.Sequential(nn.QuantizedLinear(64, 8), nn.Linear(8, 2))
    ema = AveragedModel(model)
    for i in range(3):
        layer = nn.QuantizedLinear(64, 8)
        model.layers[0].weight = layer.weight
        walk(model.layers[1], i)
        ema.update_parameters(model)
    assert model.layers[0].weight.dtype == mx.uint32
    np.testing.assert_array_equal(np.array(ema.module.layers[0].weight), np.array(model.layers[0].weight))
    assert not np.array_equal(np.array(ema.module.layers[1].weight), np.array(model.layers[1].weight))


def test_averages_kept_in_float32_for_a_model_in_half_precision():
    model = nn.Linear(2, 2)
    model.set_dtype(mx.bfloat16)
    ema = AveragedModel(model, avg_fn=get_ema_avg_fn(0.999))
    ema.module.set_dtype(mx.float32)
    for i in range(3):
        walk(model, i)
        ema.update_parameters(model)
    assert ema.module.weight.dtype == mx.float32
    assert ema.module.weight.tolist() != ema.module.weight.astype(mx.bfloat16).astype(mx.float32).tolist()


def test_matched_by_name_where_the_names_are_the_same():
    model = nn.Linear(2, 2)
    other = nn.Linear(2, 2)
    other.pop("weight")
    other.weight = mx.full((2, 2), 3.0)  # now behind the bias
    ema = AveragedModel(model)
    ema.update_parameters(other)
    assert ema.module.weight.tolist() == [[3, 3], [3, 3]]


def test_a_wrapped_model():
    """It has other names: matched by order, as torch does."""
    model = Model()
    ema = AveragedModel(model)
    walk(model, 1)
    ema.update_parameters(nn.Sequential(model))
    assert_same(ema.module, model)


def test_forward():
    model = Model()
    ema = averaged(model, updates=1)
    model.eval()
    ema.eval()
    x = mx.random.normal((2, 5, 5, 1))
    assert ema(x).tolist() == model(x).tolist()
    assert ema(x=x).tolist() == model(x).tolist()


# -- a copy of its own ----------------------------------------------------------------------------------------------


def test_the_copy_is_independent_of_the_model_and_its_optimizer():
    model = Model()
    optimizer = optim.AdamW(model, lr=0.1)
    x = mx.random.normal((4, 5, 5, 1))
    torch.backward(model, lambda m, x: m(x).square().mean(), x)
    optimizer.step()
    ema = AveragedModel(model)
    theirs = {id(p) for p in torch.parameters(model)}
    mine = list(torch.parameters(ema))
    assert not theirs & {id(p) for p in mine}
    assert all(p.grad is None for p in mine)
    assert all(p.grad is not None for p in torch.parameters(model) if p.requires_grad)
    with nothing_changes(ema):
        torch.backward(model, lambda m, x: m(x).square().mean(), x)
        optimizer.step()
        assert all(p.grad is None for p in mine)
    with nothing_changes(model):
        walk(ema, 3)
    ema.module.freeze()
    assert any(p.requires_grad for p in torch.parameters(model))
    assert ema.module.again is ema.module.head
    assert [p.requires_grad for p in torch.parameters(AveragedModel(model))] == [
        p.requires_grad for p in torch.parameters(model)
    ]


def test_a_gradient_with_a_graph_is_no_obstacle():
    model = nn.Linear(2, 2)
    weight = next(torch.parameters(model))
    weight.grad = torch.ones(2, 2, requires_grad=True) * 2
    assert weight.grad.grad_fn is not None
    assert_same(AveragedModel(model).module, model)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"avg_fn": lambda a, w, n: w},
        {"multi_avg_fn": lambda a, w, n: (a[0].copy_(w[0]), a[1].copy_(w[1]))},
        {"multi_avg_fn": lambda a, w, n: (setattr(a[0], "array", w[0].array), setattr(a[1], "data", w[1]))},
    ],
)
def test_an_array_changed_in_place_changes_one_model(kwargs):
    model = nn.Linear(2, 2)
    ema = averaged(model, updates=2, **kwargs)
    with nothing_changes(ema):
        model.weight += 1
        model.bias[0] = 7
    with nothing_changes(model):
        ema.module.weight += 1
        ema.module.bias[0] = 9
    other = AveragedModel(model)
    other.load_state_dict(ema.state_dict())
    with nothing_changes(ema):
        other.module.weight += 1
        other.n_averaged += 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda ema: pickle.loads(pickle.dumps(ema))])
def test_copies_and_pickles(copied):
    model = Model()
    ema = averaged(model)
    other = copied(ema)
    assert_same(other, ema)
    walk(model, 5)
    with nothing_changes(ema):
        other.update_parameters(model)
    ema.update_parameters(model)
    assert_same(other, ema)
    other.unfreeze()
    assert "n_averaged" not in other.trainable_parameters()


# -- bad input ------------------------------------------------------------------------------------------------------


def test_bad_arguments():
    model = nn.Linear(2, 2)
    with pytest.raises(AssertionError, match=r"^Only one of avg_fn and multi_avg_fn should be provided$"):
        AveragedModel(model, avg_fn=plain, multi_avg_fn=plain_lists)
    for decay in (-0.1, 1.1, float("nan")):
        for get in (get_ema_avg_fn, get_ema_multi_avg_fn):
            with pytest.raises(ValueError, match=r"provided\. Please provide a value in \[0,1\] range\.$"):
                get(decay)
    with pytest.raises(TypeError, match=r"^AveragedModel\(\) takes an mlx.nn.Module, not dict$"):
        AveragedModel(model.parameters())
    with pytest.raises(AssertionError, match="not compiled with XPU"):
        AveragedModel(model, device="xpu")
    assert_same(AveragedModel(model, device="cpu").module, model)


@pytest.mark.parametrize("updates", [0, 2])
@pytest.mark.parametrize(
    ("other", "error", "match"),
    [
        (lambda: nn.Linear(3, 2), ValueError, r"weight of shape \(2, 2\) would take weight of shape \(2, 3\)"),
        (lambda: nn.Linear(2, 2, bias=False), ValueError, r"it lacks \['bias'\]"),
        (lambda: nn.QuantizedLinear(64, 2), ValueError, r"it has \['scales', 'biases'\]"),
        (lambda: nn.BatchNorm(2, affine=False), ValueError, "would take running_mean"),
        (lambda: {"weight": mx.ones((2, 2))}, TypeError, r"update_parameters\(\) takes an mlx.nn.Module, not dict"),
    ],
)
def test_another_model(updates, other, error, match):
    ema = averaged(nn.Linear(2, 2), updates)
    with nothing_changes(ema), pytest.raises(error, match=match):
        ema.update_parameters(other())


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"avg_fn": lambda a, w, n: None}, TypeError, "must be Tensor, not NoneType"),
        ({"avg_fn": lambda a, w, n: w if w.ndim == 2 else 1 / 0}, ZeroDivisionError, "division by zero"),
        (
            {"avg_fn": lambda a, w, n: torch.ones(5)},
            RuntimeError,
            r"size of tensor a \(2\) must match the size of tensor b \(5\)",
        ),
        ({"multi_avg_fn": lambda a, w, n: (a[0].zero_(), a[9])}, IndexError, "out of range"),
        ({"multi_avg_fn": lambda a, w, n: setattr(a[0], "array", mx.ones(7))}, ValueError, "its values only"),
    ],
)
def test_a_function_that_fails_changes_nothing(kwargs, error, match):
    model = nn.Linear(2, 2)
    ema = averaged(model, updates=1, **kwargs)
    walk(model, 5)
    with nothing_changes(ema), pytest.raises(error, match=match):
        ema.update_parameters(model)
