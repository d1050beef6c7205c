"""``torch.accelerator``: the GPU on which MLX computes, whichever it is."""

from __future__ import annotations

import warnings as _warnings
from typing import Any as _Any

import mlx.core as _mx

from ._core.device import Device as _Device
from ._core.device import accelerator as _accelerator
from ._core.device import device_count as _device_count
from ._core.figures import NONE_HERE as _NONE_HERE
from ._core.figures import stats as _stats

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "device_count",
    "device_index",
    "empty_cache",
    "is_available",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "synchronize",
]


def is_available() -> bool:
    """Whether MLX computes on a GPU here.

    Source: ``torch.accelerator.is_available``.
    """
    return _accelerator() is not None


def device_count() -> int:
    """How many GPUs MLX finds.

    Source: ``torch.accelerator.device_count``.
    """
    return _device_count() if is_available() else 0


def current_accelerator(check_available: bool = False) -> _Device | None:  # noqa: ARG001 - a GPU of MLX's is available
    """The device of the GPU, ``mps`` or ``cuda``; None where there is none.

    Source: ``torch.accelerator.current_accelerator``.
    """
    here = _accelerator()
    return None if here is None else _Device(here)


def _demand(device: _Any = None) -> None:
    """Raise where there is no GPU, or where another one than the first is meant."""
    here = _accelerator()
    if here is None:
        raise RuntimeError(_NONE_HERE)
    if device is None or type(device) is int:
        index = device or 0
    else:
        found = _Device(device)
        if found.type != here:
            raise ValueError(f"{found.type} doesn't match the current accelerator {here}.")
        index = found.index or 0
    if index:
        raise NotImplementedError(f"device {device}: MLX computes on the first GPU")


def current_device_index() -> int:
    """The number of the GPU, 0.

    Raises:
        RuntimeError: there is none.

    Source: ``torch.accelerator.current_device_index``.
    """
    _demand()
    return 0


def current_device_idx() -> int:
    """The old name of :func:`current_device_index`.

    Source: ``torch.accelerator.current_device_idx``.
    """
    _warnings.warn("Use `current_device_index` instead.", FutureWarning, stacklevel=2)
    return current_device_index()


def set_device_index(device: _Any, /) -> None:
    """Choose the GPU: the first one, on which MLX computes.

    Raises:
        RuntimeError: there is none.
        NotImplementedError: another GPU than the first.

    Source: ``torch.accelerator.set_device_index``.
    """
    _demand(device)


def set_device_idx(device: _Any, /) -> None:
    """The old name of :func:`set_device_index`.

    Source: ``torch.accelerator.set_device_idx``.
    """
    _warnings.warn("Use `set_device_index` instead.", FutureWarning, stacklevel=2)
    set_device_index(device)


class device_index:
    """A block in which the GPU is this one; None is any.

    Raises:
        RuntimeError: there is none, when the block begins.

    Source: ``torch.accelerator.device_index``.
    """

    def __init__(self, device: int | None, /) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is not None:
            set_device_index(self.idx)

    def __exit__(self, *_: object) -> None:
        return None


def synchronize(device: _Any = None, /) -> None:
    """Wait until the GPU has computed what was asked for.

    Raises:
        RuntimeError: there is none.

    Source: ``torch.accelerator.synchronize``.
    """
    _demand(device)
    _mx.synchronize()


def empty_cache() -> None:
    """Give back the memory that no array is in.

    Raises:
        RuntimeError: there is no GPU.

    Source: ``torch.accelerator.empty_cache``.
    """
    _demand()
    _mx.clear_cache()


def memory_stats(device: _Any = None, /) -> dict[str, int]:
    """MLX's figures by torch's names.

    Raises:
        RuntimeError: there is no GPU.

    Source: ``torch.accelerator.memory_stats``.
    """
    _demand(device)
    return _stats()


def memory_allocated(device: _Any = None, /) -> int:
    """The bytes of all arrays.

    Raises:
        RuntimeError: there is no GPU.

    Source: ``torch.accelerator.memory_allocated``.
    """
    return memory_stats(device)["allocated_bytes.all.current"]


def max_memory_allocated(device: _Any = None, /) -> int:
    """The most bytes of arrays that there were.

    Raises:
        RuntimeError: there is no GPU.

    Source: ``torch.accelerator.max_memory_allocated``.
    """
    return memory_stats(device)["allocated_bytes.all.peak"]


def memory_reserved(device: _Any = None, /) -> int:
    """The bytes of all arrays and of MLX's cache.

    Raises:
        RuntimeError: there is no GPU.

    Source: ``torch.accelerator.memory_reserved``.
    """
    return memory_stats(device)["reserved_bytes.all.current"]


def reset_peak_memory_stats(device: _Any = None, /) -> None:
    """Count :func:`max_memory_allocated` from here on.

    Raises:
        RuntimeError: there is no GPU.

    Source: ``torch.accelerator.reset_peak_memory_stats``.
    """
    _demand(device)
    _mx.reset_peak_memory()
