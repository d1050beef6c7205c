"""Steps to views that need strides of their own: a diagonal, and windows that may overlap."""

from __future__ import annotations

import mlx.core as mx

from .views import Shape, Step


class Diagonal(Step):
    """The diagonal of two axes as a last axis, ``offset`` places above the main one."""

    __slots__ = ("axes", "first", "length", "offset")

    def __init__(self, before: Shape, offset: int, axes: tuple[int, int]) -> None:
        rows, columns = (before[a] for a in axes)
        self.first = (max(0, -offset), max(0, offset))
        self.length = max(0, min(rows - self.first[0], columns - self.first[1]))
        self.axes, self.offset = axes, offset
        super().__init__(before, (*[n for a, n in enumerate(before) if a not in axes], self.length))

    def _order(self) -> list[int]:
        """The axes of the array with those of the diagonal in front."""
        return [*self.axes, *[a for a in range(len(self.before)) if a not in self.axes]]

    def _key(self) -> tuple[mx.array, mx.array]:
        return mx.arange(self.length) + self.first[0], mx.arange(self.length) + self.first[1]

    def forward(self, x: mx.array) -> mx.array:
        if not self.length:
            return mx.zeros(self.after, x.dtype)
        return mx.moveaxis(mx.transpose(x, self._order())[self._key()], 0, -1)

    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        if not value.size:
            return x
        order = self._order()
        out = mx.array(mx.transpose(x, order))
        out[self._key()] = mx.moveaxis(value, -1, 0)
        return mx.transpose(out, [order.index(a) for a in range(len(order))])

    def pull(self, g: mx.array) -> mx.array:
        return self.backward(mx.zeros(self.before, g.dtype), g)

    def strides(self, strides: Shape) -> Shape:
        kept = [s for a, s in enumerate(strides) if a not in self.axes]
        return (*kept, sum(strides[a] for a in self.axes))

    def layout(self, strides: Shape, offset: int) -> tuple[Shape, int]:
        if self.length:
            offset += sum(n * strides[a] for n, a in zip(self.first, self.axes, strict=True))
        return self.strides(strides), offset


class Windows(Step):
    """Windows of ``size`` elements along an axis, ``step`` apart, as a last axis.

    Those that overlap can't be written.
    """

    __slots__ = ("axis", "size", "step")

    def __init__(self, before: Shape, axis: int, size: int, step: int) -> None:
        self.axis, self.size, self.step = axis, size, step
        count = (before[axis] - size) // step + 1
        super().__init__(before, (*before[:axis], count, *before[axis + 1 :], size))

    def _places(self) -> mx.array:
        """The places of each window along the axis."""
        starts = mx.arange(self.after[self.axis]) * self.step
        return mx.expand_dims(starts, 1) + mx.arange(self.size)

    def forward(self, x: mx.array) -> mx.array:
        if 0 in self.after:
            return mx.zeros(self.after, x.dtype)
        return mx.moveaxis(mx.take(x, self._places(), axis=self.axis), self.axis + 1, -1)

    def _grouped(self, value: mx.array) -> mx.array:
        """A value with the axes of windows and of their elements in front."""
        return mx.moveaxis(mx.moveaxis(value, -1, 0), self.axis + 1, 0)

    def backward(self, x: mx.array, value: mx.array) -> mx.array:
        if self.step < self.size and self.after[self.axis] > 1:
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location. Please clone() the tensor before performing the operation."
            )
        if not value.size:
            return x
        out = mx.array(mx.moveaxis(x, self.axis, 0))
        out[self._places()] = self._grouped(value)
        return mx.moveaxis(out, 0, self.axis)

    def pull(self, g: mx.array) -> mx.array:
        out = mx.zeros((self.before[self.axis], *self.before[: self.axis], *self.before[self.axis + 1 :]), g.dtype)
        if g.size:
            out = out.at[self._places()].add(self._grouped(g))
        return mx.moveaxis(out, 0, self.axis)

    def strides(self, strides: Shape) -> Shape:
        here = strides[self.axis]
        return (*strides[: self.axis], here * self.step, *strides[self.axis + 1 :], here)
