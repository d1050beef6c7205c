"""Optimizers of MLX's kind (also ``torchish_mlx.optimizers``): a tree of arrays as ``state``, and no state dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers import Optimizer as NativeOptimizer
from mlx.utils import tree_flatten

from .._core.evaluation import schedule
from .._tensor.tensor import Tensor
from ..optimizers import Rule
from ..optimizers._state import copied, replace
from ..serialization._shared.where import entry


def state_of(optimizer: NativeOptimizer) -> Any:
    """The tree, in containers of its own."""
    return copied(optimizer.state)


def load(optimizer: NativeOptimizer, state: Any) -> None:
    """Load a tree into the dicts that are there, which a compiled step has captured. Raises ValueError."""
    tree = _arrays(state, ())
    if isinstance(optimizer, Rule):
        optimizer.state = tree
        return
    held = optimizer.state
    if not isinstance(tree, dict):
        raise ValueError(f"it is a {type(state).__name__}, expected the dict that was the optimizer's state")
    shapes: dict[str, Any] = {path: array.shape for path, array in _leaves(held)}
    for path, array in _leaves(tree):
        if shapes.get(path, array.shape) != array.shape:
            raise ValueError(
                f"{path!r} has shape {array.shape}, and {shapes[path]} in the optimizer's state: it was saved for "
                "another model"
            )
    replace(held, tree)
    schedule(held)
    optimizer.state = held


def kept(optimizer: NativeOptimizer) -> Callable[[], None]:
    """A function that puts the state of ``optimizer`` back as it is now."""
    before = copied(optimizer.state)
    values = dict(optimizer.values) if isinstance(optimizer, Rule) else {}

    def put_back() -> None:
        if isinstance(optimizer, Rule):
            optimizer.state = before
            optimizer.values = values  # the arrays have them in float32 only
        else:
            held = optimizer.state
            replace(held, before)
            optimizer.state = held

    return put_back


def _leaves(tree: Any) -> list[tuple[str, mx.array]]:
    flat: Any = tree_flatten(tree)
    return [(path, array) for path, array in flat if isinstance(array, mx.array)]


def _arrays(tree: Any, path: tuple[Any, ...]) -> Any:
    """The tree with arrays in place of Tensors; ValueError for anything else in it."""
    if isinstance(tree, Tensor):
        return tree.array
    if isinstance(tree, dict):
        return {key: _arrays(value, (*path, key)) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_arrays(value, (*path, i)) for i, value in enumerate(tree)]
    raise ValueError(
        f"its entry {entry(path)} is a {type(tree).__name__}, expected a tensor: give the tree that was the "
        "optimizer's state"
    )
