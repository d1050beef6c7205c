"""Clipping of gradients: pure functions of trees of arrays, lazy, and traceable by ``mx.compile``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import mlx.core as mx
from mlx.nn import Module
from mlx.utils import tree_flatten, tree_map

from .._core.sparse import RowSparse
from .._core.trace import traced
from .._docs import see
from ._norm import Group, Leaf, checked_group, norm, norm_across, wide
from ._sharded import names_of_parts

Number: TypeAlias = float | mx.array
Sharded: TypeAlias = Module | Callable[[str, Any], bool] | None


def get_total_norm(
    grads: Any,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    *,
    group: Group | None = None,
    sharded: Sharded = None,
) -> mx.array:
    """The norm of all gradients as one vector, ``(sum |g|^p)^(1/p)``.

    It is taken in float32 (float64 if a gradient is), whatever the gradients' dtype, and relative to the largest
    element (p < 0: the smallest): no power over- or underflows where the norm itself does not. Nothing is evaluated.

    Args:
        grads: a tree of arrays and ``RowSparse``. Rows that come twice in a ``RowSparse`` are summed first.
        norm_type: p, any number, or "inf". inf gives the largest ``|g|`` and -inf the smallest. As in torch, 0 gives
            the number of arrays that have an element other than 0.
        error_if_nonfinite: evaluate the norm, and raise if it is nan or infinite.
        group: the processes that hold the other parts of the arrays (``mx.distributed.init()``). All of them call it,
            with trees of the same structure, and get the same norm. Leave it out where each process has the whole of
            the gradients, as after ``mlx.nn.average_gradients``.
        sharded: with ``group``, which arrays are parts; the others are whole in every process, and count once. None:
            all. A model: those that its sharded layers hold (``mlx.nn.AllToShardedLinear`` and similar layers, and
            those that ``fully_shard`` wrapped). A function ``(name, gradient) -> bool``: those where it is True.

    Returns:
        An array without dimensions; 0.0 for a tree without arrays.

    Raises:
        RuntimeError: the norm is not finite and ``error_if_nonfinite``; an array has no elements and p is inf or
            negative; ``error_if_nonfinite`` in a function that ``mx.compile`` traces.
        TypeError: a leaf is no gradient, ``group`` is no group.

    Example:
        >>> import mlx.core as mx
        >>> grads = {"weight": mx.array([[3.0]]), "bias": mx.array([4.0], dtype=mx.float16)}
        >>> get_total_norm(grads).item(), get_total_norm(grads, 1).item()
        (5.0, 7.0)

    Source: ``torch.nn.utils.get_total_norm``.
    """
    leaves = _leaves(grads)
    return norm_of(list(leaves.values()), norm_type, error_if_nonfinite, group, _are_parts(leaves, group, sharded))


def clip_grad_norm(
    grads: Any,
    max_norm: Number,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    *,
    group: Group | None = None,
    sharded: Sharded = None,
) -> tuple[Any, mx.array]:
    """The gradients, scaled down so that their total norm is at most ``max_norm``.

    ``g * min(max_norm / (norm + 1e-6), 1)``. As ``mlx.optimizers.clip_grad_norm``, with the range of
    :func:`get_total_norm` and its arguments.

    A tree has a gradient at each place of tied weights, and the norm counts each by itself:
    ``torchish_mlx.tied_gradients(model, grads)`` sums them up first.

    Args:
        grads: a tree of arrays and ``RowSparse``. Each keeps its dtype; integers become float32, as in MLX.
        max_norm: at least 0; an array without dimensions may be given, also a traced one.
        norm_type: as for :func:`get_total_norm`.
        error_if_nonfinite: as for :func:`get_total_norm`. Without it a nan or an infinity spreads, as in torch: a nan
            norm makes everything nan; an infinite one makes 0 of what is finite and nan of what is not.
        group: as for :func:`get_total_norm`: every process scales its parts by the same factor.
        sharded: as for :func:`get_total_norm`.

    Returns:
        The tree of clipped gradients, and the norm before clipping.

    Raises:
        ValueError: ``max_norm`` is negative or nan.
        RuntimeError, TypeError: as :func:`get_total_norm`.

    Example:
        >>> import mlx.core as mx
        >>> clipped, norm = clip_grad_norm({"w": mx.array([3.0, 4.0])}, max_norm=1.0)
        >>> norm.item(), [round(x, 4) for x in clipped["w"].tolist()]
        (5.0, [0.6, 0.8])

    Source: ``torch.nn.utils.clip_grad_norm_``, ``mlx.optimizers.clip_grad_norm``.
    """
    max_norm = _at_least_zero("max_norm", max_norm)
    total_norm = get_total_norm(grads, norm_type, error_if_nonfinite, group=group, sharded=sharded)
    return scale_by_norm(grads, max_norm, total_norm), total_norm


def scale_by_norm(grads: Any, max_norm: Number, total_norm: Number) -> Any:
    """The gradients times ``min(max_norm / (total_norm + 1e-6), 1)``: the second half of :func:`clip_grad_norm`.

    For a norm that was taken elsewhere, for instance over the gradients of several models.

    Args:
        grads: a tree of arrays and ``RowSparse``. Each keeps its dtype; integers become float32.
        max_norm: at least 0; a number or an array without dimensions.
        total_norm: the norm, a number or an array without dimensions.

    Raises:
        ValueError: ``max_norm`` is negative or nan.
        TypeError: a leaf is no gradient.

    Example:
        >>> import mlx.core as mx
        >>> scale_by_norm([mx.array([2.0])], max_norm=1.0, total_norm=mx.array(4.0))
        [array([0.5], dtype=float32)]

    Source: ``torch.nn.utils.clip_grads_with_norm_``.
    """
    scale = coefficient(_at_least_zero("max_norm", max_norm), total_norm)
    _leaves(grads)
    return tree_map(lambda g: scaled(g, scale), grads)


def clip_grad_value(grads: Any, clip_value: Number) -> Any:
    """The gradients, each element moved into [-clip_value, clip_value].

    Args:
        grads: a tree of arrays and ``RowSparse``. Rows that come twice in a ``RowSparse`` are summed first. Each keeps
            its dtype; integers become float32.
        clip_value: at least 0; a number or an array without dimensions.

    Raises:
        ValueError: ``clip_value`` is negative or nan.
        TypeError: a leaf is no gradient.
        NotImplementedError: a gradient is complex.

    Example:
        >>> import mlx.core as mx
        >>> clip_grad_value({"w": mx.array([-3.0, 0.5])}, 1.0)["w"].tolist()
        [-1.0, 0.5]

    Source: ``torch.nn.utils.clip_grad_value_``.
    """
    clip_value = _at_least_zero("clip_value", clip_value)
    refuse_complex(list(_leaves(grads).values()))
    return tree_map(lambda g: clamped(g, clip_value), grads)


# What the functions on Parameters need as well ------------------------------------------------------------------------


def norm_of(
    leaves: Sequence[Leaf],
    norm_type: float,
    error_if_nonfinite: bool,
    group: Group | None = None,
    are_parts: Sequence[bool] = (),
) -> mx.array:
    """:func:`get_total_norm` of a list; with a group, ``are_parts`` says of each leaf whether it is a part."""
    order, several = float(norm_type), checked_group(group)
    if several is None:
        total = norm(leaves, order)
    else:
        parts = [g for g, is_part in zip(leaves, are_parts, strict=True) if is_part]
        whole = [g for g, is_part in zip(leaves, are_parts, strict=True) if not is_part]
        total = norm_across(parts, whole, order, several)
    if error_if_nonfinite:
        if traced(total):
            raise RuntimeError(
                "error_if_nonfinite=True reads the norm, which has no value while mx.compile traces the function: "
                "leave it out, return the norm, and look at it after the call"
                + see("error_if_nonfinite-in-a-compiled-step")
            )
        if not math.isfinite(total.item()):  # type: ignore[arg-type]
            raise RuntimeError(
                f"The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be "
                "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
                "`error_if_nonfinite=False`"
            )
    return total


def coefficient(max_norm: Number, total_norm: Number) -> mx.array:
    """What the gradients are multiplied by, in float32 or float64."""
    total = total_norm if isinstance(total_norm, mx.array) else mx.array(total_norm, mx.float32)
    total = total.astype(wide([total.dtype]))
    return mx.minimum(max_norm / (total + 1e-6), 1.0).astype(total.dtype)


def scaled(grad: Leaf, scale: mx.array) -> Leaf:
    """``grad * scale``, multiplied in ``scale``'s precision and rounded to the gradient's dtype."""
    if isinstance(grad, RowSparse):
        return grad._with(grad.indices, _times(grad.values, scale))
    return _times(grad, scale)


def clamped(grad: Leaf, bound: Number) -> Leaf:
    """``min(max(grad, -bound), bound)`` in the gradient's dtype."""
    if isinstance(grad, RowSparse):
        grad = grad.distinct()
        return grad._with(grad.indices, _clamp(grad.values, bound))
    return _clamp(grad, bound)


