"""The device of a Tensor, which is a label: who has one, and whom results take theirs from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core.device import Device
from .tensor import Tensor


def _first(values: Iterable[Any]) -> Device | None:
    """The label of the first Tensor that has one, also in lists and tuples."""
    found: Device | None = None
    for value in values:
        if isinstance(value, Tensor):
            found = value._label
        elif isinstance(value, (list, tuple)):
            found = _first(value)
        if found is not None:
            break
    return found


def carried(made: Any, given: Iterable[Any]) -> Any:
    """``made``, the new result of a call with ``given``, with the label of the first of those that has one."""
    label = _first(given)
    if label is not None:
        _put(made, label)
    return made


def _put(made: Any, label: Device) -> None:
    if isinstance(made, Tensor):
        if made._label is None:
            made._label = label
    elif isinstance(made, (list, tuple)):
        for each in made:
            _put(each, label)
