"""``pin_memory=True``: the memory of MLX is one for all devices, so Tensors stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...._tensor.tensor import Tensor
from .collate import _listed, _mapped


def pin_memory(data: Any, device: Any = None) -> Any:
    """``data`` with the same Tensors; a batch of a class of the user's that has ``pin_memory()`` is what that gives.

    ``device`` is there because torch has it: there is one memory.

    Source: ``torch.utils.data._utils.pin_memory.pin_memory``.
    """
    if isinstance(data, (Tensor, str, bytes)):
        return data
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        return _mapped(data, {key: pin_memory(value, device) for key, value in data.items()})
    if isinstance(data, tuple):
        values = [pin_memory(value, device) for value in data]
        return type(data)(*values) if hasattr(data, "_fields") else type(data)(values)
    if isinstance(data, Sequence):
        return _listed(data, [pin_memory(value, device) for value in data])
    return data
