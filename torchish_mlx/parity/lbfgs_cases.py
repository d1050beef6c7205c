"""L-BFGS by ``step(closure)``: the gradients are those of a loss, by torch's autograd and by our tape."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx
from torchish_mlx.testing import as_numpy

from .optimizer_cases import CASES, LIMIT, ROOM, SHAPES, Case

LBFGS = [case for case in CASES if case.name == "LBFGS"]
STEPS = (1, 2, 20)
POWERS = (2, 4)  # of the distance in the loss, in addition to a quadratic one
DECISIONS = ("func_evals", "n_iter")


def lbfgs(case: Case, library: Any, dtype: Any, steps: int, power: int) -> tuple[list[np.ndarray], dict[str, Any]]:
    rng = np.random.default_rng(0)
    make = (
        (lambda a: torch.tensor(a, dtype=dtype)) if library is torch else (lambda a: torchish_mlx.tensor(mx.array(a)))
    )
    start, target = ([make(rng.standard_normal(s).astype("f4")) for s in SHAPES] for _ in range(2))
    scale = [make((1 + rng.random(s)).astype("f4")) for s in SHAPES]
    params = [(torch.nn.Parameter if library is torch else torchish_mlx.Parameter)(a) for a in start]
    optimizer = library.optim.LBFGS(params, **(case.kwargs if library is torch else case.ours))

    def closure() -> Any:
        optimizer.zero_grad()
        loss: Any = 0
        for p, t, s in zip(params, target, scale, strict=True):
            loss = loss + (s * (p - t) ** 2).sum() + 0.1 * ((p - t) ** power).sum()
        loss.backward()
        return loss.detach()

    for _ in range(steps):
        optimizer.step(closure)
    return [as_numpy(p) for p in params], dict(optimizer.state[params[0]])


def allowed_lbfgs_error(torchs_own: float) -> float:
    """4 times torch's own rounding, at least 2e-7 and at most 1e-5, relative to the largest element of a tensor."""
    return min(max(ROOM * torchs_own, 2e-7), LIMIT)
