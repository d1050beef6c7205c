"""Momentum and betas of MLX's own optimizers that move: MLX's numbers bit for bit, without a new trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as native
import pytest

from tests.cases import assert_same, gradients
from tests.optim.test_from_mlx import network
from torchish_mlx import optim, parameters
from torchish_mlx.optim._moving import Weak

CASES: dict[str, tuple[type[native.Optimizer], dict[str, Any], str]] = {
    "SGD": (native.SGD, {"momentum": 0.9, "nesterov": True}, "momentum"),
    "SGD-dampening": (native.SGD, {"momentum": 0.9, "dampening": 0.1}, "momentum"),
    "Adam": (native.Adam, {}, "betas"),
    "Adam-bias": (native.Adam, {"bias_correction": True}, "betas"),
    "AdamW": (native.AdamW, {"weight_decay": 0.1}, "betas"),
    "Adamax": (native.Adamax, {}, "betas"),
    "Lion": (native.Lion, {"weight_decay": 0.1}, "betas"),
    "Muon": (native.Muon, {"weight_decay": 0.1}, "momentum"),
}


def moved(option: str, i: int) -> Any:
    value = 0.95 - 0.013 * i
    return value if option == "momentum" else (value, 0.999 - 0.001 * i)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_numbers_are_mlxs(case, dtype):
    """Option by option, as if its attribute had been set before each step."""
    cls, kwargs, option = CASES[case]
    model, twin = network(), network()
    model.set_dtype(dtype)
    twin.set_dtype(dtype)
    ours, theirs = optim.from_mlx(cls)(model, lr=0.01, **kwargs), cls(0.01, **kwargs)
    for i in range(6):
        value = moved(option, i)
        ours.param_groups[0][option] = value
        setattr(theirs, option, value)
        grads = gradients(model, i)
        ours.update(model, grads)
        theirs.update(twin, grads)
        twin.set_dtype(dtype)
    assert_same(model, twin)


@pytest.mark.parametrize("case", CASES)
def test_one_trace_serves_all_values(case):
    cls, kwargs, option = CASES[case]
    traces: list[int] = []

    def trained(compile_: bool) -> nn.Module:
        model = network()
        optimizer = optim.from_mlx(cls)(model, lr=0.01, **kwargs)
        optimizer.init(model)
        state = [model.state, optimizer.state]

        def step(grads: Any) -> None:
            traces.append(compile_)
            optimizer.update(model, grads)

        run: Callable[[Any], None] = mx.compile(step, inputs=state, outputs=state) if compile_ else step
        for i in range(4):
            optimizer.param_groups[0][option] = moved(option, i)
            run(gradients(model, i))
        return model

    eager, compiled = trained(False), trained(True)
    assert traces.count(True) == 1
    for (_, a), (_, b) in zip(leaves(eager), leaves(compiled), strict=True):
        assert mx.allclose(a, b, rtol=1e-5, atol=1e-6).item()  # Muon's matrix products may be laid out in another way


def leaves(model: nn.Module) -> list[tuple[str, mx.array]]:
    return sorted(((p.path, p.array) for p in parameters(model)), key=lambda entry: entry[0])


def test_a_momentum_that_becomes_zero_is_another_trace():
    """MLX leaves the buffer alone then: `if self.momentum <= 0`."""
    model, twin, traces = network(), network(), []
    optimizer, theirs = optim.from_mlx(native.SGD)(model, lr=0.1, momentum=0.9), native.SGD(0.1, momentum=0.9)
    optimizer.init(model)
    state = [model.state, optimizer.state]

    def step(grads: Any) -> None:
        traces.append(0)
        optimizer.update(model, grads)

    run = mx.compile(step, inputs=state, outputs=state)
    for i, momentum in enumerate([0.9, 0.5, 0.0, 0.0, 0.7]):
        optimizer.param_groups[0]["momentum"] = theirs.momentum = momentum
        run(gradients(model, i))
        theirs.update(twin, gradients(twin, i))
    assert len(traces) == 2
    assert_same(model, twin)


def test_what_a_moving_number_refuses():
    number = Weak((mx.array(0.9), mx.array(0.1)), 0.9)
    assert (1 - number).__mlx_array__().item() == mx.array(0.1).item()
    for refused in (lambda: 2 - number, lambda: number <= 0.5, lambda: float(number), lambda: number + 1):
        with pytest.raises(TypeError):
            refused()
