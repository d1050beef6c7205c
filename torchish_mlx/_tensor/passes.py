"""The backward pass over recorded calls: from gradients of results to those of leaves, or of what is asked for."""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .._core.alone import Alone
from .._core.evaluation import arrays_in, schedule, schedule_given
from .._core.promotion import INEXACT
from .._core.sparse import RowSparse
from .modes import mode
from .tape import AFTER, BEFORE, Edge, Node, Pull, traces
from .written import unread


def run_backward(
    roots: Sequence[tuple[Any, Any]],
    *,
    retain_graph: bool,
    create_graph: bool,
    recorded: Callable[[Pull, list[Any]], list[Any]],
    shown: Callable[[Any], Any],
    inputs: Sequence[Edge] | None = None,
    also: Sequence[mx.array] = (),
) -> list[Any]:
    """Send gradients from ``roots``, pairs of (edge, gradient), to the leaves.

    The newest call goes first, so that every use of a value has been summed before its own call is pulled; there is no
    recursion. Gradients are arrays, or Tensors with ``create_graph``, where ``recorded`` makes them of a ``Pull``; a
    hook is given a Tensor, which ``shown`` makes of an array. What a leaf gets from this pass is summed, scheduled for
    evaluation, and then added to the gradient that it has. So k losses leave one sum in memory, and not all that they
    were computed from.

    With ``inputs`` only what leads to them is computed, no leaf changes, and their gradients are returned, with None
    for one that was not reached.

    ``also`` are arrays that are scheduled with the gradients, because they hold the activations as long as nobody
    evaluates them: the losses, and with them what was written in place.
    """
    pending: dict[int, tuple[Node, list[Any]]] = {}
    queue: list[int] = []
    leaves: dict[int, tuple[Any, Any]] = {}
    push, pop = heapq.heappush, heapq.heappop
    edges: Any = [edge for edge, _ in roots]
    found: Any = [gradient for _, gradient in roots]
    only = None if inputs is None else _Wanted(roots, inputs)
    before, mode.enabled = mode.enabled, create_graph
    try:
        while True:
            for edge, gradient in zip(edges, found):  # noqa: B905 - ``strict`` would take longer than the rest of the line
                if edge is None or gradient is None:
                    continue
                to, index = edge
                if index is None:
                    key = id(to)
                    if key in leaves:
                        known = leaves[key][1]
                        gradient = gradient + known if type(gradient) is RowSparse else known + gradient
                    leaves[key] = (to, gradient)
                    continue
                order = to.order
                entry = pending.get(order)
                if entry is None:
                    if only is not None and order not in only.orders:
                        continue
                    entry = pending[order] = (to, [None] * to.outputs)
                    push(queue, order)
                    entry[1][index] = gradient
                else:
                    slots = entry[1]
                    slots[index] = gradient if slots[index] is None else slots[index] + gradient
            if not queue:
                break
            node, grads = pending.pop(pop(queue))
            if node.hooks is not None or node.retained is not None:
                _watched(node, grads, shown)
            if only is not None and not only.passes(node, grads):
                edges = found = ()
                continue
            found = node.differentiated(grads, recorded) if create_graph else node.pull(grads)
            edges = node.edges
            if node.hooks is not None:
                found = _answered(node, list(found), grads, shown)
            if mode.anomaly:
                _refuse_nan(node, found)
            if not retain_graph:
                node.release()
        if only is not None:
            return only.collected(leaves, also)
        _accumulate(leaves, also)
        return []
    finally:
        mode.enabled = before


def _accumulate(leaves: dict[int, tuple[Any, Any]], also: Sequence[mx.array]) -> None:
    """Add the gradients of a pass to those that the leaves have."""
    wanted = [
        (to, gradient if to._hooks is None else to._hooked(gradient))
        for to, gradient in leaves.values()
        if to.requires_grad
    ]
    with Alone("backward()", leaves, lambda: [to for to, _ in wanted]):
        added = [to for to, _ in wanted if to._grad is not None]
        schedule_given("arrays behind the loss", also, unread(), arrays_in([gradient for _, gradient in wanted]))
        for to, gradient in wanted:
            to._accumulate(gradient)
        if added:
            schedule(arrays_in([to._grad for to in added]))
    for to, _ in wanted:
        if to._after is not None:
            to._accumulated()


