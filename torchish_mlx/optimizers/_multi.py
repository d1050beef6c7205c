"""``MultiOptimizer``: MLX's, for models with lists of layers too, and with nothing changed where a part refuses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.optimizers as native
from mlx.nn import Module
from mlx.utils import tree_flatten, tree_map

from ._rule import Rule
from ._state import copied

__all__ = ["MultiOptimizer"]

Filter = Callable[[str, mx.array], bool]


class MultiOptimizer(native.MultiOptimizer):
    """Several optimizers in one: filters choose which of them trains a parameter, by its path and its array.

    It is ``mlx.optimizers.MultiOptimizer``, and also trains models whose lists of layers are shared by several
    optimizers, as every ``nn.Sequential`` with a filter by path. (MLX's own raises "Trees contain elements at the same
    locations" there.)

    Args:
        optimizers: instances of this module's classes, of MLX's, or of ``torchish_mlx.optim`` over parts of the model.
        filters: predicates (path, array) -> bool, one fewer than optimizers; the last optimizer takes what is left. In
            a step the array is the gradient.

    Attributes:
        state: ``{"states": [...]}``, with the state of each optimizer; assigning loads each of them.
        learning_rate: that of the first optimizer; assigning sets it in all.

    Raises:
        TypeError: an optimizer that is none, or a class; a filter that can't be called.
        ValueError: another number of filters.

    Example:
        >>> import mlx.nn as nn
        >>> from torchish_mlx import optimizers
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
        >>> optimizer = MultiOptimizer(
        ...     [optimizers.SGD(0.1), optimizers.AdamW(0.01)], [lambda path, array: path.startswith("layers.2")]
        ... )
        >>> optimizer.init(model.trainable_parameters())
        >>> optimizer.update(model, model.trainable_parameters())
        >>> [int(part.step.item()) for part in optimizer.optimizers]
        [1, 1]
    """

    def __init__(self, optimizers: Sequence[native.Optimizer], filters: Sequence[Filter] = ()) -> None:
        checked_parts(optimizers, filters)
        super().__init__(list(optimizers), list(filters))

    def _split_dictionary(self, gradients: Any) -> list[Any]:
        """The tree of each optimizer, with its own leaves. An empty dict replaces every other entry of a list."""
        if len(self.optimizers) == 1:
            return [gradients]
        owned: list[set[str]] = [set() for _ in self.optimizers]
        leaves: Any = tree_flatten(gradients)
        for path, leaf in leaves:
            owned[next(i for i, accepts in enumerate(self.filters) if accepts(path, leaf))].add(path)
        return [_only(paths, gradients) for paths in owned]

    def init(self, parameters: Any) -> None:
        """Make the state of each optimizer. Of a module the arrays that are not frozen are taken."""
        super().init(parameters.trainable_parameters() if isinstance(parameters, Module) else parameters)

    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """New parameters, a tree of the structure of ``gradients``; ``parameters`` may hold more.

        Every rule of this module checks its part first, and where one refuses no optimizer has made a step.
        """
        calls = [
            part.prepared(own, parameters) if isinstance(part, Rule) else partial(part.apply_gradients, own, parameters)
            for part, own in zip(self.optimizers, self._split_dictionary(gradients), strict=True)
        ]
        new: dict[str, Any] = {}
        for call in calls:
            new |= tree_flatten(call(), destination={})
        given: Any = tree_flatten(gradients)
        leaves = iter([new[path] for path, _ in given])
        return tree_map(lambda _: next(leaves), gradients)

    @property
    def state(self) -> dict[str, Any]:
        """``{"states": [...]}``: a list of the optimizers' states; assigning such a dict loads it."""
        return {"states": [part.state for part in self.optimizers]}

    @state.setter
    def state(self, state: Any) -> None:
        states = state.get("states") if isinstance(state, dict) else None
        if not isinstance(states, (list, tuple)) or len(states) != len(self.optimizers):
            held = f"{len(states)} states" if isinstance(states, (list, tuple)) else f"a {type(state).__name__}"
            raise ValueError(
                f'Invalid state provided: expected {{"states": [...]}} with {len(self.optimizers)} states, one for '
                f"each optimizer, but got {held if states is not None else 'something else'}"
            )
        before = [copied(part.state) for part in self.optimizers]
        try:
            for part, own in zip(self.optimizers, states, strict=True):
                part.state = own
        except BaseException:
            for part, own in zip(self.optimizers, before, strict=True):
                part.state = own
            raise


def _only(paths: Collection[str], tree: Any, path: str = "") -> Any:
    """``tree`` with the leaves at ``paths`` alone: dicts lose the others, lists keep their length."""
    if isinstance(tree, dict):
        pairs = ((key, _only(paths, child, f"{path}.{key}" if path else str(key))) for key, child in tree.items())
        return {key: child for key, child in pairs if not (isinstance(child, dict) and not child)}
    if isinstance(tree, (list, tuple)):
        return [_only(paths, child, f"{path}.{i}" if path else str(i)) for i, child in enumerate(tree)]
    return tree if path in paths else {}


def checked_parts(optimizers: Any, filters: Any) -> None:
    """Raise what the two classes named MultiOptimizer raise for their optimizers and filters."""
    if isinstance(optimizers, native.Optimizer) or not isinstance(optimizers, Sequence):
        raise TypeError(
            f"optimizers is a {type(optimizers).__name__}, where a list of optimizers is wanted, such as "
            "[optimizers.Muon(0.02), optimizers.AdamW(1e-3)]"
        )
    for i, part in enumerate(optimizers):
        if isinstance(part, type) or not (hasattr(part, "init") and hasattr(part, "apply_gradients")):
            what = f"the class {part.__name__}" if isinstance(part, type) else f"a {type(part).__name__}"
            advice = (
                f"construct it: {part.__name__}(learning_rate=...)" if isinstance(part, type) else "give an optimizer"
            )
            raise TypeError(f"optimizers[{i}] is {what}, where an optimizer is wanted; {advice}")
    for i, accepts in enumerate(filters):
        if not callable(accepts):
            raise TypeError(
                f"filters[{i}] is a {type(accepts).__name__}, where a function (path, array) -> bool is wanted, as "
                'lambda path, array: path.startswith("layers.0")'
            )
    if len(filters) != len(optimizers) - 1:
        raise ValueError(f"Given {len(filters)} filters but {len(optimizers) - 1} needed.")
