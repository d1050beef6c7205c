"""Many small arrays are joined by Python where it can read their memory, and by MLX elsewhere: the same numbers."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

import torchish_mlx as torch
from torchish_mlx import optim
from torchish_mlx.optimizers import _join

BASE = np.arange(1, 61, dtype=np.float32).reshape(5, 12)
VIEWS = {
    "contiguous": lambda a: a,
    "a row of a larger array": lambda a: a[3],
    "transposed": lambda a: a.T,
    "every second column": lambda a: a[:, ::2],
    "backwards": lambda a: a[0][::-1],
    "broadcast": lambda a: mx.broadcast_to(a[1], (4, 12)),
    "0-d": lambda a: a[2, 2],
    "three axes": lambda a: a.reshape(5, 3, 4).transpose(2, 0, 1),
}
DTYPES = [mx.float32, mx.bfloat16, mx.float16, mx.complex64, mx.int32, mx.bool_]


def by_mlx(arrays):
    return mx.concatenate([a.reshape(-1) for a in arrays])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("view", VIEWS)
def test_any_memory(view, dtype):
    arrays = [VIEWS[view](mx.array(BASE + i).astype(dtype)) for i in range(_join.MANY)]
    joined = _join.flattened(arrays)
    assert joined.dtype == dtype
    assert joined.tolist() == by_mlx(arrays).tolist()


def test_one_that_is_not_contiguous_among_others():
    arrays = [mx.array(BASE + i) for i in range(_join.MANY)]
    arrays[7] = arrays[7].T
    assert _join.flattened(arrays).tolist() == by_mlx(arrays).tolist()


def test_it_is_a_copy():
    arrays = [mx.array(BASE[0] + i) for i in range(_join.MANY)]
    joined = _join.flattened(arrays)
    arrays[0][0] = 100.0
    mx.eval(arrays)
    assert joined[0].item() == 1.0


@pytest.mark.parametrize("transform", [mx.compile, mx.vmap, mx.grad], ids=["compile", "vmap", "grad"])
def test_what_mlx_traces(transform):
    """An array of a trace has no memory."""

    def total(x: mx.array) -> mx.array:
        return (_join.flattened([x * i for i in range(_join.MANY)]) ** 2).sum()

    found = transform(total)(mx.array(BASE))
    squares = sum(i * i for i in range(_join.MANY))
    wanted = {mx.grad: 2 * squares * BASE, mx.vmap: squares * (BASE**2).sum(1), mx.compile: squares * (BASE**2).sum()}
    assert mx.allclose(found, mx.array(wanted[transform]))


@pytest.mark.parametrize("make", [optim.SGD, optim.AdamW, optim.Adafactor], ids=lambda make: make.__name__)
def test_steps_are_the_same_to_the_bit(make, monkeypatch):
    """Gradients are of any memory, and are not evaluated."""

    def run() -> list[list[float]]:
        parameters = [torch.Parameter(mx.array(BASE + i)) for i in range(40)]
        optimizer = make(parameters, lr=0.1)
        for step in range(3):
            for i, parameter in enumerate(parameters):
                gradient = mx.sin(parameter.array * (step + 1))
                parameter.grad = torch.tensor(gradient.T.reshape(12, 5).T if i % 2 else gradient)
            optimizer.step()
        return [parameter.array.tolist() for parameter in parameters]

    here = run()
    monkeypatch.setattr(_join, "MANY", 10**6)
    assert here == run()
