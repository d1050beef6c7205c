"""Linear maps."""

from __future__ import annotations

from typing import Any

from .module import Module

__all__ = ["Identity"]


class Identity(Module):
    """Its input; arguments are ignored, so that it can take the place of another module.

    Source: ``torch.nn.Identity``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Identity(54, unused=True)(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as in torch
        super().__init__()

    def forward(self, input: Any) -> Any:
        """``input`` itself."""
        return input
