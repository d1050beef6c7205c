"""Adam for gradients of rows. Numerics of torch 2.13's ``torch/optim/sparse_adam.py`` and ``_functional.py``."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypedDict

import mlx.core as mx

from .._core.sparse import RowSparse
from ._hyper import Decay, DecayPair, Each, Hyper, Hypers, each_in_unit, positive
from ._rule import Rule, bias_correction, lerp

__all__ = ["SparseAdam"]


class SparseAdamHypers(Hypers, Protocol):
    betas: tuple[DecayPair, DecayPair]
    eps: mx.array


class SparseAdamSlots(TypedDict):
    exp_avg: mx.array
    exp_avg_sq: mx.array


class SparseAdam(Rule):
    r"""Lazy Adam: moments and parameters change in the rows that the gradient has, and stay in all others.

    .. math::
        m_i &\leftarrow m_i + (1 - \beta_1) (g_i - m_i), \quad v_i \leftarrow v_i + (1 - \beta_2) (g_i^2 - v_i) \\
        p_i &\leftarrow p_i - lr \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_i}{\sqrt{v_i} + \epsilon}

    Gradients are :class:`RowSparse` (MLX has no sparse arrays); t counts the steps of the parameter, not those of a
    row.

    Args:
        learning_rate (float or schedule): length of a step, in units of p; > 0. Default: 1e-3.
        betas (tuple of 2 floats): decay rates of m and v, each in [0, 1). Default: (0.9, 0.999).
        eps (float): added to the root; > 0. Default: 1e-8.
        maximize (bool): ascend instead of descend.

    State: ``exp_avg`` and ``exp_avg_sq``, in the shape and dtype of the parameter.

    Raises:
        ValueError: an argument out of its range, in torch's words.
        RuntimeError: a gradient that is a plain array.

    Example:
        >>> import mlx.core as mx
        >>> g = RowSparse(mx.array([1]), mx.ones((1, 2)), (3, 2))
        >>> new = SparseAdam(learning_rate=0.5).apply_gradients({"w": g}, {"w": mx.ones((3, 2))})
        >>> [[round(x, 5) for x in row] for row in new["w"].tolist()]
        [[1.0, 1.0], [0.5, 0.5], [1.0, 1.0]]

    Source: ``torch.optim.SparseAdam``.
    """

    sparse: ClassVar[bool] = True
    integer_step: ClassVar[bool] = True
    lr: Any = Hyper(1e-3, positive("learning rate"))
    betas: Any = Each(Decay(None), (0.9, 0.999), each_in_unit("beta parameter"))
    eps: Any = Hyper(1e-8, positive("epsilon value"))

    @classmethod
    def slots(cls, h: SparseAdamHypers, p: mx.array) -> dict[str, mx.array]:
        return {"exp_avg": mx.zeros_like(p), "exp_avg_sq": mx.zeros_like(p)}

    @classmethod
    def tick(cls, h: SparseAdamHypers, clock: dict[str, mx.array]) -> mx.array:
        clock["step"] = t = clock["step"] + 1
        (_, c1), (_, c2) = h.betas
        return h.lr * mx.sqrt(bias_correction(c2, t)) / bias_correction(c1, t)

    @classmethod
    def formula(cls, h: SparseAdamHypers, g: RowSparse, p: mx.array, s: SparseAdamSlots, k: mx.array) -> mx.array:
        if g.indices.size == 0:
            return p
        (_, c1), (_, c2) = h.betas
        g = g.coalesced()
        i, table = g.indices, (p.shape or (1,))

        def rows(a: mx.array) -> mx.array:
            return a.reshape(table)[i]

        def put(a: mx.array, new: mx.array) -> mx.array:  # an index that occurs twice has the same row twice
            where = mx.broadcast_to(i.reshape(-1, *[1] * (len(table) - 1)), new.shape)
            return mx.put_along_axis(a.reshape(table), where, new, axis=0).reshape(a.shape)

        m, v = lerp(rows(s["exp_avg"]), g.values, c1), lerp(rows(s["exp_avg_sq"]), g.values * g.values, c2)
        s["exp_avg"], s["exp_avg_sq"] = put(s["exp_avg"], m), put(s["exp_avg_sq"], v)
        return put(p, rows(p) - k * rows(s["exp_avg"]) / (mx.sqrt(rows(s["exp_avg_sq"])) + h.eps))
