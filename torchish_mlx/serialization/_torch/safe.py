"""The classes and functions that ``weights_only`` loading may call besides its own: those that a program lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

from .names import torch_name

_Listed = Union[Callable[..., Any], "tuple[Callable[..., Any], str]"]
_LISTED: set[_Listed] = set()


def add_safe_globals(safe_globals: list[_Listed]) -> None:
    """Have ``load`` with ``weights_only=True`` make what these classes and functions make.

    Args:
        safe_globals: classes and functions, each of which may be a tuple of it and of the name that it has in files,
            such as ``"package.module.Name"``. They will be called with what a file says: list none that could do harm.

    Source: ``torch.serialization.add_safe_globals``.
    """
    _LISTED.update(safe_globals)


def get_safe_globals() -> list[_Listed]:
    """What is listed now.

    Source: ``torch.serialization.get_safe_globals``.
    """
    return list(_LISTED)


def clear_safe_globals() -> None:
    """List nothing any more.

    Source: ``torch.serialization.clear_safe_globals``.
    """
    _LISTED.clear()


class safe_globals:
    """A context in which more is listed; see ``add_safe_globals``.

    Args:
        safe_globals: as in ``add_safe_globals``.

    >>> import io
    >>> import torchish_mlx as torch
    >>> file = io.BytesIO()
    >>> torch.save(torch.nn.ReLU(), file)
    >>> with torch.serialization.safe_globals([torch.nn.ReLU]):
    ...     torch.load(io.BytesIO(file.getvalue()))
    ReLU()

    Source: ``torch.serialization.safe_globals``.
    """

    def __init__(self, safe_globals: list[_Listed]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        self._before = set(_LISTED)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *_: object) -> None:
        _LISTED.clear()
        _LISTED.update(self._before)


def listed() -> dict[str, Any]:
    """What is listed, by the names in files."""
    return dict(_entry(value) for value in _LISTED)


def _entry(value: Any) -> tuple[str, Any]:
    if not isinstance(value, tuple):
        return ".".join(torch_name(value)), value
    if len(value) != 2:
        raise ValueError(
            f"Expected tuple of length 2 (global, str of callable full path), but got tuple of length: {len(value)}"
        )
    if type(value[1]) is not str:
        raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(value[1])}")
    return value[1], value[0]
