"""Which names of torch a program has used: what ``run --report`` prints at the end."""

from __future__ import annotations

import sys
from types import FrameType, ModuleType
from typing import Any, TextIO

from .._inert import used

_PACKAGE = "torchish_mlx"


class Report:
    """The names of torch's modules that are read from now on, by code outside of this package."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        for name, module in list(sys.modules.items()):
            if name == _PACKAGE or (name.startswith(f"{_PACKAGE}.") and "._" not in name):
                self._watch(module)

    def _watch(self, module: ModuleType) -> None:
        """Have a module note which of its names are read."""
        report, full = self, module.__name__
        kind: Any = type(module)

        def read(watched: ModuleType, name: str) -> Any:
            value = kind.__getattribute__(watched, name)
            if name[:1] != "_" and not _from_inside(sys._getframe(1)):
                report._note(full, name, value)
            return value

        module.__class__ = type("Watched", (kind,), {"__getattribute__": read})

    def _note(self, module: str, name: str, value: Any) -> None:
        if isinstance(value, ModuleType):
            if value.__name__.startswith(_PACKAGE + ".") and type(value).__name__ != "Watched":
                self._watch(value)
            return
        full = f"torch{module[len(_PACKAGE) :]}.{name}"
        self.used[full] = self.used.get(full, 0) + 1

    def write(self, to: TextIO) -> None:
        """The names, in order."""
        to.write(f"\nNames of torch that were used ({len(self.used)}):\n")
        for name in sorted(self.used):
            to.write(f"  {name}\n")
        inert = used()
        if inert:
            to.write(f"\nOf these have no effect here ({len(inert)}):\n")
            for name, reason in inert.items():
                to.write(f"  {name}: {reason}\n")


def _from_inside(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE
