"""Gradient trees of models with tied weights."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map_with_path

from .._core.sparse import added
from .._tensor.tensor import Tensor
from ._walk import checked
from .parameters import at_path, walked


def tied_gradients(model: nn.Module, gradients: Any) -> Any:
    """The same tree, with the whole gradient of a Parameter at the first of its places, and zeros at the others.

    ``mlx.nn.value_and_grad`` gives a part of the gradient for each place of tied weights. ``optimizer.update`` adds
    them up by itself. A norm of the tree (``torchish_mlx.optimizers.clip_grad_norm``) is torch's only after this.

    Args:
        model (mlx.nn.Module): the model of which the gradients are; it may have more parameters.
        gradients: a tree of arrays.

    Raises:
        KeyError: a gradient of what is no parameter of ``model``.
        TypeError: ``model`` is not an ``mlx.nn.Module``.

    Example:
        >>> import mlx.core as mx, mlx.nn as nn
        >>> from torchish_mlx import tied_gradients
        >>> from torchish_mlx.optimizers import get_total_norm
        >>> model = nn.Sequential(nn.Embedding(2, 1), nn.Linear(1, 2, bias=False))
        >>> model.layers[1].weight = model.layers[0].weight
        >>> gradients = {"layers": [{"weight": mx.full((2, 1), 3.0)}, {"weight": mx.full((2, 1), -3.0)}]}
        >>> get_total_norm(gradients).item(), get_total_norm(tied_gradients(model, gradients)).item()
        (6.0, 0.0)

    Source: ``torch.Tensor.grad`` of a Parameter that several modules have.
    """
    walked(checked(model, "tied_gradients"))
    leaves: list[tuple[str, Any]] = tree_flatten(gradients)  # type: ignore[assignment]
    owners = {path: at_path(model, path) for path, _ in leaves}
    sums: dict[Tensor, Any] = {}
    for path, gradient in leaves:
        p = owners[path]
        sums[p] = gradient if p not in sums else added(sums[p], gradient)

    def whole(path: str, gradient: Any) -> Any:
        first = sums.pop(owners[path], None)
        return mx.zeros(gradient.shape, gradient.dtype) if first is None else first

    return tree_map_with_path(whole, gradients)
