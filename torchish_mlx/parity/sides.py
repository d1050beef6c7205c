"""torch and this package as two sides of one comparison, and values carried between them."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx
from torchish_mlx import optim

DTYPES = {
    torch.float32: mx.float32,
    torch.float64: mx.float64,
    torch.float16: mx.float16,
    torch.bfloat16: mx.bfloat16,
    torch.int64: mx.int64,
    torch.int32: mx.int32,
    torch.bool: mx.bool_,
    torch.uint8: mx.uint8,
}


class Differs(AssertionError):
    """The two sides differ where they must not. (Raised, not asserted: ``python -O`` drops assertions.)"""


class Side:
    """One of the two, in words of torch: ``side.optim``, ``side.parameter([1.0])``, ``side.tensor(0.1)``."""

    def __init__(self, library: Any, optimizers: Any) -> None:
        self.library, self.optim = library, optimizers

    def tensor(self, value: Any) -> Any:
        return self.library.tensor(value)

    def parameter(self, value: Any) -> Any:
        if self.library is torch:
            return torch.nn.Parameter(torch.tensor(value))
        return torchish_mlx.Parameter(mx.array(np.array(value, "f4")))


OURS, THEIRS = Side(torchish_mlx, optim), Side(torch, torch.optim)


def to_array(t: Any) -> mx.array:
    """A copy of a torch tensor, in the same dtype."""
    t = t.detach()
    if t.dtype == torch.bfloat16:
        return mx.array(t.float().numpy()).astype(mx.bfloat16)
    return mx.array(t.contiguous().numpy())


def values(t: Any) -> np.ndarray:
    """A copy of either side's tensor: in float64 where it is floating."""
    if isinstance(t, torch.Tensor):
        t = t.detach()
        return np.asarray(t.to(torch.float64).numpy() if t.is_floating_point() else t.numpy())
    array = t.array
    out = np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
    return out.astype(np.float64) if out.dtype.kind == "f" else out
