"""Pools of norms, and pools with as many windows as the result has elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._words import Sizes, said
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
]


class Pool(Module):
    #: How many axes an image has, and the function of ``functional``: the classes say both.
    _n: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]


class _LPPoolNd(Pool):
    __constants__: ClassVar = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """The function of the same kind in ``functional``."""
        return type(self)._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """The norm and the windows."""
        return said(self, "norm_type", "kernel_size", "stride", "ceil_mode")


class _AdaptiveMaxPoolNd(Pool):
    __constants__: ClassVar = ["output_size", "return_indices"]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        """The function of the same kind in ``functional``; with ``return_indices`` a tuple of maxima and indices."""
        return type(self)._function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        """The sizes of the result."""
        return said(self, "output_size")


class _AdaptiveAvgPoolNd(Pool):
    __constants__: ClassVar = ["output_size"]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The function of the same kind in ``functional``."""
        return type(self)._function(input, self.output_size)

    def extra_repr(self) -> str:
        """The sizes of the result."""
        return said(self, "output_size")


class LPPool1d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    The input has shape (N, C, length), or without N.

    Args:
        norm_type: p, not 0.
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        ceil_mode: whether a last window that is partly outside counts.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.LPPool1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LPPool1d(2, 2)(torch.ones(1, 2, 6)).shape
    torch.Size([1, 2, 3])
    """

    _n: ClassVar = 1
    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    The input has shape (N, C, height, width), or without N.

    Args:
        norm_type: p, not 0.
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        ceil_mode: whether a last window that is partly outside counts.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.LPPool2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LPPool2d(2, 2)(torch.ones(1, 2, 6, 6)).shape
    torch.Size([1, 2, 3, 3])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    The input has shape (N, C, depth, height, width), or without N.

    Args:
        norm_type: p, not 0.
        kernel_size: the size of the windows: one number, or one for each axis.
        stride: how far windows are apart; None for their size.
        ceil_mode: whether a last window that is partly outside counts.

    Raises:
        RuntimeError: when called with images that no window fits into, or with another number of dimensions.

    Source: ``torch.nn.LPPool3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LPPool3d(2, 2)(torch.ones(1, 2, 6, 6, 6)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.lp_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The largest element of each of as many windows as the result has elements.

    The input has shape (N, C, length), or without N.

    Args:
        output_size: the sizes of the result: one number.
        return_indices: whether the places of the largest elements are returned as well.

    Raises:
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.AdaptiveMaxPool1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AdaptiveMaxPool1d(2)(torch.ones(1, 2, 5)).shape
    torch.Size([1, 2, 2])
    """

    _n: ClassVar = 1
    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The largest element of each of as many windows as the result has elements.

    The input has shape (N, C, height, width), or without N.

    Args:
        output_size: the sizes of the result: one number, or one for each axis; None for the size of the image.
        return_indices: whether the places of the largest elements are returned as well.

    Raises:
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.AdaptiveMaxPool2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AdaptiveMaxPool2d(2)(torch.ones(1, 2, 5, 5)).shape
    torch.Size([1, 2, 2, 2])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The largest element of each of as many windows as the result has elements.

    The input has shape (N, C, depth, height, width), or without N.

    Args:
        output_size: the sizes of the result: one number, or one for each axis; None for the size of the image.
        return_indices: whether the places of the largest elements are returned as well.

    Raises:
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.AdaptiveMaxPool3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AdaptiveMaxPool3d(2)(torch.ones(1, 2, 5, 5, 5)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.adaptive_max_pool3d)


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """The mean of each of as many windows as the result has elements.

    The input has shape (N, C, length), or without N.

    Args:
        output_size: the sizes of the result: one number.

    Raises:
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.AdaptiveAvgPool1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AdaptiveAvgPool1d(2)(torch.ones(1, 2, 5)).shape
    torch.Size([1, 2, 2])
    """

    _n: ClassVar = 1
    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """The mean of each of as many windows as the result has elements.

    The input has shape (N, C, height, width), or without N.

    Args:
        output_size: the sizes of the result: one number, or one for each axis; None for the size of the image.

    Raises:
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.AdaptiveAvgPool2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AdaptiveAvgPool2d(2)(torch.ones(1, 2, 5, 5)).shape
    torch.Size([1, 2, 2, 2])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """The mean of each of as many windows as the result has elements.

    The input has shape (N, C, depth, height, width), or without N.

    Args:
        output_size: the sizes of the result: one number, or one for each axis; None for the size of the image.

    Raises:
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.AdaptiveAvgPool3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.AdaptiveAvgPool3d(2)(torch.ones(1, 2, 5, 5, 5)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.adaptive_avg_pool3d)
