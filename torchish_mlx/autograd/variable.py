"""``Variable``, torch's old name of a Tensor."""

from __future__ import annotations

from typing import Any

from .._tensor.tensor import Tensor

__all__ = ["Variable"]


class _Variables(type):
    def __instancecheck__(cls, other: Any) -> bool:
        return isinstance(other, Tensor)


class Variable(metaclass=_Variables):
    """A Tensor of the same values as ``data``, by torch's old name; every Tensor is an instance of it.

    Source: ``torch.autograd.Variable``.

    >>> import torchish_mlx as torch
    >>> torch.autograd.Variable(torch.ones(1), requires_grad=True)
    tensor([1.], requires_grad=True)
    """

    def __new__(cls, data: Any = None, requires_grad: bool = False) -> Any:
        made = Tensor() if data is None else data.detach()
        return made.requires_grad_() if requires_grad else made
