"""What torch refuses of the arguments of a pool, in its words and in its order."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import FLOATS, NAMES
from .._tensor.tensor import Tensor
from ._sizes import for_each, integers
from .windows import Windows

_WORDS = {2: "two ints", 3: "three ints"}
_AXES = {2: ("H", "W"), 3: ("T", "H", "W")}
#: torch pools sequences as images with one row.
_USUAL = (1, 1, 0, 1)


def numbers(name: str, argument: str, given: Any, n: int, omitted: Any = None) -> tuple[int, ...]:
    """``n`` numbers, from one for all or one for each of the sizes; ``omitted`` where none is given."""
    if given is None and omitted is not None:
        return tuple(omitted)
    position = " (position 2)" if argument == "kernel_size" else ""
    found = for_each(integers(name, argument, given, position), n)
    if not found and omitted is not None:
        return tuple(omitted)
    if len(found) != n:
        raise RuntimeError(_miscounted(name, argument, len(found), n, omitted is not None))
    return found


def _miscounted(name: str, argument: str, found: int, n: int, omissible: bool) -> str:
    if name == "max_pool1d":
        kinds = f"{'None, ' if omissible else ''}an int, list of ints{',' if argument in ('stride', 'padding') else ''}"
        return f"{name}() {argument} must be {kinds} or tuple of ints of size 1 but got size {found}"
    if n == 1:
        return f"{name.removesuffix('_with_indices')}() argument {argument!r} should contain one int (got {found})"
    either = "" if name == "avg_pool3d" else "be either " if argument == "dilation" else "either be "
    what = f"{'omitted, ' if omissible else ''}a single int, or a tuple of {_WORDS[n]}"
    return f"{name}: {argument} must {either or 'be '}{what}"


def _once(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn``, worked out once for each set of arguments; every time where one of them is no key of a dict."""
    kept = functools.lru_cache(1024, typed=True)(fn)

    @functools.wraps(fn)
    def call(*args: Any) -> Any:
        try:
            return kept(*args)
        except TypeError:
            return fn(*args)

    return call


def windows_of(
    name: str,
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: Any,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
    n: int,
    divisor: int | None = None,
) -> Windows:
    """The windows of ``name`` over ``n`` sizes, after what torch refuses."""
    array = input._read()
    given: Any = [tuple(each) if isinstance(each, list) else each for each in (kernel_size, stride, padding, dilation)]
    found: Windows = _windows_once(name, array.shape, array.dtype, *given, ceil_mode, n, divisor)
    return found


@_once
def _windows_once(
    name: str,
    sizes: tuple[int, ...],
    dtype: mx.Dtype,
    kernel_size: int | Sequence[int],
    stride: Any,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
    n: int,
    divisor: int | None,
) -> Windows:
    shape, mean = list(sizes), name.startswith("avg")
    if name == "max_pool1d":
        _check_sequence(name, shape)
    elif n == 1:
        check_sequences(name.removesuffix("_with_indices"), shape)
    kernel = numbers(name, "kernel_size", kernel_size, n)
    steps = numbers(name, "stride", stride, n, omitted=kernel)
    around, apart = numbers(name, "padding", padding, n), numbers(name, "dilation", dilation, n)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    if name == "max_pool1d":
        _check_one(name, kernel[0], steps[0], around[0], apart[0])
    rows: tuple[Any, Any, Any, Any] = (kernel, steps, around, apart)
    if n == 1:
        shape.insert(len(shape) - 1, 1)
        k, s, p, d = ((usual, *row) for usual, row in zip(_USUAL, rows, strict=True))
        rows = (k, s, p, d)
    counts = _counted(name, shape, *rows, ceil_mode, mean)
    if name == "max_pool1d" and counts[-1] < 1:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {counts[-1]}")
    if name != "max_pool1d":
        _check_all(shape, *rows, counts, mean)
    _check_dtype(name, dtype, n)
    return Windows(kernel, steps, around, apart, counts[-n:])


