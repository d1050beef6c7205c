"""Nested sequences that NumPy makes no array of numbers of: torch's error for them, or torch's numbers.

There are numbers in sequences of several lengths behind an empty one, in ints of more than 64 bits and in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import mlx.core as mx
import numpy as np

from .._core.promotion import DEFAULTS, FLOATING, cast, category, name_of, number_category

#: Torch looks into a sequence of this many dimensions, and no further.
DEEPEST = 128
_NUMBERS = (bool, int, float, complex)


def irregular(data: Sequence[Any], dtype: mx.Dtype | None) -> mx.array:
    """What ``torch.tensor(data, dtype=dtype)`` does: the sizes are those of the first elements.

    Raises:
        ValueError: a sequence of another length, too many dimensions, or an int of more than 64 bits.
        TypeError: a sequence in place of a number, a number in place of a sequence, or neither.
        RuntimeError: without a dtype, what has no dtype.
    """
    sizes = _sizes(data)
    kind = _inferred(data) if dtype is None else dtype
    if 0 in sizes:
        return mx.zeros(sizes, kind)
    _refuse(data, sizes, 0, category(kind))
    wide = np.float64 if category(kind) >= FLOATING else np.int64
    return cast(mx.array(np.array(_listed(data, len(sizes)), wide)), kind)


def is_sequence(value: Any) -> bool:
    """Whether torch looks into ``value`` for numbers; texts count, and dicts do not."""
    return isinstance(value, (list, tuple, range, str, bytes)) or (
        hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, Mapping)
    )


def _sizes(data: Any) -> list[int]:
    sizes = list[int]()
    while is_sequence(data):
        sizes.append(len(data))
        if len(sizes) > DEEPEST:
            raise ValueError(f"too many dimensions '{type(data).__name__}'")
        if not sizes[-1]:
            break
        data = data[0]
    return sizes


def _listed(data: Any, depth: int) -> Any:
    return [_listed(each, depth - 1) for each in data] if depth else data


def _leaves(data: Any) -> Iterator[Any]:
    """The elements that are no sequences, in order; texts as they are. In place of an empty sequence there is 0.0."""
    if not len(data):
        yield 0.0
    for each in data:
        if isinstance(each, (str, bytes)) or not is_sequence(each):
            yield each
        else:
            yield from _leaves(each)


def _inferred(data: Any) -> mx.Dtype:
    """The dtype of the numbers in ``data``."""
    found = list[int]()
    for each in _leaves(data):
        if isinstance(each, (str, bytes)):
            raise TypeError(f"new(): invalid data type '{type(each).__name__}'")
        if not isinstance(each, _NUMBERS) and not hasattr(each, "__index__") and not hasattr(each, "__float__"):
            raise RuntimeError(f"Could not infer dtype of {type(each).__name__}")
        found.append(number_category(each) if isinstance(each, _NUMBERS) else FLOATING)
    return DEFAULTS[max(found, default=FLOATING)]


def _refuse(data: Any, sizes: Sequence[int], dim: int, kind: int) -> None:
    if dim == len(sizes):
        _check_number(data, kind)
        return
    if not is_sequence(data):
        raise TypeError("not a sequence")
    if len(data) != sizes[dim]:
        raise ValueError(f"expected sequence of length {sizes[dim]} at dim {dim} (got {len(data)})")
    for each in data:
        _refuse(each, sizes, dim + 1, kind)


def _check_number(value: Any, kind: int) -> None:
    name = type(value).__name__
    if kind >= FLOATING:
        if not isinstance(value, _NUMBERS) or (kind == FLOATING and isinstance(value, complex)):
            raise TypeError(f"must be real number, not {name}")
    elif not isinstance(value, (bool, int, float)):
        raise TypeError(f"'{name}' object cannot be interpreted as an integer")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")


def check_range(numbers: np.ndarray, data: Any, dtype: mx.Dtype) -> None:
    """Refuse what an integer dtype does not hold; ``numbers`` are NumPy's of ``data``.

    As in torch a negative int is counted from the end in a dtype without a sign, and a negative float is refused.
    """
    if dtype == mx.bool_ or numbers.dtype.kind not in "iuf" or not numbers.size:
        return
    limits = mx.iinfo(dtype)
    low = limits.min
    if not low and not any(isinstance(each, float) and each < 0 for each in _leaves([data])):
        low = -limits.max
    if not (low <= numbers.min() and numbers.max() <= limits.max):
        raise RuntimeError(f"value cannot be converted to type {name_of(dtype)} without overflow")


def unequal(arrays: Sequence[Any]) -> NoReturn:
    """Raise torch's error for arrays of several shapes in a list."""
    shapes = [list(getattr(a, "shape", ())) for a in arrays]
    first = shapes[0]
    for shape in shapes:
        for dim, (wanted, found) in enumerate(zip(first, shape, strict=False), 1):
            if wanted != found:
                raise ValueError(f"expected sequence of length {wanted} at dim {dim} (got {found})")
    raise TypeError("not a sequence")
