"""Pools: the largest or the mean of windows, and the reverse of the largest; the others are in ``_adaptive_pools``."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._adaptive_pools import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    LPPool1d,
    LPPool2d,
    LPPool3d,
    Pool,
)
from ._words import Sizes, each, said
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPoolNd(Pool):
    __constants__: ClassVar = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        """The function of the same kind in ``functional``; with ``return_indices`` a tuple of maxima and indices."""
        return type(self)._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        """The windows."""
        return said(self, "kernel_size", "stride", "padding", "dilation", "ceil_mode")


class _MaxUnpoolNd(Pool):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = each(kernel_size, self._n)
        self.stride = each(kernel_size if stride is None else stride, self._n)
        self.padding = each(padding, self._n)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """The function of the same kind in ``functional``; ``output_size`` chooses one of the sizes that fit."""
        return type(self)._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        """The windows."""
        return said(self, "kernel_size", "stride", "padding")


class _AvgPoolNd(Pool):
    __constants__: ClassVar = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The function of the same kind in ``functional``."""
        return type(self)._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        """The windows."""
        return said(self, "kernel_size", "stride", "padding")


class MaxPool1d(_MaxPoolNd):
    """The largest element of each window.

    The input has shape (N, C, length), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: how far windows may begin outside of the image, at most half of their size.
        dilation: how far the elements of a window are apart.
        return_indices: whether the places of the largest elements are returned as well, as ``MaxUnpool1d`` takes them.
        ceil_mode: whether a last window that is partly outside counts.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.MaxPool1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.MaxPool1d(2)(torch.ones(1, 2, 6)).shape
    torch.Size([1, 2, 3])
    """

    _n: ClassVar = 1
    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPoolNd):
    """The largest element of each window.

    The input has shape (N, C, height, width), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: how far windows may begin outside of the image, at most half of their size.
        dilation: how far the elements of a window are apart.
        return_indices: whether the places of the largest elements are returned as well, as ``MaxUnpool2d`` takes them.
        ceil_mode: whether a last window that is partly outside counts.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.MaxPool2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.MaxPool2d(2)(torch.ones(1, 2, 6, 6)).shape
    torch.Size([1, 2, 3, 3])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPoolNd):
    """The largest element of each window.

    The input has shape (N, C, depth, height, width), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: how far windows may begin outside of the image, at most half of their size.
        dilation: how far the elements of a window are apart.
        return_indices: whether the places of the largest elements are returned as well, as ``MaxUnpool3d`` takes them.
        ceil_mode: whether a last window that is partly outside counts.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.MaxPool3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.MaxPool3d(2)(torch.ones(1, 2, 6, 6, 6)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.max_pool3d)


class AvgPool1d(Module):
    """The mean of each window.

    The input has shape (N, C, length), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: how far windows may begin outside of the image, at most half of their size.
        ceil_mode: whether a last window that is partly outside counts.
        count_include_pad: whether elements outside count, as zeros.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.AvgPool1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AvgPool1d(2)(torch.ones(1, 2, 6)).shape
    torch.Size([1, 2, 3])
    """

    __constants__: ClassVar = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = each(kernel_size, 1)
        self.stride = each(kernel_size if stride is None else stride, 1)
        self.padding = each(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """``functional.avg_pool1d``."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """The windows."""
        return said(self, "kernel_size", "stride", "padding")


class AvgPool2d(_AvgPoolNd):
    """The mean of each window.

    The input has shape (N, C, height, width), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: how far windows may begin outside of the image, at most half of their size.
        ceil_mode: whether a last window that is partly outside counts.
        count_include_pad: whether elements outside count, as zeros.
        divisor_override: divides the sums in place of the number of elements; not 0.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.AvgPool2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AvgPool2d(2)(torch.ones(1, 2, 6, 6)).shape
    torch.Size([1, 2, 3, 3])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPoolNd):
    """The mean of each window.

    The input has shape (N, C, depth, height, width), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: how far windows may begin outside of the image, at most half of their size.
        ceil_mode: whether a last window that is partly outside counts.
        count_include_pad: whether elements outside count, as zeros.
        divisor_override: divides the sums in place of the number of elements; not 0.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.AvgPool3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AvgPool3d(2)(torch.ones(1, 2, 6, 6, 6)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.avg_pool3d)


class MaxUnpool1d(_MaxUnpoolNd):
    """The elements at the places where ``MaxPool1d`` found them, and zeros elsewhere.

    The input has shape (N, C, length), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: what the pool had.

    Raises:
        RuntimeError: when called with places outside of the image.
        ValueError: when called with an ``output_size`` that can't be.

    Source: ``torch.nn.MaxUnpool1d``.

    >>> import torchish_mlx as torch
    >>> pooled, indices = torch.nn.MaxPool1d(2, return_indices=True)(torch.ones(1, 2, 6))
    >>> torch.nn.MaxUnpool1d(2)(pooled, indices).shape
    torch.Size([1, 2, 6])
    """

    _n: ClassVar = 1
    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpoolNd):
    """The elements at the places where ``MaxPool2d`` found them, and zeros elsewhere.

    The input has shape (N, C, height, width), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: what the pool had.

    Raises:
        RuntimeError: when called with places outside of the image.
        ValueError: when called with an ``output_size`` that can't be.

    Source: ``torch.nn.MaxUnpool2d``.

    >>> import torchish_mlx as torch
    >>> pooled, indices = torch.nn.MaxPool2d(2, return_indices=True)(torch.ones(1, 2, 6, 6))
    >>> torch.nn.MaxUnpool2d(2)(pooled, indices).shape
    torch.Size([1, 2, 6, 6])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpoolNd):
    """The elements at the places where ``MaxPool3d`` found them, and zeros elsewhere.

    The input has shape (N, C, depth, height, width), or without N.

    Args:
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        padding: what the pool had.

    Raises:
        RuntimeError: when called with places outside of the image.
        ValueError: when called with an ``output_size`` that can't be.

    Source: ``torch.nn.MaxUnpool3d``.

    >>> import torchish_mlx as torch
    >>> pooled, indices = torch.nn.MaxPool3d(2, return_indices=True)(torch.ones(1, 2, 6, 6, 6))
    >>> torch.nn.MaxUnpool3d(2)(pooled, indices).shape
    torch.Size([1, 2, 6, 6, 6])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.max_unpool3d)
