"""What a scaler does with arrays: find infinite gradients, divide by the scale, move the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import compute
from .._core.sparse import RowSparse
from .._tensor.tensor import Tensor

FP16 = (
    "Attempting to unscale FP16 gradients. A float16 parameter has float16 gradients, which lose what the scaling kept "
    "as soon as they are divided by it. Keep the parameters in float32 and cast them to float16 where the loss "
    "function uses them, or train in bfloat16, which needs no scaling."
)


def gradients_of(optimizer: Any, allow_fp16: bool) -> list[Any]:
    """The gradients of the optimizer's parameters, Tensors or RowSparse, each once.

    Raises:
        TypeError: an optimizer without parameter groups.
        AssertionError: a parameter that is no Tensor.
        ValueError: a float16 gradient, where they are not allowed.
    """
    if not hasattr(optimizer, "param_groups"):
        raise TypeError(
            f"GradScaler takes an optimizer with param_groups, not {type(optimizer).__name__}: "
            "one of torchish_mlx.optim, or optim.from_mlx(cls) of an MLX class"
        )
    found: dict[int, Any] = {}
    for group in optimizer.param_groups:
        for param in group["params"]:
            if not isinstance(param, Tensor):
                raise AssertionError(f"expected param to be torch.Tensor, got {type(param).__name__}")
            if (grad := param.grad) is None:
                continue
            if not allow_fp16 and grad.dtype == mx.float16:
                raise ValueError(FP16)
            found[id(grad)] = grad
    return list(found.values())


def nonfinite(gradients: Sequence[Any]) -> mx.array:
    """1.0 where any number of the gradients is infinite or NaN, else 0.0."""
    finite = [mx.isfinite(_checked(g)).all() for g in gradients]
    return mx.logical_not(mx.stack(finite).all()).astype(mx.float32)


def _checked(gradient: Any) -> mx.array:
    if not isinstance(gradient, RowSparse):
        return gradient.array
    # rows that occur twice are added where they are used, and in float16 it is the sum that overflows
    return gradient.coalesced().values if gradient.dtype == mx.float16 else gradient.values


def unscale(gradients: Sequence[Any], inverse: mx.array) -> None:
    """Multiply each gradient by ``inverse``, in place and in its own dtype."""
    for gradient in gradients:
        if isinstance(gradient, RowSparse):
            gradient.values = compute(mx.multiply, gradient.values, inverse)
        else:
            gradient.array = compute(mx.multiply, gradient.array, inverse)


def moved(
    scale: mx.array, tracker: mx.array, found: mx.array, growth: float, backoff: float, interval: int
) -> tuple[mx.array, mx.array]:
    """The next scale and count of good steps. The products are taken in double, as torch takes them."""
    wide = scale.astype(mx.float64, stream=mx.cpu)
    smaller, larger = (
        mx.multiply(wide, mx.array(factor, mx.float64), stream=mx.cpu).astype(mx.float32, stream=mx.cpu)
        for factor in (backoff, growth)
    )
    bad, count = found != 0, tracker + 1
    due = count == interval
    grown = mx.where(mx.logical_and(due, mx.isfinite(larger)), larger, scale)
    return mx.where(bad, smaller, grown), mx.where(mx.logical_or(bad, due), mx.zeros_like(count), count)
