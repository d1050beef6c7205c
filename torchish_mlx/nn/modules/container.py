"""Modules and Parameters in lists and dicts, and modules one after the other."""

from __future__ import annotations

import itertools
import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from .module import Module

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _place(size: int, index: Any) -> int:
    """An index from the front. IndexError outside."""
    at = operator.index(index)
    if not -size <= at < size:
        raise IndexError(f"index {at} is out of range")
    return at % size


class _Listed(Module):
    """Modules under the names ``"0"``, ``"1"``, and so on."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def _name(self, index: Any) -> str:
        """The name of the module at a place."""
        return list(self._modules)[_place(len(self), index)]

    def _again(self, modules: Iterable[Any]) -> None:
        """Number the modules again."""
        kept = {str(i): module for i, module in enumerate(modules)}
        self._modules.clear()
        self._modules.update(kept)

    def pop(self, key: Any) -> Any:
        """Remove the module at a place, and return it."""
        module = self._modules[self._name(key)]
        self._drop([self._name(key)])
        return module

    def _drop(self, names: list[str]) -> None:
        for name in names:
            delattr(self, name)
        self._again(list(self._modules.values()))

    def append(self, module: Any) -> Any:
        """Put a module at the end; returns itself."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Any]) -> Any:
        """Put the modules at the end; returns itself."""
        for module in list(modules):
            self.append(module)
        return self

    def __setitem__(self, idx: int, module: Any) -> None:
        setattr(self, self._name(idx), module)

    def __delitem__(self, idx: Any) -> None:
        self._drop(list(self._modules)[idx] if isinstance(idx, slice) else [self._name(idx)])


class Sequential(_Listed):
    """Modules that are called one after the other, each with the result of the one before.

    ``Sequential(a, b)`` names them ``"0"`` and ``"1"``; ``Sequential(OrderedDict(...))`` takes names. It has the index,
    slices, ``append``, ``insert``, ``extend``, ``pop``, ``+`` and ``*`` of a list.

    Source: ``torch.nn.Sequential``.

    >>> import torchish_mlx as torch
    >>> nn = torch.nn
    >>> model = nn.Sequential(nn.Identity(), nn.Identity())
    >>> len(model), model[:1]
    (2, Sequential(
      (0): Identity()
    ))
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], OrderedDict) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)(OrderedDict(list(self._modules.items())[idx]))
        return self._modules[self._name(idx)]

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but " + str(type(other)) + " is given."
            )
        return Sequential(*self, *other)

    def __iadd__(self, other: Any) -> Any:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but " + str(type(other)) + " is given."
            )
        return self.extend(other)

    def __mul__(self, other: int) -> Any:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        return Sequential(*[module for _ in range(other) for module in self])

    def __rmul__(self, other: int) -> Any:
        return self * other

    def __imul__(self, other: int) -> Any:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        modules = list(self)
        for _ in range(other - 1):
            self.extend(modules)
        return self

    def forward(self, input: Any) -> Any:
        """The result of the last module."""
        for module in self:
            input = module(input)
        return input

    def insert(self, index: int, module: Any) -> Any:
        """Put a module at a place; returns itself."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        size = len(self)
        if not -size <= index <= size:
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index + size if index < 0 else index, module)
        self._again(modules)
        return self


class ModuleList(_Listed):
    """A list of modules, whose Parameters are those of the module that has it as an attribute.

    Source: ``torch.nn.ModuleList``.

    >>> import torchish_mlx as torch
    >>> nn = torch.nn
    >>> len(nn.ModuleList([nn.Identity() for _ in range(3)])[1:])
    2
    """

    def __init__(self, modules: Iterable[Any] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self += modules

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)(list(self._modules.values())[idx])
        return self._modules[self._name(idx)]

    def __iadd__(self, modules: Iterable[Any]) -> Any:
        return self.extend(modules)

    def __add__(self, other: Iterable[Any]) -> Any:
        return ModuleList([*self, *other])

    def insert(self, index: int, module: Any) -> None:
        """Put a module before the place ``index``."""
        modules = list(self)
        modules.insert(index, module)
        self._again(modules)

    def extend(self, modules: Iterable[Any]) -> Any:
        """Put the modules at the end; returns itself."""
        if not isinstance(modules, Iterable):
            raise TypeError("ModuleList.extend should be called with an iterable, but got " + type(modules).__name__)
        return super().extend(modules)

    def __repr__(self) -> str:
        """The modules, with equal ones in a row once: ``(0-2): 3 x Linear(...)``."""
        texts = [repr(module) for module in self]
        if not texts:
            return self._get_name() + "()"
        lines, at = [], 0
        for text, group in itertools.groupby(texts):
            count = len(list(group))
            name = f"({at})" if count == 1 else f"({at}-{at + count - 1})"
            shown = "\n  ".join(text.split("\n"))
            lines.append(f"{name}: {shown}" if count == 1 else f"{name}: {count} x {shown}")
            at += count
        return self._get_name() + "(\n  " + "\n  ".join(lines) + "\n)"


