"""Channels as pixels, and pixels as channels."""

from __future__ import annotations

from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._words import said
from .module import Module

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    """Squares of r x r pixels from r^2 channels: shape (*, C r^2, H, W) becomes (*, C, H r, W r).

    Args:
        upscale_factor: r.

    Raises:
        RuntimeError: when called with channels that are no multiple of r^2.

    Source: ``torch.nn.PixelShuffle``.

    >>> import torchish_mlx as torch
    >>> torch.nn.PixelShuffle(2)(torch.ones(1, 8, 3, 3)).shape
    torch.Size([1, 2, 6, 6])
    """

    __constants__: ClassVar = ["upscale_factor"]

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """``functional.pixel_shuffle``."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The option."""
        return said(self, "upscale_factor")


class PixelUnshuffle(Module):
    """The reverse of ``PixelShuffle``: shape (*, C, H r, W r) becomes (*, C r^2, H, W).

    Args:
        downscale_factor: r.

    Raises:
        RuntimeError: when called with sizes that are no multiples of r.

    Source: ``torch.nn.PixelUnshuffle``.

    >>> import torchish_mlx as torch
    >>> torch.nn.PixelUnshuffle(2)(torch.ones(1, 2, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    """

    __constants__: ClassVar = ["downscale_factor"]

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """``functional.pixel_unshuffle``."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The option."""
        return said(self, "downscale_factor")
