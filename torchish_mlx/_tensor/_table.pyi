"""What the table of ops makes: torch's functions, and the methods of Tensor. Written by ``tests/table_stub.py``."""

from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import mlx.core as mx
import numpy as np
from typing_extensions import Self

from .._core.dtypes import DtypeLike as _Dtype
from ..ops.dropout import DropoutResult
from ..ops.reduction import MaxResult
from ..random.generator import Generator
from .tensor import Tensor

_TensorLike: TypeAlias = Tensor | mx.array
_Operand: TypeAlias = Tensor | mx.array | np.ndarray[Any, Any] | np.generic | _bool | _int | _float | complex
_Dim: TypeAlias = _int | Sequence[_int] | None

def abs(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The absolute value."""
def absolute(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The absolute value."""
def acos(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the cosine."""
def acosh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the hyperbolic cosine."""
def adaptive_avg_pool1d(input: _TensorLike, output_size: Any) -> Tensor:
    """The mean of each of ``output_size`` windows along each of the last 1 of the sizes."""
def adaptive_max_pool1d(input: _TensorLike, output_size: Any) -> Tensor:
    """The largest of each of ``output_size`` windows along each of the last 1 of the sizes."""
def add(input: _TensorLike, other: _Operand, *, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input + alpha * other."""
def addbmm(input: _TensorLike, batch1: _TensorLike, batch2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * the sum of the products batch1 @ batch2; in half precision rounded once."""
def addcdiv(input: _TensorLike, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input + value * tensor1 / tensor2, of floating tensors."""
def addcmul(input: _TensorLike, tensor1: _TensorLike, tensor2: _TensorLike, *, value: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input + value * tensor1 * tensor2."""
def addmm(input: _TensorLike, mat1: _TensorLike, mat2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); in half precision rounded once."""
def addmv(input: _TensorLike, mat: _TensorLike, vec: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (mat @ vec); in half precision rounded once."""
def addr(input: _TensorLike, vec1: _TensorLike, vec2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (the outer product of vec1 and vec2)."""
def all(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether every element is true; booleans, and uint8 for uint8."""
def allclose(input: _TensorLike, other: _TensorLike, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False) -> _bool:
    """Whether all elements are close, as a bool of Python: see ``isclose``."""
def alpha_dropout(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """Dropout for SELU: the value that SELU has far below 0 in place of 0, and a mean and a variance that stay."""
def alpha_dropout_(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """``alpha_dropout`` in the memory of ``input``, which is returned."""
def amax(input: _TensorLike, dim: _Dim = (), keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The largest element over ``dim``."""
def amin(input: _TensorLike, dim: _Dim = (), keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The smallest element over ``dim``."""
def aminmax(input: _TensorLike, *, dim: _Dim = None, keepdim: _bool = False, out: Tensor | None = None) -> Tensor:
    """The smallest and the largest element over ``dim``, or of all."""
def any(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether one element or more is true; booleans, and uint8 for uint8."""
def arccos(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the cosine."""
def arccosh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the hyperbolic cosine."""
def arcsin(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the sine."""
def arcsinh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the hyperbolic sine."""
def arctan(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the tangent."""
def arctan2(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The angle of the point (other, input), between -pi and pi."""
def arctanh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the hyperbolic tangent."""
def argmax(input: _TensorLike, dim: _int | None = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Where the largest element is along ``dim``, or among all elements in row-major order; int64."""
def argmin(input: _TensorLike, dim: _int | None = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """Where the smallest element is along ``dim``, or among all elements in row-major order; int64."""
def argsort(input: _TensorLike, dim: _Dim = -1, descending: _bool = False, *, stable: _bool = False, out: Tensor | None = None) -> Tensor:
    """Where the elements are in their order along ``dim``, int64; the order is always stable."""
def argwhere(input: _TensorLike) -> Tensor:
    """The indices of the elements that are not zero, a row for each."""
def asin(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the sine."""
def asinh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the hyperbolic sine."""
def atan(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the tangent."""
def atan2(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The angle of the point (other, input), between -pi and pi."""
def atanh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the hyperbolic tangent."""
def atleast_1d(*tensors: Sequence[_TensorLike]) -> Tensor:
    """Tensors with one dimension or more: numbers become vectors."""
def atleast_2d(*tensors: Sequence[_TensorLike]) -> Tensor:
    """Tensors with two dimensions or more: new ones of size one are in front."""
def atleast_3d(*tensors: Sequence[_TensorLike]) -> Tensor:
    """Tensors with three dimensions or more: a vector is the middle one, a matrix the first two."""
def avg_pool1d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = (), padding: _int | Sequence[_int] = 0, ceil_mode: _bool = False, count_include_pad: _bool = True) -> Tensor:
    """The mean of each window of the last 1 of the sizes."""
def baddbmm(input: _TensorLike, batch1: _TensorLike, batch2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), matrix by matrix; in half precision rounded once."""
def batch_norm(input: _TensorLike, weight: _TensorLike | None, bias: _TensorLike | None, running_mean: _TensorLike | None, running_var: _TensorLike | None, training: _bool, momentum: _float, eps: _float, cudnn_enabled: _bool) -> Tensor:
    """Mean 0 and variance 1 of each channel over the batch, or by the running ones; times weight, plus bias."""
def bernoulli(input: _TensorLike, p: _float | None = None, *, generator: Generator | None = None, out: Tensor | None = None) -> Tensor:
    """1 with a probability, else 0: the probabilities are ``input``, or all are ``p``. The gradient is 0."""
def bilinear(input1: _TensorLike, input2: _TensorLike, weight: _Operand, bias: _TensorLike | None = None) -> Tensor:
    """The sum of input1[i] * weight[o, i, j] * input2[j] over i and j, plus bias."""
def bincount(input: _TensorLike, weights: _TensorLike | None = None, minlength: _int = 0) -> Tensor:
    """How often each number from 0 on is in ``input``, or the sum of its weights."""
def bitwise_and(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input & other, of integers or booleans."""
def bitwise_left_shift(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Input with its bits moved to the left by other places; 0 where other is negative or all the bits are gone."""
def bitwise_not(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """~input, of integers or booleans."""
def bitwise_or(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input | other, of integers or booleans."""
def bitwise_right_shift(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Input with its bits moved to the right by other places; 0 or -1 where other is negative or all bits are gone."""
def bitwise_xor(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input ^ other, of integers or booleans."""
def block_diag(*tensors: Sequence[_TensorLike]) -> Tensor:
    """The matrices along the diagonal of a matrix of zeros."""
def bmm(input: _TensorLike, mat2: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The products of two batches of matrices."""
def broadcast_tensors(*tensors: Sequence[_TensorLike]) -> Tensor:
    """The tensors, each expanded to the shape to which all broadcast; one that has it already is itself."""
def broadcast_to(input: _TensorLike, *size: _int | Sequence[_int], **named: Any) -> Tensor:
    """Dimensions of size one repeated without a copy, as ``expand`` does."""
def bucketize(input: _TensorLike, boundaries: _TensorLike, *, out_int32: _bool = False, right: _bool = False, out: Tensor | None = None) -> Tensor:
    """How many of the sorted ``boundaries`` are less than each element, or not greater if ``right``."""
def cartesian_prod(*tensors: Sequence[_TensorLike]) -> Tensor:
    """All combinations of one element of each vector, as rows; of one vector the vector itself."""
def cat(tensors: Sequence[_TensorLike], dim: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along ``dim``."""
def cdist(x1: _TensorLike, x2: _TensorLike, p: _float | str | None = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm of the difference of each row of x1 and each row of x2."""
def ceil(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The smallest whole number that is not below input."""
def celu(input: _TensorLike, alpha: _Operand = 1.0) -> Tensor:
    """input where it is positive, else alpha * (exp(input / alpha) - 1)."""
def celu_(input: _TensorLike, alpha: _Operand = 1.0) -> Tensor:
    """In place, returning the Tensor itself: input where it is positive, else alpha * (exp(input / alpha) - 1)."""
def chain_matmul(*matrices: _TensorLike, out: Tensor | None = None) -> Tensor:
    """The product of several matrices."""
def channel_shuffle(input: _TensorLike, groups: _int) -> Tensor:
    """The channels in another order: the first of each group, then the second of each, and so on."""
def chunk(input: _TensorLike, chunks: _int, dim: _Dim = 0) -> Tensor:
    """At most ``chunks`` views of one size along ``dim``, the last one of what is left."""
def clamp(input: _TensorLike, min: _Operand | None = None, max: _Operand | None = None, *, out: Tensor | None = None) -> Tensor:
    """min(max(input, min), max); the slope at a bound is 1."""
def clamp_max(input: _TensorLike, max: _Operand | None, *, out: Tensor | None = None) -> Tensor:
    """The smaller of input and ``max``; the slope of input is 1 where they are equal."""
def clamp_min(input: _TensorLike, min: _Operand | None, *, out: Tensor | None = None) -> Tensor:
    """The larger of input and ``min``; the slope of input is 1 where they are equal."""
def clip(input: _TensorLike, min: _Operand | None = None, max: _Operand | None = None, *, out: Tensor | None = None) -> Tensor:
    """min(max(input, min), max); the slope at a bound is 1."""
def clone(input: _TensorLike, *, memory_format: Any = None) -> Tensor:
    """A copy with a storage of its own; recorded where a gradient is wanted."""
def column_stack(tensors: Sequence[_TensorLike], *, out: Tensor | None = None) -> Tensor:
    """The tensors next to each other, where vectors are columns."""
def combinations(input: _TensorLike, r: _int = 2, with_replacement: _bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector in order, as rows."""
def concat(tensors: Sequence[_TensorLike], dim: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along ``dim``."""
def concatenate(tensors: Sequence[_TensorLike], dim: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after the other along ``dim``."""
def conv1d(input: _TensorLike, weight: _Operand, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] | str = 0, dilation: _int | Sequence[_int] = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight`` over its last 1 sizes, plus ``bias``."""
def conv2d(input: _TensorLike, weight: _Operand, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] | str = 0, dilation: _int | Sequence[_int] = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight`` over its last 2 sizes, plus ``bias``."""
def conv3d(input: _TensorLike, weight: _Operand, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] | str = 0, dilation: _int | Sequence[_int] = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight`` over its last 3 sizes, plus ``bias``."""
def conv_tbc(input: _TensorLike, weight: _Operand, bias: _TensorLike, pad: _int = 0) -> Tensor:
    """``conv1d`` of ``input`` (l, n, in), whose time is first, with ``weight`` (kernel, in, out), plus ``bias``."""
def conv_transpose1d(input: _TensorLike, weight: _Operand, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, output_padding: _int | Sequence[_int] = 0, groups: _int = 1, dilation: _int | Sequence[_int] = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv1d`` is, plus ``bias``."""
def conv_transpose2d(input: _TensorLike, weight: _Operand, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, output_padding: _int | Sequence[_int] = 0, groups: _int = 1, dilation: _int | Sequence[_int] = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv2d`` is, plus ``bias``."""
def conv_transpose3d(input: _TensorLike, weight: _Operand, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, output_padding: _int | Sequence[_int] = 0, groups: _int = 1, dilation: _int | Sequence[_int] = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv3d`` is, plus ``bias``."""
def copysign(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The size of input with the sign of other, as floats."""
def corrcoef(input: _TensorLike) -> Tensor:
    """The correlation coefficients of the rows, whose columns are observations."""
def cos(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The cosine."""
def cosh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic cosine."""
def cosine_similarity(x1: _TensorLike, x2: _TensorLike, dim: _Dim = 1, eps: _float = 1e-08) -> Tensor:
    """The cosine of the angle between the vectors along ``dim``; a length is at least ``eps``."""
def count_nonzero(input: _TensorLike, *dim: _Dim, **given: Any) -> Tensor:
    """The number of elements that are not zero, over ``dim``, one or several; over all by default."""
def cov(input: _TensorLike, *, correction: _float | None = 1, fweights: _TensorLike | None = None, aweights: _TensorLike | None = None) -> Tensor:
    """The covariances of the rows, whose columns are observations."""
def cross(input: _TensorLike, other: _Operand, dim: _Dim = None, *, out: Tensor | None = None) -> Tensor:
    """The cross product of the vectors of three along ``dim``, by default the first dimension of size 3."""
def cummax(input: _TensorLike, dim: _Dim, *, out: Tensor | None = None) -> Tensor:
    """The largest element up to each along ``dim``, and where the last such element is."""
def cummin(input: _TensorLike, dim: _Dim, *, out: Tensor | None = None) -> Tensor:
    """The smallest element up to each along ``dim``, and where the last such element is."""
def cumprod(input: _TensorLike, dim: _Dim, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The products of the elements up to each along ``dim``; those of integers and booleans are int64."""
def cumsum(input: _TensorLike, dim: _Dim, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The sums of the elements up to each along ``dim``; those of integers and booleans are int64."""
def cumulative_trapezoid(y: _TensorLike, x: _TensorLike | None = None, *, dx: _float = 1, dim: _Dim = -1) -> Tensor:
    """The areas under the samples ``y`` up to each along ``dim``, by the trapezoidal rule."""
def deg2rad(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """An angle in degrees as radians."""
def diag(input: _TensorLike, diagonal: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """A vector as the diagonal of a matrix of zeros; of a matrix a copy of its diagonal."""
def diag_embed(input: _TensorLike, offset: _int = 0, dim1: _int = -2, dim2: _int = -1) -> Tensor:
    """The last dimension as the diagonal of two dimensions, with zeros around it."""
def diagflat(input: _TensorLike, offset: _int = 0) -> Tensor:
    """All elements as the diagonal of a matrix of zeros."""
def diagonal(input: _TensorLike, offset: _int = 0, dim1: _int = 0, dim2: _int = 1) -> Tensor:
    """The diagonal of two dimensions as the last one, ``offset`` places above the main one."""
def diagonal_scatter(input: _TensorLike, src: _TensorLike, offset: _int = 0, dim1: _int = 0, dim2: _int = 1) -> Tensor:
    """A copy of ``input`` with ``src`` in the place of a diagonal."""
def diff(input: _TensorLike, n: _int = 1, dim: _Dim = -1, prepend: _TensorLike | None = None, append: _TensorLike | None = None, *, out: Tensor | None = None) -> Tensor:
    """The differences of neighbours along ``dim``, taken ``n`` times; exclusive or of booleans."""
def digamma(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The derivative of ``lgamma``; NaN at negative whole numbers, and infinite at 0."""
def dist(input: _TensorLike, other: _Operand, p: _float | str | None = 2) -> Tensor:
    """The p-norm of the difference of two tensors."""
def div(input: _TensorLike, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None, out: Tensor | None = None) -> Tensor:
    """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
def divide(input: _TensorLike, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None, out: Tensor | None = None) -> Tensor:
    """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
def dot(input: _TensorLike, tensor: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors."""
def dropout(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """Elements set to 0 with probability ``p``, the others times 1 / (1 - p); ``input`` itself without ``train``."""
def dropout_(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """``dropout`` in the memory of ``input``, which is returned."""
def dsplit(input: _TensorLike, *indices: Any, **given: Any) -> Tensor:
    """``tensor_split`` along dimension 2, of a size that the number of parts divides."""
def dstack(tensors: Sequence[_TensorLike], *, out: Tensor | None = None) -> Tensor:
    """The tensors behind each other: along the third dimension."""
def embedding(weight: _TensorLike, indices: _TensorLike, padding_idx: _int = -1, scale_grad_by_freq: _bool = False, sparse: _bool = False) -> Tensor:
    """The rows of a matrix that ``indices`` name; the row ``padding_idx`` gets no gradient."""
def eq(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input == other, as booleans."""
def equal(input: _TensorLike, other: _TensorLike) -> _bool:
    """Whether both have the same shape and the same elements, as a bool of Python."""
def erf(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
def erfc(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """1 - erf(input), which is exact where that is small too."""
def erfinv(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the error function; inf at 1, and NaN beyond."""
def exp(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """e to the power of input, as floats."""
def exp2(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """2 to the power of input, as floats."""
def expm1(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """exp(input) - 1, which is exact near 0 too."""
def feature_alpha_dropout(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """``alpha_dropout`` of whole channels."""
def feature_alpha_dropout_(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """``feature_alpha_dropout`` in the memory of ``input``, which is returned."""
def feature_dropout(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """``dropout`` of whole channels: of all elements with the same place in the first two dimensions."""
def feature_dropout_(input: _TensorLike, p: _float, train: _bool) -> Tensor:
    """``feature_dropout`` in the memory of ``input``, which is returned."""
def fill(input: _TensorLike, value: _Operand) -> Tensor:
    """Every element ``value``, a number or a tensor without dimensions."""
def fix(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The whole number next to input on the side of zero."""
def flatten(input: _TensorLike, start_dim: _int = 0, end_dim: _int = -1) -> Tensor:
    """The dimensions from ``start_dim`` to ``end_dim`` as one."""
def flip(input: _TensorLike, *dims: _int | Sequence[_int], **named: Any) -> Tensor:
    """The elements in reverse order along ``dims``, as a copy."""
def fliplr(input: _TensorLike) -> Tensor:
    """The elements in reverse order along the second dimension."""
def flipud(input: _TensorLike) -> Tensor:
    """The elements in reverse order along the first dimension."""
def float_power(input: _Operand, exponent: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent in float64, or in complex64 where one of them is complex. MLX has float64 on the CPU only."""
def floor(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The largest whole number that is not above input."""
def floor_divide(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input / other, rounded down; there is no derivative."""
def fmax(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The larger of input and other, and the one that is a number where the other one is NaN."""
def fmin(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The smaller of input and other, and the one that is a number where the other one is NaN."""
def fmod(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """What is left of input by a division that is rounded towards zero; it has the sign of input."""
def frac(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """What is left of input without its whole part; it has the sign of input."""
def gather(input: _TensorLike, dim: _int, index: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The elements of ``input`` along ``dim`` that ``index`` names."""
def gcd(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The greatest common divisor of integers."""
def ge(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input >= other, as booleans."""
def ger(input: _TensorLike, vec2: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors."""
def greater(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input > other, as booleans."""
def greater_equal(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input >= other, as booleans."""
def group_norm(input: _TensorLike, num_groups: _int, weight: _TensorLike | None = None, bias: _TensorLike | None = None, eps: _float = 1e-05, cudnn_enabled: _bool = True) -> Tensor:
    """Mean 0 and variance 1 over each group of channels of each sample; times weight, plus bias, by channel."""
def gru(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """The output and the last state of layers of gated recurrent units, one over the other."""
def gru_cell(input: _TensorLike, hx: _TensorLike, w_ih: _TensorLike, w_hh: _TensorLike, b_ih: _TensorLike | None = None, b_hh: _TensorLike | None = None) -> Tensor:
    """One step of ``gru``. Errors as ``rnn_tanh_cell``."""
def gt(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input > other, as booleans."""
def hardshrink(input: _TensorLike, lambd: _float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """input where its size is larger than ``lambd``, else 0."""
def heaviside(input: _TensorLike, values: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """0 where input is negative or NaN, 1 where it is positive, ``values`` where it is 0; no derivative."""
def histc(input: _TensorLike, bins: _int = 100, min: _Operand | None = 0, max: _Operand | None = 0, *, out: Tensor | None = None) -> Tensor:
    """How many elements are in each of ``bins`` equal parts from ``min`` to ``max``, or from the least to the most."""
def hsplit(input: _TensorLike, *indices: Any, **given: Any) -> Tensor:
    """``tensor_split`` along dimension 1, of a size that the number of parts divides."""
def hstack(tensors: Sequence[_TensorLike], *, out: Tensor | None = None) -> Tensor:
    """The tensors next to each other: along the second dimension, or the first of vectors."""
def hypot(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """sqrt(input^2 + other^2), without an overflow of the squares."""
def index_add(input: _TensorLike, dim: _Dim, index: _TensorLike, source: _TensorLike, *, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """``input`` with alpha times the parts of ``source`` added along ``dim`` at the places of ``index``."""
def index_copy(input: _TensorLike, dim: _Dim, index: _TensorLike, source: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """``input`` with the parts along ``dim`` at the places of ``index`` replaced by those of ``source``."""
def index_fill(input: _TensorLike, dim: _Dim, index: _TensorLike, value: _Operand) -> Tensor:
    """``input`` with ``value``, a number or a tensor without dimensions, along ``dim`` at the places of ``index``."""
def index_put(input: _TensorLike, indices: Sequence[Any], values: _TensorLike, accumulate: _bool = False) -> Tensor:
    """``input`` with ``values`` at arrays of indices; added to what is there with ``accumulate``."""
def index_select(input: _TensorLike, dim: _Dim, index: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The parts of ``input`` along ``dim`` at the places that the vector ``index`` names."""
def inner(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The sum of products over the last dimensions of both; a product where one has no dimensions."""
def instance_norm(input: _TensorLike, weight: _TensorLike | None, bias: _TensorLike | None, running_mean: _TensorLike | None, running_var: _TensorLike | None, use_input_stats: _bool, momentum: _float, eps: _float, cudnn_enabled: _bool) -> Tensor:
    """Mean 0 and variance 1 of each channel of each sample, or by the running ones; times weight, plus bias."""
def isclose(input: _TensorLike, other: _TensorLike, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False) -> Tensor:
    """Whether abs(input - other) <= atol + rtol * abs(other); with ``equal_nan`` NaN is close to NaN."""
def isfinite(input: _TensorLike) -> Tensor:
    """Whether it is not NaN, inf or -inf, as booleans."""
def isin(elements: _Operand, test_elements: _Operand, *, assume_unique: _bool = False, invert: _bool = False, out: Tensor | None = None) -> Tensor:
    """Whether each element is one of ``test_elements``, or with ``invert`` none of them."""
def isinf(input: _TensorLike) -> Tensor:
    """Whether it is inf or -inf, as booleans."""
def isnan(input: _TensorLike) -> Tensor:
    """Whether it is NaN, as booleans."""
def isneginf(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether it is -inf, as booleans."""
def isposinf(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether it is inf, as booleans."""
def isreal(input: _TensorLike) -> Tensor:
    """Whether it has no imaginary part, as booleans."""
def kron(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The Kronecker product: each element of ``input`` times the whole of ``other``."""
def kthvalue(input: _TensorLike, k: _int, dim: _Dim = -1, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The k-th smallest element along ``dim``, counted from 1, and where it is."""
def layer_norm(input: _TensorLike, normalized_shape: Sequence[_int], weight: _TensorLike | None = None, bias: _TensorLike | None = None, eps: _float = 1e-05, cudnn_enable: _bool = True) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, whose shape is given; times weight, plus bias."""
def lcm(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The least common multiple of integers; 0 where one of them is 0."""
def ldexp(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """input * 2^other, as floats."""
def le(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input <= other, as booleans."""
def lerp(input: _TensorLike, end: _TensorLike, weight: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input + weight (end - input), taken from the nearer side, as torch does."""
def less(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input < other, as booleans."""
def less_equal(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input <= other, as booleans."""
def lgamma(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the absolute value of the gamma function; infinite at 0 and the negative whole numbers."""
def log(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The natural logarithm, as floats."""
def log10(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The logarithm to the base 10, as floats."""
def log1p(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """log(1 + input), which is exact near 0 too."""
def log2(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The logarithm to the base 2, as floats."""
def log_softmax(input: _TensorLike, dim: _Dim, dtype: _Dtype | None = None, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the softmax over ``dim``."""
def logaddexp(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """log(exp(input) + exp(other)), without an overflow."""
def logaddexp2(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """log2(2^input + 2^other), without an overflow."""
def logcumsumexp(input: _TensorLike, dim: _Dim, *, out: Tensor | None = None) -> Tensor:
    """The logarithms of the cumulative sums of exp(input) along ``dim``."""
def logical_and(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether both are true; a number is true where it is not 0."""
def logical_not(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether it is false or 0."""
def logical_or(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether one or both are true; a number is true where it is not 0."""
def logical_xor(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether exactly one is true; a number is true where it is not 0."""
def logit(input: _TensorLike, eps: _float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(input / (1 - input)), of the input between ``eps`` and 1 - ``eps`` where that is given."""
def logsumexp(input: _TensorLike, dim: _Dim, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the sum of exp(input) over ``dim``."""
def lstm(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The output and both last states of layers with long short-term memory, one over the other."""
def lstm_cell(input: _TensorLike, hx: Any, w_ih: _TensorLike, w_hh: _TensorLike, b_ih: _TensorLike | None = None, b_hh: _TensorLike | None = None) -> tuple[Tensor, Tensor]:
    """One step of ``lstm``: both new states. Errors as ``rnn_tanh_cell``."""
def lt(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input < other, as booleans."""
def masked_fill(input: _TensorLike, mask: _TensorLike, value: _Operand) -> Tensor:
    """``input`` with ``value``, a number or a tensor without dimensions, where ``mask`` is true."""
def masked_scatter(input: _TensorLike, mask: _TensorLike, source: _TensorLike) -> Tensor:
    """``input`` with the first elements of ``source`` in the places where ``mask`` is true, in row-major order."""
def masked_select(input: _TensorLike, mask: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """A vector of the elements where ``mask`` is true."""
def matmul(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The matrix product, batched over leading dimensions; vectors are rows or columns as they must be."""
@overload
def max(input: Tensor, *, out: Tensor | None = None) -> Tensor: ...
@overload
def max(input: Tensor, dim: _int, keepdim: _bool = False, *, out: Any = None) -> MaxResult: ...
@overload
def max(input: Tensor, other: _TensorLike, *, out: Tensor | None = None) -> Tensor: ...
def max_pool1d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] = (), padding: _int | Sequence[_int] = 0, dilation: _int | Sequence[_int] = 1, ceil_mode: _bool = False) -> Tensor:
    """The largest element of each window of the last 1 of the sizes."""
def max_pool1d_with_indices(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] = (), padding: _int | Sequence[_int] = 0, dilation: _int | Sequence[_int] = 1, ceil_mode: _bool = False) -> Tensor:
    """``max_pool1d``, and the place of each element in its channel."""
def max_pool2d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] = (), padding: _int | Sequence[_int] = 0, dilation: _int | Sequence[_int] = 1, ceil_mode: _bool = False) -> Tensor:
    """The largest element of each window of the last 2 of the sizes."""
def max_pool3d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] = (), padding: _int | Sequence[_int] = 0, dilation: _int | Sequence[_int] = 1, ceil_mode: _bool = False) -> Tensor:
    """The largest element of each window of the last 3 of the sizes."""
def maximum(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The larger of input and other; the gradient is halved where they are equal."""
def mean(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The mean of floating numbers."""
def median(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The median of all elements, the lower of two; with ``dim`` a pair (values, indices)."""
def meshgrid(*tensors: Sequence[_TensorLike], indexing: str | None = None) -> Tensor:
    """A grid for each of the vectors: it has the numbers of the vector along its own dimension, as expanded views."""
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
def mode(input: _TensorLike, dim: _Dim = -1, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The most frequent element along ``dim``, the smallest of several, and where its last one is."""
def moveaxis(input: _TensorLike, source: _int | Sequence[_int], destination: _int | Sequence[_int]) -> Tensor:
    """The dimensions ``source`` at the places ``destination``, and the others in their order."""
def movedim(input: _TensorLike, source: _int | Sequence[_int], destination: _int | Sequence[_int]) -> Tensor:
    """The dimensions ``source`` at the places ``destination``, and the others in their order."""
def msort(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The elements in order along the first dimension."""
def mul(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input * other."""
def multinomial(input: _TensorLike, num_samples: _int, replacement: _bool = False, *, generator: Generator | None = None, out: Tensor | None = None) -> Tensor:
    """Places of ``input``, or of each of its rows, drawn in proportion to the scores there, as int64."""
def multiply(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input * other."""
def mv(input: _TensorLike, vec: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The product of a matrix and a vector."""
def nan_to_num(input: _TensorLike, nan: _float | None = None, posinf: _float | None = None, neginf: _float | None = None, *, out: Tensor | None = None) -> Tensor:
    """Input with a number in the place of NaN (0), inf and -inf (the largest and the least number of the dtype)."""
def nanmean(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The mean of the elements that are no NaN."""
def nanmedian(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, out: Tensor | None = None) -> Tensor:
    """The median of all elements that are no NaN, the lower of two; with ``dim`` a pair (values, indices)."""
def nanquantile(input: _TensorLike, q: Any, dim: _Dim = None, keepdim: _bool = False, *, interpolation: str = "linear", out: Tensor | None = None) -> Tensor:
    """The quantiles ``q`` along ``dim``, or of all elements that are no NaN."""
def nansum(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The sum of the elements that are no NaN; that of integers and booleans is int64."""
def narrow(input: _TensorLike, dim: _int, start: _int, length: _int) -> Tensor:
    """``length`` elements from ``start`` along ``dim``; ``start`` may be a Tensor without dimensions."""
def native_dropout(input: _TensorLike, p: _float, train: _bool | None) -> DropoutResult:
    """``dropout`` and its mask, which is true where an element stays; here a mask is drawn for ``p`` 0 and 1, too."""
def ne(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input != other, as booleans."""
def neg(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """-input."""
def negative(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """-input."""
def nextafter(input: _TensorLike, other: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The next number after input, in its dtype, on the way to other; other where both are equal."""
def nonzero(input: _TensorLike, *, as_tuple: _bool = False, out: Tensor | None = None) -> Tensor:
    """The indices of the elements that are not zero, a row for each; with ``as_tuple`` a vector for each dimension."""
def norm(input: _TensorLike, p: _float | str | None = "fro", dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """``(sum |x|^p)^(1/p)``: the largest for inf, the number of non-zeros for 0."""
def not_equal(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """Whether input != other, as booleans."""
def outer(input: _TensorLike, vec2: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors."""
def pairwise_distance(x1: _TensorLike, x2: _TensorLike, p: _float | str | None = 2, eps: _float = 1e-06, keepdim: _bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension."""
def pdist(input: _TensorLike, p: _float | str | None = 2) -> Tensor:
    """The p-norm of the difference of each pair of rows, in the order of the rows."""
def permute(input: _TensorLike, *dims: _int | Sequence[_int], **named: Any) -> Tensor:
    """The dimensions in another order."""
def pixel_shuffle(input: _TensorLike, upscale_factor: _int) -> Tensor:
    """Each r^2 channels as r times r pixels, where r is ``upscale_factor``."""
def pixel_unshuffle(input: _TensorLike, downscale_factor: _int) -> Tensor:
    """Each r times r pixels as r^2 channels, where r is ``downscale_factor``."""
def poisson(input: _TensorLike, generator: Generator | None = None) -> Tensor:
    """How often something happens that happens ``input`` times on average. The gradient is 0."""
def positive(input: _TensorLike) -> Tensor:
    """The Tensor itself, which must not be of booleans."""
def pow(input: _Operand, exponent: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent."""
def prelu(input: _TensorLike, weight: _TensorLike) -> Tensor:
    """input where it is positive, else weight * input, with one weight for all or one for each channel."""
def prod(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The product; that of integers and booleans is int64."""
def quantile(input: _TensorLike, q: Any, dim: _Dim = None, keepdim: _bool = False, *, interpolation: str = "linear", out: Tensor | None = None) -> Tensor:
    """The quantiles ``q`` along ``dim``, or of all elements."""
def rad2deg(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """An angle in radians as degrees."""
def ravel(input: _TensorLike) -> Tensor:
    """All elements as one dimension; a copy only where torch needs one."""
def reciprocal(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """1 / input, as floats."""
def relu(input: _TensorLike) -> Tensor:
    """The larger of input and 0; the slope at 0 is 0."""
def remainder(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """What is left of input by a division that is rounded down; it has the sign of other."""
def renorm(input: _TensorLike, p: _float | str | None, dim: _Dim, maxnorm: _float, *, out: Tensor | None = None) -> Tensor:
    """Each part along ``dim`` whose p-norm is larger than ``maxnorm`` scaled down to it."""
def repeat_interleave(input: _TensorLike | None = None, repeats: Any = None, dim: _Dim = None, *, output_size: _int | None = None) -> Tensor:
    """Each element along ``dim``, or of the flat input, repeated a number of times, or as often as a tensor says."""
def reshape(input: _TensorLike, *shape: _int | Sequence[_int], **named: Any) -> Tensor:
    """The same elements in another shape: a view where torch has one, else a copy."""
def rms_norm(input: _TensorLike, normalized_shape: Sequence[_int], weight: _TensorLike | None = None, eps: _float | None = None) -> Tensor:
    """``input`` over the root of its mean square over the last dimensions, whose shape is given; times weight."""
def rnn_relu(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """The output and the last state of layers h' = relu(W_ih x + b_ih + W_hh h + b_hh), one over the other."""
def rnn_relu_cell(input: _TensorLike, hx: _TensorLike, w_ih: _TensorLike, w_hh: _TensorLike, b_ih: _TensorLike | None = None, b_hh: _TensorLike | None = None) -> Tensor:
    """relu(W_ih x + b_ih + W_hh h + b_hh). Errors as ``rnn_tanh_cell``."""
def rnn_tanh(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """The output and the last state of layers h' = tanh(W_ih x + b_ih + W_hh h + b_hh), one over the other."""
def rnn_tanh_cell(input: _TensorLike, hx: _TensorLike, w_ih: _TensorLike, w_hh: _TensorLike, b_ih: _TensorLike | None = None, b_hh: _TensorLike | None = None) -> Tensor:
    """tanh(W_ih x + b_ih + W_hh h + b_hh)."""
def roll(input: _TensorLike, shifts: _int | Sequence[_int], dims: _int | Sequence[_int] = ()) -> Tensor:
    """The elements moved by ``shifts`` along ``dims``, around the end; in row-major order without ``dims``."""
def rot90(input: _TensorLike, k: _int = 1, dims: _int | Sequence[_int] = (0, 1)) -> Tensor:
    """A quarter turn from the first of ``dims`` to the second, ``k`` times."""
def round(input: _TensorLike, *, decimals: _int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest number with that many decimals, the even one in the middle."""
def row_stack(tensors: Sequence[_TensorLike], *, out: Tensor | None = None) -> Tensor:
    """The tensors below each other: along the first dimension, where vectors are rows."""
def rrelu(input: _TensorLike, lower: _float = 0.125, upper: _float = 0.3333333333333333, training: _bool = False, generator: Generator | None = None) -> Tensor:
    """input where it is positive, else times a number between ``lower`` and ``upper``: one for each if ``training``."""
def rrelu_(input: _TensorLike, lower: _float = 0.125, upper: _float = 0.3333333333333333, training: _bool = False, generator: Generator | None = None) -> Tensor:
    """``rrelu`` in the memory of ``input``, which is returned."""
def rsqrt(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """1 / sqrt(input), as floats."""
def rsub(input: _TensorLike, other: _Operand, alpha: _Operand = 1) -> Tensor:
    """other - alpha * input."""
def scatter(input: _TensorLike, dim: _Dim, index: _TensorLike, src: Any = None, *, value: _Operand | None = None, reduce: str | None = None, out: Tensor | None = None) -> Tensor:
    """``input`` with elements of ``src``, or a number, along ``dim`` at the places that ``index`` names."""
def scatter_add(input: _TensorLike, dim: _Dim, index: _TensorLike, src: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """``input`` with the elements of ``src`` added along ``dim`` at the places that ``index`` names."""
def scatter_reduce(input: _TensorLike, dim: _int, index: _TensorLike, src: _TensorLike, reduce: str, *, include_self: _bool = True, out: Tensor | None = None) -> Tensor:
    """``input`` with the sum, product, mean or extreme of elements of ``src`` along ``dim`` at the places of ``index``."""
def searchsorted(sorted_sequence: _TensorLike, input: _TensorLike, *, out_int32: _bool = False, right: _bool = False, side: str | None = None, sorter: _TensorLike | None = None, out: Tensor | None = None) -> Tensor:
    """Where ``input`` would go into the sorted last dimension: before equal values, or behind them if ``right``."""
def select(input: _TensorLike, dim: _int, index: _int) -> Tensor:
    """The part at ``index`` along ``dim``, without that dimension."""
def select_scatter(input: _TensorLike, src: _TensorLike, dim: _Dim, index: _TensorLike) -> Tensor:
    """A copy of ``input`` with ``src`` in the place of ``select(dim, index)``."""
def selu(input: _TensorLike) -> Tensor:
    """1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
def selu_(input: _TensorLike) -> Tensor:
    """In place, returning the Tensor itself: 1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
def sgn(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """As ``sign``; input / abs(input) of complex numbers."""
def sigmoid(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """1 / (1 + exp(-input))."""
def sign(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """-1, 0 or 1, as the sign is."""
def signbit(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """Whether the sign of input is minus, that of -0.0 included; booleans."""
def sin(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The sine."""
def sinc(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """sin(pi input) / (pi input), which is 1 where input is 0."""
def sinh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic sine."""
def slice_scatter(input: _TensorLike, src: _TensorLike, dim: _Dim = 0, start: _int | None = None, end: _TensorLike | None = None, step: _int = 1, *, out: Tensor | None = None) -> Tensor:
    """A copy of ``input`` with ``src`` in the place of a slice along ``dim``."""
def softmax(input: _TensorLike, dim: _Dim, dtype: _Dtype | None = None, *, out: Tensor | None = None) -> Tensor:
    """exp(input) divided by its sum over ``dim``."""
def sort(input: _TensorLike, dim: _Dim = -1, descending: _bool = False, *, stable: _bool | None = None, out: Tensor | None = None) -> Tensor:
    """The elements in order along ``dim``, and where they were; the order is always stable."""
def split(tensor: _TensorLike, split_size_or_sections: _int | Sequence[_int], dim: _Dim = 0) -> Tensor:
    """Views of a number of elements along ``dim``, the last one of what is left; of the sizes where it is a list."""
def split_with_sizes(input: _TensorLike, split_sizes: Sequence[_int], dim: _Dim = 0) -> Tensor:
    """Views of the given sizes along ``dim``, as a tuple."""
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
def std_mean(input: _TensorLike, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None) -> Tensor:
    """The standard deviation and the mean over ``dim``."""
def sub(input: _TensorLike, other: _Operand, *, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other."""
def subtract(input: _TensorLike, other: _Operand, *, alpha: _Operand = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other."""
def sum(input: _TensorLike, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None, out: Tensor | None = None) -> Tensor:
    """The sum; that of integers and booleans is int64."""
def swapaxes(input: _TensorLike, axis0: _int, axis1: _int) -> Tensor:
    """Two dimensions exchanged."""
def swapdims(input: _TensorLike, dim0: _int, dim1: _int) -> Tensor:
    """Two dimensions exchanged."""
def t(input: _TensorLike) -> Tensor:
    """A matrix transposed; a vector or a number as it is."""
def take(input: _TensorLike, index: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The elements at ``index``, counted in row-major order."""
def take_along_dim(input: _TensorLike, indices: _TensorLike, dim: _Dim = None, *, out: Tensor | None = None) -> Tensor:
    """The elements along ``dim`` that ``indices`` names, where both broadcast; of the flat input without ``dim``."""
def tan(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The tangent."""
def tanh(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic tangent."""
def tensor_split(input: _TensorLike, indices_or_sections: Any = None, dim: _Dim = 0, **given: Any) -> Tensor:
    """Views along ``dim``: as many as a number says, of sizes that differ by one at most, or between the indices."""
def tensordot(a: _TensorLike, b: _TensorLike, dims: Any = 2, *, out: Tensor | None = None) -> Tensor:
    """The sum of products over the last ``dims`` dimensions of a and the first of b, or over those that it names."""
def threshold(input: _TensorLike, threshold: _float, value: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input where it is larger than ``threshold``, else ``value``."""
def threshold_(input: _TensorLike, threshold: _float, value: _Operand) -> Tensor:
    """In place, returning the Tensor itself: input where it is larger than ``threshold``, else ``value``."""
def tile(input: _TensorLike, *dims: _int | Sequence[_int], **named: Any) -> Tensor:
    """The whole repeated along each dimension; missing numbers in front are ones."""
def topk(input: _TensorLike, k: _int, dim: _Dim = -1, largest: _bool = True, sorted: _bool = True, *, out: Tensor | None = None) -> Tensor:
    """The ``k`` largest (or smallest) elements along ``dim`` in order, and where they are."""
def trace(input: _TensorLike) -> Tensor:
    """The sum of the diagonal of a matrix; that of integers and booleans is int64."""
def transpose(input: _TensorLike, dim0: _int, dim1: _int) -> Tensor:
    """Two dimensions exchanged."""
def trapezoid(y: _TensorLike, x: _TensorLike | None = None, *, dx: _float = 1, dim: _Dim = -1) -> Tensor:
    """The area under the samples ``y`` along ``dim``, at ``x`` or at a distance ``dx``, by the trapezoidal rule."""
def trapz(y: _TensorLike, x: _TensorLike | None = None, *, dx: _float = 1, dim: _Dim = -1) -> Tensor:
    """The area under the samples ``y`` along ``dim``, at ``x`` or at a distance ``dx``, by the trapezoidal rule."""
def tril(input: _TensorLike, diagonal: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The lower triangle of matrices, with zeros above the diagonal that is ``diagonal`` places above the main one."""
def triu(input: _TensorLike, diagonal: _int = 0, *, out: Tensor | None = None) -> Tensor:
    """The upper triangle of matrices, with zeros below the diagonal that is ``diagonal`` places above the main one."""
def true_divide(input: _TensorLike, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None, out: Tensor | None = None) -> Tensor:
    """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
def trunc(input: _TensorLike, *, out: Tensor | None = None) -> Tensor:
    """The whole number next to input on the side of zero."""
def unbind(input: _TensorLike, dim: _Dim = 0) -> Tensor:
    """The parts at each place of ``dim``, without that dimension, as a tuple of views."""
def unflatten(input: _TensorLike, dim: _Dim, sizes: _int | Sequence[_int]) -> Tensor:
    """A dimension as several of the sizes ``sizes``, of which one may be -1."""
def unique(input: _TensorLike, sorted: _bool = True, return_inverse: _bool = False, return_counts: _bool = False, dim: _Dim = None) -> Tensor:
    """The distinct elements, or parts along ``dim``, in order; each NaN is one of its own."""
def unique_consecutive(input: _TensorLike, return_inverse: _bool = False, return_counts: _bool = False, dim: _Dim = None) -> Tensor:
    """The first element, or part along ``dim``, of each run of equal ones."""
def unsqueeze(input: _TensorLike, dim: _int) -> Tensor:
    """A new dimension of size one at ``dim``."""
def vander(x: _TensorLike, N: _int | None = None, increasing: _bool = False) -> Tensor:
    """Powers from N - 1 down to 0, or up from 0 where ``increasing``, of each number; N is usually their count."""
def var(input: _TensorLike, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None, out: Tensor | None = None) -> Tensor:
    """sum((x - mean)^2) / max(0, n - correction); the correction is 1, or 0 with ``unbiased=False``."""
def var_mean(input: _TensorLike, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None) -> Tensor:
    """The variance and the mean over ``dim``."""
def vdot(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors, as ``dot``."""
def vsplit(input: _TensorLike, *indices: Any, **given: Any) -> Tensor:
    """``tensor_split`` along dimension 0, of a size that the number of parts divides."""
def vstack(tensors: Sequence[_TensorLike], *, out: Tensor | None = None) -> Tensor:
    """The tensors below each other: along the first dimension, where vectors are rows."""
def where(condition: _TensorLike, input: _Operand, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input where condition, else other."""
def xlogy(input: _TensorLike, other: _Operand, *, out: Tensor | None = None) -> Tensor:
    """input * log(other), which is 0 where input is 0; NaN where other is NaN."""

class _TableMethods:
    """What the table attaches to Tensor."""

    @property
    def T(self) -> Tensor:
        """The dimensions in reverse order."""
    def __abs__(self) -> Tensor: ...
    def __add__(self, other: _Operand) -> Tensor: ...
    def __and__(self, other: _Operand) -> Tensor: ...
    def __eq__(self, other: _Operand) -> Tensor: ...  # type: ignore[override]
    def __floordiv__(self, other: _Operand) -> Tensor: ...
    def __ge__(self, other: _Operand) -> Tensor: ...
    def __getitem__(self, key: Any) -> Tensor: ...
    def __gt__(self, other: _Operand) -> Tensor: ...
    def __iadd__(self, other: _Operand) -> Self: ...
    def __iand__(self, other: _Operand) -> Self: ...
    def __ifloordiv__(self, other: _Operand) -> Self: ...
    def __ilshift__(self, other: _Operand) -> Self: ...
    def __imod__(self, other: _Operand) -> Self: ...
    def __imul__(self, other: _Operand) -> Self: ...
    def __invert__(self) -> Tensor: ...
    def __ior__(self, other: _Operand) -> Self: ...
    def __ipow__(self, other: _Operand) -> Self: ...
    def __irshift__(self, other: _Operand) -> Self: ...
    def __isub__(self, other: _Operand) -> Self: ...
    def __itruediv__(self, other: _Operand) -> Self: ...
    def __ixor__(self, other: _Operand) -> Self: ...
    def __le__(self, other: _Operand) -> Tensor: ...
    def __lshift__(self, other: _Operand) -> Tensor: ...
    def __lt__(self, other: _Operand) -> Tensor: ...
    def __matmul__(self, other: _Operand) -> Tensor: ...
    def __mod__(self, other: _Operand) -> Tensor: ...
    def __mul__(self, other: _Operand) -> Tensor: ...
    def __ne__(self, other: _Operand) -> Tensor: ...  # type: ignore[override]
    def __neg__(self) -> Tensor: ...
    def __or__(self, other: _Operand) -> Tensor: ...
    def __pos__(self) -> Tensor: ...
    def __pow__(self, other: _Operand) -> Tensor: ...
    def __radd__(self, other: _Operand) -> Tensor: ...
    def __rand__(self, other: _Operand) -> Tensor: ...
    def __rfloordiv__(self, other: _Operand) -> Tensor: ...
    def __rlshift__(self, other: _Operand) -> Tensor: ...
    def __rmatmul__(self, other: _Operand) -> Tensor: ...
    def __rmod__(self, other: _Operand) -> Tensor: ...
    def __rmul__(self, other: _Operand) -> Tensor: ...
    def __ror__(self, other: _Operand) -> Tensor: ...
    def __rpow__(self, other: _Operand) -> Tensor: ...
    def __rrshift__(self, other: _Operand) -> Tensor: ...
    def __rshift__(self, other: _Operand) -> Tensor: ...
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
    def acos(self) -> Tensor:
        """The inverse of the cosine."""
    def acos_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the cosine."""
    def acosh(self) -> Tensor:
        """The inverse of the hyperbolic cosine."""
    def acosh_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the hyperbolic cosine."""
    def add(self, other: _Operand, *, alpha: _Operand = 1) -> Tensor:
        """input + alpha * other."""
    def add_(self, other: _Operand, *, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: input + alpha * other."""
    def addbmm(self, batch1: _TensorLike, batch2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Tensor:
        """beta * input + alpha * the sum of the products batch1 @ batch2; in half precision rounded once."""
    def addbmm_(self, batch1: _TensorLike, batch2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: beta * input + alpha * the sum of the products batch1 @ batch2; in half precision rounded once."""
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
    def addmv(self, mat: _TensorLike, vec: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Tensor:
        """beta * input + alpha * (mat @ vec); in half precision rounded once."""
    def addmv_(self, mat: _TensorLike, vec: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: beta * input + alpha * (mat @ vec); in half precision rounded once."""
    def addr(self, vec1: _TensorLike, vec2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Tensor:
        """beta * input + alpha * (the outer product of vec1 and vec2)."""
    def addr_(self, vec1: _TensorLike, vec2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: beta * input + alpha * (the outer product of vec1 and vec2)."""
    def all(self, dim: _Dim = None, keepdim: _bool = False) -> Tensor:
        """Whether every element is true; booleans, and uint8 for uint8."""
    def allclose(self, other: _TensorLike, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False) -> _bool:
        """Whether all elements are close, as a bool of Python: see ``isclose``."""
    def amax(self, dim: _Dim = (), keepdim: _bool = False) -> Tensor:
        """The largest element over ``dim``."""
    def amin(self, dim: _Dim = (), keepdim: _bool = False) -> Tensor:
        """The smallest element over ``dim``."""
    def aminmax(self, *, dim: _Dim = None, keepdim: _bool = False) -> Tensor:
        """The smallest and the largest element over ``dim``, or of all."""
    def any(self, dim: _Dim = None, keepdim: _bool = False) -> Tensor:
        """Whether one element or more is true; booleans, and uint8 for uint8."""
    def arccos(self) -> Tensor:
        """The inverse of the cosine."""
    def arccos_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the cosine."""
    def arccosh(self) -> Tensor:
        """The inverse of the hyperbolic cosine."""
    def arccosh_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the hyperbolic cosine."""
    def arcsin(self) -> Tensor:
        """The inverse of the sine."""
    def arcsin_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the sine."""
    def arcsinh(self) -> Tensor:
        """The inverse of the hyperbolic sine."""
    def arcsinh_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the hyperbolic sine."""
    def arctan(self) -> Tensor:
        """The inverse of the tangent."""
    def arctan2(self, other: _Operand) -> Tensor:
        """The angle of the point (other, input), between -pi and pi."""
    def arctan2_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: The angle of the point (other, input), between -pi and pi."""
    def arctan_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the tangent."""
    def arctanh(self) -> Tensor:
        """The inverse of the hyperbolic tangent."""
    def arctanh_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the hyperbolic tangent."""
    def argmax(self, dim: _int | None = None, keepdim: _bool = False) -> Tensor:
        """Where the largest element is along ``dim``, or among all elements in row-major order; int64."""
    def argmin(self, dim: _int | None = None, keepdim: _bool = False) -> Tensor:
        """Where the smallest element is along ``dim``, or among all elements in row-major order; int64."""
    def argsort(self, dim: _Dim = -1, descending: _bool = False, *, stable: _bool = False) -> Tensor:
        """Where the elements are in their order along ``dim``, int64; the order is always stable."""
    def argwhere(self) -> Tensor:
        """The indices of the elements that are not zero, a row for each."""
    def asin(self) -> Tensor:
        """The inverse of the sine."""
    def asin_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the sine."""
    def asinh(self) -> Tensor:
        """The inverse of the hyperbolic sine."""
    def asinh_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the hyperbolic sine."""
    def atan(self) -> Tensor:
        """The inverse of the tangent."""
    def atan2(self, other: _Operand) -> Tensor:
        """The angle of the point (other, input), between -pi and pi."""
    def atan2_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: The angle of the point (other, input), between -pi and pi."""
    def atan_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the tangent."""
    def atanh(self) -> Tensor:
        """The inverse of the hyperbolic tangent."""
    def atanh_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the hyperbolic tangent."""
    def baddbmm(self, batch1: _TensorLike, batch2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Tensor:
        """beta * input + alpha * (batch1 @ batch2), matrix by matrix; in half precision rounded once."""
    def baddbmm_(self, batch1: _TensorLike, batch2: _TensorLike, *, beta: _Operand = 1, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: beta * input + alpha * (batch1 @ batch2), matrix by matrix; in half precision rounded once."""
    def bernoulli(self, p: _float | None = None, *, generator: Generator | None = None) -> Tensor:
        """1 with a probability, else 0: the probabilities are ``input``, or all are ``p``. The gradient is 0."""
    def bernoulli_(self, p: _float | Tensor = 0.5, *, generator: Generator | None = None) -> Self:
        """1 with probability ``p``, else 0; ``p`` may be a Tensor of floats that broadcasts to this one."""
    def bfloat16(self) -> Tensor:
        """In bfloat16."""
    def bincount(self, weights: _TensorLike | None = None, minlength: _int = 0) -> Tensor:
        """How often each number from 0 on is in ``input``, or the sum of its weights."""
    def bitwise_and(self, other: _Operand) -> Tensor:
        """input & other, of integers or booleans."""
    def bitwise_and_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input & other, of integers or booleans."""
    def bitwise_left_shift(self, other: _Operand) -> Tensor:
        """Input with its bits moved to the left by other places; 0 where other is negative or all the bits are gone."""
    def bitwise_left_shift_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: Input with its bits moved to the left by other places; 0 where other is negative or all the bits are gone."""
    def bitwise_not(self) -> Tensor:
        """~input, of integers or booleans."""
    def bitwise_not_(self) -> Self:
        """In place, returning the Tensor itself: ~input, of integers or booleans."""
    def bitwise_or(self, other: _Operand) -> Tensor:
        """input | other, of integers or booleans."""
    def bitwise_or_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input | other, of integers or booleans."""
    def bitwise_right_shift(self, other: _Operand) -> Tensor:
        """Input with its bits moved to the right by other places; 0 or -1 where other is negative or all bits are gone."""
    def bitwise_right_shift_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: Input with its bits moved to the right by other places; 0 or -1 where other is negative or all bits are gone."""
    def bitwise_xor(self, other: _Operand) -> Tensor:
        """input ^ other, of integers or booleans."""
    def bitwise_xor_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input ^ other, of integers or booleans."""
    def bmm(self, mat2: _TensorLike) -> Tensor:
        """The products of two batches of matrices."""
    def bool(self) -> Tensor:
        """In bool."""
    def broadcast_to(self, *size: _int | Sequence[_int], **named: Any) -> Tensor:
        """Dimensions of size one repeated without a copy, as ``expand`` does."""
    def byte(self) -> Tensor:
        """In uint8."""
    def cauchy_(self, median: _float = 0, sigma: _float = 1, *, generator: Generator | None = None) -> Self:
        """Numbers of Cauchy's distribution: median + sigma * tan(pi * (u - 1/2)) of a uniform u."""
    def ceil(self) -> Tensor:
        """The smallest whole number that is not below input."""
    def ceil_(self) -> Self:
        """In place, returning the Tensor itself: The smallest whole number that is not below input."""
    def char(self) -> Tensor:
        """In int8."""
    def chunk(self, chunks: _int, dim: _Dim = 0) -> Tensor:
        """At most ``chunks`` views of one size along ``dim``, the last one of what is left."""
    def clamp(self, min: _Operand | None = None, max: _Operand | None = None) -> Tensor:
        """min(max(input, min), max); the slope at a bound is 1."""
    def clamp_(self, min: _Operand | None = None, max: _Operand | None = None) -> Self:
        """In place, returning the Tensor itself: min(max(input, min), max); the slope at a bound is 1."""
    def clamp_max(self, max: _Operand | None) -> Tensor:
        """The smaller of input and ``max``; the slope of input is 1 where they are equal."""
    def clamp_max_(self, max: _Operand | None) -> Self:
        """In place, returning the Tensor itself: The smaller of input and ``max``; the slope of input is 1 where they are equal."""
    def clamp_min(self, min: _Operand | None) -> Tensor:
        """The larger of input and ``min``; the slope of input is 1 where they are equal."""
    def clamp_min_(self, min: _Operand | None) -> Self:
        """In place, returning the Tensor itself: The larger of input and ``min``; the slope of input is 1 where they are equal."""
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
    def copysign(self, other: _Operand) -> Tensor:
        """The size of input with the sign of other, as floats."""
    def copysign_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: The size of input with the sign of other, as floats."""
    def corrcoef(self) -> Tensor:
        """The correlation coefficients of the rows, whose columns are observations."""
    def cos(self) -> Tensor:
        """The cosine."""
    def cos_(self) -> Self:
        """In place, returning the Tensor itself: The cosine."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine."""
    def cosh_(self) -> Self:
        """In place, returning the Tensor itself: The hyperbolic cosine."""
    def count_nonzero(self, *dim: _Dim, **given: Any) -> Tensor:
        """The number of elements that are not zero, over ``dim``, one or several; over all by default."""
    def cov(self, *, correction: _float | None = 1, fweights: _TensorLike | None = None, aweights: _TensorLike | None = None) -> Tensor:
        """The covariances of the rows, whose columns are observations."""
    def cpu(self) -> Tensor:
        """On the CPU: the Tensor itself, where it is there."""
    def cross(self, other: _Operand, dim: _Dim = None) -> Tensor:
        """The cross product of the vectors of three along ``dim``, by default the first dimension of size 3."""
    def cuda(self, device: Any = None, **kwargs: Any) -> Tensor:
        """On a GPU of NVIDIA's; AssertionError where there is none."""
    def cummax(self, dim: _Dim) -> Tensor:
        """The largest element up to each along ``dim``, and where the last such element is."""
    def cummin(self, dim: _Dim) -> Tensor:
        """The smallest element up to each along ``dim``, and where the last such element is."""
    def cumprod(self, dim: _Dim, *, dtype: _Dtype | None = None) -> Tensor:
        """The products of the elements up to each along ``dim``; those of integers and booleans are int64."""
    def cumprod_(self, dim: _Dim, *, dtype: _Dtype | None = None) -> Self:
        """In place, returning the Tensor itself: The products of the elements up to each along ``dim``; those of integers and booleans are int64."""
    def cumsum(self, dim: _Dim, *, dtype: _Dtype | None = None) -> Tensor:
        """The sums of the elements up to each along ``dim``; those of integers and booleans are int64."""
    def cumsum_(self, dim: _Dim, *, dtype: _Dtype | None = None) -> Self:
        """In place, returning the Tensor itself: The sums of the elements up to each along ``dim``; those of integers and booleans are int64."""
    def deg2rad(self) -> Tensor:
        """An angle in degrees as radians."""
    def deg2rad_(self) -> Self:
        """In place, returning the Tensor itself: An angle in degrees as radians."""
    def diag(self, diagonal: _int = 0) -> Tensor:
        """A vector as the diagonal of a matrix of zeros; of a matrix a copy of its diagonal."""
    def diag_embed(self, offset: _int = 0, dim1: _int = -2, dim2: _int = -1) -> Tensor:
        """The last dimension as the diagonal of two dimensions, with zeros around it."""
    def diagflat(self, offset: _int = 0) -> Tensor:
        """All elements as the diagonal of a matrix of zeros."""
    def diagonal(self, offset: _int = 0, dim1: _int = 0, dim2: _int = 1) -> Tensor:
        """The diagonal of two dimensions as the last one, ``offset`` places above the main one."""
    def diagonal_scatter(self, src: _TensorLike, offset: _int = 0, dim1: _int = 0, dim2: _int = 1) -> Tensor:
        """A copy of ``input`` with ``src`` in the place of a diagonal."""
    def diff(self, n: _int = 1, dim: _Dim = -1, prepend: _TensorLike | None = None, append: _TensorLike | None = None) -> Tensor:
        """The differences of neighbours along ``dim``, taken ``n`` times; exclusive or of booleans."""
    def digamma(self) -> Tensor:
        """The derivative of ``lgamma``; NaN at negative whole numbers, and infinite at 0."""
    def digamma_(self) -> Self:
        """In place, returning the Tensor itself: The derivative of ``lgamma``; NaN at negative whole numbers, and infinite at 0."""
    def dist(self, other: _Operand, p: _float | str | None = 2) -> Tensor:
        """The p-norm of the difference of two tensors."""
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
        """In float64."""
    def dsplit(self, *indices: Any, **given: Any) -> Tensor:
        """``tensor_split`` along dimension 2, of a size that the number of parts divides."""
    def eq(self, other: _Operand) -> Tensor:
        """Whether input == other, as booleans."""
    def equal(self, other: _TensorLike) -> _bool:
        """Whether both have the same shape and the same elements, as a bool of Python."""
    def erf(self) -> Tensor:
        """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
    def erf_(self) -> Self:
        """In place, returning the Tensor itself: The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
    def erfc(self) -> Tensor:
        """1 - erf(input), which is exact where that is small too."""
    def erfc_(self) -> Self:
        """In place, returning the Tensor itself: 1 - erf(input), which is exact where that is small too."""
    def erfinv(self) -> Tensor:
        """The inverse of the error function; inf at 1, and NaN beyond."""
    def erfinv_(self) -> Self:
        """In place, returning the Tensor itself: The inverse of the error function; inf at 1, and NaN beyond."""
    def exp(self) -> Tensor:
        """e to the power of input, as floats."""
    def exp2(self) -> Tensor:
        """2 to the power of input, as floats."""
    def exp2_(self) -> Self:
        """In place, returning the Tensor itself: 2 to the power of input, as floats."""
    def exp_(self) -> Self:
        """In place, returning the Tensor itself: e to the power of input, as floats."""
    def expand(self, *size: _int | Sequence[_int], **named: Any) -> Tensor:
        """Dimensions of size one repeated without a copy; -1 keeps a size. It cannot be written to."""
    def expand_as(self, other: Tensor) -> Tensor:
        """``input.expand`` to the shape of ``other``."""
    def expm1(self) -> Tensor:
        """exp(input) - 1, which is exact near 0 too."""
    def expm1_(self) -> Self:
        """In place, returning the Tensor itself: exp(input) - 1, which is exact near 0 too."""
    def exponential_(self, lambd: _float = 1, *, generator: Generator | None = None) -> Self:
        """Exponential numbers of rate ``lambd``: their mean is 1 / lambd."""
    def fill_(self, value: _Operand) -> Self:
        """In place, returning the Tensor itself: Every element ``value``, a number or a tensor without dimensions."""
    def fill_diagonal_(self, fill_value: _Operand, wrap: _bool = False) -> Self:
        """A number on the diagonal, in place; with ``wrap`` also on those below it in a tall matrix."""
    def fix(self) -> Tensor:
        """The whole number next to input on the side of zero."""
    def fix_(self) -> Self:
        """In place, returning the Tensor itself: The whole number next to input on the side of zero."""
    def flatten(self, start_dim: _int = 0, end_dim: _int = -1) -> Tensor:
        """The dimensions from ``start_dim`` to ``end_dim`` as one."""
    def flip(self, *dims: _int | Sequence[_int], **named: Any) -> Tensor:
        """The elements in reverse order along ``dims``, as a copy."""
    def fliplr(self) -> Tensor:
        """The elements in reverse order along the second dimension."""
    def flipud(self) -> Tensor:
        """The elements in reverse order along the first dimension."""
    def float(self) -> Tensor:
        """In float32."""
    def float_power(self, exponent: _Operand) -> Tensor:
        """input ** exponent in float64, or in complex64 where one of them is complex. MLX has float64 on the CPU only."""
    def float_power_(self, exponent: _Operand) -> Self:
        """In place, returning the Tensor itself: input ** exponent in float64, or in complex64 where one of them is complex. MLX has float64 on the CPU only."""
    def floor(self) -> Tensor:
        """The largest whole number that is not above input."""
    def floor_(self) -> Self:
        """In place, returning the Tensor itself: The largest whole number that is not above input."""
    def floor_divide(self, other: _Operand) -> Tensor:
        """input / other, rounded down; there is no derivative."""
    def floor_divide_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input / other, rounded down; there is no derivative."""
    def fmax(self, other: _Operand) -> Tensor:
        """The larger of input and other, and the one that is a number where the other one is NaN."""
    def fmin(self, other: _Operand) -> Tensor:
        """The smaller of input and other, and the one that is a number where the other one is NaN."""
    def fmod(self, other: _Operand) -> Tensor:
        """What is left of input by a division that is rounded towards zero; it has the sign of input."""
    def fmod_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: What is left of input by a division that is rounded towards zero; it has the sign of input."""
    def frac(self) -> Tensor:
        """What is left of input without its whole part; it has the sign of input."""
    def frac_(self) -> Self:
        """In place, returning the Tensor itself: What is left of input without its whole part; it has the sign of input."""
    def gather(self, dim: _int, index: _TensorLike) -> Tensor:
        """The elements of ``input`` along ``dim`` that ``index`` names."""
    def gcd(self, other: _Operand) -> Tensor:
        """The greatest common divisor of integers."""
    def gcd_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: The greatest common divisor of integers."""
    def ge(self, other: _Operand) -> Tensor:
        """Whether input >= other, as booleans."""
    def geometric_(self, p: _float, *, generator: Generator | None = None) -> Self:
        """How many trials of probability ``p`` it takes until one succeeds."""
    def ger(self, vec2: _TensorLike) -> Tensor:
        """The outer product of two vectors."""
    def greater(self, other: _Operand) -> Tensor:
        """Whether input > other, as booleans."""
    def greater_equal(self, other: _Operand) -> Tensor:
        """Whether input >= other, as booleans."""
    def gt(self, other: _Operand) -> Tensor:
        """Whether input > other, as booleans."""
    def half(self) -> Tensor:
        """In float16."""
    def hardshrink(self, lambd: _float = 0.5) -> Tensor:
        """input where its size is larger than ``lambd``, else 0."""
    def heaviside(self, values: _TensorLike) -> Tensor:
        """0 where input is negative or NaN, 1 where it is positive, ``values`` where it is 0; no derivative."""
    def heaviside_(self, values: _TensorLike) -> Self:
        """In place, returning the Tensor itself: 0 where input is negative or NaN, 1 where it is positive, ``values`` where it is 0; no derivative."""
    def histc(self, bins: _int = 100, min: _Operand | None = 0, max: _Operand | None = 0) -> Tensor:
        """How many elements are in each of ``bins`` equal parts from ``min`` to ``max``, or from the least to the most."""
    def hsplit(self, *indices: Any, **given: Any) -> Tensor:
        """``tensor_split`` along dimension 1, of a size that the number of parts divides."""
    def hypot(self, other: _Operand) -> Tensor:
        """sqrt(input^2 + other^2), without an overflow of the squares."""
    def hypot_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: sqrt(input^2 + other^2), without an overflow of the squares."""
    def index_add(self, dim: _Dim, index: _TensorLike, source: _TensorLike, *, alpha: _Operand = 1) -> Tensor:
        """``input`` with alpha times the parts of ``source`` added along ``dim`` at the places of ``index``."""
    def index_add_(self, dim: _Dim, index: _TensorLike, source: _TensorLike, *, alpha: _Operand = 1) -> Self:
        """In place, returning the Tensor itself: ``input`` with alpha times the parts of ``source`` added along ``dim`` at the places of ``index``."""
    def index_copy(self, dim: _Dim, index: _TensorLike, source: _TensorLike) -> Tensor:
        """``input`` with the parts along ``dim`` at the places of ``index`` replaced by those of ``source``."""
    def index_copy_(self, dim: _Dim, index: _TensorLike, source: _TensorLike) -> Self:
        """In place, returning the Tensor itself: ``input`` with the parts along ``dim`` at the places of ``index`` replaced by those of ``source``."""
    def index_fill(self, dim: _Dim, index: _TensorLike, value: _Operand) -> Tensor:
        """``input`` with ``value``, a number or a tensor without dimensions, along ``dim`` at the places of ``index``."""
    def index_fill_(self, dim: _Dim, index: _TensorLike, value: _Operand) -> Self:
        """In place, returning the Tensor itself: ``input`` with ``value``, a number or a tensor without dimensions, along ``dim`` at the places of ``index``."""
    def index_put(self, indices: Sequence[Any], values: _TensorLike, accumulate: _bool = False) -> Tensor:
        """``input`` with ``values`` at arrays of indices; added to what is there with ``accumulate``."""
    def index_put_(self, indices: Sequence[Any], values: _TensorLike, accumulate: _bool = False) -> Self:
        """In place, returning the Tensor itself: ``input`` with ``values`` at arrays of indices; added to what is there with ``accumulate``."""
    def index_select(self, dim: _Dim, index: _TensorLike) -> Tensor:
        """The parts of ``input`` along ``dim`` at the places that the vector ``index`` names."""
    def inner(self, other: _Operand) -> Tensor:
        """The sum of products over the last dimensions of both; a product where one has no dimensions."""
    def int(self) -> Tensor:
        """In int32."""
    def isclose(self, other: _TensorLike, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False) -> Tensor:
        """Whether abs(input - other) <= atol + rtol * abs(other); with ``equal_nan`` NaN is close to NaN."""
    def isfinite(self) -> Tensor:
        """Whether it is not NaN, inf or -inf, as booleans."""
    def isinf(self) -> Tensor:
        """Whether it is inf or -inf, as booleans."""
    def isnan(self) -> Tensor:
        """Whether it is NaN, as booleans."""
    def isneginf(self) -> Tensor:
        """Whether it is -inf, as booleans."""
    def isposinf(self) -> Tensor:
        """Whether it is inf, as booleans."""
    def isreal(self) -> Tensor:
        """Whether it has no imaginary part, as booleans."""
    def kron(self, other: _Operand) -> Tensor:
        """The Kronecker product: each element of ``input`` times the whole of ``other``."""
    def kthvalue(self, k: _int, dim: _Dim = -1, keepdim: _bool = False) -> Tensor:
        """The k-th smallest element along ``dim``, counted from 1, and where it is."""
    def lcm(self, other: _Operand) -> Tensor:
        """The least common multiple of integers; 0 where one of them is 0."""
    def lcm_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: The least common multiple of integers; 0 where one of them is 0."""
    def ldexp(self, other: _TensorLike) -> Tensor:
        """input * 2^other, as floats."""
    def ldexp_(self, other: _TensorLike) -> Self:
        """In place, returning the Tensor itself: input * 2^other, as floats."""
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
    def lgamma(self) -> Tensor:
        """The logarithm of the absolute value of the gamma function; infinite at 0 and the negative whole numbers."""
    def lgamma_(self) -> Self:
        """In place, returning the Tensor itself: The logarithm of the absolute value of the gamma function; infinite at 0 and the negative whole numbers."""
    def log(self) -> Tensor:
        """The natural logarithm, as floats."""
    def log10(self) -> Tensor:
        """The logarithm to the base 10, as floats."""
    def log10_(self) -> Self:
        """In place, returning the Tensor itself: The logarithm to the base 10, as floats."""
    def log1p(self) -> Tensor:
        """log(1 + input), which is exact near 0 too."""
    def log1p_(self) -> Self:
        """In place, returning the Tensor itself: log(1 + input), which is exact near 0 too."""
    def log2(self) -> Tensor:
        """The logarithm to the base 2, as floats."""
    def log2_(self) -> Self:
        """In place, returning the Tensor itself: The logarithm to the base 2, as floats."""
    def log_(self) -> Self:
        """In place, returning the Tensor itself: The natural logarithm, as floats."""
    def log_normal_(self, mean: _float = 1, std: _float = 2, *, generator: Generator | None = None) -> Self:
        """e to the power of normal numbers of a mean and a standard deviation."""
    def log_softmax(self, dim: _Dim, dtype: _Dtype | None = None) -> Tensor:
        """The logarithm of the softmax over ``dim``."""
    def logaddexp(self, other: _Operand) -> Tensor:
        """log(exp(input) + exp(other)), without an overflow."""
    def logaddexp2(self, other: _Operand) -> Tensor:
        """log2(2^input + 2^other), without an overflow."""
    def logcumsumexp(self, dim: _Dim) -> Tensor:
        """The logarithms of the cumulative sums of exp(input) along ``dim``."""
    def logical_and(self, other: _TensorLike) -> Tensor:
        """Whether both are true; a number is true where it is not 0."""
    def logical_not(self) -> Tensor:
        """Whether it is false or 0."""
    def logical_or(self, other: _TensorLike) -> Tensor:
        """Whether one or both are true; a number is true where it is not 0."""
    def logical_xor(self, other: _TensorLike) -> Tensor:
        """Whether exactly one is true; a number is true where it is not 0."""
    def logit(self, eps: _float | None = None) -> Tensor:
        """log(input / (1 - input)), of the input between ``eps`` and 1 - ``eps`` where that is given."""
    def logit_(self, eps: _float | None = None) -> Self:
        """In place, returning the Tensor itself: log(input / (1 - input)), of the input between ``eps`` and 1 - ``eps`` where that is given."""
    def logsumexp(self, dim: _Dim, keepdim: _bool = False) -> Tensor:
        """The logarithm of the sum of exp(input) over ``dim``."""
    def long(self) -> Tensor:
        """In int64."""
    def lt(self, other: _Operand) -> Tensor:
        """Whether input < other, as booleans."""
    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged."""
    def masked_fill(self, mask: _TensorLike, value: _Operand) -> Tensor:
        """``input`` with ``value``, a number or a tensor without dimensions, where ``mask`` is true."""
    def masked_fill_(self, mask: _TensorLike, value: _Operand) -> Self:
        """In place, returning the Tensor itself: ``input`` with ``value``, a number or a tensor without dimensions, where ``mask`` is true."""
    def masked_scatter(self, mask: _TensorLike, source: _TensorLike) -> Tensor:
        """``input`` with the first elements of ``source`` in the places where ``mask`` is true, in row-major order."""
    def masked_scatter_(self, mask: _TensorLike, source: _TensorLike) -> Self:
        """In place, returning the Tensor itself: ``input`` with the first elements of ``source`` in the places where ``mask`` is true, in row-major order."""
    def masked_select(self, mask: _TensorLike) -> Tensor:
        """A vector of the elements where ``mask`` is true."""
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
    def mean(self, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None) -> Tensor:
        """The mean of floating numbers."""
    def median(self, dim: _Dim = None, keepdim: _bool = False) -> Tensor:
        """The median of all elements, the lower of two; with ``dim`` a pair (values, indices)."""
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
    def mode(self, dim: _Dim = -1, keepdim: _bool = False) -> Tensor:
        """The most frequent element along ``dim``, the smallest of several, and where its last one is."""
    def moveaxis(self, source: _int | Sequence[_int], destination: _int | Sequence[_int]) -> Tensor:
        """The dimensions ``source`` at the places ``destination``, and the others in their order."""
    def movedim(self, source: _int | Sequence[_int], destination: _int | Sequence[_int]) -> Tensor:
        """The dimensions ``source`` at the places ``destination``, and the others in their order."""
    def msort(self) -> Tensor:
        """The elements in order along the first dimension."""
    def mul(self, other: _Operand) -> Tensor:
        """input * other."""
    def mul_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input * other."""
    def multinomial(self, num_samples: _int, replacement: _bool = False, *, generator: Generator | None = None) -> Tensor:
        """Places of ``input``, or of each of its rows, drawn in proportion to the scores there, as int64."""
    def multiply(self, other: _Operand) -> Tensor:
        """input * other."""
    def multiply_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input * other."""
    def mv(self, vec: _TensorLike) -> Tensor:
        """The product of a matrix and a vector."""
    def nan_to_num(self, nan: _float | None = None, posinf: _float | None = None, neginf: _float | None = None) -> Tensor:
        """Input with a number in the place of NaN (0), inf and -inf (the largest and the least number of the dtype)."""
    def nan_to_num_(self, nan: _float | None = None, posinf: _float | None = None, neginf: _float | None = None) -> Self:
        """In place, returning the Tensor itself: Input with a number in the place of NaN (0), inf and -inf (the largest and the least number of the dtype)."""
    def nanmean(self, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None) -> Tensor:
        """The mean of the elements that are no NaN."""
    def nanmedian(self, dim: _Dim = None, keepdim: _bool = False) -> Tensor:
        """The median of all elements that are no NaN, the lower of two; with ``dim`` a pair (values, indices)."""
    def nanquantile(self, q: Any, dim: _Dim = None, keepdim: _bool = False, *, interpolation: str = "linear") -> Tensor:
        """The quantiles ``q`` along ``dim``, or of all elements that are no NaN."""
    def nansum(self, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None) -> Tensor:
        """The sum of the elements that are no NaN; that of integers and booleans is int64."""
    def narrow(self, dim: _int, start: _int, length: _int) -> Tensor:
        """``length`` elements from ``start`` along ``dim``; ``start`` may be a Tensor without dimensions."""
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
    def new_empty(self, *size: _int | Sequence[_int], dtype: _Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """As ``new_zeros``: MLX has no arrays without values."""
    def new_full(self, size: Sequence[_int], fill_value: _Operand, *, dtype: _Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """A number throughout a shape in this Tensor's dtype."""
    def new_ones(self, *size: _int | Sequence[_int], dtype: _Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """Ones of a shape in this Tensor's dtype."""
    def new_tensor(self, data: Any, *, dtype: _Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """``data`` in this Tensor's dtype."""
    def new_zeros(self, *size: _int | Sequence[_int], dtype: _Dtype | None = None, device: Any = None, requires_grad: _bool = False) -> Tensor:
        """Zeros of a shape in this Tensor's dtype."""
    def nextafter(self, other: _TensorLike) -> Tensor:
        """The next number after input, in its dtype, on the way to other; other where both are equal."""
    def nextafter_(self, other: _TensorLike) -> Self:
        """In place, returning the Tensor itself: The next number after input, in its dtype, on the way to other; other where both are equal."""
    def nonzero(self, *, as_tuple: _bool = False) -> Tensor:
        """The indices of the elements that are not zero, a row for each; with ``as_tuple`` a vector for each dimension."""
    def norm(self, p: _float | str | None = "fro", dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None) -> Tensor:
        """``(sum |x|^p)^(1/p)``: the largest for inf, the number of non-zeros for 0."""
    def normal_(self, mean: _float = 0, std: _float = 1, *, generator: Generator | None = None) -> Self:
        """Normal numbers of a mean and a standard deviation."""
    def not_equal(self, other: _Operand) -> Tensor:
        """Whether input != other, as booleans."""
    def outer(self, vec2: _TensorLike) -> Tensor:
        """The outer product of two vectors."""
    def permute(self, *dims: _int | Sequence[_int], **named: Any) -> Tensor:
        """The dimensions in another order."""
    def positive(self) -> Tensor:
        """The Tensor itself, which must not be of booleans."""
    def pow(self, exponent: _Operand) -> Tensor:
        """input ** exponent."""
    def pow_(self, exponent: _Operand) -> Self:
        """In place, returning the Tensor itself: input ** exponent."""
    def prelu(self, weight: _TensorLike) -> Tensor:
        """input where it is positive, else weight * input, with one weight for all or one for each channel."""
    def prod(self, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None) -> Tensor:
        """The product; that of integers and booleans is int64."""
    def quantile(self, q: Any, dim: _Dim = None, keepdim: _bool = False, *, interpolation: str = "linear") -> Tensor:
        """The quantiles ``q`` along ``dim``, or of all elements."""
    def rad2deg(self) -> Tensor:
        """An angle in radians as degrees."""
    def rad2deg_(self) -> Self:
        """In place, returning the Tensor itself: An angle in radians as degrees."""
    def random_(self, *args: Any, generator: Generator | None = None, **kwargs: Any) -> Self:
        """Integers from ``from`` (0) up to ``to``, which is left out: ``random_(to)``, ``random_(from, to)``."""
    def ravel(self) -> Tensor:
        """All elements as one dimension; a copy only where torch needs one."""
    def reciprocal(self) -> Tensor:
        """1 / input, as floats."""
    def reciprocal_(self) -> Self:
        """In place, returning the Tensor itself: 1 / input, as floats."""
    def relu(self) -> Tensor:
        """The larger of input and 0; the slope at 0 is 0."""
    def relu_(self) -> Self:
        """In place, returning the Tensor itself: The larger of input and 0; the slope at 0 is 0."""
    def remainder(self, other: _Operand) -> Tensor:
        """What is left of input by a division that is rounded down; it has the sign of other."""
    def remainder_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: What is left of input by a division that is rounded down; it has the sign of other."""
    def renorm(self, p: _float | str | None, dim: _Dim, maxnorm: _float) -> Tensor:
        """Each part along ``dim`` whose p-norm is larger than ``maxnorm`` scaled down to it."""
    def renorm_(self, p: _float | str | None, dim: _Dim, maxnorm: _float) -> Self:
        """In place, returning the Tensor itself: Each part along ``dim`` whose p-norm is larger than ``maxnorm`` scaled down to it."""
    def repeat(self, *repeats: Any, **named: Any) -> Tensor:
        """The whole repeated along each dimension, as a copy; more numbers than dimensions make new ones in front."""
    def repeat_interleave(self, repeats: Any = None, dim: _Dim = None, *, output_size: _int | None = None) -> Tensor:
        """Each element along ``dim``, or of the flat input, repeated a number of times, or as often as a tensor says."""
    def reshape(self, *shape: _int | Sequence[_int], **named: Any) -> Tensor:
        """The same elements in another shape: a view where torch has one, else a copy."""
    def reshape_as(self, other: Tensor) -> Tensor:
        """``input.reshape`` in the shape of ``other``."""
    def roll(self, shifts: _int | Sequence[_int], dims: _int | Sequence[_int] = ()) -> Tensor:
        """The elements moved by ``shifts`` along ``dims``, around the end; in row-major order without ``dims``."""
    def rot90(self, k: _int = 1, dims: _int | Sequence[_int] = (0, 1)) -> Tensor:
        """A quarter turn from the first of ``dims`` to the second, ``k`` times."""
    def round(self, *, decimals: _int = 0) -> Tensor:
        """The nearest number with that many decimals, the even one in the middle."""
    def round_(self, *, decimals: _int = 0) -> Self:
        """In place, returning the Tensor itself: The nearest number with that many decimals, the even one in the middle."""
    def rsqrt(self) -> Tensor:
        """1 / sqrt(input), as floats."""
    def rsqrt_(self) -> Self:
        """In place, returning the Tensor itself: 1 / sqrt(input), as floats."""
    def scatter(self, dim: _Dim, index: _TensorLike, src: Any = None, *, value: _Operand | None = None, reduce: str | None = None) -> Tensor:
        """``input`` with elements of ``src``, or a number, along ``dim`` at the places that ``index`` names."""
    def scatter_(self, dim: _Dim, index: _TensorLike, src: Any = None, *, value: _Operand | None = None, reduce: str | None = None) -> Self:
        """In place, returning the Tensor itself: ``input`` with elements of ``src``, or a number, along ``dim`` at the places that ``index`` names."""
    def scatter_add(self, dim: _Dim, index: _TensorLike, src: _TensorLike) -> Tensor:
        """``input`` with the elements of ``src`` added along ``dim`` at the places that ``index`` names."""
    def scatter_add_(self, dim: _Dim, index: _TensorLike, src: _TensorLike) -> Self:
        """In place, returning the Tensor itself: ``input`` with the elements of ``src`` added along ``dim`` at the places that ``index`` names."""
    def scatter_reduce(self, dim: _int, index: _TensorLike, src: _TensorLike, reduce: str, *, include_self: _bool = True) -> Tensor:
        """``input`` with the sum, product, mean or extreme of elements of ``src`` along ``dim`` at the places of ``index``."""
    def scatter_reduce_(self, dim: _int, index: _TensorLike, src: _TensorLike, reduce: str, *, include_self: _bool = True) -> Self:
        """In place, returning the Tensor itself: ``input`` with the sum, product, mean or extreme of elements of ``src`` along ``dim`` at the places of ``index``."""
    def select(self, dim: _int, index: _int) -> Tensor:
        """The part at ``index`` along ``dim``, without that dimension."""
    def select_scatter(self, src: _TensorLike, dim: _Dim, index: _TensorLike) -> Tensor:
        """A copy of ``input`` with ``src`` in the place of ``select(dim, index)``."""
    def sgn(self) -> Tensor:
        """As ``sign``; input / abs(input) of complex numbers."""
    def sgn_(self) -> Self:
        """In place, returning the Tensor itself: As ``sign``; input / abs(input) of complex numbers."""
    def short(self) -> Tensor:
        """In int16."""
    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-input))."""
    def sigmoid_(self) -> Self:
        """In place, returning the Tensor itself: 1 / (1 + exp(-input))."""
    def sign(self) -> Tensor:
        """-1, 0 or 1, as the sign is."""
    def sign_(self) -> Self:
        """In place, returning the Tensor itself: -1, 0 or 1, as the sign is."""
    def signbit(self) -> Tensor:
        """Whether the sign of input is minus, that of -0.0 included; booleans."""
    def sin(self) -> Tensor:
        """The sine."""
    def sin_(self) -> Self:
        """In place, returning the Tensor itself: The sine."""
    def sinc(self) -> Tensor:
        """sin(pi input) / (pi input), which is 1 where input is 0."""
    def sinc_(self) -> Self:
        """In place, returning the Tensor itself: sin(pi input) / (pi input), which is 1 where input is 0."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine."""
    def sinh_(self) -> Self:
        """In place, returning the Tensor itself: The hyperbolic sine."""
    def slice_scatter(self, src: _TensorLike, dim: _Dim = 0, start: _int | None = None, end: _TensorLike | None = None, step: _int = 1) -> Tensor:
        """A copy of ``input`` with ``src`` in the place of a slice along ``dim``."""
    def softmax(self, dim: _Dim, dtype: _Dtype | None = None) -> Tensor:
        """exp(input) divided by its sum over ``dim``."""
    def sort(self, dim: _Dim = -1, descending: _bool = False, *, stable: _bool | None = None) -> Tensor:
        """The elements in order along ``dim``, and where they were; the order is always stable."""
    def split(self, split_size: Any, dim: _Dim = 0) -> Tensor:
        """Views of ``split_size`` elements along ``dim``, the last one of what is left; of the sizes where it is a list."""
    def split_with_sizes(self, split_sizes: Sequence[_int], dim: _Dim = 0) -> Tensor:
        """Views of the given sizes along ``dim``, as a tuple."""
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
    def sum(self, dim: _Dim = None, keepdim: _bool = False, *, dtype: _Dtype | None = None) -> Tensor:
        """The sum; that of integers and booleans is int64."""
    def sum_to_size(self, *size: _int | Sequence[_int], **named: Any) -> Tensor:
        """The sum over the dimensions that an expansion of ``size`` to the shape of ``input`` repeats."""
    def swapaxes(self, axis0: _int, axis1: _int) -> Tensor:
        """Two dimensions exchanged."""
    def swapdims(self, dim0: _int, dim1: _int) -> Tensor:
        """Two dimensions exchanged."""
    def t(self) -> Tensor:
        """A matrix transposed; a vector or a number as it is."""
    def take(self, index: _TensorLike) -> Tensor:
        """The elements at ``index``, counted in row-major order."""
    def take_along_dim(self, indices: _TensorLike, dim: _Dim = None) -> Tensor:
        """The elements along ``dim`` that ``indices`` names, where both broadcast; of the flat input without ``dim``."""
    def tan(self) -> Tensor:
        """The tangent."""
    def tan_(self) -> Self:
        """In place, returning the Tensor itself: The tangent."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
    def tanh_(self) -> Self:
        """In place, returning the Tensor itself: The hyperbolic tangent."""
    def tensor_split(self, indices_or_sections: Any = None, dim: _Dim = 0, **given: Any) -> Tensor:
        """Views along ``dim``: as many as a number says, of sizes that differ by one at most, or between the indices."""
    def tile(self, *dims: _int | Sequence[_int], **named: Any) -> Tensor:
        """The whole repeated along each dimension; missing numbers in front are ones."""
    def to(self, *args: Any, dtype: _Dtype | None = None, device: Any = None, copy: _bool = False, **kwargs: Any) -> Tensor:
        """In another dtype, on a device, or as another Tensor; itself where nothing changes and not ``copy``."""
    def topk(self, k: _int, dim: _Dim = -1, largest: _bool = True, sorted: _bool = True) -> Tensor:
        """The ``k`` largest (or smallest) elements along ``dim`` in order, and where they are."""
    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix; that of integers and booleans is int64."""
    def transpose(self, dim0: _int, dim1: _int) -> Tensor:
        """Two dimensions exchanged."""
    def tril(self, diagonal: _int = 0) -> Tensor:
        """The lower triangle of matrices, with zeros above the diagonal that is ``diagonal`` places above the main one."""
    def tril_(self, diagonal: _int = 0) -> Self:
        """In place, returning the Tensor itself: The lower triangle of matrices, with zeros above the diagonal that is ``diagonal`` places above the main one."""
    def triu(self, diagonal: _int = 0) -> Tensor:
        """The upper triangle of matrices, with zeros below the diagonal that is ``diagonal`` places above the main one."""
    def triu_(self, diagonal: _int = 0) -> Self:
        """In place, returning the Tensor itself: The upper triangle of matrices, with zeros below the diagonal that is ``diagonal`` places above the main one."""
    def true_divide(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Tensor:
        """input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def true_divide_(self, other: _Operand, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Self:
        """In place, returning the Tensor itself: input / other, rounded down with ``rounding_mode="floor"``, towards zero with ``"trunc"``; else floats."""
    def trunc(self) -> Tensor:
        """The whole number next to input on the side of zero."""
    def trunc_(self) -> Self:
        """In place, returning the Tensor itself: The whole number next to input on the side of zero."""
    @overload
    def type(self, dtype: None = None) -> str: ...
    @overload
    def type(self, dtype: _Dtype | str) -> Tensor: ...
    def type_as(self, other: Tensor) -> Tensor:
        """In the dtype of ``other``, and on its device."""
    def unbind(self, dim: _Dim = 0) -> Tensor:
        """The parts at each place of ``dim``, without that dimension, as a tuple of views."""
    def unflatten(self, dim: _Dim, sizes: _int | Sequence[_int]) -> Tensor:
        """A dimension as several of the sizes ``sizes``, of which one may be -1."""
    def unfold(self, dimension: _int, size: _int | Sequence[_int], step: _int) -> Tensor:
        """Windows of ``size`` elements along ``dimension``, ``step`` apart, as a new last dimension: a view."""
    def uniform_(self, *args: Any, generator: Generator | None = None, **kwargs: Any) -> Self:
        """Uniform numbers from ``from`` (0) up to ``to`` (1), which is left out: ``uniform_(from, to)``."""
    def unique(self, sorted: _bool = True, return_inverse: _bool = False, return_counts: _bool = False, dim: _Dim = None) -> Tensor:
        """The distinct elements, or parts along ``dim``, in order; each NaN is one of its own."""
    def unique_consecutive(self, return_inverse: _bool = False, return_counts: _bool = False, dim: _Dim = None) -> Tensor:
        """The first element, or part along ``dim``, of each run of equal ones."""
    def unsqueeze(self, dim: _int) -> Tensor:
        """A new dimension of size one at ``dim``."""
    def var(self, dim: _Dim = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None) -> Tensor:
        """sum((x - mean)^2) / max(0, n - correction); the correction is 1, or 0 with ``unbiased=False``."""
    def vdot(self, other: _Operand) -> Tensor:
        """The inner product of two vectors, as ``dot``."""
    def view(self, *shape: _int | Sequence[_int], **named: Any) -> Tensor:
        """The same elements in another shape, without a copy: writes go both ways."""
    def view_as(self, other: Tensor) -> Tensor:
        """``input.view`` in the shape of ``other``."""
    def vsplit(self, *indices: Any, **given: Any) -> Tensor:
        """``tensor_split`` along dimension 0, of a size that the number of parts divides."""
    def where(self, condition: _TensorLike, other: _Operand) -> Tensor:
        """``self`` where ``condition``, else ``other``."""
    def xlogy(self, other: _Operand) -> Tensor:
        """input * log(other), which is 0 where input is 0; NaN where other is NaN."""
    def xlogy_(self, other: _Operand) -> Self:
        """In place, returning the Tensor itself: input * log(other), which is 0 where input is 0; NaN where other is NaN."""
    def zero_(self) -> Self:
        """In place, returning the Tensor itself: Zeros."""
