"""Windows of images as columns, and back."""

from __future__ import annotations

from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._words import Sizes, said
from .module import Module

__all__ = ["Fold", "Unfold"]


class Fold(Module):
    """Images from columns of windows, whose elements are added where windows overlap.

    The input has shape ``(N, C * elements of a window, windows)``, or without N, the result ``(N, C, *output_size)``.

    Args:
        output_size: the sizes of the images.
        kernel_size: the size of the windows: one number, or one for each axis.
        dilation: how far the elements of a window are apart.
        padding: how far windows begin outside of the image.
        stride: how far windows are apart.

    Raises:
        RuntimeError: when called with another number of windows than there are.

    Source: ``torch.nn.Fold``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Fold((4, 5), 2)(torch.ones(1, 3 * 4, 12)).shape
    torch.Size([1, 3, 4, 5])
    """

    __constants__: ClassVar = ["output_size", "kernel_size", "dilation", "padding", "stride"]

    def __init__(
        self, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """``functional.fold``."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The windows."""
        return said(self, "output_size", "kernel_size", "dilation", "padding", "stride")


class Unfold(Module):
    """Windows of images as columns, which a convolution multiplies with its kernel.

    The input has shape (N, C, height, width), or without N, the result ``(N, C * elements of a window, windows)``.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        dilation: how far the elements of a window are apart.
        padding: how far windows begin outside of the image.
        stride: how far windows are apart.

    Raises:
        RuntimeError: when called with images that no window fits into.

    Source: ``torch.nn.Unfold``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Unfold(2)(torch.ones(1, 3, 4, 5)).shape
    torch.Size([1, 12, 12])
    """

    __constants__: ClassVar = ["kernel_size", "dilation", "padding", "stride"]

    def __init__(self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """``functional.unfold``."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The windows."""
        return said(self, "kernel_size", "dilation", "padding", "stride")
