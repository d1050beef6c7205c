"""What a torch pickle may build: the fixed table of its globals.

A tensor is built without its numbers: the builder notes where they are in the file, and ``fill.py`` fills them in.
What is not in the table is replaced by a ``Refusal``; nothing is imported or called by name.

Source: ``torch._utils._rebuild_*``, ``torch._weights_only_unpickler._get_allowed_globals``.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pickle import UnpicklingError
from typing import Any, NamedTuple

import mlx.core as mx

from ..._core.device import Device
from ..._core.dtypes import OF_MLX
from ..._core.dtypes import dtype as Dtype
from ..._core.promotion import INEXACT
from ..._tensor.arraylike import Size
from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from .._shared.arrays import LARGEST, OF_STORAGE, OF_TORCH
from .._shared.input import AGAIN
from .._shared.keys import Keys
from .advice import NO_DTYPE, advice_for, permission, storage_advice
from .unpickle import Builder, Refusal

_REPEATED = 2**26  # elements of a view that shows elements of its storage more than once
_BUILTINS = {"__builtin__": "builtins", "torch.tensor": "torch._tensor"}  # earlier names of modules


class Global(NamedTuple):
    """A global of the table. ``call`` takes the builder and at least ``least`` and at most ``most`` arguments."""

    name: str
    call: Callable[..., Any]
    least: int
    most: int


class StorageType(NamedTuple):
    """A class of storages; ``dtype`` is None for untyped ones."""

    name: str
    dtype: mx.Dtype | None


class FileStorage:
    """A storage in the file."""

    __slots__ = ("key", "dtype", "nbytes", "location", "tensors")

    def __init__(self, key: str, dtype: mx.Dtype | None, nbytes: int, location: str) -> None:
        self.key = key
        self.dtype = dtype
        self.nbytes = nbytes
        self.location = location
        self.tensors: list[tuple[Tensor, Layout]] = []


class Piece(NamedTuple):
    """A storage as a tensor sees it: a storage in the file, or in old files a piece of one, in bytes."""

    storage: FileStorage
    begin: int
    nbytes: int


class Layout(NamedTuple):
    """How the elements of a tensor are arranged in its storage, counted in elements of its dtype."""

    dtype: mx.Dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    conj: bool
    neg: bool


class TorchBuilder(Builder):
    """Builds what torch's own loader builds with ``weights_only=True``, as far as MLX has it."""

    def __init__(self) -> None:
        self.storages: dict[str, FileStorage] = {}
        self.made: list[Tensor] = []  # in their order
        self.code: set[str] = set()  # the classes and functions that were refused
        self._views: dict[Any, Piece] = {}
        self._at: dict[int, tuple[FileStorage, Layout, Tensor]] = {}
        self._copied = 0
        self._keys = Keys(Refusal)

    def find(self, module: str, name: str) -> Any:
        module = _BUILTINS.get(module, module)
        full = f"{module}.{name}"
        if full in _GLOBALS:
            return _GLOBALS[full]
        if module == "torch" and name in OF_TORCH:
            return OF_MLX[OF_TORCH[name].dtype]
        if module in ("torch", "torch.cuda", "torch.storage") and name.endswith("Storage"):
            if name in ("UntypedStorage", "_UntypedStorage"):
                return StorageType(full, None)
            if name in OF_STORAGE:
                return StorageType(full, OF_STORAGE[name].dtype)
            return Refusal(f"a tensor of {full}, whose dtype MLX has not", storage_advice(name))
        if module == "torch" and name in NO_DTYPE:
            return Refusal(f"of dtype {full}, which MLX has not", NO_DTYPE[name])
        shown = full if len(full) <= 200 else full[:197] + "..."
        advice = advice_for(module, name)
        if advice is not None:
            return Refusal(f"a {shown}, which this package does not have (nothing was run)", advice)
        self.code.add(full)
        return Refusal(
            f"a {shown}, which weights_only loading does not make (nothing was run)", permission(shown), False
        )

    def call(self, function: Any, args: Any) -> Any:
        if isinstance(function, Refusal):
            return function
        if not isinstance(function, Global):
            raise _damaged(f"calls a {type(function).__name__}")
        if type(args) is not tuple:
            raise _damaged(f"calls {function.name} with a {type(args).__name__} and not with a tuple")
        for arg in args:
            if isinstance(arg, Refusal):
                return arg
        if not function.least <= len(args) <= function.most:
            raise _damaged(f"calls {function.name} with {len(args)} arguments")
        return function.call(self, *args)

    def set_state(self, value: Any, state: Any) -> Any:
        if isinstance(value, Refusal) or isinstance(state, Refusal):
            return value if isinstance(value, Refusal) else state
        if type(value) is OrderedDict and type(state) is dict:
            self._set_attributes(value, state)
        elif type(value) is Parameter and type(state) is tuple and len(state) == 3:  # torch 0.3
            value._requires_grad = self._wanted(value, state[0])
        else:
            raise _damaged(f"sets the state of a {type(value).__name__} to a {type(state).__name__}")
        return value

    def check_key(self, key: Any) -> None:
        complaint = self._keys.complaint(key)
        if complaint is not None:
            raise UnpicklingError(complaint)

    def _copies(self, count: int) -> None:
        """Refuse a file that has the same object copied again and again: the length of the pickle limits the copies."""
        self._copied += count
        if self._copied > 4 * self.read + 4096:
            raise _damaged("copies more than it holds")

    def _set_attributes(self, value: Any, state: dict[Any, Any]) -> None:
        self._copies(len(state))
        for name, attribute in state.items():
            if type(name) is not str or hasattr(type(value), name) or name == "_storage":
                raise UnpicklingError(
                    f"the pickle sets {str(name)[:60]!r} of a {type(value).__name__}, which would hide its own. In "
                    "torch, delete this attribute and save again"
                )
            value.__dict__[name] = attribute

    # -- storages

    def persistent(self, identity: Any) -> Any:
        if type(identity) is tuple and identity and _text(identity[0]) == "module":
            self.code.add("torch.nn.Module")
            return Refusal("a torch.nn.Module, which is code (nothing was run)", permission("torch.nn.Module"), False)
        if type(identity) is not tuple or not 5 <= len(identity) <= 6:
            raise _damaged(f"refers to a {type(identity).__name__} outside of it that is no storage")
        sign, kind, key, location, numel, *view = (_text(part) for part in identity)
        if isinstance(kind, Refusal):
            return kind
        if (
            sign != "storage"
            or type(kind) is not StorageType
            or not is_name(key)
            or type(location) is not str
            or not _natural(numel)
        ):
            raise _damaged("describes a storage in a way that torch does not")
        if location == "meta":
            return Refusal("a tensor on the meta device, which has no numbers", "Save the tensors themselves.")
        nbytes = numel * (1 if kind.dtype is None else kind.dtype.size)
        key = str(key)
        stored = self.storages.get(key)
        if stored is None:
            stored = self.storages[key] = FileStorage(key, kind.dtype, nbytes, location)
        elif stored.nbytes != nbytes:
            raise _damaged(f"gives storage {key!r} two sizes")
        if not view or view[0] is None:
            return Piece(stored, 0, nbytes)
        return self._piece(stored, kind, view[0])

    def _piece(self, stored: FileStorage, kind: StorageType, view: Any) -> Piece:
        """A view of a storage, which torch 0.3 and earlier had."""
        size = 1 if kind.dtype is None else kind.dtype.size
        if (
            type(view) is not tuple
            or len(view) != 3
            or not is_name(_text(view[0]))
            or not (_natural(view[1]) and _natural(view[2]))
            or (view[1] + view[2]) * size > stored.nbytes
        ):
            raise _damaged("describes a part of a storage in a way that torch does not")
        return self._views.setdefault(_text(view[0]), Piece(stored, view[1] * size, view[2] * size))

    # -- tensors

    def tensor(self, piece: Any, offset: Any, shape: Any, strides: Any) -> Any:
        return self._tensor(piece, offset, shape, strides, False, None, None, None)

    def tensor_v2(
        self, piece: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, metadata: Any = None
    ) -> Any:
        return self._tensor(piece, offset, shape, strides, grad, hooks, None, metadata)

    def tensor_v3(
        self, piece: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, metadata: Any = None
    ) -> Any:
        if type(dtype) is not Dtype:
            raise _damaged("makes a tensor of what is no dtype")
        return self._tensor(piece, offset, shape, strides, grad, hooks, dtype.mlx, metadata)

    def _tensor(
        self, piece: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, metadata: Any
    ) -> Any:
        if type(piece) is not Piece:
            raise _damaged("makes a tensor of what is no storage")
        dtype = dtype or piece.storage.dtype or mx.uint8
        if not _natural(offset) or not _naturals(shape) or not _naturals(strides) or len(shape) != len(strides):
            raise _damaged("makes a tensor with a shape, strides or an offset that no tensor has")
        refused = _misfit(piece, offset, tuple(shape), tuple(strides), dtype)
        if refused is not None:
            return refused
        conj, neg = _flags(metadata, dtype)
        if _any(hooks):
            return Refusal("a tensor with hooks, which are code", "In torch, save tensor.detach().")
        layout = Layout(dtype, piece.begin // dtype.size + offset, tuple(shape), tuple(strides), conj, neg)
        return self._placed(Tensor, piece.storage, layout, grad)

    def _placed(self, kind: type[Tensor], stored: FileStorage, layout: Layout, grad: Any) -> Tensor:
        made = kind.__new__(kind)
        stored.tensors.append((made, layout))
        self.made.append(made)
        self._at[id(made)] = stored, layout, made  # made is kept, so that its id stays its own
        made._requires_grad = self._wanted(made, grad)
        return made

    def _wanted(self, tensor: Tensor, grad: Any) -> bool:
        if type(grad) is not bool:
            raise _damaged(f"has a {type(grad).__name__} for whether a tensor requires a gradient")
        if grad and self._at[id(tensor)][1].dtype not in INEXACT:
            raise _damaged("wants a gradient for integers")
        return grad

    def parameter(self, data: Any, grad: Any = True, hooks: Any = None) -> Any:
        if not isinstance(data, Tensor):
            raise _damaged(f"makes a Parameter of a {type(data).__name__}")
        if _any(hooks):
            return Refusal("a Parameter with hooks, which are code", "In torch, save parameter.detach().")
        stored, layout, _ = self._at[id(data)]
        return self._placed(Parameter, stored, layout, grad)

    def parameter_with_state(self, data: Any, grad: Any, hooks: Any, state: Any) -> Any:
        return self._with_state(self.parameter(data, grad, hooks), state)

    def from_type(self, function: Any, kind: Any, args: Any, state: Any) -> Any:
        if function not in _TENSORS or kind not in (_TENSOR, _PARAMETER):
            raise _damaged("makes a tensor of a kind that torch does not")
        made = self.call(function, args)
        if kind is _PARAMETER and type(made) is Tensor:
            made = self.parameter(made, made._requires_grad)
        return self._with_state(made, state)

    def _with_state(self, made: Any, state: Any) -> Any:
        if isinstance(made, Refusal):
            return made
        for part in state if type(state) is tuple and len(state) == 2 else (state,):
            if part is not None and type(part) is not dict:
                raise _damaged(f"sets the attributes of a tensor to a {type(part).__name__}")
            self._set_attributes(made, part or {})
        return made

    # -- the rest

    def ordered_dict(self, items: Any = ()) -> Any:
        return self._filled(OrderedDict(), items)

    def counter(self, items: Any = ()) -> Any:
        return self._filled(Counter(), items)

    def _filled(self, made: Any, items: Any) -> Any:
        pairs: Any = items.items() if type(items) in (dict, OrderedDict) else items
        if type(pairs) not in (tuple, list, type({}.items()), type(OrderedDict().items())):
            raise _damaged(f"makes a {type(made).__name__} of a {type(items).__name__}")
        self._copies(len(pairs))
        for pair in pairs:
            if type(pair) not in (tuple, list) or len(pair) != 2:
                raise _damaged(f"makes a {type(made).__name__} of what are no pairs")
            self.check_key(pair[0])
            made[pair[0]] = pair[1]
        return made

    def set_of(self, items: Any = ()) -> Any:
        if type(items) not in (list, tuple):
            raise _damaged(f"makes a set of a {type(items).__name__}")
        self._copies(len(items))
        for item in items:
            self.check_key(item)
        return set(items)

    def bytes_of(self, text: Any, encoding: Any = "utf-8") -> Any:
        if type(text) is not str or encoding not in ("latin1", "latin-1", "ascii", "utf-8"):
            raise _damaged("makes bytes in a way that pickle does not")
        self._copies(len(text))
        return text.encode(encoding)

    def no_bytes(self) -> bytes:
        return b""

    def bytearray_of(self, data: Any = b"", encoding: Any = "latin-1") -> Any:
        if type(data) is str:
            data = self.bytes_of(data, encoding)
        if type(data) not in (bytes, bytearray):
            raise _damaged(f"makes a bytearray of a {type(data).__name__}")
        self._copies(len(data))
        return bytearray(data)

    def complex_of(self, real: Any, imag: Any = 0.0) -> Any:
        if type(real) not in (float, int) or type(imag) not in (float, int):
            raise _damaged("makes a complex number of what are no numbers")
        return complex(real, imag)

    def size_of(self, shape: Any) -> Any:
        if not _naturals(shape):
            raise _damaged("makes a torch.Size of what are no sizes")
        self._copies(len(shape))
        return Size(shape)

    def device_of(self, kind: Any, index: Any = None) -> Any:
        if type(kind) is not str or not (index is None or _natural(index)):
            raise _damaged("makes a torch.device of what is no name")
        try:
            return Device(kind, index)
        except (RuntimeError, ValueError) as error:
            return Refusal(f"a torch.device: {error}", "In torch, keep str(device) in its place and torch.save again.")

    def layout_of(self, name: Any) -> Any:
        if type(name) is not str:
            raise _damaged(f"makes a layout of a {type(name).__name__}")
        return Refusal(f"the layout {name:.40}, which MLX has not", "In torch, keep str(layout) and torch.save again.")

    def class_itself(self, *_: Any) -> Any:
        raise _damaged("calls torch.Tensor, which torch.save does not write")


def _damaged(what: str) -> UnpicklingError:
    return UnpicklingError(f"the pickle {what}. {AGAIN}")


def _text(value: Any) -> Any:
    """``value``, as text if it is bytes: the names that Python 2 wrote come as bytes."""
    return value.decode("ascii", "replace") if type(value) is bytes else value


def is_name(value: Any) -> bool:
    """Whether this can be the key of a storage: a number, or a short text such as its digits."""
    return _natural(value) or (type(value) is str and len(value) <= 100 and value.isascii())


def _any(hooks: Any) -> bool:
    if hooks is not None and type(hooks) not in (dict, OrderedDict):
        raise _damaged(f"has a {type(hooks).__name__} for the hooks of a tensor")
    return bool(hooks)


def _flags(metadata: Any, dtype: mx.Dtype) -> tuple[bool, bool]:
    """Whether a tensor shows its numbers conjugated, and negated."""
    if metadata is None:
        return False, False
    if (
        type(metadata) is not dict
        or set(metadata) - {"conj", "neg"}
        or any(type(flag) is not bool for flag in metadata.values())
        or (metadata.get("conj") and dtype != mx.complex64)
        or (metadata.get("neg") and dtype not in INEXACT)
    ):
        raise _damaged("describes a tensor by what torch does not")
    return metadata.get("conj", False), metadata.get("neg", False)


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _naturals(values: Any) -> bool:
    return type(values) in (tuple, list, Size) and len(values) <= 64 and all(map(_natural, values))


def _misfit(piece: Piece, offset: int, shape: Sequence[int], strides: Sequence[int], dtype: mx.Dtype) -> Refusal | None:
    """Why a tensor does not fit into its storage; None if it does."""
    here = piece.nbytes // dtype.size
    size = math.prod(shape)
    what = f"a tensor of shape {list(shape)}, strides {list(strides)} and offset {offset}"
    if piece.begin % dtype.size:
        return Refusal(f"{what} at a place in the storage where no {dtype} can begin", AGAIN)
    if size and offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) >= here:
        return Refusal(f"{what}, which its storage of {here} elements does not hold", AGAIN)
    if max(shape, default=0) > LARGEST:
        return Refusal(f"{what}, and MLX's dimensions have at most {LARGEST} elements", "In torch, save it in parts.")
    if size > max(here, _REPEATED):
        hint = "In torch, save the tensor before it was expanded, or its clone()."
        return Refusal(f"{what}, which shows {here} elements of a storage as {size}", hint)
    return None


