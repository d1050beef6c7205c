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
def alpha_dropout(input: _TensorLike, p: _float = 0.5, training: _bool = False, inplace: _bool = False) -> Tensor:
    """``torch.alpha_dropout``: dropout for SELU, whose mean and variance stay. Errors as ``dropout``."""
def avg_pool1d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = (), padding: _int | Sequence[_int] = 0, ceil_mode: _bool = False, count_include_pad: _bool = True) -> Tensor:
    """The mean of each window of the last 1 of the sizes."""
def avg_pool2d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, ceil_mode: _bool = False, count_include_pad: _bool = True, divisor_override: _int | None = None) -> Tensor:
    """The mean of each window of the last 2 of the sizes."""
def avg_pool3d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, ceil_mode: _bool = False, count_include_pad: _bool = True, divisor_override: _int | None = None) -> Tensor:
    """The mean of each window of the last 3 of the sizes."""
def batch_norm(input: _TensorLike, running_mean: _TensorLike | None, running_var: _TensorLike | None, weight: _TensorLike | None = None, bias: _TensorLike | None = None, training: _bool = False, momentum: _float = 0.1, eps: _float = 1e-05) -> Tensor:
    """Mean 0 and variance 1 of each channel over the batch, or by the running ones; times weight, plus bias."""
def bilinear(input1: _TensorLike, input2: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None) -> Tensor:
    """The sum of input1[i] * weight[o, i, j] * input2[j] over i and j, plus bias."""
