"""Normalization of layers, groups and batches."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .._core.promotion import FLOATS, HALVES, NAMES, cast, result_type, widened
from .._tensor.modes import no_grad
from .._tensor.tape import unbroadcast
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._dtypes import floating_only
from ._losses import refuse_gradients
from ._op import Array
from .reduction import axis, mean, var
from .shaping import copied, reshape


def _in(x: mx.array, shape: Sequence[int]) -> mx.array:
    return x if x.shape == shape else mx.reshape(x, shape)


def _scaled(x: mx.array, weight: mx.array | None, spread: Sequence[int]) -> mx.array:
    return x if weight is None else x * _in(widened(weight), spread)


def _input_gradient(
    g: mx.array,
    weight: mx.array | None,
    unit: mx.array,
    rstd: mx.array,
    blocks: Sequence[int],
    over: tuple[int, ...],
    spread: Sequence[int],
) -> mx.array:
    if not g.size:
        return mx.zeros_like(g)
    wide, x = _in(_scaled(widened(g), weight, spread), blocks), _in(unit, blocks)
    mean = mx.mean(wide, axis=over, keepdims=True)
    along = mx.mean(wide * x, axis=over, keepdims=True)
    return cast(_in(rstd * (wide - mean - x * along), g.shape), g.dtype)


def _weight_gradient(g: mx.array, weight: mx.array, unit: mx.array, spread: Sequence[int]) -> mx.array:
    if not g.size:
        return mx.zeros_like(weight)
    return cast(_in(unbroadcast(widened(g) * unit, tuple(spread)), weight.shape), weight.dtype)


def _bias_gradient(g: mx.array, bias: mx.array, spread: Sequence[int]) -> mx.array:
    if not g.size:
        return mx.zeros_like(bias)
    return cast(_in(unbroadcast(widened(g), tuple(spread)), bias.shape), bias.dtype)


@op(
    grad={"input": _input_gradient, "weight": _weight_gradient, "bias": _bias_gradient},
    residuals=("unit", "rstd"),
    name="norm.blocks",
    node="NativeLayerNormBackward0",
    function=False,
    method=False,
)
def _normalized(
    input: Array, weight: Array | None, bias: Array | None, blocks: Any, over: Any, spread: Any, eps: float
) -> Any:
    """``input`` in the shape ``blocks`` with mean 0 and variance 1 along ``over``; times weight, plus bias.

    Weight and bias broadcast in the shape ``spread``. What is before them is kept.
    """
    return _normal(input, weight, bias, blocks, over, spread, eps)


def _normal(
    input: mx.array,
    weight: mx.array | None,
    bias: mx.array | None,
    blocks: Sequence[int],
    over: tuple[int, ...],
    spread: Sequence[int],
    eps: float,
) -> Any:
    if not input.size:
        return input, input, input
    off, _, var = _moments(_in(widened(input), blocks), over)
    rstd = mx.rsqrt(var + eps)
    unit = _in(off * rstd, input.shape)
    out = _scaled(unit, weight, spread)
    return cast(out if bias is None else out + _in(widened(bias), spread), input.dtype), unit, rstd


def _moments(x: mx.array, over: tuple[int, ...]) -> tuple[mx.array, mx.array, mx.array]:
    """What is left without the mean, the mean, and the variance, whose dimensions stay."""
    mean = mx.mean(x, axis=over, keepdims=True)
    off = x - mean
    return off, mean, mx.mean(mx.square(off), axis=over, keepdims=True)


def _shape_of(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tensor._read().shape


def _form_of(tensor: Tensor | None) -> tuple[tuple[int, ...], mx.Dtype] | None:
    """The shape and the dtype."""
    if tensor is None:
        return None
    array = tensor._read()
    return array.shape, array.dtype


def _dtypes_of(*given: Tensor | None) -> list[mx.Dtype]:
    """The dtypes of those that are there."""
    return [tensor._read().dtype for tensor in given if tensor is not None]


def _refuse_others(dtype: mx.Dtype, others: Sequence[mx.Dtype]) -> None:
    """Refuse other dtypes than the first."""
    for other in others:
        if other != dtype:
            raise RuntimeError(f"expected scalar type {NAMES[dtype]} but found {NAMES[other]}")


def _refuse_mixed(dtype: mx.Dtype, others: Sequence[mx.Dtype]) -> None:
    """Refuse weights and statistics of another dtype than the input: those of an input of halves may be of float32.

    All of them have one dtype, that of the first.
    """
    if not others:
        return
    found = others[0]
    if found != dtype and not (dtype in HALVES and found == mx.float32):
        if dtype not in FLOATS:
            raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
        raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
    _refuse_others(found, others)


def _check_affine(of: str, shape: Sequence[int], words: str, **given: tuple[int, ...] | None) -> None:
    for key, found in given.items():
        if found is not None and found != tuple(shape):
            raise RuntimeError(f"Expected {key} to be {words}, but got {key} of shape {list(found)} and {of}")


def _check_normalized(shape: list[int], size: list[int], lead: str, **given: tuple[int, ...] | None) -> None:
    """Refuse a shape that is not that of the last dimensions, and weights of another one."""
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    _check_affine(f"normalized_shape = {shape}", shape, "of same shape as normalized_shape", **given)
    if size[-len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={shape}, expected input with shape [{lead}{', '.join(map(str, shape))}], but got "
            f"input of size{size}"
        )


@functools.lru_cache(1024)
def _layer_plan(shape: tuple[int, ...], size: tuple[int, ...], dtype: mx.Dtype, weight: Any, bias: Any) -> Any:
    """The dimensions to normalize over, after what torch refuses.

    ``weight`` and ``bias`` are (shape, dtype) or None.
    """
    given = {name: form for name, form in (("weight", weight), ("bias", bias)) if form is not None}
    _refuse_mixed(dtype, [found for _, found in given.values()])
    floating_only("LayerNormKernelImpl", dtype)
    _check_normalized(list(shape), list(size), "*, ", **{name: found for name, (found, _) in given.items()})
    return tuple(range(len(size) - len(shape), len(size)))


@composed(method=False, shape="that of ``input``")
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,  # noqa: ARG001 - there is no cuDNN here
) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, whose shape is given; times weight, plus bias."""
    return layer(input, normalized_shape, weight, bias, eps)


