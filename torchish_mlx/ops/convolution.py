"""Convolutions and transposed convolutions over one, two and three dimensions.

MLX's convolution works on (n, *sizes, c) and on weights (out, *kernel, in): the images stay in that order (see
``channels``), the weights stay in torch's.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, cast, widened
from .._tensor.channels import to_first, to_last
from .._tensor.tensor import Tensor
from ._call import composed, op
from ._op import Array
from .matmul import product
from .shaping import squeeze, unsqueeze

Sizes = int | Sequence[int]


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

    forward, back, weigh = map(mx.custom_function, (convolved, to_input, to_weight))
    forward.vjp(lambda primals, c, _: (back(c, primals[1]), weigh(primals[0], c)))
    back.vjp(lambda primals, c, _: (forward(c, primals[1]), weigh(c, primals[0])))
    weigh.vjp(lambda primals, c, _: (back(primals[1], c), forward(primals[0], c)))
    return Maps(forward, back, weigh)


def _biased(out: mx.array, bias: mx.array | None, dtype: mx.Dtype) -> mx.array:
    return cast(out if bias is None else out + widened(bias), dtype)


def _to_bias(g: mx.array, bias: mx.array) -> mx.array:
    return cast(mx.sum(widened(g), axis=list(range(g.ndim - 1))) if g.size else mx.zeros(bias.shape), bias.dtype)


def _turned(weight: mx.array) -> mx.array:
    """(out, in / groups, *kernel) as (out, *kernel, in / groups)."""
    return mx.transpose(widened(weight), to_last(weight.ndim))


def _to_input(
    g: mx.array, input_shape: Any, weight: mx.array, stride: Any, padding: Any, dilation: Any, groups: int
) -> mx.array:
    how = maps(input_shape[1:-1], weight.shape[2:], stride, padding, dilation, groups)
    return cast(how.back(widened(g), _turned(weight)), g.dtype)


def _to_weight(
    g: mx.array, input: mx.array, weight_shape: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> mx.array:
    how = maps(input.shape[1:-1], weight_shape[2:], stride, padding, dilation, groups)
    return cast(mx.transpose(how.weigh(widened(input), widened(g)), to_first(g.ndim)), g.dtype)


@op(
    grad={"input": _to_input, "weight": _to_weight, "bias": _to_bias},
    channels="last",
    name="convolution.forward",
    function=False,
    method=False,
)
def _convolved(
    input: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> mx.array:
    """The cross-correlation of (n, *sizes, in) with ``weight`` (out, in / groups, *kernel), plus bias."""
    how = maps(input.shape[1:-1], weight.shape[2:], stride, padding, dilation, groups)
    return _biased(how.forward(widened(input), _turned(weight)), bias, input.dtype)


def _spread_back(
    g: mx.array, weight: mx.array, sizes: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> mx.array:
    how = maps(sizes, weight.shape[2:], stride, padding, dilation, groups)
    return cast(how.forward(widened(g), _turned(weight)), g.dtype)


def _spread_to_weight(
    g: mx.array, input: mx.array, weight_shape: Any, sizes: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> mx.array:
    how = maps(sizes, weight_shape[2:], stride, padding, dilation, groups)
    return cast(mx.transpose(how.weigh(widened(g), widened(input)), to_first(g.ndim)), g.dtype)


@op(
    grad={"input": _spread_back, "weight": _spread_to_weight, "bias": _to_bias},
    channels="last",
    name="convolution.transposed",
    function=False,
    method=False,
)
def _spread(
    input: Array,
    weight: Array,
    bias: Array | None,
    sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> mx.array:
    """The images of ``sizes`` whose convolution has ``input`` as its gradient; weight (in, out / groups, *kernel)."""
    how = maps(sizes, weight.shape[2:], stride, padding, dilation, groups)
    return _biased(how.back(widened(input), _turned(weight)), bias, input.dtype)


# What torch refuses ---------------------------------------------------------------------------------------------------


def _sizes(name: str, given: Sizes, n: int) -> tuple[int, ...]:
    """``n`` numbers, from one for all or one for each dimension."""
    found = (given,) * n if isinstance(given, int) else tuple(given) * (n if len(given) == 1 else 1)
    if len(found) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the convolution "
            f"dimensions, but got {name}={list(found)}"
        )
    return found


def _check(name: str, input: Tensor, weight: Tensor, bias: Tensor | None, n: int, groups: int, turned: bool) -> None:
    """Refuse dtypes and shapes that do not fit together."""
    shape, of_weight = list(input.shape), list(weight.shape)
    if len(of_weight) == n + 2 and len(shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: {shape}"
        )
    dtype = input.array.dtype
    if weight.array.dtype != dtype:
        raise RuntimeError(
            f"Input type ({_named(input)}) and weight type ({_named(weight)}) should be the same or input should be a "
            "MKLDNN tensor and weight is a dense tensor"
        )
    if bias is not None and bias.array.dtype != dtype:
        raise RuntimeError(
            f"Input type ({NAMES[dtype].lower()}) and bias type ({NAMES[bias.array.dtype].lower()}) should be the same"
        )
    if dtype == mx.bool_ or dtype == mx.complex64:
        raise NotImplementedError(f"\"slow_conv{n}d_cpu\" not implemented for '{NAMES[dtype]}'")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if len(of_weight) != n + 2:
        raise RuntimeError(f"weight should have at least {n + 2} dimensions, but got weight of size {of_weight}")
    if of_weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{of_weight} instead"
        )
    if of_weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size [{of_weight}] instead"
        )
    mode = "transposed=1" if turned else f"groups={groups}"
    wanted = of_weight[0] if turned else of_weight[1] * groups
    if shape[-n - 1] != wanted:
        raise RuntimeError(
            f"Given {mode}, weight of size {of_weight}, expected input{shape} to have {wanted} channels, but got "
            f"{shape[-n - 1]} channels instead"
        )
    given = of_weight[1] * groups if turned else of_weight[0]
    if bias is not None and list(bias.shape) != [given]:
        raise RuntimeError(
            f"Given {'transposed=1, ' if turned else ''}weight of size {of_weight}, expected bias to be 1-dimensional "
            f"with {given} elements, but got bias of size {list(bias.shape)} instead"
        )


def _named(tensor: Tensor) -> str:
    return f"torch.{NAMES[tensor.array.dtype]}Tensor"


def _check_numbers(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]) -> None:
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("non-positive dilation is not supported")


def _padding(given: Sizes | str, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """(before, after) for each dimension; ``"same"`` pads more behind where the sum is odd."""
    if isinstance(given, str):
        if given == "valid":
            return ((0, 0),) * len(kernel)
        if given != "same":
            raise RuntimeError(f"Invalid padding string: '{given}'")
        if any(s != 1 for s in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple([(t // 2, t - t // 2) for t in total])
    return tuple([(p, p) for p in _sizes("padding", given, len(kernel))])


def _by(words: Sequence[int]) -> str:
    return f"({' x '.join(map(str, words))})"


# The public functions -------------------------------------------------------------------------------------------------


def _convolution(n: int) -> Callable[..., Tensor]:
    """``conv{n}d``."""
    name = f"conv{n}d"

    def function(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
    ) -> Tensor:
        _check(name, input, weight, bias, n, groups, turned=False)
        steps, apart = _sizes("stride", stride, n), _sizes("dilation", dilation, n)
        kernel = tuple(weight.shape[2:])
        around = _padding(padding, kernel, steps, apart)
        _check_numbers(steps, [min(pair) for pair in around], apart)
        grown = [size + b + a for size, (b, a) in zip(input.shape[-n:], around, strict=True)]
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, apart, strict=True)]
        if any(g < r for g, r in zip(grown, reach, strict=True)):
            raise RuntimeError(
                f"Calculated padded input size per channel: {_by(grown)}. Kernel size: {_by(reach)}. Kernel size "
                "can't be greater than actual input size"
            )
        if input.ndim == n + 1:
            return squeeze(_convolved(unsqueeze(input, 0), weight, bias, steps, around, apart, groups), 0)
        out: Tensor = _convolved(input, weight, bias, steps, around, apart, groups)
        return out

    function.__doc__ = f"""The cross-correlation of ``input`` with ``weight`` over its last {n} sizes, plus ``bias``.

    out[b, o, x] = bias[o] + sum over c, k of input[b, c, stride * x + dilation * k - padding] * weight[o, c, k], for
    the channels c of the group of o. ``weight`` is (out, in / groups, *kernel); ``padding`` may be ``"same"`` or
    ``"valid"``; ``input`` may have no batch dimension.

    Raises:
        RuntimeError: shapes or dtypes that do not fit together, a kernel larger than the padded input.

    >>> import torchish_mlx as torch
    >>> x, w = torch.ones(1, 1, *[4] * {n}), torch.ones(2, 1, *[3] * {n})
    >>> torch.{name}(x, w, padding=1).shape[:2]
    torch.Size([1, 2])
    """
    function.__name__ = name
    size = "(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1"
    where = "torch nn.functional"
    declared: Any = composed(method=False, module=where, shape=f"(n, out, *sizes), each {size}")(function)
    return declared


def _transposed(n: int) -> Callable[..., Tensor]:
    """``conv_transpose{n}d``."""
    name = f"conv_transpose{n}d"

    def function(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        dilation: Sizes = 1,
    ) -> Tensor:
        _check(name, input, weight, bias, n, groups, turned=True)
        steps, around = _sizes("stride", stride, n), _sizes("padding", padding, n)
        more, apart = _sizes("output_padding", output_padding, n), _sizes("dilation", dilation, n)
        _check_numbers(steps, around, apart)
        if min(more) < 0:
            raise RuntimeError("negative output_padding is not supported")
        if any(o >= max(s, d) for o, s, d in zip(more, steps, apart, strict=True)):
            raise RuntimeError(
                "output padding must be smaller than either stride or dilation, but got output_padding: "
                f"{list(more)}, stride: {list(steps)}, dilation: {list(apart)}"
            )
        each = zip(input.shape[-n:], weight.shape[2:], steps, around, more, apart, strict=True)
        sizes = [(size - 1) * s - 2 * p + d * (k - 1) + o + 1 for size, k, s, p, o, d in each]
        if min(sizes) <= 0:
            raise RuntimeError(
                f"Given input size per channel: {_by(input.shape[-n:])}. Calculated output size per channel: "
                f"{_by(sizes)}. Output size is too small"
            )
        rest = (tuple(sizes), steps, tuple([(p, p) for p in around]), apart, groups)
        if input.ndim == n + 1:
            return squeeze(_spread(unsqueeze(input, 0), weight, bias, *rest), 0)
        out: Tensor = _spread(input, weight, bias, *rest)
        return out

    function.__doc__ = f"""The transposed convolution: what the gradient of ``conv{n}d`` is, plus ``bias``.

    ``weight`` is (in, out / groups, *kernel). ``output_padding`` makes each size of the result larger at its end, where
    ``stride`` leaves several sizes possible.

    Raises:
        RuntimeError: shapes or dtypes that do not fit together; an output padding that is not less than the stride
            or the dilation; a result without elements.

    >>> import torchish_mlx as torch
    >>> x, w = torch.ones(1, 1, *[4] * {n}), torch.ones(1, 2, *[3] * {n})
    >>> torch.{name}(x, w, stride=2).shape[:2]
    torch.Size([1, 2])
    """
    function.__name__ = name
    size = "(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1"
    where = "torch nn.functional"
    declared: Any = composed(method=False, module=where, shape=f"(n, out, *sizes), each {size}")(function)
    return declared


conv1d, conv2d, conv3d = map(_convolution, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_transposed, (1, 2, 3))
