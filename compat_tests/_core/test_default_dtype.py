"""``set_default_dtype`` next to torch's: what it changes, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.dtypes import outcome
from tests.each import each

DEFAULTS = ("float16", "bfloat16", "float32", "float64")
#: Calls whose dtype depends on the default, or looks as if it did.
CALLS = {
    "tensor": lambda m: m.tensor(0.1),
    "tensor of a list": lambda m: m.tensor([0.1, 1]),
    "tensor of a nest": lambda m: m.tensor([[0.1], [1.0]]),
    "tensor of nothing": lambda m: m.tensor([]),
    "tensor of ints": lambda m: m.tensor([1]),
    "tensor of float32": lambda m: m.tensor(np.ones(1, np.float32)),
    "tensor(dtype=)": lambda m: m.tensor([0.1], dtype=m.float32),
    "as_tensor": lambda m: m.as_tensor([0.1]),
    "Tensor": lambda m: m.Tensor([0.1, 2]),
    "Tensor of sizes": lambda m: m.Tensor(2).fill_(0),
    "Tensor()": lambda m: m.Tensor(),
    "zeros": lambda m: m.zeros(2),
    "ones": lambda m: m.ones(2),
    "empty": lambda m: m.empty(0),
    "full": lambda m: m.full((2,), 0.1),
    "full of ints": lambda m: m.full((2,), 1),
    "scalar_tensor": lambda m: m.scalar_tensor(0.1),
    "arange": lambda m: m.arange(0.0, 1.0, 0.25),
    "arange of ints": lambda m: m.arange(3),
    "linspace": lambda m: m.linspace(0, 1, 3),
    "logspace": lambda m: m.logspace(0, 1, 2),
    "eye": lambda m: m.eye(2),
    "int + float": lambda m: m.tensor([1]) + 0.1,
    "int / int": lambda m: m.tensor([1]) / m.tensor([3]),
    "bool * float": lambda m: m.tensor([True]) * 0.5,
    "int ** float": lambda m: m.tensor([2]) ** 0.5,
    "sin of ints": lambda m: m.tensor([1]).sin(),
    "sqrt of bools": lambda m: m.tensor([True]).sqrt(),
    "sigmoid of ints": lambda m: m.tensor([1]).sigmoid(),
    "erf of ints": lambda m: m.tensor([1]).erf(),
    "exp of ints": lambda m: m.tensor([1]).exp(),
    "atan2 of ints": lambda m: m.tensor([1]).atan2(m.tensor([2])),
    "logsumexp of ints": lambda m: m.tensor([1, 2]).logsumexp(0),
    "float": lambda m: m.tensor([1]).float(),
    "float32 + float": lambda m: m.ones(1, dtype=m.float32) + 0.1,
    "float32 + float tensor": lambda m: m.ones(1, dtype=m.float32) + m.tensor(0.1),
    "where": lambda m: m.where(m.tensor([True]), 0.1, 2),
    "new_tensor": lambda m: m.ones(1, dtype=m.int32).new_tensor([1.5]),
    "zeros_like": lambda m: m.zeros_like(m.ones(1, dtype=m.float16)),
    "type": lambda m: m.tensor([1]).type("torch.Tensor"),
    "mean": lambda m: m.tensor([1.0, 2.0]).mean(),
    "corrcoef": lambda m: m.corrcoef(m.tensor([[1, 2], [3, 5]])),
    "true_divide": lambda m: m.true_divide(m.tensor([5]), 2),
}

#: MLX's functions of float64 have float32's digits here.
ROUGH = ("erf of ints", "exp of ints", "logsumexp of ints")


@pytest.fixture(params=DEFAULTS)
def default(request) -> Iterator[str]:
    torch.set_default_dtype(getattr(torch, request.param))
    tm.set_default_dtype(getattr(tm, request.param))
    yield request.param
    torch.set_default_dtype(torch.float32)
    tm.set_default_dtype(tm.float32)


@each("name", CALLS)
def test_the_default_dtype_decides_as_in_torch(default, name):
    theirs = outcome(lambda: CALLS[name](torch))
    if "not implemented" in theirs:
        pytest.fail(f"torch has no {name} of {default}: leave it out")
    mine, theirs = CALLS[name](tm), CALLS[name](torch)
    assert str(mine.dtype) == str(theirs.dtype)
    digits = tm.finfo(getattr(tm, str(theirs.dtype)[6:])).eps if theirs.is_floating_point() else 0
    exact = {"rtol": 1e-6 if name in ROUGH and default == "float64" else 4 * digits, "atol": 0}
    np.testing.assert_allclose(np.array(mine.tolist(), float), np.array(theirs.tolist(), float), **exact)


def test_what_is_said_of_it(default):
    assert str(tm.get_default_dtype()) == str(torch.get_default_dtype()) == f"torch.{default}"
    assert type(tm.get_default_dtype()) is tm.dtype
    assert repr(tm.finfo()) == repr(torch.finfo())
    for name in ("float32", "float64", "int64", "bool"):
        for size in (0, 2):
            mine, theirs = (m.ones(size, dtype=getattr(m, name)) for m in (tm, torch))
            assert repr(mine) == repr(theirs)
    assert str(tm.result_type(1, 0.5)) == str(torch.result_type(1, 0.5))


def test_a_default_of_mlxs():
    tm.set_default_dtype(mx.float16)
    try:
        assert tm.get_default_dtype() is tm.float16
    finally:
        tm.set_default_dtype(tm.float32)


def test_complex_numbers_stay_complex64(default):
    assert tm.tensor(1j).dtype == tm.complex64
    assert (tm.tensor([1]) * 1j).dtype == tm.complex64


@pytest.mark.parametrize("given", ["int32", "bool", "complex64", "a str", "float", "None"])
def test_what_is_no_default_dtype(given):
    def refused(m):
        value = {"a str": "f", "float": float, "None": None}.get(given, given)
        return outcome(lambda: m.set_default_dtype(getattr(m, given) if value is given else value))

    assert refused(tm) == refused(torch)
    assert refused(tm).startswith("TypeError")
    assert tm.get_default_dtype() is tm.float32
