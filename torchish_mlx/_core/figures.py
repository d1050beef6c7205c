"""The memory of MLX by torch's names, and the devices that a module such as ``torch.cuda`` is about."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .device import Device, accelerator, device_count

MISSING = "Torch not compiled with {} enabled"
NONE_HERE = "Cannot access accelerator device when none is available."


def demand(kind: str) -> None:
    """Raise torch's AssertionError where MLX does not compute on this kind of GPU."""
    if accelerator() != kind:
        raise AssertionError(MISSING.format(kind.upper()))


def index_of(kind: str, device: Any) -> int:
    """The number of the device of a kind that is meant: the first for None, and for a device without a number.

    Raises:
        ValueError: a device of another kind, in torch's words.
        AssertionError: the machine has no such device.
    """
    if device is None:
        index = 0
    elif type(device) is int:
        index = device
    else:
        found = Device(device)
        if found.type != kind:
            raise ValueError(f"Expected a {kind} device, but got: {found}")
        index = found.index or 0
    demand(kind)
    if not 0 <= index < device_count():
        raise AssertionError("Invalid device id")
    return index


def stats() -> dict[str, int]:
    """What MLX says of its memory, by torch's names."""
    active, cache, peak = mx.get_active_memory(), mx.get_cache_memory(), mx.get_peak_memory()
    return {
        "allocated_bytes.all.current": active,
        "allocated_bytes.all.peak": peak,
        "reserved_bytes.all.current": active + cache,
    }
