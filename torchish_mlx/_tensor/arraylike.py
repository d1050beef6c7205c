"""What a Tensor says about its array, and how it behaves as a Python object."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import mlx.core as mx
import numpy as np

from .._core import dtypes
from .._core.device import CPU, Device
from .._core.dtypes import OF_MLX
from .._core.promotion import FLOATS, INEXACT
from .._docs import see
from .modes import is_grad_enabled
from .repr import tensor_repr
from .storage import Storage


class Size(tuple[int, ...]):
    """A shape: a tuple with ``numel()``, as torch prints it. Its parts and sums are shapes too."""

    def numel(self) -> int:
        """The number of elements."""
        out = 1
        for n in self:
            out *= n
        return out

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, key: slice) -> Size: ...

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return Size(part) if type(part) is tuple else part

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, tuple):
            raise TypeError(f"can only concatenate tuple (not {type(other).__name__}) to torch.Size")
        return Size((*self, *other))

    def __radd__(self, other: Any) -> Any:
        return Size((*other, *self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: Any) -> Any:
        return Size(super().__mul__(count))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"


_UNRECORDED = (
    "An operation of MLX on a Tensor that requires grad would not be recorded and its gradient would be "
    "lost. Use tensor.detach() or tensor.array for the values, or the Tensor's own operations."
    + see("a-tensor-in-mlxs-operations")
)


if TYPE_CHECKING:  # what the ops attach to Tensor
    from ._table import _TableMethods as Methods
else:
    Methods = object


class ArrayLike(Methods):
    """The part of ``Tensor`` that only reads its array."""

    _storage: Storage
    _label: Device | None

    @property
    def array(self) -> mx.array:
        """The ``mx.array``, without a copy. Assigning replaces it."""
        return self._storage.read()

    @array.setter
    def array(self, value: mx.array) -> None:
        self._storage.array = value

    def __mlx_array__(self) -> mx.array:
        own: Any = self
        if is_grad_enabled() and own.requires_grad:
            raise RuntimeError(_UNRECORDED)
        return self.array

    def __dlpack__(self, **options: Any) -> Any:
        """How MLX's operations take a Tensor first: without it, one element is a complex number to them.

        They swallow what is raised here, and go on with ``__mlx_array__``, or with a number.

        Raises:
            BufferError: a Tensor that requires grad, as in torch; float64, which MLX would read as float32.
        """
        own: Any = self
        if is_grad_enabled() and own.requires_grad:
            warnings.warn(_UNRECORDED, stacklevel=2)
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        if self.array.dtype == mx.float64:
            raise BufferError("MLX reads float64 by DLPack as float32: use tensor.array, or np.asarray(tensor)")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array: a copy, unlike torch's."""
        own: Any = self
        if own.requires_grad and is_grad_enabled():
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.array.dtype == mx.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return np.array(self.array)

    def item(self) -> Any:
        """The only element, as a Python number."""
        array = self.array
        if array.size != 1:
            raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
        return array.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers, or as a number for no dimensions."""
        return self.array.tolist()

    # -- what it looks like ------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return Size(self.array.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of dimension ``dim``."""
        if dim is None:
            return self.shape
        shape = self.shape
        if not -max(len(shape), 1) <= dim < max(len(shape), 1) or not shape:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(len(shape), 1)}, "
                f"{max(len(shape), 1) - 1}], but got {dim})"
                if shape
                else f"Dimension specified as {dim} but tensor has no dimensions"
            )
        return shape[dim]

    @property
    def dtype(self) -> dtypes.dtype:
        """Torch's dtype. That of MLX, for MLX's own functions, is ``tensor.array.dtype``."""
        return OF_MLX[self.array.dtype]

    @property
    def device(self) -> Device:
        """The device, a label on which nothing depends, because MLX computes on its default device."""
        return self._label or CPU

    @property
    def is_cpu(self) -> bool:
        """Whether the device is the CPU."""
        return self._label is None

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a GPU of NVIDIA's."""
        return self.device.type == "cuda"

    @property
    def is_mps(self) -> bool:
        """Whether the device is a GPU of Apple's."""
        return self.device.type == "mps"

    @property
    def is_meta(self) -> bool:
        """False: every Tensor has values here."""
        return False

    def get_device(self) -> int:
        """The number of the device; -1 for the CPU."""
        index = self.device.index
        return -1 if index is None else index

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.array.nbytes

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        """The bytes of an element."""
        return self.array.itemsize

    def is_floating_point(self) -> bool:
        """Whether the dtype is a real floating one."""
        return self.array.dtype in FLOATS

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return self.array.dtype == mx.complex64

    def is_nonzero(self) -> bool:
        """Whether the only element is not zero."""
        return bool(self)

    def is_same_size(self, other: Any) -> bool:
        """Whether ``other`` has the same shape."""
        return self.array.shape == other.array.shape

    def stride(self, dim: int | None = None) -> Any:
        """Torch's strides, in elements, or the one of dimension ``dim``."""
        strides = self._storage.strides()
        return strides if dim is None else strides[dim]

    def is_contiguous(self) -> bool:
        """Whether torch would hold the elements in row-major order without gaps."""
        return self._storage.contiguous

    # -- Python ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __contains__(self, element: Any) -> bool:
        found = self == element  # elementwise
        return bool(found.any())

    def __bool__(self) -> bool:
        size = self.array.size
        if size != 1:
            what = "no values" if size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(self.array.item())

    def _number(self) -> Any:
        """The only element."""
        if self.array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.array.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if self.array.size != 1 or self.array.dtype in INEXACT:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._number())

    def __format__(self, spec: str) -> str:
        # as in torch a subclass, such as Parameter, is never formatted as its number
        number = "_formats" in type(self).__dict__ and not self.array.ndim
        return format(self.item(), spec) if number else object.__format__(self, spec)

    def __repr__(self) -> str:
        return tensor_repr(self)

    def __hash__(self) -> int:
        return id(self)

    def __reversed__(self) -> Any:
        raise TypeError("a Tensor cannot be reversed: slices have a positive step; index with a tensor of ints")
