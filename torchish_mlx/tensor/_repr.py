"""How a Tensor prints: torch's layout."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

_PLAIN = (mx.float32, mx.int64, mx.bool_, mx.complex64)


def dtype_name(dtype: mx.Dtype) -> str:
    """Torch's name of a dtype: ``float16``, ``bool``."""
    return str(dtype).rpartition(".")[2].rstrip("_")


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


def _values(values: np.ndarray) -> str:
    if not values.size:
        return "[]" if values.ndim == 1 else str([]) if not values.ndim else f"[], size={values.shape}"
    if values.dtype.kind == "f":
        shown = _real_format(values.astype(np.float64))
    elif values.dtype.kind == "c":
        real, imag = _real_format(values.real), _real_format(values.imag)

        def shown(v: Any) -> str:
            return f"{real(v.real)}{'' if v.imag < 0 else '+'}{imag(v.imag)}j"
    else:
        shown = str
    if not values.ndim:
        return shown(values.item())
    size = max(len(shown(v)) for v in values.reshape(-1)) if values.size <= 1000 else 0
    return np.array2string(
        values,
        separator=", ",
        prefix="tensor(",
        threshold=1000,
        edgeitems=3,
        max_line_width=80,
        formatter={"all": lambda v: shown(v).rjust(size)},
    )


def tensor_repr(tensor: Any) -> str:
    """``tensor([1., 2.], requires_grad=True)``."""
    array = tensor.array
    values = np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
    parts = [_values(values)]
    if array.dtype not in _PLAIN or (not values.size and array.dtype != mx.float32):
        parts.append(f"dtype={dtype_name(array.dtype)}")
    if tensor.grad_fn is not None:
        parts.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        parts.append("requires_grad=True")
    return f"tensor({', '.join(parts)})"
