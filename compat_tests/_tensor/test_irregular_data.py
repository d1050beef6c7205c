"""``tensor()`` of data that is no regular nest of numbers: torch's numbers, or torch's errors."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import torchish_mlx
from tests.each import check_each
from tests.marks import examples

DTYPES = [None, "float32", "float16", "int64", "uint8", "bool"]
DATA: list[Any] = [
    *([[1, 2], [3]], [[1, 2], 3], [1, [2]], [[[1], [2]], [[3], [4, 5]]], [[1], []], [[1, 2], (3,)], [[], [1]]),
    *([[[]], [[1]]], [[], []], [(1, 2), [3, 4]], [range(2), [1, 2]], [1.5, [2]], [[1.5], [[2]]], [True, [1]]),
    *([1.0, "a"], ["a"], [[1, 2], "ab"], [b"a"], [""], "a", [None], [1, None], [[1, 2], None], [[None]], [{}], [set()]),
    *([2**70], 2**70, [-(2**63) - 1], [2.5, 2**70], [1j, [2]]),
]
#: Torch goes another way where a dtype is given.
WITHOUT_A_DTYPE: list[Any] = [[np.ones(2), np.ones(3)], None, {}]


def outcome(library: types.ModuleType, data: Any, dtype: str | None) -> Any:
    try:
        return str(library.tensor(data, dtype=dtype and getattr(library, dtype)))
    except Exception as error:
        return type(error).__name__, str(error)


def check(data: Any, dtype: str | None) -> None:
    assert outcome(torchish_mlx, data, dtype) == outcome(torch, data, dtype)


@pytest.mark.parametrize("dtype", ["float32", "int64", None], ids=str)
def test_irregular_data(dtype: str | None) -> None:
    check_each(lambda data: check(data, dtype), [(data,) for data in DATA])


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy.ndarrays:UserWarning")
def test_without_a_dtype() -> None:
    check_each(lambda data: check(data, None), [(data,) for data in WITHOUT_A_DTYPE])


NUMBERS = [300, -1, -128, -129, -255, -256, 2**15, 2**31, -(2**31) - 1, 2**40, 1.5, -0.5, -1.5, 255.5, 256.0, 1e6, 1e39]
NUMBERS += [float("inf"), float("nan"), 127.5, -128.5, True]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "bool", "float16", "bfloat16"])
def test_numbers_that_a_dtype_does_not_hold(dtype: str) -> None:
    check_each(check, [(data, dtype) for n in NUMBERS for data in (n, [n], [[0, n], [1, 2]], [n, 1.5], (n, -1))])


nests = st.recursive(
    st.integers(0, 1) | st.sampled_from([0.5, 2.0, True]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=12,
)


@settings(max_examples=examples(400), deadline=None)
@given(data=nests, dtype=st.sampled_from(DTYPES))
def test_any_nest(data: Any, dtype: str | None) -> None:
    check(data, dtype)
