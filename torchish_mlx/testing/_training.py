"""``assert_training_parity``: two trainings side by side, their losses compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._ulps import as_numpy, largest


@dataclass
class TrainingParity:
    """What :func:`assert_training_parity` measured.

    Attributes:
        ours: the losses of each step.
        theirs: those of the other training.
        worst: the largest relative difference of two losses.
        step: where that was.
        parameters: the largest relative difference of a parameter at the end; None where none were given.
    """

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    worst: float = 0.0
    step: int = 0
    parameters: float | None = None

    def __str__(self) -> str:
        end = "" if self.parameters is None else f", parameters at the end {self.parameters:.3g}"
        return f"{len(self.ours)} losses, the worst {self.worst:.3g} off in step {self.step}{end}"


def assert_training_parity(
    ours: Callable[[int], Any],
    theirs: Callable[[int], Any],
    *,
    steps: int = 100,
    rtol: float = 1e-4,
    atol: float = 0.0,
    parameters: tuple[Iterable[Any], Iterable[Any]] | None = None,
    allow_constant: bool = False,
) -> TrainingParity:
    """Run two trainings step by step, and compare their losses: ``|ours - theirs| <= atol + rtol * |theirs|``.

    Args:
        ours: ``ours(step) -> loss``, which trains one step; ``step`` counts from 0. A loss is an array or a tensor of
            one element, or a number.
        theirs: the same in torch, say.
        steps: how many, 1 or more.
        rtol: the relative difference that is allowed, of losses and of parameters. A small net under SGD or Adam stays
            within 1e-6; where roundings decide, as in a line search or a large net, they grow: compare few steps there.
        atol: added to what is allowed of losses, for those that go to 0.
        parameters: (ours, theirs), each an iterable of arrays in the same order; they are compared after the last step,
            relative to the largest element of each.
        allow_constant: accept losses that never change, as of a training that does nothing.

    Returns:
        Both curves, and the worst differences.

    Raises:
        AssertionError: the first step in which the losses differ, and the worst one; a loss that is not finite; losses
            that never change; parameters that differ.
        TypeError, ValueError: a loss that is no number, a tolerance below 0, parameters of other shapes.

    >>> import mlx.core as mx
    >>> from torchish_mlx import Parameter, optim
    >>> def training(**options):
    ...     p = Parameter(mx.array([1.0, 2.0]))
    ...     optimizer = optim.LBFGS([p], max_iter=2, **options)
    ...     def closure():
    ...         optimizer.zero_grad()
    ...         loss = (p**4).sum()
    ...         loss.backward()
    ...         return loss
    ...     return lambda step: optimizer.step(closure)
    >>> assert_training_parity(training(), training(lr=1.0), steps=3).worst
    0.0
    >>> assert_training_parity(training(), training(lr=0.9), steps=3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    AssertionError: the losses differ in step 1: ours ..., theirs ..., which is ... off; 0.0001 is allowed. ...
    """
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps is an int of 1 or more, not {steps!r}")
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"rtol and atol are numbers of 0 or more, not {rtol!r} and {atol!r}")
    for function in (ours, theirs):
        if not callable(function):
            raise TypeError(f"a training is a function of the step that gives the loss, not {type(function).__name__}")
    pairs = _paired(parameters)
    found, first = TrainingParity(), None
    for step in range(steps):
        a, b = _loss(ours(step), "ours", step), _loss(theirs(step), "theirs", step)
        found.ours.append(a)
        found.theirs.append(b)
        error = _relative(abs(a - b), abs(b))
        if error > found.worst:
            found.worst, found.step = error, step
        if first is None and abs(a - b) > atol + rtol * abs(b):
            first = step
    if first is not None:
        a, b = found.ours[first], found.theirs[first]
        worst_a, worst_b = found.ours[found.step], found.theirs[found.step]
        raise AssertionError(
            f"the losses differ in step {first}: ours {a:.9g}, theirs {b:.9g}, which is "
            f"{_relative(abs(a - b), abs(b)):.3g} off; {rtol:g} is allowed. The worst is step {found.step}: "
            f"ours {worst_a:.9g}, theirs {worst_b:.9g}, {found.worst:.3g} off"
        )
    if not allow_constant and (len(set(found.ours)) == 1 or len(set(found.theirs)) == 1):
        raise AssertionError(
            f"the loss never changed in {steps} steps: ours {found.ours[0]:.9g}, theirs {found.theirs[0]:.9g}. Either "
            "no training happens, which shows nothing, or it is meant: allow_constant=True"
        )
    for i, (p, q) in enumerate(pairs):
        a_end, b_end = as_numpy(p), as_numpy(q)
        error = _relative(float(np.max(np.abs(a_end - b_end), initial=0.0)), float(largest(b_end)))
        if not error <= rtol:
            raise AssertionError(f"after {steps} steps parameter {i} is {error:.3g} off; {rtol:g} is allowed")
        found.parameters = max(found.parameters or 0.0, error)
    return found


def _paired(parameters: tuple[Iterable[Any], Iterable[Any]] | None) -> list[tuple[Any, Any]]:
    if parameters is None:
        return []
    mine, his = map(list, parameters)
    shapes = [[list(as_numpy(p).shape) for p in side] for side in (mine, his)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"the parameters of ours have the shapes {shapes[0]}, those of theirs {shapes[1]}")
    return list(zip(mine, his, strict=True))


def _loss(loss: Any, whose: str, step: int) -> float:
    if loss is None:
        raise TypeError(f"{whose}({step}) gave None: a step returns its loss")
    array = as_numpy(loss)
    if array.size != 1:
        raise ValueError(f"{whose}({step}) gave an array of shape {list(array.shape)}: a loss is one number")
    if not math.isfinite(array.item()):
        raise AssertionError(f"the loss of {whose} is {array.item()} in step {step}")
    return float(array.item())


def _relative(difference: float, size: float) -> float:
    if not difference:
        return 0.0
    return difference / size if size else math.inf
