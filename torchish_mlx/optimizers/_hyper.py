"""What a rule declares about its arguments: the numbers that may change while training, and the choices of code path.

A :class:`Hyper` is a number. It is kept as a float32 array in the optimizer's state, so a compiled step sees every
change without a new trace. A :class:`Static` is anything else (a flag, a count of iterations): it is part of the trace,
and :func:`structure` makes a change of it visible to ``mx.compile`` as the shape of an empty array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import mlx.core as mx
import numpy as np

from .._core.evaluation import schedule
from .._docs import see
from ._mixups import no_number

Check = Callable[[str, Any], None]
DecayPair: TypeAlias = tuple[mx.array, mx.array]  # what a formula sees of a Decay: b and 1 - b
STRUCTURE = "_structure"  # the entry of a group's arrays whose shape represents its Python values
FIRST = "_first_step"  # a slot that init() makes: whether the next step is the first one of the parameter


def as_array(value: Any) -> mx.array | None:
    """The mx.array behind an array or a Tensor; None for a Python number."""
    if isinstance(value, mx.array):
        return value
    return mx.array(value) if hasattr(value, "__mlx_array__") else None


def as_number(name: str, value: Any) -> Any:
    """``value`` as a Python number; a tensor must hold one element (torch's message otherwise)."""
    array = as_array(value)
    if array is None:
        return value
    if array.size != 1:
        raise ValueError(f"Tensor {name} must be 1-element")
    return array.item()


class Hypers(Protocol):
    """``h``, as editors and type checkers see it: what ``Rule.hypers`` gives to the formula of every rule.

    Next to its class a rule lists its own entries, in a subclass: an array for a Hyper, the pair (b, 1 - b) for a
    Decay, a tuple for an Each, and the Python value for a Static. At run time ``h`` is a SimpleNamespace.
    """

    lr: mx.array
    maximize: bool
    first: mx.array | None  # whether this is the first step of a parameter, where init() made its slots
    traced: bool  # see _kernels
    apart: bool


class Hyper:
    """A number that training may change. ``check(name, value)`` raises torch's error for a value out of range."""

    def __init__(self, default: Any, check: Check | None = None, name: str = "") -> None:
        self.default, self._check, self.name = default, check, name

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, rule: Any, owner: type | None = None) -> Any:
        return self if rule is None else rule.values[self.name]

    def __set__(self, rule: Any, value: Any) -> None:
        rule.write(self.name, value)

    def check(self, value: Any) -> None:
        self.refuse(value)
        (self._check or _no_nan)(self.name, value)

    def refuse(self, value: Any, error: type[Exception] = TypeError) -> None:
        """Raise the error which says that ``value`` is no number."""
        if words := no_number(self.name, value):
            raise error(words)
        self._refuse_schedule(value)

    def _refuse_schedule(self, value: Any) -> None:
        if callable(value):
            raise TypeError(
                f"{self.name} is a schedule, where a number is wanted. Only the constructors take one, as lr in "
                "torchish_mlx.optim (and in a group that is added) and as learning_rate in torchish_mlx.optimizers; "
                "elsewhere let lr_scheduler.FromSchedule(optimizer, schedule) set the rate, or write the number in the "
                'loop (group["lr"] = schedule(step)).' + see("a-schedule-as-lr")
            )

    def carry(self, value: Any) -> Any:
        """The arrays that hold ``value`` in the state."""
        if not isinstance(value, (tuple, list)):  # of a wrong length, as below
            Hyper.refuse(self, value, ValueError if isinstance(value, str) else TypeError)
        array = as_array(value)
        number: Any = value
        carried = mx.array(number, mx.float32) if array is None else array.astype(mx.float32)
        if carried.size != 1:
            raise ValueError(f"{'Tensor ' if array is not None else ''}{self.name} must be 1-element, but is {value!r}")
        if array is not None:
            schedule(carried)
        return carried

    def read(self, carried: Any) -> Any:
        """What a formula sees of the carried arrays: a number. For several groups it is a vector, an entry for each."""
        return carried.reshape(()) if carried.ndim and carried.size == 1 else carried

    def restore(self, carried: Any, value: Any) -> Any:
        """The Python value of loaded arrays: ``value``, the present one, where they hold it in float32."""
        return value if same(self.carry(value), carried) else shortest(carried)


class Decay(Hyper):
    """A decay rate ``b``, carried with ``1 - b``, because a formula needs both to full precision.

    float32(0.999) is 1.3e-8 off, so ``1 - float32(0.999)`` is 1.3e-5 off: the difference is taken in double. A rate
    that is a tensor has no double behind it, and its complement is taken when it is read, so that it may change in
    place.
    """

    def carry(self, value: Any) -> Any:
        array = as_array(value)
        if array is not None:
            return [super().carry(array)]
        return [mx.array(value, mx.float32), mx.array(1 - value, mx.float32)]

    def read(self, carried: Any) -> DecayPair:
        b = super().read(carried[0])
        return (b, carried[1]) if len(carried) == 2 else (b, 1 - b)

    def restore(self, carried: Any, value: Any) -> Any:
        return value if same(self.carry(value), carried) else shortest(carried[0])


