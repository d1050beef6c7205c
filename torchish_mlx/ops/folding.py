"""Images as the windows of them, and back: ``unfold`` and ``fold``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS, NAMES, cast, widened
from .._tensor.tensor import Tensor
from ._declare import composed, op
from ._op import Array
from ._sizes import integers
from .shaping import squeeze, unsqueeze
from .windows import Windows, spread_places, windows_in

# Windows --------------------------------------------------------------------------------------------------------------


def _columns(x: mx.array, w: Windows) -> mx.array:
    """(n, c, *sizes) as (n, c * product of the kernel, product of the counts)."""
    n, c = x.shape[:2]
    if not x.size:
        return mx.zeros((n, c * math.prod(w.kernel), math.prod(w.counts)), x.dtype)
    shown = windows_in(mx.transpose(x, (0, 2, 3, 1)), w, 0)  # (n, count, kernel, count, kernel, c)
    return mx.reshape(mx.transpose(shown, (0, 5, 2, 4, 1, 3)), (n, c * math.prod(w.kernel), math.prod(w.counts)))


def _image(columns: mx.array, sizes: Sequence[int], w: Windows) -> mx.array:
    """(n, c * product of the kernel, product of the counts) as (n, c, *sizes), summed where windows overlap."""
    n, c = columns.shape[0], columns.shape[1] // math.prod(w.kernel)
    if not columns.size:
        return mx.zeros((n, c, *sizes), columns.dtype)
    parts = mx.transpose(mx.reshape(widened(columns), (n, c, *w.kernel, *w.counts)), (0, 2, 3, 4, 5, 1))
    made = mx.transpose(spread_places(parts, sizes, w), (0, 3, 1, 2))
    return cast(made, columns.dtype)


@op(
    grad={"input": lambda g, input_shape, windows: _image(g, input_shape[2:], Windows(*windows))},
    name="fold.columns",
    node="Im2ColBackward0",
    function=False,
    method=False,
)
def _unfolded(input: Array, windows: Any) -> mx.array:
    """The windows of (n, c, h, w) as columns."""
    return _columns(input, Windows(*windows))


@op(
    grad={"input": lambda g, windows: _columns(g, Windows(*windows))},
    name="fold.image",
    node="Col2ImBackward0",
    function=False,
    method=False,
)
def _folded(input: Array, sizes: Any, windows: Any) -> mx.array:
    """Columns as (n, c, h, w)."""
    return _image(input, sizes, Windows(*windows))


def _pairs(name: str, **given: Any) -> list[Any]:
    found = []
    for argument, value in given.items():
        numbers = integers(name, argument, value)
        pair = (numbers, numbers) if isinstance(numbers, int) else numbers
        if len(pair) != 2:
            raise RuntimeError(f"It is expected {argument} equals to 2, but got size {len(pair)}")
        found.append(pair)
    return found


def _check_numbers(kernel: Any, dilation: Any, padding: Any, stride: Any) -> None:
    rows = (("kernel size", "kernel", kernel), ("dilation", "dilation", dilation), ("stride", "stride", stride))
    for what, short, (h, w) in (rows[0], rows[2], rows[1]):
        if min(h, w) <= 0:
            raise RuntimeError(f"{what} should be greater than zero, but got {short}_height: {h} {short}_width: {w}")
    if min(padding) < 0:
        raise RuntimeError(f"padding should be non-negative, but got pad_height: {padding[0]} pad_width: {padding[1]}")


def _counts(sizes: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> tuple[int, ...]:
    each = zip(sizes, kernel, dilation, padding, stride, strict=True)
    return tuple([(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, d, p, s in each])


@composed(module="nn.functional", method=False, shape="``(n, c * product of kernel_size, number of windows)``")
def unfold(
    input: Tensor,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """The windows of an image (n, c, h, w), each as a column.

    Raises:
        RuntimeError: an input of another number of dimensions, or without a window.
    """
    numbers = _pairs("im2col", kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
    if input.ndim < 3:
        raise IndexError(f"unfold() takes an image of 3 dimensions, or 4 with its batch, and was given {input.ndim}")
    kernel, apart, around, steps = numbers
    _check_numbers(*numbers)
    shape = list(input.shape)
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for "
            f"input, but got: {shape}"
        )
    counts = _counts(shape[-2:], *numbers)
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(shape[-2:])}, kernel_size={kernel}, dilation={apart}, "
            f"padding={around}, calculated shape of the array of sliding blocks as {counts}, but its components must "
            "be at least one."
        )
    if input.array.dtype not in FLOATS and input.array.dtype not in (mx.bool_, mx.complex64):
        raise NotImplementedError(f"\"im2col_out_cpu\" not implemented for '{NAMES[input.array.dtype]}'")
    windows = (kernel, steps, around, apart, counts)
    if len(shape) == 3:
        return squeeze(_unfolded(unsqueeze(input, 0), windows), 0)
    made: Tensor = _unfolded(input, windows)
    return made


@composed(module="nn.functional", method=False, shape="``(n, c, *output_size)``")
def fold(
    input: Tensor,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """The image of columns as ``unfold`` makes them; elements of windows that overlap are summed.

    Raises:
        RuntimeError: an input of another number of dimensions, or of columns that do not fit ``output_size``.
    """
    (sizes,) = _pairs("col2im", output_size=output_size)
    numbers = _pairs("col2im", kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
    kernel, apart, around, steps = numbers
    _check_numbers(*numbers)
    shape = list(input.shape)
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {shape}"
        )
    rows, columns = len(shape) - 2, len(shape) - 1  # torch names the dimensions of a batch
    if shape[rows] % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[rows]} and kernel_size={kernel}."
        )
    counts = _counts(sizes, *numbers)
    if math.prod(counts) != shape[columns] or min(counts) < 1:
        raise RuntimeError(
            f"Given output_size={sizes}, kernel_size={kernel}, dilation={apart}, padding={around}, stride={steps}, "
            f"expected size of input's dimension 2 to match the calculated number of sliding blocks {counts[0]} * "
            f"{counts[1]} = {math.prod(counts)}, but got input.size(2)={shape[columns]}."
        )
    if input.array.dtype not in FLOATS and input.array.dtype not in (mx.bool_, mx.complex64):
        raise NotImplementedError(f"\"col2im_out_cpu\" not implemented for '{NAMES[input.array.dtype]}'")
    windows = (kernel, steps, around, apart, counts)
    if len(shape) == 2:
        return squeeze(_folded(unsqueeze(input, 0), sizes, windows), 0)
    made: Tensor = _folded(input, sizes, windows)
    return made
