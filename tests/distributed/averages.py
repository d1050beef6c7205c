"""A program of two processes: average_gradients_, against what one process computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from tests.distributed.launched import main
from torchish_mlx import optim
from torchish_mlx.nn.utils import average_gradients_, clip_grad_norm_
from torchish_mlx.optimizers import RowSparse

BATCH = mx.random.normal((16, 4), key=mx.random.key(1))


def parameter(shape: Any, grad: Any = None, dtype: mx.Dtype = mx.float32) -> torch.Parameter:
    p = torch.Parameter(mx.zeros(shape, dtype))
    p.grad = grad
    return p


def net() -> nn.Module:
    mx.random.seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


def squared_error(model: nn.Module, x: mx.array) -> mx.array:
    return mx.mean((model(x) - mx.sin(x[:, :3])) ** 2)


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    for (name, a), (_, b) in zip(tree_flatten(one.parameters()), tree_flatten(other.parameters()), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, err_msg=name)


def arrays(group: mx.distributed.Group) -> None:
    """In every way of sending them; a frozen parameter has no part in it."""
    for options in ({}, {"group": group}, {"all_reduce_size": 0}, {"all_reduce_size": 64}):
        model = net()
        model.layers[2].freeze()
        torch.backward(model, squared_error, BATCH[group.rank() :: 2])
        held = [p.grad for p in torch.parameters(model)]
        average_gradients_(model, **options)
        _, tree = nn.value_and_grad(model, squared_error)(model, BATCH)
        whole: Any = tree_flatten(tree, destination={})
        for (name, p), before in zip(torch.named_parameters(model), held, strict=True):
            assert p.grad is before, "the gradient is another Tensor"
            assert (p.grad is None) == (name not in whole)
            if name in whole:
                np.testing.assert_allclose(p.grad.numpy(), whole[name], rtol=1e-5, atol=1e-7)


def none_in_one_process_or_both(group: mx.distributed.Group) -> None:
    a = parameter((2,), mx.array([2.0, 4.0]))
    b = parameter((3,), mx.array([6.0, 8.0, 2.0]) if group.rank() == 1 else None)
    c = parameter((1,))
    half = parameter((2,), mx.array([1.0, 3.0]) if group.rank() == 0 else None, mx.bfloat16)  # a float32 gradient
    average_gradients_([a, b, c, half])
    assert a.grad.tolist() == [2.0, 4.0]
    assert b.grad.tolist() == [3.0, 4.0, 1.0]
    assert c.grad is None
    assert half.grad.tolist() == [0.5, 1.5]
    assert half.grad.dtype == mx.float32


def rows_of_different_numbers(group: mx.distributed.Group) -> None:
    """Also none in one process, none at all, and arrays beside them."""
    first = group.rank() == 0
    rows = RowSparse(mx.array([0, 2, 0]), mx.array([[1.0], [2.0], [3.0]]), (4, 1))
    few = RowSparse(mx.array([3]), mx.array([[8.0]]), (4, 1))
    p = parameter((4, 1), rows if first else few)
    q = parameter((4, 1), rows if first else None)
    none = parameter((4, 1), RowSparse(mx.zeros((0,), mx.int32), mx.zeros((0, 1)), (4, 1)))
    scalar = parameter((), RowSparse(mx.array([0]), mx.array([4.0 * group.rank()]), ()))
    dense = parameter((2,), mx.array([1.0, 2.0]) * (1 + group.rank()))
    average_gradients_([p, q, none, dense, scalar])
    assert isinstance(p.grad, RowSparse)
    assert p.grad.dense().tolist() == [[2.0], [0.0], [1.0], [4.0]]
    assert isinstance(q.grad, RowSparse)
    assert q.grad.dense().tolist() == [[2.0], [0.0], [1.0], [0.0]]
    assert sorted(q.grad.indices.tolist()) == [0, 0, 2], "a row that nobody has is there"
    assert none.grad.indices.size == 0
    assert dense.grad.tolist() == [1.5, 3.0]
    assert scalar.grad.dense().item() == 2.0


OPTIMIZERS: list[Callable[[nn.Module], Any]] = [
    lambda model: optim.SGD(model, lr=0.1, momentum=0.9),
    lambda model: optim.AdamW(model, lr=0.01),
    lambda model: optim.Muon([p for p in torch.parameters(model) if p.ndim == 2], lr=0.01),
]


def a_training(group: mx.distributed.Group) -> None:
    """The weights of one process that has the whole batch. What is whole in every process counts once in a norm."""
    for make in OPTIMIZERS:
        models = net(), net()
        for model, batch in zip(models, (BATCH[group.rank() :: 2], BATCH), strict=True):
            optimizer = make(model)
            for _ in range(20):
                optimizer.zero_grad()
                torch.backward(model, squared_error, batch)
                if batch is not BATCH:
                    average_gradients_(model)
                clip_grad_norm_(model, 0.5, group=group)
                optimizer.step()
        assert_same_weights(*models)


def a_compiled_training(group: mx.distributed.Group) -> None:
    models = net(), net()
    for model, batch in zip(models, (BATCH[group.rank() :: 2], BATCH), strict=True):
        optimizer = optim.AdamW(model, lr=0.01)
        optimizer.init(model)
        state = [model.state, optimizer.state]

        def step(batch: mx.array, model: Any = model, optimizer: Any = optimizer, whole: bool = batch is BATCH) -> Any:
            optimizer.zero_grad()
            loss = torch.backward(model, squared_error, batch)
            if not whole:
                average_gradients_(model)
            optimizer.step()
            optimizer.zero_grad()
            return loss.array

        compiled = mx.compile(step, inputs=state, outputs=state)
        for _ in range(5):
            mx.eval(compiled(batch), state)
    assert_same_weights(*models)


def what_a_compiled_function_can_not_ask(_group: mx.distributed.Group) -> None:
    """A process that is traced alone, for another shape, would ask the others without an answer."""

    def step(grad: mx.array) -> None:
        average_gradients_([parameter((2,)), parameter((2,), grad)])

    with pytest.raises(RuntimeError, match=r"is None or has rows, which it can't do in a function that mx\.compile"):
        mx.compile(step)(mx.ones(2))


if __name__ == "__main__":
    main(
        arrays,
        none_in_one_process_or_both,
        rows_of_different_numbers,
        a_training,
        a_compiled_training,
        what_a_compiled_function_can_not_ask,
    )
