"""Clipping of ``p.grad``, in place and without an evaluation: torch's functions over those on trees of arrays.

``foreach`` is torch's choice between two implementations of the same numbers. There is one here: True, False and None
give the same.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

import mlx.core as mx
from mlx.nn import Module

from ..._core.alone import Alone
from ..._core.evaluation import arrays_in, schedule
from ..._core.promotion import INEXACT, NAMES
from ..._core.sparse import RowSparse
from ..._tensor.tensor import Tensor
from ...optimizers._norm import Group, Leaf
from ...optimizers.clip import Number, clamped, coefficient, norm_of, refuse_complex, scaled
from ._parameters import Given, Gradient, ParametersT, leaf_of


def get_total_norm(
    tensors: Tensor | Iterable[Gradient],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001  # the same numbers, see above
    *,
    group: Group | None = None,
) -> Tensor:
    """The norm of all tensors as one vector, ``(sum |x|^p)^(1/p)``.

    It is float32, or float64 if one of the tensors is. torch gives it in the tensors' dtype, in which the norm of
    float16 gradients overflows from 65504 on.

    Args:
        tensors: gradients: a Tensor, or an iterable of Tensors and ``RowSparse``, whose repeated rows are summed first.
        norm_type: p, any number, or "inf"; inf gives the largest ``|x|``, -inf the smallest, and 0, as in torch, the
            number of tensors with an element other than 0.
        error_if_nonfinite: evaluate the norm, and raise if it is nan or infinite.
        foreach: None, True or False: torch's choice of an implementation; the numbers are the same.
        group: the processes of which each has another part of every tensor. All of them call it, and get the norm of
            the whole. Leave it out where the tensors are the same in all processes.

    Returns:
        A Tensor without dimensions or graph; 0.0 if there are no tensors.

    Raises:
        RuntimeError: the norm is not finite and ``error_if_nonfinite``; a tensor has integers; a tensor has no elements
            and p is inf or negative.
        TypeError: something that is not a tensor.

    Example:
        >>> from torchish_mlx import tensor
        >>> get_total_norm([tensor([3.0]), tensor([[4.0]])])
        tensor(5.)

    Source: ``torch.nn.utils.get_total_norm``.
    """
    if isinstance(tensors, (Tensor, RowSparse, mx.array)):
        tensors = [tensors]
    elif isinstance(tensors, dict):  # a Module is one
        raise TypeError(
            f"get_total_norm() takes a Tensor or an iterable of Tensors, not {type(tensors).__name__}. For a tree of "
            "arrays use torchish_mlx.optimizers.get_total_norm; for a model, [p.grad for p in parameters(model)]"
        )
    leaves = [leaf_of(t) for t in tensors]
    for leaf in leaves:
        if leaf.dtype not in INEXACT:
            raise RuntimeError(
                "linalg.vector_norm: Expected a floating point or complex tensor as input. Got " + NAMES[leaf.dtype]
            )
    return Tensor(norm_of(leaves, norm_type, error_if_nonfinite, group, [True] * len(leaves)))


def clip_grads_with_norm_(
    parameters: ParametersT,
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,  # noqa: ARG001
) -> None:
    """Multiply every gradient by ``min(max_norm / (total_norm + 1e-6), 1)``, in place.

    The factor is float32 (float64 if ``total_norm`` is), and each gradient keeps its dtype.

    Args:
        parameters: an iterable of Tensors, a Tensor, or an ``mlx.nn.Module``; those without a gradient are left out.
        max_norm: the largest norm allowed. As in torch, a negative one reverses the gradients.
        total_norm: the norm, as :func:`get_total_norm` gives it: a Tensor without dimensions.
        foreach: None, True or False: torch's choice of an implementation; the numbers are the same.

    Raises:
        RuntimeError: ``total_norm`` has dimensions.
        TypeError: ``parameters`` is a tree of arrays, or ``total_norm`` is no number.

    Example:
        >>> from torchish_mlx import Parameter, tensor
        >>> p = Parameter([1.0])
        >>> p.grad = tensor([8.0])
        >>> clip_grads_with_norm_([p], max_norm=1.0, total_norm=tensor(16.0))
        >>> p.grad
        tensor([0.5000])

    Source: ``torch.nn.utils.clip_grads_with_norm_``.
    """
    tensors = Given(parameters).with_gradient()
    with Alone("clip_grads_with_norm_()", tensors, lambda: tensors):
        _scale(tensors, _number(max_norm), total_norm)


def clip_grad_norm_(
    parameters: ParametersT,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001
    *,
    group: Group | None = None,
    sharded: ParametersT | None = None,
) -> Tensor:
    """Scale the gradients in place so that their total norm is at most ``max_norm``; returns the norm before.

    ``g *= min(max_norm / (norm + 1e-6), 1)``. ``p.grad`` stays the same Tensor and keeps its dtype. The new
    gradients are scheduled for evaluation, and waited for only with ``error_if_nonfinite``. It works inside a compiled
    step. The norm is float32 (float64 if a gradient is); torch takes it in the gradients' dtype, and clips float16
    gradients to zero where it is above 65504.

    Args:
        parameters: an iterable of Tensors, a Tensor, or an ``mlx.nn.Module``; those without a gradient are left out.
        max_norm: the largest norm allowed. As in torch, a negative one reverses the gradients.
        norm_type: p, as for :func:`get_total_norm`.
        error_if_nonfinite: raise if the norm is nan or infinite, before anything is changed. Without it, as in torch, a
            nan norm makes every gradient nan, and an infinite one makes 0 of what is finite and nan of what is not.
        foreach: None, True or False: torch's choice of an implementation; the numbers are the same.
        group: the processes of which each holds other parts of the model (``mx.distributed.init()``). All of them call
            it, and clip by the norm of the whole model, in which what is the same everywhere counts once. Leave it out
            where every process holds the whole model, and the gradients were averaged.
        sharded: with ``group``, the parameters that are parts. None: those of MLX's sharded layers
            (``mlx.nn.AllToShardedLinear`` and its like), and, where the model itself is given and not a list of its
            parameters, of what ``fully_shard`` wrapped. What ``shard_inplace`` cut looks like any other layer: name it.

    Returns:
        A Tensor without dimensions or graph; 0.0 if there are no gradients.

    Raises:
        RuntimeError: the norm is not finite and ``error_if_nonfinite``; a gradient has no elements and p is inf or
            negative; ``error_if_nonfinite`` inside a compiled step.
        TypeError: ``parameters`` is a tree of arrays, ``group`` is no group.
        ValueError: ``sharded`` without ``group``.

    Example:
        >>> import mlx.core as mx, mlx.nn as nn
        >>> from torchish_mlx import backward, parameters
        >>> model = nn.Linear(2, 1, bias=False)
        >>> loss = backward(model, lambda m, x: m(x).sum(), mx.array([[3.0, 4.0]]))
        >>> clip_grad_norm_(model, max_norm=1.0)
        tensor(5.)
        >>> next(parameters(model)).grad
        tensor([[0.6000, 0.8000]])

    Source: ``torch.nn.utils.clip_grad_norm_``.
    """
    limit = _number(max_norm)
    if sharded is not None and group is None:
        raise ValueError("sharded= says which parameters are parts of a group's, and no group= is given")
    given = Given(parameters)
    if not given.tensors and isinstance(parameters, (types.GeneratorType, Module)):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    tensors = given.with_gradient()
    with Alone("clip_grad_norm_()", tensors, lambda: tensors):
        leaves, are_parts = [leaf_of(t.grad) for t in tensors], given.are_parts(tensors, sharded)
        total_norm = Tensor(norm_of(leaves, norm_type, error_if_nonfinite, group, are_parts))
        _scale(tensors, limit, total_norm)
    return total_norm


def clip_grad_norm(
    parameters: ParametersT,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
    *,
    group: Group | None = None,
    sharded: ParametersT | None = None,
) -> Tensor:
    """torch's deprecated name of :func:`clip_grad_norm_`, with a FutureWarning.

    (``torchish_mlx.optimizers.clip_grad_norm``, which takes a tree of arrays, is not deprecated.)

    Source: ``torch.nn.utils.clip_grad_norm``.
    """
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach, group=group, sharded=sharded)


def clip_grad_value_(
    parameters: ParametersT,
    clip_value: float,
    foreach: bool | None = None,  # noqa: ARG001
) -> None:
    """Move every element of the gradients into [-clip_value, clip_value], in place.

    Args:
        parameters: an iterable of Tensors, a Tensor, or an ``mlx.nn.Module``; those without a gradient are left out.
            (torch raises an internal error if none has one; nothing happens here.)
        clip_value: the bound. As in torch a negative one becomes the value of every element.
        foreach: None, True or False: torch's choice of an implementation; the numbers are the same.

    Raises:
        NotImplementedError: a gradient is complex.
        TypeError: ``parameters`` is a tree of arrays.

    Example:
        >>> from torchish_mlx import Parameter, tensor
        >>> p = Parameter([0.0, 0.0])
        >>> p.grad = tensor([-3.0, 0.5])
        >>> clip_grad_value_([p], 1.0)
        >>> p.grad
        tensor([-1.0000,  0.5000])

    Source: ``torch.nn.utils.clip_grad_value_``.
    """
    bound = _number(clip_value)
    tensors = Given(parameters).with_gradient()
    with Alone("clip_grad_value_()", tensors, lambda: tensors):
        refuse_complex([leaf_of(t.grad) for t in tensors])
        for tensor in tensors:
            _write(tensor.grad, clamped(leaf_of(tensor.grad), bound))
        schedule(arrays_in([t.grad for t in tensors]))


def _number(value: Any) -> Number:
    """A Python number, or the array of a Tensor of one element, which is not read here."""
    array = value.array if isinstance(value, Tensor) else value
    if isinstance(array, mx.array) and array.size == 1:
        return array.reshape(())
    return float(value)


def _scale(tensors: list[Tensor], max_norm: Number, total_norm: Tensor) -> None:
    """To a gradient that two parameters share, torch applies the factor twice; so does this."""
    norm: Any = total_norm.array if isinstance(total_norm, Tensor) else total_norm
    if not isinstance(norm, (mx.array, int, float)):
        raise TypeError(f"total_norm is a Tensor, as get_total_norm() gives it, not a {type(norm).__name__}")
    if isinstance(norm, mx.array) and norm.ndim:
        raise RuntimeError(
            f"scalar tensor expected to be 0 dim but it has {norm.ndim} dimensions and {norm.size} elements."
        )
    if tensors:
        factor = coefficient(max_norm, norm)
        for tensor in tensors:
            _write(tensor.grad, scaled(leaf_of(tensor.grad), factor))
        schedule(arrays_in([t.grad for t in tensors]))


def _write(grad: Gradient, new: Leaf) -> None:
    if isinstance(grad, Tensor):
        assert isinstance(new, mx.array)
        grad._storage.array = new
    else:
        assert isinstance(new, RowSparse)
        grad.indices, grad.values = new.indices, new.values
