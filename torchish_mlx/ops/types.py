"""Questions about Tensors and dtypes: how many elements, which dtype, and what two of them give together."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .._core import promotion
from .._core.dtypes import OF_MLX, DtypeLike, dtype, mlx_dtype
from .._core.promotion import FLOATS, NAMES, category
from .._tensor.tensor import Tensor


def _array(name: str, input: Any) -> mx.array:
    if isinstance(input, Tensor):
        return input.array
    if isinstance(input, mx.array):
        return input
    raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")


def numel(input: Tensor) -> int:
    """The number of elements.

    Source: ``torch.numel``.
    """
    return _array("numel", input).size


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a real floating one.

    Source: ``torch.is_floating_point``.
    """
    return _array("is_floating_point", input).dtype in FLOATS


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex.

    Source: ``torch.is_complex``.
    """
    return _array("is_complex", input).dtype == mx.complex64


def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero; RuntimeError for more than one or none.

    Source: ``torch.is_nonzero``.
    """
    _array("is_nonzero", input)
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two Tensors have the same shape.

    Source: ``torch.is_same_size``.
    """
    return _array("is_same_size", input).shape == _array("is_same_size", other).shape


def result_type(tensor: Any, other: Any) -> dtype:
    """The dtype of an operation on two Tensors or numbers.

    Source: ``torch.result_type``.
    """
    given = [x.array if isinstance(x, Tensor) else x for x in (tensor, other)]
    return OF_MLX[promotion.result_type(*given)]


def promote_types(type1: DtypeLike, type2: DtypeLike) -> dtype:
    """The smallest dtype that holds the values of both.

    Source: ``torch.promote_types``.
    """
    one, two = mlx_dtype(type1, "promote_types", "type1", 1), mlx_dtype(type2, "promote_types", "type2", 2)
    return OF_MLX[promotion.promoted(one, two)]


def can_cast(from_: DtypeLike, to: DtypeLike) -> bool:
    """Whether torch casts ``from_`` to ``to`` by itself, as it does for ``out``.

    Source: ``torch.can_cast``.
    """
    return category(mlx_dtype(from_, "can_cast", "from_", 1)) <= category(mlx_dtype(to, "can_cast", "to", 2))


def typename(obj: Any) -> str:
    """The name of a type, as torch's messages have it: ``"torch.FloatTensor"``, ``"int"``, ``"package.Class"``.

    Source: ``torch.typename``.

    >>> import torchish_mlx as torch
    >>> torch.typename(torch.ones(1)), torch.typename(1)
    ('torch.FloatTensor', 'int')
    """
    if isinstance(obj, Tensor):
        return f"torch.{NAMES[obj.array.dtype]}Tensor"
    cls = obj if isinstance(obj, type) else type(obj)
    return cls.__qualname__ if cls.__module__ in ("builtins", "") else f"{cls.__module__}.{cls.__qualname__}"
