"""Indices stay inside their axis: MLX reads and writes out of bounds without an error, which can crash the process."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from .cpu import on_cpu
from .trace import of_a_trace

LOOKED_AT = 2**16  # indices; the values of more are not waited for
_FEW = 64  # numbers: up to here Python is faster than NumPy
_SIGNED = (mx.int32, mx.int64)


def inside(
    index: mx.array, size: int, refused: Callable[[int], Exception], negative: bool = True, known: bool = False
) -> mx.array:
    """``index``, counted from the front, with every element inside an axis of ``size`` elements.

    A few indices are looked at in an eager step on the CPU, and so are those whose values are there (``known``). All
    others, also inside a traced step, are clamped, so that no memory outside the array is ever touched.

    Raises what ``refused(wrong)`` gives for an index that is outside; ``negative`` ones count from the end.
    """
    if not index.size:
        return index
    if not size:
        raise refused(0)
    given, index = index, index if index.dtype in _SIGNED else index.astype(mx.int64)
    values = seen(given, known)
    if values is not None:
        least, most = extremes(values)
        if least < (-size if negative else 0):
            raise refused(least)
        if most >= size:
            raise refused(most)
        if least >= 0:
            return index
    if negative:
        index = mx.where(index < 0, index + size, index)
    return mx.clip(index, 0, size - 1)


def extremes(values: np.ndarray) -> tuple[int, int]:
    """The least and the largest of some integers, of a few without NumPy, which takes longer to begin."""
    if values.size > _FEW:
        return int(values.min()), int(values.max())
    found = values.ravel().tolist()
    return min(found), max(found)


def outside(dim: int, size: int, error: type[Exception] = IndexError) -> Callable[[int], Exception]:
    """Torch's error for an index that is not inside an axis, as ``inside`` takes it."""
    return lambda wrong: error(f"index {wrong} is out of bounds for dimension {dim} with size {size}")


def seen(array: mx.array, known: bool = False) -> np.ndarray | None:
    """The values of a few numbers in an eager step on the CPU, without a wait where they are there already; else None.

    (MLX would compute the least and the largest behind all the work that is scheduled, and so wait for that.)
    """
    if not known and (array.size > LOOKED_AT or not on_cpu()):
        return None
    try:
        return np.asarray(array)
    except (ValueError, RuntimeError) as error:
        if not of_a_trace(error):
            raise
        return None
