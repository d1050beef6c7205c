"""``Bernoulli``: 1 or 0."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor
from ..ops.binary import binary_cross_entropy_with_logits
from ..ops.drawing import bernoulli
from ..ops.ranges import arange
from . import constraints
from ._outcomes import OfTwo
from .exp_family import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Bernoulli"]


class Bernoulli(OfTwo, ExponentialFamily):
    """1 with the probability ``probs``, and else 0.

    Args:
        probs: the probability of 1, between 0 and 1: a number or a Tensor.
        logits: in its place ``log(probs / (1 - probs))``.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: both or none of them are given, or they are outside.

    Source: ``torch.distributions.Bernoulli``.

    >>> import torchish_mlx as torch
    >>> d = torch.distributions.Bernoulli(torch.tensor([0.25, 0.5]))
    >>> d.log_prob(torch.tensor([1.0, 1.0])).exp()
    tensor([0.2500, 0.5000])
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support: Any = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure: Any = 0

    @property
    def mean(self) -> Tensor:
        """``probs``."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """1 where ``probs`` is above a half, NaN where it is a half."""
        return (self.probs >= 0.5).to(self.probs).masked_fill(self.probs == 0.5, math.nan)

    @property
    def variance(self) -> Tensor:
        """``probs * (1 - probs)``."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, of the dtype of ``probs``."""
        with no_grad():
            return bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        """``value * log(probs) + (1 - value) * log(1 - probs)``."""
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        """``-probs * log(probs) - (1 - probs) * log(1 - probs)``."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 and 1."""
        values = arange(2, dtype=self._param.dtype, device=self._param.device)
        values = values.view(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values

    @property
    def _natural_params(self) -> Any:
        return (self.probs.logit(),)

    def _log_normalizer(self, x: Any) -> Any:
        return x.exp().log1p()
