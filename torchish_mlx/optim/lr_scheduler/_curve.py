"""``scheduler.as_schedule()``: how the steps of torch's schedulers become a function of their number.

A scheduler writes into ``group["lr"]``, and so do the others of a chain. What it does to the rate is one of these:

- it *sets* it, to a function of the step alone (``LambdaLR``, ``OneCycleLR``, ...): :class:`Sets`;
- it *multiplies* it (``StepLR``, ``LinearLR``, ...): :class:`Multiplies`;
- ``CosineAnnealingLR`` multiplies, and sets it in the step after each trough, where nothing is left to multiply.

So the rate of a chain is what was set last, times what the others have multiplied it by since then.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import mlx.core as mx

from ...optimizers.schedules import Schedule, cosine_annealing_lr
from ...optimizers.schedules._curves import hump, single

#: How a scheduler comes to its step 0. MADE: by its constructor, or by a SequentialLR whose first scheduler it is.
#: RESTARTED: at a milestone of a SequentialLR. A positive number: by that many calls of ``step()``, where it is a part
#: of the first scheduler of a SequentialLR.
MADE, RESTARTED = 0, -1
Rate = Callable[[], mx.array]


class NoClosedForm(ValueError):
    """Why there is no function of the step alone."""


class Curve:
    """What a scheduler does to the rate, as functions of arrays of whole steps."""

    sets_sometimes = True  # whether it may set the rate
    has_cosine = False  # whether it holds a CosineAnnealingLR
    why_not_chained = ""  # why it has no closed form in a chain; "" where it has one
    after_setting = False  # whether it has one all the same, if the scheduler before it sets the rate in every step

    def alone(self, n: mx.array, start: Rate) -> mx.array:
        """The rate of step ``n``, where nothing else moves it; ``start()`` is that at which the scheduler began."""
        raise NotImplementedError

    def last(self, n: mx.array) -> mx.array:
        """The last step up to ``n`` at which it set the rate; -1 if it has not."""
        return n

    def grow(self, _t: mx.array, n: mx.array) -> mx.array:
        """The factor of the steps t + 1 to ``n`` together, if none of them sets the rate; t = -1 is before step 0."""
        return mx.ones(n.shape)

    def after(self, value: mx.array, n: mx.array) -> mx.array:
        """What step ``n`` makes of the rate, if it is not one that sets it."""
        return value * self.grow(n - 1, n)


class Sets(Curve):
    """``values(n)``, whatever the rate was."""

    def __init__(self, values: Schedule) -> None:
        self.values = values

    def alone(self, n: mx.array, _start: Rate) -> mx.array:
        return single(self.values(n))


class Multiplies(Curve):
    """``values(n)`` alone; ``first`` in step 0, and ``between(t, n)`` in the steps after t up to n."""

    sets_sometimes = False

    def __init__(self, values: Schedule, between: Callable[[mx.array, mx.array], mx.array], first: float = 1.0) -> None:
        self.values, self.between, self.first = values, between, first

    def alone(self, n: mx.array, _start: Rate) -> mx.array:
        return self.values(n)

    def last(self, n: mx.array) -> mx.array:
        return mx.full(n.shape, -1, mx.int64)

    def grow(self, t: mx.array, n: mx.array) -> mx.array:
        factor = self.between(mx.maximum(t, 0), n)
        return factor if self.first == 1 else mx.where(t < 0, self.first * factor, factor)


class Cosine(Curve):
    """``CosineAnnealingLR``. It begins at the rate ``start``, and comes back to the rate ``base``."""

    has_cosine = True

    def __init__(self, base: float, start: float, period: int, low: float, stepped: bool) -> None:
        self.base, self.period, self.low = base, period, low
        # A step to 0 computes as if it came from step -1, where the rate is lower.
        self.first = (2.0 if period == 1 else 2 / (1 + math.cos(math.pi / period))) if stepped else 1.0
        self.values = cosine_annealing_lr(base, period, low)
        self.before = cosine_annealing_lr(low + (start - low) * self.first, period, low)
        self.moved = start != base or stepped
        if low != 0:
            self.why_not_chained = f"CosineAnnealingLR with eta_min={low} adds to the rate as well as multiplying it"
            self.after_setting = True
        if stepped and period == 1:
            self.why_not_chained, self.after_setting = "CosineAnnealingLR with T_max=1 begins at its trough", False

    def alone(self, n: mx.array, _start: Rate) -> mx.array:
        return mx.where(n <= self.period, self.before(n), self.values(n)) if self.moved else self.values(n)

    def last(self, n: mx.array) -> mx.array:
        since = n - self.period - 1
        return mx.where(since < 0, -1, n - since % (2 * self.period))

    def grow(self, t: mx.array, n: mx.array) -> mx.array:
        ratio = self._height(n) / mx.where(t == n, 1.0, self._height(mx.maximum(t, 0)))
        factor = mx.where(t == n, 1.0, ratio)
        return mx.where(t < 0, self.first * self._height(n), factor)

    def after(self, value: mx.array, n: mx.array) -> mx.array:
        rises = self.last(n) == n
        ratio = mx.where(n == 0, self.first, self._height(n) / mx.where(rises, 1.0, self._height(mx.maximum(n - 1, 0))))
        added = (self.base - self.low) * math.sin(math.pi / 2 / self.period) ** 2
        return mx.where(rises, value + added, ratio * value + self.low * (1 - ratio))

    def _height(self, n: mx.array) -> mx.array:
        return hump(mx.abs(n % (2 * self.period) - self.period), self.period)


class Anneals(Curve):
    """``SWALR``, which goes on from whatever the rate is."""

    why_not_chained = "SWALR goes on from what the others have made of the rate"

    def __init__(self, values: Callable[[mx.array, Rate], mx.array]) -> None:
        self.values = values

    def alone(self, n: mx.array, start: Rate) -> mx.array:
        return self.values(n, start)


class Succession(Curve):
    """``SequentialLR``: curves and the steps at which they begin, the first one at 0."""

    def __init__(self, parts: Sequence[tuple[int, Curve]], start: float, sets_first: bool) -> None:
        self.parts, self.start, self.sets_first = parts, start, sets_first
        curves = [curve for _, curve in parts]
        self.sets_sometimes = sets_first or len(parts) > 1 or curves[0].sets_sometimes
        self.has_cosine = any(curve.has_cosine for curve in curves)
        self.why_not_chained = next((c.why_not_chained for c in curves if c.why_not_chained), "")

    def alone(self, n: mx.array, _start: Rate) -> mx.array:
        return self._up_to(len(self.parts), n)

    def _up_to(self, count: int, n: mx.array) -> mx.array:
        """The rate with the first ``count`` parts only. A part may ask for the rate of the step before it begins."""
        value = self.parts[0][1].alone(n, lambda: mx.array(self.start))
        for k in range(1, count):
            begin, curve = self.parts[k]
            value = mx.where(n >= begin, curve.alone(mx.maximum(n - begin, 0), self._left(k)), value)
        return value

    def _left(self, k: int) -> Rate:
        return lambda: self._up_to(k, mx.array(self.parts[k][0] - 1, mx.int64))

    def last(self, n: mx.array) -> mx.array:
        out = self.parts[0][1].last(n)
        out = mx.maximum(out, 0) if self.sets_first else out
        for begin, curve in self.parts[1:]:
            out = mx.where(n >= begin, begin + mx.maximum(curve.last(mx.maximum(n - begin, 0)), 0), out)
        return out

    def grow(self, t: mx.array, n: mx.array) -> mx.array:
        out = self.parts[0][1].grow(t, n)
        for begin, curve in self.parts[1:]:
            out = mx.where(n >= begin, curve.grow(mx.maximum(t - begin, 0), mx.maximum(n - begin, 0)), out)
        return out


class Chain(Curve):
    """``ChainedScheduler``: every curve in each step, one after the other."""

    def __init__(self, parts: Sequence[Curve], start: float) -> None:
        absolute = max((i for i, part in enumerate(parts) if isinstance(part, Sets)), default=0)
        self.parts, self.start = parts[absolute:], start
        self.sets_sometimes = any(part.sets_sometimes for part in self.parts)
        self.has_cosine = any(part.has_cosine for part in self.parts)
        later = self.parts[1:]
        # One after the other, each step by itself: where the first sets the rate in every step.
        self.step_by_step = isinstance(self.parts[0], Sets) and all(isinstance(p, (Multiplies, Cosine)) for p in later)
        if len(self.parts) == 1:
            self.why_not_chained = self.parts[0].why_not_chained
            return
        for part in self.parts:
            if part.why_not_chained and not (self.step_by_step and part.after_setting):
                raise NoClosedForm(part.why_not_chained)
        if not self.step_by_step and self.has_cosine and sum(part.sets_sometimes for part in self.parts) > 1:
            raise NoClosedForm("CosineAnnealingLR adds to what the others have set")

    def alone(self, n: mx.array, start: Rate) -> mx.array:
        if len(self.parts) == 1 or self.step_by_step:
            value = self.parts[0].alone(n, start)
            return reduce(lambda rate, part: part.after(rate, n), self.parts[1:], value)
        lasts = [part.last(n) for part in self.parts]
        at = self.last(n)
        value = reduce(mx.multiply, (part.grow(at, n) for part in self.parts), mx.array(self.start))
        for i, part in enumerate(self.parts):
            if part.sets_sometimes:
                ours = part.alone(mx.maximum(at, 0), start)
                for k, other in enumerate(self.parts):
                    ours = ours * other.grow(at - 1 if k > i else at, n)
                value = mx.where((at >= 0) & (lasts[i] == at), ours, value)
        return value

    def last(self, n: mx.array) -> mx.array:
        return reduce(mx.maximum, (part.last(n) for part in self.parts))

    def grow(self, t: mx.array, n: mx.array) -> mx.array:
        return reduce(mx.multiply, (part.grow(t, n) for part in self.parts))


def sequence(
    build: Callable[..., Curve], schedulers: Sequence[Any], milestones: Sequence[int], begin: int, start: float
) -> Curve:
    """``SequentialLR``, from ``build(scheduler, begin, start)``.

    As part of another's first scheduler, its clock is ``begin`` steps ahead of its first part's.
    """
    turn = bisect_right(milestones, begin)
    first = schedulers[turn]
    if begin > 0 and turn > 0 and milestones[turn - 1] == begin:
        parts, sets_first = [(0, build(first, RESTARTED))], True
    else:
        stepped = begin + 1 if hasattr(first, "_schedulers") else begin
        parts, sets_first = [(0, build(first, stepped, start))], begin == MADE
    for i in range(turn, len(milestones)):
        if i + 1 == len(milestones) or milestones[i + 1] != milestones[i]:  # of two at one step, the second begins
            parts.append((milestones[i] - begin, build(schedulers[i + 1], RESTARTED)))
    return Succession(parts, start, sets_first)
