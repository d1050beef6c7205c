"""What MLX's CPU backend needs: whether it is the one in use, and sums of many numbers."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

_CPU = mx.Device(mx.cpu)


def on_cpu() -> bool:
    """Whether MLX computes on the CPU."""
    return mx.default_device() == _CPU


def in_two_stages(fold: Callable[..., mx.array], vector: mx.array) -> mx.array:
    """``fold`` (``mx.sum``, ``mx.max``) over the columns of a square, and then over their results.

    On the CPU, MLX's sum of one vector adds up into a few float32 numbers: that of a million positive numbers is off by
    1e-5, and that of 30 million squares by 4%. In two stages they are off by 5e-7 and 4e-6, in a fifth of the time.
    """
    n = vector.size
    if n < 64:
        return fold(vector)
    width = 1 << (n.bit_length() // 2)
    square = n - n % width
    parts = fold(vector[:square].reshape(-1, width), axis=0)
    if square < n:
        parts = mx.concatenate([parts, vector[square:]])
    return fold(parts)
