"""Arrays from data: numbers, nested lists, NumPy arrays, tensors of other libraries."""

from __future__ import annotations

import functools
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.origin import MLX, Origin, of_another_library
from .._core.promotion import DEFAULTS, FLOATING, INEXACT, cast, number_category, promoted
from .irregular import check_range, irregular, is_sequence, unequal
from .storage import unaliased
from .tensor import Tensor


def to_array(data: Any, dtype: mx.Dtype | None = None) -> mx.array:
    """An array with torch's dtype for the data: int64 for Python ints, the default dtype for floats.

    A NumPy array of float64 becomes float32 unless ``dtype`` says otherwise, since an Apple GPU has no float64.
    """
    if isinstance(data, Tensor):
        data = data.array
    if isinstance(data, (bool, int, float, complex)):
        if type(data) is int and not -(2**63) <= data < 2**63:
            if dtype is None or dtype not in INEXACT:
                raise ValueError("Overflow when unpacking long long")
            data = float(data)
        if dtype is not None and dtype not in INEXACT:
            check_range(np.asarray(data), data, dtype)
        return mx.array(data, dtype or DEFAULTS[number_category(data)])
    if not isinstance(data, (list, tuple, range, np.ndarray, np.generic, mx.array)):
        data = _of_another_kind(data)
    if isinstance(data, (list, tuple, range)):
        if _holds_arrays(data):
            arrays = [to_array(d) for d in data]
            if any(array.shape != arrays[0].shape for array in arrays):
                unequal(arrays)
            dtype = dtype or functools.reduce(promoted, [array.dtype for array in arrays])
            return mx.stack([cast(array, dtype) for array in arrays])
        made = _numbers(data)
        if made is None or made.dtype.kind not in "biufc":
            return irregular(data, dtype)
        if dtype is not None and dtype not in INEXACT:
            check_range(made, data, dtype)
            if made.dtype.kind == "f" and dtype != mx.bool_:
                made = made.astype(np.int64)  # MLX would round it to float32 first
        data = made
        if dtype is None and data.dtype == np.float64:
            dtype = DEFAULTS[FLOATING]
    if isinstance(data, (np.ndarray, np.generic)):
        data = np.asarray(data)
        if dtype is not None and dtype == mx.float64 and data.dtype == np.float64:
            return mx.array(data, mx.float64)
        data = mx.array(data)
    return data if dtype is None else cast(data, dtype)


def _numbers(data: Any) -> np.ndarray | None:
    """NumPy's array of nested sequences; None where they are of several lengths."""
    try:
        return np.array(data)
    except ValueError:
        return None


def _of_another_kind(data: Any) -> Any:
    """An array of another library as MLX's, and any other sequence as a list."""
    if any(hasattr(data, name) for name in ("__mlx_array__", "__dlpack__", "__array__")):
        return mx.array(data)
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if not is_sequence(data):
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    return list(data)


def array_of(value: Any, dtype: mx.Dtype | None = None) -> mx.array | None:
    """The array of a Tensor, an mx.array, a NumPy array or another library's tensor; None for anything else.

    With ``dtype``, cast to it. Another library's float64 becomes float32 unless ``dtype`` is float64.

    Raises TypeError for elements that MLX has no dtype for, and for a tensor in another device's memory.
    """
    if isinstance(value, (Tensor, mx.array)):
        array = value.array if isinstance(value, Tensor) else value
    elif isinstance(value, np.ndarray) or hasattr(value, "__dlpack__"):
        array = _foreign(value, dtype)
    else:
        return None
    return array if dtype is None else cast(array, dtype)


def _foreign(value: Any, dtype: mx.Dtype | None) -> mx.array:
    data = value.detach() if hasattr(value, "detach") else value
    try:
        if dtype is not None and dtype == mx.float64 and str(data.dtype).endswith("float64"):
            return mx.array(np.asarray(data), mx.float64)
        if isinstance(data, np.ndarray) and not data.dtype.isnative:
            data = data.astype(data.dtype.newbyteorder("="))
        return mx.array(data)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
        raise TypeError(
            f"a {kind} of dtype {getattr(data, 'dtype', 'unknown')} can't become an mx.array. Give it in the memory of "
            "the CPU, in a dtype that MLX has, such as float32"
        ) from error


def _holds_arrays(data: Any) -> bool:
    if isinstance(data, (list, tuple)):
        return any(map(_holds_arrays, data))
    return isinstance(data, (Tensor, mx.array, np.ndarray))


def origin_of(value: Any) -> Origin | None:
    """Where a Tensor or an array is from, if that is known. What is in use here, in a module or a state, is MLX's."""
    if isinstance(value, Tensor):
        return Origin(MLX) if getattr(unaliased(value._storage), "placed", False) else value._origin
    return None if isinstance(value, mx.array) else of_another_library(value)
