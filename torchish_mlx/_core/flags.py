"""Settings that are attributes of a module, as ``torch.backends.cudnn.benchmark`` is: checked, kept, and inert."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from .._inert import note


class Flag:
    """A setting: its name in torch, its default, and what checks a value before it is kept."""

    def __init__(self, name: str, default: Any, check: Callable[[Any], Any] | None = None) -> None:
        self.name, self.value, self.check = name, default, check

    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else self.value

    def __set__(self, owner: Any, value: Any) -> None:
        if self.check is not None:
            self.check(value)
        note(self.name)
        self.value = value


def only(kind: type, setter: str) -> Callable[[Any], None]:
    """A check of the type, in the words of torch's function ``setter``."""

    def check(value: Any) -> None:
        if type(value) is not kind:
            raise RuntimeError(f"{setter} expects a {kind.__name__}, but got {type(value).__name__}")

    return check


def with_flags(module: str, **flags: Any) -> None:
    """Have the module answer for the flags, and take them when they are set."""
    sys.modules[module].__class__ = type("Settings", (ModuleType,), flags)


@contextlib.contextmanager
def changed(owner: Any, values: dict[str, Any]) -> Iterator[None]:
    """Inside the block the settings of ``owner`` have these values; afterwards those of before."""
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
