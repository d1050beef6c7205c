"""Clipping of gradients: norms of every order and dtype, and what is made of the gradients.

Norms here are float32 whatever the gradients' dtype; torch's have the gradients' dtype. So a norm is compared with
torch's norm of the same values in float64, and clipped gradients with what torch makes of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from torch.nn import utils

import torchish_mlx

from .sides import Differs, to_array, values

INF = math.inf
ORDERS = [0, 0.5, 1, 2, 3, INF, -INF, -1, -2.5]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
SHAPES = [(), (0,), (7,), (3, 5), (2, 3, 2, 4)]
#: Relative, of norms against torch in float64. Measured over the tests: 1.4e-7, and 3.9e-7 for order 1/2.
NORM = {0.5: 1e-6}
#: Of a clipped gradient, relative to its largest element. Measured: 4.6e-7 in float32; 1.02 and 1.4 places in float16
#: and bfloat16, where torch rounds the norm and the factor as well.
CLIPPED = {torch.float32: 1e-6, torch.float16: 2 * 2.0**-10, torch.bfloat16: 2 * 2.0**-7}


def tensors(shapes: Sequence[tuple[int, ...]], dtype: Any, scale: float = 1.0, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [torch.tensor(scale * rng.standard_normal(shape), dtype=dtype) for shape in shapes]


def exact(grads: Sequence[Any], order: float) -> float:
    """torch's norm of the same values in float64."""
    return float(utils.get_total_norm([g.double() for g in grads], order).item())


def same_norm(mine: Any, expected: float, order: float) -> None:
    """A float32 scalar that needs no gradient, and ``expected`` within the limit."""
    if not isinstance(mine, torchish_mlx.Tensor):
        raise Differs(f"the norm is a {type(mine).__name__}")
    if (mine.array.dtype, mine.shape, mine.requires_grad) != (mx.float32, (), False):
        raise Differs(f"the norm is {mine!r}, not a float32 scalar")
    found = mine.item()
    equal = found == expected or (math.isnan(found) and math.isnan(expected))
    if not equal and not abs(found - expected) <= max(NORM.get(order, 5e-7) * abs(expected), 1e-12):
        raise Differs(f"norm of order {order}: {found}, torch in float64: {expected}")


def same_gradients(mine: Sequence[Any], others: Sequence[Any]) -> None:
    """Parameters of both sides whose gradients have the same dtypes and shapes, and values within the limit."""
    for i, (p, q) in enumerate(zip(mine, others, strict=True)):
        if (p.grad is None) != (q.grad is None):
            raise Differs(f"gradient {i}: {p.grad}, torch: {q.grad}")
        if q.grad is None:
            continue
        a, b = values(p.grad), values(q.grad)
        if p.grad.dtype != to_array(q.grad).dtype or a.shape != b.shape:
            raise Differs(f"gradient {i}: {p.grad.dtype} {a.shape}, torch: {q.grad.dtype} {b.shape}")
        size = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        least = {torch.float16: 2.0**-24}.get(q.dtype, 0.0)  # the smallest float16
        np.testing.assert_allclose(a, b, rtol=0, atol=CLIPPED[q.dtype] * size + least, err_msg=f"gradient {i}")
