"""What the table of ops makes of torch.nn.functional. Written by ``tests/table_stub.py``."""

from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import mlx.core as mx
import numpy as np

from ..._tensor.tensor import Tensor

_TensorLike: TypeAlias = Tensor | mx.array
_Operand: TypeAlias = Tensor | mx.array | np.ndarray[Any, Any] | np.generic | _bool | _int | _float | complex

def adaptive_avg_pool1d(input: _TensorLike, output_size: Any) -> Tensor:
    """The mean of each of ``output_size`` windows along each of the last 1 of the sizes."""
def adaptive_avg_pool2d(input: _TensorLike, output_size: Any) -> Tensor:
    """The mean of each of ``output_size`` windows along each of the last 2 of the sizes."""
def adaptive_avg_pool3d(input: _TensorLike, output_size: Any) -> Tensor:
    """The mean of each of ``output_size`` windows along each of the last 3 of the sizes."""
def adaptive_max_pool1d(input: _TensorLike, output_size: Any, return_indices: _bool = False) -> Tensor:
    """The largest of each of ``output_size`` windows along each of the last 1 of the sizes."""
def adaptive_max_pool2d(input: _TensorLike, output_size: Any, return_indices: _bool = False) -> Tensor:
    """The largest of each of ``output_size`` windows along each of the last 2 of the sizes."""
def adaptive_max_pool3d(input: _TensorLike, output_size: Any, return_indices: _bool = False) -> Tensor:
    """The largest of each of ``output_size`` windows along each of the last 3 of the sizes."""
def avg_pool1d(input: _TensorLike, kernel_size: Sizes, stride: Sizes = (), padding: Sizes = 0, ceil_mode: _bool = False, count_include_pad: _bool = True) -> Tensor:
    """The mean of each window of the last 1 of the sizes."""
def avg_pool2d(input: _TensorLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: _bool = False, count_include_pad: _bool = True, divisor_override: _int | None = None) -> Tensor:
    """The mean of each window of the last 2 of the sizes."""
def avg_pool3d(input: _TensorLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: _bool = False, count_include_pad: _bool = True, divisor_override: _int | None = None) -> Tensor:
    """The mean of each window of the last 3 of the sizes."""
def celu(input: _Operand, alpha: _float = 1.0, inplace: _bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input / alpha) - 1)."""
def celu_(input: _Operand, alpha: _float = 1.0) -> Tensor:
    """In place, returning the Tensor itself: input where it is positive, else alpha * (exp(input / alpha) - 1)."""
def conv1d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: Sizes = 1, padding: Sizes | str = 0, dilation: Sizes = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight``, plus ``bias``, over the last 1 of its sizes."""
def conv2d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: Sizes = 1, padding: Sizes | str = 0, dilation: Sizes = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight``, plus ``bias``, over the last 2 of its sizes."""
def conv3d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: Sizes = 1, padding: Sizes | str = 0, dilation: Sizes = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight``, plus ``bias``, over the last 3 of its sizes."""
def conv_transpose1d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: Sizes = 1, padding: Sizes = 0, output_padding: Sizes = 0, groups: _int = 1, dilation: Sizes = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv1d`` is, plus ``bias``."""
def conv_transpose2d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: Sizes = 1, padding: Sizes = 0, output_padding: Sizes = 0, groups: _int = 1, dilation: Sizes = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv2d`` is, plus ``bias``."""
def conv_transpose3d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: Sizes = 1, padding: Sizes = 0, output_padding: Sizes = 0, groups: _int = 1, dilation: Sizes = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv3d`` is, plus ``bias``."""
def elu(input: _Operand, alpha: _float = 1.0, inplace: _bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
def elu_(input: _Operand, alpha: _float = 1.0) -> Tensor:
    """In place, returning the Tensor itself: input where it is positive, else alpha * (exp(input) - 1)."""
def gelu(input: _Operand, *, approximate: str = "none") -> Tensor:
    """input times the probability that a normal number is smaller; with ``approximate="tanh"`` by torch's formula."""
