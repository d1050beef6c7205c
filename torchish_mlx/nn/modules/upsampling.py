"""Images in other sizes."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._tensor.tensor import Tensor
from .. import functional as F
from .module import Module

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(Module):
    """Images in another size, whose elements are computed from those nearby.

    The input has shape ``(N, C, *sizes)`` with 1 to 3 sizes, as the mode asks.

    Args:
        size: the new sizes, or one number for all of them.
        scale_factor: what the sizes are multiplied with, in place of ``size``: one number, or a tuple.
        mode: ``"nearest"``, ``"linear"`` (1 size), ``"bilinear"`` or ``"bicubic"`` (2), or ``"trilinear"`` (3).
        align_corners: whether the corners of both images are at the same places; for modes other than ``"nearest"``.
        recompute_scale_factor: whether the factor is computed again from the sizes, which are whole numbers.

    Raises:
        ValueError: when called with neither ``size`` nor ``scale_factor``, with both, or with other sizes.
        NotImplementedError: when called with another mode, or one that is for other numbers of sizes.

    Source: ``torch.nn.Upsample``.

    >>> import torchish_mlx as torch
    >>> torch.nn.Upsample(scale_factor=2)(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    __constants__: ClassVar = ["size", "scale_factor", "mode", "align_corners", "name", "recompute_scale_factor"]

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        self.scale_factor: Any
        if isinstance(scale_factor, tuple):
            self.scale_factor = tuple(map(float, scale_factor))
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """``functional.interpolate``."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """The size or the factor, and the mode."""
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """``Upsample`` of images of 2 sizes, by their nearest elements.

    Args:
        size: the new sizes, or one number for both.
        scale_factor: what the sizes are multiplied with, in place of ``size``.

    Raises:
        ValueError: as ``Upsample``.

    Source: ``torch.nn.UpsamplingNearest2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.UpsamplingNearest2d(scale_factor=2)(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 4, 4])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """``Upsample`` of images of 2 sizes, on straight lines between elements, with aligned corners.

    Args:
        size: the new sizes, or one number for both.
        scale_factor: what the sizes are multiplied with, in place of ``size``.

    Raises:
        ValueError: as ``Upsample``.

    Source: ``torch.nn.UpsamplingBilinear2d``.

    >>> import torchish_mlx as torch
    >>> torch.nn.UpsamplingBilinear2d(size=(3, 3))(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 3, 3])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
