"""The Adam family. Numerics of torch 2.13's ``torch/optim/adam.py``, adamw, adamax, nadam and radam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx
import numpy as np

from .._docs import see
from ._hyper import Decay, DecayPair, Each, Hyper, Hypers, Static, as_array, each_in_unit, nonneg
from ._kernels import root
from ._mlx_state import InMLX
from ._rule import Rule, bias_correction, lerp

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


class MomentHypers(Hypers, Protocol):
    eps: mx.array
    weight_decay: mx.array


class MomentSlots(TypedDict):
    exp_avg: mx.array
    exp_avg_sq: mx.array


def _moments(betas: tuple[DecayPair, DecayPair], g: mx.array, s: MomentSlots) -> tuple[mx.array, mx.array]:
    """m <- m + (1 - beta1) (g - m), v <- beta2 v + (1 - beta2) g g"""
    (_, c1), (b2, c2) = betas
    s["exp_avg"] = lerp(s["exp_avg"], g, c1)
    s["exp_avg_sq"] = b2 * s["exp_avg_sq"]
    s["exp_avg_sq"] = s["exp_avg_sq"] + c2 * g * g
    return s["exp_avg"], s["exp_avg_sq"]


class _Moments(Rule):
    """What the family shares: its hyper-parameters, the two moments, and decay that is coupled or decoupled."""

    lr: Any = Hyper(1e-3, nonneg("learning rate"))
    betas: Any = Each(Decay(None), (0.9, 0.999), each_in_unit("beta parameter"))
    eps: Any = Hyper(1e-8, nonneg("epsilon value"))
    weight_decay: Any = Hyper(0, nonneg("weight_decay value"))

    @classmethod
    def slots(cls, h: Any, p: mx.array) -> dict[str, mx.array]:
        return {"exp_avg": mx.zeros_like(p), "exp_avg_sq": mx.zeros_like(p)}

    @classmethod
    def _shrink(cls, h: MomentHypers) -> mx.array:
        return 1 - h.lr * h.weight_decay

    @classmethod
    def coupled(cls, h: Any) -> bool:
        return not getattr(h, "decoupled_weight_decay", False)

    @classmethod
    def _shrunk(cls, h: MomentHypers, p: mx.array, shrink: mx.array) -> mx.array:
        """``p`` after decoupled weight decay."""
        return p if cls.coupled(h) else p * shrink


def _check_bias_correction(_: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"bias_correction takes True, but got {value!r}. By position it follows eps in Adam, and weight_decay in "
            "AdamW, as in mlx.optimizers: give the options that torch has at these places by name, such as weight_decay"
        )
    if not value:
        raise ValueError(
            "bias_correction=False is not torch's Adam, which always corrects: use mlx.optimizers.Adam, or "
            "optim.from_mlx(mlx.optimizers.Adam) for parameter groups" + see("adam-without-bias-correction")
        )


class AdamHypers(MomentHypers, Protocol):
    betas: tuple[DecayPair, DecayPair]
    amsgrad: bool
    decoupled_weight_decay: bool
    bias_correction: bool


class AdamSlots(MomentSlots):
    max_exp_avg_sq: mx.array


class Adam(_Moments):
    r"""Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980).

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        p &\leftarrow p - \frac{lr}{1 - \beta_1^t} \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \epsilon}

    Args:
        learning_rate (float or schedule): length of a step, in units of p; >= 0. Default: 1e-3.
        betas (tuple of 2 floats): decay rates of m and v, each in [0, 1). Default: (0.9, 0.999).
        eps (float): added to the root, in units of g; >= 0. Default: 1e-8.
        bias_correction (bool): MLX's argument, at the place where MLX has it; only True is torch's Adam, and False
            raises.
        weight_decay (float): g gains weight_decay * p; when decoupled, p shrinks by lr * weight_decay; >= 0. Default:
            0.
        amsgrad (bool): divide by the largest v so far (Reddi et al. 2018, https://openreview.net/forum?id=ryQu7f-RZ).
        decoupled_weight_decay (bool): decay as AdamW does.
        maximize (bool): ascend instead of descend.

    State: ``exp_avg``, ``exp_avg_sq`` and, with amsgrad, ``max_exp_avg_sq``, in the shape and dtype of the parameter.
    Unlike ``mlx.optimizers.Adam``, the bias is corrected; pass MLX's class to ``optim.from_mlx`` to train without.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = Adam(learning_rate=0.5)
        >>> round(optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item(), 6)
        0.5

    Source: ``torch.optim.Adam``.
    """

    elementwise: ClassVar[bool] = True
    mlx: ClassVar[InMLX | None] = InMLX(
        {"m": "exp_avg", "v": "exp_avg_sq"}, squares=("v",), alone={"max_exp_avg_sq": "amsgrad=False"}
    )
    order: ClassVar[tuple[str, ...]] = ("lr", "betas", "eps", "bias_correction")
    amsgrad: Any = Static(False)
    decoupled_weight_decay: Any = Static(False)
    bias_correction: Any = Static(True, _check_bias_correction)

    @classmethod
    def validate(cls, values: Mapping[str, Any]) -> None:
        super().validate(values)
        kinds = [None if isinstance(b, float) else as_array(b) is not None for b in values["betas"]]
        if kinds not in ([None, None], [True, True]):
            raise ValueError("betas must be either both floats or both Tensors")

    @classmethod
    def slots(cls, h: AdamHypers, p: mx.array) -> dict[str, mx.array]:
        more = {"max_exp_avg_sq": mx.zeros_like(p)} if h.amsgrad else {}
        return super().slots(h, p) | more

    @classmethod
    def tick(cls, h: AdamHypers, clock: dict[str, mx.array]) -> tuple[mx.array, mx.array, mx.array]:
        clock["step"] = t = clock["step"] + 1
        (_, c1), (_, c2) = h.betas
        scale = mx.sqrt(bias_correction(c2, t))
        return h.lr / bias_correction(c1, t) * scale, h.eps * scale, cls._shrink(h)

    @classmethod
    def formula(
        cls, h: AdamHypers, g: mx.array, p: mx.array, s: AdamSlots, k: tuple[mx.array, mx.array, mx.array]
    ) -> mx.array:
        step_size, eps, shrink = k  # both times sqrt(1 - beta2**t), so that no element is divided by it
        p = cls._shrunk(h, p, shrink)
        m, v = _moments(h.betas, g, s)
        if h.amsgrad:
            s["max_exp_avg_sq"] = mx.maximum(s["max_exp_avg_sq"], v)
            v = s["max_exp_avg_sq"]
        return p - step_size * m / (root(h, v) + eps)


class AdamW(Adam):
    """Adam whose weight decay bypasses the moments (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101).

    Arguments, state and errors are those of :class:`Adam`, with weight_decay 1e-2 and decoupled decay as defaults.
    By position weight_decay follows eps, and bias_correction follows weight_decay, as in MLX.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = AdamW(learning_rate=0.5, weight_decay=0.2)
        >>> round(optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item(), 6)
        0.4

    Source: ``torch.optim.AdamW``.
    """

    order: ClassVar[tuple[str, ...]] = ("lr", "betas", "eps", "weight_decay", "bias_correction")
    weight_decay: Any = Hyper(1e-2, nonneg("weight_decay value"))
    decoupled_weight_decay: Any = Static(True)


class AdamaxHypers(MomentHypers, Protocol):
    betas: tuple[DecayPair, DecayPair]


class AdamaxSlots(TypedDict):
    exp_avg: mx.array
    exp_inf: mx.array


class Adamax(_Moments):
    r"""Adamax, Adam by the infinity norm (Kingma & Ba 2015, section 7.1, https://arxiv.org/abs/1412.6980).

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \quad u \leftarrow \max(\beta_2 u, |g| + \epsilon) \\
        p &\leftarrow p - \frac{lr}{1 - \beta_1^t} \frac{m}{u}

    Args:
        learning_rate (float or schedule): length of a step, in units of p; >= 0. Default: 2e-3.
        betas (tuple of 2 floats): decay rates of m and u, each in [0, 1). Default: (0.9, 0.999).
        eps (float): added to \|g\|; >= 0. Default: 1e-8.
        weight_decay (float): g gains weight_decay * p; >= 0. Default: 0.
        maximize (bool): ascend instead of descend.

    State: ``exp_avg`` and ``exp_inf``, in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = Adamax(learning_rate=0.5)
        >>> round(optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item(), 6)
        0.5

    Source: ``torch.optim.Adamax``.
    """

    elementwise: ClassVar[bool] = True
    mlx: ClassVar[InMLX | None] = InMLX({"m": "exp_avg", "v": "exp_inf"}, squares=("v",))
    lr: Any = Hyper(2e-3, nonneg("learning rate"))

    @classmethod
    def slots(cls, h: AdamaxHypers, p: mx.array) -> dict[str, mx.array]:
        return {"exp_avg": mx.zeros_like(p), "exp_inf": mx.zeros_like(p)}

    @classmethod
    def tick(cls, h: AdamaxHypers, clock: dict[str, mx.array]) -> mx.array:
        clock["step"] = t = clock["step"] + 1
        return h.lr / bias_correction(h.betas[0][1], t)

    @classmethod
    def formula(cls, h: AdamaxHypers, g: mx.array, p: mx.array, s: AdamaxSlots, k: mx.array) -> mx.array:
        (_, c1), (b2, _) = h.betas
        s["exp_avg"] = lerp(s["exp_avg"], g, c1)
        s["exp_inf"] = mx.maximum(s["exp_inf"] * b2, mx.abs(g) + h.eps)
        return p - k * s["exp_avg"] / s["exp_inf"]


class NAdamHypers(MomentHypers, Protocol):
    betas: tuple[DecayPair, DecayPair]
    momentum_decay: mx.array
    decoupled_weight_decay: bool


class NAdam(_Moments):
    r"""NAdam, Adam with Nesterov momentum (Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).

    .. math::
        \mu_t &= \beta_1 (1 - \tfrac{1}{2} 0.96^{t \psi}), \quad \Pi_t = \mu_1 \cdots \mu_t \\
        p &\leftarrow p - \frac{lr}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}
            \left(\frac{1 - \mu_t}{1 - \Pi_t} g + \frac{\mu_{t+1}}{1 - \Pi_{t+1}} m\right)

    with m and v as in :class:`Adam`.

    Args:
        learning_rate (float or schedule): length of a step, in units of p; >= 0. Default: 2e-3.
        betas (tuple of 2 floats): decay rates of m and v, each in [0, 1). Default: (0.9, 0.999).
        eps (float): added to the root, in units of g; >= 0. Default: 1e-8.
        weight_decay (float): g gains weight_decay * p; when decoupled, p shrinks by lr * weight_decay; >= 0. Default:
            0.
        momentum_decay (float): :math:`\psi` >= 0. Default: 4e-3.
        decoupled_weight_decay (bool): decay as AdamW does.
        maximize (bool): ascend instead of descend.

    State: ``exp_avg``, ``exp_avg_sq`` in the shape and dtype of the parameter; ``mu_product``, a float32 scalar.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = NAdam(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].shape
        (1,)

    Source: ``torch.optim.NAdam``.
    """

    elementwise: ClassVar[bool] = True
    clock: ClassVar[tuple[str, ...]] = ("step", "mu_product")
    lr: Any = Hyper(2e-3, nonneg("learning rate"))
    momentum_decay: Any = Hyper(4e-3, nonneg("momentum_decay value"))
    decoupled_weight_decay: Any = Static(False)

    @classmethod
    def start(cls, h: NAdamHypers) -> dict[str, mx.array]:
        return {"step": mx.array(0.0), "mu_product": mx.array(1.0)}

    @classmethod
    def tick(cls, h: NAdamHypers, clock: dict[str, mx.array]) -> tuple[mx.array, mx.array, mx.array, mx.array]:
        clock["step"] = t = clock["step"] + 1
        (b1, c1), (_, c2) = h.betas
        half, half_next = (0.5 * mx.exp(math.log(0.96) * (u * h.momentum_decay)) for u in (t, t + 1))
        mu_next = b1 * (1 - half_next)
        clock["mu_product"] = product = clock["mu_product"] * (b1 * (1 - half))
        from_g = h.lr * (c1 + b1 * half) / (1 - product)  # c1 + b1 half is 1 - mu, without the cancellation
        return from_g, h.lr * mu_next / (1 - product * mu_next), bias_correction(c2, t), cls._shrink(h)

    @classmethod
    def formula(
        cls, h: NAdamHypers, g: mx.array, p: mx.array, s: MomentSlots, k: tuple[mx.array, mx.array, mx.array, mx.array]
    ) -> mx.array:
        from_g, from_m, correction, shrink = k
        p = cls._shrunk(h, p, shrink)
        m, v = _moments(h.betas, g, s)
        denominator = root(h, v / correction) + h.eps
        return p - from_g * g / denominator - from_m * m / denominator


class _RectifiedDecays(Each):
    """RAdam's betas, carried with a constant of the length of the approximated average; see :meth:`RAdam.tick`."""

    def carry(self, value: Any) -> Any:
        b2 = as_array(value[1])
        if b2 is not None:
            return super().carry(value)
        c = 1 - value[1]
        rest = 1.0 if value[1] == 0 else 2 / c - 1 + 2 / math.log1p(-c)
        return [*super().carry(value), [mx.array(rest, mx.float32)]]

    def read(self, carried: Any) -> Any:
        (b1, c1), (b2, c2) = super().read(carried[:2])
        rest = carried[2][0] if len(carried) == 3 else c2 / 6 * (1 + c2 / 2)
        return (b1, c1), (b2, c2), rest

    def restore(self, carried: Any, value: Any) -> Any:
        return super().restore(carried[:2], value)


class RAdamHypers(MomentHypers, Protocol):
    betas: tuple[DecayPair, DecayPair, mx.array]  # and the constant of _RectifiedDecays
    decoupled_weight_decay: bool


class RAdam(_Moments):
    r"""RAdam, Adam with the variance of its early steps rectified (Liu et al. 2020, https://arxiv.org/abs/1908.03265).

    .. math::
        \rho_\infty &= \frac{2}{1 - \beta_2} - 1, \quad \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t} \\
        p &\leftarrow p - lr \, \frac{m}{1 - \beta_1^t} \cdot \begin{cases}
            \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}
            \frac{\sqrt{1 - \beta_2^t}}{\sqrt v + \epsilon} & \rho_t > 5 \\ 1 & \text{else} \end{cases}

    with m and v as in :class:`Adam`.

    Args:
        learning_rate (float or schedule): length of a step, in units of p; >= 0. Default: 1e-3.
        betas (tuple of 2 floats): decay rates of m and v, each in [0, 1). Default: (0.9, 0.999).
        eps (float): added to the root, in units of g; >= 0. Default: 1e-8.
        weight_decay (float): g gains weight_decay * p; when decoupled, p shrinks by lr * weight_decay; >= 0. Default:
            0.
        decoupled_weight_decay (bool): decay as AdamW does.
        maximize (bool): ascend instead of descend.

    State: ``exp_avg`` and ``exp_avg_sq``, in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = RAdam(learning_rate=0.5)
        >>> round(optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item(), 6)
        0.0

    Source: ``torch.optim.RAdam``.
    """

    elementwise: ClassVar[bool] = True
    betas: Any = _RectifiedDecays(Decay(None), (0.9, 0.999), each_in_unit("beta parameter"))
    decoupled_weight_decay: Any = Static(False)

    @classmethod
    def tick(cls, h: RAdamHypers, clock: dict[str, mx.array]) -> tuple[mx.array, mx.array, mx.array, mx.array]:
        # The length of the average, rho_t, is a small difference of large numbers (1 = 1999 - 1998 at t = 1).
        # With L = -log(beta2) and x = t L it is rest + t G(x), where rest = 2 / (1 - beta2) - 1 - 2 / L was taken in
        # double and G(x) = 2 / x - 2 / (e^x - 1) = 1 - x / 6 + x^3 / 360 - x^5 / 15120 + ... has no cancellation.
        clock["step"] = t = clock["step"] + 1
        (_, c1), (_, c2), rest = h.betas
        x = -t * mx.log1p(-c2)
        small = 1 - x / 6 * (1 - x * x / 60 * (1 - x * x / 42 * (1 - x * x / 40)))
        rho = rest + t * mx.where(x < 0.5, small, 2 / x - 2 / mx.expm1(x))
        rho_inf = 2 / c2 - 1
        rect = mx.sqrt(mx.maximum((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho), 0))
        adaptive = rect * mx.sqrt(bias_correction(c2, t))
        return h.lr / bias_correction(c1, t), rho > 5, adaptive, cls._shrink(h)

    @classmethod
    def formula(
        cls, h: RAdamHypers, g: mx.array, p: mx.array, s: MomentSlots, k: tuple[mx.array, mx.array, mx.array, mx.array]
    ) -> mx.array:
        step_size, rectified, adaptive, shrink = k
        p = cls._shrunk(h, p, shrink)
        m, v = _moments(h.betas[:2], g, s)
        return p - step_size * m * mx.where(rectified, adaptive / (root(h, v) + h.eps), 1)
