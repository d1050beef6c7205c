"""Schedulers over every optimizer of torch.optim: rates, momentum and betas equal torch's, and training follows."""

from __future__ import annotations

import itertools
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx
from tests.marks import mostly_long
from torchish_mlx import optim

NAMES = sorted(n for n, c in vars(torch.optim).items() if isinstance(c, type) and n != "Optimizer")
SCHEDULES = {
    "StepLR": lambda s, o, _: s.StepLR(o, 3, 0.5),
    "CosineAnnealingLR": lambda s, o, _: s.CosineAnnealingLR(o, 12, eta_min=1e-4),
    "OneCycleLR": lambda s, o, cycles: s.OneCycleLR(o, 0.05, total_steps=20, cycle_momentum=cycles),
    "CyclicLR": lambda s, o, cycles: s.CyclicLR(o, 1e-3, 0.02, step_size_up=4, cycle_momentum=cycles),
    "SequentialLR": lambda s, o, _: s.SequentialLR(o, [s.LinearLR(o), s.ExponentialLR(o, 0.8)], [5]),
}
STEPS = 20
TOLERANCE = 1e-6  # of the largest weight; measured: 1.8e-7


def loss_of(p: Any, target: Any) -> Any:
    return ((p - target) ** 2).mean()


PAIRS = list(itertools.product(NAMES, SCHEDULES))


def short(*pair: str) -> bool:
    """One schedule for each optimizer, in turn. L-BFGS takes seconds."""
    return PAIRS.index(pair) % (len(SCHEDULES) + 1) == 0 and pair[0] != "LBFGS"


@pytest.mark.parametrize(("name", "schedule"), mostly_long(PAIRS, short))
def test_every_optimizer(name: str, schedule: str) -> None:
    rng = np.random.default_rng(0)
    start, target = rng.standard_normal((2, 4, 3)).astype("f4")
    theirs, ours = torch.nn.Parameter(torch.tensor(start)), torchish_mlx.Parameter(mx.array(start))
    moved = {}
    for library, p, goal in ((torch, theirs, torch.tensor(target)), (torchish_mlx, ours, torchish_mlx.tensor(target))):
        optimizer = getattr(library.optim, name)([p], lr=0.01)
        cycles = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
        scheduler = SCHEDULES[schedule](library.optim.lr_scheduler, optimizer, cycles)
        rows = []
        for _ in range(STEPS):

            def closure(p: Any = p, goal: Any = goal, optimizer: Any = optimizer) -> Any:
                optimizer.zero_grad()
                loss = loss_of(p, goal)
                loss.backward()
                return loss

            group = optimizer.param_groups[0]
            rows.append((group["lr"], group.get("momentum"), group.get("betas")))
            if name == "SparseAdam":
                rows_of(library, p, goal)
                optimizer.step()
            else:
                optimizer.step(closure)
            scheduler.step()
        moved[library.__name__] = rows
    assert moved["torchish_mlx"] == moved["torch"]
    assert len({row[0] for row in moved["torch"]}) > 3
    worst = np.abs(np.array(ours.array) - theirs.detach().numpy()).max() / np.abs(start).max()
    assert worst <= (4e-2 * 0.05 if name == "Muon" else TOLERANCE)  # Muon: docs/architecture.md, Numbers
    assert np.abs(np.array(ours.array) - start).max() > 1e-5  # it has moved


def rows_of(library: Any, p: Any, goal: Any) -> None:
    """A gradient of rows, as SparseAdam takes it; every row is there."""
    rows, values = [list(range(len(goal)))], 2 * (p.detach() - goal) / goal.numel()
    with torch.sparse.check_sparse_tensor_invariants():  # else torch warns
        p.grad = library.sparse_coo_tensor(rows, values, tuple(goal.shape))


def test_all_are_here() -> None:
    assert len(NAMES) == 15
    assert all(hasattr(optim, name) for name in NAMES)
