"""Classes and functions by the names that they have in torch, as a pickle of torch's refers to them."""

from __future__ import annotations

import _compat_pickle
import sys
from collections.abc import Iterable
from importlib import import_module
from pickle import PicklingError
from typing import Any

PACKAGE = __name__.partition(".")[0]

#: Folders whose modules are where torch has them. Functions are declared in ``ops/``, where torch has none.
_AS_IN_TORCH = tuple(f"{PACKAGE}.{folder}." for folder in ("nn", "utils", "distributions"))
#: Modules in which torch declares what it shows in another one.
_SHOWN = {"torch._C._nn": "nn.functional", "torch._C._VariableFunctions": "", "torch._C": ""}


def torch_name(value: Any) -> tuple[str, str]:
    """The module and the name of a class or function; what is of this package has those of torch.

    Raises:
        pickle.PicklingError: it is not found by its name, as a lambda or what is declared inside of a function.

    >>> torch_name(dict)
    ('builtins', 'dict')
    """
    name = getattr(value, "__qualname__", None) or value.__name__
    for module in _modules(value):
        if _found(sys.modules.get(module), name) is value:
            return ("torch" + module[len(PACKAGE) :] if _of_the_package(module) else module), name
    raise PicklingError(f"Can't pickle {value!r}: it's not found as {getattr(value, '__module__', None)}.{name}")


def _modules(value: Any) -> Iterable[str]:
    """The names of modules in which ``value`` may be found, the best first."""
    own = getattr(value, "__module__", None) or "builtins"
    if not _of_the_package(own):
        return [own]
    if own.startswith(_AS_IN_TORCH) and not any(part.startswith("_") for part in own.split(".")):
        return [own]
    parent = own.rpartition(".")[0] + "."
    near = [name for name in list(sys.modules) if name.startswith(parent) and "._" not in name]
    public = near if own.startswith(_AS_IN_TORCH) else []
    return [*sorted(public), f"{PACKAGE}.nn.functional", PACKAGE]


def _of_the_package(module: str) -> bool:
    return module == PACKAGE or module.startswith(PACKAGE + ".")


def _found(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def named_object(module: str, name: str) -> Any:
    """What a pickle means by ``module.name``. Its module is imported, which runs the code of that module.

    Raises:
        ImportError, AttributeError: there is none, as ``pickle`` says it.
    """
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    if module in _SHOWN:
        module = f"{PACKAGE}.{_SHOWN[module]}".rstrip(".")
    elif module == "torch" or module.startswith("torch."):
        module = PACKAGE + module[len("torch") :]
    value = import_module(module)
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise AttributeError(f"Can't get attribute {name!r} on {import_module(module)!r}") from None
    return value
