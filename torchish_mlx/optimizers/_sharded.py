"""Which parameters of a model are parts: each process of a group holds another one, as MLX's sharded layers do."""

from __future__ import annotations

from typing import Any

from mlx.nn import Module
from mlx.nn.layers import distributed
from mlx.utils import tree_flatten

# class -> the names of the arrays that are parts; it may also hold arrays that are the same in all processes
_PARTS: dict[Any, tuple[str, ...]] = {
    distributed.AllToShardedLinear: ("weight", "bias"),
    distributed.ShardedToAllLinear: ("weight",),
    distributed.QuantizedAllToShardedLinear: ("weight", "scales", "biases", "bias"),
    distributed.QuantizedShardedToAllLinear: ("weight", "scales", "biases"),
}


def holds_part(module: Module, name: str) -> bool:
    """Whether the array ``name`` of ``module`` itself, one of MLX's sharded layers, is a part."""
    return any(isinstance(module, cls) and name in names for cls, names in _PARTS.items())


def names_of_parts(model: Module) -> set[str]:
    """The names of all parts among ``model.parameters()``.

    A layer that :func:`mlx.nn.layers.distributed.shard_inplace` has changed can't be recognized: its names are not
    among them.
    """
    names: set[str] = set()
    for path, module in model.named_modules():
        lead = f"{path}." if path else ""
        if isinstance(module, distributed.FullyShardedModule):
            flat: Any = tree_flatten(module.parameters())
            names |= {f"{lead}{name}" for name, _ in flat}
        else:
            names |= {f"{lead}{name}" for name in module if holds_part(module, name)}
    return names
