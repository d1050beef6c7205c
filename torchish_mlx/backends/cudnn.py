"""``torch.backends.cudnn``: the settings can be set and read back. MLX has no cuDNN that they would concern."""

from __future__ import annotations

from contextlib import AbstractContextManager as _Context
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .._core.flags import Flag as _Flag
from .._core.flags import changed as _changed
from .._core.flags import only as _only
from .._core.flags import with_flags as _with_flags
from .._core.precision import Precision as _Precision

__all__ = ["conv", "flags", "is_acceptable", "is_available", "rnn", "set_flags", "version"]

if _TYPE_CHECKING:
    enabled: bool
    benchmark: bool
    benchmark_limit: int | None
    deterministic: bool
    allow_tf32: bool
    fp32_precision: str
    depthwise_kernel: str

_NAME = "torch.backends.cudnn."


class _Settings:
    """The settings, for the module and for blocks."""

    enabled = _Flag(_NAME + "enabled", True, _only(bool, "set_enabled_cudnn"))
    benchmark = _Flag(_NAME + "benchmark", False, _only(bool, "set_benchmark_cudnn"))
    benchmark_limit = _Flag(_NAME + "benchmark_limit", None)
    deterministic = _Flag(_NAME + "deterministic", False, _only(bool, "set_deterministic_cudnn"))
    allow_tf32 = _Flag(_NAME + "allow_tf32", True, _only(bool, "set_allow_tf32_cublas"))
    fp32_precision = _Precision(_NAME + "fp32_precision", "cuda", "all")
    depthwise_kernel = _Flag(_NAME + "depthwise_kernel", "auto")


class _Conv:
    """``fp32_precision`` of convolutions."""

    fp32_precision = _Precision(_NAME + "conv.fp32_precision", "cuda", "conv")


class _RNN:
    """``fp32_precision`` of recurrent layers."""

    fp32_precision = _Precision(_NAME + "rnn.fp32_precision", "cuda", "rnn")


conv, rnn = _Conv(), _RNN()
_SETTINGS = _Settings()


def is_available() -> bool:
    """False: MLX has no cuDNN that torch's settings would reach.

    Source: ``torch.backends.cudnn.is_available``.
    """
    return False


def version() -> None:
    """None, the version where there is no cuDNN.

    Source: ``torch.backends.cudnn.version``.
    """


def is_acceptable(tensor: _Any) -> bool:  # noqa: ARG001 - of any Tensor
    """False: no Tensor goes to cuDNN.

    Source: ``torch.backends.cudnn.is_acceptable``.
    """
    return False


def set_flags(
    _enabled: bool | None = None,
    _benchmark: bool | None = None,
    _benchmark_limit: int | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
    _depthwise_kernel: str | None = None,
) -> tuple[_Any, ...]:
    """Set those that are given; returns the values of before.

    Source: ``torch.backends.cudnn.set_flags``.
    """
    given = {
        "enabled": _enabled,
        "benchmark": _benchmark,
        "benchmark_limit": _benchmark_limit,
        "deterministic": _deterministic,
        "allow_tf32": _allow_tf32,
        "fp32_precision": None if _fp32_precision == "none" else _fp32_precision,
        "depthwise_kernel": _depthwise_kernel,
    }
    before = tuple(getattr(_SETTINGS, name) for name in given)
    for name, value in given.items():
        if value is not None:
            setattr(_SETTINGS, name, value)
    return before


def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int | None = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
    depthwise_kernel: str = "auto",
) -> _Context[None]:
    """A block in which the settings have these values.

    Source: ``torch.backends.cudnn.flags``.
    """
    given: dict[str, _Any] = {
        "enabled": enabled,
        "benchmark": benchmark,
        "benchmark_limit": benchmark_limit,
        "deterministic": deterministic,
        "allow_tf32": allow_tf32,
        "depthwise_kernel": depthwise_kernel,
    }
    if fp32_precision != "none":
        given["fp32_precision"] = fp32_precision
    return _changed(_SETTINGS, given)


_with_flags(__name__, **{name: value for name, value in vars(_Settings).items() if not name.startswith("_")})
