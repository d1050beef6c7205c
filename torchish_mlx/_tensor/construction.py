"""What ``torch.Tensor(...)`` makes of what it is given."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .._core.promotion import DEFAULTS, FLOATING


def numbers_or_sizes(data: Any, sizes: bool) -> mx.array:
    """What ``torch.Tensor(...)`` makes of numbers: sizes, or values; in the default dtype."""
    if sizes:
        shape = data if isinstance(data, tuple) else (data,)
        return mx.zeros(shape or (0,), DEFAULTS[FLOATING])
    if not isinstance(data, (list, tuple, range, np.ndarray)) and not hasattr(data, "__dlpack__"):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    wide = np.float64 if DEFAULTS[FLOATING] == mx.float64 else np.float32
    return mx.array(np.asarray(data, wide), DEFAULTS[FLOATING])
