"""torch's old types of Tensors, such as ``torch.FloatTensor``, next to torch's."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm

SIDES = (torch, tm)
TYPES = ["BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short"]

#: Calls of a type; those of sizes are compared by their shape.
CALLS: dict[str, Any] = {
    "nothing": lambda t, T: T(),
    "sizes": lambda t, T: T(2, 3),
    "a size": lambda t, T: T(3),
    "a shape": lambda t, T: T(t.Size([2, 1])),
    "numbers": lambda t, T: T([1, 0]),
    "numbers in a tuple": lambda t, T: T((1, 0)),
    "rows": lambda t, T: T([[1, 0], [0, 1]]),
    "floats": lambda t, T: T([1.75, 0.0]),
    "bools": lambda t, T: T([True, False]),
    "an array": lambda t, T: T(np.array([1.75, 0.0])),
    "an array of ints": lambda t, T: T(np.array([1, 2], dtype=np.int32)),
    "a range": lambda t, T: T(range(3)),
    "the device": lambda t, T: T([1], device="cpu"),
}
REFUSED: dict[str, Any] = {
    "a float": lambda t, T: T(3.5),
    "None": lambda t, T: T(None),
    "a text": lambda t, T: T("a"),
    "a dict": lambda t, T: T({1: 2}),
    "a negative size": lambda t, T: T(-1),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_type_makes_what_torchs_makes(name):
    for what, call in CALLS.items():
        its, mine = (call(side, getattr(side, f"{name}Tensor")) for side in SIDES)
        assert str(mine.dtype) == str(its.dtype), what
        assert tuple(mine.shape) == tuple(its.shape), what
        if what not in ("sizes", "a size", "a shape"):
            assert mine.tolist() == its.tolist(), what


@pytest.mark.parametrize("what", REFUSED)
def test_a_type_refuses_what_torchs_refuses(what):
    errors = []
    for side in SIDES:
        with pytest.raises((TypeError, RuntimeError)) as caught:
            REFUSED[what](side, side.FloatTensor)
        errors.append((caught.type, str(caught.value)))
    assert errors[1] == errors[0]


def test_a_type_knows_its_tensors():
    for side in SIDES:
        x = side.ones(2)
        assert isinstance(x, side.FloatTensor)
        assert isinstance(side.nn.Parameter(x), side.FloatTensor)
        assert not isinstance(x, side.LongTensor)
        assert not isinstance(3.0, side.FloatTensor)
        assert not isinstance(x, (side.LongTensor, side.HalfTensor))
        assert side.FloatTensor(x).tolist() == [1, 1]
        with pytest.raises(TypeError):
            side.LongTensor(x)
        assert x.type(side.LongTensor).dtype == side.int64
        assert x.type(side.LongTensor).type() == "torch.LongTensor"
        assert repr(side.FloatTensor) == "<class 'torch.FloatTensor'>"
        assert (side.FloatTensor.__name__, side.FloatTensor.__module__) == ("FloatTensor", "torch")
        assert side.HalfTensor.dtype == side.float16
        assert not side.FloatTensor.is_cuda
    assert pickle.loads(pickle.dumps(tm.tensor([1.0]))).tolist() == [1.0]


def test_the_default_type_may_be_given_as_a_type():
    try:
        for side in SIDES:
            with pytest.warns(UserWarning, match="set_default_tensor_type"):
                side.set_default_tensor_type(side.DoubleTensor)
            assert side.tensor(0.5).dtype == side.float64
    finally:
        for side in SIDES:
            side.set_default_dtype(side.float32)


def test_a_shape_is_no_data_for_tensor():
    for side in SIDES:
        assert tuple(side.Tensor(side.Size([2, 3])).shape) == (2, 3)
        assert tuple(side.Tensor((2, 3)).shape) == (2,)


def test_another_device_is_refused():
    for side in SIDES:
        with pytest.raises(RuntimeError, match="legacy constructor expects device type: cpu"):
            side.FloatTensor(2, device="meta")
