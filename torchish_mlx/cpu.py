"""``torch.cpu``: the CPU by the names that other devices have."""

from __future__ import annotations

from typing import Any as _Any

import mlx.core as _mx

from ._inert import note as _note

__all__ = [
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]


class Stream:
    """The one order in which the CPU computes. It does nothing, as torch's does nothing.

    Source: ``torch.cpu.Stream``.
    """

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority

    def wait_stream(self, stream: _Any) -> None:
        """Nothing: there is one order."""


class StreamContext:
    """A block for a stream: there is one, and nothing changes.

    Source: ``torch.cpu.StreamContext``.
    """

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_STREAM = Stream()


def is_available() -> bool:
    """True.

    Source: ``torch.cpu.is_available``.
    """
    return True


def is_initialized() -> bool:
    """True.

    Source: ``torch.cpu.is_initialized``.
    """
    return True


def device_count() -> int:
    """1.

    Source: ``torch.cpu.device_count``.
    """
    return 1


def current_device() -> str:
    """``"cpu"``.

    Source: ``torch.cpu.current_device``.
    """
    return "cpu"


def set_device(device: _Any) -> None:  # noqa: ARG001 - there is one
    """Nothing: there is one CPU.

    Source: ``torch.cpu.set_device``.
    """
    _note("torch.cpu.set_device")


def current_stream(device: _Any = None) -> Stream:  # noqa: ARG001 - there is one
    """The one stream.

    Source: ``torch.cpu.current_stream``.
    """
    return _STREAM


def stream(stream: Stream | None) -> StreamContext:
    """A block for a stream: there is one, and nothing changes.

    Source: ``torch.cpu.stream``.
    """
    _note("torch.cpu.stream")
    return StreamContext(stream)


def synchronize(device: _Any = None) -> None:  # noqa: ARG001 - there is one
    """Wait until MLX has computed what was asked for.

    Source: ``torch.cpu.synchronize``.
    """
    _mx.synchronize()
