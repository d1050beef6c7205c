"""Which module of the package is about a type of device."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ._core.device import Device, accelerator

_MODULES = ("cpu", "cuda", "mps", "mtia", "xpu")


def get_device_module(device: Any = None) -> ModuleType:
    """The module for a type of device, such as ``torch.mps``; without one that of the GPU, or of the CPU.

    Raises:
        RuntimeError: a type that has no module.

    Source: ``torch.get_device_module``.
    """
    kind = (accelerator() or "cpu") if device is None else Device(device).type
    if kind not in _MODULES:
        raise RuntimeError(f"Device '{kind}' does not have a corresponding module registered as 'torch.{kind}'.")
    module: ModuleType = getattr(sys.modules["torchish_mlx"], kind)  # the package imports it at its first use
    return module
