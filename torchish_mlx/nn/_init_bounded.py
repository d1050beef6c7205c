"""Normal numbers between bounds, by drawing again: for ``trunc_normal_``."""

from __future__ import annotations

import math
from typing import Any

from .._tensor.tensor import Tensor
from ..ops.drawing import normals_like, uniforms_like


def below(x: float) -> float:
    """The share of standard normal numbers that are less than ``x``."""
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def redrawn(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any) -> Tensor:
    """The tensor filled with normal numbers, those outside of the bounds drawn again until none is."""
    least, largest = (tensor.new_tensor(bound).item() for bound in (a, b))  # bounds that the dtype has
    numbers = tensor.normal_(mean, std, generator=generator)
    outside = (numbers < least) | (numbers > largest)
    while outside.any():
        drawn = normals_like(tensor, mean, std, generator)
        numbers = drawn.where(outside, numbers)
        outside = (numbers < least) | (numbers > largest)
    return tensor if numbers is tensor else tensor.copy_(numbers)


def accepted(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any) -> Tensor:
    """The tensor filled with uniform numbers, each accepted by the density there in proportion to the largest one."""
    mode = max(a, min(mean, b))
    highest = -0.5 * ((mode - mean) / std) ** 2
    numbers, missing = tensor, None
    while missing is None or missing.any():
        drawn = uniforms_like(tensor, a, b, generator)
        density = drawn.sub(mean).div_(std).pow_(2).mul_(-0.5).sub_(highest)
        refused = uniforms_like(tensor, 0.0, 1.0, generator).log_().gt(density)
        numbers, missing = (drawn, refused) if missing is None else (drawn.where(missing, numbers), refused & missing)
    return tensor.copy_(numbers)
