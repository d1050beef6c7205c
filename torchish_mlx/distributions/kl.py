"""``kl_divergence``: how much two distributions differ, and the formulas for it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from .._tensor.tensor import Tensor
from ..ops.creation import full_like
from ..ops.gates import softplus
from .bernoulli import Bernoulli
from .categorical import Categorical
from .cauchy import Cauchy
from .distribution import Distribution
from .exp_family import ExponentialFamily, divergence
from .exponential import Exponential
from .geometric import Geometric
from .independent import Independent
from .laplace import Laplace
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .poisson import Poisson
from .uniform import Uniform
from .utils import sum_rightmost

__all__ = ["kl_divergence", "register_kl"]

_Formula = Callable[[Any, Any], Any]
_FORMULAS: dict[tuple[type, type], _Formula] = {}
_CHOSEN: dict[tuple[type, type], Any] = {}  # what was found before


def register_kl(type_p: type, type_q: type) -> Callable[[_Formula], _Formula]:
    """A decorator: the function computes ``kl_divergence(p, q)`` for these classes, and for those derived from them.

    Of several functions that fit, the one for the closest classes is taken.

    Raises:
        TypeError: one is no class of distributions.

    Source: ``torch.distributions.register_kl``.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def register(function: _Formula) -> _Formula:
        _FORMULAS[type_p, type_q] = function
        _CHOSEN.clear()
        return function

    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The mean of ``p.log_prob(x) - q.log_prob(x)`` over the samples ``x`` of ``p``, in the shape of the batch.

    Raises:
        NotImplementedError: there is no formula for these classes; ``register_kl`` adds one.

    Source: ``torch.distributions.kl_divergence``.

    >>> import torchish_mlx as torch
    >>> Normal = torch.distributions.Normal
    >>> torch.distributions.kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    kinds = type(p), type(q)
    if kinds not in _CHOSEN:
        _CHOSEN[kinds] = _closest(*kinds)
    function = _CHOSEN[kinds]
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
        )
    return function(p, q)


def _closest(p: type, q: type) -> _Formula | None:
    fitting = [(a, b) for a, b in _FORMULAS if issubclass(p, a) and issubclass(q, b)]
    if not fitting:
        return None
    left = min(fitting, key=lambda pair: (p.__mro__.index(pair[0]), q.__mro__.index(pair[1])))
    right = min(fitting, key=lambda pair: (q.__mro__.index(pair[1]), p.__mro__.index(pair[0])))
    if _FORMULAS[left] is not _FORMULAS[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({p.__name__}, {q.__name__}). Please register_kl({left[0].__name__}, "
            f"{right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _FORMULAS[left]


# -- of one class

register_kl(ExponentialFamily, ExponentialFamily)(divergence)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Any:
    success = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    success = success.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0)
    failure = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    return success + failure.masked_fill(q.probs == 1, math.inf).masked_fill(p.probs == 1, 0)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Any:
    terms = p.probs * (p.logits - q.logits)
    return terms.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: Any, q: Any) -> Any:
    return _categorical(p._categorical, q._categorical)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Any:
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Any:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Any:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Any:
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + away / q.scale + ratio * (-away / p.scale).exp() - 1


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Any:
    ratio, away = (p.scale / q.scale).pow(2), ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + away - 1 - ratio.log())


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Any:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Any:
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return result.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Any:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


# -- of two classes


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Any:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Exponential, Normal)
def _exponential_normal(p: Any, q: Any) -> Any:
    variance, rate = q.scale.pow(2), p.rate.pow(2)
    nearness = rate.reciprocal() - q.loc / p.rate + q.loc.pow(2) * 0.5
    return 0.5 * (rate * variance * 2 * math.pi).log() - 1 + nearness / variance


@register_kl(Laplace, Normal)
def _laplace_normal(p: Any, q: Any) -> Any:
    variance = q.scale.pow(2)
    ratio = p.scale.pow(2) / variance
    away = 0.5 * p.loc.pow(2) - p.loc * q.loc + 0.5 * q.loc.pow(2)
    return -0.5 * (2 * ratio / math.pi).log() + ratio + away / variance - 1


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Any:
    away = p.loc - q.loc
    inside = away / p.scale
    t = math.sqrt(2 / math.pi) * p.scale * (-0.5 * inside.pow(2)).exp() + away * (math.sqrt(0.5) * inside).erf()
    return -(p.scale / q.scale).log() + t / q.scale - 0.5 * (1 + math.log(0.5 * math.pi))


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Any:
    result = q.rate * (p.high + p.low) / 2 - ((p.high - p.low) * q.rate).log()
    return result.masked_fill(p.low < q.support.lower_bound, math.inf)


@register_kl(Uniform, Normal)
def _uniform_normal(p: Any, q: Any) -> Any:
    width = p.high - p.low
    away = ((p.high + p.low - 2 * q.loc) / 2).pow(2)
    return (math.sqrt(math.pi * 2) * q.scale / width).log() + 0.5 * (width.pow(2) / 12 + away) / q.scale.pow(2)


def _infinite(parameter: str) -> _Formula:
    """For samples that ``q`` cannot have."""
    return lambda p, _: full_like(getattr(p, parameter), math.inf)


for _p, _q, _name in (
    (Exponential, Uniform, "rate"),
    (Laplace, Exponential, "loc"),
    (Laplace, Uniform, "loc"),
    (Normal, Exponential, "loc"),
    (Normal, Uniform, "loc"),
    (Poisson, Bernoulli, "rate"),
):
    register_kl(_p, _q)(_infinite(_name))
