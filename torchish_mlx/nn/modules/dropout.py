"""Dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._words import said
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    __constants__: ClassVar = ["p", "inplace"]
    #: The function that drops: the classes say it.
    _function: ClassVar[Callable[..., Tensor]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The function of ``functional``; the input itself after ``eval()``."""
        return type(self)._function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability, and whether the input is overwritten."""
        return said(self, "p", "inplace")


class Dropout(_DropoutNd):
    """In training, elements become 0 with probability p, and the others are multiplied by 1 / (1 - p).

    The input may have any shape, the result has the same.

    Args:
        p: the probability, from 0 to 1.
        inplace: whether the input is overwritten.

    Raises:
        ValueError: ``p`` is not from 0 to 1.

    Source: ``torch.nn.Dropout``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Dropout(0.2)
    >>> layer
    Dropout(p=0.2, inplace=False)
    >>> x = torch.ones(2)
    >>> torch.equal(layer.eval()(x), x)
    True
    """

    _function = staticmethod(F.dropout)


class Dropout1d(_DropoutNd):
    """In training, whole channels become 0 with probability p; the others are multiplied by 1 / (1 - p).

    The input has shape (N, C, length) or (C, length), the result has the same.

    Args:
        p: the probability, from 0 to 1.
        inplace: whether the input is overwritten.

    Raises:
        ValueError: ``p`` is not from 0 to 1.

    Source: ``torch.nn.Dropout1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Dropout1d(0.2)
    >>> layer
    Dropout1d(p=0.2, inplace=False)
    >>> x = torch.ones(2, 3, 4)
    >>> torch.equal(layer.eval()(x), x)
    True
    """

    _function = staticmethod(F.dropout1d)


class Dropout2d(_DropoutNd):
    """In training, whole channels become 0 with probability p; the others are multiplied by 1 / (1 - p).

    The input has shape (N, C, height, width), the result has the same.

    Args:
        p: the probability, from 0 to 1.
        inplace: whether the input is overwritten.

    Raises:
        ValueError: ``p`` is not from 0 to 1.

    Source: ``torch.nn.Dropout2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Dropout2d(0.2)
    >>> layer
    Dropout2d(p=0.2, inplace=False)
    >>> x = torch.ones(2, 3, 4, 4)
    >>> torch.equal(layer.eval()(x), x)
    True
    """

    _function = staticmethod(F.dropout2d)


class Dropout3d(_DropoutNd):
    """In training, whole channels become 0 with probability p; the others are multiplied by 1 / (1 - p).

    The input has shape (N, C, depth, height, width) or without N, the result has the same.

    Args:
        p: the probability, from 0 to 1.
        inplace: whether the input is overwritten.

    Raises:
        ValueError: ``p`` is not from 0 to 1.

    Source: ``torch.nn.Dropout3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Dropout3d(0.2)
    >>> layer
    Dropout3d(p=0.2, inplace=False)
    >>> x = torch.ones(2, 3, 4, 4, 4)
    >>> torch.equal(layer.eval()(x), x)
    True
    """

    _function = staticmethod(F.dropout3d)


class AlphaDropout(_DropoutNd):
    """Dropout for SELU: in training, elements become SELU's limit, and mean and variance stay what they are.

    The input may have any shape, the result has the same.

    Args:
        p: the probability, from 0 to 1.
        inplace: whether the input is overwritten.

    Raises:
        ValueError: ``p`` is not from 0 to 1.

    Source: ``torch.nn.AlphaDropout``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.AlphaDropout(0.2)
    >>> layer
    AlphaDropout(p=0.2, inplace=False)
    >>> x = torch.ones(2)
    >>> torch.equal(layer.eval()(x), x)
    True
    """

    _function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_DropoutNd):
    """``AlphaDropout`` of whole channels.

    The input has shape ``(N, C, *)``, the result has the same.

    Args:
        p: the probability, from 0 to 1.
        inplace: whether the input is overwritten.

    Raises:
        ValueError: ``p`` is not from 0 to 1.

    Source: ``torch.nn.FeatureAlphaDropout``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.FeatureAlphaDropout(0.2)
    >>> layer
    FeatureAlphaDropout(p=0.2, inplace=False)
    >>> x = torch.ones(2, 3, 4)
    >>> torch.equal(layer.eval()(x), x)
    True
    """

    _function = staticmethod(F.feature_alpha_dropout)
