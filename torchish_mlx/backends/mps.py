"""``torch.backends.mps``: Apple's GPUs."""

from __future__ import annotations

import platform as _platform

import mlx.core as _mx

from .._core.device import accelerator as _accelerator

__all__ = ["get_core_count", "get_name", "is_available", "is_built", "is_macos13_or_newer", "is_macos_or_newer"]


def is_built() -> bool:
    """Whether MLX here is built with Metal.

    Source: ``torch.backends.mps.is_built``.
    """
    return _mx.metal.is_available()


def is_available() -> bool:
    """Whether MLX computes on an Apple GPU here.

    Source: ``torch.backends.mps.is_available``.
    """
    return _accelerator() == "mps"


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Whether macOS has this version, or a later one.

    Raises:
        RuntimeError: there is no Metal here, in torch's words.

    Source: ``torch.backends.mps.is_macos_or_newer``.
    """
    if not is_available():
        raise RuntimeError("Cannot execute isOnMacOSorNewer() without MPS backend.")
    have = [int(part) for part in _platform.mac_ver()[0].split(".")[:2]]
    return have >= [major, minor]


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Whether macOS is 13.``minor`` or later.

    Source: ``torch.backends.mps.is_macos13_or_newer``.
    """
    return is_macos_or_newer(13, minor)


def get_name() -> str:
    """The name of the GPU, as Metal has it.

    Raises:
        RuntimeError: there is no Metal here.

    Source: ``torch.backends.mps.get_name``.
    """
    if not is_available():
        raise RuntimeError("Cannot execute getName() without MPS backend.")
    return str(_mx.device_info()["device_name"])


def get_core_count() -> int:
    """Torch's number of cores of the GPU.

    Raises:
        NotImplementedError: always; MLX does not say it.

    Source: ``torch.backends.mps.get_core_count``.
    """
    raise NotImplementedError("MLX does not say how many cores the GPU has: mlx.core.device_info() has what it says")
