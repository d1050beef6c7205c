"""Several dimensions as one, and one as several."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._tensor.tensor import Tensor
from ._words import said
from .module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """The dimensions from ``start_dim`` to ``end_dim`` as one; by default all but the batch's.

    Args:
        start_dim, end_dim: the first and the last of them; negative ones count from the end.

    Raises:
        IndexError: when called with a Tensor that does not have them.

    Source: ``torch.nn.Flatten``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Flatten()(torch.ones(2, 3, 4)).shape
    torch.Size([2, 12])
    """

    __constants__: ClassVar = ["start_dim", "end_dim"]

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """``input.flatten(start_dim, end_dim)``."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The dimensions."""
        return said(self, "start_dim", "end_dim")


class Unflatten(Module):
    """A dimension as several.

    Args:
        dim: the dimension.
        unflattened_size: the sizes that take its place; one of them may be -1.

    Raises:
        TypeError: the sizes are no tuple of integers.
        RuntimeError: when called with a dimension that does not have as many elements.

    Source: ``torch.nn.Unflatten``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Unflatten(1, (3, 4))(torch.ones(2, 12)).shape
    torch.Size([2, 3, 4])
    """

    __constants__: ClassVar = ["dim", "unflattened_size"]

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}"
            )
        for at, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(size).__name__} at pos "
                    f"{at}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """``input.unflatten(dim, unflattened_size)``."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The dimension and the sizes."""
        return said(self, "dim", "unflattened_size")
