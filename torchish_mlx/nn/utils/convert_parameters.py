"""Parameters as one vector, and back, spelled like ``torch.nn.utils.convert_parameters``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from ..._tensor.tensor import Tensor
from ...ops.joining import cat
from ...ops.shaping import as_view
from ...ops.types import typename

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of ``parameters``, one after the other, as a vector of shape ``(sum of numel,)``.

    Gradients go through it to the parameters.

    Raises:
        RuntimeError: there are no parameters.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Linear(2, 3)
    >>> torch.nn.utils.parameters_to_vector(layer.parameters()).shape
    torch.Size([9])

    Source: ``torch.nn.utils.parameters_to_vector``.
    """
    joined: Tensor = cat([as_view(parameter, -1) for parameter in parameters])
    return joined


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Make the elements of ``vec`` those of ``parameters``, in their order; what is left of ``vec`` is ignored.

    Each parameter keeps its shape and takes the dtype of ``vec``.

    Raises:
        TypeError: ``vec`` is no Tensor.
        RuntimeError: ``vec`` has fewer elements than the parameters; nothing is changed.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Linear(1, 2)
    >>> torch.nn.utils.vector_to_parameters(torch.arange(4.0), layer.parameters())
    >>> layer.bias
    Parameter containing:
    tensor([2., 3.], requires_grad=True)

    Source: ``torch.nn.utils.vector_to_parameters``.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {typename(vec)}")
    given = list(parameters)
    ends = [*accumulate(parameter.numel() for parameter in given)]
    parts: list[Tensor] = [as_view(vec[end - p.numel() : end], p.shape) for p, end in zip(given, ends, strict=True)]
    for parameter, part in zip(given, parts, strict=True):
        parameter.data = part.data
