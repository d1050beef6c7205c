"""Images with more elements around them."""

from __future__ import annotations

from typing import ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from ._words import Sizes, each, said
from .batchnorm import refuse_dimensions
from .module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    __constants__: ClassVar = ["padding"]
    #: How many axes are padded, and how: the classes say both.
    _n: ClassVar[int]
    _mode: ClassVar[str]

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = each(padding, 2 * self._n)

    def forward(self, input: Tensor) -> Tensor:
        """``functional.pad``."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class _ConstantPadNd(Module):
    __constants__: ClassVar = ["padding", "value"]
    _n: ClassVar[int]

    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__()
        self.value = value
        self.padding = each(padding, 2 * self._n)

    def forward(self, input: Tensor) -> Tensor:
        """``functional.pad``."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The padding and the number."""
        return said(self, "padding", "value")


class _CircularPadNd(_Pad):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """``functional.pad``."""
        refuse_dimensions(input, (self._n + 1, self._n + 2))
        return super().forward(input)


class ConstantPad1d(_ConstantPadNd):
    """A number around images: of shape (N, C, length), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right).
            Negative numbers cut off.
        value: the number.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ConstantPad1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ConstantPad1d(1, 0.5)(torch.ones(1, 1, 3)).shape
    torch.Size([1, 1, 5])
    """

    _n = 1


class ConstantPad2d(_ConstantPadNd):
    """A number around images: of shape (N, C, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom).
            Negative numbers cut off.
        value: the number.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ConstantPad2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ConstantPad2d(1, 0.5)(torch.ones(1, 1, 3, 3)).shape
    torch.Size([1, 1, 5, 5])
    """

    _n = 2


class ConstantPad3d(_ConstantPadNd):
    """A number around images: of shape (N, C, depth, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom, front, back).
            Negative numbers cut off.
        value: the number.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ConstantPad3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ConstantPad3d(1, 0.5)(torch.ones(1, 1, 3, 3, 3)).shape
    torch.Size([1, 1, 5, 5, 5])
    """

    _n = 3


class ZeroPad1d(ConstantPad1d):
    """Zeros around images: of shape (N, C, length), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right).
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ZeroPad1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ZeroPad1d(1)(torch.ones(1, 1, 3)).shape
    torch.Size([1, 1, 5])
    """

    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Zeros around images: of shape (N, C, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom).
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ZeroPad2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ZeroPad2d(1)(torch.ones(1, 1, 3, 3)).shape
    torch.Size([1, 1, 5, 5])
    """

    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Zeros around images: of shape (N, C, depth, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom, front, back).
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ZeroPad3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ZeroPad3d(1)(torch.ones(1, 1, 3, 3, 3)).shape
    torch.Size([1, 1, 5, 5, 5])
    """

    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class ReflectionPad1d(_Pad):
    """The elements inside in reverse order around images: of shape (N, C, length), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right); each less than the size of its axis.
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ReflectionPad1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReflectionPad1d(1)(torch.ones(1, 1, 3)).shape
    torch.Size([1, 1, 5])
    """

    _n = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """The elements inside in reverse order around images: of shape (N, C, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom); each less than the size of its axis.
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ReflectionPad2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReflectionPad2d(1)(torch.ones(1, 1, 3, 3)).shape
    torch.Size([1, 1, 5, 5])
    """

    _n = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """The elements inside in reverse order around images: of shape (N, C, depth, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom, front, back);
            each less than the size of its axis. Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ReflectionPad3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReflectionPad3d(1)(torch.ones(1, 1, 3, 3, 3)).shape
    torch.Size([1, 1, 5, 5, 5])
    """

    _n = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Copies of the outermost elements around images: of shape (N, C, length), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right).
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ReplicationPad1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReplicationPad1d(1)(torch.ones(1, 1, 3)).shape
    torch.Size([1, 1, 5])
    """

    _n = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Copies of the outermost elements around images: of shape (N, C, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom).
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ReplicationPad2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReplicationPad2d(1)(torch.ones(1, 1, 3, 3)).shape
    torch.Size([1, 1, 5, 5])
    """

    _n = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """Copies of the outermost elements around images: of shape (N, C, depth, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom, front, back).
            Negative numbers cut off.

    Raises:
        RuntimeError: when called with too few dimensions, or a padding that can't be.

    Source: ``torch.nn.ReplicationPad3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.ReplicationPad3d(1)(torch.ones(1, 1, 3, 3, 3)).shape
    torch.Size([1, 1, 5, 5, 5])
    """

    _n = 3
    _mode = "replicate"


class CircularPad1d(_CircularPadNd):
    """The elements at the other end around images: of shape (N, C, length), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right); each at most the size of its axis.
            Negative numbers cut off.

    Raises:
        ValueError: when called with another number of dimensions.

    Source: ``torch.nn.CircularPad1d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.CircularPad1d(1)(torch.ones(1, 1, 3)).shape
    torch.Size([1, 1, 5])
    """

    _n = 1


class CircularPad2d(_CircularPadNd):
    """The elements at the other end around images: of shape (N, C, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom); each at most the size of its axis.
            Negative numbers cut off.

    Raises:
        ValueError: when called with another number of dimensions.

    Source: ``torch.nn.CircularPad2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.CircularPad2d(1)(torch.ones(1, 1, 3, 3)).shape
    torch.Size([1, 1, 5, 5])
    """

    _n = 2


class CircularPad3d(_CircularPadNd):
    """The elements at the other end around images: of shape (N, C, depth, height, width), or without N.

    Args:
        padding: how many: one number for all sides, or (left, right, top, bottom, front, back);
            each at most the size of its axis. Negative numbers cut off.

    Raises:
        ValueError: when called with another number of dimensions.

    Source: ``torch.nn.CircularPad3d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.CircularPad3d(1)(torch.ones(1, 1, 3, 3, 3)).shape
    torch.Size([1, 1, 5, 5, 5])
    """

    _n = 3
