"""``torch._dynamo``, as far as programs name it: nothing is compiled, and its settings are kept."""

from __future__ import annotations

from typing import Any

from . import compiler
from ._inert import note

list_backends = compiler.list_backends


class _Config:
    """Settings of any name, which change nothing. Those that were not set have no value."""

    def __setattr__(self, name: str, value: Any) -> None:
        note("torch._dynamo.config")
        object.__setattr__(self, name, value)


config = _Config()


def is_compiling() -> bool:
    """False."""
    return False


def reset() -> None:
    """Nothing."""
    note("torch._dynamo.reset")


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function as it is; without it, a decorator."""
    note("torch._dynamo.disable")
    return compiler.disable(fn, recursive, reason=reason)


def optimize(*args: Any, **kwargs: Any) -> Any:
    """A decorator that gives the function as it is."""
    note("torch._dynamo.optimize")
    return compiler.compile(None, **({"backend": args[0]} if args else {}), **kwargs)


def allow_in_graph(fn: Any) -> Any:
    """The function as it is."""
    note("torch._dynamo.allow_in_graph")
    return fn


def disallow_in_graph(fn: Any) -> Any:
    """The function as it is."""
    note("torch._dynamo.disallow_in_graph")
    return fn


def graph_break(msg: str = "") -> None:  # noqa: ARG001 - of no graph
    """Nothing."""
    note("torch._dynamo.graph_break")


def mark_dynamic(t: Any, index: Any, **kwargs: Any) -> None:  # noqa: ARG001 - of no graph
    """Nothing."""
    note("torch._dynamo.mark_dynamic")


def mark_static(t: Any, index: Any = None) -> None:  # noqa: ARG001 - of no graph
    """Nothing."""
    note("torch._dynamo.mark_static")
