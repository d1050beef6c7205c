"""A nested object as JSON and named tensors; `_tree_read` makes the object of these again.

What JSON has is written as it is: None, bools, integers below 2**63, finite floats, texts, lists, dicts with texts as
keys. Everything else is an object whose first key begins with ``!``:

    {"!tensor": "model.weight"}          a Tensor, by the name of its array; {"!parameter": ...}: a Parameter;
                                         "requires_grad" where that is not its type's, "face" for a second Tensor on it
    {"!tuple": [1, 2]}                   and "!set", "!Size"
    {"!dict": [[0, "a"], [1, "b"]]}      a dict with other keys; "!OrderedDict", "!Counter": pairs, or an object
    {"!float": "nan"}                    and "!int", "!complex", "!bytes", "!bytearray", "!dtype", "!device"
    {"!shared": 0, "is": [1, 2]}         a container that is in several places; {"!shared": 0} from then on
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter, OrderedDict
from typing import Any, NamedTuple

import mlx.core as mx

from ..._core.device import Device
from ..._core.dtypes import dtype
from ..._tensor.arraylike import Size
from ..._tensor.parameter import Parameter
from ..._tensor.storage import unaliased
from ..._tensor.tensor import Tensor
from .._shared.arrays import OF_DTYPE, plain
from .._shared.keys import Keys
from .._shared.refusal import refusal
from .._shared.where import entry

MAX_DEPTH = 100
_INT = 2**63  # from here on, other readers of JSON may not read an integer exactly
_MAPPINGS = (dict, OrderedDict, Counter)
_CONTAINERS = (*_MAPPINGS, list, tuple, set, bytearray)
_OTHER = object()

Path = tuple[Any, ...]


class Named(NamedTuple):
    """A tensor to be written: what holds its array, and where it is in the object."""

    holder: Tensor | mx.array
    path: Path

    @property
    def array(self) -> mx.array:
        """The array as it is now; that of a view is made again each time."""
        return self.holder.array if isinstance(self.holder, Tensor) else self.holder


def taken_apart(obj: Any) -> tuple[dict[str, Named], Any, bool]:
    """(tensors by dotted names, everything else as JSON, whether the object is just a dict of these tensors).

    Raises:
        TypeError: an entry is of a type that is not saved.
        ValueError: a container contains itself, or they are nested too deeply.

    >>> tensors, tree, plain = taken_apart({"model": {"weight": Tensor([1.0])}, "betas": (0.9, 0.999)})
    >>> list(tensors), tree
    (['model.weight'], {'model': {'weight': {'!tensor': 'model.weight'}}, 'betas': {'!tuple': [0.9, 0.999]}})
    """
    writer = _Writer(obj)
    try:
        tree = writer.encoded(obj, ())
    except RecursionError:
        raise ValueError("the object is nested too deeply for what is left of Python's stack") from None
    bare = type(obj) is dict and tree == {name: {"!tensor": name} for name in writer.tensors}
    return writer.tensors, tree, bare


class _Writer:
    def __init__(self, obj: Any) -> None:
        self.tensors: dict[str, Named] = {}
        self._names: dict[int, str] = {}  # of a storage, or an mx.array
        self._faces: dict[str, list[Any]] = {}  # the Tensors on the storage of that name
        self._shared = _standing_twice(obj)
        self._numbers: dict[int, int] = {}
        self._open: set[int] = set()
        self._keys = Keys()

    def encoded(self, value: Any, path: Path) -> Any:
        scalar = _scalar(value)
        if scalar is not _OTHER:
            return scalar
        if isinstance(value, mx.array) or type(value) in (Tensor, Parameter):
            return self._tensor(value, path)
        if type(value) not in _CONTAINERS:
            raise refusal(value, entry(path))
        here = id(value)
        if here in self._open:
            raise ValueError(f"{entry(path)} contains itself, which JSON cannot express: save it in torch's format")
        if len(path) >= MAX_DEPTH:
            raise ValueError(
                f"{entry(path)} is nested deeper than {MAX_DEPTH} levels: save it flatter, or in torch's format"
            )
        if here in self._numbers:
            return {"!shared": self._numbers[here]}
        self._open.add(here)
        out = self._container(value, path)
        self._open.discard(here)
        if here in self._shared:
            self._numbers[here] = len(self._numbers)
            return {"!shared": self._numbers[here], "is": out}
        return out

    def _container(self, value: Any, path: Path) -> Any:
        kind = type(value)
        if kind is list:
            return [self.encoded(v, (*path, i)) for i, v in enumerate(value)]
        if kind is tuple:
            return {"!tuple": [self.encoded(v, (*path, i)) for i, v in enumerate(value)]}
        if kind is bytearray:
            return {"!bytearray": base64.b64encode(value).decode()}
        if kind is set:
            return {"!set": sorted((self._key(v, path) for v in value), key=json.dumps)}
        if all(type(k) is str for k in value) and (kind is not dict or not any(k.startswith("!") for k in value)):
            entries: Any = {k: self.encoded(v, (*path, k)) for k, v in value.items()}
        else:
            entries = [[self._key(k, path), self.encoded(v, (*path, k))] for k, v in value.items()]
            return {f"!{kind.__name__}": entries}
        return entries if kind is dict else {f"!{kind.__name__}": entries}

    def _key(self, value: Any, path: Path) -> Any:
        complaint = self._keys.complaint(value)
        if complaint is not None:
            raise TypeError(f"{entry(path)}: {complaint}")
        return _key(value)

    def _tensor(self, value: Any, path: Path) -> Any:
        box = unaliased(value._storage) if isinstance(value, Tensor) else value
        name = self._names.get(id(box))
        if name is None:
            name = self._names[id(box)] = self._new_name(path)
            self.tensors[name] = Named(value, path)
        faces = self._faces.setdefault(name, [])
        number = next((i for i, face in enumerate(faces) if face is value), len(faces))
        if number == len(faces):
            faces.append(value)
        out: dict[str, Any] = {"!parameter" if isinstance(value, Parameter) else "!tensor": name}
        if isinstance(value, Tensor) and value.requires_grad is not isinstance(value, Parameter):
            out["requires_grad"] = value.requires_grad
        if number:
            out["face"] = number
        return out

    def _new_name(self, path: Path) -> str:
        """The path with dots, with a number after it where the name is taken."""
        parts = [k if type(k) is str else str(k) for k in path]
        name = ".".join(parts).encode("utf-8", "replace").decode() if path else "tensor"
        found, count = name, 1
        while found in self.tensors or found == "__metadata__":
            count += 1
            found = f"{name}#{count}"
        return found


def _standing_twice(obj: Any) -> set[int]:
    """The ids of containers that are in several places; a tuple counts if it has containers in it."""
    seen: set[int] = set()
    twice: set[int] = set()
    stack = [obj]
    while stack:
        value = stack.pop()
        kind = type(value)
        if kind not in _CONTAINERS or (kind is tuple and not any(type(v) in _CONTAINERS for v in value)):
            continue
        if id(value) in seen:
            twice.add(id(value))
            continue
        seen.add(id(value))
        stack.extend(value.values() if kind in _MAPPINGS else value if kind in (list, tuple) else ())
    return twice


def _scalar(value: Any) -> Any:
    """What has no entries, as JSON; ``_OTHER`` for the rest."""
    value = plain(value)
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) < _INT else {"!int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"!float": repr(value)}
    if kind is complex:
        return {"!complex": [_scalar(value.real), _scalar(value.imag)]}
    if kind is bytes:
        return {"!bytes": base64.b64encode(value).decode()}
    if kind is Size and all(type(n) is int for n in value):
        return {"!Size": list(value)}
    if kind in (mx.Dtype, dtype):
        return {"!dtype": OF_DTYPE[value].torch}
    if kind is Device:
        return {"!device": str(value)}
    return _OTHER


def _key(value: Any) -> Any:
    """A key of a dict, or an element of a set, that was checked, as JSON."""
    return {"!tuple": [_key(v) for v in value]} if type(value) is tuple else _scalar(value)
