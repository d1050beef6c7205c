"""What a convolution is, worked out once for its shapes and numbers, and what torch refuses of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import NAMES
from .._tensor.tensor import Tensor
from .convolution_maps import Maps, maps


class Seen(NamedTuple):
    """The shapes and dtypes of the arguments of a convolution; without a bias the input's dtype takes its place."""

    input: tuple[int, ...]
    weight: tuple[int, ...]
    bias: tuple[int, ...] | None
    dtypes: tuple[mx.Dtype, mx.Dtype, mx.Dtype]


def seen(input: Tensor, weight: Tensor, bias: Tensor | None) -> Seen:
    """What a plan depends on."""
    x, w = input._read(), weight._read()
    if bias is None:
        return Seen(x.shape, w.shape, None, (x.dtype, w.dtype, x.dtype))
    b = bias._read()
    return Seen(x.shape, w.shape, b.shape, (x.dtype, w.dtype, b.dtype))


def planned(plan: Callable[..., Maps], n: int, of: Seen, *numbers: Any) -> Maps:
    """``plan`` of these shapes and numbers, where lists are as good as tuples."""
    return plan(n, of, *[number if isinstance(number, (int, str)) else tuple(number) for number in numbers])


@functools.lru_cache(1024)
def forward_plan(n: int, of: Seen, stride: Any, padding: Any, dilation: Any, groups: int) -> Maps:
    """The maps of ``conv{n}d``, after what torch refuses."""
    _check(f"conv{n}d", of, n, groups, turned=False)
    steps, apart = _sizes("stride", stride, n), _sizes("dilation", dilation, n)
    kernel, sizes = of.weight[2:], of.input[-n:]
    around = _padding(padding, kernel, steps, apart)
    _check_numbers(steps, [min(pair) for pair in around], apart)
    grown = [size + b + a for size, (b, a) in zip(sizes, around, strict=True)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, apart, strict=True)]
    if any(g < r for g, r in zip(grown, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: {_by(grown)}. Kernel size: {_by(reach)}. Kernel size can't be "
            "greater than actual input size"
        )
    return maps(sizes, kernel, steps, around, apart, groups)


@functools.lru_cache(1024)
def transposed_plan(
    n: int, of: Seen, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Maps:
    """The maps of the convolution whose gradient ``conv_transpose{n}d`` is, after what torch refuses."""
    _check(f"conv_transpose{n}d", of, n, groups, turned=True)
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
    each = zip(of.input[-n:], of.weight[2:], steps, around, more, apart, strict=True)
    sizes = tuple([(size - 1) * s - 2 * p + d * (k - 1) + o + 1 for size, k, s, p, o, d in each])
    if min(sizes) <= 0:
        raise RuntimeError(
            f"Given input size per channel: {_by(of.input[-n:])}. Calculated output size per channel: {_by(sizes)}. "
            "Output size is too small"
        )
    return maps(sizes, of.weight[2:], steps, tuple([(p, p) for p in around]), apart, groups)


def _sizes(name: str, given: int | Sequence[int], n: int) -> tuple[int, ...]:
    """``n`` numbers, from one for all or one for each dimension."""
    found = (given,) * n if isinstance(given, int) else tuple(given) * (n if len(given) == 1 else 1)
    if len(found) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the convolution "
            f"dimensions, but got {name}={list(found)}"
        )
    return found


def _check(name: str, of: Seen, n: int, groups: int, turned: bool) -> None:
    """Refuse dtypes and shapes that do not fit together."""
    shape, of_weight, dtype = list(of.input), list(of.weight), of.dtypes[0]
    if len(of_weight) == n + 2 and len(shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: {shape}"
        )
    if of.dtypes[1] != dtype:
        raise RuntimeError(
            f"Input type (torch.{NAMES[dtype]}Tensor) and weight type (torch.{NAMES[of.dtypes[1]]}Tensor) should be "
            "the same or input should be a MKLDNN tensor and weight is a dense tensor"
        )
    if of.dtypes[2] != dtype:
        raise RuntimeError(
            f"Input type ({NAMES[dtype].lower()}) and bias type ({NAMES[of.dtypes[2]].lower()}) should be the same"
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
    if of.bias is not None and of.bias != (given,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if turned else ''}weight of size {of_weight}, expected bias to be 1-dimensional "
            f"with {given} elements, but got bias of size {list(of.bias)} instead"
        )


def _check_numbers(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]) -> None:
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("non-positive dilation is not supported")


def _padding(given: Any, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
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
