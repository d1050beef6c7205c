"""Tensors from data, and tensors filled with a number."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .._core.device import CPU, check_placement, made_on
from .._core.dtypes import DtypeLike, mlx_dtype
from .._core.evaluation import schedule
from .._core.promotion import DEFAULTS, FLOATING, number_category, stored
from .._core.sparse import RowSparse
from .._tensor.conversion import origin_of, to_array
from .._tensor.tensor import Tensor, wrap
from ._arguments import several, sizes, typed
from ._op import Number
from .ranges import made


def tensor(data: Any, *, dtype: DtypeLike | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new leaf Tensor that holds ``data``: numbers, nested lists, NumPy arrays, arrays of MLX, Tensors.

    >>> tensor([[1.0, 2.0]])
    tensor([[1., 2.]])
    """
    label = made_on(device)
    if device is None and label is None and isinstance(data, Tensor):
        label = data._label
    out = Tensor(to_array(data, mlx_dtype(dtype, "tensor")), requires_grad=requires_grad)
    schedule(out.array)
    out._keep_origin(origin_of(data))
    out._keep_label(label)
    return out


def as_tensor(data: Any, dtype: DtypeLike | None = None, device: Any = None) -> Tensor:
    """``data`` itself if it is a Tensor of that dtype; otherwise a Tensor of it, an ``mx.array`` without a copy."""
    kind = mlx_dtype(dtype, "as_tensor")
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=kind)
    label = made_on(device)
    out = wrap(to_array(data, kind))
    out._keep_origin(origin_of(data))
    out._keep_label(label)
    return out


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


def _array(of: Any) -> mx.array:
    array: mx.array = of.array if isinstance(of, Tensor) else of
    return array


def _filled(
    name: str,
    shape: Any,
    value: Any,
    dtype: Any,
    device: Any,
    requires_grad: bool,
    out: Tensor | None = None,
    like: Any = None,
) -> Tensor:
    """A number throughout ``shape``. The dtype and the device may be those of ``like``, a Tensor or an array."""
    if isinstance(value, Tensor):
        value = value.array
    kind = mlx_dtype(dtype, name)
    if like is not None:
        kind = _array(like).dtype if kind is None else kind
        device = (like.device if isinstance(like, Tensor) else CPU) if device is None else device
    if kind is None:
        kind = out.array.dtype if out is not None else value.dtype if isinstance(value, mx.array) else None
    if kind is None:
        kind = DEFAULTS[number_category(value)]
    wrong = [n for n in shape if n < 0]
    if wrong:
        raise RuntimeError(f"Trying to create tensor with negative dimension {wrong[0]}: {list(shape)}")
    return made(name, mx.full(shape, stored(value, kind)), out, device, requires_grad)


