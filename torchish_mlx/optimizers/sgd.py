"""Stochastic gradient descent. Numerics of torch 2.13's ``torch/optim/sgd.py``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx

from ._hyper import FIRST, Decay, DecayPair, Hyper, Hypers, Static, as_array, as_number, nonneg
from ._mlx_state import InMLX
from ._rule import Rule

__all__ = ["SGD"]


class SGDHypers(Hypers, Protocol):
    momentum: mx.array
    weight_decay: mx.array
    dampening: DecayPair
    nesterov: bool
    remembers: bool  # whether there is a buffer
    marks: bool  # whether the first step, which is not dampened, differs from the others


class SGDSlots(TypedDict, total=False):
    momentum_buffer: mx.array


class SGD(Rule):
    r"""Stochastic gradient descent, with momentum (Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html).

    .. math::
        g &\leftarrow g + \lambda p \\
        b &\leftarrow \mu b + (1 - \tau) g \quad (b = g \text{ in the first step}) \\
        p &\leftarrow p - lr \, b \quad (\text{nesterov: } p - lr (g + \mu b))

    Args:
        learning_rate (float or schedule): step length, in units of p / g; >= 0. Default: 1e-3.
        momentum (float): :math:`\mu` >= 0. Default: 0, which keeps no buffer.
        weight_decay (float): :math:`\lambda` >= 0. Default: 0.
        dampening (float): :math:`\tau`. Default: 0.
        nesterov (bool): look ahead; needs momentum > 0 and dampening 0.
        maximize (bool): ascend instead of descend.

    State: ``momentum_buffer`` once momentum is not 0, in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = SGD(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item()
        0.0

    Source: ``torch.optim.SGD``.
    """

    elementwise: ClassVar[bool] = True
    counted: ClassVar[bool] = False
    late: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    mlx: ClassVar[InMLX | None] = InMLX({"v": "momentum_buffer"})
    densifies: ClassVar[bool] = True
    lr: Any = Hyper(1e-3, nonneg("learning rate"))
    momentum: Any = Hyper(0, nonneg("momentum value"))
    weight_decay: Any = Hyper(0, nonneg("weight_decay value"))
    dampening: Any = Decay(0)
    nesterov: Any = Static(False)

    @classmethod
    def validate(cls, values: Mapping[str, Any]) -> None:
        super().validate(values)
        if values["nesterov"] and (values["momentum"] <= 0 or values["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    @classmethod
    def choices(cls, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return (*super().choices(values), *cls._remembers(values))

    @staticmethod
    def _remembers(values: Mapping[str, Any]) -> tuple[bool, bool]:
        """Whether there is a buffer, and whether its first step, which is not dampened, differs from the others."""
        remembers = as_number("momentum", values["momentum"]) != 0
        return remembers, remembers and (as_array(values["dampening"]) is not None or values["dampening"] != 0)

    @classmethod
    def unread(cls, values: Mapping[str, Any]) -> Collection[str]:
        return () if cls._remembers(values)[0] else ("momentum", "dampening")

    @classmethod
    def early_slots(cls, h: SGDHypers, p: mx.array) -> dict[str, mx.array]:
        made = {"momentum_buffer": mx.zeros_like(p)} if h.remembers else {}
        return {**made, FIRST: mx.array(True)} if h.marks else made

    @classmethod
    def hypers(cls, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
        h = super().hypers(values, arrays)
        h.remembers, h.marks = cls._remembers(values)
        return h

    @classmethod
    def formula(cls, h: SGDHypers, g: mx.array, p: mx.array, s: SGDSlots, k: Any) -> mx.array:
        if h.remembers:
            if "momentum_buffer" in s:
                share = h.dampening[1] if h.first is None else mx.where(h.first, 1.0, h.dampening[1])
                s["momentum_buffer"] = h.momentum * s["momentum_buffer"]
                s["momentum_buffer"] = s["momentum_buffer"] + share * g
            else:
                s["momentum_buffer"] = g
            b = s["momentum_buffer"]
            g = g + h.momentum * b if h.nesterov else b
        return p - h.lr * g
