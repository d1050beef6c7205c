"""What many modules have in common: sizes for each axis, what ``repr`` says, and how weights begin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .. import init

#: One number for all axes of an image, or one for each.
Sizes = int | tuple[int, ...]


def each(value: Any, n: int) -> tuple[Any, ...]:
    """``n`` numbers: one number for all of them, or the numbers that were given.

    >>> each(3, 2), each([1, 2], 2)
    ((3, 3), (1, 2))
    """
    return tuple(value) if isinstance(value, Iterable) else (value,) * n


def said(module: Any, *names: str) -> str:
    """Attributes as ``repr`` shows them: ``name=value, name=value``."""
    return ", ".join(f"{name}={getattr(module, name)}" for name in names)


def begin(weight: Any, bias: Any) -> None:
    """Draw weight and bias from U(-b, b), where b is 1 / sqrt(fan_in), as linear maps and convolutions begin."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = init._calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)


def inplace(module: Any) -> str:
    """What ``repr`` says of a module that overwrites its input."""
    return ", inplace=True" if module.inplace else ""