def binary_cross_entropy(input: _TensorLike, target: _TensorLike, weight: _TensorLike | None = None, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """-target * log(input) - (1 - target) * log(1 - input), times weight, with logarithms of at least -100."""
def binary_cross_entropy_with_logits(input: _TensorLike, target: _TensorLike, weight: _TensorLike | None = None, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean", pos_weight: _TensorLike | None = None) -> Tensor:
    """The binary cross entropy of sigmoid(input); ``pos_weight`` is the weight of the target's part in it."""
def celu(input: _Operand, alpha: _float = 1.0, inplace: _bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input / alpha) - 1)."""
def celu_(input: _Operand, alpha: _float = 1.0) -> Tensor:
    """In place, returning the Tensor itself: input where it is positive, else alpha * (exp(input / alpha) - 1)."""
def channel_shuffle(input: _TensorLike, groups: _int) -> Tensor:
    """The channels in another order: the first of each group, then the second of each, and so on."""
def conv1d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] | str = 0, dilation: _int | Sequence[_int] = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight`` over its last 1 sizes, plus ``bias``."""
def conv2d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] | str = 0, dilation: _int | Sequence[_int] = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight`` over its last 2 sizes, plus ``bias``."""
def conv3d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] | str = 0, dilation: _int | Sequence[_int] = 1, groups: _int = 1) -> Tensor:
    """The cross-correlation of ``input`` with ``weight`` over its last 3 sizes, plus ``bias``."""
def conv_transpose1d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, output_padding: _int | Sequence[_int] = 0, groups: _int = 1, dilation: _int | Sequence[_int] = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv1d`` is, plus ``bias``."""
def conv_transpose2d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, output_padding: _int | Sequence[_int] = 0, groups: _int = 1, dilation: _int | Sequence[_int] = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv2d`` is, plus ``bias``."""
def conv_transpose3d(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None, stride: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, output_padding: _int | Sequence[_int] = 0, groups: _int = 1, dilation: _int | Sequence[_int] = 1) -> Tensor:
    """The transposed convolution: what the gradient of ``conv3d`` is, plus ``bias``."""
def cosine_embedding_loss(input1: _TensorLike, input2: _TensorLike, target: _TensorLike, margin: _float = 0, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """1 - cos where target is 1, and max(0, cos - margin) where it is -1, of the angle between the vectors."""
def cosine_similarity(x1: _TensorLike, x2: _TensorLike, dim: _int = 1, eps: _float = 1e-08) -> Tensor:
    """The cosine of the angle between the vectors along ``dim``; a length is at least ``eps``."""
def cross_entropy(input: _TensorLike, target: _TensorLike, weight: _TensorLike | None = None, size_average: _bool | None = None, ignore_index: _int = -100, reduce: _bool | None = None, reduction: str = "mean", label_smoothing: _float = 0.0) -> Tensor:
    """Minus the logarithm of the softmax over the classes (dimension 1) at the class of each sample."""
def dropout(input: _TensorLike, p: _float = 0.5, training: _bool = True, inplace: _bool = False) -> Tensor:
    """Elements set to 0 with probability ``p``, the others times 1 / (1 - p); ``input`` itself without ``training``."""
def dropout1d(input: _TensorLike, p: _float = 0.5, training: _bool = True, inplace: _bool = False) -> Tensor:
    """Dropout of whole channels of a sequence."""
def dropout2d(input: _TensorLike, p: _float = 0.5, training: _bool = True, inplace: _bool = False) -> Tensor:
    """Dropout of whole channels of images. Three dimensions are taken as (n, c, l), with a warning, as in torch."""
def dropout3d(input: _TensorLike, p: _float = 0.5, training: _bool = True, inplace: _bool = False) -> Tensor:
    """Dropout of whole channels of volumes."""
def elu(input: _Operand, alpha: _float = 1.0, inplace: _bool = False) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
def elu_(input: _Operand, alpha: _float = 1.0) -> Tensor:
    """In place, returning the Tensor itself: input where it is positive, else alpha * (exp(input) - 1)."""
def embedding(input: _TensorLike, weight: _TensorLike, padding_idx: _int | None = None, max_norm: _float | None = None, norm_type: _float = 2.0, scale_grad_by_freq: _bool = False, sparse: _bool = False) -> Tensor:
    """The rows of the matrix ``weight`` that ``input`` names; the row ``padding_idx`` gets no gradient."""
def feature_alpha_dropout(input: _TensorLike, p: _float = 0.5, training: _bool = False, inplace: _bool = False) -> Tensor:
    """``alpha_dropout`` of whole channels, the second dimension. Errors as ``dropout``."""
def fold(input: _TensorLike, output_size: _int | Sequence[_int], kernel_size: _int | Sequence[_int], dilation: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, stride: _int | Sequence[_int] = 1) -> Tensor:
    """The image of columns as ``unfold`` makes them; elements of windows that overlap are summed."""
def gaussian_nll_loss(input: _TensorLike, target: _TensorLike, var: _TensorLike | _float, full: _bool = False, eps: _float = 1e-06, reduction: str = "mean") -> Tensor:
    """(log(var) + (input - target)^2 / var) / 2 with ``var`` at least ``eps``; plus log(2 pi) / 2 with ``full``."""
def gelu(input: _Operand, *, approximate: str = "none") -> Tensor:
    """input times the probability that a normal number is smaller; with ``approximate="tanh"`` by torch's formula."""
def glu(input: _Operand, dim: _int = -1) -> Tensor:
    """The first half along ``dim`` times the sigmoid of the second half."""
