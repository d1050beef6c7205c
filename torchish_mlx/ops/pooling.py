"""Pooling over one, two and three dimensions: the largest or the mean of each window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import INEXACT, NAMES
from .._tensor.tensor import Tensor
from ._call import composed
from .shaping import squeeze, unsqueeze
from .windows import MaxPooled, Windows, adaptive_max_pooled, adaptive_mean_pooled, max_pooled, mean_pooled

# What torch refuses ---------------------------------------------------------------------------------------------------

_WORDS = {1: "one int", 2: "two ints", 3: "three ints"}
_AXES = {1: ("W",), 2: ("H", "W"), 3: ("T", "H", "W")}


def _numbers(name: str, what: str, given: Any, n: int, omitted: Any = None) -> tuple[int, ...]:
    """``n`` numbers, from one for all or one for each of the sizes."""
    if given is None or (omitted is not None and not isinstance(given, int) and not len(given)):
        return tuple(omitted)
    found = (given,) * n if isinstance(given, int) else tuple(given) * (n if len(given) == 1 else 1)
    if len(found) != n:
        either = "either be" if omitted is None else "either be omitted,"
        raise RuntimeError(f"{name}: {what} must {either} a single int, or a tuple of {_WORDS[n]}")
    return found


def _listed(letter: str, given: Sequence[int]) -> str:
    return " ".join(f"{letter}{a}: {k}" for a, k in zip(_AXES[len(given)], given, strict=True))


def _checked(
    name: str,
    input: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> Windows:
    """The windows, after what torch refuses."""
    n = len(kernel)
    if min(kernel) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {_listed('k', kernel)}")
    if min(stride) <= 0:
        if 0 in stride:
            raise RuntimeError("stride should not be zero")
        raise RuntimeError(f"stride should be greater than zero, but got {_listed('d', stride)}")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {_listed('dilation', dilation)}")
    _check_sizes(name, input, n)
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )
    counts = []
    sizes = input.shape[-n:]
    for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        count = (size + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1
        counts.append(count - 1 if ceil_mode and (count - 1) * s >= size + p else count)
    if min(counts) < 1:
        channels = input.shape[-n - 1]
        raise RuntimeError(
            f"Given input size: ({'x'.join(map(str, (channels, *sizes)))}). Calculated output size: "
            f"({'x'.join(map(str, (channels, *[max(c, 0) for c in counts])))}). Output size is too small"
        )
    _check_dtype(name, input)
    return Windows(kernel, stride, padding, dilation, tuple(counts))


def _check_sizes(name: str, input: Tensor, n: int) -> None:
    """Refuse an input that is neither (c, *sizes) nor (n, c, *sizes), or that has no elements but for n = 0."""
    shape = list(input.shape)
    if len(shape) not in (n + 1, n + 2) or 0 in shape[-n - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got:{shape}"
        )


def _check_dtype(name: str, input: Tensor) -> None:
    if input.array.dtype == mx.bool_ or (input.array.dtype not in INEXACT and "adaptive" in name):
        kernel = name.replace("1d", "2d") if "adaptive" in name else name  # torch pools sequences as images
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAMES[input.array.dtype]}'")


def _batched(run: Callable[[Tensor], Any], input: Tensor, n: int) -> Any:
    """``run`` on a batch; one sample is a batch of one."""
    if input.ndim == n + 2:
        return run(input)
    made = run(unsqueeze(input, 0))
    return squeeze(made, 0) if isinstance(made, Tensor) else tuple([squeeze(each, 0) for each in made])


# The public functions -------------------------------------------------------------------------------------------------

_SIZE = "(size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1"


def _max_pools(n: int) -> None:
    """Declare ``max_pool{n}d``, which returns the places too if it is told so."""
    name = f"max_pool{n}d"

    def largest(
        input: Tensor, kernel_size: int | Sequence[int], stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> MaxPooled:
        kernel = _numbers(name, "kernel_size", kernel_size, n)
        steps = _numbers(name, "stride", stride, n, omitted=kernel)
        around, apart = _numbers(name, "padding", padding, n), _numbers(name, "dilation", dilation, n)
        windows = _checked(name, input, kernel, steps, around, apart, ceil_mode)
        return MaxPooled(*_batched(lambda x: max_pooled(x, windows), input, n))

    def function(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = (),
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
    ) -> Tensor:
        values: Tensor = largest(input, kernel_size, stride, padding, dilation, ceil_mode).values
        return values

    def functional(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        found = largest(input, kernel_size, stride, padding, dilation, ceil_mode)
        return tuple(found) if return_indices else found.values

    what = f"""The largest element of each window of the last {n} of the sizes.

    The gradient goes to the first of the largest ones.

    ``stride`` is ``kernel_size`` by default. The padding is of -inf, and at most half of the kernel. With ``ceil_mode``
    a last window may reach beyond the end.{{}}

    Raises:
        RuntimeError: sizes that don't fit together, or a result without elements.
    """
    function.__doc__ = what.format("")
    functional.__doc__ = what.format(" With ``return_indices`` the place of each element in its channel comes too.")
    shape = f"(n, c, *sizes), each {_SIZE}"
    composed(method=False, name=name, shape=shape)(function)
    composed(method=False, name=name, module="nn.functional", shape=shape)(functional)
    if n == 1:

        def with_indices(
            input: Tensor,
            kernel_size: int | Sequence[int],
            stride: int | Sequence[int] = (),
            padding: int | Sequence[int] = 0,
            dilation: int | Sequence[int] = 1,
            ceil_mode: bool = False,
        ) -> Any:
            """``max_pool1d``, and the place of each element in its channel."""
            return tuple(largest(input, kernel_size, stride, padding, dilation, ceil_mode))

        composed(method=False, name="max_pool1d_with_indices", shape=shape)(with_indices)


def _mean_pools(n: int) -> None:
    """Declare ``avg_pool{n}d``."""
    name = f"avg_pool{n}d"

    def pooled(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: Any,
        padding: int | Sequence[int],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> Tensor:
        kernel = _numbers(name, "kernel_size", kernel_size, n)
        steps = _numbers(name, "stride", stride, n, omitted=kernel)
        around = _numbers(name, "padding", padding, n)
        if divisor_override == 0:
            raise RuntimeError("divisor must be not zero")
        windows = _checked(name, input, kernel, steps, around, (1,) * n, ceil_mode)
        made: Tensor = _batched(lambda x: mean_pooled(x, windows, bool(count_include_pad), divisor_override), input, n)
        return made

    def of_one(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = (),
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> Tensor:
        return pooled(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)

    def of_more(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        return pooled(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

    function: Any = of_one if n == 1 else of_more
    divisor = "" if n == 1 else " ``divisor_override`` is what each sum is divided by instead."
    function.__doc__ = f"""The mean of each window of the last {n} of the sizes.

    ``stride`` is ``kernel_size`` by default. The padding is of zeros, which count as elements unless
    ``count_include_pad`` is False. With ``ceil_mode`` a last window may reach beyond the end.{divisor}

    Raises:
        RuntimeError: sizes that don't fit together, or a result without elements.
    """
    where = "torch nn.functional" if n == 1 else "nn.functional"
    shape = "(n, c, *sizes), each (size + 2 * padding - kernel_size) // stride + 1"
    composed(method=False, name=name, module=where, shape=shape)(function)


def _counts(name: str, input: Tensor, output_size: Any, n: int) -> tuple[int, ...]:
    """How many windows there are along each of the sizes; None keeps a size."""
    given = (output_size,) * n if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(given) != n:
        raise RuntimeError(f"{name}: output_size must be {n}")
    _check_sizes(name, input, n)
    found = tuple([size if count is None else count for count, size in zip(given, input.shape[-n:], strict=True)])
    if min(found) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{{{', '.join(map(str, found))}}}"
        )
    return found


def _adaptive_pools(n: int) -> None:
    """Declare ``adaptive_avg_pool{n}d`` and ``adaptive_max_pool{n}d``."""
    of_mean, of_max = f"adaptive_avg_pool{n}d", f"adaptive_max_pool{n}d"

    def mean(input: Tensor, output_size: Any) -> Tensor:
        counts = _counts(of_mean, input, output_size, n)
        if set(counts) == {1} and input.array.dtype not in INEXACT:  # torch calls its mean there
            raise RuntimeError(
                "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
                f"Got: {NAMES[input.array.dtype]}"
            )
        _check_dtype(of_mean, input)
        made: Tensor = _batched(lambda x: adaptive_mean_pooled(x, counts), input, n)
        return made

    def largest(input: Tensor, output_size: Any) -> Any:
        counts = _counts(of_max, input, output_size, n)
        _check_dtype(of_max, input)
        return tuple(_batched(lambda x: adaptive_max_pooled(x, counts), input, n))

    def functional(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        found = largest(input, output_size)
        return found if return_indices else found[0]

    windows = (
        f"of ``output_size`` windows along each of the last {n} of the sizes.\n\n"
        "Window i begins at floor(i * size / count) and ends before ceil((i + 1) * size / count). None keeps a size."
    )
    mean.__doc__ = f"The mean of each {windows}"
    largest.__doc__ = f"The largest of each {windows} The place of each in its channel comes too."
    functional.__doc__ = (
        f"The largest of each {windows} With ``return_indices`` the place of each in its channel comes too."
    )
    both = "torch nn.functional" if n == 1 else "nn.functional"
    shape = "(n, c, *output_size)"
    composed(method=False, name=of_mean, module=both, shape=shape)(mean)
    if n == 1:
        composed(method=False, name=of_max, shape=shape)(largest)
    composed(method=False, name=of_max, module="nn.functional", shape=shape)(functional)


for _n in (1, 2, 3):
    _max_pools(_n)
    _mean_pools(_n)
    _adaptive_pools(_n)
