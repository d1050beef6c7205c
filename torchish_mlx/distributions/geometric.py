"""``Geometric``: how often a trial fails before it succeeds."""

from __future__ import annotations

from typing import Any, ClassVar

from .._core.limits import finfo
from .._tensor.modes import no_grad
from .._tensor.tensor import Tensor
from ..ops.binary import binary_cross_entropy_with_logits
from ..ops.creation import zeros_like
from . import constraints
from ._outcomes import OfTwo
from .utils import broadcast_all

__all__ = ["Geometric"]


class Geometric(OfTwo):
    """The number of failures before the first success: ``k`` with the probability ``(1 - probs) ** k * probs``.

    Args:
        probs: the probability of success, above 0 and at most 1: a number or a Tensor.
        logits: in its place ``log(probs / (1 - probs))``.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: both or none of them are given, or they are outside.

    Source: ``torch.distributions.Geometric``.

    >>> import torchish_mlx as torch
    >>> torch.distributions.Geometric(0.5).log_prob(torch.tensor([0.0, 1.0])).exp()
    tensor([0.5000, 0.2500])
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support: Any = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(probs, logits, validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            value = self.probs
            raise ValueError(
                f"Expected parameter probs ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                f"{self!r} to be positive but found invalid values:\n{value.detach()[~(value > 0)]}"
            )

    @property
    def mean(self) -> Tensor:
        """``1 / probs - 1``."""
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        """0."""
        return zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        """``(1 / probs - 1) / probs``."""
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, of the dtype of ``probs``."""
        with no_grad():
            u = self.probs.new_empty(self._extended_shape(sample_shape)).uniform_(finfo(self.probs.dtype).tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Any) -> Tensor:
        """``value * log(1 - probs) + log(probs)``."""
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        probs = probs.masked_fill((probs == 1) & (value == 0), 0)
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        """The entropy of one trial, divided by ``probs``."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
