"""Errors in units in the last place, of arrays from any library."""

from __future__ import annotations

from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .._core.sparse import RowSparse
from .._tensor.tensor import Tensor


class Precision(NamedTuple):
    """A floating dtype: how many binary digits a number has, and the exponent of the smallest normal one."""

    digits: int
    smallest: int


PRECISIONS = {
    "float16": Precision(11, -14),
    "bfloat16": Precision(8, -126),
    "float32": Precision(24, -126),
    "float64": Precision(53, -1022),
}


def dtype_name(value: Any) -> str | None:
    """The dtype in words that MLX, NumPy and torch share, such as "float32"; None for Python's numbers and lists."""
    return str(value.dtype).rpartition(".")[2] if hasattr(value, "dtype") else None


def common_dtype(actual: Any, expected: Any) -> str:
    """The dtype by which an error is measured: of ``expected``, or of ``actual`` where that is a Python number."""
    return dtype_name(expected) or dtype_name(actual) or str(np.asarray(expected).dtype)


def as_numpy(value: Any) -> np.ndarray:
    """A copy in float64 with the same values.

    Args:
        value: an ``mx.array``, a Tensor, a NumPy array, a number, nested lists of numbers, or another library's
            tensor with ``detach()``, ``cpu()`` and ``double()``, as torch's. Sparse ones become dense.

    Raises:
        TypeError: complex numbers, and what is no array of numbers.
        ValueError: integers beyond 2**53, which float64 does not hold.

    >>> import mlx.core as mx
    >>> as_numpy(mx.array([0.1], mx.bfloat16))
    array([0.10009766])
    """
    if isinstance(value, RowSparse):
        value = value.dense()
    if isinstance(value, Tensor):
        value = value.array
    if isinstance(value, mx.array):
        value = np.array(value.astype(mx.float32) if value.dtype in (mx.float16, mx.bfloat16) else value)
    elif hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_sparse:
            value = value.to_dense()
        value = (value.double() if value.is_floating_point() else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError(f"an array of dtype {array.dtype} has no units in the last place: compare its parts")
    if array.dtype.kind in "OSUmM":
        raise TypeError(f"{value!r:.80} is no array of numbers")
    if np.issubdtype(array.dtype, np.integer) and array.size and max(abs(int(array.min())), int(array.max())) > 2**53:
        raise ValueError("integers beyond 2**53 have no exact copy in float64")
    return array.astype(np.float64)


def largest(values: np.ndarray) -> np.ndarray:
    """The largest finite magnitude; 0 where there is none."""
    return np.asarray(np.max(np.abs(values), where=np.isfinite(values), initial=0.0))


def unit(values: np.ndarray, dtype: str) -> np.ndarray:
    """The unit in the last place of each of ``values`` in ``dtype``.

    Of zero it is the smallest number that the dtype has; of an integer or a boolean it is 1.
    """
    precision = PRECISIONS.get(dtype)
    values = np.abs(values)
    if precision is None:
        return np.ones_like(values)
    exponent = np.where((values > 0) & np.isfinite(values), np.frexp(values)[1] - 1, precision.smallest)
    return np.ldexp(1.0, np.maximum(exponent, precision.smallest) - precision.digits + 1)


def distances(a: np.ndarray, b: np.ndarray, units: np.ndarray, equal_nan: bool = False) -> np.ndarray:
    """``|a - b|`` in ``units``; 0 for equal infinities, inf for other ones and for nan."""
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.abs(a - b) / units
    same = (a == b) | (np.isnan(a) & np.isnan(b) if equal_nan else False)
    return np.where(same, 0.0, np.where(np.isfinite(a) & np.isfinite(b), errors, np.inf))


def ulps(actual: Any, expected: Any, *, scale: str = "tensor", equal_nan: bool = False) -> np.ndarray:
    """The error of each element, ``|actual - expected|``, in units in the last place (ulps) of ``expected``'s dtype.

    The ulp of a number is the distance to the next number of its dtype, towards larger ones: 2**-23 in float32 from 1
    to 2, 2**-7 in bfloat16.

    Args:
        actual: an ``mx.array``, a Tensor, a NumPy array, a number, or another library's tensor, such as torch's.
        expected: the same, of the same shape. Its dtype counts; a Python number has that of ``actual``.
        scale: "tensor" measures by the ulp of the largest finite element of ``expected``: fair after many operations,
            where an element near zero is a difference of larger ones. "element" measures each by its own.
        equal_nan: whether nan equals nan.

    Returns:
        A float64 array of their shape. The error of equal infinities is 0; that of nan, and of an infinity and
        anything else, is inf. Where ``expected`` is 0 (with "tensor": all of it), one ulp is the smallest number that
        the dtype has. Integers and booleans are counted in ones.

    Raises:
        ValueError: other shapes, another ``scale``.
        TypeError: no arrays of real numbers.

    >>> import mlx.core as mx
    >>> ulps(mx.array([1.0, 2.0]), mx.array([1.0, 2.0 + 2**-22]))
    array([0., 1.])
    >>> ulps(mx.array([2**-23, 1.0]), mx.array([0.0, 1.0]))
    array([1., 0.])
    """
    if scale not in ("tensor", "element"):
        raise ValueError(f"scale is 'tensor' or 'element', not {scale!r}")
    a, b = as_numpy(actual), as_numpy(expected)
    if a.shape != b.shape:
        raise ValueError(f"actual has shape {list(a.shape)}, expected has shape {list(b.shape)}")
    units = unit(largest(b) if scale == "tensor" else b, common_dtype(actual, expected))
    return distances(a, b, units, equal_nan)
