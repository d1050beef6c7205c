"""``torch.nn.init``: how the weights of layers begin. The numbers are those that torch draws.

Every function fills the Tensor that it is given, in place and without a record, and returns it. ``generator`` is where
the numbers are drawn from, the default generator if it is None.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from .._absent import getter as _getter
from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor, wrap
from ..ops.arithmetic import where
from ..ops.creation import empty_like
from ..ops.drawing import randperm

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = ("linear", *(f"conv{of}{n}d" for of in ("", "_transpose") for n in (1, 2, 3)))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights in front of a function are larger, so that the variance stays.

    Args:
        nonlinearity: ``"linear"``, ``"conv1d"`` to ``"conv_transpose3d"``, ``"sigmoid"`` (1), ``"tanh"`` (5/3),
            ``"relu"`` (root of 2), ``"leaky_relu"`` (root of 2 / (1 + slope**2)) or ``"selu"`` (3/4).
        param: the slope of ``"leaky_relu"``, 0.01 by default.

    Raises:
        ValueError: another name, or a slope that is no number.

    Source: ``torch.nn.init.calculate_gain``.

    >>> from torchish_mlx.nn import init
    >>> init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity in _LINEAR or nonlinearity == "sigmoid":
        return 1
    fixed = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity in fixed:
        return fixed[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, (int, float)):
        raise ValueError(f"negative_slope {slope} not a valid number")
    return math.sqrt(2.0 / (1 + slope**2))


# Filled with numbers of one kind --------------------------------------------------------------------------------------


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers from ``a`` up to ``b``.

    Source: ``torch.nn.init.uniform_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.uniform_(torch.empty(2), 1, 2, generator=torch.Generator().manual_seed(0))
    tensor([1.4963, 1.7682])
    """
    made: Tensor = tensor.uniform_(a, b, generator=generator)
    return made


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers of this mean and standard deviation.

    Source: ``torch.nn.init.normal_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.normal_(torch.empty(2), generator=torch.Generator().manual_seed(0))
    tensor([ 1.5410, -0.2934])
    """
    made: Tensor = tensor.normal_(mean, std, generator=generator)
    return made


def _below(x: float) -> float:
    """The share of standard normal numbers below ``x``."""
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


@no_grad()
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Normal numbers of this mean and standard deviation, drawn again where they are not between ``a`` and ``b``.

    Where fewer than three in ten would be, uniform numbers are drawn, and accepted with the probability that the
    normal distribution gives them.

    Source: ``torch.nn.init.trunc_normal_``.

    >>> import torchish_mlx as torch
    >>> made = torch.nn.init.trunc_normal_(torch.empty(1000), std=3.0)
    >>> bool((made.abs() <= 2).all())
    True
    """
    if not a - 2 * std <= mean <= b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            stacklevel=2,
        )
    if _below((b - mean) / std) - _below((a - mean) / std) > 0.3:
        low, high = (wrap(mx.array(bound, tensor.array.dtype)).item() for bound in (a, b))
        made = tensor.normal_(mean, std, generator=generator)
        while (outside := (made < low) | (made > high)).any():
            made = where(outside, empty_like(made).normal_(mean, std, generator=generator), made)
        return made if made is tensor else tensor.copy_(made)
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2

    def refused(drawn: Tensor) -> Tensor:
        height = drawn.clone().sub_(mean).div_(std).pow_(2).mul_(-0.5).sub_(peak)
        found: Tensor = empty_like(tensor).uniform_(generator=generator).log_() > height
        return found

    made = tensor.uniform_(a, b, generator=generator)
    waiting = refused(made)
    while waiting.any():
        drawn = empty_like(tensor).uniform_(a, b, generator=generator)
        made = where(waiting, drawn, made)
        waiting = waiting & refused(drawn)
    return made if made is tensor else tensor.copy_(made)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """``val`` everywhere.

    Source: ``torch.nn.init.constant_``.
    """
    made: Tensor = tensor.fill_(val)
    return made


