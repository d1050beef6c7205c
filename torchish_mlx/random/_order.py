"""In which order the elements of a tensor are in torch's memory: numbers are drawn in this order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def memory_order(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """The axes from the slowest to the fastest one in memory; a repeated axis stays where it is."""
    if len(shape) < 2:
        return list(range(len(shape)))
    order = list(range(len(shape)))[::-1]
    for i in range(1, len(order)):
        moving = i
        for j in range(i - 1, -1, -1):
            a, b = order[j], order[moving]
            if not strides[a] or not strides[b]:
                continue
            if (strides[a], shape[a]) > (strides[b], shape[b]):
                order[j], order[moving], moving = b, a, j
            elif strides[a] < strides[b]:
                break
    return order[::-1]


def in_order(shape: Sequence[int], order: Sequence[int]) -> bool:
    """Whether this order is the usual one; axes of size 1 do not count."""
    long = [axis for axis in order if shape[axis] != 1]
    return long == sorted(long)


def in_shape(flat: np.ndarray, shape: Sequence[int], order: Sequence[int]) -> np.ndarray:
    """Numbers in the order of memory as an array of ``shape``."""
    if len(shape) == 1:
        return flat
    made = flat.reshape([shape[axis] for axis in order])
    return np.transpose(made, [order.index(axis) for axis in range(len(order))])


def in_memory(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The elements of an array in the order of memory, flat."""
    return np.transpose(array, order).ravel()
