"""Other dtypes, and writes of whole tensors: ``to``, ``copy_``, ``fill_``, ``zero_``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .._core.device import CPU, check_placement, placed
from .._core.dtypes import mlx_dtype
from .._core.promotion import DEFAULTS, FLOATING, NAMES, cast, name_of, stored
from .._tensor.conversion import origin_of
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor
from ._declare import REGISTRY, attach, op
from ._op import Array, Operand
from ._view import refuse_write
from .shaping import clone

_TYPES = {f"torch.{name}Tensor": dtype for dtype, name in NAMES.items()}


@op(grad={"input": lambda g: g}, name="to.dtype", node="ToCopyBackward0", function=False, method=False, channels="any")
def _cast_to(input: Array, dtype: Any) -> mx.array:
    """In another dtype."""
    return input.astype(dtype)


def _at_least(input: mx.array, other: Any) -> tuple[int, ...]:
    """The shape of ``input``, to which ``other`` must broadcast."""
    given = other.shape if isinstance(other, mx.array) else ()
    shape = input.shape
    if len(given) > len(shape):
        raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(given)}")
    for d in range(1, min(len(given), len(shape)) + 1):
        if given[-d] != shape[-d] and given[-d] != 1:
            raise RuntimeError(
                f"The size of tensor a ({shape[-d]}) must match the size of tensor b ({given[-d]}) at non-singleton "
                f"dimension {len(shape) - d}"
            )
    return shape


@op(
    grad={"input": lambda g: mx.zeros_like(g), "other": lambda g, other_shape: unbroadcast(g, other_shape)},
    shape="that of ``input``, to which ``other`` broadcasts",
    inplace=True,
    casts=True,
    function=False,
    method=False,
)
def copy(input: Array, other: Operand) -> mx.array:
    """The elements of ``other``, in the dtype of ``input``."""
    return mx.broadcast_to(cast(other, input.dtype), _at_least(input, other))


_write_copy = REGISTRY["copy"].inplace


@functools.wraps(_write_copy)
def _copy_(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if args and args[0] is self:
        refuse_write(self)
        self._storage.version += 1
        return self  # also where it shows one place in memory several times
    written: Tensor = _write_copy(self, *args, **kwargs)
    return written


REGISTRY["copy"].inplace = _copy_
setattr(Tensor, "copy_", _copy_)  # noqa: B010


@op(
    grad={"input": lambda g: mx.zeros_like(g), "value": lambda g, value_shape: unbroadcast(g, value_shape)},
    shape="that of ``input``",
    inplace=True,
    casts=True,
    uniform=True,
    method=False,
)
def fill(input: Array, value: Operand) -> mx.array:
    """Every element ``value``, a number or a tensor without dimensions."""
    if isinstance(value, mx.array) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return mx.broadcast_to(stored(value, input.dtype), input.shape)


@op(
    grad={"input": lambda g: mx.zeros_like(g)}, inplace=True, uniform=True, function=False, method=False, channels="any"
)
def zero(input: Array) -> mx.array:
    """Zeros."""
    return mx.zeros_like(input)


def _to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **kwargs: Any) -> Tensor:
    """In another dtype, on a device, or as another Tensor; itself where nothing changes and not ``copy``.

    ``non_blocking`` and ``memory_format`` are torch's. MLX's memory is one: a device is a label, and nothing is moved.

    Raises:
        AssertionError, RuntimeError: a device that this machine has not got.
    """
    unknown = kwargs.keys() - {"non_blocking", "memory_format"}
    if unknown or len(args) > 4:
        raise TypeError(
            f"to() got an unexpected keyword argument {sorted(unknown)[0]!r}" if unknown else "to(): too many"
        )
    for value in args:
        if isinstance(value, Tensor):
            dtype, device = value.array.dtype, value.device
        elif isinstance(value, (mx.Dtype, type)):
            dtype = value
        elif not isinstance(value, bool):
            device = value
    where = None if device is None else placed(device)
    check_placement(None, kwargs.get("memory_format"))
    dtype = mlx_dtype(dtype, "to")
    if dtype is not None and dtype != self.array.dtype:
        out: Tensor = _cast_to(self, dtype)
        out._keep_origin(origin_of(self))
    else:
        moved = where is not None and where != self.device
        out = clone(self) if copy or moved else self
    if where is not None and where != out.device:
        out._label = None
        out._keep_label(None if where is CPU else where)
    return out


def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """In the dtype of ``other``, and on its device."""
    return _to(self, other)


def _type(self: Tensor, dtype: Any = None) -> Any:
    """Without a dtype, torch's name of the type of Tensor: ``"torch.FloatTensor"``. Else the Tensor in that dtype.

    The dtype may be given by such a name too.

    Raises:
        ValueError: a name that torch has not.
        TypeError: what is no dtype and no name.

    Source: ``torch.Tensor.type``.
    """
    dtype = getattr(dtype, "torch_name", dtype)  # of an old type of Tensors
    if dtype is None:
        return f"torch.{NAMES[self.array.dtype]}Tensor"
    if isinstance(dtype, str):
        if dtype == "torch.Tensor":
            return _to(self, DEFAULTS[FLOATING])
        if dtype not in _TYPES:
            raise ValueError(f"invalid type: {dtype!r}")
        return _to(self, _TYPES[dtype])
    if isinstance(dtype, type):
        raise ValueError(f"invalid type: {dtype.__name__!r}")
    if not isinstance(dtype, mx.Dtype):
        raise TypeError("dtype must be a type, str, or dtype object")
    return _to(self, dtype)


def _cpu(self: Tensor) -> Tensor:
    """On the CPU: the Tensor itself, where it is there."""
    return _to(self, CPU)


def _cuda(self: Tensor, device: Any = None, **kwargs: Any) -> Tensor:
    """On a GPU of NVIDIA's; AssertionError where there is none."""
    return _to(self, "cuda" if device is None else device, **kwargs)


def _as_dtype(name: str, dtype: mx.Dtype) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return _to(self, dtype)

    method.__name__ = name
    method.__doc__ = f"In {name_of(dtype)}."
    return method


def _where(self: Tensor, condition: Any, other: Any) -> Tensor:
    """``self`` where ``condition``, else ``other``."""
    chosen: Tensor = REGISTRY["where"].function(condition, self, other)
    return chosen


attach("where", _where)
attach("to", _to)
attach("type_as", _type_as)
attach("type", _type)
attach("cpu", _cpu)
attach("cuda", _cuda)
for _name, _dtype in {
    "float": mx.float32,
    "double": mx.float64,
    "half": mx.float16,
    "bfloat16": mx.bfloat16,
    "char": mx.int8,
    "short": mx.int16,
    "int": mx.int32,
    "long": mx.int64,
    "byte": mx.uint8,
    "bool": mx.bool_,
}.items():
    attach(_name, _as_dtype(_name, _dtype))
