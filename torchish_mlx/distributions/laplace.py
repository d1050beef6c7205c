"""``Laplace``: two exponential curves, back to back."""

from __future__ import annotations

from typing import Any, ClassVar

from .._core.limits import finfo
from .._tensor.tensor import Tensor
from . import constraints
from .distribution import OfParameters

__all__ = ["Laplace"]


class Laplace(OfParameters):
    """The density ``exp(-|x - loc| / scale) / (2 * scale)``.

    Args:
        loc: the mean, a number or a Tensor.
        scale: the width, above 0.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: they are outside, or neither numbers nor Tensors.

    Source: ``torch.distributions.Laplace``.

    >>> import torchish_mlx as torch
    >>> torch.distributions.Laplace(0.0, 1.0).cdf(torch.tensor([0.0, 1.0]))
    tensor([0.5000, 0.8161])
    """

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support: Any = constraints.real
    has_rsample = True
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
    def variance(self) -> Tensor:
        """``2 * scale ** 2``."""
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        """``sqrt(2) * scale``."""
        return 2**0.5 * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """``loc - scale * sign(u) * log(1 - |u|)`` with ``u`` between -1 and 1."""
        u = self.loc.new_empty(self._extended_shape(sample_shape)).uniform_(finfo(self.loc.dtype).eps - 1, 1)
        return self.loc - self.scale * u.sign() * (-u.abs()).log1p()

    def log_prob(self, value: Any) -> Tensor:
        """``-log(2 * scale) - |value - loc| / scale``."""
        if self._validate_args:
            self._validate_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Any) -> Tensor:
        """``(1 - sign(value - loc) * (exp(-|value - loc| / scale) - 1)) / 2``."""
        if self._validate_args:
            self._validate_sample(value)
        return 0.5 - 0.5 * (value - self.loc).sign() * (-(value - self.loc).abs() / self.scale).expm1()

    def icdf(self, value: Any) -> Tensor:
        """``loc - scale * sign(value - 1/2) * log(1 - 2 * |value - 1/2|)``."""
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        """``1 + log(2 * scale)``."""
        return 1 + (2 * self.scale).log()
