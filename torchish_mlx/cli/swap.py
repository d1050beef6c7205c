"""``import torch`` means this package, in this process and in those that it starts with ``multiprocessing``."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import multiprocessing.spawn
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "torchish_mlx"


def _version() -> str:
    """The version that programs are told: that of the torch whose behaviour this package has."""
    package: Any = sys.modules[PACKAGE]
    told: str = package.version.__version__
    return told


class _Metadata(importlib.metadata.Distribution):
    """What ``importlib.metadata`` says of torch."""

    def read_text(self, filename: str) -> str | None:
        if filename in ("METADATA", "PKG-INFO"):
            return (
                f"Metadata-Version: 2.1\nName: torch\nVersion: {_version()}\nSummary: torchish_mlx, in torch's place\n"
            )
        return None

    def locate_file(self, path: Any) -> Any:
        return Path(__file__).parents[1] / path


class Finder:
    """Finds this package, and the modules in it, under torch's names."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """The spec of ``torch`` and of what is in it."""
        if name != "torch" and not name.startswith("torch."):
            return None
        mine = PACKAGE + name[len("torch") :]
        try:
            found = importlib.util.find_spec(mine)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return None
        loader: Any = _Loader(mine)
        return ModuleSpec(name, loader, origin=found.origin, is_package=found.submodule_search_locations is not None)

    def find_distributions(self, context: Any) -> Iterable[importlib.metadata.Distribution]:
        """Torch, where it is asked for, or where all are."""
        return [_Metadata()] if context.name in (None, "torch") else []

    def invalidate_caches(self) -> None:
        """There is none."""


class _Loader:
    """Gives the module of this package itself, so that there is one of each."""

    def __init__(self, mine: str) -> None:
        self.mine = mine
        self.spec: Any = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        module = importlib.import_module(self.mine)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has put torch's spec there


def install() -> Finder:
    """Have ``import torch`` mean this package from now on, also in processes that are started."""
    for known in sys.meta_path:
        if isinstance(known, Finder):
            return known
    for name in [name for name in sys.modules if name == "torch" or name.startswith("torch.")]:
        raise ImportError(f"{name} was imported already: the swap has to come before the first import of torch")
    finder: Any = Finder()
    sys.meta_path.insert(0, finder)
    package: Any = sys.modules[PACKAGE]
    package.__version__ = _version()
    _start = multiprocessing.spawn.get_command_line
    multiprocessing.spawn.get_command_line = lambda **kwargs: _with_swap(_start(**kwargs))
    found: Finder = finder
    return found


def _with_swap(command: list[str]) -> list[str]:
    """The command that starts a process, which makes the swap first."""
    if "-c" not in command:
        return command
    at = command.index("-c") + 1
    return [*command[:at], f"import {__name__} as swap; swap.install(); {command[at]}", *command[at + 1 :]]