_TENSORS = tuple(
    Global(f"torch._utils.{name}", call, least, most)
    for name, call, least, most in (
        ("_rebuild_tensor", TorchBuilder.tensor, 4, 4),
        ("_rebuild_tensor_v2", TorchBuilder.tensor_v2, 6, 7),
        ("_rebuild_tensor_v3", TorchBuilder.tensor_v3, 7, 8),
        ("_rebuild_parameter", TorchBuilder.parameter, 3, 3),
        ("_rebuild_parameter_with_state", TorchBuilder.parameter_with_state, 4, 4),
    )
)
_TENSOR = Global("torch.Tensor", TorchBuilder.class_itself, 0, 64)
_PARAMETER = Global("torch.nn.parameter.Parameter", TorchBuilder.parameter, 1, 2)
_GLOBALS = {
    found.name: found
    for found in (
        *_TENSORS,
        _TENSOR,
        _PARAMETER,
        Global("torch._tensor._rebuild_from_type_v2", TorchBuilder.from_type, 4, 4),
        Global("torch.Size", TorchBuilder.size_of, 1, 1),
        Global("torch.device", TorchBuilder.device_of, 1, 2),
        Global("torch.serialization._get_layout", TorchBuilder.layout_of, 1, 1),
        Global("collections.OrderedDict", TorchBuilder.ordered_dict, 0, 1),
        Global("collections.Counter", TorchBuilder.counter, 0, 1),
        Global("builtins.set", TorchBuilder.set_of, 0, 1),
        Global("builtins.bytearray", TorchBuilder.bytearray_of, 0, 2),
        Global("builtins.complex", TorchBuilder.complex_of, 1, 2),
        Global("builtins.bytes", TorchBuilder.no_bytes, 0, 0),
        Global("_codecs.encode", TorchBuilder.bytes_of, 1, 2),
    )
}