def group_norm(input: _TensorLike, num_groups: _int, weight: _TensorLike | None = None, bias: _TensorLike | None = None, eps: _float = 1e-05) -> Tensor:
    """Mean 0 and variance 1 over each group of channels of each sample; times weight, plus bias, by channel."""
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
def hinge_embedding_loss(input: _TensorLike, target: _TensorLike, margin: _float = 1.0, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """input where target is 1, and max(0, margin - input) where it is -1."""
def huber_loss(input: _TensorLike, target: _TensorLike, reduction: str = "mean", delta: _float = 1.0, weight: _TensorLike | None = None) -> Tensor:
    """With ``d = |input - target|``: d^2 / 2 where d <= delta, else delta (d - delta / 2); times weight."""
def instance_norm(input: _TensorLike, running_mean: _TensorLike | None = None, running_var: _TensorLike | None = None, weight: _TensorLike | None = None, bias: _TensorLike | None = None, use_input_stats: _bool = True, momentum: _float = 0.1, eps: _float = 1e-05) -> Tensor:
    """Mean 0 and variance 1 of each channel of each sample, or by the running ones; times weight, plus bias."""
def interpolate(input: _TensorLike, size: _int | Sequence[_int] | None = None, scale_factor: _float | Sequence[float] | None = None, mode: str = "nearest", align_corners: _bool | None = None, recompute_scale_factor: _bool | None = None, antialias: _bool = False) -> Tensor:
    """``input``, which is ``(n, c, *sizes)``, with other sizes."""
def kl_div(input: _TensorLike, target: _TensorLike, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean", log_target: _bool = False) -> Tensor:
    """target * (log(target) - input), or exp(target) * (target - input) with ``log_target``."""
def l1_loss(input: _TensorLike, target: _TensorLike, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean", weight: _TensorLike | None = None) -> Tensor:
    """``|input - target|``, times weight; the mean is divided by the sum of the weights. The slope at 0 is 0."""
def layer_norm(input: _TensorLike, normalized_shape: Sequence[_int], weight: _TensorLike | None = None, bias: _TensorLike | None = None, eps: _float = 1e-05) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, whose shape is given; times weight, plus bias."""
def leaky_relu(input: _Operand, negative_slope: _float = 0.01, inplace: _bool = False) -> Tensor:
    """input where it is positive, else negative_slope * input."""
def leaky_relu_(input: _Operand, negative_slope: _float = 0.01) -> Tensor:
    """In place, returning the Tensor itself: input where it is positive, else negative_slope * input."""
def linear(input: _TensorLike, weight: _TensorLike, bias: _TensorLike | None = None) -> Tensor:
    """input times the transposed weight, plus bias."""
def local_response_norm(input: _TensorLike, size: _int, alpha: _float = 0.0001, beta: _float = 0.75, k: _float = 1.0) -> Tensor:
    """input / (k + alpha * the mean of the squares of ``size`` channels around each) ** beta."""
def log_softmax(input: _TensorLike, dim: _int | None = None, _stacklevel: _int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of the softmax over ``dim``."""
def logsigmoid(input: _Operand) -> Tensor:
    """log(sigmoid(input))."""
def lp_pool1d(input: _TensorLike, norm_type: _float, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, ceil_mode: _bool = False) -> Tensor:
    """The ``norm_type``-th root of the sum of powers of each window of the last 1 of the sizes."""
def lp_pool2d(input: _TensorLike, norm_type: _float, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, ceil_mode: _bool = False) -> Tensor:
    """The ``norm_type``-th root of the sum of powers of each window of the last 2 of the sizes."""
def lp_pool3d(input: _TensorLike, norm_type: _float, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, ceil_mode: _bool = False) -> Tensor:
    """The ``norm_type``-th root of the sum of powers of each window of the last 3 of the sizes."""
def margin_ranking_loss(input1: _TensorLike, input2: _TensorLike, target: _TensorLike, margin: _float = 0, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """max(0, -target * (input1 - input2) + margin), where target is 1 or -1."""
def max_pool1d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, dilation: _int | Sequence[_int] = 1, ceil_mode: _bool = False, return_indices: _bool = False) -> Tensor:
    """The largest element of each window of the last 1 of the sizes."""
def max_pool2d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, dilation: _int | Sequence[_int] = 1, ceil_mode: _bool = False, return_indices: _bool = False) -> Tensor:
    """The largest element of each window of the last 2 of the sizes."""
def max_pool3d(input: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, dilation: _int | Sequence[_int] = 1, ceil_mode: _bool = False, return_indices: _bool = False) -> Tensor:
    """The largest element of each window of the last 3 of the sizes."""
def max_unpool1d(input: _TensorLike, indices: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, output_size: Sequence[_int] | None = None) -> Tensor:
    """The way back from ``max_pool1d``: each element at its place, and zeros elsewhere."""
def max_unpool2d(input: _TensorLike, indices: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, output_size: Sequence[_int] | None = None) -> Tensor:
    """The way back from ``max_pool2d``: each element at its place, and zeros elsewhere."""
def max_unpool3d(input: _TensorLike, indices: _TensorLike, kernel_size: _int | Sequence[_int], stride: _int | Sequence[_int] | None = None, padding: _int | Sequence[_int] = 0, output_size: Sequence[_int] | None = None) -> Tensor:
    """The way back from ``max_pool3d``: each element at its place, and zeros elsewhere."""
def mish(input: _Operand, inplace: _bool = False) -> Tensor:
    """input * tanh(log(1 + exp(input)))."""
def mse_loss(input: _TensorLike, target: _TensorLike, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean", weight: _TensorLike | None = None) -> Tensor:
    """(input - target)^2, times weight; the mean is divided by the sum of the weights."""
def multi_head_attention_forward(query: _TensorLike, key: _TensorLike, value: _TensorLike, embed_dim_to_check: _int, num_heads: _int, in_proj_weight: _TensorLike | None, in_proj_bias: _TensorLike | None, bias_k: _TensorLike | None, bias_v: _TensorLike | None, add_zero_attn: _bool, dropout_p: _float, out_proj_weight: _TensorLike, out_proj_bias: _TensorLike | None, training: _bool = True, key_padding_mask: _TensorLike | None = None, need_weights: _bool = True, attn_mask: _TensorLike | None = None, use_separate_proj_weight: _bool = False, q_proj_weight: _TensorLike | None = None, k_proj_weight: _TensorLike | None = None, v_proj_weight: _TensorLike | None = None, static_k: _TensorLike | None = None, static_v: _TensorLike | None = None, average_attn_weights: _bool = True, is_causal: _bool = False) -> tuple[Tensor, Tensor | None]:
    """What ``nn.MultiheadAttention`` computes: the attention of each head, and the weights, or None in their place."""
def multi_margin_loss(input: _TensorLike, target: _TensorLike, p: _int = 1, margin: _float = 1.0, weight: _TensorLike | None = None, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """The sum of max(0, margin - input[target] + input[i])^p over the other classes i, over the number of classes."""
def multilabel_margin_loss(input: _TensorLike, target: _TensorLike, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """The sum of max(0, 1 - input[j] + input[i]) over the targets j and the other classes i, over the classes."""
def multilabel_soft_margin_loss(input: _TensorLike, target: _TensorLike, weight: _TensorLike | None = None, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """The mean over the classes of the binary cross entropy of sigmoid(input), times weight."""
def nll_loss(input: _TensorLike, target: _TensorLike, weight: _TensorLike | None = None, size_average: _bool | None = None, ignore_index: _int = -100, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """Minus the input at the class of each sample, times the weight of that class."""
def normalize(input: _TensorLike, p: _float = 2.0, dim: _int | Sequence[_int] = 1, eps: _float = 1e-12) -> Tensor:
    """input over its p-norm along ``dim``, or over ``eps`` where that is larger."""
def one_hot(input: _TensorLike, num_classes: _int = -1) -> Tensor:
    """Zeros, and a one at the place that each int64 class names."""
def pad(input: _TensorLike, pad: Sequence[_int], mode: str = "constant", value: _float | None = None) -> Tensor:
    """``input`` with values around it."""
def pairwise_distance(x1: _TensorLike, x2: _TensorLike, p: _float = 2, eps: _float = 1e-06, keepdim: _bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension."""
def pdist(input: _TensorLike, p: _float = 2) -> Tensor:
    """The p-norm of the difference of each pair of rows, in the order of the rows."""
def pixel_shuffle(input: _TensorLike, upscale_factor: _int) -> Tensor:
    """Each r^2 channels as r times r pixels, where r is ``upscale_factor``."""
def pixel_unshuffle(input: _TensorLike, downscale_factor: _int) -> Tensor:
    """Each r times r pixels as r^2 channels, where r is ``downscale_factor``."""
def poisson_nll_loss(input: _TensorLike, target: _TensorLike, log_input: _bool = True, full: _bool = False, size_average: _bool | None = None, eps: _float = 1e-08, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """exp(input) - target * input, or input - target * log(input + eps) without ``log_input``."""
def prelu(input: _TensorLike, weight: _TensorLike) -> Tensor:
    """input where it is positive, else weight * input, with one weight for all or one for each channel."""
def relu(input: _TensorLike, inplace: _bool = False) -> Tensor:
    """The larger of input and 0; the slope at 0 is 0."""
def relu6(input: _TensorLike, inplace: _bool = False) -> Tensor:
    """The input, at least 0 and at most 6; the slope at these bounds is 0."""
def relu_(input: _TensorLike) -> Tensor:
    """In place, returning the Tensor itself: The larger of input and 0; the slope at 0 is 0."""
def rms_norm(input: _TensorLike, normalized_shape: Sequence[_int], weight: _TensorLike | None = None, eps: _float | None = None) -> Tensor:
    """``input`` over the root of its mean square over the last dimensions, whose shape is given; times weight."""
def rrelu(input: _TensorLike, lower: _float = 0.125, upper: _float = 0.3333333333333333, training: _bool = False, inplace: _bool = False) -> Tensor:
    """``torch.rrelu``: input where it is positive, else times a number between ``lower`` and ``upper``."""
def scaled_dot_product_attention(query: _TensorLike, key: _TensorLike, value: _TensorLike, attn_mask: _TensorLike | None = None, dropout_p: _float = 0.0, is_causal: _bool = False, *, scale: _float | None = None, enable_gqa: _bool = False) -> Tensor:
    """softmax(query @ key^T * scale + attn_mask) @ value."""
def selu(input: _TensorLike, inplace: _bool = False) -> Tensor:
    """1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
def selu_(input: _TensorLike) -> Tensor:
    """In place, returning the Tensor itself: 1.0507 * input where it is positive, else 1.0507 * 1.6733 * (exp(input) - 1)."""
def sigmoid(input: _TensorLike) -> Tensor:
    """1 / (1 + exp(-input))."""
def silu(input: _Operand, inplace: _bool = False) -> Tensor:
    """input * sigmoid(input)."""
def smooth_l1_loss(input: _TensorLike, target: _TensorLike, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean", beta: _float = 1.0) -> Tensor:
    """With ``d = |input - target|``: d^2 / (2 beta) where d < beta, else d - beta / 2."""
def soft_margin_loss(input: _TensorLike, target: _TensorLike, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target * input)), where target is 1 or -1."""
def softmax(input: _TensorLike, dim: _int | None = None, _stacklevel: _int = 3, dtype: Any = None) -> Tensor:
    """exp(input) divided by its sum over ``dim``."""
def softmin(input: _TensorLike, dim: _int | None = None, _stacklevel: _int = 3, dtype: Any = None) -> Tensor:
    """exp(-input) divided by its sum over ``dim``."""
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
def triplet_margin_loss(anchor: _TensorLike, positive: _TensorLike, negative: _TensorLike, margin: _float = 1.0, p: _float = 2, eps: _float = 1e-06, swap: _bool = False, size_average: _bool | None = None, reduce: _bool | None = None, reduction: str = "mean") -> Tensor:
    """max(0, distance of anchor and positive - distance of anchor and negative + margin), by the p-norm."""
def triplet_margin_with_distance_loss(anchor: _TensorLike, positive: _TensorLike, negative: _TensorLike, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: _float = 1.0, swap: _bool = False, reduction: str = "mean") -> Tensor:
    """As ``triplet_margin_loss``, with a function of two tensors as the distance."""
def unfold(input: _TensorLike, kernel_size: _int | Sequence[_int], dilation: _int | Sequence[_int] = 1, padding: _int | Sequence[_int] = 0, stride: _int | Sequence[_int] = 1) -> Tensor:
    """The windows of an image (n, c, h, w), each as a column."""
def upsample(input: _TensorLike, size: _int | Sequence[_int] | None = None, scale_factor: _float | Sequence[float] | None = None, mode: str = "nearest", align_corners: _bool | None = None) -> Tensor:
    """``interpolate``, which is its new name."""
def upsample_bilinear(input: _TensorLike, size: _int | Sequence[_int] | None = None, scale_factor: _float | Sequence[float] | None = None) -> Tensor:
    """``interpolate`` with ``mode="bilinear"`` and ``align_corners=True``, which is its new name."""
def upsample_nearest(input: _TensorLike, size: _int | Sequence[_int] | None = None, scale_factor: _float | Sequence[float] | None = None) -> Tensor:
    """``interpolate`` with ``mode="nearest"``, which is its new name."""