def refuse_complex(leaves: Sequence[Leaf]) -> None:
    """Complex numbers have no order."""
    if any(g.dtype == mx.complex64 for g in leaves):
        raise NotImplementedError("clamp is not supported for complex types")


# Leaves and numbers -------------------------------------------------------------------------------------------------


def _are_parts(leaves: Mapping[str, Leaf], group: Group | None, sharded: Sharded) -> list[bool]:
    if sharded is None:
        return [True] * len(leaves)
    if group is None:
        raise ValueError("sharded= says which gradients are parts of a group's, and no group= is given")
    if isinstance(sharded, Module):
        parts = names_of_parts(sharded)
        return [name in parts for name in leaves]
    if not callable(sharded):
        raise TypeError(
            f"sharded is a {type(sharded).__name__}, expected a model, a function (name, gradient) -> bool, or None"
        )
    return [bool(sharded(name, leaf)) for name, leaf in leaves.items()]


def _leaves(grads: Any) -> dict[str, Leaf]:
    """The gradients of a tree by name. TypeError if there is anything else."""
    if isinstance(grads, Module):
        raise TypeError(
            f"the gradients are a tree of arrays, as mlx.nn.value_and_grad gives it, not a {type(grads).__name__}: for "
            "those that backward() left in the parameters of a model use torchish_mlx.nn.utils"
        )
    leaves: dict[str, Leaf] = {}
    for path, leaf in cast(list[tuple[str, Any]], tree_flatten(grads)):
        if not isinstance(leaf, (mx.array, RowSparse)):
            raise TypeError(f"the gradient of {path!r} must be an mx.array, but is {type(leaf).__name__}")
        leaves[path] = leaf
    return leaves


def _at_least_zero(name: str, value: Number) -> Number:
    """``value``, checked where that needs no evaluation."""
    if isinstance(value, mx.array):
        if value.ndim:
            raise ValueError(f"{name} must be a number or an array without dimensions, but has shape {value.shape}")
        return value
    number = float(value)
    if not number >= 0:
        raise ValueError(f"{name} should be >=0, {value} was provided instead")
    return number


def _times(values: mx.array, scale: mx.array) -> mx.array:
    precise = scale if values.dtype == mx.float64 else scale.astype(mx.float32)
    return (values * precise).astype(_kept(values.dtype))


def _clamp(values: mx.array, bound: Number) -> mx.array:
    dtype = _kept(values.dtype)
    return mx.clip(values.astype(dtype), -bound, bound).astype(dtype)


def _kept(dtype: mx.Dtype) -> mx.Dtype:
    """A clipped gradient's dtype: its own, if that is not an integer's."""
    return dtype if mx.issubdtype(dtype, mx.inexact) else mx.float32
