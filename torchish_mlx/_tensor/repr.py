"""How a Tensor prints: torch's layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.dtypes import OF_MLX
from .._core.promotion import DEFAULTS, FLOATING


def _real_format(values: np.ndarray) -> Any:
    """A function that prints one real number as torch does among ``values``."""
    finite = np.abs(values[np.isfinite(values)])
    nonzero = finite[finite != 0]
    largest, smallest = (nonzero.max(), nonzero.min()) if nonzero.size else (0.0, 0.0)
    wide = bool(nonzero.size) and (largest > 1e8 or largest / smallest > 1000)
    if (finite == np.ceil(finite)).all():
        pattern = "{:.4e}" if wide else "{:.0f}."
    else:
        pattern = "{:.4e}" if wide or smallest < 1e-4 else "{:.4f}"
    return lambda v: pattern.format(v) if np.isfinite(v) else str(float(v))


def _complex_format(values: np.ndarray) -> Callable[[Any], str]:
    real, imag = _real_format(np.real(values)), _real_format(np.imag(values))
    return lambda v: f"{real(v.real)}{'' if v.imag < 0 else '+'}{imag(v.imag)}j"


def _values(values: np.ndarray) -> str:
    if not values.size:
        return "[]" if values.ndim == 1 else f"[], size={values.shape}"
    if values.dtype.kind == "f":
        shown = _real_format(_ends(values).astype(np.float64))
    elif values.dtype.kind == "c":
        shown = _complex_format(values)
    else:
        shown = str
    if not values.ndim:
        return shown(values.item())
    flat = _ends(values).reshape(-1)
    counted = flat[np.isfinite(flat) & (flat != 0)] if values.dtype.kind == "f" else flat
    size = max((len(shown(v)) for v in counted), default=1)
    return _nested(values, lambda v: shown(v).rjust(size), size, len("tensor("), values.size > 1000)


def _nested(values: np.ndarray, shown: Callable[[Any], str], size: int, indent: int, summarized: bool) -> str:
    """Nested brackets, as many elements a line as fit into 80 columns."""
    short = summarized and len(values) > 6
    picked = [*values[:3], *values[-3:]] if short else list(values)
    if values.ndim == 1:
        words = [shown(v) for v in picked]
        if short:
            words.insert(3, " ...")
        a_line = max(1, (80 - indent) // (size + 2))
        rows = [", ".join(words[i : i + a_line]) for i in range(0, len(words), a_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    parts = [_nested(v, shown, size, indent + 1, summarized) for v in picked]
    if short:
        parts.insert(3, "...")
    return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _ends(values: np.ndarray) -> np.ndarray:
    """What is printed of an array: all of a small one, three at each end along each axis of a large one."""
    if values.size <= 1000:
        return values
    for axis, n in enumerate(values.shape):
        if n > 6:
            values = np.take(values, [0, 1, 2, n - 3, n - 2, n - 1], axis)
    return values


def tensor_repr(tensor: Any) -> str:
    """``tensor([1., 2.], requires_grad=True)``."""
    array = tensor.array
    values = np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
    out = "tensor(" + _values(values)
    suffixes = [] if tensor.is_cpu else [f"device='{tensor.device}'"]
    default = DEFAULTS[FLOATING]
    plain = array.dtype in (default, mx.int64, mx.bool_) or (array.dtype == mx.complex64 and default == mx.float32)
    if not plain or (not values.size and array.dtype != default):
        suffixes.append(f"dtype={OF_MLX[array.dtype]}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    column = len(out) - out.rfind("\n")
    for suffix in suffixes:
        if column + len(suffix) + 2 > 80:
            out += ",\n" + " " * len("tensor(") + suffix
            column = len("tensor(") + len(suffix)
        else:
            out += ", " + suffix
            column += len(suffix) + 2
    return out + ")"
