"""Losses of margins: what ``loss`` has besides losses of numbers and of probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._loss import _Loss, _WeightedLoss
from .distance import PairwiseDistance

__all__ = [
    "CosineEmbeddingLoss",
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class HingeEmbeddingLoss(_Loss):
    """x where the target is 1, and max(0, margin - x) where it is -1.

    Input and target have the same shape (*); the result is a number, or has shape (*) with ``reduction="none"``.

    Args:
        margin: the number of the formula.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.HingeEmbeddingLoss``.

    >>> import torchish_mlx as torch
    >>> torch.nn.HingeEmbeddingLoss()(torch.tensor([0.25, 0.25]), torch.tensor([1, -1]))
    tensor(0.5000)
    """

    __constants__: ClassVar = ["margin", "reduction"]

    def __init__(
        self, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.hinge_embedding_loss``."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """How far x1 is from being larger than x2, or smaller where y is -1: max(0, -y (x1 - x2) + margin).

    Inputs and target have the same shape (*); the result is a number, or has shape (*) with ``reduction="none"``.

    Args:
        margin: the number of the formula.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.MarginRankingLoss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> torch.nn.MarginRankingLoss()(x, y, torch.tensor([1, -1]))
    tensor(1.)
    """

    __constants__: ClassVar = ["margin", "reduction"]

    def __init__(
        self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """``functional.margin_ranking_loss``."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """The logistic loss: log(1 + exp(-y x)), where y is 1 or -1.

    Input and target have the same shape (*); the result is a number, or has shape (*) with ``reduction="none"``.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.SoftMarginLoss``.

    >>> import torchish_mlx as torch
    >>> torch.nn.SoftMarginLoss()(torch.zeros(2), torch.tensor([1, -1]))
    tensor(0.6931)
    """

    __constants__: ClassVar = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.soft_margin_loss``."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """How far each class of a sample is from being 1 above all others: sum max(0, 1 - (x[y] - x[i])) / C.

    Input and target have shape (N, C) or (C); the target has numbers of classes up to the first -1.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        RuntimeError: when called with shapes that do not fit.

    Source: ``torch.nn.MultiLabelMarginLoss``.

    >>> import torchish_mlx as torch
    >>> x = torch.tensor([[0.1, 0.2, 0.4, 0.8]])
    >>> torch.nn.MultiLabelMarginLoss()(x, torch.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """

    __constants__: ClassVar = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.multilabel_margin_loss``."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean of ``BCEWithLogitsLoss`` over the classes of a sample.

    Input and target have shape (N, C); the result is a number, or has shape (N) with ``reduction="none"``.

    Args:
        weight: one for each class.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.MultiLabelSoftMarginLoss``.

    >>> import torchish_mlx as torch
    >>> torch.nn.MultiLabelSoftMarginLoss()(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """

    __constants__: ClassVar = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.multilabel_soft_margin_loss``."""
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """How far the class is from being ``margin`` above all others: sum max(0, margin - x[y] + x[i])^p / C.

    The input has shape (N, C) or (C), and the target the numbers of classes in shape (N) or ().

    Args:
        p: 1 or 2.
        margin: the number of the formula.
        weight: one for each class.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: another p, or a weight that is no vector.
        RuntimeError: when called with shapes that do not fit.

    Source: ``torch.nn.MultiMarginLoss``.

    >>> import torchish_mlx as torch
    >>> torch.nn.MultiMarginLoss()(torch.tensor([[0.1, 0.6]]), torch.tensor([1]))
    tensor(0.2500)
    """

    __constants__: ClassVar = ["p", "margin", "reduction"]

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.ndim}D instead")
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.multi_margin_loss``."""
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """1 - cos(x1, x2) where the target is 1, and max(0, cos(x1, x2) - margin) where it is -1.

    The inputs have shape (N, D), the target (N); the result is a number, or has shape (N) with ``reduction="none"``.

    Args:
        margin: the number of the formula, from -1 to 1.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        RuntimeError: when called with shapes that do not fit.

    Source: ``torch.nn.CosineEmbeddingLoss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> torch.nn.CosineEmbeddingLoss()(x, y, torch.tensor([1]))
    tensor(1.)
    """

    __constants__: ClassVar = ["margin", "reduction"]

    def __init__(
        self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """``functional.cosine_embedding_loss``."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """How far p is from being nearer to the anchor a than n is: max(0, d(a, p) - d(a, n) + margin).

    The three inputs have shape (N, D) or (D); the result is a number, or has shape (N) or () with ``reduction="none"``.

    Args:
        margin: the number of the formula, above 0.
        p: the norm of the distances.
        eps: is added to each difference.
        swap: whether the distance from the positive to the negative is taken where it is the smaller.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: the margin is not positive.
        RuntimeError: when called with shapes that do not fit.

    Source: ``torch.nn.TripletMarginLoss``.

    >>> import torchish_mlx as torch
    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> torch.nn.TripletMarginLoss()(a, a, b) < 1e-5
    tensor(True)
    """

    __constants__: ClassVar = ["margin", "p", "eps", "swap", "reduction"]

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """``functional.triplet_margin_loss``."""
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """``TripletMarginLoss`` with any distance.

    The three inputs have shape (N, D) or (D); the result is a number, or has shape (N) or () with ``reduction="none"``.

    Args:
        distance_function: gives the distance of two Tensors; None for ``PairwiseDistance()``.
        margin: the number of the formula, above 0.
        swap: whether the distance from the positive to the negative is taken where it is the smaller.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: the margin is not positive.
        RuntimeError: when called with shapes that do not fit.

    Source: ``torch.nn.TripletMarginWithDistanceLoss``.

    >>> import torchish_mlx as torch
    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> loss = torch.nn.TripletMarginWithDistanceLoss(distance_function=torch.nn.L1Loss())
    >>> loss(a, a, b)
    tensor(0.)
    """

    __constants__: ClassVar = ["margin", "swap", "reduction"]

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """``functional.triplet_margin_with_distance_loss``."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
