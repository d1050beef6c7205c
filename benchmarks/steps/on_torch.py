"""The contestants on torch. Only ``sides`` imports this, and only where torch is installed and asked for."""

from __future__ import annotations

import importlib
import inspect
import os
from typing import Any

import mlx.core as mx
import numpy as np
import torch

from .on_mlx import OPTIMIZERS as MLX
from .on_mlx import on_gpu
from .rounds import Contestant
from .sets import Case

OPTIONS: dict[str, dict[str, Any]] = {
    "torch loop": {"foreach": False},
    "torch foreach": {"foreach": True},
    "torch fused": {"fused": True},
}

torch.set_num_threads(os.cpu_count() or 1)


def optimizer_class(name: str) -> Any:
    """torch's class; Lion, which torch does not have, is lion-pytorch's."""
    if name == "lion":
        return importlib.import_module("lion_pytorch").Lion
    return getattr(torch.optim, MLX[name][0].__name__)


def device() -> torch.device:
    """The GPU where MLX computes on one and torch has it too; the CPU otherwise."""
    if on_gpu() and torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if on_gpu() and torch.backends.mps.is_available() else "cpu")


def about() -> dict[str, Any]:
    """What torch runs on."""
    return {"torch device": str(device()), "torch threads": torch.get_num_threads()}


def wait() -> None:
    """Wait for a GPU; the CPU is done when a call returns."""
    if device().type == "cuda":
        torch.cuda.synchronize()
    elif device().type == "mps":
        torch.mps.synchronize()


def tensors(case: Case, seed: int, scale: float) -> list[torch.Tensor]:
    """The same numbers as MLX has."""
    arrays = case.arrays(seed, scale).values()
    return [torch.from_numpy(np.array(a.astype(mx.float32))).to(device(), getattr(torch, case.dtype)) for a in arrays]


class OnTorch(Contestant):
    """Parameters and gradients; ``base`` are gradients that the contestants of a case share."""

    def __init__(self, case: Case, base: list[torch.Tensor] | None = None) -> None:
        self.case, self.base = case, base
        self.params = [torch.nn.Parameter(t) for t in tensors(case, 1, 0.02)]
        self.has_host = device().type != "cpu"

    def give(self, turn: int) -> None:
        if self.base is None:
            fresh = tensors(self.case, 2 + turn, 0.01)
        else:
            fresh = [g * (1 + 0.001 * (turn % 100)) for g in self.base]
        for p, g in zip(self.params, fresh, strict=True):
            p.grad = g
        wait()

    def end(self) -> None:
        wait()

    def drop(self) -> None:
        for p in self.params:
            p.grad = None


class Step(OnTorch):
    """``optimizer.step()``."""

    def __init__(self, case: Case, base: Any, groups: int = 1, **options: Any) -> None:
        super().__init__(case, base)
        _, _, lr, both, _ = MLX[case.optimizer]
        split: Any = [{"params": self.params[i::groups]} for i in range(groups)] if groups > 1 else self.params
        self.optimizer = optimizer_class(case.optimizer)(split, lr=lr, **{**both, **options})

    def call(self) -> None:
        self.optimizer.step()


class Clip(OnTorch):
    """``clip_grad_norm_``."""

    def call(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)


class Schedule(Contestant):
    """``scheduler.step()`` over so many groups."""

    def __init__(self, kind: str, groups: int, calls: int) -> None:
        params = [torch.nn.Parameter(torch.ones(1)) for _ in range(groups)]
        optimizer = torch.optim.AdamW([{"params": [p]} for p in params])
        self.calls, self.scheduler = calls, getattr(torch.optim.lr_scheduler, kind)(optimizer, 1000)
        optimizer.step()

    def call(self) -> None:
        for _ in range(self.calls):
            self.scheduler.step()


def base(case: Case) -> list[torch.Tensor]:
    """Gradients that the contestants of a case share."""
    return tensors(case, 2, 0.01)


def make(path: str, case: Case, shared: list[torch.Tensor] | None = None) -> OnTorch | None:
    """The contestant of that name, or None where the class has no such option; a class without any is a loop."""
    known = inspect.signature(optimizer_class(case.optimizer)).parameters
    options = OPTIONS[path]
    if options.keys() <= known.keys():
        return Step(case, shared, **options)
    return Step(case, shared) if path == "torch loop" else None
