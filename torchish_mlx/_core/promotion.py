"""Torch's rules for mixing dtypes, zero-dimensional tensors and Python numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx

#: Torch's names of the scalar types, as its error messages spell them.
NAMES = {
    mx.bool_: "Bool",
    mx.uint8: "Byte",
    mx.int8: "Char",
    mx.int16: "Short",
    mx.int32: "Int",
    mx.int64: "Long",
    mx.uint16: "UInt16",
    mx.uint32: "UInt32",
    mx.uint64: "UInt64",
    mx.float16: "Half",
    mx.bfloat16: "BFloat16",
    mx.float32: "Float",
    mx.float64: "Double",
    mx.complex64: "ComplexFloat",
}
#: What C++ calls the scalar types, as other messages of torch do.
IN_C = {
    mx.bool_: "bool",
    mx.uint8: "unsigned char",
    mx.int8: "signed char",
    mx.int16: "short int",
    mx.int32: "int",
    mx.int64: "long int",
    mx.uint16: "short unsigned int",
    mx.uint32: "unsigned int",
    mx.uint64: "long unsigned int",
    mx.float16: "c10::Half",
    mx.bfloat16: "c10::BFloat16",
    mx.float32: "float",
    mx.float64: "double",
    mx.complex64: "c10::complex<float>",
}
BOOL, INTEGER, FLOATING, COMPLEX = range(4)
HALVES = frozenset((mx.float16, mx.bfloat16))
FLOATS = frozenset((mx.float16, mx.bfloat16, mx.float32, mx.float64))
INEXACT = FLOATS | {mx.complex64}
_WIDE_UNSIGNED = frozenset((mx.uint16, mx.uint32, mx.uint64))
#: The dtype that a Python number of a category makes of a tensor of a lower one; ``set_default_dtype`` changes it.
DEFAULTS = {BOOL: mx.bool_, INTEGER: mx.int64, FLOATING: mx.float32, COMPLEX: mx.complex64}

Operand = Any  # an mx.array or a Python number


def name_of(dtype: mx.Dtype) -> str:
    """What MLX calls a dtype: ``float32``, ``bool``."""
    return str(dtype).rpartition(".")[2]


def dtype_named(name: str) -> mx.Dtype:
    """The dtype that MLX calls ``name``."""
    found: mx.Dtype = mx.bool_ if name == "bool" else getattr(mx, name)
    return found


def category(dtype: mx.Dtype) -> int:
    """BOOL, INTEGER, FLOATING or COMPLEX; torch promotes across these first."""
    if dtype in FLOATS:
        return FLOATING
    if dtype == mx.bool_:
        return BOOL
    return COMPLEX if dtype == mx.complex64 else INTEGER


def number_category(value: Any) -> int:
    """The category of a Python number."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INTEGER
    return COMPLEX if isinstance(value, complex) else FLOATING


def _higher(a: mx.Dtype | None, b: mx.Dtype) -> mx.Dtype:
    if a is None or a == b:
        return b
    if (a in _WIDE_UNSIGNED or b in _WIDE_UNSIGNED) and not (a in FLOATS or b in FLOATS):
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{NAMES[a]} and {NAMES[b]}"
        )
    return mx.result_type(mx.zeros((), a), mx.zeros((), b))


#: The common dtype of two; of the second one where the first is None. RuntimeError where torch has none.
promoted = functools.cache(_higher)


def result_type(*operands: Operand) -> mx.Dtype:
    """The dtype of an operation on arrays and numbers, by torch's rule.

    Among arrays with dimensions the usual promotion; a zero-dimensional array counts only if its category
    (bool, integer, floating, complex) is higher, a Python number only if its is higher still.
    """
    dim: mx.Dtype | None = None
    zero: mx.Dtype | None = None
    number: mx.Dtype | None = None
    for operand in operands:
        if not isinstance(operand, mx.array):
            number = promoted(number, DEFAULTS[number_category(operand)])
        elif operand.ndim:
            dim = promoted(dim, operand.dtype)
        else:
            zero = promoted(zero, operand.dtype)
    return _combined(_combined(dim, zero), number) or DEFAULTS[FLOATING]


