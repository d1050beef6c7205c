"""Torch's names of errors."""

from __future__ import annotations


class OutOfMemoryError(RuntimeError):
    """Torch's error where a GPU has no memory left. MLX raises a RuntimeError of its own there.

    Source: ``torch.OutOfMemoryError``.
    """


class AcceleratorError(RuntimeError):
    """Torch's error of a GPU's. MLX raises a RuntimeError of its own there.

    Source: ``torch.AcceleratorError``.
    """


OutOfMemoryError.__module__ = AcceleratorError.__module__ = "torchish_mlx"
