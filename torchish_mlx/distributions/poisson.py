"""``Poisson``: how often something happens in a time."""

from __future__ import annotations

from typing import Any, ClassVar

from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor
from ..ops.drawing import poisson
from . import constraints
from .exp_family import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Poisson"]


class Poisson(ExponentialFamily):
    """``k`` with the probability ``rate ** k * exp(-rate) / k!``.

    Args:
        rate: the mean, 0 or more: a number or a Tensor.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: it is below 0.
        NotImplementedError: by ``entropy``, as torch raises it: there is no formula.

    Source: ``torch.distributions.Poisson``.

    >>> import torchish_mlx as torch
    >>> torch.distributions.Poisson(2.0).log_prob(torch.tensor([0.0, 1.0])).exp()
    tensor([0.1353, 0.2707])
    """

    arg_constraints: ClassVar[Any] = {"rate": constraints.nonnegative}
    support: Any = constraints.nonnegative_integer
    rate: Tensor

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, rate=rate)

    @property
    def mean(self) -> Tensor:
        """``rate``."""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """``floor(rate)``."""
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        """``rate``."""
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, of the dtype of ``rate``."""
        with no_grad():
            return poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        """``value * log(rate) - rate - log(value!)``."""
        if self._validate_args:
            self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()

    @property
    def _natural_params(self) -> Any:
        return (self.rate.log(),)

    def _log_normalizer(self, x: Any) -> Any:
        return x.exp()