class Each(Hyper):
    """A tuple of numbers, each carried as ``element`` carries one: Adam's ``betas``, Rprop's ``etas``."""

    def __init__(self, element: Hyper, default: Any, check: Check | None = None) -> None:
        super().__init__(default, check)
        self.element = element

    def refuse(self, value: Any, error: type[Exception] = TypeError) -> None:
        refuse_several(self, value, error)

    def carry(self, value: Any) -> Any:
        if len(value) != len(self.default):  # a group is written without a check, as in torch
            raise ValueError(f"{self.name} takes {len(self.default)} numbers, but got {value!r}")
        self.refuse(value, ValueError)
        return [self.element.carry(v) for v in value]

    def read(self, carried: Any) -> Any:
        return tuple(self.element.read(c) for c in carried)

    def restore(self, carried: Any, value: Any) -> Any:
        return tuple(self.element.restore(c, v) for c, v in zip(carried, value, strict=True))


def refuse_several(field: Hyper, value: Any, error: type[Exception]) -> None:
    """Raise the error which says that ``value`` is no tuple of numbers as the default of ``field`` is."""
    if not isinstance(value, (tuple, list)) or len(value) != len(field.default):
        raise ValueError(f"{field.name} takes {len(field.default)} numbers, such as {field.default}, but got {value!r}")
    for i, number in enumerate(value):
        if number is not None and (words := no_number(f"{field.name}[{i}]", number)):  # Adafactor has one that may be
            raise error(words)


class Static(Hyper):
    """A choice that changes the formula itself, such as ``amsgrad`` and ``ns_steps``. It stays a Python value."""

    def refuse(self, value: Any, error: type[Exception] = TypeError) -> None:  # noqa: ARG002 - any value may be one
        self._refuse_schedule(value)


def shortest(carried: mx.array) -> float:
    """The number that someone wrote: 0.1, where float32 holds 0.10000000149."""
    return float(str(np.float32(carried.item())))  # type: ignore[arg-type]


def same(ours: Any, theirs: Any) -> bool:
    """Whether two carried values hold the same float32 numbers."""
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours.item() == theirs.item()


def structure(values: tuple[Any, ...], before: mx.array | None = None) -> mx.array:
    """An empty array whose shape represents ``values``: mx.compile traces again when a captured shape changes.

    A Python value in a captured tree is a constant of the trace, and ``mx.compile`` does not notice when it changes; it
    notices a changed shape. ``before`` is the array that represented the values until now. What :func:`renewed` gave it
    is kept, and where the values are the same it is returned itself. The array comes from NumPy, and so needs no
    evaluation, in whatever thread it is read.
    """
    shape = (0, hash(repr(values)) & 0x7FFFFFFF, *(() if before is None else before.shape[2:]))
    return before if before is not None and before.shape == shape else _empty(shape)


def renewed(before: mx.array, count: int) -> mx.array:
    """``before`` with another shape, so that compiled steps are traced again; each ``count`` gives another shape."""
    return _empty((*before.shape[:2], count))


def readable(before: mx.array) -> mx.array:
    """``before``, an empty array. Where it can't be read, another one of the same shape.

    MLX leaves traced arrays in a state when a compiled step raises, and unevaluated ones when their thread has ended.
    """
    try:
        before.tolist()
    except (ValueError, RuntimeError):
        return _empty(before.shape)
    return before


def _empty(shape: tuple[int, ...]) -> mx.array:
    return mx.array(np.empty(shape, np.float32))


def _no_nan(name: str, value: Any) -> None:
    """The check of a number for which torch has no check."""
    for entry in value if isinstance(value, (tuple, list)) else (value,):
        if (number := as_number(name, entry)) != number:
            raise ValueError(f"Invalid {name} value: {value}")


def nonneg(what: str) -> Check:
    """Refuse a negative number and nan: ``not 0 <= x`` is true of nan, and ``x < 0`` is not."""

    def check(name: str, value: Any) -> None:
        if not 0.0 <= as_number(name, value):
            raise ValueError(f"Invalid {what}: {value}")

    return check


def at_least_zero(what: str) -> Check:
    """As :func:`nonneg`, in the words that torch's Adafactor and Muon use."""

    def check(name: str, value: Any) -> None:
        if not 0.0 <= as_number(name, value):
            raise ValueError(f"{what} should be >= 0 but is: {value}")

    return check


def positive(what: str) -> Check:
    def check(name: str, value: Any) -> None:
        if not 0.0 < as_number(name, value):
            raise ValueError(f"Invalid {what}: {value}")

    return check


def each_in_unit(what: str) -> Check:
    """Each rate of a tuple in [0, 1)."""

    def check(name: str, values: Any) -> None:
        for i, value in enumerate(values):
            if not 0.0 <= as_number(f"{name}[{i}]", value) < 1.0:
                raise ValueError(f"Invalid {what} at index {i}: {value}")

    return check
