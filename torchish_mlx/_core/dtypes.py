"""Torch's dtype objects, and the way between them and MLX's, which the arrays have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import mlx.core as mx

from .promotion import DEFAULTS, FLOATING, FLOATS, INEXACT, NAMES, name_of

# MLX's ``==`` is False for whatever is no Dtype, but Python asks an object of a class derived from it first: so
# ``mx.float32 == torch.float32`` holds too, and sets and dicts of the ones find the others. The part of the object that
# is MLX's stays empty. MLX refuses it with a TypeError, and type checkers see a class of its own, which they refuse.
if TYPE_CHECKING:

    class _Base: ...
else:
    _Base = mx.Dtype

_UNSIGNED = (mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64)
_TO_COMPLEX = {mx.bfloat16: mx.complex64, mx.float32: mx.complex64, mx.complex64: mx.complex64}


class dtype(_Base):
    """The type of a Tensor's elements: ``torchish_mlx.float32`` and the like, one object for each.

    It equals MLX's dtype, from both sides, and is accepted wherever MLX's is accepted here. MLX's own functions take
    their own dtypes only: give them ``dtype.mlx``, or ``tensor.array.dtype``.

    Source: ``torch.dtype``.

    >>> import mlx.core as mx
    >>> import torchish_mlx as torch
    >>> torch.float32, torch.float32 == mx.float32, mx.float32 == torch.float32
    (torch.float32, True, True)
    >>> mx.zeros(2, dtype=torch.float16.mlx).dtype
    mlx.core.float16
    """

    __slots__ = ("_hash", "_mlx", "_name")
    _hash: int
    _mlx: mx.Dtype
    _name: str

    def __new__(cls, *_: object, **__: object) -> dtype:
        raise TypeError("cannot create 'torch.dtype' instances")

    def __init_subclass__(cls, **_: object) -> NoReturn:
        raise TypeError("type 'torch.dtype' is not an acceptable base type")

    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise AttributeError(f"'torch.dtype' object has no attribute {name!r}, or it can't be written")

    @property
    def mlx(self) -> mx.Dtype:
        """MLX's dtype, for MLX's own functions."""
        return self._mlx

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return self._mlx.size

    size = itemsize  # MLX's name

    @property
    def is_floating_point(self) -> bool:
        """Whether the elements are real floating point numbers."""
        return self._mlx in FLOATS

    @property
    def is_complex(self) -> bool:
        """Whether the elements are complex numbers."""
        return self._mlx == mx.complex64

    @property
    def is_signed(self) -> bool:
        """Whether the elements may be negative."""
        return self._mlx not in _UNSIGNED

    def to_real(self) -> dtype:
        """The dtype of the real part: float32 for complex64, and every other dtype itself."""
        return float32 if self.is_complex else self

    def to_complex(self) -> dtype:
        """The dtype of complex numbers with parts of this dtype.

        Raises:
            RuntimeError: integers and booleans, as in torch; float16 and float64, whose complex dtypes MLX has not.
        """
        if self._mlx not in INEXACT:
            raise RuntimeError(f"Unknown Complex ScalarType for {NAMES[self._mlx]}")
        if self._mlx not in _TO_COMPLEX:
            raise RuntimeError(f"MLX has no complex dtype with parts of {self}: use complex64")
        return complex64

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is mx.Dtype and self._mlx == other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    __str__ = __repr__

    def __reduce__(self) -> str:
        return self._name  # a name in the package: a copy or a loaded pickle is the object itself

    def __reduce_ex__(self, _: Any) -> str:
        return self._name


dtype.__module__ = "torchish_mlx"

DtypeLike: TypeAlias = "dtype | mx.Dtype | type[bool | int | float]"  #: what is accepted as a dtype


def _made(mlx: mx.Dtype) -> dtype:
    of: Any = dtype
    made: dtype = mx.Dtype.__new__(of)
    for name, value in {"_mlx": mlx, "_name": name_of(mlx), "_hash": hash(mlx)}.items():
        object.__setattr__(made, name, value)
    return made


float16, bfloat16, float32, float64 = map(_made, (mx.float16, mx.bfloat16, mx.float32, mx.float64))
complex64 = _made(mx.complex64)
int8, int16, int32, int64 = map(_made, (mx.int8, mx.int16, mx.int32, mx.int64))
uint8, uint16, uint32, uint64 = map(_made, (mx.uint8, mx.uint16, mx.uint32, mx.uint64))
bool_ = _made(mx.bool_)

DTYPES = (
    *(float16, bfloat16, float32, float64, complex64),
    *(int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool_),
)
#: Torch's dtype for each of MLX's.
OF_MLX = {each.mlx: each for each in DTYPES}
_OF_PYTHON: dict[Any, mx.Dtype] = {bool: mx.bool_, int: mx.int64, float: mx.float64}


def mlx_dtype(given: Any, function: str, argument: str = "dtype", position: int = 0) -> Any:
    """MLX's dtype for one of torch or MLX, or for Python's ``float``, ``int`` or ``bool``; None stays None.

    ``position`` is that of an argument that must be given, for the message, and None is refused there.

    Raises:
        TypeError: in torch's words, for anything else that was given to ``function``.
    """
    if given is None and not position:
        return None
    if type(given) is dtype:
        return given.mlx
    if type(given) is mx.Dtype:
        return given
    if isinstance(given, type) and given in _OF_PYTHON:
        return _OF_PYTHON[given]
    if given is complex:
        raise TypeError(f"{function}(): complex is torch's complex128, which MLX has not: give complex64")
    where = f"{argument!r} (position {position})" if position else repr(argument)
    raise TypeError(f"{function}(): argument {where} must be torch.dtype, not {type(given).__name__}")


# The default --------------------------------------------------------------------------------------------------------


def get_default_dtype() -> dtype:
    """The dtype of Python's floats, and of what integers become where a result is a floating one.

    Source: ``torch.get_default_dtype``.
    """
    return OF_MLX[DEFAULTS[FLOATING]]


def set_default_dtype(d: DtypeLike) -> None:
    """Set the dtype of ``tensor(1.5)``, ``zeros(2)``, ``Tensor(2)``, and of ``tensor(1) / 2``; at the start float32.

    Python's complex numbers stay complex64, the only complex dtype that MLX has. (In torch they follow: complex128
    with float64, and an error with bfloat16.)

    Raises:
        TypeError: ``d`` is no floating dtype.

    Source: ``torch.set_default_dtype``.
    """
    if not isinstance(d, mx.Dtype):
        raise TypeError("invalid dtype object: only floating-point types are supported as the default type")
    given = mlx_dtype(d, "set_default_dtype")
    if given not in FLOATS:
        raise TypeError("only floating-point types are supported as the default type")
    DEFAULTS[FLOATING] = given
