"""Distances and similarities of vectors."""

from __future__ import annotations

from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from .module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """The p-norm of the differences of vectors: ``(sum |x1 - x2 + eps|^p)^(1/p)`` over the last dimension.

    Args:
        p: of the norm.
        eps: is added to each difference.
        keepdim: whether the last dimension stays, with size 1.

    Raises:
        RuntimeError: when called with shapes that do not fit.

    Source: ``torch.nn.PairwiseDistance``.

    >>> import torchish_mlx as torch
    >>> torch.nn.PairwiseDistance(eps=0.0)(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
    tensor([5.])
    """

    __constants__: ClassVar = ["norm", "eps", "keepdim"]

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """``functional.pairwise_distance``."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors: ``x1 x2 / max(|x1| |x2|, eps)``.

    Args:
        dim: the dimension of the vectors.
        eps: the least that is divided by.

    Raises:
        RuntimeError: when called with shapes that do not fit.

    Source: ``torch.nn.CosineSimilarity``.

    >>> import torchish_mlx as torch
    >>> torch.nn.CosineSimilarity()(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([0.6000])
    """

    __constants__: ClassVar = ["dim", "eps"]

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """``functional.cosine_similarity``."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
