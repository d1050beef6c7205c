"""torch's old types of Tensors: ``FloatTensor``, ``LongTensor`` and the others, one for each dtype."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core import dtypes
from .._core.device import CPU, Device
from .._core.dtypes import mlx_dtype
from .._core.layout import strided
from .arraylike import Size
from .conversion import to_array
from .tensor import Tensor

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
]


class TensorType:
    """The Tensors of a dtype on the CPU: makes them of sizes or of numbers, and ``isinstance`` knows them.

    Source: ``torch.FloatTensor`` and the others.
    """

    is_cuda = is_sparse = False
    layout = strided

    def __init__(self, name: str, dtype: Any) -> None:
        self.__name__, self.__module__, self.torch_name, self.dtype = name, "torch", f"torch.{name}", dtype
        self.__doc__ = f"""The Tensors of {dtype} on the CPU.

        ``{name}(2, 3)`` makes one of zeros, and ``{name}([1, 2])`` one of numbers.

        Raises:
            TypeError: a Tensor of another dtype, or what is neither a size nor a sequence.

        Source: ``torch.{name}``.
        """

    def __call__(self, *data: Any, device: Any = None) -> Tensor:
        if device is not None and Device(device) != CPU:
            kind = Device(device).type
            raise RuntimeError(f"legacy constructor expects device type: cpu but device type: {kind} was passed")
        (given,) = data if len(data) == 1 else (data,)
        if isinstance(given, Tensor):
            if not self.__instancecheck__(given):
                raise TypeError(f"expected a {self.torch_name} but got a {given.type()}: use x.to(dtype)")
            return given.detach()
        dtype = mlx_dtype(self.dtype, self.__name__)
        if len(data) != 1 or type(given) in (int, Size):
            return Tensor(mx.zeros(self._sizes(given), dtype))
        if isinstance(given, (str, bytes)):
            raise TypeError(f"new(): invalid data type '{type(given).__name__}'")
        if not hasattr(given, "__len__") or not hasattr(given, "__getitem__") or isinstance(given, dict):
            raise TypeError(f"new(): data must be a sequence (got {type(given).__name__})")
        return Tensor(to_array(given, dtype))

    @staticmethod
    def _sizes(given: Any) -> tuple[int, ...]:
        shape = given if isinstance(given, tuple) else (given,)
        if shape and min(shape) < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
        return shape or (0,)

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype == self.dtype and value.device == CPU

    def __reduce__(self) -> str:
        return self.__name__

    def __repr__(self) -> str:
        return f"<class '{self.torch_name}'>"


FloatTensor = TensorType("FloatTensor", dtypes.float32)
DoubleTensor = TensorType("DoubleTensor", dtypes.float64)
HalfTensor = TensorType("HalfTensor", dtypes.float16)
BFloat16Tensor = TensorType("BFloat16Tensor", dtypes.bfloat16)
LongTensor = TensorType("LongTensor", dtypes.int64)
IntTensor = TensorType("IntTensor", dtypes.int32)
ShortTensor = TensorType("ShortTensor", dtypes.int16)
CharTensor = TensorType("CharTensor", dtypes.int8)
ByteTensor = TensorType("ByteTensor", dtypes.uint8)
BoolTensor = TensorType("BoolTensor", dtypes.bool_)
