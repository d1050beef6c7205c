"""Tensors of numbers that follow from each other: ranges, grids of numbers, the identity, indices of triangles."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.device import made_on
from .._core.dtypes import DtypeLike, mlx_dtype
from .._core.promotion import DEFAULTS, FLOATING, FLOATS, HALVES, INEXACT, NAMES, cast
from .._tensor.tensor import Tensor, wrap
from ..random._rounding import by_libm, fma32, fma64, rounded
from ._arguments import typed
from ._op import Number, Operand
from ._out import write_out


def made(name: str, array: mx.array, out: Any, device: Any, requires_grad: Any) -> Tensor:
    """A new Tensor of ``array``, or ``out`` with its values."""
    label = made_on(device)
    if out is None:
        new = Tensor(array, requires_grad=bool(requires_grad))
        new._keep_label(label)
        return new
    if isinstance(out, Tensor) and out.array.dtype != array.dtype:
        wrong = f"{NAMES[array.dtype]} does not match dtype of out parameter ({NAMES[out.array.dtype]})"
        raise RuntimeError(f"dtype {wrong}")
    result: Tensor = write_out(name, wrap(array), out, silently=True)
    return result


def dtype_of(name: str, dtype: DtypeLike | None, out: Any, usual: mx.Dtype | None = None) -> mx.Dtype:
    """The dtype that is asked for, else that of ``out``, else the usual one, else the default one."""
    if dtype is None:
        found: mx.Dtype = (usual or DEFAULTS[FLOATING]) if out is None else out.array.dtype
    else:
        found = mlx_dtype(dtype, name)
    return found


def _number(name: str, which: str, value: Any) -> Any:
    """A number, or that of a Tensor without dimensions."""
    if isinstance(value, (Tensor, mx.array)):
        if value.ndim:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got {which} with {value.ndim} "
                "dimension(s)."
            )
        return value.item()
    return value


def _of(numbers: np.ndarray, dtype: mx.Dtype) -> mx.array:
    """An array of NumPy's numbers, float64 included."""
    if numbers.dtype == np.float64:
        if dtype == mx.float64:
            return mx.array(numbers, mx.float64)
        numbers = numbers.astype(np.float32 if dtype in INEXACT else np.int64)
    return cast(mx.array(numbers), dtype)


def _steps(start: Any, end: Any, step: Any, extra: int) -> int:
    """How many numbers a range has; RuntimeError for one that does not reach its end."""
    if not step:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {float(start):g} -> {float(end):g}")
    if (end < start) if step > 0 else (end > start):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    return math.floor((end - start) / step) + 1 if extra else math.ceil((end - start) / step)


def _ranged(name: str, numbers: Sequence[Any], dtype: mx.Dtype, extra: int = 0) -> mx.array:
    start, end, step = numbers
    if dtype in (mx.bool_, mx.complex64):
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{NAMES[dtype]}'")
    if dtype in FLOATS:
        count = _steps(start, end, step, extra)
        return _of(float(start) + np.arange(count, dtype=np.float64) * float(step), dtype)
    if dtype == mx.int64:
        whole = step
        start, end, step = int(start), int(end), int(step)
        if whole and not step:
            raise ValueError("step must be nonzero")
    count = _steps(start, end, step, extra)
    return cast(mx.array(int(start) + np.arange(count, dtype=np.int64) * int(step)), dtype)