def _check_sequence(name: str, shape: list[int]) -> None:
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{shape}"
        )


def check_sequences(name: str, shape: Sequence[int]) -> None:
    """Refuse what is neither (c, l) nor (n, c, l)."""
    if len(shape) not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' (while "
            f"checking arguments for {name})"
        )


def _check_one(name: str, kernel: int, stride: int, padding: int, dilation: int) -> None:
    if kernel <= 0:
        raise RuntimeError(f"{name}() kernel_size must be greater than zero, but got {kernel}")
    if stride <= 0:
        raise RuntimeError(f"{name}() stride must be greater than zero, but got {stride}")
    if padding < 0:
        raise RuntimeError(f"{name}() padding must be non-negative, but got {padding}")
    if padding > kernel // 2:
        raise RuntimeError(
            f"{name}() padding should be at most half of kernel size, but got padding={padding} and "
            f"kernel_size={kernel}"
        )
    if dilation <= 0:
        raise RuntimeError(f"{name}() dilation must be greater than zero, but got {dilation}")


def _counted(
    name: str,
    shape: list[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    mean: bool,
) -> tuple[int, ...]:
    """How many windows there are along each size."""
    n, counts = len(kernel), []
    if name == "avg_pool2d" and len(shape) < 3:
        reach = max(len(shape), 1)
        raise IndexError(f"Dimension out of range (expected to be in range of [{-reach}, {reach - 1}], but got -3)")
    if len(shape) not in (n + 1, n + 2) and not (mean and n == 2):
        raise RuntimeError(f"non-empty {n + 1}D or {n + 2}D (batch mode) tensor expected for input")
    for size, k, s, p, d in zip(shape[-n:], kernel, stride, padding, dilation, strict=True):
        if s == 0:
            raise RuntimeError("stride should not be zero")
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > int((d * (k - 1) + 1) / 2):
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )
        count = (size + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1
        counts.append(count - 1 if ceil_mode and (count - 1) * s >= size + p else count)
    return tuple(counts)


def _listed(letter: str, given: Sequence[int]) -> str:
    return " ".join(f"{letter}{a}: {k}" for a, k in zip(_AXES[len(given)], given, strict=True))


def _check_all(
    shape: list[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    counts: Sequence[int],
    mean: bool,
) -> None:
    n = len(kernel)
    for what, letter, given in (
        ("kernel size", "k", kernel),
        ("stride", "d", stride),
        ("dilation", "dilation", dilation),
    ):
        if min(given) <= 0:
            raise RuntimeError(f"{what} should be greater than zero, but got {_listed(letter, given)}")
    if n == 2 and (len(shape) not in (3, 4) or 0 in shape[-3:]):
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:{shape}"
        )
    if n == 3 and 0 in shape[-4:]:
        inner = "avg_pool3d" if mean else "max_pool3d_with_indices_out_cpu_template"
        raise RuntimeError(
            f"{inner}(): Expected input's non-batch dimensions to have positive length, but input has a shape of "
            f"{shape} and non-batch dimension 0 has length zero!"
        )
    if n == 3 and mean and any(size < k for size, k in zip(shape[-3:], kernel, strict=True)):
        raise RuntimeError(f"input image ({_listed('', shape[-3:])}) smaller than kernel size ({_listed('k', kernel)})")
    if any(k // 2 < p for k, p in zip(kernel, padding, strict=True)):
        if n == 2:
            shown = f"padW = {padding[1]}, padH = {padding[0]}, kW = {kernel[1]}, kH = {kernel[0]}"
        else:
            order = ((letter, a) for letter in ("k", "pad") for a in "TWH")
            values = {"k": dict(zip("THW", kernel, strict=True)), "pad": dict(zip("THW", padding, strict=True))}
            shown = " ".join(f"{letter}{a}: {values[letter][a]}" for letter, a in order)
        raise RuntimeError(f"pad should be smaller than or equal to half of kernel size, but got {shown}")
    if min(counts) < 1:
        channels, *sizes = shape[-n - 1 :]
        raise RuntimeError(
            f"Given input size: ({'x'.join(map(str, (channels, *sizes)))}). Calculated output size: "
            f"({'x'.join(map(str, (channels, *counts)))}). Output size is too small"
        )


def _check_dtype(name: str, dtype: mx.Dtype, n: int) -> None:
    if name.startswith("avg"):
        known, kernel = dtype in FLOATS or dtype == mx.int64, "avg_pool3d_out_frame" if n == 3 else "avg_pool2d"
    elif name == "max_pool1d":
        known, kernel = dtype in FLOATS, "max_pool1d_impl"
    else:
        known, kernel = dtype not in (mx.bool_, mx.complex64), f"max_pool{max(n, 2)}d"
    if not known:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAMES[dtype]}'")


# Adaptive pools -------------------------------------------------------------------------------------------------------


def adaptive_counts(name: str, input: Tensor, output_size: Any, n: int) -> tuple[int, ...]:
    """How many windows there are along each of the sizes, after what torch refuses; None keeps a size."""
    shape, largest = list(input.shape), "max" in name
    if n == 1:
        check_sequences(name, shape)
        counts = for_each(integers(name, "output_size", output_size, " (position 2)"), n)
        if len(counts) != 1:
            raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(counts)})")
    else:
        counts = _listed_counts(name, shape, output_size, n)
    if largest:
        _check_adaptive_sizes(name, shape, n, 1)
    if n > 1 and len(counts) != n:
        inner = f"{name}(): internal error: output_size.size()" if largest else f"{name}: output_size"
        raise RuntimeError(f"{inner} must be {n}")
    shown = [1, *counts] if n == 1 else list(counts)
    if min(counts) < 0 and largest:
        least = next(c for c in counts if c < 0)
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {least}: {[*shape[: len(shape) - n], *shown]}"
        )
    if min(counts) < 0:
        text = f"{shown[0]}, {','.join(map(str, shown[1:]))}"  # torch leaves out the second blank
        inner = name.replace("1d", "2d")
        raise RuntimeError(
            f"{inner}: elements of output_size must be greater than or equal to 0 but received {{{text}}}"
        )
    if not largest and math.prod(counts) != 1:
        _check_adaptive_sizes(name.replace("1d", "2d"), [*shape[:-1], 1, shape[-1]] if n == 1 else shape, max(n, 2), 0)
    if (largest or (math.prod(counts) != 1 and input.array.size)) and input.array.dtype not in FLOATS:
        inner = name.replace("1d", "2d") + ("_cpu" if n == 3 else "")
        raise NotImplementedError(f"\"{inner}\" not implemented for '{NAMES[input.array.dtype]}'")
    return counts


def _listed_counts(name: str, shape: list[int], given: Any, n: int) -> tuple[int, ...]:
    if isinstance(given, int):
        return (given,) * n
    if not hasattr(given, "__len__"):
        raise TypeError(f"object of type {type(given).__name__!r} has no len()")
    if len(shape) <= len(given):
        raise ValueError(f"Input dimension should be at least {len(given) + 1}")
    kept = shape[len(shape) - len(given) :]
    counts = integers(name, "output_size", [k if c is None else c for c, k in zip(given, kept, strict=True)])
    return counts if isinstance(counts, tuple) else (counts,)


def _check_adaptive_sizes(name: str, shape: list[int], n: int, channels: int) -> None:
    if len(shape) not in (n + 1, n + 2):
        colon = ":" if channels else ""
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got{colon} {shape}")
    first = 1 if channels or n == 3 else len(shape) - n
    for dim, size in enumerate(shape):
        if dim >= first and size == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {shape} "
                f"with dimension {dim} being empty"
            )
