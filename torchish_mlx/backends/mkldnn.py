"""``torch.backends.mkldnn``: the settings can be set and read back. MLX has no oneDNN that they would concern."""

from __future__ import annotations

from contextlib import AbstractContextManager as _Context
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .._core.flags import Flag as _Flag
from .._core.flags import changed as _changed
from .._core.flags import only as _only
from .._core.flags import with_flags as _with_flags
from .._core.precision import Precision as _Precision

__all__ = ["conv", "flags", "is_available", "matmul", "rnn", "set_flags"]

if _TYPE_CHECKING:
    enabled: bool
    deterministic: bool
    allow_tf32: bool | None
    fp32_precision: str

_NAME = "torch.backends.mkldnn."


class _Settings:
    """The settings, for the module and for blocks."""

    enabled = _Flag(_NAME + "enabled", True, _only(bool, "set_enabled_mkldnn"))
    deterministic = _Flag(_NAME + "deterministic", False, _only(bool, "set_deterministic_mkldnn"))
    allow_tf32 = _Flag(_NAME + "allow_tf32", None)
    fp32_precision = _Precision(_NAME + "fp32_precision", "mkldnn", "all")


class _Operation:
    """``fp32_precision`` of an operation."""

    fp32_precision: _Any


def _operation(name: str) -> _Operation:
    precision = _Precision(f"{_NAME}{name}.fp32_precision", "mkldnn", name)
    return type("_Operation", (_Operation,), {"fp32_precision": precision})()


conv, matmul, rnn = _operation("conv"), _operation("matmul"), _operation("rnn")
_SETTINGS = _Settings()


def is_available() -> bool:
    """False: MLX is not built with oneDNN.

    Source: ``torch.backends.mkldnn.is_available``.
    """
    return False


def set_flags(
    _enabled: bool | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
) -> tuple[_Any, ...]:
    """Set those that are given; returns the values of before.

    Source: ``torch.backends.mkldnn.set_flags``.
    """
    given = {
        "enabled": _enabled,
        "deterministic": _deterministic,
        "allow_tf32": _allow_tf32,
        "fp32_precision": None if _fp32_precision == "none" else _fp32_precision,
    }
    before = tuple(getattr(_SETTINGS, name) for name in given)
    for name, value in given.items():
        if value is not None:
            setattr(_SETTINGS, name, value)
    return before


def flags(
    enabled: bool = False,
    deterministic: bool = False,
    allow_tf32: bool | None = True,
    fp32_precision: str = "none",
) -> _Context[None]:
    """A block in which the settings have these values.

    Source: ``torch.backends.mkldnn.flags``.
    """
    given: dict[str, _Any] = {"enabled": enabled, "deterministic": deterministic, "allow_tf32": allow_tf32}
    if fp32_precision != "none":
        given["fp32_precision"] = fp32_precision
    return _changed(_SETTINGS, given)


_with_flags(__name__, **{name: value for name, value in vars(_Settings).items() if not name.startswith("_")})
