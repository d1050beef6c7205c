"""The memory of a Tensor as torch shows it: a number that tells which Tensors share it, and how many bytes it has.

MLX moves arrays, and an array that is not computed yet has no memory. So the number is no address: it tells storages
apart, and stays the same as long as the storage is there.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any, NoReturn

import mlx.core as mx
import numpy as np

from .._core.device import Device
from .._core.dtypes import OF_MLX, dtype
from .storage import Storage, View, unaliased

_lock = threading.Lock()
_next = [4096]
_GONE = (
    "the storages of this package can be looked at, and not be written or resized: write to the Tensor with copy_() or "
    "an index, or make another Tensor"
)


def base_of(storage: Storage) -> Storage:
    """The storage whose memory a Tensor shows, in whole or in part."""
    found = unaliased(storage)
    return unaliased(found.base) if isinstance(found, View) else found


def pointer_of(storage: Storage) -> int:
    """The number of a base's memory. The numbers of two are further apart than the bytes that they had at first."""
    with _lock:
        if not hasattr(storage, "pointer"):
            storage.pointer = _next[0]
            _next[0] += -(-max(storage.read().nbytes, 1) // 64) * 64
        return storage.pointer


class UntypedStorage:
    """The bytes of the memory of a Tensor, as ``tensor.untyped_storage()`` gives them. They can be read.

    Source: ``torch.UntypedStorage``.
    """

    def __init__(self, base: Any, device: Device) -> None:
        self._base: Storage = base
        self.device = device

    def data_ptr(self) -> int:
        """A number that is the same for Tensors that share memory, and tells the memory of others from it."""
        return pointer_of(self._base)

    @property
    def _cdata(self) -> int:
        return pointer_of(self._base)

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._base.read().nbytes

    def size(self) -> int:
        """The number of bytes."""
        return self.nbytes()

    __len__ = size

    def element_size(self) -> int:
        """1: an element is a byte."""
        return 1

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a GPU of NVIDIA's."""
        return self.device.type == "cuda"

    def is_pinned(self, device: Any = "cuda") -> bool:  # noqa: ARG002 - of none
        """False: no memory is pinned."""
        return False

    def is_shared(self) -> bool:
        """False: no memory is shared with other processes."""
        return False

    def tolist(self) -> list[int]:
        """The bytes."""
        flat = mx.view(mx.reshape(self._base.read(), (-1,)), mx.uint8)
        return [int(each) for each in np.array(flat)]

    def __getitem__(self, index: Any) -> Any:
        return self.tolist()[index]

    def resize_(self, size: int) -> NoReturn:
        """Refused: the memory is the array's."""
        raise NotImplementedError(f"resize_({size}): {_GONE}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and self._base is other._base

    def __hash__(self) -> int:
        return hash(id(self._base))

    def __repr__(self) -> str:
        lines = "".join(f" {each}\n" for each in self.tolist())
        return f"{lines}[torch.storage.UntypedStorage(device={self.device}) of size {self.nbytes()}]"


class TypedStorage:
    """The elements of the memory of a Tensor, as ``tensor.storage()`` gives them. Torch warns of it.

    Source: ``torch.TypedStorage``.
    """

    def __init__(self, untyped: UntypedStorage) -> None:
        self._untyped = untyped

    def untyped(self) -> UntypedStorage:
        """The bytes."""
        return self._untyped

    @property
    def dtype(self) -> dtype:
        """Torch's dtype of the elements."""
        return OF_MLX[self._untyped._base.read().dtype]

    @property
    def device(self) -> Device:
        """The device of the Tensor."""
        return self._untyped.device

    def data_ptr(self) -> int:
        """A number that is the same for Tensors that share memory, and tells the memory of others from it."""
        return self._untyped.data_ptr()

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._untyped.nbytes()

    def size(self) -> int:
        """The number of elements."""
        return self._untyped._base.read().size

    __len__ = size

    def element_size(self) -> int:
        """The bytes of an element."""
        return self._untyped._base.read().itemsize

    def is_shared(self) -> bool:
        """False: no memory is shared with other processes."""
        return False

    def tolist(self) -> list[Any]:
        """The elements."""
        return list(mx.reshape(self._untyped._base.read(), (-1,)).tolist())  # type: ignore[arg-type]

    def __getitem__(self, index: Any) -> Any:
        return self.tolist()[index]


def typed(untyped: UntypedStorage) -> TypedStorage:
    """What ``tensor.storage()`` gives, with torch's warning."""
    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage "
        "class. To access UntypedStorage directly, use tensor.untyped_storage() instead of tensor.storage()",
        UserWarning,
        stacklevel=3,
    )
    return TypedStorage(untyped)


def is_storage(obj: Any) -> bool:
    """Whether ``obj`` is what ``untyped_storage()`` or ``storage()`` of a Tensor gives.

    Source: ``torch.is_storage``.
    """
    return isinstance(obj, (UntypedStorage, TypedStorage))
