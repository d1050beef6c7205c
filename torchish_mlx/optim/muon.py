"""Muon with torch's signature; the formula is in ``torchish_mlx.optimizers``."""

from __future__ import annotations

from .. import optimizers as rules
from .optimizer import Optimizer, ParamsT

__all__ = ["Muon"]


class Muon(Optimizer):
    """Muon as torch has it, for matrices.

    The formula, the ranges of the arguments and the state: :class:`torchish_mlx.optimizers.Muon`.

    Args:
        params: Parameters, (name, Parameter) pairs, an ``mlx.nn.Module``, or dicts of groups.
        lr (float, 1-element tensor or schedule): step length; a tensor may be changed in place, a schedule follows the
            steps (:class:`~torchish_mlx.optim.Optimizer`).
        weight_decay, momentum, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn: as in the rule.

    Raises:
        ValueError, TypeError, RuntimeError: in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> from torchish_mlx import Parameter, optim
        >>> p = Parameter(mx.array([[1.0, 0.5], [0.5, 1.0]]))
        >>> optimizer = optim.Muon([p], lr=0.1)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> p.shape == (2, 2)
        True

    Source: ``torch.optim.Muon``.
    """

    rule = rules.Muon

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
