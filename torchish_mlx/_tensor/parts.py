"""A part of the recorded graph: the calls since a moment, the edges that leave it, the way back through it alone."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from .modes import mode
from .passes import _answered, _watched
from .tape import Edge, Node, Pull

Key = tuple[int, Any]


def key_of(edge: Edge) -> Key:
    """What tells an edge from others: the call and which of its results, or the leaf."""
    return id(edge[0]), edge[1]


def inside(edge: Any, since: int) -> bool:
    """Whether an edge leads to a call that was recorded since the moment. The newest call has the least number."""
    return edge is not None and edge[1] is not None and edge[0].order < since


def edges_out(roots: Sequence[Edge], since: int) -> dict[Key, Edge]:
    """The edges that leave the calls behind ``roots`` that were recorded since the moment, each once."""
    found: dict[Key, Edge] = {}
    seen, waiting = set[int](), list(roots)
    while waiting:
        edge = waiting.pop()
        if not inside(edge, since):
            if edge is not None:
                found.setdefault(key_of(edge), edge)
        elif edge[0].order not in seen:
            seen.add(edge[0].order)
            waiting += edge[0].edges
    return found


def run_part(
    roots: Sequence[tuple[Edge, Any]],
    since: int,
    *,
    create_graph: bool,
    recorded: Callable[[Pull, list[Any]], list[Any]],
    shown: Callable[[Any], Any],
) -> dict[Key, Any]:
    """Send gradients from ``roots`` through the calls since the moment: the sums at the edges that leave them.

    No leaf changes, and hooks outside of the part are not called: whoever sends the gradients on does that.
    """
    pending: dict[int, tuple[Node, list[Any]]] = {}
    queue: list[int] = []
    out: dict[Key, Any] = {}
    edges: Any = [edge for edge, _ in roots]
    found: Any = [gradient for _, gradient in roots]
    before, mode.enabled = mode.enabled, create_graph
    try:
        while True:
            for edge, gradient in zip(edges, found, strict=True):
                if edge is None or gradient is None:
                    continue
                if not inside(edge, since):
                    key = key_of(edge)
                    out[key] = out[key] + gradient if key in out else gradient
                    continue
                to, index = edge
                if to.order not in pending:
                    pending[to.order] = (to, [None] * to.outputs)
                    heapq.heappush(queue, to.order)
                slots = pending[to.order][1]
                slots[index] = gradient if slots[index] is None else slots[index] + gradient
            if not queue:
                return out
            node, grads = pending.pop(heapq.heappop(queue))
            if node.hooks is not None or node.retained is not None:
                _watched(node, grads, shown)
            found = node.differentiated(grads, recorded) if create_graph else node.pull(grads)
            edges = node.edges
            if node.hooks is not None:
                found = _answered(node, list(found), grads, shown)
            if not create_graph:
                node.release()
    finally:
        mode.enabled = before