@typed
def arange(
    start: Number = 0,
    end: Number | None = None,
    step: Number = 1,
    *,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers from ``start`` up to ``end``, which is left out; of integers int64, else float32.

    Source: ``torch.arange``.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    if end is None:
        start, end = 0, start
    numbers = [n.item() if isinstance(n, (Tensor, mx.array, np.generic)) else n for n in (start, end, step)]
    usual = None if any(isinstance(n, float) for n in numbers) else mx.int64
    array = _ranged("arange", numbers, dtype_of("arange", dtype, out, usual))
    if isinstance(out, Tensor) and out.array.size not in (0, array.size):
        warnings.warn(
            f"The number of elements in the out tensor of shape {list(out.shape)} is {out.array.size} which does not "
            f"match the computed number of elements {array.size}. Note that this may occur as a result of rounding "
            f"error. The out tensor will be resized to a tensor of shape ({array.size},).",
            UserWarning,
            stacklevel=3,
        )
    return made("arange", array, out, device, requires_grad)


@typed
def range(
    start: Number,
    end: Number,
    step: Number = 1,
    *,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers from ``start`` to ``end``, which belongs to them; float32 unless said otherwise.

    Source: ``torch.range``.
    """
    kind = dtype_of("range", dtype, out)
    return made("range", _ranged("range", (start, end, step), kind, 1), out, device, requires_grad)


def _ends(name: str, start: Any, end: Any, steps: Any, dtype: mx.Dtype) -> tuple[Any, Any]:
    """The first and the last number, rounded to the dtype, as numbers of NumPy: of float64 for integers."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if dtype in (mx.bool_, mx.complex64):
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{NAMES[dtype]}'")
    start, end = _number(name, "start", start), _number(name, "end", end)
    if steps < 2:
        return np.float64(start), np.float64(end)  # torch fills with what is made of this one, in float64
    if dtype not in INEXACT:
        return np.float64(int(start)), np.float64(int(end))
    return rounded(start, dtype)[()], rounded(end, dtype)[()]


def _spaced(first: Any, last: Any, steps: Any, dtype: mx.Dtype) -> np.ndarray:
    """``steps`` numbers at even distances, the second half counted from the end, as torch's kernels compute them.

    Each is one fused product and sum in float32 and float64. Halves are rounded after each operation.
    """
    kind = type(first)
    if steps < 2:
        return np.full(steps, first, kind)
    at = np.arange(steps)
    early, back = at < steps // 2, steps - 1 - at
    if dtype in HALVES:
        step = rounded(rounded(last - first, dtype) / rounded(steps - 1, dtype), dtype)
        up, down = (rounded(step * rounded(n, dtype), dtype) for n in (at, back))
        return np.where(early, first + up, last - down)
    step = (last - first) / kind(steps - 1)
    fused = fma64 if kind is np.float64 else fma32
    return np.where(early, fused(step, at, first), fused(-step, back, last))


@typed
def linspace(
    start: Operand,
    end: Operand,
    steps: int | None = None,
    *,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers at even distances from ``start`` to ``end``, which belongs to them.

    Source: ``torch.linspace``.

    >>> linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    kind = dtype_of("linspace", dtype, out)
    numbers = _of(_spaced(*_ends("linspace", start, end, steps, kind), steps, kind), kind)
    return made("linspace", numbers, out, device, requires_grad)


def _powers(base: float, first: Any, last: Any, steps: Any, dtype: mx.Dtype) -> np.ndarray:
    """``base`` to evenly spaced exponents: in float64 but for the ends and their distance, which are in the dtype."""
    at = np.arange(steps)
    width = last - first if dtype not in HALVES else rounded(last - first, dtype)
    step = float(width) / max(steps - 1, 1)
    early = at < max(steps // 2, 1)
    exponents = np.where(early, float(first) + step * at, float(last) - step * (steps - 1 - at))
    with np.errstate(all="ignore"):
        if base > 0 and np.abs(np.log2(base) * exponents).max(initial=0) < 1000:
            return by_libm(lambda exponent: math.pow(base, exponent), exponents)
        return np.power(base, exponents)


@typed
def logspace(
    start: Operand,
    end: Operand,
    steps: int | None = None,
    base: float = 10.0,
    *,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``base`` to the power of each of ``linspace(start, end, steps)``.

    Source: ``torch.logspace``.
    """
    kind = dtype_of("logspace", dtype, out)
    first, last = _ends("logspace", start, end, steps, kind)
    numbers = _of(_powers(base, first, last, steps, kind), kind)
    return made("logspace", numbers, out, device, requires_grad)


@typed
def eye(
    n: int,
    m: int | None = None,
    *,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A matrix with ones on the diagonal and zeros elsewhere.

    Source: ``torch.eye``.
    """
    m = n if m is None else m
    for name, size in (("n", n), ("m", m)):
        if size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    kind = dtype_of("eye", dtype, out)
    array = mx.eye(n, m, dtype=kind) if n and m else mx.zeros((n, m), kind)
    return made("eye", array, out, device, requires_grad)


def _triangle(name: str, of: Any, row: int, col: int, offset: int, dtype: Any, device: Any, grad: Any) -> Tensor:
    for side, size in (("row", row), ("col", col)):
        if size < 0:
            raise RuntimeError(f"{side} must be non-negative, got{size}")
    indices = mx.array(np.stack(of(row, offset, col)).astype(np.int64))
    return made(name, indices.astype(mlx_dtype(dtype, name) or mx.int64), None, device, grad)


@typed
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Where the lower triangle of a matrix is: its rows, and its columns; row by row.

    Source: ``torch.tril_indices``.
    """
    return _triangle("tril_indices", np.tril_indices, row, col, offset, dtype, device, requires_grad)


@typed
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Where the upper triangle of a matrix is: its rows, and its columns; row by row.

    Source: ``torch.triu_indices``.
    """
    return _triangle("triu_indices", np.triu_indices, row, col, offset, dtype, device, requires_grad)
