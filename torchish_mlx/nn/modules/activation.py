"""Activations: those of pieces of lines and exponentials here, the smooth ones from ``_smooth``."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...ops.creation import empty
from .. import functional as F
from .. import init
from ._attention import MultiheadAttention
from ._smooth import (
    GELU,
    GLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    Sigmoid,
    SiLU,
    Softmax,
    Softmax2d,
    Softmin,
    Softplus,
    Softsign,
    Tanh,
    Tanhshrink,
)
from ._words import inplace, said
from .module import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class Threshold(Module):
    """Elements above a threshold as they are, and a value in place of the others.

    Args:
        threshold, value: the two numbers.
        inplace: whether the input is overwritten.

    Source: ``torch.nn.Threshold``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Threshold(0.1, 20.0)(torch.tensor([-2.0, 0.5]))
    tensor([20.0000,  0.5000])
    """

    __constants__: ClassVar = ["threshold", "value", "inplace"]

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.threshold``."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "threshold", "value") + inplace(self)


class ReLU(Module):
    """max(x, 0).

    Args:
        inplace: whether the input is overwritten.

    Source: ``torch.nn.ReLU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReLU()(torch.tensor([-2.0, 0.5]))
    tensor([0.0000, 0.5000])
    """

    __constants__: ClassVar = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.relu``."""
        return F.relu(input, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return inplace(self).removeprefix(", ")


class RReLU(Module):
    """x where it is positive, elsewhere a x; in training a is drawn from U(lower, upper), later it is the mean.

    Args:
        lower, upper: the bounds of a; lower is not above upper.
        inplace: whether the input is overwritten.

    Raises:
        RuntimeError: when called with bounds in the wrong order.

    Source: ``torch.nn.RReLU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.RReLU(0.25, 0.25).eval()(torch.tensor([-2.0, 0.5]))
    tensor([-0.5000,  0.5000])
    """

    __constants__: ClassVar = ["lower", "upper", "inplace"]

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.rrelu``."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "lower", "upper") + inplace(self)


class Hardtanh(Module):
    """x between two bounds: min(max(x, min_val), max_val).

    Args:
        min_val, max_val: the bounds.
        inplace: whether the input is overwritten.
        min_value, max_value: torch's old names of the bounds, with its warning.

    Raises:
        AssertionError: the bounds are in the wrong order.

    Source: ``torch.nn.Hardtanh``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Hardtanh()(torch.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    __constants__: ClassVar = ["min_val", "max_val", "inplace"]

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        for old, given in (("min_value", min_value), ("max_value", max_value)):
            if given is not None:
                warnings.warn(
                    f"keyword argument `{old}` is deprecated and renamed to `{old[:7]}`", FutureWarning, stacklevel=2
                )
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input: Tensor) -> Tensor:
        """``functional.hardtanh``."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "min_val", "max_val") + inplace(self)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6).

    Args:
        inplace: whether the input is overwritten.

    Source: ``torch.nn.ReLU6``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReLU6()(torch.tensor([-2.0, 7.0]))
    tensor([0., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        """The options."""
        return inplace(self).removeprefix(", ")


class Hardsigmoid(Module):
    """Straight lines near the sigmoid: min(max(x + 3, 0), 6) / 6.

    Args:
        inplace: whether the input is overwritten.

    Source: ``torch.nn.Hardsigmoid``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Hardsigmoid()(torch.tensor([-2.0, 0.5]))
    tensor([0.1667, 0.5833])
    """

    __constants__: ClassVar = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.hardsigmoid``."""
        return F.hardsigmoid(input, self.inplace)


class Hardswish(Module):
    """x times ``Hardsigmoid``: x min(max(x + 3, 0), 6) / 6.

    Args:
        inplace: whether the input is overwritten.

    Source: ``torch.nn.Hardswish``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Hardswish()(torch.tensor([-2.0, 0.5]))
    tensor([-0.3333,  0.2917])
    """

    __constants__: ClassVar = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.hardswish``."""
        return F.hardswish(input, self.inplace)


class ELU(Module):
    """x where it is positive, elsewhere alpha (exp(x) - 1).

    Args:
        alpha: the number of the formula.
        inplace: whether the input is overwritten.

    Source: ``torch.nn.ELU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ELU()(torch.tensor([-2.0, 0.5]))
    tensor([-0.8647,  0.5000])
    """

    __constants__: ClassVar = ["alpha", "inplace"]

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.elu``."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "alpha") + inplace(self)


class CELU(Module):
    """x where it is positive, elsewhere alpha (exp(x / alpha) - 1).

    Args:
        alpha: the number of the formula, not 0.
        inplace: whether the input is overwritten.

    Raises:
        RuntimeError: when called with an alpha of 0.

    Source: ``torch.nn.CELU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.CELU()(torch.tensor([-2.0, 0.5]))
    tensor([-0.8647,  0.5000])
    """

    __constants__: ClassVar = ["alpha", "inplace"]

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.celu``."""
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "alpha") + inplace(self)


class SELU(Module):
    """``ELU`` with alpha 1.6733, times 1.0507: numbers by which mean 0 and variance 1 stay over many layers.

    Args:
        inplace: whether the input is overwritten.

    Source: ``torch.nn.SELU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.SELU()(torch.tensor([-2.0, 0.5]))
    tensor([-1.5202,  0.5254])
    """

    __constants__: ClassVar = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.selu``."""
        return F.selu(input, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return inplace(self).removeprefix(", ")


class LeakyReLU(Module):
    """x where it is positive, elsewhere negative_slope x.

    Args:
        negative_slope: the number of the formula.
        inplace: whether the input is overwritten.

    Source: ``torch.nn.LeakyReLU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LeakyReLU()(torch.tensor([-2.0, 0.5]))
    tensor([-0.0200,  0.5000])
    """

    __constants__: ClassVar = ["negative_slope", "inplace"]

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.leaky_relu``."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "negative_slope") + inplace(self)


class PReLU(Module):
    """x where it is positive, elsewhere a x, where a is trained.

    Args:
        num_parameters: 1 for all channels, or their number; channels are dimension 1.
        init: what a begins as.
        device, dtype: those of a.

    Raises:
        RuntimeError: when called with another number of channels.

    Source: ``torch.nn.PReLU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.PReLU()(torch.tensor([-2.0, 0.5]))
    tensor([-0.5000,  0.5000], grad_fn=<PreluKernelBackward0>)
    """

    __constants__: ClassVar = ["num_parameters"]
    weight: Any

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set a to what it begins as."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """``functional.prelu``."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "num_parameters")


class Hardshrink(Module):
    """x outside of [-lambd, lambd], 0 inside.

    Args:
        lambd: the bound.

    Source: ``torch.nn.Hardshrink``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Hardshrink()(torch.tensor([-2.0, 0.5]))
    tensor([-2.,  0.])
    """

    __constants__: ClassVar = ["lambd"]

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """``functional.hardshrink``."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.lambd}"


class Softshrink(Module):
    """x moved towards 0 by lambd, and 0 where it would come to the other side.

    Args:
        lambd: how far, at least 0.

    Raises:
        RuntimeError: when called with a negative lambd.

    Source: ``torch.nn.Softshrink``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Softshrink(0.2)(torch.tensor([-2.0, 0.5]))
    tensor([-1.8000,  0.3000])
    """

    __constants__: ClassVar = ["lambd"]

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """``functional.softshrink``."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.lambd}"
