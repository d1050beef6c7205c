"""Convolutions and transposed convolutions."""

from __future__ import annotations

from typing import ClassVar

from .. import functional as F
from ._convolution import _Convolution, _LazyConvolution, _LazyTransposed, _Transposed

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]


class Conv1d(_Convolution):
    """Convolutions of signals

    The input has shape (N, in_channels, length), or without N; the result (N, out_channels, ...), and each size of
    it is floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1). ``weight`` has shape
    ``(out_channels, in_channels / groups, *kernel_size)``. It and ``bias`` begin uniformly in +-1 / sqrt(fan_in), where
    fan_in is in_channels / groups times the size of the kernel.

    Args:
        in_channels, out_channels: how many channels there are before and after; multiples of ``groups``.
        kernel_size, stride, padding, dilation: one number for all axes, or one for each. ``padding`` may be ``"valid"``
            or, with a stride of 1, ``"same"``.
        groups: how many groups of channels are convolved by themselves; at least 1.
        bias: whether a number is added to each channel.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: another word, or channels that can't be divided into the groups.
        RuntimeError: when called with other channels, or signals that are smaller than the kernel.

    Source: ``torch.nn.Conv1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Conv1d(3, 8, 3, padding=1)
    >>> layer
    Conv1d(3, 8, kernel_size=(3,), stride=(1,), padding=(1,))
    >>> layer(torch.ones(2, 3, 5)).shape
    torch.Size([2, 8, 5])
    """

    _n: ClassVar = 1
    _function = staticmethod(F.conv1d)


class Conv2d(_Convolution):
    """Convolutions of images (cross-correlations, as everywhere in deep learning) with one kernel for each channel.

    The input has shape (N, in_channels, height, width), or without N; the result (N, out_channels, ...), and each size
    of it is floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1). ``weight`` has shape
    ``(out_channels, in_channels / groups, *kernel_size)``. It and ``bias`` begin uniformly in +-1 / sqrt(fan_in), where
    fan_in is in_channels / groups times the size of the kernel.

    Args:
        in_channels, out_channels: how many channels there are before and after; multiples of ``groups``.
        kernel_size, stride, padding, dilation: one number for all axes, or one for each. ``padding`` may be ``"valid"``
            or, with a stride of 1, ``"same"``.
        groups: how many groups of channels are convolved by themselves; at least 1.
        bias: whether a number is added to each channel.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: another word, or channels that can't be divided into the groups.
        RuntimeError: when called with other channels, or images that are smaller than the kernel.

    Source: ``torch.nn.Conv2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Conv2d(3, 8, 3, padding=1)
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    >>> layer(torch.ones(2, 3, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.conv2d)


class Conv3d(_Convolution):
    """Convolutions of volumes (cross-correlations, as everywhere in deep learning) with one kernel for each channel.

    The input has shape (N, in_channels, depth, height, width), or without N; the result (N, out_channels, ...), and
    each size of it is floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1). ``weight`` has shape
    ``(out_channels, in_channels / groups, *kernel_size)``. It and ``bias`` begin uniformly in +-1 / sqrt(fan_in), where
    fan_in is in_channels / groups times the size of the kernel.

    Args:
        in_channels, out_channels: how many channels there are before and after; multiples of ``groups``.
        kernel_size, stride, padding, dilation: one number for all axes, or one for each. ``padding`` may be ``"valid"``
            or, with a stride of 1, ``"same"``.
        groups: how many groups of channels are convolved by themselves; at least 1.
        bias: whether a number is added to each channel.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: another word, or channels that can't be divided into the groups.
        RuntimeError: when called with other channels, or volumes that are smaller than the kernel.

    Source: ``torch.nn.Conv3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Conv3d(3, 8, 3, padding=1)
    >>> layer
    Conv3d(3, 8, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1))
    >>> layer(torch.ones(2, 3, 5, 5, 5)).shape
    torch.Size([2, 8, 5, 5, 5])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.conv3d)


