"""Steps from an array to a view of it: each can be applied, undone on a write, and knows torch's strides."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._core.promotion import dtype_named, name_of

Shape = tuple[int, ...]


class Step(ABC):
    """One step of a view, from an array of shape ``before`` to one of shape ``after``.

    ``called`` is torch's name of the recorded call, where the function that made the step gave one.
    """

    __slots__ = ("before", "after", "called")

    def __init__(self, before: Shape, after: Shape) -> None:
        self.before = tuple(before)
        self.after = tuple(after)
        self.called: str | None = None

    def call(self) -> str:
        """Torch's name of the recorded call, ``"PermuteBackward0"``."""
        return self.called or f"{type(self).__name__}Backward0"

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds, of any protocol."""
        return {name: getattr(self, name) for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    @abstractmethod
    def forward(self, x: mx.array) -> mx.array:
        """The view of ``x``."""

    @abstractmethod
    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        """``x`` with the part that the view shows replaced by ``value``."""

    @abstractmethod
    def pull(self, g: mx.array) -> mx.array:
        """The gradient of what the step is taken from, given that of the view."""

    @abstractmethod
    def strides(self, strides: Shape) -> Shape:
        """Torch's strides of the view, given those of what it is taken from."""

    def layout(self, strides: Shape, offset: int) -> tuple[Shape, int]:
        """Torch's strides and offset of the view, given those of what it is taken from."""
        return self.strides(strides), offset


class Reshape(Step):
    """The same elements in the same order in another shape."""

    __slots__ = ()

    def forward(self, x: mx.array) -> mx.array:
        return mx.reshape(x, self.after)

    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        return mx.reshape(value, x.shape)

    def pull(self, g: mx.array) -> mx.array:
        return mx.reshape(g, self.before)

    def strides(self, strides: Shape) -> Shape:
        out = reshaped_strides(self.before, strides, self.after)
        assert out is not None, "a reshape that has to copy was made into a view"
        return out


class Permute(Step):
    """The axes in another order."""

    __slots__ = ("axes",)

    def __init__(self, before: Shape, axes: Sequence[int]) -> None:
        super().__init__(before, tuple(before[a] for a in axes))
        self.axes = tuple(axes)

    def forward(self, x: mx.array) -> mx.array:
        return mx.transpose(x, self.axes)

    def backward(self, x: mx.array, value: mx.array) -> mx.array:  # noqa: ARG002 - all of it is replaced
        return mx.transpose(value, inverse(self.axes))

    def pull(self, g: mx.array) -> mx.array:
        return mx.transpose(g, inverse(self.axes))

    def strides(self, strides: Shape) -> Shape:
        return tuple(strides[a] for a in self.axes)


class Index(Step):
    """A basic index: a tuple of ints, slices with a positive step, and ``None``; without ``Ellipsis``."""

    __slots__ = ("key",)

    def __init__(self, before: Shape, key: tuple[Any, ...]) -> None:
        after, axis = [], 0
        for k in key:
            if k is None:
                after.append(1)
                continue
            if isinstance(k, slice):
                after.append(len(range(*k.indices(before[axis]))))
            axis += 1
        super().__init__(before, (*after, *before[axis:]))
        self.key = key

    def call(self) -> str:
        if self.called:
            return self.called
        if len(self.key) == 1 and isinstance(self.key[0], slice):
            return "SliceBackward0"
        taken, axis = "Alias", 0
        for k in self.key:  # torch takes them one after the other, and leaves out slices of everything
            if k is None:
                taken = "Unsqueeze"
                continue
            if not isinstance(k, slice):
                taken = "Select"
            elif k.indices(self.before[axis]) != (0, self.before[axis], 1):
                taken = "Slice"
            axis += 1
        return f"{taken}Backward0"

    def forward(self, x: mx.array) -> mx.array:
        return x[self.key]

    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        out = mx.array(x)  # another handle on the same data: the assignment below replaces the handle's array
        out[self.key] = value
        return out

    def pull(self, g: mx.array) -> mx.array:
        out = mx.zeros(self.before, g.dtype)
        if g.size:
            out[self.key] = g
        return out

    def strides(self, strides: Shape) -> Shape:
        out, axis = [], 0
        for k in self.key:
            if k is None:
                # torch's unsqueeze: the stride that a new axis of any size would have there
                here = self.before[axis] * strides[axis] if axis < len(strides) else 1
                out.append(here)
                continue
            if isinstance(k, slice):
                out.append(strides[axis] * k.indices(self.before[axis])[2])
            axis += 1
        return (*out, *strides[axis:])

    def layout(self, strides: Shape, offset: int) -> tuple[Shape, int]:
        for axis, k in enumerate(k for k in self.key if k is not None):
            n = self.before[axis]
            offset += strides[axis] * (k.indices(n)[0] if isinstance(k, slice) else k % n)
        return self.strides(strides), offset


