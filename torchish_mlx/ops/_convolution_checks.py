"""What torch refuses of the arguments of a convolution, in its words and in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from .._core.promotion import IN_C, INEXACT, NAMES
from ._sizes import for_each, integers

_OUTPUT_PADDING = {1: ("height", "width"), 2: ("height", "width"), 3: ("depth", "height", "width")}


class Seen(NamedTuple):
    """The shapes and dtypes of the arguments of a convolution; without a bias the input's dtype takes its place."""

    input: tuple[int, ...]
    weight: tuple[int, ...]
    bias: tuple[int, ...] | None
    dtypes: tuple[mx.Dtype, mx.Dtype, mx.Dtype]


class Numbers(NamedTuple):
    """The numbers of a convolution for each of its sizes; ``padding`` is (before, after)."""

    stride: tuple[int, ...]
    padding: Any
    dilation: tuple[int, ...]
    more: tuple[int, ...]


def checked(
    name: str, n: int, of: Seen, stride: Any, padding: Any, dilation: Any, groups: Any, more: Any = None
) -> Numbers:
    """The numbers, after what torch refuses. ``more`` is the output padding of a transposed convolution."""
    turned = more is not None
    padded = not turned and isinstance(padding, str)
    given = {"stride": stride, "padding": 0 if padded else padding, "dilation": dilation}
    given["output_padding"] = more if turned else 0
    whole = {argument: integers(name, argument, value) for argument, value in given.items()}
    shape, weight = list(of.input), list(of.weight)
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: {shape}"
        )
    if len(shape) == n + 1:
        shape.insert(0, 1)
    if not turned and of.dtypes[2] != of.dtypes[0]:
        names = [IN_C[dtype] for dtype in of.dtypes]
        raise RuntimeError(f"Input type ({names[0]}) and bias type ({names[2]}) should be the same")
    if len(weight) < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if padded and padding == "same":
        _check_dimensions(shape, weight)
    count = len(weight) - 2  # of numbers that torch takes, for a weight of any number of dimensions
    steps, around, apart, further = [_expanded(argument, value, n, count) for argument, value in whole.items()]
    if padded:
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if padding == "same" and any(s != 1 for s in steps):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
    _check_signs(steps, around, apart, further)
    _check_shapes(shape, weight, of.bias, groups, turned)
    if min(apart) == 0:
        raise RuntimeError("non-positive dilation is not supported")
    before = _padding(padding, weight[2:], apart) if padded else tuple([(p, p) for p in around])
    if not turned:
        _check_reach(shape[2:], weight[2:], before, apart)
    _check_elements(name, shape, weight, n, turned)
    _check_dtypes(name, of.dtypes, n, turned)
    if turned:
        _check_output_padding(further, steps, apart)
    return Numbers(steps, before, apart, further)


def _check_output_padding(more: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> None:
    """Refuse an output padding that is not less than the stride or the dilation."""
    if any(o >= max(s, d) for o, s, d in zip(more, stride, dilation, strict=True)):
        sides = _OUTPUT_PADDING[len(more)]
        rows = zip(("output_padding", "stride", "dilation"), (more, stride, dilation), (0, 1, 1), strict=True)
        shown = [
            f"{what}_{side}: {value}"
            for what, values, usual in rows
            for side, value in zip(sides, [usual] * (len(sides) - len(values)) + list(values), strict=True)
        ]
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {' '.join(shown)}")


def by(words: Sequence[int]) -> str:
    """Sizes as torch shows them.

    >>> by([3, 4])
    '(3 x 4)'
    """
    return f"({' x '.join(map(str, words))})"


def _expanded(argument: str, given: tuple[int, ...] | int, n: int, count: int) -> tuple[int, ...]:
    listed = (given,) * n if isinstance(given, int) else given
    found = for_each(listed, count)
    if len(found) != count:
        raise RuntimeError(
            f"expected {argument} to be a single integer value or a list of {count} values to match the convolution "
            f"dimensions, but got {argument}={list(listed)}"
        )
    return found


def _padding(given: str, kernel: Sequence[int], dilation: Sequence[int]) -> Any:
    """(before, after) for each dimension; ``"same"`` pads more behind where the sum is odd."""
    if given == "valid":
        return ((0, 0),) * len(kernel)
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple([(t // 2, t - t // 2) for t in total])


def _check_signs(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], more: Sequence[int]) -> None:
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(more) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) < 0:
        raise RuntimeError("dilation should be greater than zero")


def _check_shapes(shape: list[int], weight: list[int], bias: Sequence[int] | None, groups: int, turned: bool) -> None:
    _check_dimensions(shape, weight)
    if weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{weight} instead"
        )
    if weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size [{weight}] instead"
        )
    mode = "transposed=1" if turned else f"groups={groups}"
    wanted = weight[0] if turned else weight[1] * groups
    if shape[1] != wanted:
        raise RuntimeError(
            f"Given {mode}, weight of size {weight}, expected input{shape} to have {wanted} channels, but got "
            f"{shape[1]} channels instead"
        )
    given = weight[1] * groups if turned else weight[0]
    if bias is not None and tuple(bias) != (given,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if turned else ''}weight of size {weight}, expected bias to be 1-dimensional "
            f"with {given} elements, but got bias of size {list(bias)} instead"
        )


def _check_dimensions(shape: list[int], weight: list[int]) -> None:
    n = len(weight)
    if n != len(shape):
        raise RuntimeError(
            f"Expected {n}-dimensional input for {n}-dimensional weight{weight}, but got {len(shape)}-dimensional "
            f"input of size {shape} instead"
        )


def _check_reach(sizes: Sequence[int], kernel: Sequence[int], padding: Any, dilation: Sequence[int]) -> None:
    grown = [size + b + a for size, (b, a) in zip(sizes, padding, strict=True)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if any(g < r for g, r in zip(grown, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: {by(grown)}. Kernel size: {by(reach)}. Kernel size "
            "can't be greater than actual input size"
        )


def _check_elements(name: str, shape: list[int], weight: list[int], n: int, turned: bool) -> None:
    if 0 in weight[2:] or (turned and weight[1] == 0):
        raise RuntimeError(f"{name}(): weight of size {weight} has no elements, and torch refuses it too")
    if 0 in shape[2:]:
        shown = [*shape[:2], 1, *shape[2:]] if n == 1 else shape
        raise RuntimeError(f"Only zero batch or zero channel inputs are supported, but got input shape: {shown}")


def _check_dtypes(name: str, dtypes: Sequence[mx.Dtype], n: int, turned: bool) -> None:
    dtype = dtypes[0]
    if dtypes[1] != dtype and dtype not in INEXACT:
        raise RuntimeError(f"expected scalar type {NAMES[dtype]} but found {NAMES[dtypes[1]]}")
    for what, other in zip(("weight", "bias"), dtypes[1:], strict=True):
        if other != dtype:
            raise RuntimeError(
                f"Input type ({_type_name(dtype)}) and {what} type ({_type_name(other)}) should be the same or input "
                f"should be a MKLDNN tensor and {what} is a dense tensor"
            )
    if dtype == mx.complex64:
        raise NotImplementedError(f"{name}() of complex numbers is not here: convolve their real and imaginary parts")
    if dtype == mx.bool_:
        plain = "compute_columns3d" if n == 3 else "slow_conv2d_cpu"
        kernel = f"slow_conv_transpose{max(n, 2)}d_out_cpu" if turned else plain
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def _type_name(dtype: mx.Dtype) -> str:
    return "CPUBFloat16Type" if dtype == mx.bfloat16 else f"torch.{NAMES[dtype]}Tensor"
