"""Averaged stochastic gradient descent. Numerics of torch 2.13's ``torch/optim/asgd.py``."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx

from ._hyper import Hyper, Hypers, nonneg
from ._rule import Rule, lerp

__all__ = ["ASGD"]


class ASGDHypers(Hypers, Protocol):
    lambd: mx.array
    alpha: mx.array
    t0: mx.array
    weight_decay: mx.array


class ASGDSlots(TypedDict):
    ax: mx.array


class ASGD(Rule):
    r"""Averaged SGD (Polyak & Juditsky 1992, https://doi.org/10.1137/0330046).

    .. math::
        p &\leftarrow (1 - \lambda \eta) p - \eta g, \quad \bar p \leftarrow \bar p + \mu (p - \bar p) \\
        \eta &\leftarrow \frac{lr}{(1 + \lambda \, lr \, t)^\alpha}, \quad \mu \leftarrow \frac{1}{\max(1, t - t_0)}

    Args:
        learning_rate (float or schedule): step length, in units of p / g; >= 0. Default: 1e-2.
        lambd (float): :math:`\lambda`, decay. Default: 1e-4.
        alpha (float): power of the decay of the step length. Default: 0.75.
        t0 (float): the step after which averaging begins. Default: 1e6.
        weight_decay (float): g gains weight_decay * p; >= 0. Default: 0.
        maximize (bool): ascend instead of descend.

    State: ``ax`` (:math:`\bar p`) in the shape and dtype of the parameter; ``eta`` and ``mu``, float32 scalars.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = ASGD(learning_rate=0.5, lambd=0)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item()
        0.0

    Source: ``torch.optim.ASGD``.
    """

    elementwise: ClassVar[bool] = True
    clock: ClassVar[tuple[str, ...]] = ("step", "eta", "mu")
    lr: Any = Hyper(1e-2, nonneg("learning rate"))
    lambd: Any = Hyper(1e-4)
    alpha: Any = Hyper(0.75)
    t0: Any = Hyper(1e6)
    weight_decay: Any = Hyper(0, nonneg("weight_decay value"))

    @classmethod
    def start(cls, h: ASGDHypers) -> dict[str, mx.array]:
        return {"step": mx.array(0.0), "eta": h.lr, "mu": mx.array(1.0)}

    @classmethod
    def tick(cls, h: ASGDHypers, clock: dict[str, mx.array]) -> tuple[mx.array, mx.array, mx.array]:
        eta, mu = mx.where(clock["step"] == 0, h.lr, clock["eta"]), clock["mu"]  # the first step's eta is its lr
        clock["step"] = t = clock["step"] + 1
        clock["eta"] = h.lr / (1 + h.lambd * h.lr * t) ** h.alpha
        clock["mu"] = 1 / mx.maximum(1, t - h.t0)
        return eta, mu, 1 - h.lambd * eta

    @classmethod
    def slots(cls, h: ASGDHypers, p: mx.array) -> dict[str, mx.array]:
        return {"ax": mx.zeros_like(p)}

    @classmethod
    def formula(
        cls, h: ASGDHypers, g: mx.array, p: mx.array, s: ASGDSlots, k: tuple[mx.array, mx.array, mx.array]
    ) -> mx.array:
        eta, mu, shrink = k
        p = p * shrink - eta * g
        s["ax"] = mx.where(mu == 1, p, lerp(s["ax"], p, mu))
        return p