def glu(input: _Operand, dim: _int = -1) -> Tensor:
    """The first half along ``dim`` times the sigmoid of the second half."""
def hardshrink(input: _Operand, lambd: _float = 0.5) -> Tensor:
    """input where its size is larger than ``lambd``, else 0."""
def hardsigmoid(input: _Operand, inplace: _bool = False) -> Tensor:
    """relu6(input + 3) / 6."""
def hardswish(input: _Operand, inplace: _bool = False) -> Tensor:
    """input * relu6(input + 3) / 6."""
def hardtanh(input: _TensorLike, min_val: _float = -1.0, max_val: _float = 1.0, inplace: _bool = False) -> Tensor:
    """The input, at least ``min_val`` and at most ``max_val``; the slope at these bounds is 0."""
def hardtanh_(input: _TensorLike, min_val: _float = -1.0, max_val: _float = 1.0) -> Tensor:
    """In place, returning the Tensor itself: The input, at least ``min_val`` and at most ``max_val``; the slope at these bounds is 0."""
def leaky_relu(input: _Operand, negative_slope: _float = 0.01, inplace: _bool = False) -> Tensor:
    """input where it is positive, else negative_slope * input."""
def leaky_relu_(input: _Operand, negative_slope: _float = 0.01) -> Tensor:
    """In place, returning the Tensor itself: input where it is positive, else negative_slope * input."""
def logsigmoid(input: _Operand) -> Tensor:
    """log(sigmoid(input))."""
def max_pool1d(input: _TensorLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1, ceil_mode: _bool = False, return_indices: _bool = False) -> Tensor:
    """The largest element of each window of the last 1 of the sizes."""
def max_pool2d(input: _TensorLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1, ceil_mode: _bool = False, return_indices: _bool = False) -> Tensor:
    """The largest element of each window of the last 2 of the sizes."""
def max_pool3d(input: _TensorLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1, ceil_mode: _bool = False, return_indices: _bool = False) -> Tensor:
    """The largest element of each window of the last 3 of the sizes."""
def mish(input: _Operand, inplace: _bool = False) -> Tensor:
    """input * tanh(log(1 + exp(input)))."""
def prelu(input: _TensorLike, weight: _TensorLike) -> Tensor:
    """input where it is positive, else weight * input, with one weight for all or one for each channel."""
def relu(input: _TensorLike, inplace: _bool = False) -> Tensor:
    """The larger of input and 0; the slope at 0 is 0."""
def relu6(input: _TensorLike, inplace: _bool = False) -> Tensor:
    """The input, at least 0 and at most 6; the slope at these bounds is 0."""
def relu_(input: _TensorLike) -> Tensor:
    """In place, returning the Tensor itself: The larger of input and 0; the slope at 0 is 0."""
def selu(input: _Operand, inplace: _bool = False) -> Tensor:
    """1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
def selu_(input: _Operand) -> Tensor:
    """In place, returning the Tensor itself: 1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
def sigmoid(input: _TensorLike) -> Tensor:
    """1 / (1 + exp(-input))."""
def silu(input: _Operand, inplace: _bool = False) -> Tensor:
    """input * sigmoid(input)."""
def softplus(input: _Operand, beta: _float = 1, threshold: _float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is larger than ``threshold``."""
def softshrink(input: _Operand, lambd: _float = 0.5) -> Tensor:
    """input, moved towards 0 by ``lambd``; 0 where its size is not larger than that."""
def softsign(input: _Operand) -> Tensor:
    """input / (1 + the size of input)."""
def tanh(input: _TensorLike) -> Tensor:
    """The hyperbolic tangent."""
def tanhshrink(input: _TensorLike) -> Tensor:
    """input - tanh(input)."""
def threshold(input: _TensorLike, threshold: _float, value: _float, inplace: _bool = False) -> Tensor:
    """input where it is larger than ``threshold``, else ``value``."""
def threshold_(input: _TensorLike, threshold: _float, value: _float) -> Tensor:
    """In place, returning the Tensor itself: input where it is larger than ``threshold``, else ``value``."""
