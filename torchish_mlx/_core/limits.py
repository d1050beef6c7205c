"""``finfo`` and ``iinfo``: the numbers that a dtype can hold."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .dtypes import OF_MLX, DtypeLike, dtype, get_default_dtype, mlx_dtype
from .promotion import BOOL, INTEGER, category

#: Of a normal number: how many binary digits it has after the first one, and the least exponent; torch's resolution.
_FLOATS = {
    mx.float16: (10, -14, 1e-3),
    mx.bfloat16: (7, -126, 1e-2),
    mx.float32: (23, -126, 1e-6),
    mx.float64: (52, -1022, 1e-15),
    mx.complex64: (23, -126, 1e-6),  # of each part
}


_DEFAULT: Any = object()


class _Info:
    """What both have: a dtype, and numbers that can't be written."""

    __slots__ = ("_of",)
    _of: dtype

    @property
    def bits(self) -> int:
        """The bits of a number."""
        return 8 * self._of.itemsize

    @property
    def dtype(self) -> str:
        """The name of the dtype as text, such as ``"float32"``."""
        return str(self._of).removeprefix("torch.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Info) and type(other) is type(self) and other._of is self._of

    __hash__ = None  # type: ignore[assignment]


class finfo(_Info):
    """The numbers that a floating dtype can hold; of the default dtype if none is given, of a part of complex64.

    Attributes:
        eps: the distance from 1 to the next number.
        max: the largest number.
        min: the same below zero.
        tiny: the smallest number above zero that has all its digits.
        smallest_normal: the same number.
        resolution: about ``10**-digits``, where ``digits`` are the decimal digits that every number has.
        bits: the bits of a number.
        dtype: the name of the dtype, as text.

    Raises:
        TypeError: the dtype is not a floating one.

    Source: ``torch.finfo``.

    >>> import torchish_mlx as torch
    >>> torch.finfo(torch.float32).eps
    1.1920928955078125e-07
    """

    __slots__ = ()

    def __init__(self, type: DtypeLike = _DEFAULT) -> None:
        of = OF_MLX[mlx_dtype(get_default_dtype() if type is _DEFAULT else type, "finfo", "type", 1)]
        if of.mlx not in _FLOATS:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        self._of = of.to_real()

    @property
    def eps(self) -> float:
        """The distance from 1 to the next number."""
        return 2.0 ** -_FLOATS[self._of.mlx][0]

    @property
    def max(self) -> float:
        """The largest number."""
        digits, least, _ = _FLOATS[self._of.mlx]
        return (2.0 - 2.0**-digits) * 2.0 ** (1 - least)

    @property
    def min(self) -> float:
        """The largest number, below zero."""
        return -self.max

    @property
    def tiny(self) -> float:
        """The smallest number above zero that has all its digits."""
        return 2.0 ** _FLOATS[self._of.mlx][1]

    smallest_normal = tiny

    @property
    def resolution(self) -> float:
        """About the relative distance between two numbers, as a power of ten."""
        return _FLOATS[self._of.mlx][2]

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        numbers = ", ".join(f"{name}={getattr(self, name):g}" for name in names)
        return f"finfo({numbers}, dtype={self.dtype})"


class iinfo(_Info):
    """The numbers that an integer dtype can hold.

    Attributes:
        max: the largest number.
        min: the least number.
        bits: the bits of a number.
        dtype: the name of the dtype, as text.

    Raises:
        TypeError: the dtype is not one of integers.

    Source: ``torch.iinfo``.

    >>> import torchish_mlx as torch
    >>> torch.iinfo(torch.int8).min
    -128
    """

    __slots__ = ()

    def __init__(self, type: DtypeLike) -> None:
        of = OF_MLX[mlx_dtype(type, "iinfo", "type", 1)]
        if category(of.mlx) == BOOL:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if category(of.mlx) != INTEGER:
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        self._of = of

    @property
    def max(self) -> int:
        """The largest number."""
        return 2 ** (self.bits - self._of.is_signed) - 1

    @property
    def min(self) -> int:
        """The least number."""
        return -self.max - 1 if self._of.is_signed else 0

    def __repr__(self) -> str:
        return f"iinfo(min={float(self.min):g}, max={float(self.max):g}, dtype={self.dtype})"


for _each in (finfo, iinfo):
    _each.__module__ = "torchish_mlx"
