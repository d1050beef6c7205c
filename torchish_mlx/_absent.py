"""The AttributeError for a name of torch that is not here: it says what to use instead.

``_absent.txt`` has the names of torch, in a section for each module and for ``Tensor``. A line is ``names: what to do
instead``, or names alone.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

PAGE = "docs/absent.md"
FILE = Path(__file__).with_name("_absent.txt")
NOTHING: Mapping[str, str] = MappingProxyType({})


def parsed(text: str) -> dict[str, dict[str, str]]:
    """Section -> name -> what to do instead, or an empty string; ``{name}`` in it is the name."""
    sections: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            names = sections[line.strip("[]")] = {}
        elif line and not line.startswith("#"):
            said, _, advice = line.partition(": ")
            for name in said.split():
                names[name] = advice.replace("{name}", name.removesuffix("_"))
    return sections


@functools.cache
def table() -> dict[str, dict[str, str]]:
    """The sections of the file."""
    return parsed(FILE.read_text(encoding="utf-8"))


def absent(section: str, name: str, where: str, thing: Any) -> AttributeError:
    """The error for the attribute ``name`` of ``where``, which is ``thing``, and ``section`` of torch."""
    said = f"{where} has no attribute {name!r}"
    if not name.startswith("_"):
        names = table().get(section, {})
        if name in names:
            advice = names[name] or f"torch has it, and it is not here yet ({PAGE} lists what is not)"
            return AttributeError(f"{said}: {advice}")
    return AttributeError(said, name=name, obj=thing)  # Python adds a name that is spelled alike


class Absent:
    """An attribute of torch's Tensor that is not here. With ``__getattr__`` every other attribute would take longer."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, tensor: Any, kind: type) -> Any:
        where = f"type object {kind.__name__!r}" if tensor is None else f"{type(tensor).__name__!r} object"
        raise absent("torch.Tensor", self.name, where, kind if tensor is None else tensor)


def fill_gaps(kind: Any) -> None:
    """Have the class of Tensors answer for torch's methods that it does not have; ``dir(tensor)`` leaves them out."""
    gaps = {name for name in table()["torch.Tensor"] if not hasattr(kind, name)}
    for name in gaps:
        setattr(kind, name, Absent(name))
    kind.__dir__ = lambda tensor: [name for name in object.__dir__(tensor) if name not in gaps]


def getter(
    section: str, module: Any, later: Collection[str] = (), parts: Mapping[str, str] = NOTHING
) -> Callable[[str], Any]:
    """``__getattr__`` of a module that is ``section`` of torch; ``module`` is its dict.

    The modules ``later`` are imported when somebody asks for them, and the names ``parts`` from the modules that they
    are mapped to.
    """

    def __getattr__(name: str) -> Any:
        where = module["__name__"]
        if name in later:
            return importlib.import_module(f"{where}.{name}")
        if name in parts:
            found = module[name] = getattr(importlib.import_module(f"{where}.{parts[name]}"), name)
            return found
        raise absent(section, name, f"module {where!r}", sys.modules.get(where))

    return __getattr__
