"""Losses of numbers and of probabilities here; those of margins are in ``_margins``."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._loss import _Loss, _WeightedLoss
from ._margins import (
    CosineEmbeddingLoss,
    HingeEmbeddingLoss,
    MarginRankingLoss,
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    SoftMarginLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class L1Loss(_Loss):
    """The absolute error: ``|x - y|``.

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.L1Loss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> torch.nn.L1Loss()(x, y)
    tensor(1.)
    """

    __constants__: ClassVar = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.l1_loss``."""
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """The squared error: (x - y)^2.

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.MSELoss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> torch.nn.MSELoss()(x, y)
    tensor(2.)
    """

    __constants__: ClassVar = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.mse_loss``."""
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """The absolute error, and near 0 a parabola: (x - y)^2 / (2 beta) below beta, else ``|x - y| - beta / 2``.

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        beta: where the parabola ends, at least 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.SmoothL1Loss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> torch.nn.SmoothL1Loss()(x, y)
    tensor(0.7500)
    """

    __constants__: ClassVar = ["reduction"]

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.smooth_l1_loss``."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """A parabola near 0, then straight: (x - y)^2 / 2 below delta, else ``delta (|x - y| - delta / 2)``.

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        delta: where the parabola ends, above 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.HuberLoss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> torch.nn.HuberLoss()(x, y)
    tensor(0.7500)
    """

    __constants__: ClassVar = ["reduction", "delta"]

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        if not isinstance(delta, (float, int)):
            raise TypeError(f"delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.huber_loss``."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class NLLLoss(_WeightedLoss):
    """The negative log likelihood of the class, whose log probabilities are given.

    The input has shape ``(N, C, *)``, or (C), and the target the numbers of classes in shape ``(N, *)``, or ().

    Args:
        weight: one for each class; the mean is over the weights.
        ignore_index: a number in the target that does not count.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or batches of different sizes.
        IndexError: when called with a class that is not there.

    Source: ``torch.nn.NLLLoss``.

    >>> import torchish_mlx as torch
    >>> x = torch.tensor([[-0.5, -1.0], [-2.0, -0.1]])
    >>> torch.nn.NLLLoss()(x, torch.tensor([0, 1]))
    tensor(0.3000)
    """

    __constants__: ClassVar = ["ignore_index", "reduction"]

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.nll_loss``."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_WeightedLoss):
    """The negative log likelihood of the class under the softmax of the input.

    The input has shape ``(N, C, *)``, or (C), and the target the numbers of classes in shape ``(N, *)``, or (). A
    target of the input's shape has probabilities of classes.

    Args:
        weight: one for each class; the mean is over the weights.
        ignore_index: a number in the target that does not count.
        label_smoothing: how much of the probability is spread over all classes, from 0 to 1.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or batches of different sizes.
        IndexError: when called with a class that is not there.
        RuntimeError: when called with a ``label_smoothing`` that is not from 0 to 1.

    Source: ``torch.nn.CrossEntropyLoss``.

    >>> import torchish_mlx as torch
    >>> torch.nn.CrossEntropyLoss()(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6931)
    """

    __constants__: ClassVar = ["ignore_index", "reduction", "label_smoothing"]

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.cross_entropy``."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class PoissonNLLLoss(_Loss):
    """The negative log likelihood of Poisson's distribution: exp(x) - y x, without the logarithm x - y log(x + eps).

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        log_input: whether the input is the logarithm of the rate.
        full: whether log(y!) is added, by Stirling's formula.
        eps: keeps the logarithm from 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.PoissonNLLLoss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> torch.nn.PoissonNLLLoss()(x, y)
    tensor(24.1582)
    """

    __constants__: ClassVar = ["log_input", "full", "eps", "reduction"]

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """``functional.poisson_nll_loss``."""
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """The negative log likelihood of normal distributions: (log(var) + (x - y)^2 / var) / 2.

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        full: whether log(2 pi) / 2 is added.
        eps: the smallest variance that is used.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: when called with a negative variance, another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.GaussianNLLLoss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> torch.nn.GaussianNLLLoss()(x, y, torch.ones(2))
    tensor(1.)
    """

    __constants__: ClassVar = ["full", "eps", "reduction"]

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(None, None, reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Any) -> Tensor:
        """``functional.gaussian_nll_loss``."""
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence from the input, in logarithms, to the target: y (log(y) - x).

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        log_target: whether the target is in logarithms too.
        reduction: ``"mean"``, ``"sum"``, ``"none"``, or ``"batchmean"``: the sum divided by the size of the batch.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.KLDivLoss``.

    >>> import torchish_mlx as torch
    >>> x, y = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]])
    >>> torch.nn.KLDivLoss(reduction="batchmean")(x, y)
    tensor(0.6931)
    """

    __constants__: ClassVar = ["reduction"]

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.kl_div``."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class BCELoss(_WeightedLoss):
    """The negative log likelihood of two classes: -(y log(x) + (1 - y) log(1 - x)).

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        weight: multiplies the loss of each element.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with other shapes or another ``reduction``.
        RuntimeError: when called with numbers that are not from 0 to 1.

    Source: ``torch.nn.BCELoss``.

    >>> import torchish_mlx as torch
    >>> torch.nn.BCELoss()(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    __constants__: ClassVar = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.binary_cross_entropy``."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """``BCELoss`` of the sigmoid of the input, without its rounding.

    Input and target have the same shape ``(*)``; the result is a number, or has shape ``(*)`` with
    ``reduction="none"``.

    Args:
        weight: multiplies the loss of each element.
        pos_weight: multiplies the term with y.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        size_average, reduce: torch's old words for it, with its warning.

    Raises:
        ValueError: when called with another ``reduction``, or shapes that do not fit.

    Source: ``torch.nn.BCEWithLogitsLoss``.

    >>> import torchish_mlx as torch
    >>> torch.nn.BCEWithLogitsLoss()(torch.zeros(2), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """``functional.binary_cross_entropy_with_logits``."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )
