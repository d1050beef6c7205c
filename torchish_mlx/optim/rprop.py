"""Rprop with torch's signature; the formula is in ``torchish_mlx.optimizers``."""

from __future__ import annotations

from typing import Any

from .. import optimizers as rules
from .optimizer import Optimizer, ParamsT

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Resilient backpropagation.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.Rprop`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        etas, step_sizes: as in the rule.
        capturable, foreach, maximize, differentiable: as in :class:`~torchish_mlx.optim.Optimizer`.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.Rprop([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> bool(p.item() < 1)
        True

    Source: ``torch.optim.Rprop``.
    """

    rule = rules.Rprop

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )
