"""Whose layout a tensor's axes are in: known of what is in use here, and of what was read from a file.

torch keeps the channels of a convolution's weights second, MLX last. Where both layouts have one shape, nothing but the
origin of a tensor tells which it has. So a Tensor remembers it, through copies, casts and moves of its axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

MLX, TORCH = "mlx", "torch"


class Origin(NamedTuple):
    """Where a tensor is from.

    Attributes:
        side: whose layout its axes had, MLX's or torch's.
        axes: the place that each axis had then; () if they are as they were.
    """

    side: str
    axes: tuple[int, ...] = ()

    def permuted(self, order: Sequence[int]) -> Origin | None:
        """The origin after the axes were put in ``order``; None where it is of another number of axes.

        >>> Origin("torch").permuted((0, 2, 3, 1)).permuted((0, 3, 1, 2))
        Origin(side='torch', axes=())
        """
        same = tuple(range(len(order)))
        before = self.axes or same
        if len(before) != len(order):
            return None
        axes = tuple(before[i] for i in order)
        return Origin(self.side, () if axes == same else axes)

    @property
    def is_mlx(self) -> bool:
        """Whether the axes are in MLX's layout, as far as that can be said without knowing the layer."""
        return (self.side == MLX) == (self.axes == ())


def of_another_library(value: Any) -> Origin | None:
    """The origin of an array of another library: torch's tensors, and what has torch's memory with its axes moved."""
    if not hasattr(value, "shape"):  # numbers and lists
        return None
    of_torch = any(kind.__module__.partition(".")[0] == "torch" for kind in type(value).__mro__)
    axes = _moved_axes(value)
    return Origin(TORCH, axes) if of_torch or axes else None


def _moved_axes(value: Any) -> tuple[int, ...]:
    """The place of each axis in memory, where the elements are in memory without gaps but in another order."""
    try:
        strides = tuple(value.stride() if callable(getattr(value, "stride", None)) else value.strides)
        shape = tuple(value.shape)
    except (AttributeError, TypeError, RuntimeError, NotImplementedError):  # a sparse tensor has none
        return ()
    if len(strides) != len(shape) or any(type(n) is not int for n in (*strides, *shape)) or min(shape, default=0) < 1:
        return ()
    wide = [axis for axis in range(len(shape)) if shape[axis] > 1]
    in_memory = sorted(wide, key=lambda axis: -strides[axis])
    step = strides[in_memory[-1]] if in_memory else 0
    for axis in reversed(in_memory):
        if strides[axis] != step:
            return ()
        step *= shape[axis]
    if in_memory == wide or len(wide) < len(shape):
        return ()
    return tuple(in_memory.index(axis) for axis in range(len(shape)))
