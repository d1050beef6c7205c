"""A number that is drawn while MLX traces would be the same in every call: it is refused, and nothing is drawn."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as tm
from torchish_mlx._core.trace import frozen, tracing

DRAWS = {
    "rand": lambda x: tm.rand(3),
    "randperm": lambda x: tm.randperm(3),
    "dropout": lambda x: tm.dropout(tm.Tensor(x), 0.5, True),
    "in place": lambda x: tm.zeros(3).normal_(),
    "bernoulli": lambda x: tm.bernoulli(tm.ones(3) / 2),
    "multinomial": lambda x: tm.multinomial(tm.ones(3), 2),
    "of a generator": lambda x: tm.rand(3, generator=tm.Generator()),
}


def state() -> bytes:
    return np.array(tm.get_rng_state().array).tobytes()


def summed(draw):
    """A function of an array that draws."""
    return lambda x: (x * draw(x).array.astype(mx.float32).sum()).sum()


TRACES = {
    "compile": mx.compile,
    "a gradient": mx.grad,
    "vmap": lambda f: mx.vmap(f, in_axes=0),
    "a compiled gradient": lambda f: mx.compile(mx.grad(f)),
    "the gradient of a compiled function": lambda f: mx.grad(mx.compile(f)),
}


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_in_a_trace_is_refused(name, trace):
    before = state()
    with pytest.raises(RuntimeError, match=r"every call would have the same ones\. Draw before the call and pass"):
        TRACES[trace](summed(DRAWS[name]))(mx.ones(3))
    assert state() == before
    summed(DRAWS[name])(mx.ones(3))  # outside it is not
    assert not tracing()


def test_a_compiled_step_is_refused_inside_backward_too():
    model = nn.Linear(3, 1)

    def step(x):
        return tm.backward(model, lambda m, x: tm.Tensor(m(x) * tm.rand(1).array).sum(), x).array

    with pytest.raises(RuntimeError, match="every call would have the same ones"):
        mx.compile(step, inputs=model.state)(mx.ones((2, 3)))


def test_a_draw_in_backward_is_drawn_in_each_call():
    model = nn.Linear(3, 1)
    drawn = []

    def loss(m, x):
        noise = tm.rand(2, 1)
        drawn.append(noise.tolist())
        return (m(x) + noise.array).square().mean()

    tm.manual_seed(0)
    for _ in range(3):
        tm.backward(model, loss, mx.ones((2, 3)))
    tm.manual_seed(0)
    assert drawn == [tm.rand(2, 1).tolist() for _ in range(3)]
    assert not frozen()


def test_the_array_is_passed_in():
    """What the message says to do."""
    tm.manual_seed(0)
    scaled = mx.compile(lambda x, noise: x * noise)
    first, second = (scaled(mx.ones(3), tm.rand(3).array).tolist() for _ in range(2))
    tm.manual_seed(0)
    assert [first, second] == [tm.rand(3).tolist(), tm.rand(3).tolist()]


def test_nothing_is_drawn_where_dropout_does_nothing():
    before = state()
    run = mx.compile(lambda x: tm.dropout(tm.Tensor(x), 0.5, False).array + tm.dropout(tm.Tensor(x), 0.0, True).array)
    assert run(mx.ones(3)).tolist() == [2, 2, 2]
    assert state() == before
