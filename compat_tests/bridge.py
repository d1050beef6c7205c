"""Values carried between torch and this package, for tests that drive the same thing on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx
from torchish_mlx.optimizers import RowSparse
from torchish_mlx.parity.sides import DTYPES, to_array, values

TORCH_DTYPES = {ours: theirs for theirs, ours in DTYPES.items()} | {mx.complex64: torch.complex64}


def to_ours(value: Any) -> Any:
    """``value`` with every torch tensor in it replaced: a leaf by a Parameter, a sparse one by RowSparse.

    A tensor that stands twice in ``value`` is the same object twice in the result.
    """
    memo: dict[int, Any] = {}

    def converted(t: torch.Tensor) -> Any:
        if t.is_sparse:
            assert t._nnz() == 0, "the sparse tensors of torch's tables are empty"
            return RowSparse(mx.zeros((0,), mx.int32), mx.zeros((0, *t.shape[1:])), t.shape)
        if t.requires_grad or isinstance(t, torch.nn.Parameter):
            made = torchish_mlx.Parameter(to_array(t))
        else:
            made = torchish_mlx.Tensor(to_array(t))
        if t.grad is not None:
            made.grad = to_array(t.grad)
        return made

    def walk(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in memo:
                memo[id(value)] = converted(value)
            return memo[id(value)]
        if isinstance(value, Mapping):
            return {key: walk(v) for key, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(walk(v) for v in value)
        return value

    return walk(value)


def to_torch(value: Any) -> Any:
    """``value`` with our tensors replaced by copies of torch's."""
    if isinstance(value, torchish_mlx.Tensor):
        dtype = TORCH_DTYPES[value.dtype]
        array = value.array.astype(mx.float32) if value.dtype == mx.bfloat16 else value.array
        return torch.tensor(np.array(array)).to(dtype)
    if isinstance(value, Mapping):
        return {key: to_torch(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_torch(v) for v in value)
    return value


def shape_of(value: Any) -> Any:
    """What a value looks like, whichever side it is from: (dtype, shape) of a tensor, the type of anything else."""
    if isinstance(value, torch.Tensor):
        return str(DTYPES[value.dtype]), tuple(value.shape)
    if isinstance(value, torchish_mlx.Tensor):
        return str(value.array.dtype), tuple(value.shape)
    if isinstance(value, Mapping):
        return [(key, shape_of(v)) for key, v in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [shape_of(v) for v in value]
    return type(value).__name__


def difference(ours: Any, theirs: Any, where: str = "") -> float:
    """The largest relative difference (per tensor, of its largest element) of two values of the same structure.

    Raises AssertionError where the structure, a shape, or anything that is no number differs.
    """
    if isinstance(theirs, torch.Tensor):
        a, b = values(to_torch(ours)), values(theirs)
        assert a.shape == b.shape, where
        if not a.size:
            return 0.0
        assert np.isfinite(a).all(), where
        return float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo("f4").tiny))
    if isinstance(theirs, Mapping):
        assert set(ours) == set(theirs), (where, list(ours), list(theirs))
        return max((difference(ours[key], theirs[key], f"{where}.{key}") for key in theirs), default=0.0)
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), where
        pairs = zip(ours, theirs, strict=True)
        return max((difference(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(pairs)), default=0.0)
    if isinstance(theirs, float) and isinstance(ours, (float, torch.Tensor, torchish_mlx.Tensor)):
        return abs(float(ours) - theirs) / max(abs(theirs), np.finfo("f4").tiny)
    assert ours == theirs, (where, ours, theirs)
    assert type(ours) is type(theirs), (where, ours, theirs)
    return 0.0


def outcome(call: Callable[[], Any]) -> tuple[str, str] | None:
    """Type and text of what ``call`` raises, None if it does not."""
    try:
        call()
    except Exception as error:
        return type(error).__name__, str(error)
    return None
