"""Which contestants there are: torch's only where it is installed and asked for."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from . import on_mlx
from .rounds import Contestant
from .sets import Case

TORCH = ("torch loop", "torch foreach", "torch fused")


def torch_side() -> Any:
    """The module ``on_torch``. Not imported before it is asked for: a process that measures MLX is without torch."""
    return importlib.import_module(".on_torch", __package__)


def paths(with_torch: bool, optimizer: str = "") -> tuple[str, ...]:
    """The names of all contestants. (torch has no Lion; lion-pytorch's is taken where it is installed.)"""
    has = with_torch and find_spec("torch") and (optimizer != "lion" or find_spec("lion_pytorch"))
    return on_mlx.PATHS + (TORCH if has else ())


def make(path: str, given: Case) -> Contestant | None:
    """One contestant with gradients of its own, or None where the class has no such option."""
    return (torch_side() if path in TORCH else on_mlx).make(path, given)


def contestants(given: Case, names: tuple[str, ...]) -> dict[str, Contestant]:
    """name -> contestant, those that exist for this optimizer, on shared gradients."""
    base = given.arrays(2, 0.01)
    theirs = torch_side().base(given) if set(TORCH) & set(names) else None
    found = {n: torch_side().make(n, given, theirs) if n in TORCH else on_mlx.make(n, given, base) for n in names}
    return {name: contestant for name, contestant in found.items() if contestant is not None}
