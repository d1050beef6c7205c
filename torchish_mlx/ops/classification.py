"""Losses of classes: cross entropy and the likelihood of classes, of one class for each sample or of probabilities."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.bounds import extremes, seen
from .._core.promotion import INEXACT, NAMES, cast, widened
from .._tensor.storage import View
from .._tensor.tensor import Tensor, wrap
from .._tensor.views import Reshape
from ._arguments import Truth
from ._declare import composed, op
from ._double import exponential
from ._dtypes import floating_only
from ._losses import reduced, reduction_of, refuse_gradients, total
from ._op import Array, Operand
from ._recorded import call_it
from .arithmetic import add, mul, neg, true_divide
from .reduction import sum
from .selecting import masked_fill
from .shaping import reshape
from .softmax import log_softmax

SHAPE = '() or, with ``reduction="none"``, that of the classes'

# One class for each sample --------------------------------------------------------------------------------------------


def _all_count(target: Tensor, count: int, ignore_index: int) -> bool:
    """Whether every class is seen to be there, and none is ignored.

    Of a view in another shape it looks at what is shown: the view has not been computed yet.
    """
    storage = target._storage
    if isinstance(storage, View) and all(type(step) is Reshape for step in storage.steps):
        storage = storage.base
    values = seen(storage.read())
    if values is None or not values.size or 0 <= ignore_index < count:
        return False
    least, most = extremes(values)
    return 0 <= least and most < count


def _classes(target: mx.array, count: int, ignore_index: int, whole: bool = False) -> tuple[mx.array, mx.array | None]:
    """The classes, with 0 for those that are ignored, and whether each counts: None where all of them do (``whole``).

    A class that is not there is refused or clamped, as an index is: see ``bounds``.
    """
    if whole:
        return target.astype(mx.int64), None
    values = seen(target)
    target = target.astype(mx.int64)
    counts = target != ignore_index
    at = mx.where(counts, target, 0)
    if values is None:
        return mx.clip(at, 0, max(count - 1, 0)), counts
    wrong = values[(values != ignore_index) & ((values < 0) | (values >= count))]
    if wrong.size:
        raise IndexError(f"Target {wrong[0]} is out of bounds.")
    return at, counts


def _shares(target: mx.array, counts: mx.array | None, weight: mx.array | None, dtype: mx.Dtype) -> mx.array | None:
    """The weight of each sample, or None where each is 1."""
    if weight is None:
        return None if counts is None else counts.astype(dtype)
    each = widened(weight)[target]
    return each if counts is None else mx.where(counts, each, 0)


def _at_classes(x: mx.array, at: mx.array, dim: int) -> mx.array:
    return mx.squeeze(mx.take_along_axis(x, mx.expand_dims(at, dim), axis=dim), dim)


def _likelihood(logs: mx.array, counts: mx.array | None, shares: mx.array | None, reduction: str) -> mx.array:
    loss = -logs if counts is None else mx.where(counts, -logs, 0)
    if shares is not None:
        loss = loss * shares
    if reduction == "none":
        return loss
    if reduction == "sum":
        return total(loss)
    return mx.divide(total(loss), logs.size if shares is None else total(shares))


def _pulled(
    g: mx.array, shares: mx.array | None, counts: mx.array | None, at: mx.array, dim: int, reduction: str
) -> mx.array:
    """The gradient of each sample's loss, with the dimension of the classes, or of all losses where it is the same.

    It is 0 for a sample that does not count, also where none counts and the mean is 0 / 0.
    """
    if shares is None:
        if reduction == "mean":
            return g / at.size
        return g if reduction == "sum" else mx.expand_dims(g, dim)
    each = g * (shares / total(shares) if reduction == "mean" else shares)
    return mx.expand_dims(each if counts is None else mx.where(counts, each, 0), dim)


def _nll_gradient(
    g: mx.array, input_shape: Sequence[int], at: mx.array, shares: Any, counts: Any, dim: int, reduction: str
) -> mx.array:
    if not at.size:
        return mx.zeros(input_shape, g.dtype)
    each = mx.broadcast_to(_pulled(g, shares, counts, at, dim, reduction), mx.expand_dims(at, dim).shape)
    return mx.put_along_axis(mx.zeros(input_shape, g.dtype), mx.expand_dims(at, dim), -each, axis=dim)


@op(
    grad={"input": _nll_gradient},
    promote="same",
    residuals=("at", "shares", "counts"),
    name="nll_loss.classes",
    function=False,
    method=False,
)
def _nll(
    input: Operand, target: Array, weight: Array | None, dim: int, ignore_index: int, reduction: str, whole: bool
) -> Any:
    """Minus the input at the class of each sample, times the weight of the class."""
    floating_only("nll_loss_out_frame", input.dtype)
    at, counts = _classes(target, input.shape[dim], ignore_index, whole)
    shares = _shares(at, counts, weight, input.dtype)
    logs = _at_classes(input, at, dim) if at.size else mx.zeros(at.shape, input.dtype)
    return _likelihood(logs, counts, shares, reduction), at, shares, counts


def _entropy_gradient(
    g: mx.array,
    input_shape: Sequence[int],
    at: mx.array,
    shares: mx.array | None,
    counts: mx.array | None,
    powers: mx.array,
    dim: int,
    reduction: str,
) -> mx.array:
    if not at.size:
        return mx.zeros(input_shape, g.dtype)
    each = _pulled(g, shares, counts, at, dim, reduction)
    out = powers * (each / mx.sum(powers, axis=dim, keepdims=True))
    at = mx.expand_dims(at, dim)
    return mx.put_along_axis(out, at, mx.take_along_axis(out, at, axis=dim) - each, axis=dim)


@op(
    grad={"input": _entropy_gradient},
    promote="same",
    residuals=("at", "shares", "counts", "powers"),
    name="cross_entropy.classes",
    node="NllLossBackward0",
    function=False,
    method=False,
)
def _entropy(
    input: Operand, target: Array, weight: Array | None, dim: int, ignore_index: int, reduction: str, whole: bool
) -> Any:
    """As ``_nll`` of the logarithm of the softmax, which is computed at the classes alone."""
    floating_only("log_softmax_lastdim_kernel_impl", input.dtype)
    at, counts = _classes(target, input.shape[dim], ignore_index, whole)
    shares = _shares(at, counts, weight, input.dtype)
    if not at.size:
        return _likelihood(mx.zeros(at.shape, input.dtype), counts, shares, reduction), at, shares, counts, input
    top = mx.stop_gradient(mx.max(input, axis=dim, keepdims=True))
    off = input - top
    powers = exponential(off)
    logs = _at_classes(off, at, dim) - mx.log(mx.sum(powers, axis=dim))
    return _likelihood(logs, counts, shares, reduction), at, shares, counts, powers


def _check_target(input: Tensor, target: Tensor) -> Tensor:
    """Refuse a target that does not fit; the target in the shape of the input without its classes."""
    size = input._read().shape
    _check_classes(size, target._read().shape, target._read().dtype)
    return reshape(target, ()) if len(size) == 1 else target


@functools.lru_cache(1024)
def _check_classes(of_input: tuple[int, ...], of_target: tuple[int, ...], dtype: mx.Dtype) -> None:
    """Refuse classes of a shape or a dtype that do not fit; done once for each."""
    size, given = list(of_input), list(of_target)
    if not size:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(size) > 1 and given and size[0] != given[0]:
        raise ValueError(f"Expected input batch_size ({size[0]}) to match target batch_size ({given[0]}).")
    if dtype not in (mx.int64, mx.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {NAMES[dtype]}")
    if len(size) <= 2:
        if len(given) > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if len(size) == 1 and given not in ([], [1]):
            raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {given[0]}")
        if len(size) == 2 and given != size[:1]:
            raise RuntimeError(f"size mismatch (got input: {size}, target: {given})")
        return
    wanted = [size[0], *size[2:]]
    if len(size) == 4 and len(given) != 3:
        raise RuntimeError(
            f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(given)}"
        )
    if given != wanted:
        if len(size) == 4:
            raise RuntimeError(f"size mismatch (got input: {size} , target: {given}")
        raise RuntimeError(f"Expected target size {wanted}, got {given}")


def _check_weight(weight: Tensor | None, classes: int, dtype: mx.Dtype, lead: str = "") -> None:
    if weight is None:
        return
    if weight.ndim != 1 or weight.numel() != classes:
        raise RuntimeError(
            f"{lead}weight tensor should be defined either for all {classes} classes or no classes but got weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    if not lead and weight.dtype != dtype:
        raise RuntimeError(f"expected scalar type {NAMES[dtype]} but found {NAMES[weight.array.dtype]}")


def _of_classes(
    kernel: Any, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    fitted = _check_target(input, target)
    array = input._read()
    dim = 0 if array.ndim == 1 else 1
    _check_weight(weight, array.shape[dim], array.dtype)
    refuse_gradients("nll_loss_forward", weight=weight)
    whole = _all_count(fitted, array.shape[dim], ignore_index)
    loss: Tensor = kernel(input, fitted, weight, dim, ignore_index, reduction, whole)
    if array.ndim > 2:
        call_it("NllLoss2DBackward0", loss)
    return loss


@composed(module="nn.functional", shape=SHAPE)
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Truth | None = None,
    ignore_index: int = -100,
    reduce: Truth | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the input at the class of each sample, times the weight of that class.

    The mean is divided by the sum of these weights. Samples of the class ``ignore_index`` do not count.

    Raises:
        IndexError: a class that is not there; of up to 65,536 classes, in an eager step on the CPU. Others are clamped.
        RuntimeError, ValueError: shapes or dtypes that do not fit; classes are int64 or uint8.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.nll_loss(torch.tensor([[-0.5, -1.0], [-2.0, -0.1]]), torch.tensor([0, 1]))
    tensor(0.3000)
    """
    return _of_classes(_nll, input, target, weight, ignore_index, reduction_of(reduction, size_average, reduce))


