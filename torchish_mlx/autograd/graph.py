"""The recorded graph: its calls, and hooks of several gradients."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._absent import getter as _getter
from .._core.handle import RemovableHandle
from .._tensor.tape import Node
from .._tensor.tensor import Tensor

__all__ = ["Node", "increment_version", "register_multi_grad_hook"]


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[[Any], Any], *, mode: str = "all"
) -> RemovableHandle:
    """Have ``fn`` called in a backward pass with the gradients of several Tensors.

    With ``mode="all"`` it gets a tuple once the gradients of all of them that the pass reaches are there, with None for
    the others; with ``"any"`` it gets the first gradient alone.

    Raises:
        ValueError: another mode.
        RuntimeError: a Tensor that no gradient is wanted for.

    Source: ``torch.autograd.graph.register_multi_grad_hook``.

    >>> import torchish_mlx as torch
    >>> a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    >>> hook = torch.autograd.graph.register_multi_grad_hook([a, b], lambda grads: print(len(grads)))
    >>> (a * b).sum().backward()
    2
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    count, lock = len(tensors), threading.Lock()
    found: list[Any] = [None] * count
    seen = 0

    def keep(i: int, gradient: Tensor) -> None:
        nonlocal seen
        with lock:
            first, seen = not seen, seen + 1
            found[i] = gradient
            last = seen == count
            if last:
                given, seen = tuple(found), 0
                found[:] = [None] * count
        if mode == "any":
            if first:
                fn(gradient)
        elif last:
            fn(given)

    handles = [t.register_hook(functools.partial(keep, i)) for i, t in enumerate(tensors)]

    def remove(_: int) -> None:
        for handle in handles:
            handle.remove()

    return RemovableHandle(remove)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Have autograd know that the values of a Tensor, or of several, were changed behind its back.

    Source: ``torch.autograd.graph.increment_version``.
    """
    for each in [tensor] if isinstance(tensor, Tensor) else tensor:
        each._storage.version += 1


if not TYPE_CHECKING:
    __getattr__ = _getter("torch.autograd.graph", globals())
