"""Channels of several groups in turn."""

from __future__ import annotations

from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._words import said
from .module import Module

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Module):
    """The channels in another order: the first of each group, then the second of each, and so on.

    Args:
        groups: how many groups there are.

    Raises:
        RuntimeError: when called with channels that can't be divided into the groups.

    Source: ``torch.nn.ChannelShuffle``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ChannelShuffle(2)(torch.ones(1, 4, 3, 3)).shape
    torch.Size([1, 4, 3, 3])
    """

    __constants__: ClassVar = ["groups"]

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """``functional.channel_shuffle``."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """The option."""
        return said(self, "groups")
