"""Pooling over one, two and three dimensions: the largest or the mean of each window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._tensor.tensor import Tensor
from ._arguments import Truth
from ._declare import composed
from ._pool_checks import adaptive_counts, windows_of
from ._recorded import call_it
from .reduction import mean
from .shaping import squeeze, unsqueeze
from .windows import MaxPooled, adaptive_max_pooled, adaptive_mean_pooled, max_pooled, mean_pooled


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
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: Any,
        padding: int | Sequence[int],
        dilation: int | Sequence[int],
        ceil_mode: bool,
        indices: bool = False,
    ) -> MaxPooled:
        called = (
            f"{name}_with_indices" if indices and n == 1 else name
        )  # torch has two functions, which refuse other things
        windows = windows_of(called, input, kernel_size, stride, padding, dilation, ceil_mode, n)
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
        return_indices: Truth = False,
    ) -> Any:
        found = largest(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
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
    shape = f"``(n, c, *sizes)``, each {_SIZE}"
    node = "SqueezeBackward1" if n == 1 else f"MaxPool{n}DWithIndicesBackward0"
    composed(method=False, name=name, shape=shape, node=node)(function)
    composed(method=False, name=name, module="nn.functional", shape=shape, node=node)(functional)
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
            return tuple(largest(input, kernel_size, stride, padding, dilation, ceil_mode, True))

        composed(method=False, name="max_pool1d_with_indices", shape=shape, node=node)(with_indices)


#: ``avg_pool{n}d`` by n.
MEANS: dict[int, Callable[..., Tensor]] = {}


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
        windows = windows_of(name, input, kernel_size, stride, padding, 1, ceil_mode, n, divisor_override)
        made: Tensor = _batched(lambda x: mean_pooled(x, windows, bool(count_include_pad), divisor_override), input, n)
        return made

    def of_one(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = (),
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
    shape = "``(n, c, *sizes)``, each ``(size + 2 * padding - kernel_size) // stride + 1``"
    node = "SqueezeBackward1" if n == 1 else f"AvgPool{n}DBackward0"
    MEANS[n] = composed(method=False, name=name, module=where, shape=shape, outs=n > 1, node=node)(function)


#: ``adaptive_avg_pool{n}d`` by n.
AREA: dict[int, Callable[..., Tensor]] = {}


def _adaptive_pools(n: int) -> None:
    """Declare ``adaptive_avg_pool{n}d`` and ``adaptive_max_pool{n}d``."""
    of_mean, of_max = f"adaptive_avg_pool{n}d", f"adaptive_max_pool{n}d"

    def averaged(input: Tensor, output_size: Any) -> Tensor:
        counts = adaptive_counts(of_mean, input, output_size, n)
        if set(counts) == {1}:  # torch calls its mean there, of inputs of any number of dimensions
            whole: Tensor = mean(input, tuple(range(-n, 0)), True)
            return whole
        made: Tensor = _batched(lambda x: adaptive_mean_pooled(x, counts), input, n)
        call_it(f"AdaptiveAvgPool{n}DBackward0", made)
        return made

    def largest(input: Tensor, output_size: Any) -> Any:
        counts = adaptive_counts(of_max, input, output_size, n)
        return tuple(_batched(lambda x: adaptive_max_pooled(x, counts), input, n))

    def functional(input: Tensor, output_size: Any, return_indices: Truth = False) -> Any:
        found = largest(input, output_size)
        return found if return_indices else found[0]

    windows = (
        f"of ``output_size`` windows along each of the last {n} of the sizes.\n\n"
        "Window i begins at floor(i * size / count) and ends before ceil((i + 1) * size / count). None keeps a size."
    )
    averaged.__doc__ = f"The mean of each {windows}"
    largest.__doc__ = f"The largest of each {windows} The place of each in its channel comes too."
    functional.__doc__ = (
        f"The largest of each {windows} With ``return_indices`` the place of each in its channel comes too."
    )
    both = "torch nn.functional" if n == 1 else "nn.functional"
    shape = "``(n, c, *output_size)``"
    node = "SqueezeBackward1" if n == 1 else f"AdaptiveMaxPool{n}DBackward0"
    AREA[n] = composed(method=False, name=of_mean, module=both, shape=shape, node=node if n == 1 else "")(averaged)
    if n == 1:
        composed(method=False, name=of_max, shape=shape, node=node)(largest)
    composed(method=False, name=of_max, module="nn.functional", shape=shape, node=node)(functional)


for _n in (1, 2, 3):
    _max_pools(_n)
    _mean_pools(_n)
    _adaptive_pools(_n)
