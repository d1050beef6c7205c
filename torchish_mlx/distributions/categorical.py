"""``Categorical``: one of several outcomes, by its index."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import mlx.core as mx

from .._core.limits import finfo
from .._tensor.tensor import Tensor
from ..ops.creation import full
from ..ops.drawing import multinomial
from ..ops.parts import broadcast_tensors
from ..ops.ranges import arange
from . import constraints
from ._outcomes import OfProbabilities
from .distribution import Distribution

__all__ = ["Categorical"]


class Categorical(OfProbabilities):
    """``k`` of ``0 ... K - 1`` with the probability ``probs[..., k]``.

    Args:
        probs: probabilities along the last dimension, of K; they are divided by their sum.
        logits: in their place logarithms, to which a number may have been added.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: both or none of them are given, they have no dimension, or are no probabilities.

    Source: ``torch.distributions.Categorical``.

    >>> import torchish_mlx as torch
    >>> d = torch.distributions.Categorical(torch.tensor([1.0, 1.0, 2.0]))
    >>> d.probs
    tensor([0.2500, 0.2500, 0.5000])
    >>> _ = torch.manual_seed(0)
    >>> d.sample((4,))
    tensor([2, 2, 1, 2])
    >>> d.log_prob(torch.tensor(2))
    tensor(-0.6931)
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _binary = False

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        name = self._given(probs, logits)
        given = logits if probs is None else probs
        if given.dim() < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        normal = given - given.logsumexp(-1, keepdim=True) if probs is None else given / given.sum(-1, keepdim=True)
        self.__dict__[name] = self._param = normal
        Distribution.__init__(self, normal.shape[:-1], validate_args=validate_args)

    @property
    def _num_events(self) -> int:
        return self._param.shape[-1]

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The integers from 0 to K - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        """NaN, since outcomes are no numbers."""
        return full(self._extended_shape(), math.nan, dtype=self.probs.dtype, device=self.probs.device)

    @property
    def mode(self) -> Tensor:
        """The most probable outcome."""
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """NaN, since outcomes are no numbers."""
        return self.mean

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, of int64."""
        drawn = multinomial(self.probs.reshape(-1, self._num_events), math.prod(sample_shape), True)
        return drawn.T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        """``logits`` at ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        index: Any
        index, logits = broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        """``-sum(probs * logits)``."""
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 ... K - 1."""
        values = arange(self._num_events, dtype=mx.int64, device=self._param.device)
        values = values.view(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