def layer(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """``layer_norm``, of arguments that were looked at."""
    array = input._read()
    shape = tuple(normalized_shape)
    over = _layer_plan(shape, array.shape, array.dtype, _form_of(weight), _form_of(bias))
    normal: Tensor = _normalized(input, weight, bias, array.shape, over, shape, eps)
    return normal


@composed(method=False, shape="that of ``input``", node="NativeGroupNormBackward0")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,  # noqa: ARG001
) -> Tensor:
    """Mean 0 and variance 1 over each group of channels of each sample; times weight, plus bias, by channel."""
    size = list(input.shape)
    if len(size) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(size)}")
    dtype = input._read().dtype
    _refuse_mixed(dtype, _dtypes_of(weight, bias))
    floating_only("GroupNormKernelImpl", dtype)
    if num_groups <= 0:
        raise RuntimeError("Expected num groups to be greater than 0, got " + str(num_groups))
    if size[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{size} and num_groups={num_groups}"
        )
    words = "a vector of size equal to the number of channels in input"
    _check_affine(f"input of shape {size}", size[1:2], words, weight=_shape_of(weight), bias=_shape_of(bias))
    blocks = (size[0] * num_groups, math.prod(size[1:]) // num_groups)
    normal: Tensor = _normalized(input, weight, bias, blocks, (1,), _by_channel(size), eps)
    return normal


def _by_channel(size: Sequence[int]) -> tuple[int, ...]:
    """The shape in which one number for each channel broadcasts."""
    return (1, size[1], *[1] * (len(size) - 2))


@functools.lru_cache(1024)
def _along(size: tuple[int, ...], dim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The other dimensions than ``dim``, and the shape in which one number for each place along it broadcasts."""
    return (
        tuple([d for d in range(len(size)) if d != dim]),
        tuple([n if d == dim else 1 for d, n in enumerate(size)]),
    )


def _batch_gradients(
    g: Any, weight: mx.array | None, bias: mx.array | None, unit: mx.array, rstd: mx.array, dim: int
) -> Any:
    """Those of the input, the weight and the bias: two sums serve all of them."""
    g = g[0]  # nothing is differentiated by the statistics
    over, spread = _along(g.shape, dim)
    wide = widened(g)
    total = mx.sum(wide, axis=over, keepdims=True)
    aligned = mx.sum(wide * unit, axis=over, keepdims=True)
    scale = rstd if weight is None else rstd * mx.reshape(widened(weight), spread)
    of_input = scale * (wide - (total + unit * aligned) * (g.shape[dim] / g.size))
    return (
        cast(of_input, g.dtype),
        None if weight is None else cast(mx.reshape(aligned, weight.shape), weight.dtype),
        None if bias is None else cast(mx.reshape(total, bias.shape), bias.dtype),
    )


class Normalized(NamedTuple):
    """The result, and the mean and the unbiased variance for each place along a dimension."""

    result: Any
    mean: Any
    var: Any


@op(
    grad={"input, weight, bias": _batch_gradients},
    residuals=("unit", "rstd"),
    name="norm.batch",
    node="NativeBatchNormBackward0",
    channels="dim",
    function=False,
    method=False,
)
def _normalized_batch(input: Array, weight: Array | None, bias: Array | None, dim: int, eps: float) -> Normalized:
    """Mean 0 and variance 1 for each place along ``dim``; times weight, plus bias. What is before that is kept."""
    over, spread = _along(input.shape, dim)
    off, mean, var = _moments(widened(input), over)
    rstd = mx.rsqrt(var + eps)
    unit = off * rstd
    out = _scaled(unit, weight, spread)
    count = input.size // input.shape[dim]
    unbiased = var * (count / (count - 1) if count > 1 else math.nan)
    made = cast(out if bias is None else out + _in(widened(bias), spread), input.dtype)
    kept = Normalized(made, mx.reshape(mean, (-1,)), mx.reshape(unbiased, (-1,)))
    return kept, unit, rstd  # type: ignore[return-value]


def _fixed(mean: mx.array, var: mx.array, eps: float, spread: Sequence[int]) -> tuple[mx.array, mx.array]:
    return mx.reshape(widened(mean), spread), mx.reshape(mx.rsqrt(widened(var) + eps), spread)


def _standard(input: mx.array, mean: mx.array, rstd: mx.array) -> mx.array:
    return (widened(input) - mean) * rstd


def _fixed_input_gradient(
    g: mx.array, weight: mx.array | None, mean: mx.array, var: mx.array, eps: float, dim: int
) -> mx.array:
    spread = _along(g.shape, dim)[1]
    return cast(_scaled(widened(g), weight, spread) * _fixed(mean, var, eps, spread)[1], g.dtype)


def _fixed_weight_gradient(
    g: mx.array, input: mx.array, weight: mx.array, mean: mx.array, var: mx.array, eps: float, dim: int
) -> mx.array:
    spread = _along(g.shape, dim)[1]
    return _weight_gradient(g, weight, _standard(input, *_fixed(mean, var, eps, spread)), spread)


@op(
    grad={
        "input": _fixed_input_gradient,
        "weight": _fixed_weight_gradient,
        "bias": lambda g, bias, dim: _bias_gradient(g, bias, _along(g.shape, dim)[1]),
    },
    name="norm.fixed",
    node="NativeBatchNormBackward0",
    channels="dim",
    function=False,
    method=False,
)
def _normalized_by(
    input: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float, dim: int
) -> mx.array:
    """(input - mean) / sqrt(var + eps), times weight, plus bias; each has a number for every place along ``dim``."""
    spread = _along(input.shape, dim)[1]
    out = _scaled(_standard(input, *_fixed(mean, var, eps, spread)), weight, spread)
    return cast(out if bias is None else out + mx.reshape(widened(bias), spread), input.dtype)


def _check_running(running_mean: Tensor | None, running_var: Tensor | None, defined: bool = True) -> None:
    """Refuse one of the two alone where both are ``defined`` or none, and those that want a gradient."""
    if defined and (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    refuse_gradients("native_batch_norm", running_mean=running_mean, running_var=running_var)


@composed(method=False, shape="that of ``input``")
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,  # noqa: ARG001
) -> Tensor:
    """Mean 0 and variance 1 of each channel over the batch, or by the running ones; times weight, plus bias.

    With ``training`` the running mean and variance move towards those of the batch, in place.
    """
    return batch(input, weight, bias, running_mean, running_var, training, momentum, eps)


def batch(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """``batch_norm``, of arguments that were looked at."""
    array = input._read()
    size = array.shape
    if not array.size:  # torch multiplies what is empty by the weight, of which the dtype is left
        return copied(input if weight is None else input.to(result_type(array, weight.array)))
    axis(len(size), 1)
    floating_only("batch_norm", array.dtype)
    _refuse_mixed(array.dtype, _dtypes_of(weight, bias, running_mean, running_var))
    for tensor in (running_mean, running_var, weight, bias):
        if tensor is not None and tensor._read().size != size[1]:
            given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
            name = next(name for name, each in given.items() if each is tensor)
            raise RuntimeError(f"{name} should contain {size[1]} elements not {tensor.numel()}")
    _check_running(running_mean, running_var, defined=training)
    if training:
        now = _normalized_batch(input, weight, bias, 1, eps)
        normal: Tensor = now.result
        if running_mean is None and running_var is None:
            return normal
        with no_grad():
            if running_mean is not None:
                running_mean.copy_(now.mean * momentum + running_mean * (1 - momentum))
            if running_var is not None:
                running_var.copy_(now.var * momentum + running_var * (1 - momentum))
        return normal
    for name, tensor in (("running_mean", running_mean), ("running_var", running_var)):
        if tensor is None:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
    fixed: Tensor = _normalized_by(input, weight, bias, running_mean, running_var, eps, 1)
    return fixed


@composed(method=False, shape="that of ``input``", node="ViewBackward0")
def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """Mean 0 and variance 1 of each channel of each sample, or by the running ones; times weight, plus bias.

    With ``use_input_stats`` the running mean and variance move towards the average of those of the samples, in place.
    """
    size = list(input.shape)
    axis(len(size), 1)
    floating_only("batch_norm", input._read().dtype)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps, cudnn_enabled)
    dtype = input._read().dtype
    _refuse_mixed(dtype, _dtypes_of(weight, bias))
    if [dtype] == _dtypes_of(running_mean):
        _refuse_others(dtype, _dtypes_of(running_var))  # torch looks at statistics of the input's dtype alone
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check_running(running_mean, running_var)
    for name, tensor in given.items():
        if tensor is not None and tensor.numel() != size[1]:
            raise RuntimeError(f"{name} should contain {size[0] * size[1]} elements not {size[0] * tensor.numel()}")
    blocks = (size[0] * size[1], math.prod(size[2:]))
    normal: Tensor = _normalized(input, weight, bias, blocks, (1,), _by_channel(size), eps)
    with no_grad():
        flat = reshape(input, (size[0], size[1], blocks[1]))
        if running_mean is not None:
            running_mean.copy_(mean(mean(flat, 2) * momentum + running_mean * (1 - momentum), 0))
        if running_var is not None:
            running_var.copy_(mean(var(flat, 2) * momentum + running_var * (1 - momentum), 0))
    return normal


def _rms_gradient(g: mx.array, input: mx.array, weight: mx.array | None, scale: mx.array, over: Any) -> mx.array:
    if not input.size:
        return mx.zeros_like(input)
    g = widened(g) if weight is None else widened(g) * widened(weight)
    x = widened(input) * scale
    return cast(scale * (g - x * mx.mean(g * x, axis=over, keepdims=True)), input.dtype)


@op(
    grad={
        "input": _rms_gradient,
        "weight": lambda g, input, weight, scale: cast(
            unbroadcast(widened(g) * (widened(input) * scale), weight.shape), weight.dtype
        ),
    },
    residuals=("scale",),
    name="norm.rms",
    node="MulBackward0",
    function=False,
    method=False,
)
def _by_rms(input: Array, weight: Array | None, over: Any, eps: float) -> Any:
    """``input`` over the root of its mean square along ``over``, times weight."""
    if not input.size:
        return input, input
    x = widened(input)
    scale = mx.rsqrt(mx.mean(x * x, axis=over, keepdims=True) + eps)
    out = x * scale
    return cast(out if weight is None else out * widened(weight), input.dtype), scale


@composed(module="torch nn.functional", method=False, shape="that of ``input``")
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """``input`` over the root of its mean square over the last dimensions, whose shape is given; times weight."""
    shape, size = list(normalized_shape), list(input.shape)
    floating_only("rms_norm", input._read().dtype, complex_too=True)
    _check_normalized(shape, size, "*", weight=_shape_of(weight))
    if eps is None:
        eps = float(np.finfo(np.float64 if input.dtype == mx.float64 else np.float32).eps)
    over = tuple(range(len(size) - len(shape), len(size)))
    out: Tensor = _by_rms(input, weight, over, eps)
    return out
