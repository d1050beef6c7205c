"""The names of the dtypes that MLX has, and what a call gives on either side, as text."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

NAMES = (
    *("float16", "bfloat16", "float32", "float64", "complex64", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
MLX = {name: mx.bool_ if name == "bool" else getattr(mx, name) for name in NAMES}


def outcome(f: Callable[[], object]) -> str:
    """What ``f`` gives, as text, or its error."""
    try:
        return str(f())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
