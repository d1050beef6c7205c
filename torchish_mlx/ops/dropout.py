"""Dropout, with the mask that torch draws on the CPU with the same seed, and the leaky ReLU of random slopes.

The noise is kept for the gradient, and for the gradient of the gradient: nothing is drawn again.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .._core.promotion import FLOATS, NAMES, compute
from .._tensor.tensor import Tensor, wrap
from ..random import _bounds, _draws
from ..random._order import in_shape, memory_order
from ..random._rounding import as_array, rounded
from ..random.generator import chosen, default_generator
from ._declare import composed, op
from ._op import Array, Operand
from ._view import overwrite, refuse_write
from .arithmetic import mul
from .shaping import clone

#: -scale * alpha of SELU, the value far below 0, without its sign.
_ALPHA = 1.7580993408473766


def _mask(p: float, shape: tuple[int, ...], order: tuple[int, ...]) -> np.ndarray:
    """Which elements stay, drawn in the order of memory."""
    return in_shape(default_generator.draw(_draws.bernoulli, math.prod(shape), 1 - p, mx.bool_), shape, order)


def _work(dtype: mx.Dtype) -> Any:
    """The NumPy type in which torch computes with one number and elements of ``dtype``."""
    return np.float64 if dtype == mx.float64 else np.float32


@op(
    random=True,
    residuals=("noise",),
    grad={"input": lambda g, noise: g * noise},
    name="dropout.kernel",
    node="MulBackward0",
    function=False,
    method=False,
)
def _dropped(input: Array, p: float, shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
    """input times 1 / (1 - p), or times 0, by a mask of ``shape``."""
    work = _work(input.dtype)
    noise = as_array(_mask(p, shape, order) * rounded(np.array(1, work) / work(1 - p), input.dtype), input.dtype)
    return input * noise, noise


@op(
    random=True,
    residuals=("noise",),
    grad={"input": lambda g, noise: g * noise},
    name="alpha_dropout.kernel",
    node="AddBackward0",
    function=False,
    method=False,
)
def _alpha_dropped(input: Array, p: float, shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
    """input, or the value that SELU has far below 0, scaled so that mean and variance stay, by a mask of ``shape``."""
    work, dtype = _work(input.dtype), input.dtype
    a = 1 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    stays = np.array([0, 1], work)

    def step(values: np.ndarray) -> np.ndarray:
        return rounded(values, dtype).astype(work)  # each of torch's steps is rounded to the dtype

    shift = step(step((stays - work(1)) * work(_ALPHA * a)) + step(work(_ALPHA * a * p)))
    mask = _mask(p, shape, order).astype(np.int8)
    noise, moved = (as_array(rounded(v, dtype)[mask], dtype) for v in (step(stays * work(a)), shift))
    return input * noise + moved, noise


def _refuse(p: float) -> None:
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")


def _refuse_dtype(input: Tensor) -> None:
    if input.dtype == mx.complex64:
        raise NotImplementedError("\"bernoulli_scalar_cpu_\" not implemented for 'ComplexFloat'")
    if input.dtype not in FLOATS:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {NAMES[input.array.dtype]}")


def _dropout(input: Tensor, p: float, train: bool, kernel: Any, feature: bool) -> Tensor:
    """The path of all of them: the Tensor itself, zeros, or what the kernel makes."""
    _refuse(p)
    shape: Any = input.array.shape
    if p == 0 or not train or not input.array.size:
        return input
    if p == 1:
        return mul(input, 0)
    order = memory_order(shape, input.stride())
    if feature:
        if len(shape) < 2:
            raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
        shape = (*shape[:2], *[1] * (len(shape) - 2))
        order = list(range(len(shape)))
    _refuse_dtype(input)
    out: Tensor = kernel(input, p, tuple(shape), tuple(order))
    return out


def _dropout_(input: Tensor, p: float, train: bool, kernel: Any, feature: bool) -> Tensor:
    """The same in the memory of ``input``."""
    _refuse(p)
    if p and train and input.array.size:
        refuse_write(input)
        return overwrite(input, _dropout(input, p, train, kernel, feature))
    return input


@composed(method=False, shape="that of ``input``")
def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Elements set to 0 with probability ``p``, the others times 1 / (1 - p); ``input`` itself without ``train``.

    The mask is the one of torch's CPU for the same seed. Nothing is drawn for ``p`` 0 and 1, and without ``train``.

    Raises:
        RuntimeError: ``p`` is not from 0 to 1; integers; a call inside a function that MLX compiles.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.dropout(torch.ones(5), 0.5, True)
    tensor([0., 0., 2., 0., 0.])
    """
    return _dropout(input, p, train, _dropped, False)


@composed(method=False, shape="its own")
def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """``dropout`` in the memory of ``input``, which is returned."""
    return _dropout_(input, p, train, _dropped, False)


@composed(method=False, shape="that of ``input``")
def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """``dropout`` of whole channels: of all elements with the same place in the first two dimensions.

    Raises:
        RuntimeError: as ``dropout``, and fewer than two dimensions.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.feature_dropout(torch.ones(1, 3, 2), 0.5, True)
    tensor([[[0., 0.],
             [0., 0.],
             [2., 2.]]])
    """
    return _dropout(input, p, train, _dropped, True)


@composed(method=False, shape="its own")
def feature_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """``feature_dropout`` in the memory of ``input``, which is returned."""
    return _dropout_(input, p, train, _dropped, True)


