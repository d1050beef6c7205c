"""Recurrent layers on arrays: the steps over time, and the way back through them, written by hand.

The rows of all steps are one array, because what does not depend on the step before (the products with the input, and
on the way back the slopes of the gates and the gradients of the weights) is then computed for all steps at once. The
loop has only what is left. ``sizes`` says how many sequences each step has; in packed sequences they become fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from ._double import hyperbolic_tangent, logistic

Arrays = Sequence[mx.array]


class _Rows:
    """The states of those sequences that a step has: what is over is put aside, and what begins comes in.

    A walk starts with the states ``first``, of all sequences, at the step that comes first.
    """

    def __init__(self, *first: mx.array) -> None:
        self.first = first
        self.aside: list[list[mx.array]] = []

    def start(self, n: int) -> list[mx.array]:
        """The states of the first ``n`` sequences, at the step that comes first."""
        return [s if s.shape[0] == n else s[:n] for s in self.first]

    def at(self, states: list[mx.array], n: int) -> list[mx.array]:
        """The states for a step that has ``n`` sequences."""
        rows = states[0].shape[0]
        if n < rows:
            self.aside.append([s[n:] for s in states])
            return [s[:n] for s in states]
        if n > rows:
            return [mx.concatenate([s, f[rows:n]]) for s, f in zip(states, self.first, strict=True)]
        return states

    def all(self, states: list[mx.array]) -> list[mx.array]:
        """The states of all sequences after the step that comes last."""
        if not self.aside:
            return states
        return [mx.concatenate(list(each)) for each in zip(states, *reversed(self.aside), strict=True)]


def order(sizes: Sequence[int], reverse: bool) -> Sequence[int]:
    """The steps in the order in which a layer goes through them."""
    return range(len(sizes) - 1, -1, -1) if reverse else range(len(sizes))


def apart(rows: mx.array, sizes: Sequence[int]) -> list[mx.array]:
    """The rows of each step."""
    if len(sizes) == 1:
        return [rows]
    ends, total = [], 0
    for n in sizes[:-1]:
        total += n
        ends.append(total)
    parts: Any = mx.split(rows, ends)
    found: list[mx.array] = parts
    return found


def joined(steps: Arrays) -> mx.array:
    """The rows of all steps."""
    return steps[0] if len(steps) == 1 else mx.concatenate(list(steps))


def flat(x: mx.array) -> mx.array:
    """(steps, sequences, n) as rows; rows as they are."""
    return x if x.ndim == 2 else mx.reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def projected(input: mx.array, weight: mx.array, *biases: mx.array | None) -> mx.array:
    """The product of the input of all steps with a weight, plus biases."""
    given = [b for b in biases if b is not None]
    turned = mx.swapaxes(weight, 0, 1)
    if not given:
        return input @ turned
    return mx.addmm(given[0] if len(given) == 1 else given[0] + given[1], input, turned)


def _halves(bias: mx.array | None, w_hh: mx.array) -> Sequence[mx.array | None]:
    """Of a bias of a GRU: what is for both of its gates, and what is for the new state."""
    halves: Any = (None, None) if bias is None else mx.split(bias, [2 * w_hh.shape[1]])
    found: Sequence[mx.array | None] = halves
    return found


def _added(x: mx.array, h: mx.array, turned: mx.array) -> mx.array:
    return mx.addmm(x, h, turned) if x.size else x


# Each forward walk gives (the output of all steps, the states at the end, what the way back needs).


def simple(
    input: mx.array,
    h: mx.array,
    w_ih: mx.array,
    w_hh: mx.array,
    b_ih: Any,
    b_hh: Any,
    relu: bool,
    sizes: Any,
    reverse: Any,
) -> tuple[mx.array, list[mx.array], Any]:
    """h' = f(W_ih x + b_ih + W_hh h + b_hh), where f is the hyperbolic tangent or ReLU."""
    steps, turned = apart(projected(input, w_ih, b_ih, b_hh), sizes), mx.swapaxes(w_hh, 0, 1)
    rows, before, after = _Rows(h), [*sizes], [*sizes]
    walk = order(sizes, reverse)
    states = rows.start(sizes[walk[0]])
    for t in walk:
        states = rows.at(states, sizes[t])
        before[t] = states[0]
        z = _added(steps[t], states[0], turned)
        after[t] = h = mx.maximum(z, 0) if relu else hyperbolic_tangent(z)
        states = [h]
    return joined(after), rows.all(states), (before, after)


def gru(
    input: mx.array, h: mx.array, w_ih: mx.array, w_hh: mx.array, b_ih: Any, b_hh: Any, sizes: Any, reverse: Any
) -> tuple[mx.array, list[mx.array], Any]:
    """h' = n + z (h - n), where n = tanh(W_in x + b_in + r (W_hn h + b_hn)).

    The gates r and z are sigmoid(W_ih x + b_ih + W_hh h + b_hh).
    """
    (of_both, of_new), (w_both, w_new) = (mx.split(w, [2 * w_hh.shape[1]]) for w in (w_ih, w_hh))
    i_both, i_new = _halves(b_ih, w_hh)
    b_both, b_new = _halves(b_hh, w_hh)
    both = apart(projected(input, of_both, i_both, b_both), sizes)
    new = apart(projected(input, of_new, i_new), sizes)
    turned = mx.swapaxes(w_both, 0, 1)
    rows, steps, after = _Rows(h), [*sizes], [*sizes]
    walk = order(sizes, reverse)
    states = rows.start(sizes[walk[0]])
    for t in walk:
        states = rows.at(states, sizes[t])
        h = states[0]
        r, z = mx.split(logistic(_added(both[t], h, turned)), 2, axis=-1)
        inner = projected(h, w_new, b_new)
        candidate = hyperbolic_tangent(new[t] + r * inner)
        steps[t] = (h, r, z, candidate, inner)
        after[t] = candidate + z * (h - candidate)
        states = [after[t]]
    return joined(after), rows.all(states), steps


def lstm(
    input: mx.array,
    h: mx.array,
    c: mx.array,
    w_ih: mx.array,
    w_hh: mx.array,
    b_ih: Any,
    b_hh: Any,
    w_hr: mx.array | None,
    sizes: Any,
    reverse: Any,
) -> tuple[mx.array, list[mx.array], Any]:
    """i, f, o = sigmoid and g = tanh of W_ih x + b_ih + W_hh h + b_hh; c' = f c + i g; h' = W_hr (o tanh(c'))."""
    steps, turned = apart(projected(input, w_ih, b_ih, b_hh), sizes), mx.swapaxes(w_hh, 0, 1)
    rows, kept, after = _Rows(h, c), [*sizes], [*sizes]
    walk = order(sizes, reverse)
    states = rows.start(sizes[walk[0]])
    for t in walk:
        h, c = rows.at(states, sizes[t])
        i, f, g, o = mx.split(_added(steps[t], h, turned), 4, axis=-1)
        i, f, g, o = logistic(i), logistic(f), hyperbolic_tangent(g), logistic(o)
        cell = f * c + i * g
        bounded = hyperbolic_tangent(cell)
        kept[t] = (h, i, f, g, o, c, bounded)
        h = o * bounded
        after[t] = h if w_hr is None else h @ mx.swapaxes(w_hr, 0, 1)
        states = [after[t], cell]
    return joined(after), rows.all(states), kept


# The way back: (the gradients of the input, of the states and of the parameters, in the order of the arguments).


def _parameters(
    input: mx.array, w_ih: mx.array, into: mx.array, before: mx.array, own: mx.array
) -> tuple[mx.array, tuple[mx.array, ...]]:
    """The gradients of the input, and of (w_ih, w_hh, b_ih, b_hh), from those of the two sums of a step."""
    return into @ w_ih, (
        mx.swapaxes(into, 0, 1) @ input,
        mx.swapaxes(own, 0, 1) @ before,
        mx.sum(into, axis=0),
        mx.sum(own, axis=0),
    )


def simple_back(
    g: Arrays, input: mx.array, w_ih: mx.array, w_hh: mx.array, relu: bool, sizes: Any, reverse: Any, kept: Any
) -> tuple[Any, ...]:
    """The gradients of ``simple``, in the order of its arguments."""
    before, after = (joined(x) for x in kept)
    slopes = apart(mx.where(after > 0, 1, 0).astype(after.dtype) if relu else 1 - after * after, sizes)
    outer, rows, sums = apart(flat(g[0]), sizes), _Rows(g[1]), [*sizes]
    walk = order(sizes, not reverse)
    states = rows.start(sizes[walk[0]])
    for t in walk:
        states = rows.at(states, sizes[t])
        sums[t] = (states[0] + outer[t]) * slopes[t]
        states = [sums[t] @ w_hh]
    into = joined(sums)
    back, own = _parameters(input, w_ih, into, before, into)
    return (back, *rows.all(states), *own)


def gru_back(
    g: Arrays, input: mx.array, w_ih: mx.array, w_hh: mx.array, sizes: Any, reverse: Any, kept: Any
) -> tuple[Any, ...]:
    """The gradients of ``gru``, in the order of its arguments."""
    before, r, z, new, inner = (joined(x) for x in zip(*kept, strict=True))
    of_new = (1 - z) * (1 - new * new)
    of_reset = of_new * inner * r * (1 - r)
    of_update = (before - new) * z * (1 - z)
    slopes = apart(mx.concatenate([of_reset, of_update, of_new * r], axis=-1), sizes)
    outer, rows, sums, total = apart(flat(g[0]), sizes), _Rows(g[1]), [*sizes], [*sizes]
    walk = order(sizes, not reverse)
    states = rows.start(sizes[walk[0]])
    for t in walk:
        states = rows.at(states, sizes[t])
        total[t] = d = states[0] + outer[t]
        sums[t] = mx.concatenate([d, d, d], axis=-1) * slopes[t]
        states = [d * kept[t][2] + sums[t] @ w_hh]
    own, d = joined(sums), joined(total)
    into = mx.concatenate([own[:, : 2 * d.shape[1]], d * of_new], axis=-1)
    back, gradients = _parameters(input, w_ih, into, before, own)
    return (back, *rows.all(states), *gradients)


def lstm_back(
    g: Arrays,
    input: mx.array,
    w_ih: mx.array,
    w_hh: mx.array,
    w_hr: mx.array | None,
    sizes: Any,
    reverse: Any,
    kept: Any,
) -> tuple[Any, ...]:
    """The gradients of ``lstm``, in the order of its arguments."""
    before, i, f, new, o, c, bounded = (joined(x) for x in zip(*kept, strict=True))
    slopes = [new * i * (1 - i), c * f * (1 - f), i * (1 - new * new), bounded * o * (1 - o)]
    of_gates = apart(mx.concatenate(slopes, axis=-1), sizes)
    of_cell = apart(o * (1 - bounded * bounded), sizes)
    outer, rows, sums, total = apart(flat(g[0]), sizes), _Rows(g[1], g[2]), [*sizes], [*sizes]
    walk = order(sizes, not reverse)
    states = rows.start(sizes[walk[0]])
    for t in walk:
        h, cell = rows.at(states, sizes[t])
        total[t] = h = h + outer[t]
        if w_hr is not None:
            h = h @ w_hr
        cell = cell + h * of_cell[t]
        sums[t] = mx.concatenate([cell, cell, cell, h], axis=-1) * of_gates[t]
        states = [sums[t] @ w_hh, cell * kept[t][2]]
    into = joined(sums)
    back, own = _parameters(input, w_ih, into, before, into)
    projection = None if w_hr is None else mx.swapaxes(joined(total), 0, 1) @ (o * bounded)
    return (back, *rows.all(states), *own, projection)
