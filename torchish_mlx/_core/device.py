"""Devices and memory formats by torch's names. MLX's devices share their memory, so moving is no copy."""

from __future__ import annotations

from typing import Any

import mlx.core as mx


class Device:
    """``Device("cpu")`` or ``Device("mps")``, torch's name for an Apple GPU; prints and compares as torch's.

    >>> Device("cpu").type
    'cpu'
    >>> Device("cpu") == "cpu"
    True
    """

    __slots__ = ("type", "index")
    type: str
    index: int | None

    def __init__(self, name: Any, index: int | None = None) -> None:
        if isinstance(name, mx.Device):
            name = "mps" if name.type == mx.gpu else "cpu"
        if isinstance(name, Device):
            name, index = name.type, name.index
        if not isinstance(name, str):
            raise TypeError(f"a device is named by a str, a Device or an mx.Device, not {type(name).__name__}")
        kind, _, number = name.partition(":")
        if kind not in ("cpu", "mps", "gpu"):
            raise RuntimeError(f"device {name!r}: MLX has 'cpu' and 'mps' (or 'gpu'), which share their memory")
        self.type = "mps" if kind == "gpu" else kind
        self.index = int(number) if number else index

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return str(self) == other
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"


_CPU, _GPU = Device("cpu"), Device("mps", 0)


def current_device() -> Device:
    """The device on which MLX computes by default."""
    return _GPU if mx.default_device().type == mx.gpu else _CPU


class MemoryFormat:
    """One of torch's memory formats; there are two here, and they mean the same."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


preserve_format = MemoryFormat("preserve_format")
contiguous_format = MemoryFormat("contiguous_format")


def check_placement(device: Any = None, memory_format: Any = None) -> None:
    """Refuse a device that MLX has not, and a memory format other than the two."""
    if device is not None:
        Device(device)
    if memory_format not in (None, preserve_format, contiguous_format):
        raise RuntimeError(f"memory_format is preserve_format or contiguous_format here, not {memory_format!r}")
