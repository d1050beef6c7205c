"""Functions that fill the Tensors of a model with their first numbers, spelled like ``torch.nn.init``.

The numbers are those that torch's functions draw on the CPU from the same seed. Each function changes its argument,
records nothing for backward, and returns its argument.
"""

from __future__ import annotations

import math
import typing as _typing
import warnings
from collections.abc import Callable
from typing import Any

from .._absent import getter as _getter
from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor
from ._init_bounded import accepted as _accepted
from ._init_bounded import below as _below
from ._init_bounded import redrawn as _redrawn
from ._init_matrices import dirac_, eye_, orthogonal_, sparse_
from ._init_sizes import _calculate_correct_fan as _calculate_correct_fan
from ._init_sizes import _calculate_fan_in_and_fan_out as _calculate_fan_in_and_fan_out
from ._init_sizes import calculate_gain
from ._init_sizes import kaiming_std as _kaiming
from ._init_sizes import xavier_std as _xavier

__all__ = [
    "calculate_gain",
    "uniform_",
    "normal_",
    "trunc_normal_",
    "constant_",
    "ones_",
    "zeros_",
    "eye_",
    "dirac_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "sparse_",
    "uniform",
    "normal",
    "constant",
    "eye",
    "dirac",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
    "sparse",
]

#: From this share of normal numbers inside of the bounds on, ``trunc_normal_`` draws normal numbers.
_MANY = 0.3


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers from ``a`` up to ``b``, which is left out.

    Args:
        tensor: what is filled, in the order of its memory.
        a: the lower bound.
        b: the upper bound.
        generator: where the numbers come from; the default generator if None.

    Raises:
        RuntimeError: ``a`` is larger than ``b``.
        NotImplementedError: a dtype of integers.

    Source: ``torch.nn.init.uniform_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.uniform_(torch.empty(3), 1, 2, generator=torch.Generator().manual_seed(0))
    tensor([1.4963, 1.7682, 1.0885])
    """
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers of a mean and a standard deviation.

    Args:
        tensor: what is filled.
        mean: the mean.
        std: the standard deviation, 0 or more.
        generator: where the numbers come from; the default generator if None.

    Raises:
        RuntimeError: a negative ``std``.
        NotImplementedError: a dtype of integers.

    Source: ``torch.nn.init.normal_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.normal_(torch.empty(3), std=0.02, generator=torch.Generator().manual_seed(0))
    tensor([ 0.0308, -0.0059, -0.0436])
    """
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Normal numbers, of which those outside of ``a`` to ``b`` are drawn again until they are inside.

    A whole tensor of numbers is drawn each time, and only the places that need one take theirs. Where less than 0.3 of
    normal numbers would be inside, uniform numbers from ``a`` to ``b`` are drawn instead, and each is accepted with a
    probability in proportion to the density there.

    Args:
        tensor: what is filled.
        mean: the mean of the normal numbers, before those outside are left out.
        std: their standard deviation.
        a: the least number.
        b: the largest number.
        generator: where the numbers come from; the default generator if None.

    Raises:
        RuntimeError: ``a`` is larger than ``b``.
        ZeroDivisionError: ``std`` is 0.
        NotImplementedError: a dtype of integers.

    Source: ``torch.nn.init.trunc_normal_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.trunc_normal_(torch.empty(4), std=0.02, b=0.01, generator=torch.Generator().manual_seed(0))
    tensor([-0.0217, -0.0059, -0.0436,  0.0036])
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    inside = _below((b - mean) / std) - _below((a - mean) / std)
    with no_grad():
        if inside > _MANY:
            return _redrawn(tensor, mean, std, a, b, generator)
        return _accepted(tensor, mean, std, a, b, generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number in every place.

    Args:
        tensor: what is filled.
        val: the number.

    Source: ``torch.nn.init.constant_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.constant_(torch.empty(2), 0.3)
    tensor([0.3000, 0.3000])
    """
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones.

    Source: ``torch.nn.init.ones_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.ones_(torch.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros.

    Source: ``torch.nn.init.zeros_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.zeros_(torch.empty(2))
    tensor([0., 0.])
    """
    with no_grad():
        return tensor.zero_()


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers up to +- gain * sqrt(6 / (fan_in + fan_out)), after Glorot and Bengio, 2010.

    Args:
        tensor: a weight: outputs, inputs, and the sizes of the kernel if it has one.
        gain: of :func:`calculate_gain`.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: fewer than 2 dimensions.

    Source: ``torch.nn.init.xavier_uniform_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.xavier_uniform_(torch.empty(1, 3), generator=torch.Generator().manual_seed(0))
    tensor([[-0.0092,  0.6570, -1.0080]])
    """
    bound = math.sqrt(3.0) * _xavier(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers of the standard deviation gain * sqrt(2 / (fan_in + fan_out)), after Glorot and Bengio, 2010.

    Arguments and errors are those of :func:`xavier_uniform_`.

    Source: ``torch.nn.init.xavier_normal_``.

    >>> import torchish_mlx as torch
    >>> torch.nn.init.xavier_normal_(torch.empty(1, 3), generator=torch.Generator().manual_seed(0))
    tensor([[ 1.0896, -0.2075, -1.5406]])
    """
    return normal_(tensor, 0.0, _xavier(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform numbers up to +- gain * sqrt(3 / fan), after He and others, 2015. Nothing is done where there are none.

    Args:
        tensor: a weight: outputs, inputs, and the sizes of the kernel if it has one.
        a: the slope of ``leaky_relu`` below 0.
        mode: ``"fan_in"`` keeps the variance in the forward pass, ``"fan_out"`` in the backward pass.
        nonlinearity: the activation that follows, of :func:`calculate_gain`.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: fewer than 2 dimensions, another mode or nonlinearity.

    Source: ``torch.nn.init.kaiming_uniform_``.

    >>> import torchish_mlx as torch
    >>> w = torch.empty(1, 3)
    >>> torch.nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=torch.Generator().manual_seed(0))
    tensor([[-0.0106,  0.7586, -1.1640]])
    """
    if _empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal numbers of the standard deviation gain / sqrt(fan), after He and others, 2015.

    Arguments and errors are those of :func:`kaiming_uniform_`.

    Source: ``torch.nn.init.kaiming_normal_``.

    >>> import torchish_mlx as torch
    >>> w = torch.empty(1, 3)
    >>> torch.nn.init.kaiming_normal_(w, mode="fan_out", generator=torch.Generator().manual_seed(0))
    tensor([[ 2.1793, -0.4150, -3.0813]])
    """
    if _empty(tensor):
        return tensor
    return normal_(tensor, 0, _kaiming(tensor, a, mode, nonlinearity), generator)


def _empty(tensor: Tensor) -> bool:
    """Whether there is nothing to fill, of which a warning is given."""
    if 0 not in tensor.shape:
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return True


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The old name of a function, which is that without its last letter, and which warns."""
    new = function.__name__
    old = new.removesuffix("_")

    def renamed(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    renamed.__name__ = renamed.__qualname__ = old
    renamed.__doc__ = f"The old name of :func:`{new}`, which warns.\n\n    Source: ``torch.nn.init.{old}``."
    return renamed


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)

if not _typing.TYPE_CHECKING:
    __getattr__ = _getter("torch.nn.init", globals())
