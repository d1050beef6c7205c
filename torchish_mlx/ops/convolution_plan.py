"""What a convolution is, worked out once for its shapes and numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .._tensor.tensor import Tensor
from ._convolution_checks import Seen, by, checked
from .convolution_maps import Maps, maps


def seen(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> Seen:
    """What a plan depends on."""
    for position, (argument, given) in enumerate((("input", input), ("weight", weight), ("bias", bias)), start=1):
        if not isinstance(given, Tensor) and not (position == 3 and given is None):
            kind = type(given).__name__
            raise TypeError(f"{name}(): argument {argument!r} (position {position}) must be Tensor, not {kind}")
    x, w = input._read(), weight._read()
    if bias is None:
        return Seen(x.shape, w.shape, None, (x.dtype, w.dtype, x.dtype))
    b = bias._read()
    return Seen(x.shape, w.shape, b.shape, (x.dtype, w.dtype, b.dtype))


def planned(plan: Callable[..., Maps], n: int, of: Seen, *numbers: Any) -> Maps:
    """``plan`` of these shapes and numbers, where lists are as good as tuples."""
    return plan(n, of, *[tuple(number) if isinstance(number, list) else number for number in numbers])


@functools.lru_cache(1024, typed=True)
def forward_plan(n: int, of: Seen, stride: Any, padding: Any, dilation: Any, groups: int) -> Maps:
    """The maps of ``conv{n}d``, after what torch refuses."""
    steps, around, apart, _ = checked(f"conv{n}d", n, of, stride, padding, dilation, groups)
    return maps(of.input[-n:], of.weight[2:], steps, around, apart, groups)


@functools.lru_cache(1024, typed=True)
def transposed_plan(
    n: int, of: Seen, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Maps:
    """The maps of ``conv_transpose{n}d``, after what torch refuses.

    It is what the gradient of a convolution is. The output padding is behind the last place that a window of that
    convolution reaches.
    """
    name = f"conv_transpose{n}d"
    steps, around, apart, more = checked(name, n, of, stride, padding, dilation, groups, output_padding)
    each = zip(of.input[-n:], of.weight[2:], steps, around, more, apart, strict=True)
    sizes = tuple([(size - 1) * s - 2 * p + d * (k - 1) + o + 1 for size, k, s, (p, _), o, d in each])
    if min(sizes) <= 0:
        raise RuntimeError(
            f"Given input size per channel: {by(of.input[-n:])}. Calculated output size per channel: {by(sizes)}. "
            "Output size is too small"
        )
    reached = tuple([(p, p - o) for (p, _), o in zip(around, more, strict=True)])
    return maps(sizes, of.weight[2:], steps, reached, apart, groups).transposed()
