"""How Tensors print, next to torch: random tensors of all kinds under random options."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "bool", "uint16", "uint32", "uint64")
SHAPES = [
    *((), (1,), (2,), (7,), (30,), (1, 1), (3, 4), (2, 3, 4), (1, 2, 1, 3), (2, 1, 2, 2, 2)),
    *((5, 30), (0,), (0, 3), (3, 0)),
    *((3, 0, 2), (999,), (1000,), (1001,), (40, 40), (3, 400), (400, 3), (7, 12, 13), (6, 6, 30), (2, 2, 2, 2, 100)),
]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {},
    {"precision": 0},
    {"precision": 2},
    {"precision": 10},
    {"threshold": 5},
    {"threshold": 0, "edgeitems": 1},
    {"threshold": 20, "edgeitems": 0},
    {"threshold": 100, "edgeitems": 7},
    {"linewidth": 40},
    {"linewidth": 1},
    {"linewidth": 200, "edgeitems": 20},
    {"sci_mode": True},
    {"sci_mode": False},
    {"sci_mode": True, "precision": 1, "linewidth": 60},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "short", "precision": 5},
]
#: What floats are multiplied by, and which are put between them.
SIZES = (1, 1e-6, 1e-3, 30, 1e4, 1e7, 1e12)
SPECIAL = (0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-5, 1e8, 1e9, 0.99999, 9.99995, -1234.5)


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    yield
    for module in (tm, torch):
        module.set_printoptions(profile="default")


def numbers(rng: np.random.RandomState, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of a kind that is chosen at random."""
    if dtype == "bool":
        return rng.rand(*shape) < 0.5
    if dtype in INTEGERS:
        limits = np.iinfo(dtype)
        if rng.rand() < 0.5:
            return np.asarray(rng.randint(max(-50, limits.min), 100, shape)).astype(dtype)
        return np.asarray(rng.randint(limits.min, limits.max, shape, dtype=dtype))
    if dtype == "complex64":
        both = np.empty(shape, np.complex64)
        both.real, both.imag = (numbers(rng, "float32", shape) for _ in range(2))
        return both
    kind = rng.randint(5)
    values = np.asarray(rng.randn(*shape)) * SIZES[rng.randint(len(SIZES))]
    if kind == 0:
        values = np.round(values)
    if kind == 1:
        values = values * 10.0 ** rng.randint(-4, 4, shape)
    if kind >= 3:
        values = np.where(rng.rand(*shape) < 0.2, np.asarray(SPECIAL)[rng.randint(0, len(SPECIAL), shape)], values)
    if kind == 4 and rng.rand() < 0.3:
        values = np.zeros(shape)
    return values


def pair(values: np.ndarray, dtype: str) -> tuple[Any, Any]:
    """The same numbers on both sides."""
    with np.errstate(all="ignore"):
        if dtype in ("float16", "bfloat16", "float32"):
            values = values.astype(np.float32)
        theirs = torch.from_numpy(np.array(values)).to(getattr(torch, dtype))
    ours = mx.bool_ if dtype == "bool" else getattr(mx, dtype)
    mine = mx.array(values, ours) if dtype == "float64" else mx.array(values).astype(ours)
    return tm.tensor(mine), theirs


def same(mine: Any, theirs: Any) -> None:
    assert repr(mine).replace("torchish_mlx.", "torch.") == repr(theirs)
    assert str(mine) == repr(mine)
    assert f"{mine}".replace("torchish_mlx.", "torch.") == f"{theirs}"


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "uint8", "bool", "uint64", "complex64"])
def test_random_tensors(dtype, options):
    rng = np.random.RandomState(len(str(options)) + len(dtype))
    for module in (tm, torch):
        module.set_printoptions(**options)
    for shape in SHAPES:
        for _ in range(3 if np.prod(shape) < 100 else 1):
            same(*pair(numbers(rng, dtype, shape), dtype))


@pytest.mark.parametrize("seed", range(10))
def test_random_options_one_after_another(seed):
    choose, rng = random.Random(seed), np.random.RandomState(seed)
    for _ in range(15):
        options = choose.choice(OPTIONS)
        for module in (tm, torch):
            module.set_printoptions(**options)
        dtype = choose.choice([*FLOATS, "int64", "complex64"])
        same(*pair(numbers(rng, dtype, choose.choice(SHAPES)), dtype))


@pytest.mark.parametrize("width", [20, 33, 34, 35, 36, 37, 38, 39, 40, 47, 80])
def test_suffixes_that_do_not_fit(width):
    for module in (tm, torch):
        module.set_printoptions(linewidth=width)
    for count in range(1, 12):
        mine, theirs = tm.ones(count, requires_grad=True), torch.ones(count, requires_grad=True)
        same(mine, theirs)
        same(mine * 1.5, theirs * 1.5)
        same(
            tm.ones(count, dtype=tm.float16, requires_grad=True),
            torch.ones(count, dtype=torch.half, requires_grad=True),
        )
        same(tm.nn.Parameter(tm.ones(count)), torch.nn.Parameter(torch.ones(count)))
        same(tm.zeros(count, 0, dtype=tm.int32), torch.zeros(count, 0, dtype=torch.int32))


def test_another_default_dtype():
    try:
        for module in (tm, torch):
            module.set_default_dtype(module.float64)
        for dtype in ("float32", "float64", "complex64", "int64", "bool"):
            same(*pair(np.ones(2), dtype))
            same(*pair(np.ones((0, 2)), dtype))
    finally:
        for module in (tm, torch):
            module.set_default_dtype(module.float32)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "complex64"])
def test_numbers(dtype):
    """``item``, ``tolist`` and ``numpy`` give torch's values in torch's types."""
    rng = np.random.RandomState(3)
    for shape in ((), (1,), (1, 1), (7,), (2, 3), (0,), (2, 0)):
        mine, theirs = pair(numbers(rng, dtype, shape), dtype)
        assert repr(mine.tolist()) == repr(theirs.tolist())
        if mine.numel() == 1:
            assert repr(mine.item()) == repr(theirs.item())
            assert type(mine.item()) is type(theirs.item())
        if dtype != "bfloat16":
            a, b = mine.numpy(), theirs.numpy()
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    for shape in ((), (1,), (1, 1)):
        for spec in ("", "5", ".2f", ">9", "e", "d", "05", "x", "%"):
            said = []
            for tensor in pair(np.ones(shape), dtype):
                try:
                    said.append(format(tensor, spec).replace("torchish_mlx.", "torch."))
                except (TypeError, ValueError) as error:
                    said.append((type(error), str(error)))
            assert said[0] == said[1], spec


def test_a_parameter_of_one_number():
    said = []
    for module in (tm, torch):
        p = module.nn.Parameter(module.tensor(1.5))
        said.append(f"{p}")
        try:
            said[-1] += f"{p:.2f}"
        except TypeError as error:
            said[-1] += str(error)
    assert said[0] == said[1]


def test_items_that_are_not_one():
    for tensor in (tm.ones(2), torch.ones(2)):
        with pytest.raises(RuntimeError, match="a Tensor with 2 elements cannot be converted to Scalar"):
            tensor.item()


def test_refused():
    with pytest.raises(ValueError, match="profile 'long': there are 'default', 'short', 'full'"):
        tm.set_printoptions(profile="long")
