"""Every row of the table of ops against torch: values, dtypes, derivatives of both orders, what backward needs.

The calls stand in op_cases.py. Tolerances are in units of the last place of the largest number compared
(float32: 2^-23, bfloat16: 2^-7), which is how a sum of rounded terms errs; beside each is what was measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from compat_tests.op_cases import CASES, MADE_OF, WRITES, Arg, Case

import torchish_mlx as tm
from torchish_mlx.tensor import _shapes
from torchish_mlx.tensor.ops import COMPOSED, FUNCTIONS, TABLE

DTYPES = {
    torch.float32: mx.float32,
    torch.float64: mx.float64,
    torch.float16: mx.float16,
    torch.bfloat16: mx.bfloat16,
    torch.int64: mx.int64,
    torch.int32: mx.int32,
    torch.bool: mx.bool_,
    torch.uint8: mx.uint8,
}
#: (value, first derivative, second derivative), in units of the last place
LIMITS = {torch.float32: (4, 8, 16), torch.bfloat16: (1, 4, 8)}
WORST: dict[Any, float] = {}


class Side:
    """torch or this package: how to make a tensor, and NumPy values of one."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def leaf(self, values: np.ndarray, dtype: torch.dtype, wants: bool) -> Any:
        t = torch.tensor(values, dtype=dtype)
        if self.library is torch:
            return t.requires_grad_(wants)
        return tm.Tensor(to_mlx(t), requires_grad=wants)


def to_mlx(t: torch.Tensor) -> mx.array:
    t = t.detach()
    wide = t.float() if t.dtype == torch.bfloat16 else t
    return mx.array(wide.contiguous().numpy()).astype(DTYPES[t.dtype])


def values(t: Any) -> np.ndarray:
    if isinstance(t, torch.Tensor):
        t = t.detach()
        return t.to(torch.float64).numpy() if t.is_floating_point() else t.numpy()
    array = t.array
    return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array).astype(
        np.float64 if array.dtype in (mx.float16, mx.bfloat16, mx.float32, mx.float64) else None
    )


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


def function(name: str, side: Side, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return getattr(side.library, name)(*args, **kwargs)


def method(name: str, side: Side, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if name == "__getitem__":
        return args[0][args[1]]
    return getattr(args[0], name)(*args[1:], **kwargs)


def how_to_call(name: str) -> Callable[..., Any]:
    return function if name in FUNCTIONS else method


def first(out: Any) -> Any:
    return out[0] if isinstance(out, tuple) else out


def near(mine: Any, theirs: Any, dtype: torch.dtype, order: int, what: str) -> None:
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
    scale = np.abs(b[finite]).max(initial=0.0)
    off = np.abs(a[finite] - b[finite]).max(initial=0.0) / (unit * scale) if scale else np.abs(a[finite]).max(initial=0)
    WORST[theirs.dtype, order] = max(WORST.get((theirs.dtype, order), (0.0, "")), (float(off), what))
    assert off <= LIMITS[dtype][order], f"{what}: {off:.1f} units of the last place apart\n{a}\n{b}"


def sum_of(side: Side, terms: list[Any]) -> Any:
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total


def check_call(name: str, case: Case, dtype: torch.dtype, call: Callable[..., Any]) -> None:
    """Value, first and second derivative of one call."""
    rng = np.random.default_rng(1)
    results = []
    weights: list[np.ndarray] = []
    for side in SIDES:
        leaves: list[Any] = []
        args, kwargs = build(case, dtype, side, leaves)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call(name, side, args, kwargs)
            out = first(result)
            grads: list[Any] = []
            seconds: list[Any] = []
            if out.requires_grad and out.dtype in (torch.float32, torch.bfloat16, mx.float32, mx.bfloat16):
                if not weights:
                    weights.append(rng.uniform(0.5, 1.5, tuple(out.shape)))
                w = side.leaf(weights[0], torch.float32, False).to(out.dtype)
                (out * out * w).sum().backward(create_graph=case.second)
                grads = [leaf.grad for leaf in leaves]
                live = [g for g in grads if g is not None and g.requires_grad]
                if case.second and live:
                    for leaf in leaves:
                        leaf.grad = None
                    sum_of(side, [(g * g).sum() for g in live]).backward()
                    seconds = [leaf.grad for leaf in leaves]
        results.append((result, grads, seconds))
    (theirs, tg, ts), (mine, mg, ms) = results
    if isinstance(theirs, tuple):
        assert len(mine) == len(theirs)
        near(mine[1], theirs[1], dtype, 0, f"{name} indices")
    near(first(mine), first(theirs), dtype, 0, f"{name} value")
    assert first(mine).requires_grad == first(theirs).requires_grad
    assert len(mg) == len(tg)
    for order, pairs in ((1, zip(mg, tg, strict=True)), (2, zip(ms, ts, strict=True))):
        for m, t in pairs:
            assert (m is None) == (t is None), f"{name}: gradient {m} of order {order}, torch {t}"
            if t is not None:
                near(m, t, dtype, order, f"{name}({case}) derivative {order}")


def every(cases: dict[str, list[Case]]) -> Iterator[Any]:
    for name, rows in cases.items():
        for i, case in enumerate(rows):
            yield pytest.param(name, case, id=f"{name}-{i}-{case}")


def test_every_row_has_a_case() -> None:
    there = {*CASES, *WRITES, *MADE_OF}
    assert there >= {*TABLE, *COMPOSED, *_shapes.METHODS} - {"__setitem__"}
    assert all(MADE_OF[name] for name in MADE_OF)


@pytest.mark.parametrize(("name", "case"), every(CASES))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_function(name: str, case: Case, dtype: torch.dtype) -> None:
    check_call(name, case, dtype, how_to_call(name))