@functools.cache
def _combined(higher: mx.Dtype | None, lower: mx.Dtype | None) -> mx.Dtype | None:
    if higher is None or lower is None:
        return lower if higher is None else higher
    if category(lower) <= category(higher):
        return higher
    return lower if lower == mx.complex64 else promoted(higher, lower)  # torch asks no more of a complex one


#: What torch's messages call the types of numbers that may be too large for a tensor.
_OF_NUMBERS = {
    mx.uint8: "uint8_t",
    mx.int8: "int8_t",
    mx.int16: "int16_t",
    mx.int32: "int",
    mx.int64: "int64_t",
    mx.float16: "c10::Half",
    mx.bfloat16: "c10::BFloat16",
    mx.float32: "float",
    mx.float64: "double",
}


def _overflows(value: Any, dtype: mx.Dtype) -> bool:
    if isinstance(value, complex):
        if value.imag:
            return True
        value = value.real
    if math.isnan(value) or (math.isinf(value) and dtype in FLOATS):
        return False
    limits = mx.finfo(dtype) if dtype in FLOATS else mx.iinfo(dtype)
    low = limits.min if limits.min else -limits.max  # numbers below 0 are counted from the end in unsigned types
    return not low <= value <= limits.max


def stored(value: Operand, dtype: mx.Dtype) -> mx.array:
    """``value`` as it is written into an array of ``dtype``; RuntimeError for a number that is too large for it."""
    if not isinstance(value, mx.array) and dtype in _OF_NUMBERS and _overflows(value, dtype):
        raise RuntimeError(f"value cannot be converted to type {_OF_NUMBERS[dtype]} without overflow")
    if isinstance(value, complex) and dtype != mx.complex64:
        value = value.real
    if dtype in FLOATS or dtype in (mx.bool_, mx.complex64) or isinstance(value, mx.array):
        return cast(value, dtype)
    whole: Any = value
    return mx.array(int(whole), mx.int64).astype(dtype)


def added_dtype(dtype: mx.Dtype) -> mx.Dtype:
    """The dtype in which many elements are added or multiplied into few: counts for booleans, float32 for halves."""
    if dtype == mx.bool_:
        return mx.int32
    return mx.float32 if dtype in HALVES else dtype


def compute(fn: Callable[..., mx.array], *operands: Operand, wide: bool = False) -> mx.array:
    """``fn`` of the operands in their common dtype.

    In half precision the arithmetic is done in float32 and rounded once, as torch does, where it could make
    a difference: when an operand is a number or of another dtype, and always with ``wide`` (for formulas of
    more than one operation).
    """
    first = operands[0]
    if isinstance(first, mx.array):
        dtype = first.dtype
        for other in operands[1:]:
            if not isinstance(other, mx.array) or other.dtype != dtype:
                break
        else:
            if not (wide and dtype in HALVES):
                return fn(*operands)
            return fn(*[x.astype(mx.float32) for x in operands]).astype(dtype)
    dtype = result_type(*operands)
    if dtype in HALVES:
        return fn(*[cast(x, mx.float32) for x in operands]).astype(dtype)
    return fn(*[cast(x, dtype) for x in operands])


def cast(x: Operand, dtype: mx.Dtype) -> mx.array:
    """An array of ``dtype`` from an array or a number."""
    if isinstance(x, mx.array):
        return x if x.dtype == dtype else x.astype(dtype)
    return mx.array(x, dtype)


def compare(fn: Callable[..., mx.array], *operands: Operand) -> mx.array:
    """``fn`` of the operands rounded to their common dtype, half precision included."""
    dtype = result_type(*operands)
    return fn(*[cast(x, dtype) for x in operands])


def floating(x: mx.array) -> mx.array:
    """``x``, or its copy in the default dtype where it holds integers or booleans."""
    return x if x.dtype in INEXACT else x.astype(DEFAULTS[FLOATING])


def widened(x: mx.array) -> mx.array:
    """``x``, or its float32 copy where it holds halves."""
    return x.astype(mx.float32) if x.dtype in HALVES else x


def summed_dtype(dtype: mx.Dtype) -> mx.Dtype:
    """The dtype of a sum or a product: integers and booleans give int64."""
    return dtype if dtype in INEXACT else mx.int64
