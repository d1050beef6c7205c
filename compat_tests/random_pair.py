"""The same calls on both sides, from the same seed: equal bits, and equal states of the generators afterwards."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx as tm

FLOATS = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}
INTEGERS = {
    name: getattr(torch, name) for name in ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64")
}
DTYPES = {**FLOATS, **INTEGERS, "bool": torch.bool}
SEEDS = (0, 1, 2**31, 2**63 - 1, -1, -(2**63), 2**64 - 1)
SIZES = (0, 1, 15, 16, 17, 31, 100, 10_000)


def ours(name: str) -> mx.Dtype:
    """MLX's dtype of a name."""
    return mx.bool_ if name == "bool" else getattr(mx, name)


def bits(tensor: Any) -> tuple[str, tuple[int, ...], bytes]:
    """The dtype, the shape and the bytes of a tensor, whichever side it is from."""
    if isinstance(tensor, torch.Tensor):
        plain = tensor.detach().contiguous()
        name = str(plain.dtype)[6:]
        raw = plain.view(torch.int16).numpy() if name == "bfloat16" else plain.numpy()
        return name, tuple(plain.shape), np.ascontiguousarray(raw).tobytes()
    array = tensor.detach().array
    name = str(array.dtype).rpartition(".")[2].removesuffix("_")
    return name, tuple(array.shape), np.array(mx.view(array, mx.int16) if name == "bfloat16" else array).tobytes()


def states() -> tuple[bytes, bytes]:
    """The states of the default generators: ours and torch's."""
    return np.array(tm.get_rng_state().array).tobytes(), torch.get_rng_state().numpy().tobytes()


def seed_both(seed: int) -> None:
    torch.manual_seed(seed)
    tm.manual_seed(seed)


def equal(mine: Any, theirs: Any) -> None:
    """Equal to the bit, and equal states of the generators."""
    same_numbers(mine, theirs)
    same_state()


def same_numbers(mine: Any, theirs: Any) -> None:
    """Equal to the bit; the first difference is shown."""
    a, b = bits(mine), bits(theirs)
    assert a[:2] == b[:2]
    if a[2] != b[2]:
        x, y = (np.array(t.detach().tolist()).ravel() for t in (mine, theirs))
        assert x.tolist() == y.tolist()  # shows the values
        raise AssertionError(f"{mine} and {theirs} differ in signs of zeros or in NaNs")


def same_state() -> None:
    """Equal states of the default generators. What was drawn ahead is put back for it."""
    mine_state, their_state = states()
    assert mine_state == their_state, "the states of the generators differ"


def both(call: Any, seed: int = 0) -> None:
    """``call(module, dtypes)`` of both sides from a seed."""
    seed_both(seed)
    equal(call(tm), call(torch))
