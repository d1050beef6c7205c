"""``ExponentialFamily``: distributions whose entropy and divergence follow from one function."""

from __future__ import annotations

from typing import Any

from .._tensor.tensor import Tensor
from ..autograd import grad
from .distribution import OfParameters
from .utils import sum_rightmost

__all__ = ["ExponentialFamily"]


class ExponentialFamily(OfParameters):
    """Distributions of the density ``exp(t(x) . theta - F(theta) + k(x))``.

    A class says its natural parameters ``theta`` (``_natural_params``, a tuple), ``_log_normalizer(*theta)``, which is
    ``F``, and the mean of ``k(x)`` (``_mean_carrier_measure``).

    Source: ``torch.distributions.ExponentialFamily``.
    """

    @property
    def _natural_params(self) -> Any:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy ``F(theta) - theta . grad F(theta) - mean k``, in the shape of the batch."""
        parameters = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*parameters)
        gradients: Any = grad(normalizer.sum(), parameters, create_graph=True)
        result: Any = normalizer - self._mean_carrier_measure
        for parameter, gradient in zip(parameters, gradients, strict=True):
            result = result - (parameter * gradient).reshape((*self._batch_shape, -1)).sum(-1)
        return result


def divergence(p: Any, q: Any) -> Tensor:
    """The divergence of two of one class: that of Bregman of their log-normalizers."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman "
            "divergences"
        )
    ours = [parameter.detach().requires_grad_() for parameter in p._natural_params]
    theirs = q._natural_params
    normalizer = p._log_normalizer(*ours)
    gradients: Any = grad(normalizer.sum(), ours, create_graph=True)
    result = q._log_normalizer(*theirs) - normalizer
    for own, other, gradient in zip(ours, theirs, gradients, strict=True):
        result = result - sum_rightmost((other - own) * gradient, len(q.event_shape))
    return result
