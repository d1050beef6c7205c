"""``finfo`` and ``iinfo`` next to torch's, over all dtypes."""

from __future__ import annotations

import mlx.core as mx
import pytest
import torch

import torchish_mlx as tm
from compat_tests.dtypes import MLX, NAMES, outcome

FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@pytest.mark.parametrize("name", FLOATS)
def test_the_numbers_of_a_floating_dtype(name):
    theirs = torch.finfo(getattr(torch, name))
    for mine in (tm.finfo(getattr(tm, name)), tm.finfo(MLX[name]), tm.finfo(type=getattr(tm, name))):
        for attribute in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
            a, b = getattr(mine, attribute), getattr(theirs, attribute)
            assert (type(a), a) == (type(b), b), attribute
        assert (repr(mine), str(mine)) == (repr(theirs), str(theirs))


@pytest.mark.parametrize("name", INTEGERS)
def test_the_numbers_of_an_integer_dtype(name):
    theirs = torch.iinfo(getattr(torch, name))
    for mine in (tm.iinfo(getattr(tm, name)), tm.iinfo(MLX[name]), tm.iinfo(type=getattr(tm, name))):
        for attribute in ("bits", "max", "min", "dtype"):
            a, b = getattr(mine, attribute), getattr(theirs, attribute)
            assert (type(a), a) == (type(b), b), attribute
        assert (repr(mine), str(mine)) == (repr(theirs), str(theirs))


@pytest.mark.parametrize("function", ["finfo", "iinfo"])
def test_what_has_no_such_numbers(function):
    for name in NAMES:
        mine, theirs = (outcome(lambda m=m, n=name: getattr(m, function)(getattr(m, n))) for m in (tm, torch))
        assert mine == theirs, name
    for given in (1, "float32", None, float, int, bool, (1,)):
        assert outcome(lambda g=given: getattr(tm, function)(g)) == outcome(lambda g=given: getattr(torch, function)(g))


def test_without_a_dtype():
    assert repr(tm.finfo()) == repr(torch.finfo())
    with pytest.raises(TypeError, match="type"):
        tm.iinfo()


def test_equal_unwritable_and_unhashable_as_torchs():
    assert tm.finfo(tm.float32) == tm.finfo(mx.float32)
    assert tm.finfo(tm.float32) != tm.finfo(tm.float64)
    assert tm.finfo(tm.float32) != tm.iinfo(tm.int32)
    assert tm.finfo(tm.float32) != 1
    for m in (tm, torch):
        for do in (lambda i: hash(i), lambda i: i < i):
            with pytest.raises(TypeError):
                do(m.finfo())
        for name in ("eps", "x"):
            with pytest.raises(AttributeError):
                setattr(m.finfo(), name, 1)
