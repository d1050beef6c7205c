"""After ``optimizer.init`` the first step is torch's: SGD's buffer is set, undampened."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx
from torchish_mlx import optim

SHAPES = [(3, 2), (4,), (), (2, 1, 3)]
STEPS = 12


def has_gradient(step: int, i: int) -> bool:
    """The first parameter is there from the start, the others come later and miss steps."""
    return i == 0 or (step >= 2 * i and (step + i) % 4 != 0)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "options",
    [
        {"dampening": 0.4},
        {"dampening": 0.4, "maximize": True, "weight_decay": 0.1},
        {"nesterov": True},
        {"dampening": -0.5},
        {"dampening": 1.0},
    ],
    ids=str,
)
def test_sgd_with_parameters_that_come_late(options, compiled):
    rng = np.random.default_rng(0)
    init = [rng.normal(size=shape).astype("f4") for shape in SHAPES]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in init]
    ours = [torchish_mlx.Parameter(mx.array(a)) for a in init]
    reference = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, **options)
    optimizer = optim.SGD(ours, lr=0.1, momentum=0.9, **options)
    optimizer.init({str(i): p.array for i, p in enumerate(ours)})
    traces = []

    def step(gradients: dict[str, Any], parameters: dict[str, Any]) -> Any:
        traces.append(1)
        return optimizer.apply_gradients(gradients, parameters)

    if compiled:
        step = mx.compile(step, inputs=optimizer.state, outputs=optimizer.state)
    kinds = set()
    for n in range(STEPS):
        gradients = {str(i): rng.normal(size=shape).astype("f4") for i, shape in enumerate(SHAPES)}
        gradients = {key: g for key, g in gradients.items() if has_gradient(n, int(key))}
        kinds.add(tuple(gradients))
        for i, p in enumerate(theirs):
            p.grad = torch.tensor(gradients[str(i)]) if str(i) in gradients else None
        reference.step()
        new = step({k: mx.array(g) for k, g in gradients.items()}, {str(i): p.array for i, p in enumerate(ours)})
        for key, array in new.items():
            ours[int(key)].array = array
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(np.array(p.array), q.detach().numpy(), rtol=2e-6, atol=1e-6)
    assert len(kinds) > 2
    if compiled:
        assert len(traces) <= 2 * len(kinds)  # a parameter that comes late gets a count of its own
    for p, q in zip(ours, theirs, strict=True):
        buffers = optimizer.state[p]["momentum_buffer"], reference.state[q]["momentum_buffer"]
        np.testing.assert_allclose(np.array(buffers[0].array), buffers[1].numpy(), rtol=2e-6, atol=1e-6)
