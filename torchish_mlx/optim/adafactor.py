"""Adafactor with torch's signature; the formula is in ``torchish_mlx.optimizers``."""

from __future__ import annotations

from typing import Any

from .. import optimizers as rules
from .optimizer import Optimizer, ParamsT

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor as torch has it.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.Adafactor`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        beta2_decay, eps, d, weight_decay: as in the rule.
        foreach, maximize: as in :class:`~torchish_mlx.optim.Optimizer`.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.Adafactor([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> bool(p.item() < 1)
        True

    Source: ``torch.optim.Adafactor``.
    """

    rule = rules.Adafactor

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )
