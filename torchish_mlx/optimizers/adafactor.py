"""Adafactor as torch has it. Numerics of torch 2.13's ``torch/optim/_adafactor.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx

from ._hyper import Hyper, Hypers, as_number, at_least_zero, refuse_several, same, shortest
from ._kernels import computed_once, cut, root
from ._mlx_state import InMLX
from ._rule import Rule, lerp

__all__ = ["Adafactor"]


class _Epsilons(Hyper):
    """(eps1, eps2), where eps1 may be None: then the state has no array of it."""

    def refuse(self, value: Any, error: type[Exception] = TypeError) -> None:
        refuse_several(self, value, error)

    def carry(self, value: Any) -> Any:
        return [super(_Epsilons, self).carry(v) for v in value if v is not None]

    def read(self, carried: Any) -> Any:
        eps = [super(_Epsilons, self).read(c) for c in carried]
        return (eps[0] if len(eps) == 2 else None), eps[-1]

    def restore(self, carried: Any, value: Any) -> Any:
        if same(self.carry(value), carried):
            return value
        return (shortest(carried[0]) if len(carried) == 2 else None), shortest(carried[-1])


def _check_eps(name: str, value: Any) -> None:
    for i, eps in enumerate(value):
        if eps is not None or i == 1:
            at_least_zero(f"epsilon{i + 1}")(f"{name}[{i}]", eps)


def _check_beta2_decay(name: str, value: Any) -> None:
    if not 0.0 >= as_number(name, value):
        raise ValueError(f"beta2_decay should be <= 0 but is: {value}")


def _check_d(name: str, value: Any) -> None:
    if not 1.0 <= as_number(name, value):
        raise ValueError(f"Clipping threshold d should be >= 1 but is: {value}")


def _rms(h: Hypers, x: mx.array) -> mx.array:
    """The root of the mean square. (MLX sums the dimensions of a flat array in one order, also within a stack.)"""
    squares = x * x if x.ndim < 2 else mx.flatten(x * x)
    return mx.sqrt(computed_once(h, mx.sum(squares) / x.size)) if x.size else mx.array(0.0)


class AdafactorHypers(Hypers, Protocol):
    beta2_decay: mx.array
    eps: tuple[mx.array | None, mx.array]
    d: mx.array
    weight_decay: mx.array


class AdafactorSlots(TypedDict):
    variance: mx.array  # of a vector
    row_var: mx.array  # of a matrix, and the next one
    col_var: mx.array


class Adafactor(Rule):
    r"""Adafactor (Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235), in the variant that torch has.

    With :math:`w_t = t^{\tau}` and :math:`\tau` = beta2_decay, a matrix keeps a column R of row means and a row C of
    column means:

    .. math::
        R &\leftarrow R + w_t (\overline{g^2}_{row} - R), \quad C \leftarrow C + w_t (\overline{g^2}_{col} - C), \quad
        v = \frac{R C}{\max(\overline R, \epsilon_1)} \\
        u &= g / \sqrt{\max(v, \epsilon_1^2)}, \quad
        p \leftarrow p (1 - lr \lambda) - \frac{\max(\epsilon_2, \mathrm{RMS}(p)) \min(lr, 1 / \sqrt t)}
            {\max(1, \mathrm{RMS}(u) / d)} u

    A vector keeps v itself.

    Args:
        learning_rate (float or schedule): upper limit of the relative step; >= 0. Default: 1e-2.
        beta2_decay (float): :math:`\tau` <= 0. Default: -0.8.
        eps (tuple): :math:`\epsilon_1` (None: the machine epsilon of the parameter's dtype) and :math:`\epsilon_2`,
            >= 0.
            Default: (None, 1e-3).
        d (float): clipping threshold of RMS(u); >= 1. Default: 1.0.
        weight_decay (float): :math:`\lambda` >= 0. Default: 0.
        maximize (bool): ascend instead of descend.

    State: ``row_var`` of shape (..., n, 1) and ``col_var`` of shape (..., 1, m), or ``variance`` for fewer than 2
    dimensions. An empty parameter is left as it is (torch divides by zero).

    Raises:
        ValueError: an argument out of its range, in torch's words.

    Example:
        >>> import mlx.core as mx
        >>> optimizer = Adafactor(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([1.0])})["w"].item()
        0.5

    Source: ``torch.optim.Adafactor``. MLX's own, with relative steps and a first moment: ``optim.from_mlx``.
    """

    traceable: ClassVar[bool] = True
    stackable: ClassVar[bool] = True
    mlx: ClassVar[InMLX | None] = InMLX(
        {"exp_avg_sq": "variance", "exp_avg_sq_row": "row_var", "exp_avg_sq_col": "col_var"},
        squares=("exp_avg_sq", "exp_avg_sq_row", "exp_avg_sq_col"),
        axes={"row_var": -1, "col_var": -2},
        rate=False,
    )
    lr: Any = Hyper(1e-2, at_least_zero("Learning rate"))
    beta2_decay: Any = Hyper(-0.8, _check_beta2_decay)
    eps: Any = _Epsilons((None, 1e-3), _check_eps)
    d: Any = Hyper(1.0, _check_d)
    weight_decay: Any = Hyper(0.0, at_least_zero("weight_decay"))

    @classmethod
    def choices(cls, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return (*super().choices(values), values["eps"][0] is None)

    @classmethod
    def coupled(cls, h: AdafactorHypers) -> bool:
        return False

    @classmethod
    def slots(cls, h: AdafactorHypers, p: mx.array) -> dict[str, mx.array]:
        if p.ndim < 2:
            return {"variance": mx.zeros_like(p)}
        *batch, rows, columns = p.shape
        return {
            "row_var": mx.zeros((*batch, rows, 1), p.dtype),
            "col_var": mx.zeros((*batch, 1, columns), p.dtype),
        }

    @classmethod
    def tick(cls, h: AdafactorHypers, clock: dict[str, mx.array]) -> tuple[mx.array, mx.array, mx.array]:
        clock["step"] = t = clock["step"] + 1
        return t**h.beta2_decay, mx.minimum(h.lr, mx.rsqrt(t)), 1 - h.lr * h.weight_decay

    @classmethod
    def apply(cls, h: AdafactorHypers, g: Any, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        eps1 = h.eps[0] if h.eps[0] is not None else mx.finfo(p.dtype).eps
        return super().apply(h, g, p, s, (*k, eps1))

    @classmethod
    def formula(
        cls,
        h: AdafactorHypers,
        g: mx.array,
        p: mx.array,
        s: AdafactorSlots,
        k: tuple[mx.array, mx.array, mx.array, Any],
    ) -> mx.array:
        weight, relative, shrink, eps1 = k
        length = mx.maximum(h.eps[1], _rms(h, p)) * relative
        p = p * shrink
        if p.ndim < 2:
            s["variance"] = lerp(s["variance"], g * g, weight)
            v = s["variance"]
        else:
            s["row_var"] = lerp(s["row_var"], computed_once(h, mx.mean(g * g, axis=-1, keepdims=True)), weight)
            s["col_var"] = lerp(s["col_var"], computed_once(h, mx.mean(g * g, axis=-2, keepdims=True)), weight)
            r, c = s["row_var"], s["col_var"]
            v = cut(h, r * c) / computed_once(h, mx.maximum(mx.mean(r, axis=-2, keepdims=True), eps1))
        u = cut(h, g / root(h, mx.maximum(v, eps1 * eps1)))
        return p - computed_once(h, length / mx.maximum(1, _rms(h, u) / h.d)) * u
