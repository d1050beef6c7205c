"""Parameters over ``mlx.nn`` models: places with an identity, and their gradients."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx
import mlx.nn as nn

from .._tensor.parameter import Parameter
from .._tensor.tensor import Tensor
from ._frozen import Key
from ._held import found
from ._registry import LOCK, Registry, made, registry_of
from ._ties import tie
from ._walk import Path, find, is_buffer, places
from ._walk import checked as _checked

# -- the Parameters of a module ------------------------------------------------------------------------------


def _key(inner: Path) -> Key:
    return inner[0] if len(inner) == 1 else inner


def at_place(owner: nn.Module, inner: Path) -> Tensor:
    """The Parameter of a place, or the Tensor if it is a buffer: the same one as long as the module lives."""
    registry, key = registry_of(owner), _key(inner)
    tensor = registry.get(key)
    if tensor is not None and len(tensor._storage.owned) > 1:
        tensor._storage.read()  # which gives up the places where the tie has ended
        tensor = registry.get(key)
    if tensor is None:
        with LOCK:
            tensor = registry.get(key)
            if tensor is None:
                kind = Tensor if is_buffer(owner, inner) else Parameter
                tensor = made(kind, owner, key, found(registry, key))
    return tensor


def walked(module: nn.Module) -> list[tuple[str, Tensor]]:
    """(path, Parameter or buffer) at every path to an array of ``module``. One array has one Parameter at all paths."""
    listed: list[tuple[str, Tensor]] = []
    first: dict[int, Tensor] = {}
    owner, registry = None, None
    for path, holder, inner, array in places(module):
        if holder is not owner:
            owner, registry = holder, registry_of(holder)
        assert registry is not None
        tensor = registry.get(inner[0] if len(inner) == 1 else inner)
        if (
            tensor is None
            or first.setdefault(id(array), tensor) is not tensor
            or (len(tensor._storage.owned) > 1 and not tensor._storage.agrees())  # type: ignore[attr-defined]
        ):
            with LOCK:
                return _looked_over(module)
        listed.append((path, tensor))
    return listed if len(first) == len(listed) else _noted(listed)


def _looked_over(module: nn.Module) -> list[tuple[str, Tensor]]:
    """What :func:`walked` gives, where an array has no Parameter yet, or where a tie begins or ends."""
    entries: list[tuple[str, Registry, Key, type[Tensor], mx.array]] = []
    known: dict[tuple[int, type[Tensor]], Tensor] = {}
    for path, owner, inner, array in places(module):
        registry, key, kind = registry_of(owner), _key(inner), Tensor if is_buffer(owner, inner) else Parameter
        tensor = registry.get(key)
        if tensor is not None and len(tensor._storage.owned) > 1:
            tensor._storage.read()
            tensor, now = registry.get(key), found(registry, key)
            array = array if now is None else now
        entries.append((path, registry, key, kind, array))
        if tensor is not None:
            other = known.setdefault((id(array), kind), tensor)
            if other is not tensor:
                known[id(array), kind] = tie(other, tensor, array)
    for _, registry, key, kind, array in entries:
        if key not in registry:
            tensor = known.get((id(array), kind))
            if tensor is None:
                known[id(array), kind] = made(kind, registry.owner(), key, array)
            else:
                registry.add(key, tensor, array)
    return _noted([(path, registry[key]) for path, registry, key, _, _ in entries])


def _noted(listed: list[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    """``listed``. A Parameter at several paths notes the others in ``_also``: trees of arrays have paths only."""
    paths: dict[int, list[str]] = {}
    for path, tensor in listed:
        others = paths.setdefault(id(tensor), [])
        others.append(path)
        if len(others) > 1 and isinstance(tensor, Parameter):
            tensor._also = tuple(others[1:])
    return listed


def named(module: nn.Module, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
    """(path, Parameter or buffer) of every array of ``module``, each once, or at every path that leads to it."""
    listed = walked(module)
    if not remove_duplicate:
        yield from listed
        return
    seen: set[int] = set()
    for path, tensor in listed:
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield path, tensor


def named_parameters(module: nn.Module) -> Iterator[tuple[str, Parameter]]:
    """(path, Parameter) of every array of ``module``, frozen ones too, in MLX's order; each once.

    The paths are those of ``mlx.utils.tree_flatten(module.parameters())``. A submodule that is in two places, or an
    array that is (tied weights), is listed under the first. The running statistics of BatchNorm are not parameters but
    ``buffers``, and so is what the class of a module names in ``_torchish_buffers``.

    >>> import mlx.nn as nn
    >>> [name for name, _ in named_parameters(nn.Linear(2, 3))]
    ['weight', 'bias']
    """
    for path, tensor in named(_checked(module, "named_parameters")):
        if isinstance(tensor, Parameter):
            tensor.path = path
            yield path, tensor


def parameters(module: nn.Module) -> Iterator[Parameter]:
    """The Parameters of ``named_parameters``."""
    for _, parameter in named_parameters(_checked(module, "parameters")):
        yield parameter


def named_buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(path, Tensor) of the running statistics of BatchNorm, which no optimizer may touch, and of other buffers.

    A class of modules names its own in ``_torchish_buffers``.

    >>> import mlx.core as mx, mlx.nn as nn
    >>> class Scaled(nn.Module):
    ...     _torchish_buffers = ("largest",)
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weight, self.largest = mx.ones(2), mx.array(0.0)
    >>> [name for name, _ in named_buffers(Scaled())], [name for name, _ in named_parameters(Scaled())]
    (['largest'], ['weight'])
    """
    for path, tensor in named(_checked(module, "named_buffers")):
        if not isinstance(tensor, Parameter):
            yield path, tensor


def buffers(module: nn.Module) -> Iterator[Tensor]:
    """The Tensors of ``named_buffers``."""
    for _, buffer in named_buffers(_checked(module, "buffers")):
        yield buffer


def locate(module: nn.Module, path: str) -> Parameter:
    """The Parameter at ``path``, as ``"layers.0.weight"``. KeyError where there is no array."""
    walked(_checked(module, "locate"))  # for ties to what is elsewhere in the module
    return at_path(module, path)


def at_path(module: nn.Module, path: str) -> Parameter:
    """The same, without a look at the rest of the module."""
    owner, inner, _ = find(module, path)
    if is_buffer(owner, inner):
        raise KeyError(f"{path!r} is a buffer, not a parameter")
    found = at_place(owner, inner)
    assert isinstance(found, Parameter)
    return found
