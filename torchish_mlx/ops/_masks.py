"""Gradients that are zero in places: exactly zero there, whatever the gradient holds."""

from __future__ import annotations

import mlx.core as mx

from .._tensor.modes import mode

LARGE = 4096  # elements; below, the six calls of the other way cost more than they save


def masked(g: mx.array, keep: mx.array) -> mx.array:
    """``g`` where ``keep`` is true, and 0 elsewhere, also where g is infinite or NaN (a product would give NaN there).

    On the CPU ``mx.where`` takes twenty times as long as a sum (mlx 0.32.4: 550 us and 26 us for 131,072 elements), and
    the bits of a float and of a mask five times as long. MLX has no derivative of ``view``.
    """
    if g.size < LARGE or g.dtype != mx.float32 or mode.deriving or mx.default_device() != mx.Device(mx.cpu):
        return mx.where(keep, g, 0)
    bits = mx.negative(keep.astype(mx.int32))
    return mx.view(mx.bitwise_and(mx.view(g, mx.int32), bits), mx.float32)
