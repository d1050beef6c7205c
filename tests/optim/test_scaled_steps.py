"""``grad_scale`` and ``found_inf`` with ``fused=True``: gradients that are divided, steps that change nothing."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.cases import Net, inputs, squared_error
from torchish_mlx import optim
from torchish_mlx.amp import GradScaler

CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("Adagrad", {"lr_decay": 0.1}),
]
cases = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
KINDS = pytest.mark.parametrize("kind", [mx.array, torch.tensor, float], ids=["array", "Tensor", "number"])


def trained(name: str, options: Any, scales: list[float], found: list[int], kind: Any = mx.array) -> Any:
    """Values and state after steps on gradients that are scaled by ``scales``, without those that ``found`` leaves out.

    With ``kind`` None the gradients are as they are, and the steps are not made.
    """
    params = [torch.Parameter(mx.array([1.0, -2.0])), torch.Parameter(mx.full((3, 2), 0.5))]
    optimizer = getattr(optim, name)(params, lr=0.1, fused=True, **options)
    rng = np.random.default_rng(0)
    for scale, infinite in zip(scales, found, strict=True):
        for p in params:
            p.grad = mx.array(rng.standard_normal(p.shape).astype("f4") * (1.0 if kind is None else scale))
        if kind is not None:
            optimizer.grad_scale, optimizer.found_inf = kind(scale), kind(float(infinite))
        elif infinite:
            continue
        optimizer.step()
    return [p.tolist() for p in params], [state_of(optimizer.state[p]) for p in params]


def state_of(entries: Any) -> dict[str, Any]:
    return {name: value.tolist() for name, value in entries.items() if value is not None}


@KINDS
@cases
@pytest.mark.parametrize("found", [(0, 0, 0, 0), (1, 0, 1, 0), (0, 1, 1, 0)], ids=str)
def test_steps_are_those_without_scale_and_without_what_was_left_out(name, options, found, kind) -> None:
    scales = [4.0, 2.0**20, 0.5, 8.0]
    assert trained(name, options, scales, list(found), kind) == trained(name, options, scales, list(found), None)


@cases
def test_a_step_that_is_left_out_changes_nothing(name, options) -> None:
    model = Net()
    optimizer = getattr(optim, name)(model, lr=0.1, fused=True, **options)
    for i in range(3):
        torch.backward(model, squared_error, inputs(i))
        before = tree_flatten(model.parameters()), copy.deepcopy(optimizer.state_dict())
        optimizer.found_inf = mx.array(float(i != 1))
        optimizer.step()
        changed = [a is not b and not mx.array_equal(a, b) for (_, a), (_, b) in zip(
            tree_flatten(model.parameters()), before[0], strict=True)]  # fmt: skip
        assert any(changed) == (i == 1)
        if i == 2:
            now = optimizer.state_dict()["state"]
            assert {k: state_of(v) for k, v in now.items()} == {k: state_of(v) for k, v in before[1]["state"].items()}


def test_the_gradients_are_unscaled_afterwards_as_in_torch() -> None:
    p, q = torch.Parameter(mx.ones(2)), torch.Parameter(mx.ones(2))
    optimizer = optim.SGD([p, q], lr=0.0, fused=True)
    p.grad = q.grad = gradient = torch.tensor([8.0, 16.0])
    optimizer.grad_scale, optimizer.found_inf = mx.array(4.0), mx.array(1.0)
    optimizer.step()
    assert gradient.tolist() == [8.0, 16.0]
    optimizer.found_inf = mx.array(0.0)
    optimizer.step()
    assert p.grad is q.grad is gradient
    assert gradient.tolist() == [2.0, 4.0]


def test_gradients_of_half_precision_are_divided_in_float32() -> None:
    p = torch.Parameter(mx.zeros(1, mx.float16))
    optimizer = optim.SGD([p], lr=2.0**10, fused=True)
    p.grad = mx.full(1, 2.0**-20, mx.float16)
    optimizer.grad_scale = mx.array(2.0**10)  # 2 ** -30 is 0 in float16
    optimizer.step()
    assert p.tolist() == [-(2.0**-20)]
    assert (p.grad.dtype, p.grad.tolist()) == (mx.float16, [0.0])


def test_gradients_of_rows() -> None:
    p = torch.Parameter(mx.zeros((3, 2)))
    optimizer = optim.SGD([p], lr=1.0, fused=True)
    p.grad = torch.sparse_coo_tensor([[0, 2]], [[4.0, 4.0], [8.0, 8.0]], (3, 2))
    optimizer.grad_scale = mx.array(4.0)
    optimizer.step()
    assert p.tolist() == [[-1, -1], [0, 0], [-2, -2]]
    assert p.grad.values.tolist() == [[1, 1], [2, 2]]


def test_a_step_waits_for_neither_number(evaluations) -> None:
    model = Net()
    optimizer, scaler = optim.AdamW(model, lr=0.01, fused=True), GradScaler()
    for i in range(3):
        optimizer.zero_grad()
        torch.backward(model, lambda m, x: scaler.scale(squared_error(m, x)), inputs(i))
        evaluations.clear()
        scaler.step(optimizer)
        scaler.update()
        assert "eval" not in evaluations


# Inside a compiled step ----------------------------------------------------------------------------------------------


def by_update(model: nn.Module, optimizer: Any, loss_fn: Any, x: mx.array, scale: mx.array, found: mx.array) -> None:
    gradients = nn.value_and_grad(model, loss_fn)(model, x)[1]
    optimizer.grad_scale, optimizer.found_inf = scale, found
    try:
        optimizer.update(model, gradients)
    finally:
        del optimizer.grad_scale, optimizer.found_inf


def by_step(model: nn.Module, optimizer: Any, loss_fn: Any, x: mx.array, scale: mx.array, found: mx.array) -> None:
    optimizer.zero_grad()
    torch.backward(model, loss_fn, x)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(scale), torch.tensor(found)
    try:
        optimizer.step()
    finally:
        del optimizer.grad_scale, optimizer.found_inf


@pytest.mark.parametrize("how", [by_update, by_step])
@cases
def test_compiled_as_eager(name, options, how) -> None:
    if options.get("dampening"):
        options = {**options, "dampening": 0.0}  # test_a_first_step_with_dampening
    models = [Net(), Net()]
    models[1].update(models[0].parameters())
    optimizers = [getattr(optim, name)(model, lr=0.1, fused=True, **options) for model in models]
    captured = [models[1].state, optimizers[1].state]
    compiled = mx.compile(partial(how, models[1], optimizers[1], squared_error), inputs=captured, outputs=captured)
    for i, found in enumerate([1.0, 0.0, 1.0, 0.0]):
        how(models[0], optimizers[0], squared_error, inputs(i), mx.array(2.0), mx.array(found))
        compiled(inputs(i), mx.array(2.0), mx.array(found))
    for (path, a), (_, b) in zip(*(tree_flatten(model.parameters()) for model in models), strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-5, atol=1e-7, err_msg=path)
    for a, b in zip(*(torch.parameters(model) for model in models), strict=True):
        for key, value in state_of(optimizers[0].state[a]).items():
            np.testing.assert_allclose(optimizers[1].state[b][key].tolist(), value, rtol=1e-5, atol=1e-7, err_msg=key)


def test_a_whole_iteration_with_a_scaler_in_one_compiled_function() -> None:
    """Losses, gradients, the skipped step and the scale: as eager, in one trace after the first."""
    traces = []

    def made() -> Any:
        model = Net()
        return model, optim.AdamW(model, lr=0.01, fused=True), GradScaler(init_scale=2.0**10, growth_interval=2)

    def iteration(model: Any, optimizer: Any, scaler: Any, x: mx.array, factor: mx.array) -> None:
        traces.append(1)
        optimizer.zero_grad()
        torch.backward(model, lambda m, x: scaler.scale(squared_error(m, x) * factor), x)
        scaler.step(optimizer)
        scaler.update()

    eager, compiled = made(), made()
    compiled[0].update(eager[0].parameters())
    for run in (eager, compiled):
        iteration(*run, inputs(0), mx.array(1.0))  # makes the slots
    captured = [compiled[0].state, compiled[1].state, compiled[2].state]
    step = mx.compile(partial(iteration, *compiled), inputs=captured, outputs=captured)
    traces.clear()
    for i, factor in enumerate([1.0, float("inf"), 1.0, 1.0, 1.0]):
        iteration(*eager, inputs(i), mx.array(factor))
        step(inputs(i), mx.array(factor))
        assert compiled[2].state_dict() == eager[2].state_dict()
    assert len(traces) == 5 + 1
    assert eager[2].get_scale() == 2.0**11
    for (path, a), (_, b) in zip(*(tree_flatten(run[0].parameters()) for run in (eager, compiled)), strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-5, atol=1e-7, err_msg=path)


def test_a_number_that_would_be_a_constant_of_the_trace_is_refused() -> None:
    model = Net()
    optimizer = optim.AdamW(model, lr=0.1, fused=True)
    optimizer.found_inf = mx.array(0.0)
    captured = [model.state, optimizer.state]

    @partial(mx.compile, inputs=captured, outputs=captured)
    def step(x: mx.array) -> None:
        optimizer.update(model, nn.value_and_grad(model, squared_error)(model, x)[1])

    with pytest.raises(RuntimeError, match="found_inf is a constant inside a compiled step"):
        step(inputs(0))


@pytest.mark.parametrize(
    ("update_inside", "capture", "message"),
    [(True, False, "the scale is a constant inside"), (False, True, r"update\(\) is outside of it")],
)
def test_a_scaler_that_is_half_inside_is_refused(update_inside, capture, message) -> None:
    model = Net()
    optimizer, scaler = optim.AdamW(model, lr=0.1, fused=True), GradScaler()
    scaler.scale(mx.array(1.0))
    captured = [model.state, optimizer.state, *([scaler.state] if capture else [])]

    @partial(mx.compile, inputs=captured, outputs=captured)
    def step(x: mx.array) -> None:
        torch.backward(model, lambda m, x: scaler.scale(squared_error(m, x)), x)
        scaler.step(optimizer)
        if update_inside:
            scaler.update()

    def iteration() -> None:
        step(inputs(0))
        scaler.update()

    with pytest.raises(RuntimeError, match=message):
        iteration()


def test_a_first_step_with_dampening() -> None:
    """Whether the momentum buffer is there after a first step that may be left out is not known in a trace."""
    model = Net()
    optimizer = optim.SGD(model, lr=0.1, momentum=0.9, dampening=0.5, fused=True)
    captured = [model.state, optimizer.state]
    step = mx.compile(partial(by_step, model, optimizer, squared_error), inputs=captured, outputs=captured)
    with pytest.raises(RuntimeError, match="Make the first step outside of the compiled function"):
        step(inputs(0), mx.array(2.0), mx.array(0.0))


# What does not read them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
@pytest.mark.parametrize("fused", [None, False])
@pytest.mark.parametrize("attribute", ["grad_scale", "found_inf"])
def test_without_fused_they_are_refused_as_in_torch(name, fused, attribute) -> None:
    p = torch.Parameter(mx.ones(2))
    optimizer = getattr(optim, name)([p], lr=0.1, fused=fused)
    assert not optimizer._step_supports_amp_scaling
    p.grad = mx.ones(2)
    setattr(optimizer, attribute, mx.array(1.0))
    with pytest.raises(AssertionError, match=f"Expected grad_scale and found_inf to be None: {attribute} is set"):
        optimizer.step()
    assert p.tolist() == [1.0, 1.0]


def test_one_group_without_fused_leaves_all_groups_as_they_are() -> None:
    p, q = torch.Parameter(mx.ones(2)), torch.Parameter(mx.ones(2))
    optimizer = optim.Adam([{"params": [p], "fused": True}, {"params": [q]}], lr=0.1)
    p.grad = q.grad = mx.ones(2)
    optimizer.found_inf = mx.array(0.0)
    with pytest.raises(AssertionError, match="Expected grad_scale and found_inf to be None"):
        optimizer.step()
    assert (p.tolist(), len(optimizer.state)) == ([1.0, 1.0], 0)


def test_a_loaded_state_without_fused_goes_by_the_scalers_own_step() -> None:
    """The options of a loaded state count, as in torch, and the scaler follows them."""
    p = torch.Parameter(mx.ones(2))
    optimizer = optim.SGD([p], lr=0.5, fused=True)
    assert optimizer._step_supports_amp_scaling
    optimizer.load_state_dict(optim.SGD([torch.Parameter(mx.ones(2))], lr=0.5).state_dict())
    assert not optimizer._step_supports_amp_scaling
    scaler = GradScaler(init_scale=8.0)
    scaler.scale((p * 2).sum()).backward()
    scaler.step(optimizer)
    assert p.tolist() == [0.0, 0.0]
    assert copy.deepcopy(optim.SGD([p], fused=True))._step_supports_amp_scaling


def test_adafactor_refuses_them_as_in_torch() -> None:
    p = torch.Parameter(mx.ones((2, 2)))
    optimizer = optim.Adafactor([p])
    p.grad = mx.ones((2, 2))
    optimizer.found_inf = mx.array(1.0)
    with pytest.raises(AssertionError, match=r"Grad scaling should occur outside of optimizer\.step\(\)"):
        optimizer.step()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [("4", TypeError, "grad_scale is a str: expected a Tensor or an array"), (mx.ones(2), ValueError, r"shape \(2,\)")],
    ids=["text", "two elements"],
)
def test_what_is_no_number(given, error, message) -> None:
    p = torch.Parameter(mx.ones(2))
    optimizer = optim.SGD([p], lr=0.1, fused=True)
    p.grad = mx.ones(2)
    optimizer.grad_scale = given
    with pytest.raises(error, match=message):
        optimizer.step()
    assert p.tolist() == [1.0, 1.0]
