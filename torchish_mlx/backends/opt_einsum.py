"""``torch.backends.opt_einsum``: the order of the products of ``einsum``, which torch takes from left to right here."""

from __future__ import annotations

from contextlib import AbstractContextManager as _Context
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .._core.flags import Flag as _Flag
from .._core.flags import changed as _changed
from .._core.flags import with_flags as _with_flags

__all__ = ["flags", "get_opt_einsum", "is_available", "set_flags"]

if _TYPE_CHECKING:
    enabled: bool
    strategy: str | None

_ENABLED = _Flag("torch.backends.opt_einsum.enabled", False)
_STRATEGY = _Flag("torch.backends.opt_einsum.strategy", None)


def is_available() -> bool:
    """False: the package opt_einsum is not used.

    Source: ``torch.backends.opt_einsum.is_available``.
    """
    return False


def get_opt_einsum() -> None:
    """None: the package opt_einsum is not used.

    Source: ``torch.backends.opt_einsum.get_opt_einsum``.
    """


def set_flags(_enabled: bool | None = None, _strategy: str | None = None) -> tuple[_Any, _Any]:
    """Set those that are not None; returns the values of before.

    Source: ``torch.backends.opt_einsum.set_flags``.
    """
    before = (_ENABLED.value, _STRATEGY.value)
    if _enabled is not None:
        _ENABLED.__set__(None, _enabled)
    if _strategy is not None:
        _STRATEGY.__set__(None, _strategy)
    return before


class _Here:
    enabled, strategy = _ENABLED, _STRATEGY


def flags(enabled: bool | None = None, strategy: str | None = None) -> _Context[None]:
    """A block in which those that are not None are set.

    Source: ``torch.backends.opt_einsum.flags``.
    """
    given = {"enabled": enabled, "strategy": strategy}
    return _changed(_Here(), {name: value for name, value in given.items() if value is not None})


_with_flags(__name__, enabled=_ENABLED, strategy=_STRATEGY)
