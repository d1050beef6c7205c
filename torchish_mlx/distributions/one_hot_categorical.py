"""``OneHotCategorical``: one of several outcomes, as a vector of zeros and a one."""

from __future__ import annotations

from typing import Any, ClassVar

from .._tensor.arraylike import Size
from .._tensor.tensor import Tensor
from ..ops.embedding import one_hot
from ..ops.ranges import eye
from . import constraints
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["OneHotCategorical", "OneHotCategoricalStraightThrough"]


class OneHotCategorical(Distribution):
    """The vector of length K that is 1 at ``k`` with the probability ``probs[..., k]``, and 0 elsewhere.

    Args:
        probs, logits, validate_args: as those of ``Categorical``.

    Raises:
        ValueError: as ``Categorical``.

    Source: ``torch.distributions.OneHotCategorical``.

    >>> import torchish_mlx as torch
    >>> torch.distributions.OneHotCategorical(torch.tensor([0.25, 0.75])).mode
    tensor([0., 1.])
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support: Any = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The distribution with its parameters expanded to ``batch_shape``."""
        new = self._get_checked_instance(OneHotCategorical, _instance)
        new._categorical = self._categorical.expand(batch_shape)
        Distribution.__init__(new, Size(batch_shape), self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        """The shape of ``probs``."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        """``probs``."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The most probable vector."""
        return self._vectors(self._categorical.mode)

    @property
    def variance(self) -> Tensor:
        """``probs * (1 - probs)``."""
        return self.probs * (1 - self.probs)

    def _vectors(self, indices: Tensor) -> Tensor:
        return one_hot(indices, self._event_shape[0]).to(self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, of the dtype of ``probs``."""
        return self._vectors(self._categorical.sample(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        """``logits`` where ``value`` is 1."""
        if self._validate_args:
            self._validate_sample(value)
        return self._categorical.log_prob(value.max(-1)[1])

    def entropy(self) -> Tensor:
        """``-sum(probs * logits)``."""
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The K vectors."""
        n, param = self._event_shape[0], self._categorical._param
        values = eye(n, dtype=param.dtype, device=param.device).view(n, *[1] * len(self._batch_shape), n)
        return values.expand(n, *self._batch_shape, n) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """``OneHotCategorical`` with ``rsample``, whose gradient is that of ``probs``.

    Source: ``torch.distributions.OneHotCategoricalStraightThrough``.

    >>> import torchish_mlx as torch
    >>> torch.distributions.OneHotCategoricalStraightThrough(torch.tensor([0.25, 0.75])).has_rsample
    True
    """

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, with the gradient of ``probs``."""
        return self.sample(sample_shape) + (self.probs - self.probs.detach())