@composed(method=False, shape="that of ``input``")
def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout for SELU: the value that SELU has far below 0 in place of 0, and a mean and a variance that stay.

    Raises:
        RuntimeError: as ``dropout``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.alpha_dropout(torch.ones(3), 0.5, True)
    tensor([-0.7792, -0.7792,  1.6656])
    """
    return _dropout(input, p, train, _alpha_dropped, False)


@composed(method=False, shape="its own")
def alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """``alpha_dropout`` in the memory of ``input``, which is returned."""
    return _dropout_(input, p, train, _alpha_dropped, False)


@composed(method=False, shape="that of ``input``")
def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """``alpha_dropout`` of whole channels.

    Raises:
        RuntimeError: as ``feature_dropout``.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.feature_alpha_dropout(torch.ones(1, 3), 0.5, True)
    tensor([[-0.7792, -0.7792,  1.6656]])
    """
    return _dropout(input, p, train, _alpha_dropped, True)


@composed(method=False, shape="its own")
def feature_alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """``feature_alpha_dropout`` in the memory of ``input``, which is returned."""
    return _dropout_(input, p, train, _alpha_dropped, True)


class DropoutResult(NamedTuple):
    """What ``native_dropout`` returns: the result, and which elements stayed."""

    result: Tensor
    mask: Tensor


@op(
    random=True,
    grad={"input": lambda g, mask, scale: compute(lambda x, y: x * y, g * mask, scale)},
    name="native_dropout.kernel",
    function=False,
    method=False,
)
def _native_dropped(input: Array, p: float, order: tuple[int, ...], scale: float) -> DropoutResult:  # noqa: ARG001
    """input times a mask, times 1 / (1 - p); times ``scale`` on the way back."""
    mask = mx.array(_mask(p, input.shape, order))
    made = input * mask * mx.array(1 / (1 - p) if p < 1 else 0.0, input.dtype)
    return DropoutResult(made, mask)  # type: ignore[arg-type]


@composed(method=False, shape="that of ``input``, both")
def native_dropout(input: Tensor, p: float, train: bool | None) -> Any:
    """``dropout`` and its mask, which is true where an element stays; here a mask is drawn for ``p`` 0 and 1, too.

    With None for ``train`` it is as with True, but that the gradient is not divided by 1 - p, as in torch.

    Raises:
        RuntimeError: ``p`` is not from 0 to 1; integers; a call inside a function that MLX compiles.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.native_dropout(torch.ones(3), 0.5, True).mask
    tensor([False, False,  True])
    """
    training = train is None or bool(train)
    if not input.array.size:
        return DropoutResult(input, wrap(mx.zeros(input.shape, input.array.dtype)))
    if not training:
        return DropoutResult(clone(input), wrap(mx.ones(input.shape, mx.bool_)))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={1 - p:g}")
    _refuse_dtype(input)
    order = memory_order(input.shape, input.stride())
    scale = 1.0 if train is None else 1 / (1 - p) if p < 1 else 0.0
    return _native_dropped(input, p, tuple(order), scale)


@op(
    random=True,
    residuals=("noise",),
    grad={"input": lambda g, noise: g * noise},
    name="rrelu.kernel",
    node="RreluWithNoiseBackward0",
    function=False,
    method=False,
)
def _leaked(input: Array, lower: float, upper: float, generator: Any) -> Any:
    """input where it is positive, else times a number of its own."""
    at = np.array(input <= 0).ravel()
    slopes = generator.draw(_draws.slopes, int(at.sum()), lower, upper, input.dtype)
    noise = np.ones(at.size, slopes.dtype)
    noise[at] = slopes
    wide = as_array(noise, mx.float64 if input.dtype == mx.float64 else mx.float32).reshape(input.shape)
    return (input * wide).astype(input.dtype), wide.astype(input.dtype)


@op(
    grad={"input": lambda g, input, slope: mx.where(input > 0, g, g * mx.array(slope, g.dtype))},
    promote="same",
    name="rrelu.mean",
    node="RreluWithNoiseBackward0",
    function=False,
    method=False,
)
def _leaky(input: Operand, slope: float) -> mx.array:
    """input where it is positive, else times ``slope``."""
    return mx.where(input > 0, input, input * mx.array(slope, input.dtype))


def _rrelu(input: Tensor, lower: float, upper: float, training: bool, generator: Any) -> Tensor:
    source = chosen("rrelu", generator)
    if not lower <= upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    out: Tensor
    if not training:
        _bounds.refuse_dtype("leaky_relu_cpu", input.array.dtype, FLOATS)
        out = _leaky(input, (lower + upper) / 2)
    else:
        _bounds.refuse_dtype("rrelu_with_noise_out_cpu", input.array.dtype, FLOATS - {mx.float16})
        out = _leaked(input, lower, upper, source)
    return out


@composed(method=False, shape="that of ``input``")
def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> Tensor:
    """input where it is positive, else times a number between ``lower`` and ``upper``: one for each if ``training``.

    Otherwise their mean, and nothing is drawn.

    Raises:
        RuntimeError: ``lower`` is larger than ``upper``; a call inside a function that MLX compiles.
        NotImplementedError: integers, and float16 if ``training``.

    >>> import torchish_mlx as torch
    >>> torch.rrelu(torch.tensor([-1.0, 1.0]), generator=torch.Generator(), training=True)
    tensor([-0.1538,  1.0000])
    """
    return _rrelu(input, lower, upper, training, generator)


@composed(method=False, shape="its own")
def rrelu_(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> Tensor:
    """``rrelu`` in the memory of ``input``, which is returned."""
    refuse_write(input)
    return overwrite(input, _rrelu(input, lower, upper, training, generator))