class ConvTranspose1d(_Transposed):
    """Transposed convolutions of signals: the maps that ``Conv1d`` has as its derivatives.

    The input has shape (N, in_channels, length), or without N; the result (N, out_channels, ...), and each size of
    it is (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1. ``weight`` has shape
    ``(in_channels, out_channels / groups, *kernel_size)``; it and ``bias`` begin uniformly in +-1 / sqrt(fan_in), where
    fan_in is out_channels / groups times the size of the kernel.

    Args:
        in_channels, out_channels: how many channels there are before and after; multiples of ``groups``.
        kernel_size, stride, padding, dilation: one number for all axes, or one for each.
        output_padding: what is added to the sizes of the result, because a convolution with a stride has the same
            result for several sizes; less than ``stride`` or ``dilation``.
        groups: how many groups of channels are convolved by themselves; at least 1.
        bias: whether a number is added to each channel.
        padding_mode: ``"zeros"``.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: another padding mode, channels that can't be divided into the groups, or, when called, an
            ``output_size`` that can't be.
        RuntimeError: when called with other channels.

    Source: ``torch.nn.ConvTranspose1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.ConvTranspose1d(4, 2, 3, stride=2)
    >>> layer(torch.ones(1, 4, 5)).shape
    torch.Size([1, 2, 11])
    >>> layer(torch.ones(1, 4, 5), output_size=[12]).shape
    torch.Size([1, 2, 12])
    """

    _n: ClassVar = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """Transposed convolutions of images: the maps that ``Conv2d`` has as its derivatives.

    The input has shape (N, in_channels, height, width), or without N; the result (N, out_channels, ...), and each size
    of it is (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1. ``weight`` has shape
    ``(in_channels, out_channels / groups, *kernel_size)``; it and ``bias`` begin uniformly in +-1 / sqrt(fan_in), where
    fan_in is out_channels / groups times the size of the kernel.

    Args:
        in_channels, out_channels: how many channels there are before and after; multiples of ``groups``.
        kernel_size, stride, padding, dilation: one number for all axes, or one for each.
        output_padding: what is added to the sizes of the result, because a convolution with a stride has the same
            result for several sizes; less than ``stride`` or ``dilation``.
        groups: how many groups of channels are convolved by themselves; at least 1.
        bias: whether a number is added to each channel.
        padding_mode: ``"zeros"``.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: another padding mode, channels that can't be divided into the groups, or, when called, an
            ``output_size`` that can't be.
        RuntimeError: when called with other channels.

    Source: ``torch.nn.ConvTranspose2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.ConvTranspose2d(4, 2, 3, stride=2)
    >>> layer(torch.ones(1, 4, 5, 5)).shape
    torch.Size([1, 2, 11, 11])
    >>> layer(torch.ones(1, 4, 5, 5), output_size=[12, 12]).shape
    torch.Size([1, 2, 12, 12])
    """

    _n: ClassVar = 2
    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """Transposed convolutions of volumes: the maps that ``Conv3d`` has as its derivatives.

    The input has shape (N, in_channels, depth, height, width), or without N; the result (N, out_channels, ...), and
    each size of it is (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1. ``weight`` has
    shape ``(in_channels, out_channels / groups, *kernel_size)``; it and ``bias`` begin uniformly in +-1 / sqrt(fan_in),
    where fan_in is out_channels / groups times the size of the kernel.

    Args:
        in_channels, out_channels: how many channels there are before and after; multiples of ``groups``.
        kernel_size, stride, padding, dilation: one number for all axes, or one for each.
        output_padding: what is added to the sizes of the result, because a convolution with a stride has the same
            result for several sizes; less than ``stride`` or ``dilation``.
        groups: how many groups of channels are convolved by themselves; at least 1.
        bias: whether a number is added to each channel.
        padding_mode: ``"zeros"``.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: another padding mode, channels that can't be divided into the groups, or, when called, an
            ``output_size`` that can't be.
        RuntimeError: when called with other channels.

    Source: ``torch.nn.ConvTranspose3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.ConvTranspose3d(4, 2, 3, stride=2)
    >>> layer(torch.ones(1, 4, 5, 5, 5)).shape
    torch.Size([1, 2, 11, 11, 11])
    >>> layer(torch.ones(1, 4, 5, 5, 5), output_size=[12, 12, 12]).shape
    torch.Size([1, 2, 12, 12, 12])
    """

    _n: ClassVar = 3
    _function = staticmethod(F.conv_transpose3d)


