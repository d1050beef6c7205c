"""Losses with a margin, of classes, pairs and triplets."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from .._core.bounds import inside
from .._core.promotion import HALVES, INEXACT, NAMES
from .._tensor.tensor import Tensor, wrap
from ._arguments import Truth
from ._declare import composed, op, vjp
from ._double import exponential, logistic
from ._dtypes import floating_only
from ._losses import reduced, reduction_of, refuse_gradients
from ._op import Array, Operand
from .arithmetic import add, minimum, mul, neg, sqrt, sub, true_divide, where
from .comparison import eq, ne
from .distances import pairwise_distance
from .gates import logsigmoid
from .limits import clamp_min
from .reduction import fold, sum

_EVERY = '() or, with ``reduction="none"``, that of the distances'
_SAMPLES = '() or, with ``reduction="none"``, a number for each sample'


@op(
    grad={"input": lambda g, input, target: -g * target * logistic(-target * input)},
    promote="same",
    name="soft_margin_loss.elements",
    function=False,
    method=False,
)
def _soft(input: Operand, target: Operand) -> mx.array:
    return mx.log1p(exponential(input * -target))


@composed(
    module="nn.functional", shape='() or, with ``reduction="none"``, that of ``input``', node="SoftMarginLossBackward0"
)
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)), where target is 1 or -1.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.soft_margin_loss(torch.tensor([1.0, -2.0]), torch.tensor([1.0, -1.0]))
    tensor(0.2201)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    refuse_gradients("soft_margin_loss", target=target)
    if input.dtype not in INEXACT:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {NAMES[input.array.dtype]}")
    return reduced(_soft(input, target).to(input.dtype), reduction)


@composed(module="nn.functional", shape='() or, with ``reduction="none"``, that of ``input``')
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, and max(0, margin - input) where it is -1.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.hinge_embedding_loss(torch.tensor([0.5, 0.25]), torch.tensor([1.0, -1.0]))
    tensor(0.6250)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    # The dtype of all is that of the input, to which torch rounds the margin too.
    whole, zero = (wrap(mx.array(n, mx.float32).astype(input.array.dtype)) for n in (margin, 0))
    apart = clamp_min(sub(whole, input), 0)
    return reduced(add(where(ne(target, 1), apart, zero), where(ne(target, -1), input, zero)), reduction)


@composed(module="nn.functional", shape='() or, with ``reduction="none"``, that of the inputs')
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (input1 - input2) + margin), where target is 1 or -1.

    Raises:
        RuntimeError: not all have the same number of dimensions.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.margin_ranking_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(2.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(clamp_min(add(mul(neg(target), sub(input1, input2)), margin), 0), reduction)


@composed(module="nn.functional", shape=_SAMPLES)
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, and max(0, cos - margin) where it is -1, of the angle between the vectors.

    Raises:
        RuntimeError: dimensions that do not fit.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.cosine_embedding_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([1.0]))
    tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    along = target.ndim
    squares = [add(sum(mul(x, x), along), 1e-12) for x in (input1, input2)]
    cosine = true_divide(sum(mul(input1, input2), along), sqrt(mul(*squares)))
    near, far = where(eq(target, 1), sub(1, cosine), 0.0), clamp_min(sub(cosine, margin), 0)
    return reduced(add(near, where(eq(target, -1), far, 0.0)), reduction)


# Classes --------------------------------------------------------------------------------------------------------------


def _check_samples(name: str, input: Tensor) -> None:
    if input.ndim > 2 or (input.numel() == 0 and (input.ndim < 1 or input.shape[-1] == 0)):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    floating_only(name, input.array.dtype)
    if input.dtype in HALVES:
        raise NotImplementedError(f"\"{name}\" not implemented for '{NAMES[input.array.dtype]}'")


@op(grad=vjp(input="input target weight"), name="multi_margin_loss.samples", function=False, method=False)
def _multi(input: Array, target: Array, p: int, margin: float, weight: Array | None) -> mx.array:
    at = mx.expand_dims(target, 1)
    off = margin - mx.take_along_axis(input, at, axis=1) + input
    off = mx.where((off > 0) & (at != mx.arange(input.shape[1])), off, 0)
    each = off if p == 1 else off * off
    if weight is not None:
        each = each * mx.expand_dims(weight[target], 1)
    return fold(mx.sum, each, (1,), False, 0.0) / input.shape[1]


@composed(module="nn.functional", shape=_SAMPLES, node="MultiMarginLossBackward0")
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum of max(0, margin - input[target] + input[i])^p over the other classes i, over the number of classes.

    It is multiplied with the weight of the target.

    Raises:
        RuntimeError: classes that are not int64, not there, or not one for each sample; half precision.
        ValueError: ``p`` is not 1 or 2.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.multi_margin_loss(torch.tensor([[0.5, 1.0, 0.0]]), torch.tensor([0]))
    tensor(0.6667)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    _check_samples("multi_margin_loss_cpu_kernel", input)
    rows = input if input.ndim == 2 else input.reshape(1, -1)
    if target.ndim > 1 or target.numel() != rows.shape[0]:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch "
            f"size). Expected target size [{rows.shape[0]}], but got {list(target.shape)}. Input has shape "
            f"{list(input.shape)}."
        )
    if weight is not None and weight.numel() != rows.shape[1]:
        raise RuntimeError(f"inconsistent weight size, expected {rows.shape[1]} but got {list(weight.shape)}")
    if target.dtype != mx.int64:
        raise RuntimeError(f"expected scalar type Long but found {NAMES[target.array.dtype]}")
    refuse_gradients("multi_margin_loss", weight=weight)
    at = inside(
        mx.reshape(target.array, (-1,)), rows.shape[1], lambda _: RuntimeError("target out of range"), negative=False
    )
    loss = _multi(rows, wrap(at), p, margin, weight)
    return reduced(loss if target.ndim or input.ndim == 2 else loss.reshape(()), reduction)


@op(grad=vjp(input="input target"), name="multilabel_margin_loss.samples", function=False, method=False)
def _multilabel(input: Array, target: Array) -> mx.array:
    named = mx.cumprod((target >= 0).astype(mx.int32), axis=1) > 0
    at = mx.where(named, target, 0)
    one = mx.expand_dims(at, 2) == mx.arange(input.shape[1])
    others = mx.logical_not(mx.any(one & mx.expand_dims(named, 2), axis=1))
    off = 1 - mx.expand_dims(mx.take_along_axis(input, at, axis=1), 2) + mx.expand_dims(input, 1)
    counts = mx.expand_dims(named, 2) & mx.expand_dims(others, 1) & (off > 0)
    return mx.sum(mx.where(counts, off, 0), axis=(1, 2)) / input.shape[1]


@composed(module="nn.functional", shape=_SAMPLES, node="MultilabelMarginLossBackward0")
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum of max(0, 1 - input[j] + input[i]) over the targets j and the other classes i, over the classes.

    The targets of a sample are the classes in its row before the first -1.

    Raises:
        RuntimeError: classes that are not int64, or not there; half precision.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.multilabel_margin_loss(torch.tensor([[0.5, 1.0, 0.0]]), torch.tensor([[0, -1, 2]]))
    tensor(0.6667)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_samples("multilabel_margin_loss_forward_out_frame", input)
    if tuple(target.shape) != tuple(input.shape):
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    if target.dtype != mx.int64:
        raise RuntimeError(f"expected scalar type Long but found {NAMES[target.array.dtype]}")
    classes = input.shape[-1] if input.ndim else 1
    if not input.numel():
        return reduced(sum(input, 1), reduction)
    shown = mx.reshape(target.array, (-1, classes))
    refused: Callable[[int], Exception] = lambda _: RuntimeError("argument #2 'target' is out of range")  # noqa: E731
    at = inside(shown + 1, classes + 1, refused, negative=False) - 1
    loss = _multilabel(input.reshape(-1, classes), wrap(at))
    return reduced(loss if input.ndim == 2 else loss.reshape(()), reduction)


@composed(module="nn.functional", shape=_SAMPLES)
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the classes of the binary cross entropy of sigmoid(input), times weight.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.multilabel_soft_margin_loss(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(0.3133)
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    loss = neg(add(mul(target, logsigmoid(input)), mul(sub(1, target), logsigmoid(neg(input)))))
    if weight is not None:
        loss = mul(loss, weight)
    loss = true_divide(sum(loss, input.ndim - 1), input.shape[-1])
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return reduced(loss, reduction)


# Triplets -------------------------------------------------------------------------------------------------------------


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )


def _of_triplet(
    distance: Callable[[Tensor, Tensor], Tensor],
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float,
    swap: bool,
) -> Tensor:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return clamp_min(sub(add(near, margin), far), 0)


@composed(module="nn.functional", shape=_EVERY)
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Truth | None = None,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, distance of anchor and positive - distance of anchor and negative + margin), by the p-norm.

    With ``swap`` the second distance is that of positive and negative where it is smaller.

    Raises:
        ValueError: ``margin`` is not positive.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.triplet_margin_loss(torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.tensor([[4.0]]), margin=3.0)
    tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_triplet(anchor, positive, negative, margin)
    return reduced(
        _of_triplet(lambda a, b: pairwise_distance(a, b, p, eps), anchor, positive, negative, margin, swap), reduction
    )


@composed(module="nn.functional", shape=_EVERY)
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: Truth = False,
    reduction: str = "mean",
) -> Tensor:
    """As ``triplet_margin_loss``, with a function of two tensors as the distance.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.triplet_margin_with_distance_loss(
    ...     torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.tensor([[4.0]]), distance_function=F.l1_loss
    ... )
    tensor(0.)
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    _check_triplet(anchor, positive, negative, margin)
    distance = pairwise_distance if distance_function is None else distance_function
    return reduced(_of_triplet(distance, anchor, positive, negative, margin, swap), reduction)
