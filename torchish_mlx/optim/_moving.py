"""Momentum and betas of MLX's own optimizers, which read them as Python numbers, as numbers that may move.

A scheduler that cycles momentum changes it at every step, and a compiled step would be traced again each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
from mlx.optimizers import Optimizer

from ..optimizers._hyper import Decay, Each, Hyper, as_number, same

_NAMES = ("momentum", "betas")


def moving_field(native: type[Optimizer], name: str, default: Any) -> Hyper | None:
    """The field of an option that may move: one of ``momentum`` and ``betas``, in a class that MLX itself defines.

    What a user's class does with its options is unknown, and may be more than :class:`Weak` can answer.
    """
    if name not in _NAMES or not native.__module__.startswith("mlx.optimizers"):
        return None
    return _Rates(Decay(None), default) if isinstance(default, (list, tuple)) else Decay(default)


class _Rates(Each):
    """Several rates; a list stays a list, and is left as it was written where it is what the arrays hold."""

    def restore(self, carried: Any, value: Any) -> Any:
        return value if same(self.carry(value), carried) else type(value)(super().restore(carried, value))


def sign_of(value: Any) -> Any:
    """What a trace may depend on in addition to the arrays: how the numbers compare with 0."""
    if isinstance(value, (list, tuple)):
        return tuple(map(sign_of, value))
    number = as_number("option", value)
    return (number > 0) - (number < 0)


class Weak:
    """A number that behaves as a Python float among arrays, and is an array.

    It takes the dtype of what it multiplies, and ``1 - x`` is the complement that was taken in double: the results are
    those of the float, bit for bit. It can be compared with 0 only. It has no ``float()``, which would be a constant of
    the trace.
    """

    __module__ = "_moving"  # for a class of a module that begins with "torch", MLX's operations import torch

    def __init__(self, pair: tuple[Any, Any], number: float, dtype: mx.Dtype = mx.float32) -> None:
        self._array, self._complement = pair
        self._number, self._dtype = number, dtype

    def among(self, dtype: mx.Dtype) -> Weak:
        """The same number for arrays of ``dtype``, which it does not promote."""
        return Weak((self._array, self._complement), self._number, dtype)

    def __mul__(self, other: mx.array) -> mx.array:
        return self._array.astype(other.dtype) * other

    def __rsub__(self, one: Any) -> Weak:
        if one != 1:
            raise TypeError(f"only 1 - x is known of a number that moves, not {one!r} - x")
        return Weak((self._complement, self._array), 1 - self._number, self._dtype)

    def __pow__(self, exponent: mx.array) -> mx.array:
        return self._array**exponent

    def __mlx_array__(self) -> mx.array:  # array * x
        return self._array.astype(self._dtype)

    def __le__(self, other: Any) -> bool:
        if other != 0:
            raise TypeError(f"a number that moves is compared with 0 only, not with {other!r}")
        return self._number <= 0


def weak(read: Any, value: Any) -> Any:
    """The Weak, or the list of them, for what a field reads from its arrays; ``value`` is the Python value."""
    if isinstance(value, (list, tuple)):
        return [weak(pair, number) for pair, number in zip(read, value, strict=True)]
    return Weak(read, as_number("option", value))


def among(moving: Mapping[str, Any], dtype: mx.Dtype) -> dict[str, Any]:
    """Every one of ``moving`` for arrays of ``dtype``."""
    return {
        name: [x.among(dtype) for x in value] if isinstance(value, list) else value.among(dtype)
        for name, value in moving.items()
    }
