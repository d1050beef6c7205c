"""Learning rates of torch's schedulers and of ours, step by step, and how near they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx as tm
from torchish_mlx import optim

from .sides import Differs

TINY = float(np.finfo(np.float32).tiny)
NAMES = [
    "StepLR",
    "MultiStepLR",
    "ConstantLR",
    "LinearLR",
    "ExponentialLR",
    "PolynomialLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "OneCycleLR",
    "LambdaLR",
    "SequentialLR",
    "ChainedScheduler",
    "MultiplicativeLR",
]
THEIRS = SimpleNamespace(
    SWALR=torch.optim.swa_utils.SWALR, **{name: getattr(torch.optim.lr_scheduler, name) for name in NAMES}
)
OURS = SimpleNamespace(SWALR=optim.swa_utils.SWALR, **{name: getattr(optim.lr_scheduler, name) for name in NAMES})


def inverse_root(n: Any) -> Any:
    """A factor that both sides can compute: of an int, and of an array."""
    return (1 + n) ** -0.5


def hyperbola(x: Any) -> Any:
    return 1 / (1 + 0.25 * x)


def our_optimizer(lr: float, **more: Any) -> optim.SGD:
    return optim.SGD([tm.Parameter(mx.array([0.0]))], lr=lr, momentum=0.9, **more)


def their_optimizer(lr: float) -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def rates(scheduler: Any, optimizer: Any, steps: int) -> np.ndarray:
    """The learning rate before the first step and after each, as far as the scheduler goes."""
    optimizer.step()  # or the first step of the scheduler warns of the order
    out = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        try:
            scheduler.step()
        except ValueError as error:
            if "total number of steps" not in str(error) and "total steps" not in str(error):
                raise
            break
        out.append(optimizer.param_groups[0]["lr"])
    return np.array(out)


def near(ours: mx.array, theirs: np.ndarray, what: str, limit: float = 1e-6) -> None:
    """Float32, of the same length, and at every step within ``limit`` of torch's rate, relative to that rate."""
    if ours.dtype != mx.float32 or ours.shape != theirs.shape:
        raise Differs(f"{what}: {ours.dtype} of shape {ours.shape}, torch {theirs.shape}")
    off = np.abs(np.array(ours).astype(np.float64) - theirs)
    allowed = limit * np.abs(theirs) + TINY
    worst = int(np.argmax(off / allowed))
    if not (off <= allowed).all():
        raise Differs(f"{what}, step {worst}: {ours[worst].item()}, torch {theirs[worst]}")
