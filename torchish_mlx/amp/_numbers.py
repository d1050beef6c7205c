"""Numbers that a scaler is given: in a state dict, and as a scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx

from .._core.messages import shown
from .._tensor.tensor import Tensor


def number_in(state_dict: Mapping[str, Any], name: str) -> Any:
    """An entry of a scaler's state dict, which must be a number."""
    advice = "give what scaler.state_dict() returned"
    if name not in state_dict:
        raise KeyError(f"the scaler's state dict has {sorted(map(str, state_dict))}, and no {name!r}: {advice}")
    value = state_dict[name]
    huge = isinstance(value, int) and value.bit_length() > 63
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or huge:
        raise TypeError(f'state_dict["{name}"] is {shown(value)} ({type(value).__name__}), expected a number: {advice}')
    return value


def array_of_scale(value: Any) -> mx.array:
    """A scale, a number or a Tensor, as an array."""
    return value.array if isinstance(value, Tensor) else mx.array(value, mx.float32)


def new_scale_of(value: Any) -> mx.array:
    """A scale that a user gave, as an array of its own."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return mx.array(value, mx.float32)
    is_array = isinstance(value, (Tensor, mx.array))
    if not is_array or (array := array_of_scale(value)).size != 1 or getattr(value, "requires_grad", False):
        raise AssertionError(
            "new_scale should be a float or a 1-element torch.cuda.FloatTensor or "
            "torch.FloatTensor with requires_grad=False."
        )
    return mx.reshape(array.astype(mx.float32), ())
