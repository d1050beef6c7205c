"""The arrays of an ``mlx.nn`` module, as MLX's ``parameters()`` finds them, and which of them are buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn

Path = tuple[Any, ...]


def checked(module: Any, function: str) -> nn.Module:
    """``module``, if it is one."""
    if not isinstance(module, nn.Module):
        hint = (
            ": model.parameters() of MLX is a copy of the tree, pass the model itself"
            if isinstance(module, (dict, list))
            else ""
        )
        raise TypeError(f"{function}() takes an mlx.nn.Module, not {type(module).__name__}{hint}")
    return module


def children(container: Any) -> Iterator[tuple[Any, Any]]:
    """What is in a module, dict or list, as MLX's ``parameters()`` sees it: no attribute with an underscore."""
    if isinstance(container, list):
        yield from enumerate(container)
    elif isinstance(container, nn.Module):
        for key, value in container.items():
            if not key.startswith("_"):
                yield key, value
    else:
        yield from container.items()


def arrays_of(module: nn.Module) -> Iterator[tuple[Path, mx.array]]:
    """The arrays that ``module`` itself owns, with their paths inside it; not those of its submodules."""
    stack: list[tuple[Path, Any]] = [((), module)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, mx.array):
            yield path, value
        elif isinstance(value, (dict, list)) and (value is module or not isinstance(value, nn.Module)):
            stack.extend(reversed([((*path, key), child) for key, child in children(value)]))


Place = tuple[str, nn.Module, Path, mx.array]


def places(module: nn.Module) -> list[Place]:
    """(path from ``module``, owner, path inside the owner, array) of every array, in MLX's order."""
    found: list[Place] = []
    _collect(module, "", module, (), found)
    return found


def _collect(container: Any, lead: str, owner: nn.Module, inner: Path, found: list[Place]) -> None:
    for key, value in children(container):
        if isinstance(value, mx.array):
            found.append((f"{lead}{key}", owner, (*inner, key), value))
        elif isinstance(value, nn.Module):
            _collect(value, f"{lead}{key}.", value, (), found)
        elif isinstance(value, (dict, list)):
            _collect(value, f"{lead}{key}.", owner, (*inner, key), found)


def find(module: nn.Module, path: str) -> tuple[nn.Module, Path, mx.array]:
    """(owner, path inside the owner, array) of the array at ``path``. KeyError where there is none."""
    owner: nn.Module = module
    inner: Path = ()
    value: Any = module
    for part in path.split("."):
        key: Any = part
        if isinstance(value, list):
            key = int(part) if part.isdigit() and int(part) < len(value) else None
        elif not isinstance(value, dict) or part not in value:  # a dict may have keys that are no strings
            key = next((k for k, _ in children(value) if str(k) == part), None) if isinstance(value, dict) else None
        if key is None or (isinstance(value, nn.Module) and part.startswith("_")):
            raise KeyError(_missing(module, path))
        value, inner = value[key], (*inner, key)
        if isinstance(value, nn.Module):
            owner, inner = value, ()
    if not isinstance(value, mx.array):
        raise KeyError(f"{path!r} is a {type(value).__name__}, not an array")
    return owner, inner, value


def _missing(module: nn.Module, path: str) -> str:
    """What there is instead, as far as the path leads."""
    value: Any = module
    walked: list[str] = []
    for part in path.split("."):
        entries = {str(key): child for key, child in children(value)} if isinstance(value, (dict, list)) else {}
        if part not in entries:
            where = ".".join(walked) or type(module).__name__
            return f"no parameter {path!r}: {where} has {', '.join(entries) or 'no entries'}, not {part!r}"
        value = entries[part]
        walked.append(part)
    return f"no parameter {path!r}"


def is_buffer(owner: nn.Module, inner: Path) -> bool:
    """Whether the array is what torch calls a buffer: a running statistic, or one that the owner's class names."""
    if isinstance(owner, nn.BatchNorm) and inner[0] in ("running_mean", "running_var"):
        return True
    return inner[0] in getattr(type(owner), "_torchish_buffers", ())
