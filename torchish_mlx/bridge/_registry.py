"""What a module knows of the Parameters and buffers over its arrays."""

from __future__ import annotations

import copy
import threading
import weakref
from typing import Any

import mlx.nn as nn

from .._core.origin import MLX, Origin
from .._core.promotion import INEXACT
from .._tensor.tensor import Tensor
from ._frozen import Key, frozen
from ._held import Held

_NAME = "_torchish_parameters"

#: Held while Parameters are made or tied, so that two threads that ask first get the same ones.
LOCK = threading.RLock()


class Registry(dict[Key, Tensor]):
    """Place in a module -> the Parameter or buffer over the array there. The module keeps it.

    So a Parameter lives as long as its module, with its gradient. It refers to the module weakly, by ``owner()``:
    a module, its Parameters and their gradients are freed as soon as nobody holds the module.
    """

    def __init__(self, owner: nn.Module | None = None) -> None:
        super().__init__()
        if owner is not None:
            self._bind(owner)

    def _bind(self, owner: nn.Module) -> None:
        self.owner: Any = weakref.ref(owner, self._ended)
        #: MLX's set of frozen names, for when the module is gone
        self.frozen: set[str] = getattr(owner, "_no_grad", set())

    def _ended(self, _: Any) -> None:
        """Let the Parameters go on without their module; its arrays are there still while this is called."""
        for key, tensor in list(self.items()):
            tensor._storage.disown(self, key)  # type: ignore[attr-defined]
            if type(tensor) is not Tensor and not tensor._storage.owned:
                array = tensor._storage._array
                tensor._requires_grad = array is not None and array.dtype in INEXACT and not frozen(self.frozen, key)
        self.clear()

    def add(self, key: Key, tensor: Tensor, array: Any = None) -> None:
        """Have ``tensor`` live at a place, too."""
        self[key] = tensor
        tensor._storage.own(self, key, array)  # type: ignore[attr-defined]

    def forget(self, key: Key) -> None:
        """Drop the Tensor of a place; the next look at the place makes another one."""
        tensor = self.pop(key, None)
        if tensor is not None:
            tensor.__dict__.pop("_also", None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """The registry of the module's copy, which is being made."""
        owner = memo.get(id(self.owner()))
        if owner is None:
            return {}
        new = registry_of(owner)
        for key, tensor in self.items():
            new.add(key, copy.deepcopy(tensor, memo))
        return new

    def __reduce__(self) -> Any:
        return Registry, (), (self.owner(), dict(self))

    def __setstate__(self, state: Any) -> None:
        owner, tensors = state
        self._bind(owner)
        for key, tensor in tensors.items():
            self.add(key, tensor)


def registry_of(owner: nn.Module) -> Registry:
    """The registry of a module, which is made where there is none. (A shallow copy has that of its original.)"""
    registry = owner.__dict__.get(_NAME)
    if type(registry) is not Registry or registry.owner() is not owner:
        with LOCK:
            registry = owner.__dict__.get(_NAME)
            if type(registry) is not Registry or registry.owner() is not owner:
                registry = owner.__dict__[_NAME] = Registry(owner)
    return registry


def registries(module: nn.Module) -> list[Any]:
    """The registries of a module and of its submodules."""
    return [part.__dict__[_NAME] for part in module.modules() if _NAME in part.__dict__]


def without_registries(module: nn.Module) -> None:
    """Remove the None that replaces a registry in a copy that was made without registries."""
    for part in module.modules():
        if part.__dict__.get(_NAME, part) is None:
            del part.__dict__[_NAME]


def made(kind: type[Tensor], owner: nn.Module, key: Key, array: Any) -> Tensor:
    """A new Parameter or buffer over an array of a module."""
    tensor = kind.__new__(kind)
    tensor._storage = Held()
    tensor._origin = Origin(MLX)
    tensor._layer = " ".join(each.__name__ for each in type(owner).__mro__)
    registry_of(owner).add(key, tensor, array)
    return tensor