@composed(module="nn.functional", shape=SHAPE)
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Truth | None = None,
    ignore_index: int = -100,
    reduce: Truth | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Minus the logarithm of the softmax over the classes (dimension 1) at the class of each sample.

    ``target`` has a class for each sample, or in the shape of ``input`` the probability of each class. ``weight`` has a
    number for each class; the mean is divided by the sum of those that are used. Samples of the class
    ``ignore_index`` do not count. ``label_smoothing`` is the part of the target that all classes share evenly.

    Raises:
        IndexError: a class that is not there; of up to 65,536 classes, in an eager step on the CPU. Others are clamped.
        RuntimeError, ValueError: shapes or dtypes that do not fit; classes are int64 or uint8.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> F.cross_entropy(logits, torch.tensor([0, 1]))
    tensor(0.2201)
    >>> F.cross_entropy(logits, torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
    tensor(0.4201)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if input._read().shape == target._read().shape:
        return _of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if label_smoothing > 0:
        return _smoothed(input, target, weight, ignore_index, reduction, label_smoothing)
    return _of_classes(_entropy, input, target, weight, ignore_index, reduction)


def _by_class(weight: Tensor, ndim: int) -> Tensor:
    return weight if ndim == 1 else reshape(weight, (1, -1, *[1] * (ndim - 2)))


def _smoothed(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, label_smoothing: float
) -> Tensor:
    dim = 0 if input.ndim == 1 else 1
    count = input.shape[dim] if input.ndim else 1
    logs = log_softmax(input, dim)
    chosen = _of_classes(_nll, logs, target, weight, ignore_index, reduction)
    every = neg(sum(logs if weight is None else mul(logs, _by_class(weight, input.ndim)), dim))
    at, counts = _classes(_check_target(input, target).array, count, ignore_index)
    if counts is not None:
        every = masked_fill(every, wrap(mx.logical_not(counts)), 0)
    out = reduced(every, "none" if reduction == "none" else "sum")
    if reduction == "mean":
        shares = _shares(at, counts, None if weight is None else weight.array, widened(logs.array).dtype)
        out = true_divide(out, at.size if shares is None else wrap(cast(total(shares), logs.array.dtype)))
    return add(mul(chosen, 1 - label_smoothing), mul(out, label_smoothing / count))


def _of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, label_smoothing: float
) -> Tensor:
    if target.dtype not in INEXACT:
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {NAMES[target.array.dtype]}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    dim = 0 if input.ndim == 1 else 1
    count = input.shape[dim] if input.ndim else 1
    _check_weight(weight, count, input.array.dtype, "cross_entropy: ")
    logs = log_softmax(input, dim if input.ndim else 0)
    if label_smoothing > 0:
        target = add(mul(target, 1 - label_smoothing), label_smoothing / count)
    each = mul(logs, target)
    if weight is not None:
        each = mul(each, _by_class(weight, input.ndim))
    if reduction == "none":
        return neg(sum(each, dim))
    whole = neg(sum(each))
    return true_divide(whole, input.numel() / count) if reduction == "mean" else whole
