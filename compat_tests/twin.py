"""The same parameters under a torch optimizer and under ours, driven together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx
from compat_tests.bridge import to_array
from torchish_mlx import optim
from torchish_mlx.parity.optimizer_cases import (
    INFO,
    Case,
    Result,
    Scenario,
    as_leaf,
    collected,
    inputs,
    our_gradient,
    split,
    torch_gradient,
)

STEPS = 20


def curvature(shape: tuple[int, ...]) -> np.ndarray:
    """The Hessian (a diagonal) of the loss that LBFGS gets: condition number 4."""
    n = int(np.prod(shape))
    return 1 + 3 * np.arange(n, dtype="f4").reshape(shape) / max(n, 1)


def our_quadratic(params: Sequence[Any], targets: Sequence[np.ndarray]) -> Any:
    """sum h (p - target)^2 / 2, and its gradient into ``.grad``."""
    loss = mx.array(0.0)
    for p, target in zip(params, targets, strict=True):
        h, d = (
            mx.array(curvature(tuple(p.shape))).astype(p.array.dtype),
            p.array - mx.array(target).astype(p.array.dtype),
        )
        p.grad = h * d
        loss = loss + (h * d * d).sum() / 2
    return torchish_mlx.Tensor(loss)


def their_quadratic(params: Sequence[torch.Tensor], targets: Sequence[np.ndarray]) -> torch.Tensor:
    loss = torch.zeros((), dtype=params[0].dtype)
    for p, target in zip(params, targets, strict=True):
        h, d = torch.tensor(curvature(tuple(p.shape))).to(p.dtype), p.detach() - torch.tensor(target).to(p.dtype)
        p.grad = h * d
        loss = loss + (h * d * d).sum() / 2
    return loss


class Twin:
    """A case of optim_db on both sides. ``step()`` steps both; ``step_ours`` and ``step_theirs`` one of them.

    The gradients are optimizer_cases.py's, by the number of the step; LBFGS gets a closure over a quadratic loss.
    """

    def __init__(
        self,
        case: Case,
        dtype: torch.dtype = torch.float32,
        groups: bool = False,
        missing: bool = False,
        named: bool = False,
        **more: Any,
    ) -> None:
        self.case, self.scenario = case, Scenario(STEPS, groups=groups, missing=missing)
        init, self.gradients = inputs(tuple(case.shapes), STEPS)
        self.their_params = [torch.nn.Parameter(torch.tensor(a).to(dtype)) for a in init]
        self.our_params = [torchish_mlx.Parameter(to_array(p)) for p in self.their_params]
        self.targets = self.gradients[0]
        self.named = named
        self.theirs = INFO[case.name].optim_cls(self.given(self.their_params), **{**case.kwargs, **more})
        self.ours = self.new_ours(self.our_params, **more)
        self.done = [0, 0]

    def given(self, params: list[Any]) -> Any:
        return split(
            [(f"layer.{j}", p) for j, p in enumerate(params)] if self.named else params, self.case, self.scenario
        )

    def new_ours(self, params: list[Any], **more: Any) -> Any:
        return getattr(optim, self.case.name)(self.given(params), **{**self.case.ours, **more})

    def step(self) -> None:
        self.step_theirs()
        self.step_ours()

    def step_theirs(self, opt: Any = None, params: Any = None) -> Any:
        opt, params = opt or self.theirs, params or self.their_params
        i, self.done[0] = self.done[0], self.done[0] + 1
        if self.case.name == "LBFGS":
            return opt.step(lambda: their_quadratic(params, self.targets))
        for j, p in enumerate(params):
            there = self.scenario.has_gradient(i, j)
            p.grad = torch_gradient(self.case, i, j, self.gradients[i][j], p.dtype) if there else None
        return opt.step()

    def step_ours(self, opt: Any = None, params: Any = None) -> Any:
        opt, params = opt or self.ours, params or self.our_params
        i, self.done[1] = self.done[1], self.done[1] + 1
        if self.case.name == "LBFGS":
            return opt.step(lambda: our_quadratic(params, self.targets))
        for j, p in enumerate(params):
            there = self.scenario.has_gradient(i, j)
            p.grad = as_leaf(our_gradient(self.case, i, j, self.gradients[i][j]), p) if there else None
        return opt.step()

    def results(self) -> tuple[Result, Result]:
        return collected(self.our_params, self.ours.state), collected(self.their_params, self.theirs.state)
