"""``torch.distributions.utils``: probabilities and logits, and numbers as Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .._core.dtypes import get_default_dtype
from .._core.limits import finfo
from .._tensor.modes import enable_grad
from .._tensor.tensor import Tensor
from ..ops.creation import tensor
from ..ops.parts import broadcast_tensors

__all__ = ["broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits"]

euler_constant = 0.57721566490153286060


def is_number(value: Any) -> bool:
    """Whether it is a number and no Tensor."""
    return isinstance(value, (bool, int, float))


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """The values as Tensors of one shape; numbers get the dtype and the device of the first Tensor.

    Raises:
        ValueError: one is neither a number nor a Tensor.

    Source: ``torch.distributions.utils.broadcast_all``.

    >>> import torchish_mlx as torch
    >>> torch.distributions.utils.broadcast_all(torch.zeros(2), 1)
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    if not all(isinstance(value, Tensor) or is_number(value) for value in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    first = next((value for value in values if isinstance(value, Tensor)), None)
    options: dict[str, Any] = (
        {"dtype": get_default_dtype()} if first is None else {"dtype": first.dtype, "device": first.device}
    )
    made: Any = broadcast_tensors(*(v if isinstance(v, Tensor) else tensor(v, **options) for v in values))
    return tuple(made)


def sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last ``dim`` dimensions."""
    return value if dim == 0 else value.reshape((*value.shape[:-dim], -1)).sum(-1)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """``softmax`` over the last dimension, or ``sigmoid`` where there are two outcomes.

    Source: ``torch.distributions.utils.logits_to_probs``.
    """
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """``probs`` between the ``eps`` of its dtype and ``1 - eps``.

    Source: ``torch.distributions.utils.clamp_probs``.
    """
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The logarithm of ``clamp_probs(probs)``, or of the odds where there are two outcomes.

    Source: ``torch.distributions.utils.probs_to_logits``.
    """
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


class lazy_property:
    """A property that is computed when it is read first, with gradients recorded, and is an attribute from then on.

    Source: ``torch.distributions.utils.lazy_property``.
    """

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return _OfClass(self.wrapped)
        with enable_grad():
            value = self.wrapped(instance)
        instance.__dict__[self.wrapped.__name__] = value
        return value


class _OfClass(lazy_property, property):
    """What a class has, which is a property for those who look at its documentation."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        property.__init__(self, wrapped)
