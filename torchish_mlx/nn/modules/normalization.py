"""Normalization over the last dimensions, groups of channels, or channels nearby."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...ops.creation import empty
from .. import functional as F
from .. import init
from ._words import said
from .module import Module

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class _Scaled(Module):
    """Weight and bias that begin as 1 and 0."""

    weight: Any
    bias: Any

    def _register(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            made = Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, made)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


def _shape(given: Any) -> tuple[int, ...]:
    return (int(given),) if isinstance(given, Integral) else tuple(given)


class LayerNorm(_Scaled):
    """The last dimensions, normalized: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape ``(*, *normalized_shape)``, the result the same; mean and variance are over
    ``normalized_shape``.

    Args:
        normalized_shape: the last sizes of the input, or the last one as a number.
        eps: is added to the variance.
        elementwise_affine: whether there are weight and bias, of shape ``normalized_shape``, which begin as 1 and 0.
        bias: whether there is a bias too.
        device, dtype: those of the Parameters.

    Raises:
        RuntimeError: when called with other last sizes.

    Source: ``torch.nn.LayerNorm``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LayerNorm(2, elementwise_affine=False)(torch.tensor([[1.0, 3.0]]))
    tensor([[-1.0000,  1.0000]])
    """

    __constants__: ClassVar = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._register(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """``functional.layer_norm``."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The shape and all options."""
        return f"{self.normalized_shape}, {said(self, 'eps', 'elementwise_affine')}, bias={self.bias is not None}"


class GroupNorm(_Scaled):
    """Groups of channels, normalized in each sample: y = (x - mean) / sqrt(var + eps) * weight + bias.

    The input has shape ``(N, num_channels, *)``, the result the same.

    Args:
        num_groups: how many groups there are.
        num_channels: how many channels there are; a multiple of ``num_groups``.
        eps: is added to the variance.
        affine: whether there are weight and bias of each channel, which begin as 1 and 0.
        device, dtype: those of the Parameters.
        bias: whether there is a bias too.

    Raises:
        ValueError: the channels can't be divided into the groups.

    Source: ``torch.nn.GroupNorm``.

    >>> import torchish_mlx as torch
    >>> torch.nn.GroupNorm(2, 6)(torch.ones(4, 6, 5)).shape
    torch.Size([4, 6, 5])
    """

    __constants__: ClassVar = ["num_groups", "num_channels", "eps", "affine"]

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._register((num_channels,), affine, affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """``functional.group_norm``."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The groups, the channels and all options."""
        return f"{self.num_groups}, {self.num_channels}, {said(self, 'eps', 'affine')}, bias={self.bias is not None}"


class RMSNorm(Module):
    """The last dimensions, divided by the root of their mean square: y = x / sqrt(mean(x^2) + eps) * weight.

    The input has shape ``(*, *normalized_shape)``, the result the same; the mean is over ``normalized_shape``.

    Args:
        normalized_shape: the last sizes of the input, or the last one as a number.
        eps: is added to the mean square; None for the dtype's ``finfo(dtype).eps``.
        elementwise_affine: whether there is a weight, of shape ``normalized_shape``, which begins as 1.
        device, dtype: those of the weight.

    Raises:
        RuntimeError: when called with other last sizes.

    Source: ``torch.nn.RMSNorm``.

    >>> import torchish_mlx as torch
    >>> torch.nn.RMSNorm(2, elementwise_affine=False)(torch.tensor([[3.0, 3.0]]))
    tensor([[1., 1.]])
    """

    __constants__: ClassVar = ["normalized_shape", "eps", "elementwise_affine"]
    weight: Any

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1."""
        if self.elementwise_affine:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``functional.rms_norm``."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The shape and all options."""
        return f"{self.normalized_shape}, {said(self, 'eps', 'elementwise_affine')}"


class LocalResponseNorm(Module):
    """Each channel, divided by a power of the squares in channels nearby: x / (k + alpha / size sum x^2)^beta.

    The input has shape ``(N, C, *)``, the result the same; the sum is over ``size`` channels around each.

    Args:
        size: how many channels are summed.
        alpha, beta, k: the numbers of the formula.

    Raises:
        ValueError: when called with fewer than 3 dimensions.

    Source: ``torch.nn.LocalResponseNorm``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LocalResponseNorm(2)(torch.ones(1, 4, 3)).shape
    torch.Size([1, 4, 3])
    """

    __constants__: ClassVar = ["size", "alpha", "beta", "k"]

    def __init__(self, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """``functional.local_response_norm``."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The size and the numbers of the formula."""
        return f"{self.size}, {said(self, 'alpha', 'beta', 'k')}"
