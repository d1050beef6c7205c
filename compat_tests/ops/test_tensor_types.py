"""Torch's old types of Tensors, next to torch."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx
from tests.each import check_each

NAMES = [name for name in dir(torch) if name.endswith("Tensor") and name != "Tensor"]
CALLS = [
    *(
        "T()",
        "T(2, 0)",
        "T([1, 2])",
        "T((1, 0))",
        "T([[1, 0], [1, 1]])",
        "T(np.ones(2))",
        "T(np.ones(2, dtype='int64'))",
    ),
    *("T(lib.ones(2, 2).type(T))", "T(range(2))", "T(lib.Size([0]))", "T(lib.Size([2, 3])).shape", "T(3).shape"),
    *("T(size=(0, 2))", "T([1], device='cpu')", "T(np.int64(3)).shape", "T(2, 3, 4).dtype", "T([True, False])"),
    *("isinstance(lib.ones(1).type(T), T)", "isinstance(lib.ones(1, dtype=lib.int16), T)", "isinstance(3, T)"),
    *("str(T)", "T.__name__", "T.__module__", "T.dtype", "T.is_cuda", "type(T).__name__", "issubclass(T, lib.Tensor)"),
    *("lib.ones(2).type(T)", "lib.ones(2).type(T).type()", "lib.zeros(1).type(T.__module__ + '.' + T.__name__)"),
]
REFUSED = [
    "T(5.0)",
    "T('a')",
    "T(-1)",
    "T([[1, 2], [3]])",
    "T(None)",
    "T({1})",
    "T(True)",
    "T(x for x in [1])",
    "T({1: 2})",
]
REFUSED += [
    "T(2, 'a')",
    "T(np.float32(3))",
    "T([1], dtype=lib.float32)",
    "T([1], requires_grad=True)",
    "T(lib.ones(1, dtype=O))",
]


def outcome(library: types.ModuleType, name: str, call: str) -> Any:
    kind = getattr(library, name)
    other = library.int32 if name != "IntTensor" else library.int64
    try:
        made = eval(call, {"lib": library, "T": kind, "np": np, "O": other})
    except Exception as error:
        return type(error).__name__, str(error).split(" - got")[0]
    return str(made)


def check(name: str, call: str) -> None:
    ours, theirs = (outcome(library, name, call) for library in (torchish_mlx, torch))
    assert ours == theirs


@pytest.mark.parametrize("name", NAMES)
def test_a_type(name: str) -> None:
    check_each(check, [(name, call) for call in CALLS])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_refused(name: str) -> None:
    keywords = [call for call in REFUSED if "dtype=lib.float32" in call or "requires_grad" in call]
    check_each(check, [(name, call) for call in REFUSED if call not in keywords])
    for call in keywords:  # Python's words for a keyword that is not there
        assert [outcome(library, name, call)[0] for library in (torchish_mlx, torch)] == ["TypeError"] * 2


@pytest.mark.parametrize("name", ["ByteTensor", "IntTensor", "CharTensor"])
def test_numbers_that_do_not_fit(name: str) -> None:
    check(name, "T([2**40])")


def test_numbers_are_cut_off() -> None:
    check("LongTensor", "T([1.7, -1.7])")
    check("LongTensor", "T(np.array([1.7, -1.7]))")


def test_a_tensor_shares_its_memory() -> None:
    for library in (torchish_mlx, torch):
        given = library.ones(2)
        library.FloatTensor(given)[0] = 5
        assert given.tolist() == [5.0, 1.0]
        leaf = library.ones(2, requires_grad=True)
        (library.FloatTensor(leaf) * 3).sum().backward()
        assert leaf.grad.tolist() == [3.0, 3.0]


@pytest.mark.filterwarnings("ignore:torch.set_default_tensor_type:UserWarning")
def test_the_default_type() -> None:
    for library in (torchish_mlx, torch):
        try:
            library.set_default_tensor_type(library.DoubleTensor)
            assert library.ones(1).dtype == library.float64
        finally:
            library.set_default_tensor_type(library.FloatTensor)
        with pytest.raises(TypeError, match="only floating-point types"):
            library.set_default_tensor_type(library.LongTensor)


def test_a_shape_is_no_data_for_tensor():
    for side in (torchish_mlx, torch):
        assert tuple(side.Tensor(side.Size([2, 3])).shape) == (2, 3)
        assert tuple(side.Tensor((2, 3)).shape) == (2,)


def test_another_device_is_refused():
    for side in (torchish_mlx, torch):
        with pytest.raises(RuntimeError, match="legacy constructor expects device type: cpu"):
            side.FloatTensor(2, device="meta")