def ones_(tensor: Tensor) -> Tensor:
    """Ones.

    Source: ``torch.nn.init.ones_``.
    """
    return constant_(tensor, 1.0)


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """Zeros.

    Source: ``torch.nn.init.zeros_``.
    """
    made: Tensor = tensor.zero_()
    return made


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix. ValueError for anything but a matrix.

    Source: ``torch.nn.init.eye_``.
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.array.shape
    made: Tensor = tensor.copy_(wrap(mx.eye(rows, columns, dtype=tensor.array.dtype)))
    return made


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution that gives its input, as many channels as it has; each group for itself.

    ValueError for a Tensor that is no weight of a convolution, or channels that ``groups`` does not divide.

    Source: ``torch.nn.init.dirac_``.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    shape = tensor.array.shape
    if shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    each = shape[0] // groups
    made = np.zeros(shape, np.float32)
    middle = tuple(n // 2 for n in shape[2:])
    for group in range(groups):
        for channel in range(min(each, shape[1])):
            made[group * each + channel, channel][middle] = 1
    filled: Tensor = tensor.copy_(wrap(mx.array(made)))
    return filled


# By the sizes of a layer ----------------------------------------------------------------------------------------------


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output depends on, and the reverse."""
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers up to gain * sqrt(6 / (fan_in + fan_out)), of both signs.

    Source: ``torch.nn.init.xavier_uniform_``; Glorot and Bengio 2010.
    """
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers of standard deviation gain * sqrt(2 / (fan_in + fan_out)).

    Source: ``torch.nn.init.xavier_normal_``; Glorot and Bengio 2010.
    """
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform numbers up to gain * sqrt(3 / fan), of both signs.

    Args:
        tensor: what is filled.
        a: the slope of ``"leaky_relu"``.
        mode: ``"fan_in"`` or ``"fan_out"``.
        nonlinearity: what is behind the layer: see ``calculate_gain``.
        generator: where the numbers are drawn from.

    Source: ``torch.nn.init.kaiming_uniform_``; He et al. 2015.
    """
    if 0 in tensor.array.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    std = calculate_gain(nonlinearity, a) / math.sqrt(fan)
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal numbers of standard deviation gain / sqrt(fan); the arguments are those of ``kaiming_uniform_``.

    Source: ``torch.nn.init.kaiming_normal_``; He et al. 2015.
    """
    if 0 in tensor.array.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    return normal_(tensor, 0, calculate_gain(nonlinearity, a) / math.sqrt(fan), generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A matrix with orthogonal rows or columns of length ``gain``; further dimensions are flattened.

    The normal numbers are torch's. Their QR decomposition is NumPy's, which differs from torch's in the last digits.

    Source: ``torch.nn.init.orthogonal_``; Saxe et al. 2013.
    """
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if not tensor.array.size:
        return tensor
    rows = shape[0]
    drawn = empty_like(tensor).reshape(rows, tensor.array.size // rows).normal_(0, 1, generator=generator)
    matrix = np.array(drawn.array.astype(mx.float32))
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = np.linalg.qr(matrix.T if wide else matrix)
    q = q * np.sign(np.diag(r))
    tensor.copy_(wrap(mx.array(np.ascontiguousarray(q.T if wide else q))).reshape(shape))
    made: Tensor = tensor.mul_(gain)
    return made


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal numbers, of which a share ``sparsity`` of each column is set to zero. ValueError for no matrix.

    Source: ``torch.nn.init.sparse_``; Martens 2010.
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.array.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    kept = np.ones((rows, columns), bool)
    for column in range(columns):
        order = np.array(randperm(rows, generator=None).array)
        kept[order[:zeros], column] = False
    made: Tensor = tensor.mul_(wrap(mx.array(kept)))
    return made


# Torch's old names ----------------------------------------------------------------------------------------------------


def _old(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function by its name without an underscore, with torch's warning."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    call.__name__ = old
    return call


uniform, normal, constant, eye, dirac = [_old(f) for f in (uniform_, normal_, constant_, eye_, dirac_)]
xavier_uniform, xavier_normal = _old(xavier_uniform_), _old(xavier_normal_)
kaiming_uniform, kaiming_normal = _old(kaiming_uniform_), _old(kaiming_normal_)
orthogonal, sparse = _old(orthogonal_), _old(sparse_)

if not TYPE_CHECKING:
    __getattr__ = _getter("torch.nn.init", globals())
