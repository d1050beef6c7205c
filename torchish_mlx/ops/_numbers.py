"""From random numbers to Tensors: new ones, and those that are filled in place."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .._core.device import made_on
from .._tensor.modes import mode
from .._tensor.tensor import Tensor, wrap
from ..random._order import in_shape, memory_order
from ..random._rounding import as_array
from ..random.generator import Generator, chosen
from ._arguments import sizes as in_order
from ._declare import op
from ._op import Array
from ._view import overwrite, refuse_overlap, refuse_write
from .ranges import made

#: A function of a stream, a count and further arguments, which are behind it.
Draw = tuple[Any, ...]


def drawn(
    source: Generator, draw: Draw, dtype: mx.Dtype, shape: Sequence[int], order: Sequence[int] | None = None
) -> mx.array:
    """An array of numbers of a shape, drawn in an order of its axes, or in the usual one."""
    n = shape[0] if len(shape) == 1 else math.prod(shape)
    if not n:
        return mx.zeros(shape, dtype)
    function, *args = draw
    numbers = source.draw(function, n, *args)
    if order is not None:
        numbers = in_shape(numbers, shape, order)
    elif len(shape) != 1:
        numbers = numbers.reshape(shape)
    return as_array(numbers, dtype)


def new(
    name: str,
    shape: Sequence[int],
    order: Sequence[int] | None,
    dtype: mx.Dtype,
    draw: Draw,
    generator: Any,
    out: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A new Tensor of numbers. Where it is refused, nothing was drawn."""
    source = chosen(name, generator)
    label = made_on(device)
    if out is None and not requires_grad:
        new = wrap(drawn(source, draw, dtype, shape, order))
        new._keep_label(label)
        return new
    return source.undoing(lambda: made(name, drawn(source, draw, dtype, shape, order), out, device, requires_grad))


@op(
    grad={"input": lambda g, input_shape: mx.zeros(input_shape, g.dtype), "numbers": lambda g: g},
    name="replaced.by",
    casts=True,
    function=False,
    method=False,
)
def replaced(input: Array, numbers: Array) -> mx.array:  # noqa: ARG001 - for its gradient
    """``numbers``, of which ``input`` decided something that has no derivative."""
    return numbers


def fill(name: str, self: Tensor, generator: Any, *draw: Any, by: Tensor | None = None) -> Tensor:
    """Random numbers in the memory of a Tensor, in the order of that memory; returns the Tensor.

    ``by`` is a Tensor that decided them. Like what was in the Tensor before, it has the gradient 0.
    """
    source = chosen(name, generator)
    refuse_write(self)
    storage, array = self._storage, self._read()
    shape, order = array.shape, None
    if not storage.contiguous:
        strides = storage.strides()
        refuse_overlap(shape, strides)
        order = memory_order(shape, strides)
    numbers = drawn(source, draw, array.dtype, shape, order)
    if by is not None or (self._requires_grad and mode.enabled):
        return self.copy_(wrap(numbers) if by is None else replaced(by, wrap(numbers)))
    if self._base is not None:
        return overwrite(self, wrap(numbers))
    storage.array = numbers  # there is nothing to record, and it fits
    return self


def sizes(name: str, given: tuple[Any, ...], size: Any = None) -> tuple[int, ...]:
    """The sizes of ``name(2, 3)``, ``name((2, 3))`` and ``name(size=(2, 3))``."""
    if size is not None:
        if given:
            raise TypeError(f"{name}() got the sizes twice: as arguments, and as size=")
        given = (size,)
    elif not given:
        raise TypeError(f"{name}() received an invalid combination of arguments - got (), but expected sizes")
    if size is not None and isinstance(size, int):
        raise TypeError(f"{name}(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    out = in_order(name, "size", given)
    wrong = [n for n in out if n < 0]
    if wrong:
        raise RuntimeError(f"Trying to create tensor with negative dimension {wrong[0]}: {list(out)}")
    return out


def number(name: str, argument: str, value: Any) -> float:
    """An argument as a float: a number, or a Tensor of one element without dimensions."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if isinstance(value, (Tensor, mx.array)) and not value.ndim:
        value = value.item()
    if isinstance(value, (bool, str, complex)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name}(): argument {argument!r} must be float, not {type(value).__name__}")
    return float(value)


def integer(name: str, argument: str, value: Any) -> int:
    """An argument as an integer of 64 bits: a number, or a Tensor of one element."""
    if isinstance(value, bool):
        raise TypeError(f"{name}(): argument {argument!r} must be int, not bool")
    if isinstance(value, mx.array) and value.size == 1:
        value = value.item()
    try:
        whole = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}(): argument {argument!r} must be int, not {type(value).__name__}") from None
    if not -(2**63) <= whole < 2**63:
        raise ValueError("Overflow when unpacking long long")
    return whole
