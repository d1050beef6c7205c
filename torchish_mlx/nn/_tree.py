"""The arrays of a model as a tree, which MLX's functions take."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from .._tensor.tensor import Tensor
from .modules.module import Module

#: Of each module: its tree, and the Tensors whose arrays are in it by name.
_TREES: WeakKeyDictionary[Module, tuple[dict[str, Any], dict[str, Tensor]]] = WeakKeyDictionary()


def tree(module: Module) -> dict[str, Any]:
    """The arrays of a module's Parameters and buffers in nested dicts, by the names of its members.

    From the first call on the arrays are kept in these dicts: what is written into the tree, by ``mx.compile`` or by an
    assignment, is what the module has, and the reverse. So ``mx.eval(tree)``, ``mx.compile(step, inputs=tree,
    outputs=tree)`` and ``mlx.utils.tree_flatten(tree)`` work on the model. Call it again after a Parameter, a buffer or
    a module was added or replaced; it returns the same dict.

    >>> import torchish_mlx as torch
    >>> p = torch.nn.ParameterDict({"a": torch.ones(2)})
    >>> torch.nn.tree(p)["a"] *= 3
    >>> p["a"]
    Parameter containing:
    tensor([3., 3.], requires_grad=True)
    """
    held, tensors = _TREES.setdefault(module, ({}, {}))
    members = {**module._parameters, **module._buffers}
    for name, tensor in list(tensors.items()):
        if members.get(name) is not tensor:
            tensor._leave(held, name)
            del tensors[name], held[name]
    for name, member in members.items():
        if member is not None and name not in tensors:
            held[name], tensors[name] = member.array, member
            member._add_place(held, name)
    for name in [name for name in held if name not in tensors and module._modules.get(name) is None]:
        del held[name]
    for name, child in module._modules.items():
        if child is not None:
            held[name] = tree(child)
    return held
