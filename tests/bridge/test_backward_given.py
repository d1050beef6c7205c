"""What ``backward(model, loss_fn, ...)`` hands to the loss function: arrays of MLX, whatever the data came as."""

from __future__ import annotations

from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch


def given(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """What a loss function gets."""
    seen: list[Any] = []

    def loss_fn(model: nn.Module, *args: Any, **kwargs: Any) -> mx.array:
        seen.append((args, kwargs))
        return model.weight.sum()

    torch.backward(nn.Linear(2, 2), loss_fn, *args, **kwargs)
    return seen[0]


DTYPES = {
    "float64": mx.float32,
    "float32": mx.float32,
    "float16": mx.float16,
    "int64": mx.int64,
    "int32": mx.int32,
    "uint8": mx.uint8,
    "bool": mx.bool_,
    "complex64": mx.complex64,
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_arrays_become_arrays(dtype):
    """With their dtype, but float64, which becomes float32 as in mx.array()."""
    (x,), kwargs = given(np.ones((2, 2), dtype), y=np.zeros(3, dtype))
    for array, shape in ((x, (2, 2)), (kwargs["y"], (3,))):
        assert isinstance(array, mx.array)
        assert (array.dtype, array.shape) == (DTYPES[dtype], shape)


def test_a_training_loop_over_numpy_arrays():
    rng = np.random.default_rng(0)
    model, twin = nn.Linear(3, 1), nn.Linear(3, 1)
    twin.update(model.parameters())
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 1))

    def loss_fn(model: nn.Module, x: mx.array, y: mx.array) -> mx.array:
        return ((model(x) - y) ** 2).mean()

    loss = torch.backward(model, loss_fn, x, y)
    same = torch.backward(twin, loss_fn, mx.array(x), mx.array(y))
    assert loss.item() == same.item()
    for p, q in zip(torch.parameters(model), torch.parameters(twin), strict=True):
        assert p.grad.tolist() == q.grad.tolist()


class Pair(NamedTuple):
    x: Any
    y: Any


def test_batches_that_are_containers():
    """Dicts, lists and tuples, nested; what holds no such array is handed over as it is."""
    names, pair = ["a", "b"], Pair(np.ones(1), 2)
    (batch, same, kept), _ = given({"x": np.ones(2), "more": (torch.ones(2), [np.ones(1), "name"])}, names, pair)
    assert isinstance(batch["x"], mx.array)
    assert isinstance(batch["more"], tuple)
    assert isinstance(batch["more"][0], mx.array)
    assert isinstance(batch["more"][1][0], mx.array)
    assert batch["more"][1][1] == "name"
    assert same is names
    assert kept is pair


def test_other_arguments_stay():
    words, number, module = np.array(["a", "b"]), np.float32(2.0), nn.ReLU()
    (w, n, m, none), _ = given(words, number, module, None)
    assert (w is words, n is number, m is module, none) == (True, True, True, None)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: torch.backward(m, mx.ones(2)), r"takes a loss function after the model.*loss_fn is a mlx.array"),
        (
            lambda m: torch.backward(m, m(mx.ones(2)).sum()),
            r"backward\(model, loss_fn, x, y\), but loss_fn is a mlx.array",
        ),
        (lambda m: torch.backward(lambda m: m, m), "takes an mlx.nn.Module and a loss function.*not function"),
    ],
)
def test_what_is_no_model_or_no_function(call, match):
    with pytest.raises(TypeError, match=match):
        call(nn.Linear(2, 2))