@typed
def zeros(
    *size: Any, out: Any = None, dtype: DtypeLike | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of a shape, float32 unless said otherwise."""
    return _filled("zeros", sizes("zeros", "size", size), 0.0, dtype, device, requires_grad, out)


@typed
def ones(
    *size: Any, out: Any = None, dtype: DtypeLike | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones of a shape, float32 unless said otherwise."""
    return _filled("ones", sizes("ones", "size", size), 1.0, dtype, device, requires_grad, out)


@typed
def empty(
    *size: Any,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """As ``zeros``: MLX has no arrays without values."""
    check_placement(memory_format=memory_format)
    return _filled("empty", sizes("empty", "size", size), 0.0, dtype, device, requires_grad, out)


@typed
def full(
    size: Any,
    fill_value: Number,
    *,
    out: Any = None,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A number throughout a shape, in the number's dtype unless said otherwise."""
    shape = sizes("full", "size", several("full", "size", (), {"size": size}))
    return _filled("full", shape, fill_value, dtype, device, requires_grad, out)


@typed
def scalar_tensor(
    s: Number, *, dtype: DtypeLike | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A number as a Tensor without dimensions, float32 unless said otherwise."""
    return _filled("scalar_tensor", (), s, DEFAULTS[FLOATING] if dtype is None else dtype, device, requires_grad)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """The values of a NumPy array in a Tensor: a copy, unlike torch's; float64 becomes float32, as in ``tensor``."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    out = wrap(to_array(ndarray))
    if not ndarray.flags.c_contiguous:
        out._keep_origin(origin_of(ndarray))
    return out


@typed
def full_like(
    input: Tensor,
    fill_value: Number,
    *,
    dtype: DtypeLike | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A number throughout the shape of ``input``, in its dtype."""
    return _like("full_like", input, fill_value, dtype, device, requires_grad, memory_format)


def _like(
    name: str,
    input: Any,
    value: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    check_placement(memory_format=memory_format)
    return _filled(name, _array(input).shape, value, dtype, device, requires_grad, like=input)


@typed
def zeros_like(input: Tensor, **kwargs: Any) -> Tensor:
    """Zeros of the shape and dtype of ``input``; keywords as for ``full_like``."""
    return _like("zeros_like", input, 0, **kwargs)


@typed
def ones_like(input: Tensor, **kwargs: Any) -> Tensor:
    """Ones of the shape and dtype of ``input``; keywords as for ``full_like``."""
    return _like("ones_like", input, 1, **kwargs)


@typed
def empty_like(input: Tensor, **kwargs: Any) -> Tensor:
    """As ``zeros_like``: MLX has no arrays without values."""
    return _like("empty_like", input, 0, **kwargs)


@typed
def _new_zeros(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a shape in this Tensor's dtype."""
    return _filled("new_zeros", sizes("new_zeros", "size", size), 0, dtype, device, requires_grad, like=self)


def _new_empty(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """As ``new_zeros``: MLX has no arrays without values."""
    return _filled("new_empty", sizes("new_empty", "size", size), 0, dtype, device, requires_grad, like=self)


@typed
def _new_ones(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of a shape in this Tensor's dtype."""
    return _filled("new_ones", sizes("new_ones", "size", size), 1, dtype, device, requires_grad, like=self)


@typed
def _new_full(
    self: Tensor, size: Any, fill_value: Number, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A number throughout a shape in this Tensor's dtype."""
    return _filled("new_full", tuple(size), fill_value, dtype, device, requires_grad, like=self)


def _new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``data`` in this Tensor's dtype."""
    kind = self.dtype if dtype is None else mlx_dtype(dtype, "new_tensor")
    where = self.device if device is None else device
    return tensor(data, dtype=kind, device=where, requires_grad=requires_grad)


def _fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """A number on the diagonal, in place; with ``wrap`` also on those below it in a tall matrix.

    Source: ``torch.Tensor.fill_diagonal_``.
    """
    shape = self.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    if len(shape) > 2 or not wrap:
        places = np.arange(min(shape))
        self[(places,) * len(shape)] = fill_value
    else:
        flat = np.arange(0, self.numel(), shape[1] + 1)
        self[flat // shape[1], flat % shape[1]] = fill_value
    return self


METHODS = {
    "new_zeros": _new_zeros,
    "new_ones": _new_ones,
    "new_empty": _new_empty,
    "new_full": _new_full,
    "new_tensor": _new_tensor,
    "fill_diagonal_": _fill_diagonal_,
}
for _name, _method in METHODS.items():
    setattr(Tensor, _name, _method)


def sparse_coo_tensor(indices: Any, values: Any, size: tuple[int, ...]) -> RowSparse:
    """A gradient that has some rows only, for ``p.grad`` and ``optim.SparseAdam``.

    Args:
        indices: the rows, shape (1, n); an index may occur twice.
        values: shape ``(n, *size[1:])``.
        size: shape of the whole gradient.

    Raises:
        RuntimeError: indices of single elements (more than one row of ``indices``), which MLX has no arrays for.
        ValueError: the shapes do not fit together.

    Source: ``torch.sparse_coo_tensor``.

    >>> sparse_coo_tensor([[0, 2]], [[1.0], [2.0]], (3, 1)).dense().tolist()
    [[1.0], [0.0], [2.0]]
    """
    where, rows = to_array(indices), to_array(values)
    if where.ndim != 2 or where.shape[0] != 1:
        raise RuntimeError(
            f"indices must be of shape (1, n), the numbers of rows, but got {list(where.shape)}: a sparse gradient "
            "here has whole rows. Give single elements as a dense gradient."
        )
    row = where[0]
    made = RowSparse(row, rows, size)
    schedule(made.indices, made.values)
    return made
