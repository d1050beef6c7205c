"""Sums, means and norms of many numbers are as near to the exact ones as torch's, within a small factor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx

SIZES = [4095, 4096, 4097, 5000, 65_536, 100_003, 1_000_000]
CALLS = {
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "norm": lambda x: x.norm() ** 2,
    "all dimensions": lambda x: x.reshape(1, -1).sum((0, 1)),
    "keepdim": lambda x: x.reshape(1, -1).mean((0, 1), keepdim=True),
    "a loss": lambda x: ((x + 1) - 1).square().mean(),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_error_does_not_grow_with_the_number(name: str) -> None:
    """MLX's own sum of a million such numbers is off by 1e-5."""
    for size in SIZES:
        data = np.random.default_rng(size).random(size).astype(np.float32)
        ours, theirs = (CALLS[name](library.tensor(data)) for library in (torchish_mlx, torch))
        exact = float(CALLS[name](torch.tensor(data, dtype=torch.float64)))
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert str(ours.dtype) == str(theirs.dtype) == "torch.float32"
        assert abs(float(ours) / exact - 1) < 2e-6  # torch's: 3e-7


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int64", "bool"])
def test_other_dtypes(dtype: str) -> None:
    data = np.random.default_rng(3).integers(0, 3, 9001)

    def total(library: Any) -> float:
        return float(library.tensor(data).to(getattr(library, dtype)).sum())

    assert total(torchish_mlx) == total(torch)


def test_what_is_no_number_is_found() -> None:
    for special in (float("nan"), float("inf"), -float("inf")):
        for place in (0, 4500, 8999):
            data = np.ones(9000, np.float32)
            data[place] = special
            ours, theirs = (float(library.tensor(data).sum()) for library in (torchish_mlx, torch))
            assert str(ours) == str(theirs)


def test_views_and_gradients() -> None:
    data = np.random.default_rng(4).random((80, 90)).astype(np.float32)

    def run(library: Any) -> list[Any]:
        x = library.tensor(data, requires_grad=True)
        made = x.t()[3:, 5:].square().mean()
        made.backward()
        return [made.item(), x.grad]

    (ours, mine), (theirs, its) = run(torchish_mlx), run(torch)
    assert ours == pytest.approx(theirs, rel=1e-6)
    np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-6)
