"""Half precision: parameters in bfloat16 and float16, step by step from the same state.

torch rounds every operation, and lr, to the half type; here only the result is rounded. So both are compared after each
step, and the next step begins where torch's does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx
from torchish_mlx import optim
from torchish_mlx.testing import as_numpy

from .sides import Differs


class Half(NamedTuple):
    """A half type, and how many binary digits it has."""

    name: str
    ours: Any
    theirs: Any
    digits: int


HALVES = (Half("bfloat16", mx.bfloat16, torch.bfloat16, 8), Half("float16", mx.float16, torch.float16, 11))
CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "eps": 1e-4}),
    ("Adam", {"lr": 0.01, "eps": 1e-4, "weight_decay": 0.1, "amsgrad": True}),
    ("AdamW", {"lr": 0.01, "eps": 1e-4}),
]
ALLOWED = 2  # ulps a step


def ulp(x: np.ndarray, digits: int) -> np.ndarray:
    """The unit in the last place of numbers with ``digits`` binary digits."""
    exponent = np.floor(np.log2(np.maximum(np.abs(x), np.finfo("f4").tiny)))
    return np.asarray(2.0 ** (exponent - digits + 1))


def half_errors(name: str, kwargs: dict[str, Any], half: Half, steps: int = 20) -> Iterator[np.ndarray]:
    """The error of each element after each step, in ulps of the half type.

    An ulp is that of the largest of the number before, the number after, and the step between them: where a step nearly
    cancels a parameter, torch's own roundings (lr 0.1 is 0.10009766 in bfloat16 on its CPU) are what remains.
    Gradients keep away from 0, where the square, in float16, is 0 and Adam divides by eps alone.
    """
    rng = np.random.default_rng(0)
    p = torch.nn.Parameter(torch.tensor(rng.standard_normal((64, 32)).astype("f4")).to(half.theirs))
    q = torchish_mlx.Parameter(mx.array(p.detach().float().numpy()).astype(half.ours))
    theirs, ours = getattr(torch.optim, name)([p], **kwargs), getattr(optim, name)([q], **kwargs)
    for _ in range(steps):
        g = rng.choice([-1, 1], (64, 32)) * rng.uniform(0.25, 2, (64, 32))
        p.grad = torch.tensor(g, dtype=half.theirs)
        q.grad = mx.array(p.grad.float().numpy()).astype(half.ours)
        before = p.detach().float().numpy().copy()
        theirs.step()
        ours.step()
        kept = {"the parameter": q, **{key: value for key, value in ours.state[q].items() if key != "step"}}
        for what, value in kept.items():
            if value.dtype != half.ours:
                raise Differs(f"{what} became {value.dtype}")
        expected = p.detach().float().numpy()
        largest = np.max(np.abs([before, expected, before - expected]), axis=0)
        yield np.abs(as_numpy(q) - expected) / ulp(largest, half.digits)
        ours.load_state_dict(theirs.state_dict())
        q.array = mx.array(expected).astype(half.ours)
