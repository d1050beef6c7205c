"""Resilient backpropagation. Numerics of torch 2.13's ``torch/optim/rprop.py``."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx

from ._hyper import Each, Hyper, Hypers, nonneg
from ._rule import Rule

__all__ = ["Rprop"]


def _check_etas(_: str, value: Any) -> None:
    if not 0.0 < value[0] < 1.0 < value[1]:
        raise ValueError(f"Invalid eta values: {value[0]}, {value[1]}")


class RpropHypers(Hypers, Protocol):
    etas: tuple[mx.array, mx.array]
    step_sizes: tuple[mx.array, mx.array]


class RpropSlots(TypedDict):
    prev: mx.array
    step_size: mx.array


class Rprop(Rule):
    r"""Rprop (Riedmiller & Braun 1993, https://doi.org/10.1109/ICNN.1993.298623): steps by the sign of the gradient.

    Each element has a step size :math:`\Delta`, which grows by :math:`\eta^+` while the sign of its gradient stays, and
    shrinks by :math:`\eta^-` when it turns (the element then rests for one step):

    .. math::
        \Delta \leftarrow \mathrm{clip}(\eta \Delta, \Delta_{min}, \Delta_{max}), \quad
        p \leftarrow p - \mathrm{sign}(g) \Delta

    Args:
        learning_rate (float): the first :math:`\Delta`, in units of p; >= 0. Default: 1e-2.
        etas (tuple of 2 floats): :math:`0 < \eta^- < 1 < \eta^+`. Default: (0.5, 1.2).
        step_sizes (tuple of 2 floats): :math:`\Delta_{min}, \Delta_{max}`. Default: (1e-6, 50).
        maximize (bool): ascend instead of descend.

    State: ``prev`` (the gradient before) and ``step_size``, in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = Rprop(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item()
        0.5

    Source: ``torch.optim.Rprop``.
    """

    elementwise: ClassVar[bool] = True
    lr: Any = Hyper(1e-2, nonneg("learning rate"))
    etas: Any = Each(Hyper(None), (0.5, 1.2), _check_etas)
    step_sizes: Any = Each(Hyper(None), (1e-6, 50))

    @classmethod
    def slots(cls, h: RpropHypers, p: mx.array) -> dict[str, mx.array]:
        return {"prev": mx.zeros_like(p), "step_size": mx.broadcast_to(h.lr, p.shape).astype(p.dtype)}

    @classmethod
    def formula(cls, h: RpropHypers, g: mx.array, p: mx.array, s: RpropSlots, k: Any) -> mx.array:
        (shrink, grow), (least, most) = h.etas, h.step_sizes
        agreement = g * s["prev"]
        factor = mx.where(agreement > 0, grow, mx.where(agreement < 0, shrink, 1))
        s["step_size"] = mx.clip(s["step_size"] * factor, least, most)
        s["prev"] = mx.where(agreement < 0, 0, g)
        return p - mx.sign(s["prev"]) * s["step_size"]
