"""``Parameter``: a leaf that an optimizer trains, by itself or as a place in a module."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core.evaluation import schedule
from .._core.promotion import INEXACT
from .conversion import origin_of, to_array
from .tensor import Tensor


class Parameter(Tensor):
    """A leaf Tensor that requires grad: by itself, or at a place in an ``mlx.nn`` module.

    ``Parameter(array)`` is one by itself. Those of a module come from ``parameters(module)``: they read and write
    the module's array, are the same objects at every call, and their ``requires_grad`` is MLX's freezing.

    One array object at several places of a model (``model.head.weight = model.emb.weight``) is one Parameter, whose
    writes reach all of them, and which is frozen as soon as one of them is. It stays one, although MLX makes several
    objects of the array. A new array that is assigned to one of the places gets a Parameter of its own.

    The module keeps its Parameters. They do not keep the module: when it is deleted, a Parameter that is still in use
    goes on with its array.

    Attributes:
        owner: the module that holds the array, the first of several, or None.
        key: the path inside the owner, ``"weight"``, or ``"blocks.0"`` in a list; None without an owner.
        path: the path from the module through which it was listed last, or None.

    >>> import mlx.core as mx
    >>> from torchish_mlx import Parameter
    >>> p = Parameter(mx.array([1.0]))
    >>> p.data.mul_(3)
    tensor([3.])
    >>> p
    Parameter containing:
    tensor([3.], requires_grad=True)
    """

    path: str | None = None
    _also: tuple[str, ...] = ()  # further paths through which it was listed

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, (Tensor, mx.array)):
            super().__init__(data.detach() if isinstance(data, Tensor) else data)
        else:
            super().__init__(to_array(data))
            self._keep_origin(origin_of(data))
        schedule(self.array)  # so that any thread can use it
        self.requires_grad = requires_grad

    @property
    def owner(self) -> Any:
        """The module that holds the array, the first of several, or None."""
        return self._storage.home()[0]

    @property
    def key(self) -> str | None:
        """The path inside the owner; None without one."""
        return self._storage.home()[1]

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is wanted; for places in modules, whether MLX has all of them unfrozen."""
        frozen = self._storage.frozen()
        if frozen is None:
            return self._requires_grad
        return not frozen and self.array.dtype in INEXACT

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.array.dtype not in INEXACT:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        self._requires_grad = bool(value)
        self._storage.freeze(not value)

    def _read(self) -> mx.array:
        """The array; calls of ops read ``_requires_grad`` after it."""
        if self._storage.owned:
            self._requires_grad = self.requires_grad
        return super()._read()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_requires_grad": self.requires_grad}

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        new = super().__deepcopy__(memo)
        new._requires_grad = self.requires_grad  # a copy without its module
        return new

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
