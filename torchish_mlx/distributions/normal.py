"""``Normal``: the bell curve."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor
from ..ops.drawing import normal
from . import constraints
from .exp_family import ExponentialFamily

__all__ = ["Normal"]


class Normal(ExponentialFamily):
    """The density ``exp(-((x - loc) / scale) ** 2 / 2) / (scale * sqrt(2 pi))``.

    Args:
        loc: the mean, a number or a Tensor.
        scale: the standard deviation, above 0.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: they are outside, or neither numbers nor Tensors.

    Source: ``torch.distributions.Normal``.

    >>> import torchish_mlx as torch
    >>> d = torch.distributions.Normal(torch.tensor([0.0, 1.0]), 2.0)
    >>> d.log_prob(torch.tensor(1.0))
    tensor([-1.7371, -1.6121])
    >>> _ = torch.manual_seed(0)
    >>> d.rsample()
    tensor([3.0820, 0.4131])
    """

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support: Any = constraints.real
    has_rsample = True
    _mean_carrier_measure: Any = 0
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, loc=loc, scale=scale)

    @property
    def mean(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """``scale``."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """``scale ** 2``."""
        return self.stddev.pow(2)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, without gradients."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """``loc + scale * eps`` with standard normal ``eps``."""
        return self.loc + self.loc.new_empty(self._extended_shape(sample_shape)).normal_() * self.scale

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Any) -> Tensor:
        """``(1 + erf((value - loc) / (scale * sqrt(2)))) / 2``."""
        if self._validate_args:
            self._validate_sample(value)
        return 0.5 * (1 + ((value - self.loc) * self.scale.reciprocal() / math.sqrt(2)).erf())

    def icdf(self, value: Any) -> Tensor:
        """``loc + scale * sqrt(2) * erfinv(2 * value - 1)``."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        """``(1 + log(2 pi)) / 2 + log(scale)``."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()

    @property
    def _natural_params(self) -> Any:
        return self.loc / self.scale.pow(2), -0.5 * self.scale.pow(2).reciprocal()

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        return -0.25 * x.pow(2) / y + 0.5 * (-math.pi / y).log()
