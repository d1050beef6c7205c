"""Adagrad, Adadelta and RMSprop with torch's signature; the formula is in ``torchish_mlx.optimizers``."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import optimizers as rules
from .optimizer import Optimizer, ParamsT

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class Adagrad(Optimizer):
    """Adagrad.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.Adagrad`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        lr_decay, weight_decay, initial_accumulator_value, eps: as in the rule.
        foreach, maximize, differentiable, fused: as in :class:`~torchish_mlx.optim.Optimizer`.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.Adagrad([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> bool(p.item() < 1)
        True

    Source: ``torch.optim.Adagrad``.
    """

    rule = rules.Adagrad

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )


class Adadelta(Optimizer):
    """Adadelta.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.Adadelta`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        rho, eps, weight_decay: as in the rule.
        foreach, capturable, maximize, differentiable: as in :class:`~torchish_mlx.optim.Optimizer`.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.Adadelta([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> bool(p.item() < 1)
        True

    Source: ``torch.optim.Adadelta``.
    """

    rule = rules.Adadelta

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )


class RMSprop(Optimizer):
    """RMSprop.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.RMSprop`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        alpha, eps, weight_decay, momentum, centered: as in the rule.
        capturable, foreach, maximize, differentiable: as in :class:`~torchish_mlx.optim.Optimizer`.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([1.0]))
        >>> optimizer = optim.RMSprop([p], lr=0.5)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> bool(p.item() < 1)
        True

    Source: ``torch.optim.RMSprop``.
    """

    rule = rules.RMSprop
    later_keys: ClassVar[dict[str, Any]] = {"momentum": 0, "centered": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )
