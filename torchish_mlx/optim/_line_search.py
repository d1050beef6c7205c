"""A step length that fulfils the strong Wolfe conditions.

Source: Nocedal & Wright, Numerical Optimization, 2nd edition, section 3.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx


@dataclass
class Point:
    """A step length, and the function along the line there: value, gradient, slope."""

    t: Any
    f: float
    g: mx.array
    slope: Any


def cubic_minimum(a: Point, b: Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """The minimum, within ``bounds``, of the cubic through values and slopes of two points (equation 3.59)."""
    if b.t < a.t:
        a, b = b, a
    low, high = bounds or (a.t, b.t)
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square**0.5 if not isinstance(square, mx.array) else mx.sqrt(square)
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)), low), high)


def strong_wolfe(
    along: Callable[[Any], tuple[float, mx.array]],
    t: Any,
    d: mx.array,
    f: float,
    g: mx.array,
    slope: Any,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[float, mx.array, Any, int]:
    """(value, gradient, step length, evaluations) from the first guess ``t`` along ``d``, in torch's order of
    decisions.

    Args:
        along: step length -> (value, gradient) there.
        t: the first step length to try.
        d: the direction.
        f: the value at step length 0.
        g: the gradient there.
        slope: the directional derivative there.
        c1: the constant of sufficient decrease.
        c2: the constant of curvature.
        tolerance_change: a bracket that moves no element by more than this is narrow enough.
        max_ls: iterations at the most.
    """

    def at(t: Any) -> Point:
        value, gradient = along(t)
        return Point(t, value, gradient, mx.sum(gradient * d))

    start = Point(0, f, g, slope)
    new, before, evals, iteration, done = at(t), start, 1, 0, False
    bracket: list[Point] = []
    while iteration < max_ls:  # phase 1: a bracket around a good point
        if new.f > f + c1 * new.t * slope or (iteration > 1 and new.f >= before.f):
            bracket = [before, new]
            break
        if abs(new.slope) <= -c2 * slope:
            bracket, done = [new], True
            break
        if new.slope >= 0:
            bracket = [before, new]
            break
        bounds = (new.t + 0.01 * (new.t - before.t), new.t * 10)
        t, before = cubic_minimum(before, new, bounds), new
        new = at(t)
        evals += 1
        iteration += 1
    if iteration == max_ls:
        bracket = [start, new]

    low, high = (0, 1) if bracket[0].f <= bracket[-1].f else (1, 0)
    stalled, length = False, mx.max(mx.abs(d))
    while not done and iteration < max_ls:  # phase 2: narrow it
        left, right = bracket
        if abs(right.t - left.t) * length < tolerance_change:
            break
        t = cubic_minimum(left, right)
        most, least = max(left.t, right.t), min(left.t, right.t)
        margin = 0.1 * (most - least)
        if min(most - t, t - least) < margin:  # too close to a border, which is accepted once
            if stalled or t >= most or t <= least:
                t = most - margin if abs(t - most) < abs(t - least) else least + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        new = at(t)
        evals += 1
        iteration += 1
        if new.f > f + c1 * new.t * slope or new.f >= bracket[low].f:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
        else:
            if abs(new.slope) <= -c2 * slope:
                done = True
            elif new.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
    best = bracket[low] if len(bracket) > 1 else bracket[0]
    return best.f, best.g, best.t, evals
