"""Parameters over ``mlx.nn`` models: places with an identity, and their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ._evaluate import schedule
from ._held import Key, found
from ._promote import INEXACT
from ._registry import LOCK, Registry, dotted, frozen, made, prefixes, registry_of
from ._ties import tie
from ._walk import Path, arrays_of, find, is_buffer, places
from ._walk import checked as _checked
from .creation import to_array
from .tensor import Tensor, origin_of


class Parameter(Tensor):
    """A leaf Tensor that requires grad: by itself, or at a place in an ``mlx.nn`` module.

    ``Parameter(array)`` is one by itself. Those of a module come from ``parameters(module)``: they read and write
    the module's array, are the same objects at every call, and their ``requires_grad`` is MLX's freezing.

    One array object at several places of a model (``model.head.weight = model.emb.weight``) is one Parameter, whose
    writes reach all of them, and which is frozen as soon as one of them is. It stays one, although MLX makes several
    objects of the array. A new array that is assigned to one of the places gets a Parameter of its own.

    The module keeps its Parameters. They do not keep the module: when it is deleted, a Parameter that is still in use
    goes on with its array.

    Attributes:
        owner: the module that holds the array, the first of several, or None.
        key: the path inside the owner, ``"weight"``, or ``"blocks.0"`` in a list; None without an owner.
        path: the path from the module through which it was listed last, or None.

    >>> import mlx.core as mx
    >>> from torchish_mlx import Parameter
    >>> p = Parameter(mx.array([1.0]))
    >>> p.data.mul_(3)
    tensor([3.])
    >>> p
    Parameter containing:
    tensor([3.], requires_grad=True)
    """

    path: str | None = None
    _also: tuple[str, ...] = ()  # further paths through which it was listed

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, (Tensor, mx.array)):
            super().__init__(data.detach() if isinstance(data, Tensor) else data)
        else:
            super().__init__(to_array(data))
            self._keep_origin(origin_of(data))
        schedule(self.array)  # so that any thread can use it
        self.requires_grad = requires_grad

    @property
    def owner(self) -> nn.Module | None:
        """The module that holds the array, the first of several, or None."""
        owned = self._storage.owned
        return owned[0][0].owner() if owned else None

    @property
    def key(self) -> str | None:
        """The path inside the owner; None without one."""
        owned = self._storage.owned
        return dotted(owned[0][1]) if owned else None

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is wanted; for places in modules, whether MLX has all of them unfrozen."""
        owned = self._storage.owned
        if not owned:
            return self._requires_grad
        for registry, key in owned:
            owner = registry.owner()
            names = registry.frozen if owner is None else owner._no_grad
            if names and frozen(names, key):
                return False
        return self.array.dtype in INEXACT

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.array.dtype not in INEXACT:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        self._requires_grad = bool(value)
        for registry, key in self._storage.owned:
            _freeze(registry.owner(), dotted(key), not value)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_requires_grad": self.requires_grad}

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        new = super().__deepcopy__(memo)
        new._requires_grad = self.requires_grad  # a copy without its module
        return new

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def _freeze(owner: nn.Module, key: str, value: bool) -> None:
    """Freeze or unfreeze one array of a module."""
    names = owner._no_grad
    if value:
        names.add(key)
        return
    for prefix in prefixes(key):
        if prefix in names:  # what else is below it stays frozen
            names.discard(prefix)
            below = [dotted(inner) for inner, _ in arrays_of(owner)]
            names.update(other for other in below if other.startswith(prefix + "."))
    names.discard(key)


# -- the Parameters of a module ------------------------------------------------------------------------------


def _key(inner: Path) -> Key:
    return inner[0] if len(inner) == 1 else inner


def at_place(owner: nn.Module, inner: Path) -> Tensor:
    """The Parameter, or for a buffer the Tensor, of a place: always the same for as long as it lives."""
    registry, key = registry_of(owner), _key(inner)
    tensor = registry.get(key)
    if tensor is not None and len(tensor._storage.owned) > 1:
        tensor._storage.read()  # whether the place is still one of several
        tensor = registry.get(key)
    if tensor is None:
        with LOCK:
            tensor = registry.get(key)
            if tensor is None:
                kind = Tensor if is_buffer(owner, inner) else Parameter
                tensor = made(kind, owner, key, found(registry, key))
    return tensor


def walked(module: nn.Module) -> list[tuple[str, Tensor]]:
    """(path, Parameter or buffer) of every array of ``module``, at every path; what is one array is one of them."""
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
    """The same, where an array has no Parameter yet, or where Parameters are to be tied or to part."""
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
    """Note further paths of what was listed under several, for trees of arrays, which have paths only."""
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
