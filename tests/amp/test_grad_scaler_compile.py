"""GradScaler under mx.compile; what it evaluates, and memory."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.amp.test_grad_scaler import SCALE, one, scaled
from tests.cases import Net, assert_close, inputs, squared_error
from torchish_mlx import optim
from torchish_mlx.amp import GradScaler

# Under mx.compile --------------------------------------------------------------------------------------------------


def test_a_captured_scale_moves_without_a_new_trace():
    p, optimizer, scaler = one()
    traces = []

    @partial(mx.compile, inputs=[scaler.state])
    def gradient(x: mx.array) -> mx.array:
        traces.append(1)
        return mx.grad(lambda w: scaler.scale((w * x).sum()))(mx.ones(2))

    for slope, scale, wanted in ((1.0, 8.0, True), (mx.inf, 8.0, False), (1.0, 4.0, True), (1.0, 4.0, True)):
        assert scaler.get_scale() == scale
        before = p.tolist()
        p.grad = gradient(mx.array([slope, 1.0]))
        assert p.grad.tolist() == [slope * scale, scale]
        scaler.step(optimizer)
        scaler.update()
        assert (p.tolist() != before) == wanted
    assert len(traces) == 1


def test_a_whole_micro_step_in_a_captured_compile():
    """backward() over a model, compiled with the scale; step() outside: as eager."""
    models = [Net(), Net()]
    optimizers = [optim.AdamW(model, lr=0.01) for model in models]
    scalers = [GradScaler(init_scale=SCALE, growth_interval=2) for _ in models]

    @partial(mx.compile, inputs=[models[1].state, scalers[1].state], outputs=[models[1].state])
    def gradients_of(x: mx.array) -> Any:
        return nn.value_and_grad(models[1], scaled(scalers[1]))(models[1], x)[1]

    for i in range(6):
        for optimizer in optimizers:
            optimizer.zero_grad()
        torch.backward(models[0], scaled(scalers[0]), inputs(i))
        for path, gradient in tree_flatten(gradients_of(inputs(i))):
            torch.locate(models[1], path).grad = gradient
        for optimizer, scaler in zip(optimizers, scalers, strict=True):
            scaler.step(optimizer)
            scaler.update()
    assert scalers[0].state_dict() == scalers[1].state_dict()
    assert scalers[0].get_scale() == SCALE * 8
    assert_close(*models, ulps=4)  # measured: 0; a compiled function may round in another order


def test_a_scale_that_became_a_constant_is_refused():
    p, optimizer, scaler = one()
    gradient = mx.compile(lambda x: mx.grad(lambda w: scaler.scale((w * x).sum()))(mx.ones(2)))

    def iteration(slope: float) -> None:
        p.grad = gradient(mx.array([slope, 1.0]))
        scaler.step(optimizer)

    iteration(1.0)
    scaler.update()
    iteration(mx.inf)  # the scale is the one that was traced still
    scaler.update()
    before, grad = p.tolist(), p.grad.tolist()
    p.grad = gradient(mx.ones(2))
    for refused in (scaler.step, scaler.unscale_):
        with pytest.raises(RuntimeError, match=r"scale was 8\.0, and it is 4\.0 now.*inputs=\[model\.state, s"):
            refused(optimizer)
    assert (p.tolist(), p.grad.tolist()) == (before, [8.0, 8.0]) != grad


@pytest.mark.parametrize("name", ["step", "unscale_"])
def test_deciding_inside_a_traced_function_is_refused(name):
    p, optimizer, scaler = one()

    @mx.compile
    def train(x: mx.array) -> mx.array:
        p.grad = None
        scaler.scale((p * x).sum()).backward()
        getattr(scaler, name)(optimizer)
        return p.array

    with pytest.raises(RuntimeError, match=r"not known inside a function under mx\.compile.*call unscale_\(\), step"):
        train(mx.ones(2))
    assert p.tolist() == [1.0, 2.0]
    p.grad = mx.ones(2)
    scaler.scale(mx.array(1.0))
    scaler.step(optimizer)


# Evaluation and memory ---------------------------------------------------------------------------------------------


def test_only_step_waits_and_once(evaluations):
    model = Net()
    optimizer, scaler = optim.AdamW(model, lr=0.01), GradScaler()
    for i in range(3):
        optimizer.zero_grad()
        evaluations.clear()
        torch.backward(model, scaled(scaler), inputs(i))
        scaler.unscale_(optimizer)
        assert "eval" not in evaluations
        evaluations.clear()
        scaler.step(optimizer)
        assert evaluations == ["eval", "async_eval", "async_eval"]  # its check, and the optimizer's step
        scaler.update()
        assert evaluations == ["eval", "async_eval", "async_eval", "async_eval"]


@pytest.mark.long
@pytest.mark.parametrize("bad", [False, True])
def test_memory_is_flat(bad):
    model, x = Net(), inputs()
    optimizer = optim.Adam(model, lr=1e-3)
    scaler = GradScaler(growth_factor=1.0001, backoff_factor=0.9999, growth_interval=2)

    def step(i: int) -> None:
        optimizer.zero_grad()
        torch.backward(model, lambda m, x: scaler.scale(squared_error(m, x)) * (mx.inf if bad and i % 2 else 1), x)
        scaler.step(optimizer)
        scaler.update()

    for i in range(50):
        step(i)
    gc.collect()
    mx.synchronize()
    before = mx.get_active_memory()
    for i in range(200):
        step(i)
    mx.synchronize()
    assert abs(mx.get_active_memory() - before) <= 512
