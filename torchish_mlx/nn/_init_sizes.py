"""How large the first numbers of a weight are: gains of activations, and how many numbers a layer adds up."""

from __future__ import annotations

import math

from .._tensor.tensor import Tensor

_GAINS: dict[str, float] = {
    "linear": 1,
    "conv1d": 1,
    "conv2d": 1,
    "conv3d": 1,
    "conv_transpose1d": 1,
    "conv_transpose2d": 1,
    "conv_transpose3d": 1,
    "sigmoid": 1,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are made larger because of the activation that follows them.

    1 for ``"linear"``, ``"sigmoid"`` and convolutions, 5/3 for ``"tanh"``, sqrt(2) for ``"relu"``, 3/4 for ``"selu"``,
    and sqrt(2 / (1 + param^2)) for ``"leaky_relu"``.

    Args:
        nonlinearity: the name of a function in ``nn.functional``.
        param: the slope of ``leaky_relu`` below 0; 0.01 if None. For the others it has no meaning, as in torch.

    Raises:
        ValueError: another name, or a slope that is no number.

    Source: ``torch.nn.init.calculate_gain``.

    >>> import torchish_mlx as torch
    >>> round(torch.nn.init.calculate_gain("leaky_relu", 0.2), 4)
    1.3868
    """
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, (int, float)):
        raise ValueError(f"negative_slope {param} not a valid number")
    return math.sqrt(2.0 / (1 + slope**2))


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output has in a layer with this weight, and how many outputs an input has."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    outputs, inputs, *kernel = tensor.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    """The one of the two that ``mode`` names, in any case of letters."""
    modes = ["fan_in", "fan_out"]
    mode = mode.lower()
    if mode not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode)]


def xavier_std(tensor: Tensor, gain: float) -> float:
    """The standard deviation of Glorot and Bengio: 2 over the mean of both fans, and times a gain."""
    return gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))


def kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """The standard deviation of He and others: 1 over the fan of a mode, and times the gain of a nonlinearity."""
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)
