"""Torch's old types of Tensors: ``FloatTensor([1, 2])``, ``LongTensor(3)``, ``isinstance(x, ByteTensor)``."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .._core import dtypes
from .._core.device import CPU, Device
from .._core.layout import strided
from .._core.promotion import IN_C, NAMES
from .._tensor.arraylike import Size
from .._tensor.irregular import is_sequence
from .._tensor.tensor import Tensor
from .creation import tensor
from .shaping import as_view

_OPTIONS = (
    "TensorOptions(dtype={}, device=cpu, layout=Strided, requires_grad=false (default), pinned_memory=false (default), "
    "memory_format=(nullopt))"
)


class tensortype(type):
    """The type of torch's old types of Tensors.

    A call makes a Tensor of the type's dtype: of numbers in a sequence or an array, of a Tensor of that dtype, which
    then has the same storage, or of sizes, filled with zeros. ``isinstance`` says whether a Tensor has the dtype.

    Raises:
        TypeError: what is no sequence, no Tensor of the dtype and no size.
        RuntimeError: a negative size; a number that the dtype does not hold.

    >>> import torchish_mlx as torch
    >>> torch.LongTensor([1, 2]), torch.FloatTensor(2, 3).shape
    (tensor([1, 2]), torch.Size([2, 3]))
    >>> isinstance(torch.ones(1), torch.FloatTensor), torch.FloatTensor
    (True, <class 'torch.FloatTensor'>)

    Source: ``torch.FloatTensor`` and the nine others.
    """

    dtype: dtypes.dtype
    torch_name: str
    is_cuda = is_sparse = False
    layout = strided

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.array.dtype == cls.dtype and instance.device == CPU

    def __call__(cls, *data: Any, size: Any = None, device: Any = None) -> Tensor:
        if device is not None and (kind := Device(device).type) != "cpu":
            raise RuntimeError(f"legacy constructor expects device type: cpu but device type: {kind} was passed")
        if size is not None:
            data = tuple(size)
        sized = len(data) != 1 or (type(data[0]) is not bool and isinstance(data[0], (int, np.integer)))
        (given,) = data if len(data) == 1 else (data,)
        if sized or type(given) is Size:
            return cls._of_sizes(given if isinstance(given, tuple) else (given,))
        if isinstance(given, Tensor):
            if given.array.dtype != cls.dtype:
                wanted, found = _OPTIONS.format(IN_C[cls.dtype.mlx]), _OPTIONS.format(IN_C[given.array.dtype])
                raise TypeError(f"expected {wanted} (got {found})")
            return as_view(given, given.shape)  # torch's alias, through which gradients go
        if isinstance(given, str):
            raise TypeError("new(): invalid data type 'str'")
        if isinstance(given, np.generic) or not is_sequence(given):
            raise TypeError(f"new(): data must be a sequence (got {_name_of(type(given))})")
        return tensor(given, dtype=cls.dtype)

    def _of_sizes(cls, sizes: tuple[Any, ...]) -> Tensor:
        for position, n in enumerate(sizes, 1):
            if not isinstance(n, (int, np.integer)):
                raise TypeError(
                    f"new(): argument 'size' failed to unpack the object at pos {position} with error \"type must be "
                    f'tuple of ints,but got {type(n).__name__}"'
                )
            if n < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(sizes)}")
        return Tensor(mx.zeros([int(n) for n in sizes] if sizes else (0,), cls.dtype.mlx))


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


def _type_of(of: dtypes.dtype) -> Any:
    name = f"{NAMES[of.mlx]}Tensor"
    return tensortype(name, (), {"__module__": "torch", "dtype": of, "torch_name": f"torch.{name}"})


FloatTensor = _type_of(dtypes.float32)
DoubleTensor = _type_of(dtypes.float64)
HalfTensor = _type_of(dtypes.float16)
BFloat16Tensor = _type_of(dtypes.bfloat16)
ByteTensor = _type_of(dtypes.uint8)
CharTensor = _type_of(dtypes.int8)
ShortTensor = _type_of(dtypes.int16)
IntTensor = _type_of(dtypes.int32)
LongTensor = _type_of(dtypes.int64)
BoolTensor = _type_of(dtypes.bool_)
