"""Dtype objects without torch: one for each of MLX's, equal to it from both sides, and refused by MLX's functions."""

from __future__ import annotations

import copy
import pickle

import mlx.core as mx
import pytest

import torchish_mlx as torch
from torchish_mlx._core.dtypes import DTYPES, OF_MLX
from torchish_mlx._core.promotion import NAMES


def test_every_dtype_of_mlx_has_one():
    assert set(OF_MLX) == set(NAMES)
    assert set(DTYPES) == set(NAMES)  # they find each other
    for dtype in DTYPES:
        assert OF_MLX[dtype] is dtype
        assert OF_MLX[dtype.mlx] is dtype
        assert (mx.zeros(1, dtype.mlx).dtype == dtype, dtype == mx.zeros(1, dtype.mlx).dtype) == (True, True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_it_goes_into_a_tensor_and_comes_back(dtype):
    x = torch.zeros(2, dtype=dtype)
    assert x.dtype is dtype
    assert x.array.dtype == dtype.mlx
    assert copy.deepcopy(x).dtype is pickle.loads(pickle.dumps(x)).dtype is dtype
    assert x.array.itemsize == dtype.itemsize == dtype.size


@pytest.mark.filterwarnings("ignore:nanobind:RuntimeWarning")
def test_mlxs_functions_refuse_it():
    for call in (
        lambda: mx.zeros(2, dtype=torch.float32),
        lambda: mx.array(1.0, torch.float32),
        lambda: mx.array(1.0).astype(torch.float32),
    ):
        with pytest.raises(TypeError, match=r"torchish_mlx\.dtype"):
            call()
