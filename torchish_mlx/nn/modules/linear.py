"""Linear maps."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...ops.creation import empty
from .. import functional as F
from .. import init
from ._words import begin, said
from .lazy import LazyModuleMixin, UninitializedParameter
from .module import Module

__all__ = [
    "Bilinear",
    "Identity",
    "LazyLinear",
    "Linear",
]


class Identity(Module):
    """Its input; arguments are ignored, so that it can take the place of another module.

    Source: ``torch.nn.Identity``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Identity(54, unused=True)(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as in torch
        super().__init__()

    def forward(self, input: Any) -> Any:
        """``input`` itself."""
        return input


class Linear(Module):
    """A linear map: y = x A^T + b.

    The input has shape ``(*, in_features)``, the result ``(*, out_features)``. ``weight`` has shape (out_features,
    in_features), ``bias`` (out_features); both begin uniformly in +-1 / sqrt(in_features).

    Args:
        in_features: the size of each vector.
        out_features: the size of each result.
        bias: whether b is added.
        device, dtype: those of the Parameters.

    Raises:
        RuntimeError: when called with vectors of another size.

    Source: ``torch.nn.Linear``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.Linear(3, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    >>> layer(torch.ones(4, 3)).shape
    torch.Size([4, 2])
    """

    __constants__: ClassVar = ["in_features", "out_features"]
    weight: Any
    bias: Any

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        begin(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """``functional.linear``."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return f"{said(self, 'in_features', 'out_features')}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """``Linear`` under the name that torch's attention has its last map under."""


class Bilinear(Module):
    """A bilinear map of two vectors: y = x1^T A x2 + b.

    The inputs have shapes ``(*, in1_features)`` and ``(*, in2_features)``, the result ``(*, out_features)``. ``weight``
    has shape (out_features, in1_features, in2_features); it and ``bias`` begin uniformly in +-1 / sqrt(in1_features).

    Args:
        in1_features: the size of the first vectors, at least 1.
        in2_features: the size of the second vectors.
        out_features: the size of each result.
        bias: whether b is added.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: ``in1_features`` is not positive.

    Source: ``torch.nn.Bilinear``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Bilinear(3, 4, 2)(torch.ones(5, 3), torch.ones(5, 4)).shape
    torch.Size([5, 2])
    """

    __constants__: ClassVar = ["in1_features", "in2_features", "out_features"]
    weight: Any
    bias: Any

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in1_features, in2_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        if self.in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={self.in1_features})")
        bound = 1 / math.sqrt(self.weight.shape[1])
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """``functional.bilinear``."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return f"{said(self, 'in1_features', 'in2_features', 'out_features')}, bias={self.bias is not None}"


class LazyLinear(LazyModuleMixin, Linear):
    """``Linear`` whose ``in_features`` is the last size of its first input; then it is a ``Linear``.

    Args:
        out_features: the size of each result.
        bias: whether there is a bias.
        device, dtype: those of the Parameters.

    Raises:
        ValueError: a Parameter is used before the first call.

    Source: ``torch.nn.LazyLinear``.

    >>> import torchish_mlx as torch
    >>> layer = torch.nn.LazyLinear(2)
    >>> layer(torch.ones(4, 3)).shape
    torch.Size([4, 2])
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw weight and bias again, once their shapes are known."""
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Give weight and bias their shapes, or learn them from a weight that was loaded."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if not self.in_features:
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from "
                    f"self.weight: {self.weight.shape[-1]}"
                )
            self.in_features = input.shape[-1]
