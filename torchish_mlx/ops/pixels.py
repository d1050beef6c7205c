"""Channels as pixels, pixels as channels, and channels in another order."""

from __future__ import annotations

from .._tensor.tensor import Tensor
from ._declare import composed
from .shaping import copied, permute, reshape


def _check_image(name: str, input: Tensor, factor: str, by: int) -> None:
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if by <= 0:
        raise RuntimeError(f"{name} expects a positive {factor}, but got {by}")


@composed(
    module="torch nn.functional",
    method=False,
    shape="(..., c r^2, h, w) gives (..., c, h r, w r)",
    node="PixelShuffleBackward0",
)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Each r^2 channels as r times r pixels, where r is ``upscale_factor``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.pixel_shuffle(torch.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    _check_image("pixel_shuffle", input, "upscale_factor", upscale_factor)
    r = upscale_factor
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={channels} is not divisible by {r * r}"
        )
    n, c = len(lead), channels // (r * r)
    split = reshape(input, (*lead, c, r, r, height, width))
    moved = permute(split, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return copied(reshape(moved, (*lead, c, height * r, width * r)))


@composed(
    module="torch nn.functional",
    method=False,
    shape="(..., c, h r, w r) gives (..., c r^2, h, w)",
    node="PixelUnshuffleBackward0",
)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Each r times r pixels as r^2 channels, where r is ``downscale_factor``.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.pixel_unshuffle(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).flatten()
    tensor([1., 2., 3., 4.])
    """
    _check_image("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    r = downscale_factor
    *lead, c, height, width = input.shape
    for name, at, size in (("height", -2, height), ("width", -1, width)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({at})={size} is "
                f"not divisible by {r}"
            )
    if not input.array.size:  # as torch does it, which keeps the shape
        return copied(input)
    n = len(lead)
    split = reshape(input, (*lead, c, height // r, r, width // r, r))
    moved = permute(split, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return copied(reshape(moved, (*lead, c * r * r, height // r, width // r)))


@composed(module="torch nn.functional", method=False, shape="that of ``input``", node="ChannelShuffleBackward0")
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels in another order: the first of each group, then the second of each, and so on.

    >>> import torchish_mlx as torch
    >>> F = torch.nn.functional
    >>> F.channel_shuffle(torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]), 2).flatten()
    tensor([1., 3., 2., 4.])
    """
    size = input.shape
    if len(size) <= 2:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(size)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if size[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {size[1]} channels and {groups} groups."
        )
    split = reshape(input, (size[0], groups, size[1] // groups, *size[2:]))
    return copied(reshape(permute(split, (0, 2, 1, *range(3, len(size) + 1))), size))
