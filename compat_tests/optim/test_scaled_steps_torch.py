"""``fused=True`` with ``grad_scale`` and ``found_inf`` next to torch's fused kernels, alone and under a GradScaler."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx
from compat_tests.two_sides import OURS, THEIRS, Side

CASES = [
    ("SGD", {"weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5, "maximize": True}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {"maximize": True}),
    ("Adagrad", {"lr_decay": 0.1}),
]
cases = pytest.mark.parametrize(("name", "options"), CASES, ids=str)
BOTH = (OURS, THEIRS)
#: (scale, found_inf, whether the second parameter has a gradient)
STEPS = [(2.0, 0.0, True), (4.0, 1.0, True), (4.0, 0.0, False), (2.0, 0.0, True), (8.0, 1.0, True), (8.0, 0.0, True)]


def parameters(side: Side) -> list[Any]:
    values = [np.array([1.0, -2.0], "f4"), np.full((3, 2), 0.5, "f4")]
    if side is THEIRS:
        return [torch.nn.Parameter(torch.tensor(v)) for v in values]
    return [torchish_mlx.Parameter(mx.array(v)) for v in values]


def seen(params: list[Any], optimizer: Any) -> dict[str, Any]:
    found = {}
    for i, p in enumerate(params):
        found[f"{i}"], found[f"{i}.grad"] = p.tolist(), None if p.grad is None else p.grad.tolist()
        state = optimizer.state[p]
        found |= {f"{i}.{name}": value.tolist() for name, value in state.items() if value is not None}
    return found


def assert_close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert (value is None) == (ours[name] is None)
        if value is not None:
            np.testing.assert_allclose(ours[name], value, rtol=2e-6, atol=1e-7, err_msg=name)


@cases
def test_parameters_gradients_and_state_after_each_step(name: str, options: dict[str, Any]) -> None:
    params = {side: parameters(side) for side in BOTH}
    optimizers = {side: getattr(side.optim, name)(params[side], lr=0.1, fused=True, **options) for side in BOTH}
    rng = np.random.default_rng(0)
    for scale, found, second in STEPS:
        gradients = [rng.standard_normal(p.shape).astype("f4") * scale for p in params[THEIRS]]
        for side in BOTH:
            for i, (p, g) in enumerate(zip(params[side], gradients, strict=True)):
                p.grad = side.tensor(g) if i == 0 or second or name == "SGD" else None  # torch's SGD fails without
            optimizers[side].grad_scale, optimizers[side].found_inf = side.tensor(scale), side.tensor(found)
            optimizers[side].step()
        assert_close(*(seen(params[side], optimizers[side]) for side in BOTH))


@pytest.mark.parametrize("unscaled", [False, True], ids=["step", "unscale_"])
@cases
def test_under_a_scaler(name: str, options: dict[str, Any], unscaled: bool) -> None:
    """Values, gradients, state and scales; hooks are called for a step that is left out, too."""
    found = []
    for side in BOTH:
        params = parameters(side)
        optimizer = getattr(side.optim, name)(params, lr=0.1, fused=True, **options)
        scaler = side.library.amp.GradScaler("cpu", init_scale=16.0, growth_interval=2)
        scales: list[float] = []
        steps: list[int] = []
        optimizer.register_step_post_hook(lambda *_, steps=steps: steps.append(1))
        for factor in (1.0, 3.0, float("inf"), 1.0, float("nan"), 2.0):
            optimizer.zero_grad()
            loss = sum((p * p).sum() for p in params) * side.tensor(factor)
            scaler.scale(loss).backward()
            if unscaled:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
        assert not hasattr(optimizer, "grad_scale")
        found.append(({**seen(params, optimizer)}, scales, len(steps)))
    assert_close(*(each[0] for each in found))
    assert found[0][1:] == found[1][1:]
    assert found[0][2] == 6


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad", "Adafactor", "RMSprop", "NAdam", "Adadelta"])
@pytest.mark.parametrize("fused", [None, False])
def test_what_does_not_read_them(name: str, fused: bool | None) -> None:
    """The type of the error and its first words, or none: what has no ``fused`` has no use for them in torch either."""
    outcomes = []
    for side in BOTH:
        p = parameters(side)[1]
        options = {"fused": fused} if name in ("SGD", "Adam", "AdamW", "Adagrad") else {}
        optimizer = getattr(side.optim, name)([p], lr=0.1, **options)
        p.grad = side.tensor(np.ones((3, 2), "f4"))
        optimizer.found_inf = side.tensor(1.0)
        try:
            optimizer.step()
        except AssertionError as error:
            outcomes.append(str(error))
        else:
            outcomes.append("")
    assert outcomes[0].startswith(outcomes[1])
    assert bool(outcomes[0]) == bool(outcomes[1])


def test_what_says_that_it_reads_them() -> None:
    for fused in (None, False, True):
        found = []
        for side in BOTH:
            p = parameters(side)[0]
            kinds = [getattr(side.optim, name)([p], fused=fused) for name in ("SGD", "Adam", "AdamW", "Adagrad")]
            kinds.append(side.optim.RMSprop([p]))
            found.append([getattr(optimizer, "_step_supports_amp_scaling", False) for optimizer in kinds])
        assert found[0] == found[1]
