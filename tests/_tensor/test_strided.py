"""The view of any strides and offset: what NumPy shows, written through, differentiated."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx as torch
from tests.marks import examples
from torchish_mlx._tensor.storage import Storage, View
from torchish_mlx._tensor.views import Strided

SHOWN = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), max_size=4)


def view(base, shape, strides, offset):
    out = torch.Tensor.__new__(torch.Tensor)
    out._storage = View(base, [Strided(base.array.shape, shape, strides, offset)])
    return out


def shown(array, shape, strides, offset):
    step = array.itemsize
    return np.lib.stride_tricks.as_strided(array[offset:], shape, [s * step for s in strides])


@settings(max_examples=examples(100))
@given(SHOWN, st.integers(0, 5))
def test_it_shows_and_writes_what_numpy_does(axes, offset):
    shape, strides = tuple(n for n, _ in axes), tuple(s for _, s in axes)
    array = np.arange(offset + 1 + sum((n - 1) * s for n, s in axes), dtype="f4")
    base = Storage(mx.array(array))
    tensor = view(base, shape, strides, offset)
    expected = shown(array, shape, strides, offset)
    assert tensor.numpy().tolist() == expected.tolist()
    assert tensor.stride() == strides
    assert tensor._storage.layout() == (strides, offset)
    if len(np.unique(expected)) == expected.size:
        reach = 0
        for n, s in sorted(axes, key=lambda axis: axis[1]):
            if n > 1 and s <= reach:  # each place once, but interleaved: refused, as it cannot be told from the strides
                return
            reach += (n - 1) * s
        tensor.mul_(-3)
        expected *= -3
        assert base.array.tolist() == array.tolist()
    else:
        with pytest.raises(RuntimeError, match="single memory location"):
            tensor.mul_(-3)


def test_gradients_go_through_reading_and_writing():
    base = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], requires_grad=True)
    step = Strided((5,), (2, 2), (3, 1), 0)
    _, pulled = mx.vjp(step.forward, [base.array], [mx.array([[1.0, 2.0], [3.0, 4.0]])])
    assert pulled[0].tolist() == [1, 2, 0, 3, 4]
    _, pulled = mx.vjp(step.backward, [base.array, mx.zeros((2, 2))], [mx.arange(5.0)])
    assert [p.tolist() for p in pulled] == [[0, 0, 2, 0, 0], [[0, 1], [3, 4]]]


def test_a_view_of_it_writes_through():
    base = Storage(mx.arange(12.0))
    view(base, (3, 2), (4, 1), 1)[1:, 0].mul_(0)
    assert base.array.tolist() == [0, 1, 2, 3, 4, 0, 6, 7, 8, 0, 10, 11]
