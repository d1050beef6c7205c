"""The two sides of a comparison, torch and this package: tensors of the same values, and how near two results are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import torchish_mlx as tm
from compat_tests.op_cases import Arg, Case
from torchish_mlx.parity.sides import DTYPES, to_array, values

#: (value, first derivative, second derivative), in units of the last place. Measured over all cases: 1.4, 2.7 and 4.9
#: in float32; 0.95, 1.7 and 4.0 in bfloat16, where torch rounds between the steps of a derivative.
LIMITS = {torch.float32: (2, 4, 8), torch.bfloat16: (1, 3, 6)}
#: The largest distance of each kind that was seen, and where: for stating LIMITS.
WORST: dict[Any, tuple[float, str]] = {}


class Side:
    """torch or this package: how to make a tensor, and NumPy values of one."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def leaf(self, values: np.ndarray, dtype: torch.dtype, wants: bool) -> Any:
        t = torch.tensor(values, dtype=dtype)
        if self.library is torch:
            return t.requires_grad_(wants)
        return tm.Tensor(to_array(t), requires_grad=wants)


class Exact(Side):
    """Torch in float64, on numbers that are rounded to the dtype of the comparison."""

    def leaf(self, values: np.ndarray, dtype: torch.dtype, wants: bool) -> Any:
        t = torch.tensor(values, dtype=dtype)
        return (t.double() if t.is_floating_point() else t).requires_grad_(wants)


SIDES = (Side(torch), Side(tm))


def build(case: Case, dtype: torch.dtype, side: Side, leaves: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call; ``leaves`` receives the tensors among them that want a gradient."""
    rng = np.random.default_rng(0)

    def make(a: Any) -> Any:
        if isinstance(a, (list, tuple)):
            return type(a)(map(make, a))
        if not isinstance(a, Arg):
            return a
        v = a.make(rng)
        if a.floating:
            leaf = side.leaf(v, dtype, True)
            leaves.append(leaf)
            return leaf
        return side.leaf(v, torch.bool if v.dtype == bool else torch.int64, False)

    return [make(a) for a in case.args], {k: make(v) for k, v in case.kwargs.items()}


def largest(tensors: list[Any]) -> float:
    """The largest finite number among the tensors: what an error of theirs is measured by."""
    found = [np.abs(v[np.isfinite(v)]).max(initial=0.0) for t in tensors if (v := values(t)).dtype.kind == "f"]
    return float(max(found, default=0.0))


def near(mine: Any, theirs: Any, dtype: torch.dtype, order: int, what: str, scale: float) -> None:
    """Same dtype and shape, and values within the limit."""
    assert mine.dtype == DTYPES[theirs.dtype], f"{what}: dtype {mine.dtype}, torch {theirs.dtype}"
    assert tuple(mine.shape) == tuple(theirs.shape), what
    a, b = values(mine), values(theirs)
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    if not a.size:
        return
    unit = 2.0**-7 if theirs.dtype == torch.bfloat16 else 2.0**-10 if theirs.dtype == torch.float16 else 2.0**-23
    finite = np.isfinite(b)
    np.testing.assert_array_equal(a[~finite], b[~finite], err_msg=what)
    off = np.abs(a[finite] - b[finite]).max(initial=0.0) / (unit * scale) if scale else np.abs(a[finite]).max(initial=0)
    WORST[theirs.dtype, order] = max(WORST.get((theirs.dtype, order), (0.0, "")), (float(off), what))
    assert off <= LIMITS[dtype][order], f"{what}: {off:.1f} units of the last place apart\n{a}\n{b}"
