"""Optimizers that divide by a root of squared gradients: Adagrad, Adadelta, RMSprop. Numerics of torch 2.13."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx

from ._hyper import Decay, DecayPair, Hyper, Hypers, Static, as_number, nonneg
from ._kernels import root
from ._mlx_state import InMLX
from ._rule import Rule, lerp

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class AdagradHypers(Hypers, Protocol):
    eps: mx.array
    weight_decay: mx.array
    lr_decay: mx.array
    initial_accumulator_value: mx.array


class AdagradSlots(TypedDict):
    sum: mx.array


class Adagrad(Rule):
    r"""Adagrad (Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html).

    .. math::
        g \leftarrow g + \lambda p, \quad s \leftarrow s + g^2, \quad
        p \leftarrow p - \frac{lr}{1 + (t - 1) \eta} \frac{g}{\sqrt s + \epsilon}

    Args:
        learning_rate (float or schedule): step length, in units of p; >= 0. Default: 1e-2.
        eps (float): added to the root, in units of g; >= 0. Default: 1e-10.
        weight_decay (float): :math:`\lambda` >= 0. Default: 0.
        lr_decay (float): :math:`\eta` >= 0, per step. Default: 0.
        initial_accumulator_value (float): s of the start; >= 0. Default: 0.
        maximize (bool): ascend instead of descend.

    State: ``sum``, in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = Adagrad(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item()
        0.5

    Source: ``torch.optim.Adagrad``.
    """

    elementwise: ClassVar[bool] = True
    eager_slots: ClassVar[bool] = True
    densifies: ClassVar[bool] = True
    mlx: ClassVar[InMLX | None] = InMLX({"v": "sum"}, squares=("v",))
    lr: Any = Hyper(1e-2, nonneg("learning rate"))
    eps: Any = Hyper(1e-10, nonneg("epsilon value"))
    weight_decay: Any = Hyper(0, nonneg("weight_decay value"))
    lr_decay: Any = Hyper(0, nonneg("lr_decay value"))
    initial_accumulator_value: Any = Hyper(0, nonneg("initial_accumulator_value value"))

    @classmethod
    def slots(cls, h: AdagradHypers, p: mx.array) -> dict[str, mx.array]:
        return {"sum": mx.broadcast_to(h.initial_accumulator_value, p.shape).astype(p.dtype)}

    @classmethod
    def tick(cls, h: AdagradHypers, clock: dict[str, mx.array]) -> mx.array:
        before = clock["step"]
        clock["step"] = before + 1
        return h.lr / (1 + before * h.lr_decay)

    @classmethod
    def formula(cls, h: AdagradHypers, g: mx.array, p: mx.array, s: AdagradSlots, k: mx.array) -> mx.array:
        s["sum"] = s["sum"] + g * g
        return p - k * g / (root(h, s["sum"]) + h.eps)


class AdadeltaHypers(Hypers, Protocol):
    rho: DecayPair
    eps: mx.array
    weight_decay: mx.array


class AdadeltaSlots(TypedDict):
    square_avg: mx.array
    acc_delta: mx.array


class Adadelta(Rule):
    r"""Adadelta (Zeiler 2012, https://arxiv.org/abs/1212.5701).

    .. math::
        g &\leftarrow g + \lambda p, \quad v \leftarrow \rho v + (1 - \rho) g^2 \\
        \delta &= \frac{\sqrt{u + \epsilon}}{\sqrt{v + \epsilon}} g, \quad u \leftarrow \rho u + (1 - \rho) \delta^2,
        \quad p \leftarrow p - lr \, \delta

    Args:
        learning_rate (float or schedule): factor on the step; >= 0. Default: 1.0.
        rho (float): decay rate of both averages, in [0, 1]. Default: 0.9.
        eps (float): added under the roots; >= 0. Default: 1e-6.
        weight_decay (float): :math:`\lambda` >= 0. Default: 0.
        maximize (bool): ascend instead of descend.

    State: ``square_avg`` (v) and ``acc_delta`` (u), in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = Adadelta()
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].shape
        (1,)

    Source: ``torch.optim.Adadelta``; MLX spells it ``AdaDelta``, and so may you.
    """

    elementwise: ClassVar[bool] = True

    @staticmethod
    def _check_rho(name: str, value: Any) -> None:
        if not 0.0 <= as_number(name, value) <= 1.0:
            raise ValueError(f"Invalid rho value: {value}")

    mlx: ClassVar[InMLX | None] = InMLX({"v": "square_avg", "u": "acc_delta"}, squares=("v", "u"))
    lr: Any = Hyper(1.0, nonneg("learning rate"))
    rho: Any = Decay(0.9, _check_rho.__func__)  # type: ignore[attr-defined]
    eps: Any = Hyper(1e-6, nonneg("epsilon value"))
    weight_decay: Any = Hyper(0, nonneg("weight_decay value"))

    @classmethod
    def slots(cls, h: AdadeltaHypers, p: mx.array) -> dict[str, mx.array]:
        return {"square_avg": mx.zeros_like(p), "acc_delta": mx.zeros_like(p)}

    @classmethod
    def formula(cls, h: AdadeltaHypers, g: mx.array, p: mx.array, s: AdadeltaSlots, k: Any) -> mx.array:
        b, c = h.rho
        s["square_avg"] = b * s["square_avg"] + c * g * g
        delta = root(h, s["acc_delta"] + h.eps) / root(h, s["square_avg"] + h.eps) * g
        s["acc_delta"] = b * s["acc_delta"] + c * delta * delta
        return p - h.lr * delta


class RMSpropHypers(Hypers, Protocol):
    alpha: DecayPair
    eps: mx.array
    weight_decay: mx.array
    momentum: mx.array
    centered: bool
    remembers: bool  # whether momentum is more than 0, so that there is a buffer


class RMSpropSlots(TypedDict):
    square_avg: mx.array
    momentum_buffer: mx.array
    grad_avg: mx.array


class RMSprop(Rule):
    r"""RMSprop (Tieleman & Hinton 2012; centered: Graves 2013, https://arxiv.org/abs/1308.0850).

    .. math::
        g &\leftarrow g + \lambda p, \quad v \leftarrow \alpha v + (1 - \alpha) g^2, \quad
        r = \sqrt v + \epsilon \quad (\text{centered: } \sqrt{v - \bar g^2} + \epsilon) \\
        p &\leftarrow p - lr \, g / r \quad (\text{momentum: } b \leftarrow \mu b + g / r, \; p \leftarrow p - lr \, b)

    Args:
        learning_rate (float or schedule): step length, in units of p; >= 0. Default: 1e-2.
        alpha (float): decay rate of v (and of the average :math:`\bar g`); >= 0. Default: 0.99.
        eps (float): added to the root, in units of g; >= 0. Default: 1e-8.
        weight_decay (float): :math:`\lambda` >= 0. Default: 0.
        momentum (float): :math:`\mu` >= 0. Default: 0, which keeps no buffer.
        centered (bool): divide by the standard deviation instead of the root mean square.
        maximize (bool): ascend instead of descend.

    State: ``square_avg``, with momentum ``momentum_buffer``, when centered ``grad_avg``, as the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = RMSprop(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item() < -3.9
        True

    Source: ``torch.optim.RMSprop``.
    """

    elementwise: ClassVar[bool] = True
    mlx: ClassVar[InMLX | None] = InMLX(
        {"v": "square_avg"}, squares=("v",), alone={"momentum_buffer": "momentum=0", "grad_avg": "centered=False"}
    )
    lr: Any = Hyper(1e-2, nonneg("learning rate"))
    alpha: Any = Decay(0.99, nonneg("alpha value"))
    eps: Any = Hyper(1e-8, nonneg("epsilon value"))
    weight_decay: Any = Hyper(0, nonneg("weight_decay value"))
    momentum: Any = Hyper(0, nonneg("momentum value"))
    centered: Any = Static(False)

    @classmethod
    def choices(cls, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return (*super().choices(values), as_number("momentum", values["momentum"]) > 0)

    @classmethod
    def hypers(cls, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
        h = super().hypers(values, arrays)
        h.remembers = as_number("momentum", values["momentum"]) > 0
        return h

    @classmethod
    def slots(cls, h: RMSpropHypers, p: mx.array) -> dict[str, mx.array]:
        made = {"square_avg": mx.zeros_like(p)}
        if h.remembers:
            made["momentum_buffer"] = mx.zeros_like(p)
        if h.centered:
            made["grad_avg"] = mx.zeros_like(p)
        return made

    @classmethod
    def formula(cls, h: RMSpropHypers, g: mx.array, p: mx.array, s: RMSpropSlots, k: Any) -> mx.array:
        b, c = h.alpha
        s["square_avg"] = b * s["square_avg"] + c * g * g
        v = s["square_avg"]
        if h.centered:
            s["grad_avg"] = lerp(s["grad_avg"], g, c)
            v = v - s["grad_avg"] * s["grad_avg"]
        scaled = g / (root(h, v) + h.eps)
        if h.remembers:
            s["momentum_buffer"] = h.momentum * s["momentum_buffer"] + scaled
            scaled = s["momentum_buffer"]
        return p - h.lr * scaled
