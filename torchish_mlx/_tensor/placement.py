"""What a Tensor says about where its memory is and of which kind it is; a part of ``Tensor``."""

from __future__ import annotations

from typing import Any, NoReturn

from .._core.device import Device, accelerator, placed
from .._core.figures import NONE_HERE
from .._core.layout import Layout, strided
from .._inert import note
from .shown_storage import TypedStorage, UntypedStorage, base_of, pointer_of, typed
from .storage import Storage


class Placement:
    """The part of ``Tensor`` that says where its memory is, and of which kind it is."""

    _storage: Storage
    _label: Device | None
    #: What no Tensor here is.
    is_sparse = is_sparse_csr = is_quantized = is_mkldnn = is_nested = False
    is_ipu = is_maia = is_vulkan = is_xla = is_xpu = is_mtia = False

    @property
    def layout(self) -> Layout:
        """``torch.strided``: the arrays are dense."""
        return strided

    def is_distributed(self) -> bool:
        """False: no Tensor is spread over processes."""
        return False

    def is_neg(self) -> bool:
        """False: no Tensor is the negative of its memory."""
        return False

    def is_conj(self) -> bool:
        """False: no Tensor is the conjugate of its memory."""
        return False

    def is_set_to(self, tensor: Any) -> bool:
        """Whether ``tensor`` shows the same memory in the same way."""
        mine, other = self._storage, tensor._storage
        same = base_of(mine) is base_of(other) and mine.read().shape == other.read().shape
        return bool(same and mine.layout() == other.layout())

    def data_ptr(self) -> int:
        """A number that says where the first element is: it differs for Tensors of different memory.

        It is no address, because MLX moves arrays. For an empty Tensor it is 0.
        """
        array = self._storage.read()
        if not array.size:
            return 0
        return pointer_of(base_of(self._storage)) + self.storage_offset() * array.itemsize

    def storage_offset(self) -> int:
        """How many elements of the memory are before the first element."""
        return self._storage.layout()[1]

    def untyped_storage(self) -> UntypedStorage:
        """The memory as bytes, which can be read."""
        own: Any = self
        return UntypedStorage(base_of(self._storage), own.device)

    def storage(self) -> TypedStorage:
        """The memory as elements, which can be read. Torch warns of it."""
        return typed(self.untyped_storage())

    def pin_memory(self, device: Any = None) -> Any:
        """The Tensor itself: a GPU of MLX's reads the same memory.

        Raises:
            RuntimeError: there is no GPU, in torch's words.
        """
        if accelerator() is None:
            raise RuntimeError(NONE_HERE)
        if device is not None:
            placed(device)
        note("torch.Tensor.pin_memory")
        return self

    def is_pinned(self) -> bool:
        """False: no memory is pinned."""
        return False

    def share_memory_(self) -> NoReturn:
        """Refused: a write in one process would not be seen in another one, and torch promises that it is.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "share_memory_(): MLX's arrays are not shared between processes. Send Tensors by a queue or a pipe, which "
            "copies them, or use multiprocessing.shared_memory with NumPy arrays"
        )

    def is_shared(self) -> bool:
        """False: no memory is shared with other processes."""
        return False

    def record_stream(self, stream: Any) -> None:  # noqa: ARG002 - there is one order of work
        """Nothing: MLX keeps the memory of an array until its work is done."""
        note("torch.Tensor.record_stream")
