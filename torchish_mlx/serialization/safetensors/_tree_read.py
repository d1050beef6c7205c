"""An object from the JSON that `_tree_write` makes: it has a fixed list of types, and everything else is refused."""

from __future__ import annotations

import base64
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..._core.device import Device
from ..._core.dtypes import OF_MLX
from ..._core.messages import shortened
from ..._core.origin import Origin
from ..._tensor.arraylike import Size
from ..._tensor.parameter import Parameter
from ..._tensor.storage import Storage
from ..._tensor.tensor import Tensor
from .._shared.arrays import OF_TORCH
from .._shared.input import AGAIN
from .._shared.keys import Keys
from .._shared.layout_note import mark
from .._shared.spread import EXPLODES, explodes
from .._shared.where import entry
from ._tree_write import MAX_DEPTH

Path = tuple[Any, ...]

_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_HEXADECIMAL = re.compile("-?0x[0-9a-f]+")


def put_together(
    tree: Any, storages: Mapping[str, Storage], origins: Mapping[str, Origin | None] = MappingProxyType({})
) -> Any:
    """The object that a tree describes, with the storages of the tensors that it names and where these are from.

    Raises:
        RuntimeError: an entry is not as `_tree_write` writes it, or a tensor is in no entry; the message names it.

    >>> import mlx.core as mx
    >>> put_together({"betas": {"!tuple": [0.9, 0.999]}, "weight": {"!tensor": "w"}}, {"w": Storage(mx.array([1.0]))})
    {'betas': (0.9, 0.999), 'weight': tensor([1.])}
    """
    reader = _Reader(storages, origins)
    try:
        out = reader.decoded(tree, ())
    except RecursionError:
        raise RuntimeError("the saved structure is nested too deeply for what is left of Python's stack") from None
    if reader.shares and explodes(out):
        raise RuntimeError(f"{EXPLODES}: the file was not written by torchish_mlx, or save copies of them")
    for name in storages:
        if name not in reader.used:
            raise RuntimeError(f"the tensor {shortened(name)} of the file is nowhere in the saved structure. {AGAIN}")
    return out


