"""The way back from a largest-of-window pool, and pools of powers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import mlx.core as mx

from .._core.bounds import inside
from .._core.promotion import FLOATS, NAMES
from .._tensor.tensor import Tensor, wrap
from ._arguments import sizes as as_sizes
from ._declare import composed
from ._sizes import for_each, integers
from .arithmetic import abs as absolute
from .arithmetic import mul, pow, sign
from .pooling import MEANS
from .shaping import squeeze, unsqueeze
from .windows import max_unpooled

# Unpooling ------------------------------------------------------------------------------------------------------------


def _output_size(input: Tensor, kernel: Any, stride: Any, padding: Any, output_size: Any) -> tuple[int, ...]:
    """The sizes of the result: those that are given, if a pool could have had them.

    Torch does this in Python, so that what does not fit together fails as Python's own arithmetic does.
    """
    n, shape = len(kernel), input.shape
    usual = tuple([(shape[d - n] - 1) * stride[d] + kernel[d] - 2 * padding[d] for d in range(n)])
    if output_size is None:
        return usual
    if len(output_size) == n + 2:
        output_size = output_size[2:]
    if len(output_size) != n:
        raise ValueError(
            f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
            f"'{len(output_size)}'"
        )
    for d, (size, middle, s) in enumerate(zip(output_size, usual, stride, strict=False)):
        if not middle - s < size < middle + s:
            raise ValueError(
                f'invalid output_size "{output_size}" (dim {d} must be between {middle - s} and {middle + s})'
            )
    return tuple(output_size)


def _for_each(value: Any, n: int) -> tuple[Any, ...]:
    """One value for each of ``n`` dimensions, whatever is in it: torch looks at the sizes of the result alone."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * n


def _checked_indices(input: Tensor, indices: Tensor, sizes: tuple[int, ...], stride: Any, n: int) -> mx.array:
    """The indices, after what torch refuses."""
    shape, places = list(input.shape), list(indices.shape)
    name, last = f"max_unpooling{max(n, 2)}d", [1] if n == 1 else []  # torch makes an image of a sequence
    full, found = [*shape, *last], indices.array
    dims = max(n, 2)
    if found.dtype != mx.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {NAMES[found.dtype]}")
    if len(full) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Input to {name} should be a {dims + 1}d or {dims + 2}d Tensor, but got a tensor with {len(full)} "
            "dimensions."
        )
    if shape != places:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({full}) but got indices tensor with "
            f"shape: {[*places, *last]}"
        )
    if n == 3 and min(stride) <= 0:
        raise RuntimeError(f"strides should be greater than zero, but got stride: {list(stride)}")
    for dim, size in enumerate(full):
        if dim > 0 and size == 0:
            raise RuntimeError(
                f"{name}_forward_out_cpu(): Expected input to have non-zero size for non-batch dimensions, but got "
                f"{full} with dimension {dim} being empty."
            )
    if input.array.dtype not in FLOATS:
        raise NotImplementedError(f"\"max_unpool{dims}d\" not implemented for '{NAMES[input.array.dtype]}'")
    volume = "x".join(map(str, [*sizes, *last]))
    return inside(
        found,
        max(math.prod(sizes), 0),
        lambda wrong: RuntimeError(f"Found an invalid max index: {wrong} (output volumes are of size {volume})"),
        negative=False,
    )


def _unpools(n: int) -> None:
    """Declare ``max_unpool{n}d``."""
    name = f"max_unpool{n}d"

    def function(
        input: Tensor,
        indices: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Tensor:
        kernel, around = _for_each(kernel_size, n), _for_each(padding, n)
        steps = kernel if stride is None else _for_each(stride, n)
        sizes = as_sizes(name, "output_size", [_output_size(input, kernel, steps, around, output_size)])
        if len(sizes) != n:
            raise RuntimeError(f"There should be exactly {n} elements in output_size, but got {len(sizes)}")
        if n == 3:
            steps, around = as_sizes(name, "stride", [steps]), as_sizes(name, "padding", [around])
        places = wrap(_checked_indices(input, indices, sizes, steps, n))
        if input.ndim == n + 1:
            return squeeze(max_unpooled(unsqueeze(input, 0), unsqueeze(places, 0), sizes), 0)
        made: Tensor = max_unpooled(input, places, sizes)
        return made

    function.__doc__ = f"""The way back from ``max_pool{n}d``: each element at its place, and zeros elsewhere.

    ``indices`` are what ``max_pool{n}d(..., return_indices=True)`` gives. ``output_size`` chooses among the sizes that
    the pool makes the same of.

    Raises:
        RuntimeError: an index outside of the result, or shapes and dtypes that do not fit together.
        ValueError: an ``output_size`` that no pool makes ``input`` of.
    """
    function.__name__ = function.__qualname__ = name
    size = "(size - 1) * stride + kernel_size - 2 * padding"
    composed(method=False, module="nn.functional", shape=f"``(n, c, *output_size)``, each ``{size}`` by default")(
        function
    )


# Pools of powers ------------------------------------------------------------------------------------------------------


def _power_pools(n: int) -> None:
    """Declare ``lp_pool{n}d``."""
    name = f"lp_pool{n}d"

    def function(
        input: Tensor,
        norm_type: float,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        ceil_mode: bool = False,
    ) -> Tensor:
        mean = MEANS[n](pow(input, norm_type), kernel_size, () if stride is None else stride, 0, ceil_mode)
        if isinstance(kernel_size, (tuple, list)) and (n == 1 or len(kernel_size) != n):
            kind = TypeError if n == 1 else ValueError
            raise kind(f"{name}(): kernel_size must be one int{'' if n == 1 else f' or {n}'}, and is {kernel_size}")
        count = math.prod(for_each(integers(name, "kernel_size", kernel_size), n))
        made: Tensor = pow(mul(mul(sign(mean), absolute(mean)), count), 1.0 / norm_type)
        return made

    function.__doc__ = f"""The ``norm_type``-th root of the sum of powers of each window of the last {n} of the sizes.

    (sum of x^p)^(1/p), for p = ``norm_type``. ``stride`` is ``kernel_size`` by default. With ``ceil_mode`` a window
    that reaches beyond the end counts as one that is full.

    Raises:
        RuntimeError: sizes that don't fit together, or a result without elements.
    """
    function.__name__ = function.__qualname__ = name
    shape = "``(n, c, *sizes)``, each ``(size - kernel_size) // stride + 1``"
    composed(method=False, module="nn.functional", shape=shape)(function)


for _n in (1, 2, 3):
    _unpools(_n)
    _power_pools(_n)
