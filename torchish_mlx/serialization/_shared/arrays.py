"""Arrays as bytes: the names of dtypes in files, the bytes of an array, and an array from bytes; NumPy's scalars."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from ..._core.trace import of_a_trace


class Kind(NamedTuple):
    """What files call a dtype. ``storage`` is torch's storage class, None where torch has no typed one."""

    dtype: mx.Dtype
    torch: str
    storage: str | None
    safetensors: str


KINDS = (
    Kind(mx.float16, "float16", "HalfStorage", "F16"),
    Kind(mx.bfloat16, "bfloat16", "BFloat16Storage", "BF16"),
    Kind(mx.float32, "float32", "FloatStorage", "F32"),
    Kind(mx.float64, "float64", "DoubleStorage", "F64"),
    Kind(mx.complex64, "complex64", "ComplexFloatStorage", "C64"),
    Kind(mx.bool_, "bool", "BoolStorage", "BOOL"),
    Kind(mx.int8, "int8", "CharStorage", "I8"),
    Kind(mx.int16, "int16", "ShortStorage", "I16"),
    Kind(mx.int32, "int32", "IntStorage", "I32"),
    Kind(mx.int64, "int64", "LongStorage", "I64"),
    Kind(mx.uint8, "uint8", "ByteStorage", "U8"),
    Kind(mx.uint16, "uint16", None, "U16"),
    Kind(mx.uint32, "uint32", None, "U32"),
    Kind(mx.uint64, "uint64", None, "U64"),
)
OF_DTYPE = {kind.dtype: kind for kind in KINDS}
OF_TORCH = {kind.torch: kind for kind in KINDS}
OF_STORAGE = {kind.storage: kind for kind in KINDS if kind.storage}
OF_SAFETENSORS = {kind.safetensors: kind for kind in KINDS}

LARGEST = 2**31 - 1  # of a dimension: MLX counts elements along an axis in 32 bits

# the dtype of the same size that has a buffer which Python can read as bytes; bfloat16 and complex64 have none
_RAW = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32, 8: mx.uint64}
_HOST = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_SHORT = 1 << 24  # bytes


def buffer(array: mx.array) -> memoryview:
    r"""The bytes of ``array`` in row-major order, evaluated; only an array in another order is copied.

    The memory is the array's own: it must not be written to.

    >>> bytes(buffer(mx.array([1, 256], dtype=mx.int16)))
    b'\x01\x00\x00\x01'
    """
    if not array.size:
        return memoryview(b"")
    raw = mx.view(mx.contiguous(array, stream=mx.cpu), _RAW[array.dtype.size], stream=mx.cpu)
    try:
        mx.eval(raw)
    except (ValueError, RuntimeError) as error:
        if of_a_trace(error):
            raise RuntimeError("a traced array has no value to save: save outside the compiled function") from None
        raise
    return _memory(raw)


def filled(fill: Callable[[memoryview], Any], dtype: mx.Dtype, shape: Sequence[int]) -> mx.array:
    """An evaluated array whose bytes ``fill(memory)`` writes, in row-major order; a long one is filled in place.

    The memory stays as it is for as long as somebody holds it. A bool is true where its byte is not zero, as in torch.

    >>> def fill(memory):
    ...     memory[:] = bytes([1, 0, 0, 1])
    >>> filled(fill, mx.int16, (2,)).tolist()
    [1, 256]
    """
    count = math.prod(shape)
    if count * dtype.size <= _SHORT:  # a copy of what is in the cache costs less than zeros in new memory
        host = np.empty(count, _HOST[dtype.size])  # flat, because NumPy allows fewer dimensions
        fill(_memory(host) if count else memoryview(bytearray()))
        raw = mx.reshape(mx.array(host), tuple(shape), stream=mx.cpu)
    else:
        raw = mx.zeros(tuple(shape), _RAW[dtype.size], stream=mx.cpu)
        mx.eval(raw)
        fill(_memory(raw))
    if dtype == mx.bool_:
        out = mx.not_equal(raw, 0, stream=mx.cpu)
    else:
        out = mx.view(raw, dtype, stream=mx.cpu)
    mx.eval(out)
    return out


def plain(value: Any) -> Any:
    """NumPy's scalars as Python's numbers and text; anything else as it is.

    >>> plain(np.float32(1.5)), plain(np.str_("a")), plain([1])
    (1.5, 'a', [1])
    """
    known = isinstance(value, np.generic) and value.dtype.kind in "biufcSU"
    return value.item() if known else value  # a longdouble gives no number of Python's, and is refused


def _memory(raw: Any) -> memoryview:
    return memoryview(raw).cast("B")
