"""One scenario in torch's words, run with torch and with this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat_tests.bridge import difference, to_torch
from torchish_mlx.parity.sides import OURS, THEIRS, Side

TOLERANCE = 1e-6  # relative to the largest element; measured: 2.5e-7


def on_both(scenario: Callable[[Side], Any]) -> Any:
    """What ``scenario`` returns: equal but for rounding."""
    ours, theirs = scenario(OURS), scenario(THEIRS)
    assert difference(to_torch(ours), theirs) <= TOLERANCE
    return ours


def push(*params: Any) -> None:
    """Gradients without a graph: twice the parameter plus one."""
    for p in params:
        p.grad = p.detach() * 2 + 1