class _Wanted:
    """The inputs whose gradients are asked for, and the calls that lead to them.

    Attributes:
        orders: the numbers of the calls that have to be looked at.
    """

    def __init__(self, roots: Sequence[tuple[Any, Any]], inputs: Sequence[Edge]) -> None:
        self.inputs, self._found = inputs, dict[tuple[int, Any], Any]()
        self._results: dict[int, list[int]] = {}
        leaves = set[int]()
        for to, index in inputs:
            if index is None:
                leaves.add(id(to))
            else:
                self._results.setdefault(to.order, []).append(index)
        nodes: dict[int, Node] = {}
        waiting = [edge for edge, _ in roots]
        while waiting:
            edge = waiting.pop()
            if edge is not None and edge[1] is not None and edge[0].order not in nodes:
                nodes[edge[0].order] = edge[0]
                waiting += edge[0].edges
        self._leading = set[int]()
        for order in sorted(nodes, reverse=True):  # the oldest first: a call leads to older ones only
            for edge in nodes[order].edges:
                if edge is not None and (
                    id(edge[0]) in leaves
                    if edge[1] is None
                    else edge[0].order in self._leading or edge[0].order in self._results
                ):
                    self._leading.add(order)
                    break
        self.orders = self._leading | self._results.keys()

    def passes(self, node: Node, grads: list[Any]) -> bool:
        """Keep the gradients of a call's results that are asked for; whether others are behind it."""
        indices = self._results.get(node.order)
        if indices is not None:
            node.in_torchs_order(grads)
            for index in indices:
                self._found[node.order, index] = grads[index]
        return node.order in self._leading

    def collected(self, leaves: dict[int, tuple[Any, Any]], also: Sequence[mx.array]) -> list[Any]:
        """The gradients of the inputs, in their order."""
        made = list[Any]()
        for to, index in self.inputs:
            if index is None:
                gradient = leaves[id(to)][1] if id(to) in leaves else None
                made.append(gradient if gradient is None or to._hooks is None else to._hooked(gradient))
            else:
                made.append(self._found.get((to.order, index)))
        schedule_given("arrays behind the outputs", also, unread(), arrays_in(made))
        return made


def _watched(node: Node, grads: list[Any], shown: Callable[[Any], Any]) -> None:
    """Call the hooks of a call's results with their gradients, and keep the gradient of those with ``retain_grad``."""
    node.in_torchs_order(grads)
    hooks: list[Any] = node.hooks or []
    count = node.results
    for index, hook in list(hooks):
        if index is BEFORE:
            given = tuple([None if g is None else shown(g) for g in grads[:count]])
            grads[:count] = _replaced(hook, hook(given), grads[:count])
        elif index is not AFTER and grads[index] is not None:
            grads[index] = hook(grads[index])
    for index, reference in (node.retained or {}).items():
        if (tensor := reference()) is not None and grads[index] is not None:
            tensor._accumulate(grads[index])


def _answered(node: Node, found: list[Any], grads: list[Any], shown: Callable[[Any], Any]) -> list[Any]:
    """What a call made of its gradients, after its hooks."""
    outputs: Any = None
    for index, hook in list(node.hooks):
        if index is AFTER:
            if outputs is None:
                outputs = tuple([None if g is None else shown(g) for g in grads[: node.results]])
            answer = hook(tuple([None if g is None else shown(g) for g in found]), outputs)
            found = _replaced(hook, answer, found)
    return found


def _replaced(hook: Any, answer: Any, given: list[Any]) -> list[Any]:
    """The gradients that a hook returned, or those that it was given where it returned None."""
    if answer is None:
        return given
    answers = answer if isinstance(answer, (tuple, list)) else (answer,)
    if len(answers) != len(given):
        name = getattr(hook, "__name__", type(hook).__name__)
        raise RuntimeError(
            f"hook '{name}' has returned an incorrect number of values (got {len(answers)}, but expected {len(given)})"
        )
    return [a if a is None or mode.enabled else a.array for a in answers]


def _refuse_nan(node: Node, found: Sequence[Any]) -> None:
    """Torch's error for a gradient that is NaN, with where its call was made: what ``detect_anomaly`` asks for."""
    for index, gradient in enumerate(found):
        array = getattr(gradient, "array", gradient)
        if isinstance(array, mx.array) and array.dtype in INEXACT and bool(mx.any(mx.isnan(array)).item()):
            where = traces.get(node)
            warnings.warn(
                f"Error detected in {node.name()}. "
                + (
                    f"Traceback of forward call that caused the error:\n{where}"
                    if where
                    else "No forward pass information available. Enable detect anomaly during forward pass for more "
                    "information."
                ),
                UserWarning,
                stacklevel=5,
            )
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {index}th output.")