class _Reader:
    def __init__(self, storages: Mapping[str, Storage], origins: Mapping[str, Origin | None]) -> None:
        self._storages, self._origins = storages, origins
        self.used: set[str] = set()
        self._tensors: dict[tuple[Any, ...], Tensor] = {}
        self._shared: dict[int, Any] = {}
        self._keys = Keys()

    @property
    def shares(self) -> bool:
        """Whether a container is in several places."""
        return bool(self._shared)

    def decoded(self, node: Any, path: Path) -> Any:
        if not isinstance(node, (dict, list)):
            return node
        if len(path) > MAX_DEPTH:
            raise RuntimeError(f"{entry(path)} is nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, list):
            return [self.decoded(v, (*path, i)) for i, v in enumerate(node)]
        tag = next((key for key in node if key.startswith("!")), None)
        if tag is None:
            return {k: self.decoded(v, (*path, k)) for k, v in node.items()}
        if tag in ("!tensor", "!parameter"):
            return self._tensor(node, tag, path)
        if tag == "!shared":
            return self._several(node, path)
        if len(node) != 1:
            raise _wrong(node, path)
        if tag == "!tuple" and isinstance(node[tag], list):
            return tuple([self.decoded(v, (*path, i)) for i, v in enumerate(node[tag])])
        if tag == "!bytearray":
            return bytearray(_base64(node, path))
        if tag == "!set" and isinstance(node[tag], list):
            keys = [self._key(v, path) for v in node[tag]]
            out = set(keys)
            if len(out) != len(keys):
                raise RuntimeError(f"{entry(path)}: an element of the set occurs twice. {AGAIN}")
            return out
        if tag in ("!dict", "!OrderedDict", "!Counter"):
            kind: Any = {"!dict": dict, "!OrderedDict": OrderedDict, "!Counter": Counter}[tag]
            return self._mapping(kind(), node[tag], path)
        return _scalar(node, path)

    def _mapping(self, out: Any, entries: Any, path: Path) -> Any:
        if isinstance(entries, dict):
            pairs = list(entries.items())
        elif isinstance(entries, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in entries):
            pairs = [(self._key(k, path), v) for k, v in entries]
        else:
            raise _wrong(entries, path)
        for key, value in pairs:
            if key in out:
                raise RuntimeError(f"{entry(path)}: the key {shortened(key)} occurs twice. {AGAIN}")
            out[key] = self.decoded(value, (*path, key))
        return out

    def _key(self, node: Any, path: Path) -> Any:
        key = _key(node, path)
        complaint = self._keys.complaint(key)
        if complaint is not None:
            raise RuntimeError(f"{entry(path)}: {complaint}")
        return key

    def _several(self, node: dict[str, Any], path: Path) -> Any:
        """A container that is in several places: described the first time, and given by its number after that."""
        number = node["!shared"]
        if type(number) is not int or not node.keys() <= {"!shared", "is"}:
            raise _wrong(node, path)
        if "is" not in node:
            if number not in self._shared:
                raise RuntimeError(f"{entry(path)} is said to be elsewhere too, and is not. {AGAIN}")
            return self._shared[number]
        if number in self._shared:
            raise RuntimeError(f"{entry(path)} has the number of another container. {AGAIN}")
        out = self.decoded(node["is"], path)
        if not isinstance(out, (list, tuple, dict, set, bytearray)):
            raise _wrong(node, path)
        self._shared[number] = out
        return out

    def _tensor(self, node: dict[str, Any], tag: str, path: Path) -> Tensor:
        name, grad, face = node[tag], node.get("requires_grad", tag == "!parameter"), node.get("face", 0)
        if not node.keys() <= {tag, "requires_grad", "face"} or not isinstance(name, str):
            raise _wrong(node, path)
        if type(grad) is not bool or type(face) is not int:
            raise _wrong(node, path)
        if name not in self._storages:
            raise RuntimeError(f"{entry(path)} is the tensor {shortened(name)}, which the file does not hold. {AGAIN}")
        found = self._tensors.get((name, tag, grad, face))
        if found is None:
            self.used.add(name)
            try:
                made = Tensor(self._storages[name])
                found = Parameter(made, grad) if tag == "!parameter" else Tensor(made, requires_grad=grad)
            except RuntimeError as error:  # integers that require grad
                raise RuntimeError(f"{entry(path)}: {error}") from None
            self._tensors[name, tag, grad, face] = mark(found, self._origins.get(name))
        return found


def _scalar(node: dict[str, Any], path: Path) -> Any:
    """A value without entries that JSON does not have."""
    ((tag, value),) = node.items()
    if tag == "!float" and isinstance(value, str) and value in _FLOATS:
        return _FLOATS[value]
    if tag == "!int" and isinstance(value, str) and _HEXADECIMAL.fullmatch(value):
        return int(value, 16)
    if tag == "!complex" and isinstance(value, list) and len(value) == 2:
        parts: list[Any] = [_scalar(v, path) if isinstance(v, dict) and len(v) == 1 else v for v in value]
        if all(type(v) is float for v in parts):
            return complex(*parts)
    if tag == "!bytes":
        return _base64(node, path)
    if tag == "!Size" and isinstance(value, list) and all(type(n) is int for n in value):
        return Size(value)
    if tag == "!dtype" and isinstance(value, str) and value in OF_TORCH:
        return OF_MLX[OF_TORCH[value].dtype]
    if tag == "!device" and isinstance(value, str):
        try:
            return Device(value)
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(f"{entry(path)}: {error}") from None
    raise _wrong(node, path)


def _base64(node: dict[str, Any], path: Path) -> bytes:
    ((_, value),) = node.items()
    if not isinstance(value, str):
        raise _wrong(node, path)
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:  # also text that is not ASCII
        raise RuntimeError(f"{entry(path)} is no valid base64. {AGAIN}") from None


def _key(node: Any, path: Path, depth: int = 0) -> Any:
    """A key of a dict, or an element of a set: a number, text, bytes, or a tuple of these."""
    if depth > MAX_DEPTH:
        raise RuntimeError(f"{entry(path)} has a key that is nested deeper than {MAX_DEPTH} levels")
    if not isinstance(node, (dict, list)):
        return node
    if isinstance(node, list) or len(node) != 1:
        raise _wrong(node, path)
    if "!tuple" in node and isinstance(node["!tuple"], list):
        return tuple([_key(v, path, depth + 1) for v in node["!tuple"]])
    return _scalar(node, path)


def _wrong(node: Any, path: Path) -> RuntimeError:
    tags = [key for key in node if key.startswith("!")] if isinstance(node, dict) else []
    shown = shortened(tags[0]) if tags else shortened(node)
    return RuntimeError(
        f"{entry(path)} is described as {shown} in a way that this version does not know: the file is damaged, or was "
        "written by a later version of torchish_mlx"
    )
