"""Running parts of a test in other threads, and finding the arrays that an object keeps.

MLX's streams belong to threads: an array that was not evaluated in the thread that made it can't be evaluated elsewhere
("There is no Stream(cpu, 0) in current thread"). So whatever is kept must have been evaluated, or scheduled, before
another thread reads it.
"""

from __future__ import annotations

import gc
import threading
import types
from collections.abc import Callable
from typing import Any, TypeVar

import mlx.core as mx

T = TypeVar("T")
_CLOSED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.FrameType)


def elsewhere(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What ``function`` returns or raises in a thread of its own, which has ended by then."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function(*args, **kwargs))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the thread did not end"
    if errors:
        raise errors[0]
    return results[0]


def kept(*objects: Any) -> list[mx.array]:
    """Every array that these objects hold, in whatever attributes, containers and closures they hold it."""
    arrays: list[mx.array] = []
    seen: set[int] = set()
    found: list[Any] = list(objects)
    while found:
        value = found.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, mx.array):
            arrays.append(value)
        elif isinstance(value, types.FunctionType):
            found += [cell.cell_contents for cell in value.__closure__ or ()]
        elif not isinstance(value, _CLOSED):
            found += gc.get_referents(value)
            found += [getattr(value, name) for c in type(value).__mro__ for name in _slots(c) if hasattr(value, name)]
    return arrays


def _slots(cls: type) -> list[str]:
    names = cls.__dict__.get("__slots__", ())
    return [n for n in ([names] if isinstance(names, str) else names) if n not in ("__weakref__", "__dict__")]


def assert_usable_elsewhere(*objects: Any) -> None:
    """Each array that the objects keep can be computed with in a thread that did not make it."""
    arrays = kept(*objects)
    assert arrays
    elsewhere(lambda: [mx.eval(array + 1) if array.size else array.tolist() for array in arrays])
