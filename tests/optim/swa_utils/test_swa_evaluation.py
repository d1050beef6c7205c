"""Averaged models: what evaluates and when, memory, and updates inside ``mx.compile``."""

from __future__ import annotations

import copy

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
    walk,
)
from tests.cases import flat, inputs, squared_error
from tests.marks import mostly_long
from tests.optim.test_evaluation import FEWER, SLACK, STEPS, growth, pending
from torchish_mlx import optim
from torchish_mlx.optim.swa_utils import (
    AveragedModel,
)


@each_function
@each_use_of_buffers
def test_an_update_schedules_one_evaluation(name, use_buffers, evaluations):
    model = Model()
    ema = AveragedModel(model, use_buffers=use_buffers, **FUNCTIONS[name][0])
    for i in range(3):
        walk(model, i)
        evaluations.clear()
        ema.update_parameters(model)
        assert evaluations == ["async_eval"]
        mx.synchronize()
        assert pending(ema.parameters()) == []


@pytest.mark.parametrize(
    ("name", "steps"),
    mostly_long([("default", STEPS), ("ema-lists", FEWER), ("plain", FEWER)], lambda name, _: name == "plain"),
)
def test_memory_is_flat(name, steps):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Linear(4, 3))
    optimizer = optim.AdamW(model, lr=1e-3)
    ema = AveragedModel(model, use_buffers=name == "plain", **FUNCTIONS[name][0])
    x = inputs()

    def step() -> None:
        optimizer.zero_grad()
        torch.backward(model, squared_error, x)
        optimizer.step()
        ema.update_parameters(model)

    assert abs(growth(step, steps)) <= SLACK


def test_memory_grows_where_nothing_evaluates():
    """What the test above would see: the same arithmetic by hand."""
    model, average = nn.Linear(3, 3), [mx.zeros((3, 3))]

    def step() -> None:
        average[0] = average[0] * 0.9 + model.weight * 0.1

    assert growth(step, FEWER) > 4 * SLACK


@each_function
@each_use_of_buffers
def test_compiled(name, use_buffers):
    """A compiled training step with the update in it, from the first update on, is traced once, and gives the numbers
    of the eager one.
    """
    kwargs, _ = FUNCTIONS[name]
    start = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Linear(4, 3))
    results = []
    for compiled in (False, True):
        model = copy.deepcopy(start)
        optimizer = optim.SGD(model, lr=0.1)
        optimizer.init(model.trainable_parameters())
        ema = AveragedModel(model, use_buffers=use_buffers, **kwargs)
        traces = []

        def step(x, model=model, optimizer=optimizer, ema=ema, traces=traces):
            traces.append(1)
            loss, grads = nn.value_and_grad(model, squared_error)(model, x)
            optimizer.update(model, grads)
            ema.update_parameters(model)
            return loss

        state = [model.state, optimizer.state, ema.state]
        call = mx.compile(step, inputs=state, outputs=state) if compiled else step
        counts = []
        for i in range(5):
            call(inputs(i))
            counts.append(ema.n_averaged.item())
        assert counts == [1, 2, 3, 4, 5]
        assert len(traces) == (1 if compiled else 5)
        ema.update_parameters(model)  # and on without compile
        results.append(flat(ema))
    for path, value in results[0].items():
        np.testing.assert_allclose(results[1][path], value, rtol=NEAR, atol=NEAR, err_msg=path)


def test_compiled_without_its_state():
    model = nn.Linear(3, 3)
    ema = averaged(model)

    def step(x: mx.array) -> mx.array:
        model.weight = model.weight + x
        ema.update_parameters(model)
        return x

    compiled = mx.compile(step, inputs=model.state, outputs=model.state)
    with (
        nothing_changes(ema),
        pytest.raises(RuntimeError, match=r"give its state \(ema\.state\) to mx\.compile in inputs= and outputs="),
    ):
        compiled(mx.array(1.0))
