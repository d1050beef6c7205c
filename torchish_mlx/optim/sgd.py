"""SGD with torch's signature; the formula is in ``torchish_mlx.optimizers``."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import optimizers as rules
from .optimizer import Optimizer, ParamsT

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.SGD`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        momentum, dampening, weight_decay, nesterov: as in the rule.
        maximize, foreach, differentiable, fused: as in :class:`~torchish_mlx.optim.Optimizer`.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.SGD([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> bool(p.item() < 1)
        True

    Source: ``torch.optim.SGD``.
    """

    rule = rules.SGD
    later_keys: ClassVar[dict[str, Any]] = {"nesterov": False, "fused": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
