"""What the table of ops makes: torch's functions, and the methods of Tensor. Written by ``tests/table_stub.py``."""

from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import mlx.core as mx
import numpy as np
from typing_extensions import Self

from ..ops.reduction import MaxResult
from .tensor import Tensor

_TensorLike: TypeAlias = Tensor | mx.array
_Operand: TypeAlias = Tensor | mx.array | np.ndarray[Any, Any] | np.generic | _bool | _int | _float | complex
_Dim: TypeAlias = _int | Sequence[_int] | None

def abs(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The absolute value."""
def absolute(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The absolute value."""
def add(input: _TensorLike, other: _Operand, *, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input + alpha * other."""
def addcdiv(input: _TensorLike, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input + value * tensor1 / tensor2, of floating tensors."""
def addcmul(input: _TensorLike, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input + value * tensor1 * tensor2."""
def addmm(input: _TensorLike, mat1: _TensorLike, mat2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); in half precision rounded once."""
def all(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether every element is true; booleans, and uint8 for uint8."""
def amax(input: _TensorLike, dim: _Dim = (), keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The largest element over ``dim``."""
def amin(input: _TensorLike, dim: _Dim = (), keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The smallest element over ``dim``."""
def any(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether one element or more is true; booleans, and uint8 for uint8."""
def argmax(input: _TensorLike, dim: _int | None = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Where the largest element is along ``dim``, or among all elements in row-major order; int64."""
def argmin(input: _TensorLike, dim: _int | None = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Where the smallest element is along ``dim``, or among all elements in row-major order; int64."""
def bitwise_and(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input & other, of integers or booleans."""
def bitwise_not(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """~input, of integers or booleans."""
def bitwise_or(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input | other, of integers or booleans."""
def bitwise_xor(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input ^ other, of integers or booleans."""
def bmm(input: _TensorLike, mat2: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The products of two batches of matrices."""
def cat(tensors: Sequence[_TensorLike], dim: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along ``dim``."""
def clamp(input: _TensorLike, min: _Operand | None = None, max: _Operand | None = None, *, out: Tensor | None = None) -> Tensor:
    """min(max(input, min), max); the slope at a bound is 1."""
def clip(input: _TensorLike, min: _Operand | None = None, max: _Operand | None = None, *, out: Tensor | None = None) -> Tensor:
    """min(max(input, min), max); the slope at a bound is 1."""
def clone(input: _TensorLike, *, memory_format: Any = None) -> Tensor:
    """A copy with a storage of its own; recorded where a gradient is wanted."""
def concat(tensors: Sequence[_TensorLike], dim: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along ``dim``."""
def concatenate(tensors: Sequence[_TensorLike], dim: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along ``dim``."""
def div(input: _TensorLike, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None, out: Tensor | None = None) -> Tensor:
    """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
def divide(input: _TensorLike, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None, out: Tensor | None = None) -> Tensor:
    """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
def dot(input: _TensorLike, tensor: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors."""
def eq(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input == other, as booleans."""
def exp(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """e to the power of input, as floats."""
def fill(input: _TensorLike, value: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Every element ``value``, a number or a tensor without dimensions."""
def flatten(input: _TensorLike, start_dim: _int = 0, end_dim: _int = -1) -> Tensor:
    """The dimensions from ``start_dim`` to ``end_dim`` as one."""
def gather(input: _TensorLike, dim: _int, index: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The elements of ``input`` along ``dim`` that ``index`` names."""
def ge(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input >= other, as booleans."""
def greater(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input > other, as booleans."""
def greater_equal(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input >= other, as booleans."""
def gt(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input > other, as booleans."""
def isfinite(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether it is not NaN, inf or -inf, as booleans."""
def isinf(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether it is inf or -inf, as booleans."""
def isnan(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether it is NaN, as booleans."""
def le(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input <= other, as booleans."""
def lerp(input: _TensorLike, end: _TensorLike, weight: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input + weight (end - input), taken from the nearer side, as torch does."""
def less(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input < other, as booleans."""
def less_equal(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input <= other, as booleans."""
def log(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The natural logarithm, as floats."""
def logical_and(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether both are true; a number is true where it is not 0."""
def logical_not(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether it is false or 0."""
def logical_or(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether one or both are true; a number is true where it is not 0."""
def logical_xor(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether exactly one is true; a number is true where it is not 0."""
def lt(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input < other, as booleans."""
def matmul(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The matrix product, batched over leading dimensions; vectors are rows or columns as they must be."""
@overload
def max(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
@overload
def max(input: Tensor, dim: _int, keepdim: _bool = False, *, out: Any = None) -> MaxResult: ...
@overload
def max(input: Tensor, other: _TensorLike, *, out: Tensor | None = None) -> Tensor: ...
def maximum(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The larger of input and other; the gradient is halved where they are equal."""
def mean(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, dtype: mx.Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The mean of floating numbers."""
@overload
def min(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
@overload
def min(input: Tensor, dim: _int, keepdim: _bool = False, *, out: Any = None) -> MaxResult: ...
@overload
def min(input: Tensor, other: _TensorLike, *, out: Tensor | None = None) -> Tensor: ...
def minimum(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The smaller of input and other; the gradient is halved where they are equal."""
def mm(input: _TensorLike, mat2: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices."""
def mul(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input * other."""
def multiply(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input * other."""
def mv(input: _TensorLike, vec: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The product of a matrix and a vector."""
def narrow(input: _TensorLike, dim: _int, start: _int, length: _int) -> Tensor:
    """``length`` elements from ``start`` along ``dim``."""
def ne(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input != other, as booleans."""
def neg(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """-input."""
def negative(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """-input."""
def norm(input: _TensorLike, p: _float | str | None = "fro", dim: _Dim = None, keepdim: _bool = False, *, dtype: mx.Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """``(sum |x|^p)^(1/p)``: the largest for inf, the number of non-zeros for 0."""
def not_equal(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input != other, as booleans."""
def outer(input: _TensorLike, vec2: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors."""
def permute(input: _TensorLike, *dims: _int | Sequence[_int]) -> Tensor:
    """The dimensions in another order."""
def pow(input: _Operand, exponent: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent."""
def reciprocal(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """1 / input, as floats."""
def reshape(input: _TensorLike, *shape: _int | Sequence[_int]) -> Tensor:
    """The same elements in another shape: a view where torch has one, else a copy."""
def rsqrt(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """1 / sqrt(input), as floats."""
def select(input: _TensorLike, dim: _int, index: _int) -> Tensor:
    """The part at ``index`` along ``dim``, without that dimension."""
def sgn(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """As ``sign``; input / abs(input) of complex numbers."""
def sign(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """-1, 0 or 1, as the sign is."""
def sqrt(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The square root, as floats."""
def square(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """input * input; of booleans int64."""
def squeeze(input: _TensorLike, dim: _Dim = None) -> Tensor:
    """Without the dimensions of size one, or those of ``dim`` that are."""
def stack(tensors: Sequence[_TensorLike], dim: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors along a new dimension."""
def std(input: _TensorLike, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None, out: Tensor | None = None) -> Tensor:
    """The square root of the variance."""
def sub(input: _TensorLike, other: _Operand, *, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other."""
def subtract(input: _TensorLike, other: _Operand, *, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other."""
def sum(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, dtype: mx.Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The sum; that of integers and booleans is int64."""
def t(input: _TensorLike) -> Tensor:
    """A matrix transposed; a vector or a number as it is."""
def transpose(input: _TensorLike, dim0: _int, dim1: _int) -> Tensor:
    """Two dimensions exchanged."""
def true_divide(input: _TensorLike, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None, out: Tensor | None = None) -> Tensor:
    """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
def unsqueeze(input: _TensorLike, dim: _int) -> Tensor:
    """A new dimension of size one at ``dim``."""
def var(input: _TensorLike, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None, out: Tensor | None = None) -> Tensor:
    """sum((x - mean)^2) / max(0, n - correction); the correction is 1, or 0 with ``unbiased=False``."""
def where(condition: _TensorLike, input: _Operand, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input where condition, else other."""

class _TableMethods:
    """What the table attaches to Tensor."""

    @property
    def T(self) -> Tensor:
        """The dimensions in reverse order."""
    def __abs__(self) -> Tensor: ...
    def __add__(self, other: _Operand) -> Tensor: ...
    def __and__(self, other: _Operand) -> Tensor: ...
    def __eq__(self, other: _Operand) -> Tensor: ...  # type: ignore[override]
    def __ge__(self, other: _Operand) -> Tensor: ...
    def __getitem__(self, key: Any) -> Tensor: ...
    def __gt__(self, other: _Operand) -> Tensor: ...
    def __iadd__(self, other: _Operand) -> Self: ...
    def __iand__(self, other: _Operand) -> Self: ...
    def __imul__(self, other: _Operand) -> Self: ...
    def __invert__(self) -> Tensor: ...
    def __ior__(self, other: _Operand) -> Self: ...
    def __ipow__(self, other: _Operand) -> Self: ...
    def __isub__(self, other: _Operand) -> Self: ...
    def __itruediv__(self, other: _Operand) -> Self: ...
    def __ixor__(self, other: _Operand) -> Self: ...
    def __le__(self, other: _Operand) -> Tensor: ...
    def __lt__(self, other: _Operand) -> Tensor: ...
    def __matmul__(self, other: _Operand) -> Tensor: ...
    def __mul__(self, other: _Operand) -> Tensor: ...
    def __ne__(self, other: _Operand) -> Tensor: ...  # type: ignore[override]
    def __neg__(self) -> Tensor: ...
    def __or__(self, other: _Operand) -> Tensor: ...
    def __pos__(self) -> Tensor: ...
    def __pow__(self, other: _Operand) -> Tensor: ...
    def __radd__(self, other: _Operand) -> Tensor: ...
    def __rand__(self, other: _Operand) -> Tensor: ...
    def __rmatmul__(self, other: _Operand) -> Tensor: ...
    def __rmul__(self, other: _Operand) -> Tensor: ...
    def __ror__(self, other: _Operand) -> Tensor: ...
    def __rpow__(self, other: _Operand) -> Tensor: ...
    def __rsub__(self, other: _Operand) -> Tensor: ...
    def __rtruediv__(self, other: _Operand) -> Tensor: ...
    def __rxor__(self, other: _Operand) -> Tensor: ...
    def __setitem__(self, key: Any, value: _Operand) -> None: ...
    def __sub__(self, other: _Operand) -> Tensor: ...
    def __truediv__(self, other: _Operand) -> Tensor: ...
    def __xor__(self, other: _Operand) -> Tensor: ...
    def abs(self) -> Tensor:
        """The absolute value."""
    def abs_(self) -> Self:
        """In place, returning the Tensor itself: The absolute value."""
    def absolute(self) -> Tensor:
        """The absolute value."""
    def absolute_(self) -> Self:
        """In place, returning the Tensor itself: The absolute value."""
    def add(self, other: _Operand, *, alpha: _Operand = 1) -> Tensor:
        """input + alpha * other."""
    def add_(self, other: _Operand, *, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: input + alpha * other."""
    def addcdiv(self, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1) -> Tensor:
        """input + value * tensor1 / tensor2, of floating tensors."""
    def addcdiv_(self, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: input + value * tensor1 / tensor2, of floating tensors."""
    def addcmul(self, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1) -> Tensor:
        """input + value * tensor1 * tensor2."""
    def addcmul_(self, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: input + value * tensor1 * tensor2."""
    def addmm(self, mat1: _TensorLike, mat2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Tensor:
        """beta * input + alpha * (mat1 @ mat2); in half precision rounded once."""
    def addmm_(self, mat1: _TensorLike, mat2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: beta * input + alpha * (mat1 @ mat2); in half precision rounded once."""
    def all(self, dim: _Dim = None, keepdim: _bool = False) -> Tensor:
        """Whether every element is true; booleans, and uint8 for uint8."""
    def amax(self, dim: _Dim = (), keepdim: _bool = False) -> Tensor:
        """The largest element over ``dim``."""
    def amin(self, dim: _Dim = (), keepdim: _bool = False) -> Tensor:
        """The smallest element over ``dim``."""
    def any(self, dim: _Dim = None, keepdim: _bool = False) -> Tensor:
        """Whether one element or more is true; booleans, and uint8 for uint8."""
    def argmax(self, dim: _int | None = None, keepdim: _bool = False) -> Tensor:
        """Where the largest element is along ``dim``, or among all elements in row-major order; int64."""
    def argmin(self, dim: _int | None = None, keepdim: _bool = False) -> Tensor:
        """Where the smallest element is along ``dim``, or among all elements in row-major order; int64."""
    def bfloat16(self) -> Tensor:
        """In mlx.core.bfloat16."""
    def bitwise_and(self, other: _Operand) -> Tensor:
        """input & other, of integers or booleans."""
    def bitwise_and_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input & other, of integers or booleans."""
    def bitwise_not(self) -> Tensor:
        """~input, of integers or booleans."""
    def bitwise_not_(self) -> Self:
        """In place, returning the Tensor itself: ~input, of integers or booleans."""
    def bitwise_or(self, other: _Operand) -> Tensor:
        """input | other, of integers or booleans."""
    def bitwise_or_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input | other, of integers or booleans."""
    def bitwise_xor(self, other: _Operand) -> Tensor:
        """input ^ other, of integers or booleans."""
    def bitwise_xor_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input ^ other, of integers or booleans."""
    def bmm(self, mat2: _TensorLike) -> Tensor:
        """The products of two batches of matrices."""
    def bool(self) -> Tensor:
        """In mlx.core.bool."""
    def clamp(self, min: _Operand | None = None, max: _Operand | None = None) -> Tensor:
        """min(max(input, min), max); the slope at a bound is 1."""
    def clamp_(self, min: _Operand | None = None, max: _Operand | None = None) -> Self:
        """In place, returning the Tensor itself: min(max(input, min), max); the slope at a bound is 1."""
    def clip(self, min: _Operand | None = None, max: _Operand | None = None) -> Tensor:
        """min(max(input, min), max); the slope at a bound is 1."""
    def clip_(self, min: _Operand | None = None, max: _Operand | None = None) -> Self:
        """In place, returning the Tensor itself: min(max(input, min), max); the slope at a bound is 1."""
    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy with a storage of its own; recorded where a gradient is wanted."""
    def contiguous(self, memory_format: Any = None) -> Tensor:
        """The Tensor itself where torch would hold it in row-major order, else a copy."""
    def copy_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: The elements of ``other``, in the dtype of ``input``."""
    def cpu(self) -> Self:
        """The Tensor itself: MLX's memory is shared by all devices."""
    def div(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Tensor:
        """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def div_(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Self:
        """In place, returning the Tensor itself: input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def divide(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Tensor:
        """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def divide_(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Self:
        """In place, returning the Tensor itself: input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def dot(self, tensor: _TensorLike) -> Tensor:
        """The inner product of two vectors."""
    def double(self) -> Tensor:
        """In mlx.core.float64."""
    def eq(self, other: _Operand) -> Tensor:
        """Whether input == other, as booleans."""
    def exp(self) -> Tensor:
        """e to the power of input, as floats."""
    def exp_(self) -> Self:
        """In place, returning the Tensor itself: e to the power of input, as floats."""
    def expand(self, *sizes: _int | Sequence[_int]) -> Tensor:
        """Dimensions of size one repeated without a copy; -1 keeps a size. It cannot be written to."""
    def expand_as(self, other: Tensor) -> Tensor:
        """``input.expand`` to the shape of ``other``."""
    def fill_(self, value: _Operand) -> Self:
        """In place, returning the Tensor itself: Every element ``value``, a number or a tensor without dimensions."""
    def flatten(self, start_dim: _int = 0, end_dim: _int = -1) -> Tensor:
        """The dimensions from ``start_dim`` to ``end_dim`` as one."""
    def float(self) -> Tensor:
        """In mlx.core.float32."""
    def gather(self, dim: _int, index: _TensorLike) -> Tensor:
        """The elements of ``input`` along ``dim`` that ``index`` names."""
    def ge(self, other: _Operand) -> Tensor:
        """Whether input >= other, as booleans."""
    def greater(self, other: _Operand) -> Tensor:
        """Whether input > other, as booleans."""
    def greater_equal(self, other: _Operand) -> Tensor:
        """Whether input >= other, as booleans."""
    def gt(self, other: _Operand) -> Tensor:
        """Whether input > other, as booleans."""
    def half(self) -> Tensor:
        """In mlx.core.float16."""
    def int(self) -> Tensor:
        """In mlx.core.int32."""
    def isfinite(self) -> Tensor:
        """Whether it is not NaN, inf or -inf, as booleans."""
    def isinf(self) -> Tensor:
        """Whether it is inf or -inf, as booleans."""
    def isnan(self) -> Tensor:
        """Whether it is NaN, as booleans."""
    def le(self, other: _Operand) -> Tensor:
        """Whether input <= other, as booleans."""
    def lerp(self, end: _TensorLike, weight: _Operand) -> Tensor:
        """input + weight (end - input), taken from the nearer side, as torch does."""
    def lerp_(self, end: _TensorLike, weight: _Operand) -> Self:
        """In place, returning the Tensor itself: input + weight (end - input), taken from the nearer side, as torch does."""
    def less(self, other: _Operand) -> Tensor:
        """Whether input < other, as booleans."""
    def less_equal(self, other: _Operand) -> Tensor:
        """Whether input <= other, as booleans."""
    def log(self) -> Tensor:
        """The natural logarithm, as floats."""
    def log_(self) -> Self:
        """In place, returning the Tensor itself: The natural logarithm, as floats."""
    def logical_and(self, other: _TensorLike) -> Tensor:
        """Whether both are true; a number is true where it is not 0."""
    def logical_not(self) -> Tensor:
        """Whether it is false or 0."""
    def logical_or(self, other: _TensorLike) -> Tensor:
        """Whether one or both are true; a number is true where it is not 0."""
    def logical_xor(self, other: _TensorLike) -> Tensor:
        """Whether exactly one is true; a number is true where it is not 0."""
    def long(self) -> Tensor:
        """In mlx.core.int64."""
    def lt(self, other: _Operand) -> Tensor:
        """Whether input < other, as booleans."""
    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged."""
    def matmul(self, other: _TensorLike) -> Tensor:
        """The matrix product, batched over leading dimensions; vectors are rows or columns as they must be."""
    @overload
    def max(self, *, out: Tensor | None = None) -> Tensor: ...
    @overload
    def max(self, dim: _int, keepdim: _bool = False, *, out: Any = None) -> MaxResult: ...
    @overload
    def max(self, other: _TensorLike, *, out: Tensor | None = None) -> Tensor: ...
    def maximum(self, other: _TensorLike) -> Tensor:
        """The larger of input and other; the gradient is halved where they are equal."""
    def mean(self, dim: _Dim = None, keepdim: _bool = False, *, dtype: mx.Dtype | None = None) -> Tensor:
        """The mean of floating numbers."""
    @overload
    def min(self, *, out: Tensor | None = None) -> Tensor: ...
    @overload
    def min(self, dim: _int, keepdim: _bool = False, *, out: Any = None) -> MaxResult: ...
    @overload
    def min(self, other: _TensorLike, *, out: Tensor | None = None) -> Tensor: ...
    def minimum(self, other: _TensorLike) -> Tensor:
        """The smaller of input and other; the gradient is halved where they are equal."""
    def mm(self, mat2: _TensorLike) -> Tensor:
        """The product of two matrices."""
    def mul(self, other: _Operand) -> Tensor:
        """input * other."""
    def mul_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input * other."""
    def multiply(self, other: _Operand) -> Tensor:
        """input * other."""
    def multiply_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input * other."""
    def mv(self, vec: _TensorLike) -> Tensor:
        """The product of a matrix and a vector."""
    def narrow(self, dim: _int, start: _int, length: _int) -> Tensor:
        """``length`` elements from ``start`` along ``dim``."""
    def ne(self, other: _Operand) -> Tensor:
        """Whether input != other, as booleans."""
    def neg(self) -> Tensor:
        """-input."""
    def neg_(self) -> Self:
        """In place, returning the Tensor itself: -input."""
    def negative(self) -> Tensor:
        """-input."""
    def negative_(self) -> Self:
        """In place, returning the Tensor itself: -input."""
    def new_empty(self, *size: _int | Sequence[_int], dtype: mx.Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """Zeros of a shape in this Tensor's dtype."""
    def new_full(self, size: Sequence[_int], fill_value: _Operand, *, dtype: mx.Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """A number throughout a shape in this Tensor's dtype."""
    def new_ones(self, *size: _int | Sequence[_int], dtype: mx.Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """Ones of a shape in this Tensor's dtype."""
    def new_tensor(self, data: Any, *, dtype: mx.Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """``data`` in this Tensor's dtype."""
    def new_zeros(self, *size: _int | Sequence[_int], dtype: mx.Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """Zeros of a shape in this Tensor's dtype."""
    def norm(self, p: _float | str | None = "fro", dim: _Dim = None, keepdim: _bool = False, *, dtype: mx.Dtype | None = None) -> Tensor:
        """``(sum |x|^p)^(1/p)``: the largest for inf, the number of non-zeros for 0."""
    def not_equal(self, other: _Operand) -> Tensor:
        """Whether input != other, as booleans."""
    def outer(self, vec2: _TensorLike) -> Tensor:
        """The outer product of two vectors."""
    def permute(self, *dims: _int | Sequence[_int]) -> Tensor:
        """The dimensions in another order."""
    def pow(self, exponent: _Operand) -> Tensor:
        """input ** exponent."""
    def pow_(self, exponent: _Operand) -> Self:
        """In place, returning the Tensor itself: input ** exponent."""
    def reciprocal(self) -> Tensor:
        """1 / input, as floats."""
    def reciprocal_(self) -> Self:
        """In place, returning the Tensor itself: 1 / input, as floats."""
    def reshape(self, *shape: _int | Sequence[_int]) -> Tensor:
        """The same elements in another shape: a view where torch has one, else a copy."""
    def reshape_as(self, other: Tensor) -> Tensor:
        """``input.reshape`` in the shape of ``other``."""
    def rsqrt(self) -> Tensor:
        """1 / sqrt(input), as floats."""
    def rsqrt_(self) -> Self:
        """In place, returning the Tensor itself: 1 / sqrt(input), as floats."""
    def select(self, dim: _int, index: _int) -> Tensor:
        """The part at ``index`` along ``dim``, without that dimension."""
    def sgn(self) -> Tensor:
        """As ``sign``; input / abs(input) of complex numbers."""
    def sgn_(self) -> Self:
        """In place, returning the Tensor itself: As ``sign``; input / abs(input) of complex numbers."""
    def sign(self) -> Tensor:
        """-1, 0 or 1, as the sign is."""
    def sign_(self) -> Self:
        """In place, returning the Tensor itself: -1, 0 or 1, as the sign is."""
    def sqrt(self) -> Tensor:
        """The square root, as floats."""
    def sqrt_(self) -> Self:
        """In place, returning the Tensor itself: The square root, as floats."""
    def square(self) -> Tensor:
        """input * input; of booleans int64."""
    def square_(self) -> Self:
        """In place, returning the Tensor itself: input * input; of booleans int64."""
    def squeeze(self, dim: _Dim = None) -> Tensor:
        """Without the dimensions of size one, or those of ``dim`` that are."""
    def std(self, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None) -> Tensor:
        """The square root of the variance."""
    def sub(self, other: _Operand, *, alpha: _Operand = 1) -> Tensor:
        """input - alpha * other."""
    def sub_(self, other: _Operand, *, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: input - alpha * other."""
    def subtract(self, other: _Operand, *, alpha: _Operand = 1) -> Tensor:
        """input - alpha * other."""
    def subtract_(self, other: _Operand, *, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: input - alpha * other."""
    def sum(self, dim: _Dim = None, keepdim: _bool = False, *, dtype: mx.Dtype | None = None) -> Tensor:
        """The sum; that of integers and booleans is int64."""
    def t(self) -> Tensor:
        """A matrix transposed; a vector or a number as it is."""
    def to(self, *args: Any, dtype: mx.Dtype | None = None, device: Any = None, copy: _bool = False, **kwargs: Any) -> Tensor:
        """In another dtype, on a device, or as another Tensor; itself where nothing changes and not ``copy``."""
    def transpose(self, dim0: _int, dim1: _int) -> Tensor:
        """Two dimensions exchanged."""
    def true_divide(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Tensor:
        """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def true_divide_(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Self:
        """In place, returning the Tensor itself: input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def type_as(self, other: Tensor) -> Tensor:
        """In the dtype of ``other``."""
    def unsqueeze(self, dim: _int) -> Tensor:
        """A new dimension of size one at ``dim``."""
    def var(self, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None) -> Tensor:
        """sum((x - mean)^2) / max(0, n - correction); the correction is 1, or 0 with ``unbiased=False``."""
    def view(self, *shape: _int | Sequence[_int]) -> Tensor:
        """The same elements in another shape, without a copy: writes go both ways."""
    def view_as(self, other: Tensor) -> Tensor:
        """``input.view`` in the shape of ``other``."""
    def where(self, condition: _TensorLike, other: _Operand) -> Tensor:
        """``self`` where ``condition``, else ``other``."""
    def zero_(self) -> Self:
        """In place, returning the Tensor itself: Zeros."""