class Expand(Step):
    """Axes of size one repeated without a copy."""

    __slots__ = ()

    def forward(self, x: mx.array) -> mx.array:
        return mx.broadcast_to(x, self.after)

    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        raise overlapping(f"{list(x.shape)} is expanded to {list(value.shape)}")

    def pull(self, g: mx.array) -> mx.array:
        lead = len(self.after) - len(self.before)
        axes = [i for i, n in enumerate(self.after) if i < lead or self.before[i - lead] != n]
        if axes and not g.size:  # MLX's CPU backend reads past the end of an array without elements
            return mx.zeros(self.before, g.dtype)
        return mx.reshape(mx.sum(g, axis=axes) if axes else g, self.before)

    def strides(self, strides: Shape) -> Shape:
        lead = len(self.after) - len(self.before)
        kept = [s if b == a else 0 for s, b, a in zip(strides, self.before, self.after[lead:], strict=True)]
        return (*([0] * lead), *kept)


class Bits(Step):
    """The bytes of the same elements in another dtype, which may be wider or narrower."""

    __slots__ = ("dtype", "was")

    def __init__(self, before: Shape, was: mx.Dtype, dtype: mx.Dtype) -> None:
        super().__init__(before, (*before[:-1], before[-1] * was.size // dtype.size) if before else ())
        self.was, self.dtype = was, dtype

    def __getstate__(self) -> dict[str, Any]:
        names = {"dtype": name_of(self.dtype), "was": name_of(self.was)}  # MLX's dtypes can't be pickled
        return {"before": self.before, "after": self.after, **names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        dtypes = {name: dtype_named(state[name]) for name in ("dtype", "was")}
        super().__setstate__({**state, **dtypes})

    def forward(self, x: mx.array) -> mx.array:
        return x.view(self.dtype)

    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        return value.view(x.dtype)

    def pull(self, g: mx.array) -> mx.array:
        return mx.zeros(self.before, g.dtype)

    def strides(self, strides: Shape) -> Shape:
        return (*[s * self.was.size // self.dtype.size for s in strides[:-1]], *strides[-1:])

    def layout(self, strides: Shape, offset: int) -> tuple[Shape, int]:
        return self.strides(strides), offset * self.was.size // self.dtype.size


class Strided(Step):
    """Any strides and offset on an array that is flat; overlapping ones cannot be written through."""

    __slots__ = ("offset", "steps")

    def __init__(self, before: Shape, after: Shape, steps: Shape, offset: int) -> None:
        super().__init__(before, after)
        self.steps = tuple(steps)
        self.offset = offset

    def forward(self, x: mx.array) -> mx.array:
        return mx.as_strided(x, self.after, self.steps, self.offset)

    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        out = mx.array(x)
        if self.steps == row_major(self.after):
            out[self.offset : self.offset + value.size] = mx.reshape(value, (-1,))
            return out
        reach = 0
        for step, n in sorted(zip(self.steps, self.after, strict=True)):
            if n > 1 and step <= reach:
                raise overlapping(f"shape {list(self.after)} has strides {list(self.steps)}")
            reach += (n - 1) * step
        places = mx.array(self.offset, mx.int32 if self.offset + reach < 2**31 else mx.int64)
        for step, n in zip(self.steps, self.after, strict=True):
            places = mx.expand_dims(places, -1) + mx.arange(n, dtype=places.dtype) * step
        out[places] = value
        return out

    def pull(self, g: mx.array) -> mx.array:
        return mx.vjp(self.forward, [mx.zeros(self.before, g.dtype)], [g])[1][0]

    def strides(self, strides: Shape) -> Shape:
        return tuple(step * strides[0] for step in self.steps)

    def layout(self, strides: Shape, offset: int) -> tuple[Shape, int]:
        return self.strides(strides), offset + self.offset * strides[0]


@functools.cache
def inverse(axes: tuple[int, ...]) -> list[int]:
    """The order that undoes ``axes``."""
    return [axes.index(i) for i in range(len(axes))]


def overlapping(how: str) -> RuntimeError:
    """The error for a write to elements that have one place in memory."""
    return RuntimeError(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
        f"Please clone() the tensor before performing the operation: {how}."
    )


def joined(steps: Sequence[Step], step: Step) -> tuple[Step, ...]:
    """``steps`` with ``step`` after them, as few as there can be, so that a chain of views stays short."""
    last = steps[-1] if steps else None
    if isinstance(last, Reshape) and isinstance(step, Reshape):
        steps, step = steps[:-1], Reshape(last.before, step.after)
    elif isinstance(last, Permute) and isinstance(step, Permute):
        steps, step = steps[:-1], Permute(last.before, [last.axes[a] for a in step.axes])
    if step.before == step.after and (
        isinstance(step, (Reshape, Expand)) or (isinstance(step, Permute) and list(step.axes) == sorted(step.axes))
    ):
        return tuple(steps)
    return (*steps, step)


def apply(x: mx.array, steps: Sequence[Step]) -> mx.array:
    """The view of ``x`` that ``steps`` describe."""
    for step in steps:
        x = step.forward(x)
    return x


def write(x: mx.array, value: mx.array, steps: Sequence[Step]) -> mx.array:
    """``x`` with the elements that the view shows replaced by ``value``; of repeated ones the first counts."""
    if any(isinstance(step, Expand) for step in steps):
        strides, offset = layout_after(row_major(x.shape), 0, steps)
        repeated = [d for d, stride in enumerate(strides) if stride == 0]
        value = value[tuple(0 if d in repeated else slice(None) for d in range(value.ndim))] if value.size else value
        kept = tuple(stride for stride in strides if stride)
        flat = Strided((x.size,), value.shape, kept, offset) if value.size else None
        return x if flat is None else mx.reshape(flat.backward(mx.reshape(x, (-1,)), value), x.shape)
    inputs = []
    for step in steps:
        inputs.append(x)
        x = step.forward(x)
    for step, before in zip(reversed(steps), reversed(inputs), strict=True):
        value = step.backward(before, value)
    return value


def row_major(shape: Sequence[int]) -> Shape:
    """Torch's strides, in elements, of an array of ``shape`` whose last axis runs fastest."""
    return _row_major(tuple(shape))


@functools.lru_cache(4096)
def _row_major(shape: Shape) -> Shape:
    strides: list[int] = []
    size = 1
    for n in reversed(shape):
        strides.append(size)
        size *= max(n, 1)
    return tuple(reversed(strides))


def layout_after(strides: Shape, offset: int, steps: Sequence[Step]) -> tuple[Shape, int]:
    """Torch's strides and offset, in elements, after ``steps`` from an array with those given.

    >>> layout_after((4, 1), 0, [Index((3, 4), (slice(1, None), 2))])
    ((4,), 6)
    """
    for step in steps:
        strides, offset = step.layout(strides, offset)
    return strides, offset


@functools.lru_cache(4096)
def step_layout(step: Step, strides: Shape, offset: int) -> tuple[Shape, int]:
    """:meth:`Step.layout`, worked out once: the same step of the same layout is taken again and again."""
    return step.layout(strides, offset)


def reshaped_strides(shape: Shape, strides: Shape, new: Shape) -> Shape | None:
    """The strides that show the same elements in ``new`` shape without a copy, or None where there are none.

    Axes that are next to each other in memory are merged into runs; every new axis must fit into one run. Axes
    of size 1 have the strides that torch gives them.
    """
    if math.prod(shape) == 0:
        return strides if shape == new else row_major(new)
    runs: list[tuple[int, int]] = [] if shape else [(1, 1)]  # (elements, innermost stride), innermost first
    for n, s in zip(reversed(shape), reversed(strides), strict=True):
        if runs and (n == 1 or s == math.prod(runs[-1])):
            runs[-1] = (runs[-1][0] * n, runs[-1][1])
        else:
            runs.append((n, s))
    out: list[int] = []
    left = list(new)
    for elements, stride in runs:
        size = 1
        while left and (size < elements or left[-1] == 1):
            out.append(size * stride)
            size *= left.pop()
        if size != elements:
            return None
    return None if left else tuple(reversed(out))
