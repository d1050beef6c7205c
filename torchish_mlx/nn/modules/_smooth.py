"""Activations that are smooth, and softmax: what ``activation`` has besides pieces of lines."""

from __future__ import annotations

from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._words import inplace, said
from .module import Module

__all__ = [
    "GELU",
    "GLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    Source: ``torch.nn.Sigmoid``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Sigmoid()(torch.tensor([-2.0, 0.5]))
    tensor([0.1192, 0.6225])
    """

    def forward(self, input: Tensor) -> Tensor:
        """``functional.sigmoid``."""
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    Source: ``torch.nn.Tanh``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Tanh()(torch.tensor([-2.0, 0.5]))
    tensor([-0.9640,  0.4621])
    """

    def forward(self, input: Tensor) -> Tensor:
        """``functional.tanh``."""
        return F.tanh(input)


class SiLU(Module):
    """x sigmoid(x).

    Args:
        inplace: whether the input is overwritten.

    Source: ``torch.nn.SiLU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.SiLU()(torch.tensor([-2.0, 0.5]))
    tensor([-0.2384,  0.3112])
    """

    __constants__: ClassVar = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.silu``."""
        return F.silu(input, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return inplace(self).removeprefix(", ")


class Mish(Module):
    """x tanh(log(1 + exp(x))).

    Args:
        inplace: whether the input is overwritten.

    Source: ``torch.nn.Mish``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Mish()(torch.tensor([-2.0, 0.5]))
    tensor([-0.2525,  0.3752])
    """

    __constants__: ClassVar = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """``functional.mish``."""
        return F.mish(input, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return inplace(self).removeprefix(", ")


class GLU(Module):
    """The first half of a dimension times the sigmoid of the second.

    Args:
        dim: the dimension; its size is even.

    Raises:
        RuntimeError: when called with an odd size.

    Source: ``torch.nn.GLU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.GLU()(torch.tensor([-2.0, 0.5]))
    tensor([-1.2449])
    """

    __constants__: ClassVar = ["dim"]

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """``functional.glu``."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "dim")


class GELU(Module):
    """x Phi(x), where Phi is the normal distribution function.

    Args:
        approximate: ``"none"``, or ``"tanh"`` for a formula with tanh that is near.

    Raises:
        RuntimeError: when called with another word.

    Source: ``torch.nn.GELU``.

    >>> import torchish_mlx as torch
    >>> torch.nn.GELU()(torch.tensor([-2.0, 0.5]))
    tensor([-0.0455,  0.3457])
    """

    __constants__: ClassVar = ["approximate"]

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """``functional.gelu``."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """The options."""
        return f"approximate={self.approximate!r}"


class LogSigmoid(Module):
    """log(1 / (1 + exp(-x))).

    Source: ``torch.nn.LogSigmoid``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LogSigmoid()(torch.tensor([-2.0, 0.5]))
    tensor([-2.1269, -0.4741])
    """

    def forward(self, input: Tensor) -> Tensor:
        """``functional.logsigmoid``."""
        return F.logsigmoid(input)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta, and x where beta x is above a threshold.

    Args:
        beta, threshold: the numbers of the formula.

    Source: ``torch.nn.Softplus``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Softplus()(torch.tensor([-2.0, 0.5]))
    tensor([0.1269, 0.9741])
    """

    __constants__: ClassVar = ["beta", "threshold"]

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """``functional.softplus``."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "beta", "threshold")


class Softsign(Module):
    """``x / (1 + |x|)``.

    Source: ``torch.nn.Softsign``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Softsign()(torch.tensor([-2.0, 0.5]))
    tensor([-0.6667,  0.3333])
    """

    def forward(self, input: Tensor) -> Tensor:
        """``functional.softsign``."""
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x).

    Source: ``torch.nn.Tanhshrink``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Tanhshrink()(torch.tensor([-2.0, 0.5]))
    tensor([-1.0360,  0.0379])
    """

    def forward(self, input: Tensor) -> Tensor:
        """``functional.tanhshrink``."""
        return F.tanhshrink(input)


class Softmin(Module):
    """exp(-x) / sum(exp(-x)).

    Args:
        dim: along which the results sum to 1; None chooses one by the number of dimensions, with a warning.

    Source: ``torch.nn.Softmin``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Softmin(0)(torch.tensor([-2.0, 0.5]))
    tensor([0.9241, 0.0759])
    """

    __constants__: ClassVar = ["dim"]

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """``functional.softmin``."""
        return F.softmin(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "dim")


class Softmax(Module):
    """exp(x) / sum(exp(x)).

    Args:
        dim: along which the results sum to 1; None chooses one by the number of dimensions, with a warning.

    Source: ``torch.nn.Softmax``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Softmax(0)(torch.tensor([-2.0, 0.5]))
    tensor([0.0759, 0.9241])
    """

    __constants__: ClassVar = ["dim"]

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """``functional.softmax``."""
        return F.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "dim")


class Softmax2d(Module):
    """The softmax over the channels of an image: of shape (N, C, height, width) or (C, height, width).

    Raises:
        ValueError: when called with another number of dimensions.

    Source: ``torch.nn.Softmax2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Softmax2d()(torch.zeros(2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """``functional.softmax``."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3, _stacklevel=5)


class LogSoftmax(Module):
    """x - log(sum(exp(x))).

    Args:
        dim: along which the results sum to 1; None chooses one by the number of dimensions, with a warning.

    Source: ``torch.nn.LogSoftmax``.

    >>> import torchish_mlx as torch
    >>> torch.nn.LogSoftmax(0)(torch.tensor([-2.0, 0.5]))
    tensor([-2.5789, -0.0789])
    """

    __constants__: ClassVar = ["dim"]

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """``functional.log_softmax``."""
        return F.log_softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        """The options."""
        return said(self, "dim")
