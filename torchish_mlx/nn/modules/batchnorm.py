"""Batch normalization."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._core.dtypes import int64
from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...ops.creation import empty, ones, tensor, zeros
from .. import functional as F
from .. import init
from ._words import said
from .lazy import LazyModuleMixin, UninitializedBuffer, UninitializedParameter
from .module import Module

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
]


def refuse_dimensions(input: Tensor, accepted: tuple[int, ...]) -> None:
    """Raise ValueError where ``input`` has another number of dimensions."""
    if input.ndim not in accepted:
        words = " or ".join(f"{n}D" for n in accepted)
        raise ValueError(f"expected {words} input (got {input.ndim}D input)")


class _NormBase(Module):
    """Weight, bias and running statistics of each channel."""

    _version = 2
    __constants__: ClassVar = ["track_running_stats", "momentum", "eps", "num_features", "affine"]
    #: The numbers of dimensions that the input may have: the classes say them.
    _dimensions: ClassVar[tuple[int, ...]]
    weight: Any
    bias: Any
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            made = Parameter(empty(num_features, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, made)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, device=device, dtype=int64) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running variance to 1, and count the batches from 0."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set the statistics to where they begin, the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        refuse_dimensions(input, self._dimensions)

    def extra_repr(self) -> str:
        """The channels and all options."""
        return (
            f"{self.num_features}, {said(self, 'eps', 'momentum', 'affine')}, bias={self.bias is not None}, "
            f"{said(self, 'track_running_stats')}"
        )

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *lists: Any) -> None:
        """Files of torch before 0.4.1 do not have the number of batches: it stays what it is."""
        version = local_metadata.get("version")
        key = prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            state_dict[key] = tensor(0) if self.num_batches_tracked is None else self.num_batches_tracked
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists)


class _BatchNorm(_NormBase):
    def forward(self, input: Tensor) -> Tensor:
        """``functional.batch_norm``, with the statistics of the batch in training, or where none are kept."""
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        tracks = self.track_running_stats
        if self.training and tracks and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        uses = tracks or not self.training
        return F.batch_norm(
            input,
            self.running_mean if uses else None,
            self.running_var if uses else None,
            self.weight,
            self.bias,
            self.training or (self.running_mean is None and self.running_var is None),
            momentum,
            self.eps,
        )


class _LazyNormBase(LazyModuleMixin, _NormBase):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, device=device, dtype=int64)

    def reset_parameters(self) -> None:
        """Set everything to where it begins, once the shapes are known."""
        if not self.has_uninitialized_params() and self.num_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Give Parameters and buffers the shape that the channels of the input say."""
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for member in (self.weight, self.bias, self.running_mean, self.running_var):
                if member is not None:
                    member.materialize((self.num_features,))
            self.reset_parameters()


class BatchNorm1d(_BatchNorm):
    """Each channel, normalized over the batch: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape (N, num_features) or (N, num_features, length), the result the same. In training, mean and
    variance are those of the batch, and the running ones move towards them, the variance with Bessel's correction:
    running = (1 - momentum) running + momentum new. After ``eval()`` the running ones are used.

    Args:
        num_features: how many channels there are.
        eps: is added to the variance.
        momentum: how much the running statistics move at each batch, from 0 to 1; None for the mean of all batches.
        affine: whether there are weight and bias, which begin as 1 and 0.
        track_running_stats: whether running statistics are kept; without them those of the batch are always used.
        device, dtype: those of the Parameters and buffers.
        bias: whether there is a bias too.

    Raises:
        ValueError: when called with another number of dimensions, or in training with one value for each channel.

    Source: ``torch.nn.BatchNorm1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.BatchNorm1d(3)
    >>> layer(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    >>> layer.num_batches_tracked
    tensor(1)
    """

    _dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Each channel, normalized over the batch: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape (N, num_features, height, width), the result the same. In training, mean and
    variance are those of the batch, and the running ones move towards them, the variance with Bessel's correction:
    running = (1 - momentum) running + momentum new. After ``eval()`` the running ones are used.

    Args:
        num_features: how many channels there are.
        eps: is added to the variance.
        momentum: how much the running statistics move at each batch, from 0 to 1; None for the mean of all batches.
        affine: whether there are weight and bias, which begin as 1 and 0.
        track_running_stats: whether running statistics are kept; without them those of the batch are always used.
        device, dtype: those of the Parameters and buffers.
        bias: whether there is a bias too.

    Raises:
        ValueError: when called with another number of dimensions, or in training with one value for each channel.

    Source: ``torch.nn.BatchNorm2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.BatchNorm2d(3)
    >>> layer(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    >>> layer.num_batches_tracked
    tensor(1)
    """

    _dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Each channel, normalized over the batch: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape (N, num_features, depth, height, width), the result the same. In training, mean and
    variance are those of the batch, and the running ones move towards them, the variance with Bessel's correction:
    running = (1 - momentum) running + momentum new. After ``eval()`` the running ones are used.

    Args:
        num_features: how many channels there are.
        eps: is added to the variance.
        momentum: how much the running statistics move at each batch, from 0 to 1; None for the mean of all batches.
        affine: whether there are weight and bias, which begin as 1 and 0.
        track_running_stats: whether running statistics are kept; without them those of the batch are always used.
        device, dtype: those of the Parameters and buffers.
        bias: whether there is a bias too.

    Raises:
        ValueError: when called with another number of dimensions, or in training with one value for each channel.

    Source: ``torch.nn.BatchNorm3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.BatchNorm3d(3)
    >>> layer(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    >>> layer.num_batches_tracked
    tensor(1)
    """

    _dimensions = (5,)


class LazyBatchNorm1d(_LazyNormBase, _BatchNorm):
    """``BatchNorm1d`` whose ``num_features`` are the channels of its first input; then it is a ``BatchNorm1d``.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: as ``BatchNorm1d``.

    Raises:
        ValueError: when called with another number of dimensions, or a Parameter that is used before the first call.

    Source: ``torch.nn.LazyBatchNorm1d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyBatchNorm1d()
    >>> _ = layer(torch.ones(2, 3, 4))
    >>> layer.num_features, type(layer).__name__
    (3, 'BatchNorm1d')
    """

    cls_to_become = BatchNorm1d
    _dimensions = (2, 3)


class LazyBatchNorm2d(_LazyNormBase, _BatchNorm):
    """``BatchNorm2d`` whose ``num_features`` are the channels of its first input; then it is a ``BatchNorm2d``.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: as ``BatchNorm2d``.

    Raises:
        ValueError: when called with another number of dimensions, or a Parameter that is used before the first call.

    Source: ``torch.nn.LazyBatchNorm2d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyBatchNorm2d()
    >>> _ = layer(torch.ones(2, 3, 4, 4))
    >>> layer.num_features, type(layer).__name__
    (3, 'BatchNorm2d')
    """

    cls_to_become = BatchNorm2d
    _dimensions = (4,)


class LazyBatchNorm3d(_LazyNormBase, _BatchNorm):
    """``BatchNorm3d`` whose ``num_features`` are the channels of its first input; then it is a ``BatchNorm3d``.

    Args:
        eps, momentum, affine, track_running_stats, device, dtype, bias: as ``BatchNorm3d``.

    Raises:
        ValueError: when called with another number of dimensions, or a Parameter that is used before the first call.

    Source: ``torch.nn.LazyBatchNorm3d``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyBatchNorm3d()
    >>> _ = layer(torch.ones(2, 3, 4, 4, 4))
    >>> layer.num_features, type(layer).__name__
    (3, 'BatchNorm3d')
    """

    cls_to_become = BatchNorm3d
    _dimensions = (5,)
