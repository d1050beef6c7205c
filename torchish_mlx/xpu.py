"""``torch.xpu``: Intel's GPUs, on which MLX does not compute. It answers as a build of torch without them does."""

from __future__ import annotations

from typing import Any as _Any
from typing import NoReturn as _NoReturn

from ._core.figures import MISSING as _MISSING
from ._inert import note as _note

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "memory_allocated",
    "seed",
    "seed_all",
    "synchronize",
]


def is_available() -> bool:
    """False: MLX does not compute on Intel's GPUs.

    Source: ``torch.xpu.is_available``.
    """
    return False


def is_initialized() -> bool:
    """False: MLX does not compute on Intel's GPUs.

    Source: ``torch.xpu.is_initialized``.
    """
    return False


def device_count() -> int:
    """0: MLX does not compute on Intel's GPUs.

    Source: ``torch.xpu.device_count``.
    """
    return 0


def _refused() -> _NoReturn:
    raise AssertionError(_MISSING.format("XPU"))


def current_device() -> int:
    """Refused: there is no such GPU.

    Raises:
        AssertionError: always.

    Source: ``torch.xpu.current_device``.
    """
    _refused()


def get_device_name(device: _Any = None) -> str:  # noqa: ARG001 - of any device
    """Refused: there is no such GPU.

    Raises:
        AssertionError: always.

    Source: ``torch.xpu.get_device_name``.
    """
    _refused()


def synchronize(device: _Any = None) -> None:  # noqa: ARG001 - of any device
    """Refused: there is no such GPU.

    Raises:
        AssertionError: always.

    Source: ``torch.xpu.synchronize``.
    """
    _refused()


def memory_allocated(device: _Any = None) -> int:  # noqa: ARG001 - of any device
    """0, as in torch without such a GPU.

    Source: ``torch.xpu.memory_allocated``.
    """
    return 0


def empty_cache() -> None:
    """Nothing, as in torch without such a GPU.

    Source: ``torch.xpu.empty_cache``.
    """
    _note("torch.xpu.empty_cache")


def manual_seed(seed: int) -> None:
    """Nothing, as in torch without such a GPU.

    Source: ``torch.xpu.manual_seed``.
    """
    int(seed)
    _note("torch.xpu.manual_seed")


def manual_seed_all(seed: int) -> None:
    """Nothing, as in torch without such a GPU.

    Source: ``torch.xpu.manual_seed_all``.
    """
    int(seed)
    _note("torch.xpu.manual_seed_all")


def seed() -> None:
    """Nothing, as in torch without such a GPU.

    Source: ``torch.xpu.seed``.
    """
    _note("torch.xpu.seed")


def seed_all() -> None:
    """Nothing, as in torch without such a GPU.

    Source: ``torch.xpu.seed_all``.
    """
    _note("torch.xpu.seed_all")
