"""What is public in a package, and what of it lacks a docstring or a place in the reference. Knows nothing of Sphinx.

Public is each name in the ``__all__`` of a module whose own name has no underscore in front, and of each public class
the methods and properties without one. A name is in the reference when it is listed there under any of the places
from which it can be imported, and a method when it is listed in its class or in the class that it comes from.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Collection, Iterator
from types import ModuleType
from typing import Any

COMMANDS = ("parity",)  # documented by a page of their own; importing them may need more than the package


def public_modules(package: ModuleType) -> list[ModuleType]:
    """``package`` and the modules below it that say what is public; not those that start with an underscore."""
    found = [package]
    for entry in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        name = entry.name.rpartition(".")[2]
        if name.startswith("_") or name in COMMANDS:
            continue
        module = importlib.import_module(entry.name)
        found += public_modules(module) if entry.ispkg else [module]
    return [module for module in found if hasattr(module, "__all__")]


def members(cls: type, package: str) -> Iterator[tuple[str, Any, type]]:
    """The methods and properties of a class, with the class that brings each; other packages' are theirs to explain."""
    seen: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] != package:
            continue
        for name, value in vars(base).items():
            plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            if (
                not name.startswith("_")
                and name not in seen
                and (inspect.isroutine(plain) or isinstance(plain, property))
            ):
                seen.add(name)
                if hasattr(cls, name):  # one of torch's that is not here has no value
                    yield name, getattr(cls, name), base


def faults(modules: Collection[ModuleType], shown: Collection[str]) -> list[str]:
    """What is wrong, in words: names without a docstring, and names that are not among ``shown``, the reference's.

    Args:
        modules: the public modules.
        shown: full names, as ``package.module.Class.method``.
    """
    package = next(iter(modules)).__name__.partition(".")[0]
    known = {id(module) for module in modules}
    places: dict[int, list[str]] = {}
    public: dict[str, Any] = {}
    for module in modules:
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, ModuleType) and id(value) in known:
                continue
            public[f"{module.__name__}.{name}"] = value
            places.setdefault(id(value), []).append(f"{module.__name__}.{name}")
    found: list[str] = []
    shown = set(shown)
    judged: set[tuple[type, str]] = set()
    for full, value in public.items():
        mine = places[id(value)]
        if full != mine[0]:
            continue  # the same object under another name; constants too, whose names the first place lists
        own = (getattr(value, "__module__", None) or "").partition(".")[0] == package
        if own and callable(value) and not inspect.getdoc(value):
            found.append(f"{full} has no docstring")
        if isinstance(value, type) and own:
            if not value.__dict__.get("__doc__"):
                found.append(f"{full} has no docstring of its own")
            bases = [place for base in value.__mro__ for place in places.get(id(base), ())]
            for name, member, base in members(value, package):
                if (base, name) in judged:
                    continue
                judged.add((base, name))
                where = f"{base.__module__}.{base.__name__}.{name}"
                if not inspect.getdoc(member):
                    found.append(f"{where} has no docstring")
                if not any(f"{place}.{name}" in shown for place in bases):
                    found.append(f"{where} is not in the reference")
        if callable(value) and not shown.intersection(mine):
            found.append(f"{full} is not in the reference")
        if not callable(value):
            found += [f"{name} is not in the reference" for name in mine if not shown.intersection(_same(name, mine))]
    return found


def _same(name: str, places: list[str]) -> list[str]:
    """The places with the same last word: a constant is shown by each of its names, a module's copy by one."""
    return [place for place in places if place.rpartition(".")[2] == name.rpartition(".")[2]]