class LazyConv1d(_LazyConvolution, Conv1d):
    """``Conv1d`` whose ``in_channels`` are those of its first input; then it is a ``Conv1d``.

    Args:
        out_channels, kernel_size and all others: as ``Conv1d``.

    Raises:
        ValueError: channels that can't be divided into the groups, or a Parameter that is used before the first call.
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.LazyConv1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyConv1d(2, 3)
    >>> _ = layer(torch.ones(1, 4, 5))
    >>> layer.in_channels, type(layer).__name__
    (4, 'Conv1d')
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvolution, Conv2d):
    """``Conv2d`` whose ``in_channels`` are those of its first input; then it is a ``Conv2d``.

    Args:
        out_channels, kernel_size and all others: as ``Conv2d``.

    Raises:
        ValueError: channels that can't be divided into the groups, or a Parameter that is used before the first call.
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.LazyConv2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyConv2d(2, 3)
    >>> _ = layer(torch.ones(1, 4, 5, 5))
    >>> layer.in_channels, type(layer).__name__
    (4, 'Conv2d')
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvolution, Conv3d):
    """``Conv3d`` whose ``in_channels`` are those of its first input; then it is a ``Conv3d``.

    Args:
        out_channels, kernel_size and all others: as ``Conv3d``.

    Raises:
        ValueError: channels that can't be divided into the groups, or a Parameter that is used before the first call.
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.LazyConv3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyConv3d(2, 3)
    >>> _ = layer(torch.ones(1, 4, 5, 5, 5))
    >>> layer.in_channels, type(layer).__name__
    (4, 'Conv3d')
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """``ConvTranspose1d`` whose ``in_channels`` are those of its first input; then it is a ``ConvTranspose1d``.

    Args:
        out_channels, kernel_size and all others: as ``ConvTranspose1d``.

    Raises:
        ValueError: channels that can't be divided into the groups, or a Parameter that is used before the first call.
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.LazyConvTranspose1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyConvTranspose1d(2, 3)
    >>> _ = layer(torch.ones(1, 4, 5))
    >>> layer.in_channels, type(layer).__name__
    (4, 'ConvTranspose1d')
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """``ConvTranspose2d`` whose ``in_channels`` are those of its first input; then it is a ``ConvTranspose2d``.

    Args:
        out_channels, kernel_size and all others: as ``ConvTranspose2d``.

    Raises:
        ValueError: channels that can't be divided into the groups, or a Parameter that is used before the first call.
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.LazyConvTranspose2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyConvTranspose2d(2, 3)
    >>> _ = layer(torch.ones(1, 4, 5, 5))
    >>> layer.in_channels, type(layer).__name__
    (4, 'ConvTranspose2d')
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """``ConvTranspose3d`` whose ``in_channels`` are those of its first input; then it is a ``ConvTranspose3d``.

    Args:
        out_channels, kernel_size and all others: as ``ConvTranspose3d``.

    Raises:
        ValueError: channels that can't be divided into the groups, or a Parameter that is used before the first call.
        RuntimeError: when called with another number of dimensions.

    Source: ``torch.nn.LazyConvTranspose3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyConvTranspose3d(2, 3)
    >>> _ = layer(torch.ones(1, 4, 5, 5, 5))
    >>> layer.in_channels, type(layer).__name__
    (4, 'ConvTranspose3d')
    """

    cls_to_become = ConvTranspose3d
