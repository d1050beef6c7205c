"""What the functions on gradients take as parameters, and which of these are parts that a group of processes shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import mlx.core as mx
from mlx.nn import Module

from ..._core.sparse import RowSparse
from ..._tensor.parameter import Parameter
from ..._tensor.tensor import Tensor
from ...bridge.parameters import named_parameters
from ...optimizers._norm import Leaf
from ...optimizers._sharded import holds_part, names_of_parts

Gradient: TypeAlias = Tensor | RowSparse
ParametersT: TypeAlias = Tensor | Module | Iterable[Tensor | Module]


class Given:
    """The Tensors of an argument; a module means its Parameters, also in a list."""

    def __init__(self, given: ParametersT) -> None:
        if isinstance(given, (Tensor, Module)):
            given = [given]
        if isinstance(given, (dict, mx.array)):
            raise _tree(given)
        self.tensors: list[Tensor] = []
        self._parts: set[int] = set()  # ids of the Tensors of sharded layers
        for entry in given:
            if isinstance(entry, Module):
                self._add(entry)
            elif isinstance(entry, mx.array):
                raise _tree(entry)
            else:
                self.tensors.append(entry)
                if isinstance(entry, Parameter) and entry.owner is not None and holds_part(entry.owner, str(entry.key)):
                    self._parts.add(id(entry))

    def _add(self, module: Module) -> None:
        names = names_of_parts(module)
        for name, parameter in named_parameters(module):
            self.tensors.append(parameter)
            if name in names:
                self._parts.add(id(parameter))

    def with_gradient(self) -> list[Tensor]:
        return [tensor for tensor in self.tensors if tensor.grad is not None]

    def are_parts(self, tensors: Sequence[Tensor], sharded: ParametersT | None) -> list[bool]:
        """Whether each is a part: as its layer says, or where ``sharded`` is given, whether it is among those."""
        parts = self._parts if sharded is None else {id(tensor) for tensor in Given(sharded).tensors}
        return [id(tensor) in parts for tensor in tensors]


def _tree(given: Any) -> TypeError:
    return TypeError(
        f"the parameters are given as {'an array' if isinstance(given, mx.array) else 'a dict'}, which has no "
        "gradients: pass the model itself or torchish_mlx.parameters(model). A tree of gradients is clipped by the "
        "functions of torchish_mlx.optimizers."
    )


def leaf_of(value: Any) -> Leaf:
    """The array of a Tensor, or the ``RowSparse`` itself."""
    leaf = value.array if isinstance(value, Tensor) else value
    if not isinstance(leaf, (mx.array, RowSparse)):
        raise TypeError(f"gradients are Tensors, but one is a {type(value).__name__}")
    return leaf