def _pairs(function: str, given: Any) -> list[tuple[str, Any]]:
    """The names and values of what a dict is updated with."""
    if not isinstance(given, Iterable):
        name = "ParametersDict" if function == "ParameterDict" else function  # torch's own spelling
        raise TypeError(
            f"{name}.update should be called with an iterable of key/value pairs, but got {type(given).__name__}"
        )
    if isinstance(given, (Mapping, ModuleDict, ParameterDict)):
        return list(given.items())
    found = []
    for j, pair in enumerate(given):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{function} update sequence element #{j} should be Iterable; is{type(pair).__name__}")
        pair = tuple(pair)
        if len(pair) != 2:
            raise ValueError(f"{function} update sequence element #{j} has length {len(pair)}; 2 is required")
        found.append(pair)
    return found


class ModuleDict(Module):
    """A dict of modules, in the order in which they were put in.

    Source: ``torch.nn.ModuleDict``.

    >>> import torchish_mlx as torch
    >>> nn = torch.nn
    >>> list(nn.ModuleDict({"a": nn.Identity(), "b": nn.Identity()}))
    ['a', 'b']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Any) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Remove a module, and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def items(self) -> Any:
        """(name, module) of each."""
        return self._modules.items()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Put in the modules of a dict, or of pairs (name, module)."""
        for name, module in _pairs("ModuleDict", modules):
            self[name] = module


def _kept(value: Any) -> Any:
    """A Tensor as a Parameter, and anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _line(key: str, value: Any, listed: bool) -> str:
    if not isinstance(value, Tensor):
        return f"  ({key}): Object of type: {type(value).__name__}"
    size = "x".join(str(n) for n in value.size())
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    where = "" if value.device.type == "cpu" else f" ({value.device})"
    return f"  ({key}): {kind} containing: [{value.dtype if listed else value.type()} of size {size}{where}]"


class ParameterList(Module):
    """A list of Parameters; a Tensor that is put in becomes one, and other objects stay what they are.

    Source: ``torch.nn.ParameterList``.

    >>> import torchish_mlx as torch
    >>> ones = torch.nn.ParameterList([torch.ones(2), torch.ones(3)])
    >>> [tuple(p.shape) for p in ones]
    [(2,), (3,)]
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self += values

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)([self[i] for i in range(*idx.indices(len(self)))])
        return getattr(self, str(_place(len(self), idx)))

    def __setitem__(self, idx: int, param: Any) -> None:
        setattr(self, str(_place(len(self), idx)), _kept(param))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self))])

    def __iadd__(self, parameters: Iterable[Any]) -> Any:
        return self.extend(parameters)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, value: Any) -> Any:
        """Put a value at the end; returns itself."""
        self._size += 1
        self[len(self) - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> Any:
        """Put the values at the end; returns itself."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(_line(str(k), value, True) for k, value in enumerate(self))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dict of Parameters; a Tensor that is put in becomes one, and other objects stay what they are.

    Source: ``torch.nn.ParameterDict``.

    >>> import torchish_mlx as torch
    >>> p = torch.nn.ParameterDict({"a": torch.ones(2)})
    >>> "a" in p, type(p["a"]).__name__
    (True, 'Parameter')
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def _name(self, key: Any) -> str:
        if not isinstance(key, str):
            raise TypeError(
                "Index given to ParameterDict cannot be used as a key as it is not a string (type is "
                f"'{type(key).__name__}'). Open an issue on github if you need non-string keys."
            )
        return key

    def __getitem__(self, key: str) -> Any:
        return getattr(self, self._name(key))

    def __setitem__(self, key: str, value: Any) -> None:
        self._keys[key] = None
        setattr(self, self._name(key), _kept(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, self._name(key))

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._keys))

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def copy(self) -> Any:
        """Another dict of the same Parameters."""
        return ParameterDict(OrderedDict((k, self[k]) for k in self._keys))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is ``default`` from now on if there was none."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Remove all values."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key: str) -> Any:
        """Remove a value, and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last value, and return it with its key."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default``."""
        return self[key] if key in self else default  # noqa: SIM401 - this is ``get``

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> Any:
        """Another dict, with ``default`` for each of the keys."""
        return ParameterDict(OrderedDict((k, default) for k in keys))

    def keys(self) -> Any:
        """The keys."""
        return self._keys.keys()

    def items(self) -> Any:
        """(key, value) of each."""
        return [(k, self[k]) for k in self._keys]

    def values(self) -> Any:
        """The values."""
        return [self[k] for k in self._keys]

    def update(self, parameters: Any) -> None:
        """Put in the values of a dict, or of pairs (key, value)."""
        for key, value in _pairs("ParameterDict", parameters):
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(_line(k, value, False) for k, value in self.items())

    def __call__(self, *input: Any) -> Any:  # noqa: ARG002
        raise RuntimeError("ParameterDict should not be called.")

    def __or__(self, other: Any) -> Any:
        made = self.copy()
        made.update(other)
        return made

    def __ror__(self, other: Any) -> Any:
        made = other.copy()
        made.update(self)
        return made

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self
