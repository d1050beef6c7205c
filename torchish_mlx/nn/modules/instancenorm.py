"""Instance normalization."""

from __future__ import annotations

import warnings
from typing import Any

from ..._tensor.tensor import Tensor
from ...ops.shaping import squeeze, unsqueeze
from .. import functional as F
from .batchnorm import _LazyNormBase, _NormBase

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]


class _InstanceNorm(_NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Files of torch before 0.4 have running statistics, which are kept now where they are asked for alone."""
        if local_metadata.get("version") is None and not self.track_running_stats:
            found = [prefix + name for name in ("running_mean", "running_var") if prefix + name in state_dict]
            for key in found:
                state_dict.pop(key)
            if found:
                name = type(self).__name__
                error_msgs.append(
                    f"Unexpected running stats buffer(s) {' and '.join(map(repr, found))} for {name} with "
                    "track_running_stats=False. Files of torch before 0.4.0 have them: take these keys out of the "
                    f"state dict, or make the {name} with track_running_stats=True."
                )
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _normalized(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )

    def forward(self, input: Tensor) -> Tensor:
        """``functional.instance_norm``."""
        self._check_input_dim(input)
        alone = self._dimensions[0]  # of one sample, without a dimension for the batch
        dim = input.ndim - alone
        if input.shape[dim] != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={dim} to match num_features ({self.num_features}), but got: "
                    f"{input.shape[dim]}."
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features. You can silence this warning by not passing "
                "in num_features, which is not used because affine=False",
                stacklevel=2,
            )
        if input.ndim == alone:
            return squeeze(self._normalized(unsqueeze(input, 0)), 0)
        return self._normalized(input)


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample, normalized by itself: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape (N, num_features, length), or without N; the result the same.

    Args:
        num_features: how many channels there are.
        eps: is added to the variance.
        momentum: how much the running statistics move at each batch, from 0 to 1.
        affine: whether there are weight and bias, which begin as 1 and 0.
        track_running_stats: whether running statistics are kept, and used after ``eval()``.
        device, dtype: those of the Parameters and buffers.
        bias: whether there is a bias too.

    Raises:
        ValueError: when called with another number of dimensions, with other channels where there is a weight, or in
            training with one value for each channel.

    Source: ``torch.nn.InstanceNorm1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.InstanceNorm1d(3)(torch.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    _dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each sample, normalized by itself: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape (N, num_features, height, width), or without N; the result the same.

    Args:
        num_features: how many channels there are.
        eps: is added to the variance.
        momentum: how much the running statistics move at each batch, from 0 to 1.
        affine: whether there are weight and bias, which begin as 1 and 0.
        track_running_stats: whether running statistics are kept, and used after ``eval()``.
        device, dtype: those of the Parameters and buffers.
        bias: whether there is a bias too.

    Raises:
        ValueError: when called with another number of dimensions, with other channels where there is a weight, or in
            training with one value for each channel.

    Source: ``torch.nn.InstanceNorm2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.InstanceNorm2d(3)(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample, normalized by itself: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape (N, num_features, depth, height, width), or without N; the result the same.

    Args:
        num_features: how many channels there are.
        eps: is added to the variance.
        momentum: how much the running statistics move at each batch, from 0 to 1.
        affine: whether there are weight and bias, which begin as 1 and 0.
        track_running_stats: whether running statistics are kept, and used after ``eval()``.
        device, dtype: those of the Parameters and buffers.
        bias: whether there is a bias too.

    Raises:
        ValueError: when called with another number of dimensions, with other channels where there is a weight, or in
            training with one value for each channel.

    Source: ``torch.nn.InstanceNorm3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.InstanceNorm3d(3)(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _dimensions = (4, 5)


class LazyInstanceNorm1d(_LazyNormBase, _InstanceNorm):
    """``InstanceNorm1d`` whose ``num_features`` are the channels of its first input; then it is a ``InstanceNorm1d``.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: as ``BatchNorm1d``.

    Raises:
        ValueError: when called with another number of dimensions, or a Parameter that is used before the first call.

    Source: ``torch.nn.LazyInstanceNorm1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyInstanceNorm1d()
    >>> _ = layer(torch.ones(2, 3, 4))
    >>> layer.num_features, type(layer).__name__
    (3, 'InstanceNorm1d')
    """

    cls_to_become = InstanceNorm1d
    _dimensions = (2, 3)


class LazyInstanceNorm2d(_LazyNormBase, _InstanceNorm):
    """``InstanceNorm2d`` whose ``num_features`` are the channels of its first input; then it is a ``InstanceNorm2d``.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: as ``BatchNorm2d``.

    Raises:
        ValueError: when called with another number of dimensions, or a Parameter that is used before the first call.

    Source: ``torch.nn.LazyInstanceNorm2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyInstanceNorm2d()
    >>> _ = layer(torch.ones(2, 3, 4, 4))
    >>> layer.num_features, type(layer).__name__
    (3, 'InstanceNorm2d')
    """

    cls_to_become = InstanceNorm2d
    _dimensions = (3, 4)


class LazyInstanceNorm3d(_LazyNormBase, _InstanceNorm):
    """``InstanceNorm3d`` whose ``num_features`` are the channels of its first input; then it is a ``InstanceNorm3d``.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: as ``BatchNorm3d``.

    Raises:
        ValueError: when called with another number of dimensions, or a Parameter that is used before the first call.

    Source: ``torch.nn.LazyInstanceNorm3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyInstanceNorm3d()
    >>> _ = layer(torch.ones(2, 3, 4, 4, 4))
    >>> layer.num_features, type(layer).__name__
    (3, 'InstanceNorm3d')
    """

    cls_to_become = InstanceNorm3d
    _dimensions = (4, 5)
