"""Dropout as ``torch.nn.functional`` has it: with defaults, ``inplace``, and whole channels by their dimensions."""

from __future__ import annotations

import warnings
from typing import Any

from .._tensor.tensor import Tensor
from . import dropout as kinds
from ._declare import composed
from .shaping import squeeze, unsqueeze

_KEPT = "and silence this warning, please use dropout instead. Note that"


def _dropped(input: Tensor, p: float, training: bool, inplace: bool, function: Any, write: Any) -> Tensor:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    out: Tensor = (write if inplace else function)(input, p, training)
    return out


def _channels(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    return _dropped(input, p, training, inplace, kinds.feature_dropout, kinds.feature_dropout_)


def _one(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Of one sample without a dimension for it."""
    out = _channels(unsqueeze(input, 0), p, training, inplace)
    return input if inplace else squeeze(out, 0)


def _warn(name: str, input: Tensor, spatial: int) -> None:
    n = input.ndim
    if n not in (spatial + 1, spatial + 2):
        warnings.warn(
            f"{name}: Received a {n}-D input to {name}, which is deprecated and will result in an error in a future "
            f"release. To retain the behavior {_KEPT} {name} exists to provide channel-wise dropout on inputs with "
            f"{spatial} spatial dimensions, a channel dimension, and an optional batch dimension (i.e. {spatial + 1}D "
            f"or {spatial + 2}D inputs).",
            stacklevel=4,
        )


@composed(module="nn.functional", shape="that of ``input``")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Elements set to 0 with probability ``p``, the others times 1 / (1 - p); ``input`` itself without ``training``.

    Raises:
        ValueError: ``p`` is not from 0 to 1.
        RuntimeError: integers; a call inside a function that MLX compiles.

    >>> import torchish_mlx as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.nn.functional.dropout(torch.ones(5))
    tensor([0., 0., 2., 0., 0.])
    """
    return _dropped(input, p, training, inplace, kinds.dropout, kinds.dropout_)


@composed(module="nn.functional", shape="that of ``input``")
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """``torch.alpha_dropout``: dropout for SELU, whose mean and variance stay. Errors as ``dropout``."""
    return _dropped(input, p, training, inplace, kinds.alpha_dropout, kinds.alpha_dropout_)


@composed(module="nn.functional", shape="that of ``input``")
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """``alpha_dropout`` of whole channels, the second dimension. Errors as ``dropout``."""
    return _dropped(input, p, training, inplace, kinds.feature_alpha_dropout, kinds.feature_alpha_dropout_)


@composed(module="nn.functional", shape="that of ``input``: (n, c, l) or (c, l)")
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of a sequence.

    Raises:
        ValueError: ``p`` is not from 0 to 1.
        RuntimeError: not 2 or 3 dimensions; and as ``dropout``.
    """
    n = input.ndim
    if 0 <= p <= 1 and n not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {n}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch "
            "dimension (i.e. 2D or 3D inputs)."
        )
    return (_one if n == 2 else _channels)(input, p, training, inplace)


@composed(module="nn.functional", shape="that of ``input``: (n, c, h, w)")
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of images. Three dimensions are taken as (n, c, l), with a warning, as in torch.

    Raises:
        ValueError: ``p`` is not from 0 to 1.
        RuntimeError: fewer than 2 dimensions; and as ``dropout``.
    """
    if 0 <= p <= 1:
        _warn("dropout2d", input, 2)
        if input.ndim == 3:
            warnings.warn(
                "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is "
                "desired - input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will "
                "change in a future release to interpret the input as one without a batch dimension, i.e. shape (C, H, "
                "W). To maintain the 1D channel-wise dropout behavior, please switch to using dropout1d instead.",
                stacklevel=3,
            )
    return _channels(input, p, training, inplace)


@composed(module="nn.functional", shape="that of ``input``: (n, c, d, h, w) or (c, d, h, w)")
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of volumes.

    Raises:
        ValueError: ``p`` is not from 0 to 1.
        RuntimeError: as ``dropout``.
    """
    if 0 <= p <= 1:
        _warn("dropout3d", input, 3)
    return (_channels if input.ndim == 5 else _one)(input, p, training, inplace)


@composed(module="nn.functional", shape="that of ``input``")
def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """``torch.rrelu``: input where it is positive, else times a number between ``lower`` and ``upper``."""
    out: Tensor = (kinds.rrelu_ if inplace else kinds.rrelu)(input, lower, upper, training)
    return out
