"""One scenario in torch's words, run with torch and with this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx
from compat_tests.bridge import difference, to_torch
from torchish_mlx import optim

TOLERANCE = 1e-6  # relative to the largest element; measured: 2.5e-7


class Side:
    """One of the two, in words of torch: ``side.optim``, ``side.parameter([1.0])``, ``side.tensor(0.1)``."""

    def __init__(self, library: Any, optimizers: Any) -> None:
        self.library, self.optim = library, optimizers

    def tensor(self, value: Any) -> Any:
        return self.library.tensor(value)

    def parameter(self, value: Any) -> Any:
        if self.library is torch:
            return torch.nn.Parameter(torch.tensor(value))
        return torchish_mlx.Parameter(mx.array(np.array(value, "f4")))


OURS, THEIRS = Side(torchish_mlx, optim), Side(torch, torch.optim)


def on_both(scenario: Callable[[Side], Any]) -> Any:
    """What ``scenario`` returns: equal but for rounding."""
    ours, theirs = scenario(OURS), scenario(THEIRS)
    assert difference(to_torch(ours), theirs) <= TOLERANCE
    return ours


def push(*params: Any) -> None:
    """Gradients without a graph: twice the parameter plus one."""
    for p in params:
        p.grad = p.detach() * 2 + 1
