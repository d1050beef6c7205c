"""Python values as the pickle that torch.save writes: only what ``torch.load(weights_only=True)`` builds."""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pickle import PicklingError
from typing import Any

import mlx.core as mx

from ..._core.device import Device
from ..._core.dtypes import dtype
from ..._core.trace import of_a_trace
from ..._tensor.arraylike import Size
from ..._tensor.parameter import Parameter
from ..._tensor.storage import Alias, Storage, View
from ..._tensor.tensor import Tensor
from .._shared.arrays import OF_DTYPE, plain
from .._shared.keys import Keys
from .._shared.layout_note import is_foreign
from .._shared.refusal import refusal
from .._shared.where import entry
from .names import torch_name
from .reduced import CODE, NEW, is_object, reduced

#: How deep lists and dicts may be nested.
DEEPEST = 1000
_BATCH = 1000

# the opcodes of pickle that are used
_MARK, _TUPLE, _TUPLES = b"(", b"t", (b")", b"\x85", b"\x86", b"\x87")
_LIST, _APPENDS, _DICT, _SETITEMS = b"]", b"e", b"}", b"u"
_GLOBAL, _REDUCE, _NEW, _BUILD, _PERSISTENT = b"c", b"R", b"\x81", b"b", b"Q"

# (key below the parent, or (), value): what a container asks to be written next
_Part = tuple[tuple[Any, ...], Any]


