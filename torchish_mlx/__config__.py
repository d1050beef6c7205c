"""``torch.__config__``: what this package computes with."""

from __future__ import annotations

import platform as _platform

import mlx.core as _mx

from ._core.settings import get_num_interop_threads as _interop
from ._core.settings import get_num_threads as _threads
from ._version import __version__ as _version

__all__ = ["parallel_info", "show"]


def show() -> str:
    """The versions of what this package computes with, in lines.

    Source: ``torch.__config__.show``.
    """
    info = ", ".join(f"{name}: {value}" for name, value in sorted(_mx.device_info().items()))
    return (
        f"torchish_mlx {_version}, built with:\n  - MLX {getattr(_mx, '__version__', '')}, default device "
        f"{_mx.default_device()}\n  - {info}\n  - Python {_platform.python_version()}, {_platform.platform()}\n"
    )


def parallel_info() -> str:
    """The numbers of threads that were set. MLX chooses its threads by itself.

    Source: ``torch.__config__.parallel_info``.
    """
    return f"torch.get_num_threads() : {_threads()}\ntorch.get_num_interop_threads() : {_interop()}\n"
