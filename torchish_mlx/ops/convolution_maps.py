"""The maps between images and the weights of a convolution, each of which is a derivative of the others.

MLX's convolution works on (n, *sizes, c) and on weights (out, *kernel, in).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._tensor.modes import mode
from .matmul import product


def _slices(starts: Sequence[int], counts: Sequence[int], strides: Sequence[int]) -> tuple[slice, ...]:
    """Every ``stride``-th element from ``start`` on, ``count`` of them, of each size of (n, *sizes, c)."""
    each = zip(starts, counts, strides, strict=True)
    return (slice(None), *[slice(a, a + step * (n - 1) + 1, step) for a, n, step in each])


def _by_products(x: mx.array, weight: mx.array, stride: Any, padding: Any, dilation: Any, groups: int) -> mx.array:
    """A matrix product for each place of the kernel, as MLX convolves no integers, and float64 in float32."""
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

    def transposed(self) -> Maps:
        """The maps of the transposed convolution, whose images are what gradients of the result are here."""
        return Maps(self.back, self.forward, lambda x, g: self.weigh(g, x))


@functools.lru_cache(1024)
def maps(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Maps:
    """The maps between images (n, *sizes, in) and weights (out, *kernel, in / groups), each with derivatives.

    A derivative of any of them is another of them. MLX's own derivative of its derivative by the images is wrong, or
    raises, where a stride leaves a remainder (mlx 0.32.4), so where a derivative is differentiated again MLX is told
    so. A padding behind that is negative is a part that no window reaches. Elsewhere nothing is differentiated, and
    MLX's ``custom_function`` would cost more than the call itself.
    """
    n = len(sizes)
    before, after = [a for a, _ in padding], [max(b, 0) for _, b in padding]
    left = (slice(None), *[slice(size + min(b, 0)) for size, (_, b) in zip(sizes, padding, strict=True)])
    beyond = any(b < 0 for _, b in padding)
    counts = [
        (size + a + b - d * (k - 1) - 1) // s + 1
        for size, k, s, (a, b), d in _each(sizes, kernel, stride, padding, dilation)
    ]
    # of the transposed convolution: what is padded before and after each size, or cut off where that is negative
    lead = [d * (k - 1) - a for k, (a, _), d in zip(kernel, padding, dilation, strict=True)]
    trail = [
        size - (count - 1) * s - 1 - p + d * (k - 1)
        for size, k, s, _, d, count, p in _each(sizes, kernel, stride, padding, dilation, counts, lead)
    ]
    grown = ([max(0, p) for p in lead], [max(0, p) for p in trail])
    cut = (slice(None), *[slice(max(0, -a), max(0, -a) + size) for a, size in zip(lead, sizes, strict=True)])
    cuts = min(*lead, *trail) < 0
    within = (slice(None), *[slice(0, k) for k in kernel])
    turned = (n + 1, *range(1, n + 1), 0)
    by_group = groups > 1 and n > 2  # MLX has no groups of volumes

    def convolved(x: mx.array, w: mx.array) -> mx.array:
        if not x.size or not w.size:  # MLX divides by zero, which ends the process
            return mx.zeros((x.shape[0], *counts, w.shape[0]), x.dtype)
        if beyond:
            x = x[left]
        if not x.dtype == mx.float32:  # noqa: SIM201 - MLX's == takes less than its !=
            return _by_products(x, w, stride, list(_each(before, after)), dilation, groups)
        if by_group:
            return _joined(one.forward, mx.split(x, groups, axis=-1), mx.split(w, groups, axis=0), -1)
        return mx.conv_general(x, w, stride, (before, after), dilation, 1, groups)

    def to_input(g: mx.array, w: mx.array) -> mx.array:
        if not g.size or not w.size:
            return mx.zeros((g.shape[0], *sizes, w.shape[-1] * groups), g.dtype)
        if not g.dtype == mx.float32:  # noqa: SIM201
            zeros = mx.zeros((g.shape[0], *sizes, w.shape[-1] * groups), g.dtype)
            return mx.vjp(lambda x: convolved(x, w), [zeros], [g])[1][0]
        if by_group:
            return _joined(one.back, mx.split(g, groups, axis=-1), mx.split(w, groups, axis=0), -1)
        if groups > 1:
            w = mx.reshape(w, (groups, w.shape[0] // groups, *w.shape[1:]))
            w = mx.reshape(mx.swapaxes(w, 1, -1), (groups * w.shape[-1], *kernel, w.shape[1]))
        else:
            w = mx.transpose(w, turned)
        out = mx.conv_general(g, w, 1, grown, dilation, stride, groups, flip=True)
        return out[cut] if cuts else out

    def to_weight(x: mx.array, g: mx.array) -> mx.array:
        if not x.size or not g.size:
            return mx.zeros((g.shape[-1], *kernel, x.shape[-1] // groups), g.dtype)
        if by_group:
            return _joined(one.weigh, mx.split(x, groups, axis=-1), mx.split(g, groups, axis=-1), 0)
        if groups > 1 or not g.dtype == mx.float32:  # noqa: SIM201
            zeros = mx.zeros((g.shape[-1], *kernel, x.shape[-1] // groups), g.dtype)
            return mx.vjp(lambda w: convolved(x, w), [zeros], [g])[1][0]
        if beyond:
            x = x[left]
        out = mx.conv_general(mx.transpose(x, turned), mx.transpose(g, turned), dilation, (before, after), stride)
        return mx.transpose(out, turned)[within]

    one: Any = maps(sizes, kernel, stride, padding, dilation, 1) if by_group else None
    forward: Any = mx.custom_function(convolved)
    back: Any = mx.custom_function(to_input)
    weigh: Any = mx.custom_function(to_weight)
    forward.vjp(lambda primals, c, _: (back(c, primals[1]), weigh(primals[0], c)))
    back.vjp(lambda primals, c, _: (forward(c, primals[1]), weigh(c, primals[0])))
    weigh.vjp(lambda primals, c, _: (back(primals[1], c), forward(primals[0], c)))
    return Maps(
        lambda x, w: (forward if mode.deriving else convolved)(x, w),
        lambda g, w: (back if mode.deriving else to_input)(g, w),
        lambda x, g: (weigh if mode.deriving else to_weight)(x, g),
    )


def _each(*lists: Any) -> Any:
    return zip(*lists, strict=True)


def _joined(fn: Any, first: Any, second: Any, axis: int) -> mx.array:
    """``fn`` of each group."""
    return mx.concatenate([fn(a, b) for a, b in zip(first, second, strict=True)], axis=axis)