class Pickler:
    """Writes one object; ``storages`` are the arrays that it refers to, in the order of their keys.

    Nothing recurses: every container is a generator that yields its parts, and the stack of generators is a list.
    """

    def __init__(self, objects: bool = False) -> None:
        self.storages: list[mx.array] = []
        self.foreign: set[int] = set()  # the keys of those that are not known to be in MLX's layout
        self._out = bytearray()
        self._memo: dict[Any, int] = {}
        self._keys: dict[Any, int] = {}  # of the storages, by their identities
        self._alive: list[Any] = []  # what is known by its id, which must stay its own
        self._open: set[int] = set()  # what has to be complete before it can be referred to
        self._path: list[tuple[Any, ...]] = []
        self._checked = Keys()
        self._objects = objects

    def dump(self, obj: Any) -> bytes:
        """The pickle of ``obj``."""
        self._out += b"\x80\x02"
        stack: list[Iterator[_Part]] = [iter([((), obj)])]
        while stack:
            part = next(stack[-1], None)
            if part is None:
                stack.pop()
                if self._path:
                    self._path.pop()
                continue
            key, value = part
            self._path.append(key)
            if self._atom(value):
                self._path.pop()
                continue
            if len(stack) > DEEPEST:
                raise ValueError(
                    f"{self._where()} is nested more than {DEEPEST} levels deep, which is refused: save it flatter, "
                    "for instance as a list of (path, value)"
                )
            stack.append(self._container(value))
        return bytes(self._out + b".")

    # -- what has no parts -------------------------------------------------------------------------------

    def _atom(self, value: Any) -> bool:
        """Write ``value`` if it has no parts or was written before; False if it is a container."""
        value = plain(value)
        kind = type(value)
        if value is None:
            self._out += b"N"
        elif kind is bool:
            self._out += b"\x88" if value else b"\x89"
        elif kind is int:
            self._int(value)
        elif kind is float:
            self._out += b"G" + struct.pack(">d", value)
        elif kind is str:
            self._str(value)
        elif kind in (mx.Dtype, dtype):
            self._global("torch", OF_DTYPE[value].torch)
        elif id(value) in self._open:
            raise ValueError(
                f"{self._where()} is a {kind.__name__} that contains itself, which torch.load cannot build: take the "
                "inner one out"
            )
        elif not self._known(("id", id(value))):
            if kind in (Tensor, Parameter, mx.array):
                self._tensor(value)
            elif kind in (bytes, bytearray, complex, Device, Size):
                self._small(value)
            elif self._objects and isinstance(value, CODE):
                self._code(*torch_name(value))
            else:
                return False
            self._remember(("id", id(value)), value)
        return True

    def _int(self, value: int) -> None:
        if 0 <= value < 256:
            self._out += b"K" + struct.pack("<B", value)
        elif -(1 << 31) <= value < 1 << 31:
            self._out += b"J" + struct.pack("<i", value)
        else:
            size = value.bit_length() // 8 + 1
            if size > 255:
                raise ValueError(
                    f"{self._where()} is an int of {size} bytes, and torch.load reads at most 255: save it as a str"
                )
            self._out += b"\x8a" + struct.pack("<B", size) + value.to_bytes(size, "little", signed=True)

    def _str(self, value: str) -> None:
        if self._known(("str", value)):
            return
        data = value.encode("utf-8", "surrogatepass")
        if len(data) >> 32:
            raise ValueError(f"{self._where()} is a text of 4 GiB or more, which torch.load does not read: split it")
        self._out += b"X" + struct.pack("<I", len(data)) + data
        self._remember(("str", value), None)

    def _global(self, module: str, name: str) -> None:
        if not self._known(("global", module, name)):
            self._out += _GLOBAL + f"{module}\n{name}\n".encode("ascii")
            self._remember(("global", module, name), None)

    def _code(self, module: str, name: str) -> None:
        """A class or function; what is declared inside of a class is an attribute of that."""
        if not f"{module}.{name}".isascii():
            raise PicklingError(f"can't pickle global identifier '{module}.{name}' using pickle protocol 2")
        outer, _, own = name.rpartition(".")
        if not outer:
            self._global(module, name)
            return
        self._global("__builtin__", "getattr")
        self._code(module, outer)
        self._str(own)
        self._out += _TUPLES[2] + _REDUCE

    def _small(self, value: Any) -> None:
        """A call of a type with a few numbers or texts."""
        if type(value) is bytes:
            self._global("_codecs", "encode")
            self._str(value.decode("latin1"))
            self._str("latin1")
            self._out += _TUPLES[2]
        elif type(value) is bytearray:
            self._global("__builtin__", "bytearray")
            if value:
                self._small(bytes(value))
            self._out += _TUPLES[bool(value)]
        elif type(value) is complex:
            self._global("__builtin__", "complex")
            self._out += b"G" + struct.pack(">d", value.real) + b"G" + struct.pack(">d", value.imag) + _TUPLES[2]
        elif type(value) is Size:
            self._global("torch", "Size")
            self._ints(tuple(value))
            self._out += _TUPLES[1]
        else:
            self._global("torch", "device")
            self._str(value.type)
            if value.index is not None:
                self._int(value.index)
            self._out += _TUPLES[1 + (value.index is not None)]
        self._out += _REDUCE

    def _ints(self, values: tuple[int, ...]) -> None:
        self._out += _MARK if len(values) > 3 else b""
        for n in values:
            self._int(int(n))
        self._out += _TUPLE if len(values) > 3 else _TUPLES[len(values)]

    # -- containers --------------------------------------------------------------------------------------

    def _container(self, value: Any) -> Iterator[_Part]:
        kind = type(value)
        if kind is list:
            return self._list(value)
        if kind is dict or kind is OrderedDict:
            return self._dict(value)
        if kind is tuple:
            return self._complete(value, self._tuple(value))
        if kind is Counter or kind is set:
            return self._complete(value, self._counter(value) if kind is Counter else self._set(value))
        if self._objects and is_object(value):
            return self._object(value)
        raise refusal(value, self._where())

    def _object(self, value: Any) -> Iterator[_Part]:
        """An instance of any class: what makes it, what is put into it, and its state."""
        found = reduced(value)
        if isinstance(found, str):
            self._code(getattr(value, "__module__", None) or "builtins", found)
            self._remember(("id", id(value)), value)
            return
        if found.function is NEW:
            yield (), found.args[0]
            yield (), found.args[1:]
            self._out += _NEW
        else:
            yield (), found.function
            yield (), found.args
            self._out += _REDUCE
        self._remember(("id", id(value)), value)
        yield from self._appended(() if found.items is None else list(found.items))
        yield from self._items({} if found.pairs is None else dict(found.pairs))
        if found.state is not None:
            yield (), found.state
            self._out += _BUILD

    def _list(self, value: list[Any]) -> Iterator[_Part]:
        self._out += _LIST
        self._remember(("id", id(value)), value)
        yield from self._appended(value)

    def _appended(self, values: Any) -> Iterator[_Part]:
        for i, item in enumerate(values):
            self._out += (_APPENDS if i else b"") + _MARK if i % _BATCH == 0 else b""
            yield (i,), item
        self._out += _APPENDS if values else b""

    def _dict(self, value: dict[Any, Any]) -> Iterator[_Part]:
        if type(value) is dict:
            self._out += _DICT
        else:
            self._global("collections", "OrderedDict")
            self._out += _TUPLES[0] + _REDUCE
        self._remember(("id", id(value)), value)
        yield from self._items(value)
        attributes = getattr(value, "__dict__", None)  # torch's state dicts have their versions in ``_metadata``
        if attributes:
            yield (), attributes
            self._out += _BUILD

    def _items(self, value: dict[Any, Any]) -> Iterator[_Part]:
        for i, (key, item) in enumerate(value.items()):
            self._check_key(key)
            self._out += (_SETITEMS if i else b"") + _MARK if i % _BATCH == 0 else b""
            yield (key,), key
            yield (key,), item
        self._out += _SETITEMS if value else b""

    def _tuple(self, value: tuple[Any, ...]) -> Iterator[_Part]:
        self._out += _MARK if len(value) > 3 else b""
        for i, item in enumerate(value):
            yield (i,), item
        self._out += _TUPLE if len(value) > 3 else _TUPLES[len(value)]

    def _counter(self, value: Any) -> Iterator[_Part]:
        self._global("collections", "Counter")
        self._out += _DICT
        yield from self._items(value)
        self._out += _TUPLES[1] + _REDUCE

    def _set(self, value: Any) -> Iterator[_Part]:
        self._global("__builtin__", "set")
        self._out += _LIST
        for item in value:
            self._check_key(item)
        yield from self._appended(value)
        self._out += _TUPLES[1] + _REDUCE

    def _check_key(self, key: Any) -> None:
        """Refuse a key that ``load`` would refuse."""
        complaint = self._checked.complaint(key)
        if complaint is not None:
            raise TypeError(f"{self._where()}: {complaint}")

    def _complete(self, value: Any, parts: Iterator[_Part]) -> Iterator[_Part]:
        """The parts of a value that is made only after all of them, and so cannot contain itself."""
        self._open.add(id(value))
        yield from parts
        self._open.discard(id(value))
        self._remember(("id", id(value)), value)

    # -- tensors -----------------------------------------------------------------------------------------

    def _tensor(self, value: Any) -> None:
        if type(value) is Parameter:
            self._global("torch._utils", "_rebuild_parameter")
            key = self._rebuilt(value._storage, requires_grad=False)
            self._out += b"\x88" if value.requires_grad else b"\x89"
            self._hooks()
            self._out += _TUPLES[3] + _REDUCE
        elif type(value) is Tensor:
            key = self._rebuilt(value._storage, requires_grad=value.requires_grad)
        else:
            key = self._rebuilt(Storage(value), requires_grad=False, identity=("array", id(value)))
        if is_foreign(value):
            self.foreign.add(key)

    def _rebuilt(self, storage: Storage, requires_grad: bool, identity: Any = None) -> int:
        """Write a tensor as a storage with an offset, a size and strides; returns the key of the storage."""
        shape = storage.read().shape
        strides, offset = storage.layout()
        base = storage
        while isinstance(base, (View, Alias)):
            base = base.base
        array = base.read()
        kind = OF_DTYPE[array.dtype]
        self._global("torch._utils", "_rebuild_tensor_v2" if kind.storage else "_rebuild_tensor_v3")
        self._out += _MARK
        key = self._persistent(array, base, identity or _identity(base))
        self._int(offset)
        self._ints(shape)
        self._ints(strides)
        self._out += b"\x88" if requires_grad else b"\x89"
        self._hooks()
        if not kind.storage:
            self._global("torch", kind.torch)
        self._out += _TUPLE + _REDUCE
        return key

    def _persistent(self, array: mx.array, base: Storage, identity: Any) -> int:
        key = self._keys.get(identity)
        if key is None:
            try:
                mx.eval(array)
            except (ValueError, RuntimeError) as error:
                if not of_a_trace(error):
                    raise
                raise RuntimeError(
                    f"{self._where()} is being traced and has no value yet: save outside the compiled function"
                ) from None
            key = self._keys[identity] = len(self.storages)
            self.storages.append(array)
            self._alive.append(base)
        kind = OF_DTYPE[array.dtype]
        self._out += _MARK
        self._str("storage")
        if kind.storage:
            self._global("torch", kind.storage)
        else:
            self._global("torch.storage", "UntypedStorage")
        self._str(str(key))
        self._str("cpu")
        self._int(array.size if kind.storage else array.nbytes)
        self._out += _TUPLE + _PERSISTENT
        return key

    def _hooks(self) -> None:
        self._global("collections", "OrderedDict")
        self._out += _TUPLES[0] + _REDUCE

    # -- the memo ----------------------------------------------------------------------------------------

    def _known(self, key: Any) -> bool:
        """Whether it was written before; then a reference to it is written."""
        number = self._memo.get(key)
        if number is None:
            return False
        self._out += b"h" + struct.pack("<B", number) if number < 256 else b"j" + struct.pack("<I", number)
        return True

    def _remember(self, key: Any, value: Any) -> None:
        number = self._memo[key] = len(self._memo)
        self._alive.append(value)
        self._out += b"q" + struct.pack("<B", number) if number < 256 else b"r" + struct.pack("<I", number)

    def _where(self) -> str:
        return entry([part for parts in self._path for part in parts])


def _identity(base: Storage) -> Any:
    """What storages that see each other's writes have in common: the place, or the storage itself."""
    if not base.places:
        return ("storage", id(base))
    container, key = base.places[0]
    if type(key) is tuple:
        for part in key[:-1]:
            container = container[part]
        key = key[-1]
    return ("place", id(container), key)
