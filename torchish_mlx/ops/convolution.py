"""Convolutions and transposed convolutions over one, two and three dimensions.

MLX's convolution works on (n, *sizes, c) and on weights (out, *kernel, in): the images stay in that order (see
``channels``), the weights stay in torch's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES, cast, widened
from .._tensor.channels import to_last
from .._tensor.tensor import Tensor
from ._call import composed, op, vjp
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


def _biased(out: mx.array, bias: mx.array | None, dtype: mx.Dtype) -> mx.array:
    return cast(out if bias is None else out + widened(bias), dtype)


@op(
    grad=vjp(input="weight", weight="input", bias=""),
    channels="last",
    name="convolution.forward",
    function=False,
    method=False,
)
def _convolved(
    input: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> mx.array:
    """The cross-correlation of (n, *sizes, in) with ``weight`` (out, in / groups, *kernel), plus bias."""
    x, turned = widened(input), mx.transpose(widened(weight), to_last(weight.ndim))
    if x.dtype not in INEXACT:
        return _biased(_of_integers(x, turned, stride, padding, dilation, groups), bias, input.dtype)
    before, after = [a for a, _ in padding], [b for _, b in padding]
    return _biased(mx.conv_general(x, turned, stride, (before, after), dilation, 1, groups), bias, input.dtype)


@op(
    grad=vjp(input="weight", weight="input", bias=""),
    channels="last",
    name="convolution.transposed",
    function=False,
    method=False,
)
def _spread(
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> mx.array:
    """What the gradient of a convolution is, with ``weight`` (in, out / groups, *kernel), plus bias."""
    x, kernel = widened(input), weight.shape[2:]
    each, out = weight.shape[0] // groups, weight.shape[1]
    turned = mx.moveaxis(mx.reshape(widened(weight), (groups, each, out, *kernel)), 1, -1)
    turned = mx.reshape(turned, (groups * out, *kernel, each))
    before = [d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True)]
    after = [b + o for b, o in zip(before, output_padding, strict=True)]
    cut = [(max(0, -b), max(0, -a)) for b, a in zip(before, after, strict=True)]
    grown = ([max(0, b) for b in before], [max(0, a) for a in after])
    found = mx.conv_general(x, turned, 1, grown, dilation, stride, groups, flip=True)
    if any(map(any, cut)):
        ends = zip(cut, found.shape[1:-1], strict=True)
        found = found[(slice(None), *[slice(b, n - a) for (b, a), n in ends])]
    return _biased(found, bias, input.dtype)


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
            return [(0, 0)] * len(kernel)
        if given != "same":
            raise RuntimeError(f"Invalid padding string: '{given}'")
        if any(s != 1 for s in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(t // 2, t - t // 2) for t in total]
    return [(p, p) for p in _sizes("padding", given, len(kernel))]


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

    function.__doc__ = f"""The cross-correlation of ``input`` with ``weight``, plus ``bias``, over {n} dimension{"s" * (n > 1)}.

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
    declared: Any = composed(
        method=False, shape="(n, out, *sizes), each size (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1"
    )(function)
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
        rest = (steps, around, more, groups, apart)
        if input.ndim == n + 1:
            return squeeze(_spread(unsqueeze(input, 0), weight, bias, *rest), 0)
        out: Tensor = _spread(input, weight, bias, *rest)
        return out

    function.__doc__ = f"""The transposed convolution over {n} dimension{"s" * (n > 1)}: what the gradient of ``conv{n}d`` is, plus ``bias``.

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
    declared: Any = composed(
        method=False,
        shape="(n, out, *sizes), each size (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding "
        "+ 1",
    )(function)
    return declared


conv1d, conv2d, conv3d = map(_convolution, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_transposed, (1, 2, 3))
