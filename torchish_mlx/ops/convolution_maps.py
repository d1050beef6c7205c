"""The maps between images and the weights of a convolution, each of which is a derivative of the others.

MLX's convolution works on (n, *sizes, c) and on weights (out, *kernel, in).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import INEXACT
from .matmul import product


def _slices(starts: Sequence[int], counts: Sequence[int], strides: Sequence[int]) -> tuple[slice, ...]:
    """Every ``stride``-th element from ``start`` on, ``count`` of them, of each size of (n, *sizes, c)."""
    each = zip(starts, counts, strides, strict=True)
    return (slice(None), *[slice(a, a + step * (n - 1) + 1, step) for a, n, step in each])


def _of_integers(x: mx.array, weight: mx.array, stride: Any, padding: Any, dilation: Any, groups: int) -> mx.array:
    """The convolution of integers, which MLX does not have: a matrix product for each place of the kernel."""
    x = mx.pad(x, [(0, 0), *padding, (0, 0)])
    kernel = weight.shape[1:-1]
    counts = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], kernel, stride, dilation, strict=True)
    ]
    inputs, weights = mx.split(x, groups, axis=-1), mx.split(weight, groups, axis=0)
    total: Any = 0
    for place in itertools.product(*map(range, kernel)):
        part = _slices([p * d for p, d in zip(place, dilation, strict=True)], counts, stride)
        here = (slice(None), *place)
        total = total + mx.concatenate(
            [product(a[part], mx.swapaxes(w[here], 0, 1)) for a, w in zip(inputs, weights, strict=True)], axis=-1
        )
    out: mx.array = total
    return out


class Maps(NamedTuple):
    """A convolution, which is linear in the images and in the weights, and its derivatives by both.

    Attributes:
        forward: images and weights to the result.
        back: a gradient of the result and weights to the gradient of the images, which is a transposed convolution.
        weigh: images and a gradient of the result to the gradient of the weights.
    """

    forward: Callable[[mx.array, mx.array], mx.array]
    back: Callable[[mx.array, mx.array], mx.array]
    weigh: Callable[[mx.array, mx.array], mx.array]


@functools.lru_cache(1024)
def maps(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Maps:
    """The maps between images (n, *sizes, in) and weights (out, *kernel, in / groups), each with derivatives.

    A derivative of any of them is another of them. MLX's own derivative of its derivative by the images is wrong, or
    raises, where a stride leaves a remainder (mlx 0.32.4), so the derivatives are told to MLX here.
    """
    before, after = [a for a, _ in padding], [b for _, b in padding]

    def one(x: mx.array, w: mx.array, groups: int) -> mx.array:
        return mx.conv_general(x, w, stride, (before, after), dilation, 1, groups)

    def convolved(x: mx.array, w: mx.array) -> mx.array:
        if x.dtype not in INEXACT:
            return _of_integers(x, w, stride, padding, dilation, groups)
        if groups == 1 or len(kernel) < 3:
            return one(x, w, groups)
        parts = zip(mx.split(x, groups, axis=-1), mx.split(w, groups, axis=0), strict=True)
        return mx.concatenate([one(a, b, 1) for a, b in parts], axis=-1)  # MLX has no groups of volumes

    def to_input(g: mx.array, w: mx.array) -> mx.array:
        zeros = mx.zeros((g.shape[0], *sizes, w.shape[-1] * groups), g.dtype)
        return mx.vjp(lambda x: convolved(x, w), [zeros], [g])[1][0]

    def to_weight(x: mx.array, g: mx.array) -> mx.array:
        zeros = mx.zeros((g.shape[-1], *kernel, x.shape[-1] // groups), g.dtype)
        return mx.vjp(lambda w: convolved(x, w), [zeros], [g])[1][0]

    forward, back, weigh = (mx.custom_function(fn) for fn in (convolved, to_input, to_weight))  # type: Any, Any, Any
    forward.vjp(lambda primals, c, _: (back(c, primals[1]), weigh(primals[0], c)))
    back.vjp(lambda primals, c, _: (forward(c, primals[1]), weigh(c, primals[0])))
    weigh.vjp(lambda primals, c, _: (back(primals[1], c), forward(primals[0], c)))
    return Maps(forward, back, weigh)
