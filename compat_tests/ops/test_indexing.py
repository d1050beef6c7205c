"""Random indices next to torch: what is read, what is written, both gradients, and what is refused.

An index that is outside where the result has no elements is refused here, and torch does not look at it.
"""

from __future__ import annotations

import math
import os
import random
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm

PROGRAMS = int(os.environ.get("INDEX_PROGRAMS", "600"))
PARTS = 6


def entry(rng: random.Random, size: int) -> Any:
    """One entry of an index for a dimension of ``size`` elements; a tuple is a tensor of what it holds."""
    last = max(size - 1, 0)
    kind = rng.choice(["int", "slice", "slice", "tensor", "tensor", "list", "mask", "matrix", "bool"])
    if kind == "int":
        return rng.randint(-size - 1, size)
    if kind == "slice":
        a, b = sorted((rng.randint(-size - 1, size + 1), rng.randint(-size - 1, size + 1)))
        return slice(rng.choice([None, a]), rng.choice([None, b]), rng.choice([None, 1, 2]))
    if kind == "tensor":
        out = rng.random() < 0.1  # sometimes outside
        return tuple(rng.randint(-size - out, last + out) for _ in range(rng.choice([1, 2, 2, 3])))
    if kind == "list":
        return [rng.randint(-size, last) for _ in range(2)]
    if kind == "mask":
        return tuple(rng.random() < 0.5 for _ in range(size + (rng.random() < 0.05)))
    return ((0, 0), (0, last)) if kind == "matrix" else True


def index(rng: random.Random, shape: tuple[int, ...]) -> tuple[Any, ...]:
    parts: list[Any] = []
    at = 0
    for _ in range(rng.randint(1, len(shape) + 1)):
        if rng.random() < 0.1:
            parts.append(None)
        elif rng.random() < 0.1 and Ellipsis not in parts:
            parts.append(Ellipsis)
        else:
            parts.append(entry(rng, shape[at] if at < len(shape) else 1))
            at += 1
    return tuple(parts)


def tensors(T: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        T.tensor([list(p) if isinstance(p, tuple) else p for p in k]) if type(k) is tuple else k for k in parts
    )


def numbers(t: Any) -> Any:
    return None if t is None else np.array(t.detach().tolist())


def run(T: Any, shape: tuple[int, ...], parts: tuple[Any, ...], recorded: bool) -> list[Any]:
    """What is read and its gradient, what is written and both gradients; the type of an error in their place."""
    found: list[Any] = []
    x = T.tensor(np.arange(1.0, math.prod(shape) + 1).reshape(shape).tolist(), requires_grad=True)
    try:
        y = x[tensors(T, parts)]
        (y * y).sum().backward()
        found.append([tuple(y.shape), numbers(y), numbers(x.grad)])
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        found.append(type(error))
    x.grad = None
    value = T.tensor(3.0, requires_grad=True) if recorded else 7.0
    try:
        z = x * 2
        z[tensors(T, parts)] = value
        (z * z).sum().backward()
        found.append([numbers(z), numbers(x.grad), numbers(value.grad) if recorded else None])
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        found.append(type(error))
    return found


def check(seed: int) -> None:
    rng = random.Random(seed)
    shape = tuple(rng.choice([1, 2, 3, 4]) for _ in range(rng.choice([1, 2, 2, 3, 3, 4])))
    parts, recorded = index(rng, shape), rng.random() < 0.5
    theirs = run(torch, shape, parts, recorded)
    if isinstance(theirs[0], list) and 0 in theirs[0][0]:
        return
    mine = run(tm, shape, parts, recorded)
    for what, a, b in zip(("read", "write"), mine, theirs, strict=True):
        where = f"seed {seed}: {what} of {shape} at {parts}: {a}, torch {b}"
        assert isinstance(a, list) == isinstance(b, list), where
        if not isinstance(b, list):
            assert a is b, where
            continue
        for p, q in zip(a, b, strict=True):
            if isinstance(q, np.ndarray):
                np.testing.assert_allclose(p, q, err_msg=where)
            else:
                assert p == q, where


@pytest.mark.parametrize("part", range(PARTS))
def test_random_indices(part: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(part, PROGRAMS, PARTS):
            check(seed)
