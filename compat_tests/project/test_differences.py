"""What docs/differences.md says of dtypes and of gradients at kinks, beyond the programs that stand there."""

from __future__ import annotations

import itertools

import mlx.core as mx
import pytest
import torch

import torchish_mlx

NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "complex64")


def of_mlx(name):
    return mx.bool_ if name == "bool" else getattr(mx, name)


@pytest.mark.parametrize("operator", ["__add__", "__mul__", "__truediv__"])
def test_two_arrays_meet_in_the_same_dtype(operator):
    for one, other in itertools.product(NAMES, NAMES):
        theirs = getattr(torch.ones(2, dtype=getattr(torch, one)), operator)(torch.ones(2, dtype=getattr(torch, other)))
        ours = getattr(mx.ones(2, of_mlx(one)), operator)(mx.ones(2, of_mlx(other)))
        assert str(ours.dtype).removeprefix("mlx.core.") == str(theirs.dtype).removeprefix("torch."), (one, other)


def test_torch_does_not_mix_long_unsigned_integers():
    for name in ("uint16", "uint32", "uint64"):
        with pytest.raises(RuntimeError, match="Promotion for uint16, uint32, uint64"):
            torch.ones(2, dtype=getattr(torch, name)) + torch.ones(2, dtype=torch.int32)


KINKS = {
    "maximum": ([1.0, 1.0], lambda lib, x: lib.maximum(x[0], x[1])),
    "minimum": ([1.0, 1.0], lambda lib, x: lib.minimum(x[0], x[1])),
    "max": ([1.0, 1.0], lambda lib, x: x.max(0).values),
    "clamp, lower": (0.0, lambda lib, x: x.clamp(0, 1)),
    "clamp, upper": (1.0, lambda lib, x: x.clamp(0, 1)),
    "pow": (0.0, lambda lib, x: x**0.0),
    "norm": ([0.0, 0.0], lambda lib, x: x.norm()),
    "std": ([1.0, 1.0], lambda lib, x: x.std()),
    "abs": (0.0, lambda lib, x: x.abs()),
}


@pytest.mark.parametrize("name", KINKS)
def test_gradients_of_tensors_at_kinks_are_torchs(name):
    at, function = KINKS[name]
    theirs = torch.tensor(at, requires_grad=True)
    function(torch, theirs).backward()
    ours = torchish_mlx.tensor(at, requires_grad=True)
    function(torchish_mlx, ours).backward()
    assert ours.grad.tolist() == theirs.grad.tolist()
