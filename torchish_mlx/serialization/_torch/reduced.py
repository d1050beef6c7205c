"""What the pickle of an object consists of, where it is no tensor and no plain value."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

from .names import PACKAGE

#: Classes of this package that torch has with the same attributes; those below them are of users.
_AS_IN_TORCH = tuple(f"{PACKAGE}.{folder}." for folder in ("nn", "utils.data", "distributions"))
CODE = (type, FunctionType, BuiltinFunctionType)


#: What makes most objects: ``NEW(cls, *args)`` is ``cls.__new__(cls, *args)``.
NEW: Any = vars(copyreg)["__newobj__"]


class Reduced(NamedTuple):
    """``function(*args)`` makes the object; then it is given its items, its pairs and its state."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    state: Any = None
    items: Iterable[Any] | None = None
    pairs: Iterable[tuple[Any, Any]] | None = None


def is_object(value: Any) -> bool:
    """Whether ``value`` is saved as ``pickle`` saves it. What torch cannot build of its parts is not: what is of MLX or
    of this package, but for modules, datasets and what users derive from them.
    """
    return all(_known(base.__module__) for base in type(value).__mro__)


def _known(module: str) -> bool:
    top = module.partition(".")[0]
    return top not in ("mlx", PACKAGE) or f"{module}.".startswith(_AS_IN_TORCH)


def reduced(value: Any) -> Reduced | str:
    """The parts of ``value``, or the name by which it is found.

    A class whose attributes in torch are others than here says by ``_torch_state`` what the file has as its state.

    Raises:
        TypeError: Python cannot pickle it, or only in a way that a torch file does not have.
    """
    made = copyreg.dispatch_table.get(type(value))
    parts: Any = made(value) if made is not None else value.__reduce_ex__(2)
    if isinstance(parts, str):
        return parts
    if len(parts) > 5 and parts[5] is not None:
        raise TypeError(f"cannot pickle {type(value).__name__!r} object: it sets its state by a function of its own")
    found = Reduced(*parts[:5])
    own = getattr(type(value), "_torch_state", None)
    return found if own is None else found._replace(state=own(value))
