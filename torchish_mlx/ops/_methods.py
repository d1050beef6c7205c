"""The methods of Tensor whose arguments are not the function's, its dtypes by name, and its operators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.device import check_placement
from .._core.promotion import Operand
from .._tensor.tensor import Tensor, origin_of
from ._call import call
from ._shapes import clone
from .table import FUNCTIONS, OPS, TABLE, attach


def _where(self: Tensor, condition: Any, other: Any) -> Tensor:
    """``self`` where ``condition``, else ``other``."""
    return FUNCTIONS["where"](condition, self, other)


def _to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **kwargs: Any) -> Tensor:
    """In another dtype, on a device, or as another Tensor; itself where nothing changes and not ``copy``.

    ``non_blocking`` and ``memory_format`` are torch's; MLX's memory is one, so a device only has to exist.
    """
    unknown = kwargs.keys() - {"non_blocking", "memory_format"}
    if unknown or len(args) > 4:
        raise TypeError(
            f"to() got an unexpected keyword argument {sorted(unknown)[0]!r}" if unknown else "to(): too many"
        )
    for value in args:
        if isinstance(value, Tensor):
            dtype = value.dtype
        elif isinstance(value, mx.Dtype):
            dtype = value
        elif not isinstance(value, bool):
            check_placement(value)
    check_placement(device, kwargs.get("memory_format"))
    if dtype is not None and dtype != self.dtype:
        out: Tensor = call(OPS["to"], (self, dtype), {})
        out._keep_origin(origin_of(self))
        return out
    return clone(self) if copy else self


def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """In the dtype of ``other``."""
    return _to(self, other.dtype)


def _cpu(self: Tensor) -> Tensor:
    """The Tensor itself: MLX's memory is shared by all devices."""
    return self


def _as_dtype(name: str, dtype: mx.Dtype) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return _to(self, dtype)

    method.__name__ = name
    method.__doc__ = f"In {dtype}."
    return method


attach("where", _where)
attach("to", _to)
attach("type_as", _type_as)
attach("cpu", _cpu)
for _name, _dtype in {
    "float": mx.float32,
    "double": mx.float64,
    "half": mx.float16,
    "bfloat16": mx.bfloat16,
    "long": mx.int64,
    "int": mx.int32,
    "bool": mx.bool_,
}.items():
    attach(_name, _as_dtype(_name, _dtype))


# -- operators -----------------------------------------------------------------------------------------------

_OPERANDS = (Tensor, mx.array, bool, int, float, complex, np.generic, np.ndarray)


def _operator(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    @functools.wraps(function)
    def method(self: Tensor, other: Operand) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return method


for _symbol, _name in {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}.items():
    setattr(Tensor, f"__{_symbol}__", _operator(FUNCTIONS[_name]))
    setattr(Tensor, f"__r{_symbol}__", _operator(FUNCTIONS[_name], reflected=True))
    if TABLE[_name].inplace:
        setattr(Tensor, f"__i{_symbol}__", _operator(getattr(Tensor, _name + "_")))
setattr(Tensor, "__rtruediv__", _operator(lambda self, other: FUNCTIONS["reciprocal"](self) * other))  # noqa: B010
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Tensor, f"__{_name}__", _operator(FUNCTIONS[_name]))
for _symbol, _name in {"neg": "neg", "abs": "abs", "invert": "bitwise_not"}.items():
    setattr(Tensor, f"__{_symbol}__", FUNCTIONS[_name])
setattr(Tensor, "__pos__", lambda self: self)  # noqa: B010 (as the others)
