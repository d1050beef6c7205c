"""Muon as torch has it. Numerics of torch 2.13's ``torch/optim/_muon.py``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx

from ._hyper import Decay, DecayPair, Hyper, Hypers, Static, at_least_zero
from ._mlx_state import InMLX
from ._rule import Rule, lerp

__all__ = ["Muon"]


def _check_adjust(_: str, value: Any) -> None:
    if value not in (None, "original", "match_rms_adamw"):
        raise ValueError(f"Adjust learning rate function {value} is not supported")


def orthogonalized(x: mx.array, coefficients: Sequence[float], steps: int, eps: float) -> mx.array:
    """Newton-Schulz iteration towards the nearest orthogonal matrix of ``x`` (2-d), in bfloat16 as torch runs it."""
    a, b, c = coefficients
    x = x.astype(mx.bfloat16)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    norm = mx.sqrt(mx.sum(mx.square(x.astype(mx.float32)))).astype(mx.bfloat16)
    x = x / mx.maximum(norm, mx.array(eps, mx.bfloat16))
    for _ in range(steps):
        gram = x @ x.T
        x = mx.addmm(x, mx.addmm(gram, gram, gram, alpha=c, beta=b), x, alpha=1.0, beta=a)
    return x.T if tall else x


class MuonHypers(Hypers, Protocol):
    momentum: DecayPair
    weight_decay: mx.array
    nesterov: bool
    ns_steps: int
    ns_coefficients: tuple[float, float, float]
    eps: float
    adjust_lr_fn: str | None


class MuonSlots(TypedDict):
    momentum_buffer: mx.array


class Muon(Rule):
    r"""Muon: momentum, orthogonalized, for matrices (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

    .. math::
        b &\leftarrow \mu b + (1 - \mu) g, \quad u = \mathrm{NS}(\text{nesterov: } \mu b + (1 - \mu) g \text{, else }
        b) \\ p &\leftarrow p (1 - lr \, \lambda) - lr \, r(p) \, u

    NS runs ``ns_steps`` Newton-Schulz steps x <- a x + (b G + c G G) x with G = x x^T, in bfloat16; r(p) is, for a
    matrix of A rows and B columns, sqrt(max(1, A / B)), or 0.2 sqrt(max(A, B)) with ``adjust_lr_fn="match_rms_adamw"``.

    Args:
        learning_rate (float or schedule): length of a step, in units of p; >= 0. Default: 1e-3.
        momentum (float): :math:`\mu` >= 0. Default: 0.95.
        weight_decay (float): :math:`\lambda` >= 0. Default: 0.1.
        nesterov (bool): default True.
        ns_steps (int): < 100. Default: 5.
        ns_coefficients (tuple of 3 floats): a, b, c. Default: (3.4445, -4.775, 2.0315).
        eps (float): lower limit of the norm by which NS begins. Default: 1e-7.
        adjust_lr_fn (str): None or "original", or "match_rms_adamw".

    State: ``momentum_buffer``, in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, or a parameter that is not a matrix, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = Muon(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.ones((2, 3))}, {"w": mx.ones((2, 3))})["w"].shape
        (2, 3)

    Source: ``torch.optim.Muon``.
    """

    counted: ClassVar[bool] = False
    traceable: ClassVar[bool] = True
    stackable: ClassVar[bool] = True
    mlx: ClassVar[InMLX | None] = InMLX({"v": "momentum_buffer"})
    lr: Any = Hyper(1e-3, at_least_zero("Learning rate"))
    momentum: Any = Decay(0.95, at_least_zero("momentum"))
    weight_decay: Any = Hyper(0.1, at_least_zero("weight decay"))
    nesterov: Any = Static(True)
    ns_steps: Any = Static(5)
    ns_coefficients: Any = Static((3.4445, -4.775, 2.0315))
    eps: Any = Static(1e-7)
    adjust_lr_fn: Any = Static(None, _check_adjust)

    @classmethod
    def coupled(cls, h: MuonHypers) -> bool:
        return False

    @classmethod
    def slots(cls, h: MuonHypers, p: mx.array) -> dict[str, mx.array]:
        return {"momentum_buffer": mx.zeros_like(p)}

    @classmethod
    def check_parameter(cls, p: mx.array) -> None:
        if p.ndim != 2:
            raise ValueError(
                f"Muon only supports 2D parameters whereas we found a parameter with size: {list(p.shape)}"
            )

    @classmethod
    def _ratio(cls, h: MuonHypers, shape: Sequence[int]) -> float:
        rows, columns = shape
        return (
            0.2 * math.sqrt(max(rows, columns))
            if h.adjust_lr_fn == "match_rms_adamw"
            else math.sqrt(max(1, rows / max(1, columns)))
        )

    @classmethod
    def formula(cls, h: MuonHypers, g: mx.array, p: mx.array, s: MuonSlots, k: Any) -> mx.array:
        _, c = h.momentum
        s["momentum_buffer"] = lerp(s["momentum_buffer"], g, c)
        b = s["momentum_buffer"]
        u = orthogonalized(lerp(b, g, c) if h.nesterov else b, h.ns_coefficients, h.ns_steps, h.eps)
        return p * (1 - h.lr * h.weight_decay) - h.lr * cls._ratio(h, p.shape) * u.astype(p.dtype)
