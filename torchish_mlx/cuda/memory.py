"""The memory figures of torch.cuda: MLX's where it computes on a GPU of NVIDIA's, zero elsewhere as in torch."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any, NoReturn

import mlx.core as mx

from .._core.device import accelerator
from .._core.figures import demand, index_of, stats
from .._inert import note

__all__ = [
    "empty_cache",
    "ipc_collect",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_stats",
    "memory_summary",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]


def _figure(device: Any, name: str) -> int:
    return memory_stats(device).get(name, 0)


def memory_stats(device: Any = None) -> OrderedDict[str, int]:
    """MLX's figures by torch's names; an empty dict where there is no GPU of NVIDIA's, as in torch.

    Source: ``torch.cuda.memory_stats``.
    """
    if accelerator() != "cuda":
        return OrderedDict()
    index_of("cuda", device)
    return OrderedDict(stats())


def memory_allocated(device: Any = None) -> int:
    """The bytes of all arrays; 0 where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.memory_allocated``.
    """
    return _figure(device, "allocated_bytes.all.current")


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of arrays that there were; 0 where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.max_memory_allocated``.
    """
    return _figure(device, "allocated_bytes.all.peak")


def memory_reserved(device: Any = None) -> int:
    """The bytes of all arrays and of the cache; 0 where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.memory_reserved``.
    """
    return _figure(device, "reserved_bytes.all.current")


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that were reserved; 0 where there is no GPU of NVIDIA's.

    Raises:
        NotImplementedError: on a GPU of NVIDIA's; MLX does not count it.

    Source: ``torch.cuda.max_memory_reserved``.
    """
    if accelerator() == "cuda":
        raise NotImplementedError("MLX does not count the most bytes of its cache: use max_memory_allocated()")
    return _figure(device, "reserved_bytes.all.peak")


def _renamed(old: str, new: str) -> None:
    warnings.warn(f"`torch.cuda.{old}` has been renamed to `torch.cuda.{new}`", FutureWarning, stacklevel=3)


def memory_cached(device: Any = None) -> int:
    """The old name of :func:`memory_reserved`.

    Source: ``torch.cuda.memory_cached``.
    """
    _renamed("memory_cached", "memory_reserved")
    return memory_reserved(device)


def max_memory_cached(device: Any = None) -> int:
    """The old name of :func:`max_memory_reserved`.

    Source: ``torch.cuda.max_memory_cached``.
    """
    _renamed("max_memory_cached", "max_memory_reserved")
    return max_memory_reserved(device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Count :func:`max_memory_allocated` from here on.

    Raises:
        AssertionError: there is no GPU of NVIDIA's. (Torch fails with an AttributeError there.)

    Source: ``torch.cuda.reset_peak_memory_stats``.
    """
    index_of("cuda", device)
    mx.reset_peak_memory()


def _resets(name: str) -> None:
    warnings.warn(
        f"torch.cuda.{name} now calls torch.cuda.reset_peak_memory_stats, which resets /all/ peak memory stats.",
        FutureWarning,
        stacklevel=3,
    )


def reset_max_memory_allocated(device: Any = None) -> None:
    """An old name of :func:`reset_peak_memory_stats`.

    Source: ``torch.cuda.reset_max_memory_allocated``.
    """
    _resets("reset_max_memory_allocated")
    reset_peak_memory_stats(device)


def reset_max_memory_cached(device: Any = None) -> None:
    """An old name of :func:`reset_peak_memory_stats`.

    Source: ``torch.cuda.reset_max_memory_cached``.
    """
    _resets("reset_max_memory_cached")
    reset_peak_memory_stats(device)


def empty_cache() -> None:
    """Give back the memory that no array is in; nothing where there is no GPU of NVIDIA's, as in torch.

    Source: ``torch.cuda.empty_cache``.
    """
    if accelerator() == "cuda":
        mx.clear_cache()
    else:
        note("torch.cuda.empty_cache")


def ipc_collect() -> None:
    """Nothing: no memory is shared with other processes.

    Raises:
        AssertionError: there is no GPU of NVIDIA's.

    Source: ``torch.cuda.ipc_collect``.
    """
    demand("cuda")


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """The bytes that are free, and all bytes, of the GPU.

    Raises:
        AssertionError: there is no GPU of NVIDIA's.

    Source: ``torch.cuda.mem_get_info``.
    """
    index_of("cuda", device)
    info: Any = mx.device_info()
    return int(info["free_memory"]), int(info["total_memory"])


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:  # noqa: ARG001 - it is short either way
    """The figures of :func:`memory_stats`, a line each.

    Raises:
        AssertionError: there is no GPU of NVIDIA's. (Torch fails with a KeyError there.)

    Source: ``torch.cuda.memory_summary``.
    """
    index_of("cuda", device)
    return "\n".join(f"{name}: {value}" for name, value in stats().items())


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> NoReturn:
    """Refused: MLX takes a number of bytes.

    Raises:
        AssertionError: there is no GPU of NVIDIA's.
        NotImplementedError: there is one.

    Source: ``torch.cuda.set_per_process_memory_fraction``.
    """
    index_of("cuda", device)
    raise NotImplementedError(f"a fraction of {fraction}: use mlx.core.set_memory_limit(bytes)")
