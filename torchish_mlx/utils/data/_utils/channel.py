"""How a worker sends batches: a pickle by a socket, and large arrays in memory that both processes see.

The memory is a file without a name, which the system deletes when nobody has it open any more. So nothing is left
behind, however a process ends. It is used again for later batches.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import tempfile
import traceback
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import mlx.core as mx
import numpy as np

from ...._core.promotion import dtype_named, name_of
from ...._tensor.tensor import Tensor, wrap

#: Batches with fewer bytes go through the socket.
INLINE = 1 << 15
ALIGNED = 64


def _plain(array: mx.array) -> np.ndarray:
    """The numbers as a contiguous array of NumPy, without a copy where they are contiguous; bfloat16 as integers."""
    return np.asarray(mx.view(array, mx.uint16) if array.dtype == mx.bfloat16 else array, order="C")


def _array(memory: Any, plain: str, shape: tuple[int, ...], dtype: str | None) -> mx.array:
    """The array that :func:`_plain` was given, as a copy."""
    made = mx.array(np.frombuffer(memory, plain).reshape(shape))
    return made if dtype is None else mx.view(made, dtype_named(dtype))


def _tensor(array: mx.array, requires_grad: bool, label: Any) -> Tensor:
    made = wrap(array)
    made._keep_label(label)
    return made.requires_grad_() if requires_grad else made


class _Pickler(reduction.ForkingPickler):
    """Writes Tensors and arrays as their memory, next to the pickle; ``buffers`` has it, and whether it is copied."""

    def __init__(self, file: io.BytesIO) -> None:
        self.buffers: list[tuple[memoryview, bool]] = []
        self._of_arrays: dict[int, pickle.PickleBuffer] = {}
        super().__init__(file, 5, True, self._take)

    def _take(self, buffer: pickle.PickleBuffer) -> None:
        self.buffers.append((buffer.raw(), id(buffer) in self._of_arrays))

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Tensor:
            if obj.requires_grad and not obj.is_leaf:
                raise RuntimeError(
                    "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not "
                    "support crossing process boundaries.  If you just want to transfer the data, call detach() on "
                    "the tensor before serializing (e.g., putting it on the queue)."
                )
            return _tensor, (obj.array, obj.requires_grad, obj._label)
        if isinstance(obj, mx.array):
            plain: Any = _plain(obj)
            memory = pickle.PickleBuffer(plain)
            self._of_arrays[id(memory)] = memory
            return _array, (
                memory,
                plain.dtype.str,
                plain.shape,
                name_of(obj.dtype) if obj.dtype == mx.bfloat16 else None,
            )
        return NotImplemented


def _size(n: int) -> int:
    return -(-n // ALIGNED) * ALIGNED


def _shared_file(size: int) -> int:
    """A descriptor of a file of ``size`` bytes that has no name."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("torchish_mlx", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


class Outbox:
    """The worker's end."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._maps: list[mmap.mmap] = []
        self._free: list[int] = []

    def release(self, slots: list[int]) -> None:
        """Have these pieces of memory for other batches: the main process has copied what was there."""
        self._free += slots

    def send(self, key: Any, value: Any) -> None:
        """Send a pair of small and large. Raises what pickling raises, and nothing is sent then."""
        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump((key, value))
        total = sum(_size(part.nbytes) for part, _ in pickler.buffers)
        if total < INLINE:
            parts = [(bytes(part), copied) for part, copied in pickler.buffers]
            self.connection.send_bytes(pickle.dumps((file.getbuffer().tobytes(), None, 0, parts), 5))
            return
        slot, new = self._slot(total)
        memory, at, places = memoryview(self._maps[slot]), 0, []
        for part, copied in pickler.buffers:
            memory[at : at + part.nbytes] = part
            places.append((at, part.nbytes, copied))
            at += _size(part.nbytes)
        capacity = 0 if new is None else len(memory)
        self.connection.send_bytes(pickle.dumps((file.getbuffer().tobytes(), slot, capacity, places), 5))
        if new is not None:
            reduction.send_handle(self.connection, new, os.getppid())
            os.close(new)

    def answer(self, key: Any, value: Any, where: str) -> None:
        """Send a pair; in place of a value that can't be pickled, send the error that says so."""
        try:
            self.send(key, value)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            self.send(key, value.plain() if isinstance(value, Failure) else Failure(error, where))

    def _slot(self, size: int) -> tuple[int, int | None]:
        """The number of a piece of memory that is free, and its descriptor where it is new."""
        for slot in self._free:
            if len(self._maps[slot]) >= size:
                self._free.remove(slot)
                return slot, None
        capacity = 1 << (size - 1).bit_length()
        fd = _shared_file(capacity)
        self._maps.append(mmap.mmap(fd, capacity))
        return len(self._maps) - 1, fd


class Inbox:
    """The end of the main process."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._maps: list[mmap.mmap] = []
        self.released: list[int] = []  #: pieces of memory that the worker may have again, to be told with its next task

    def receive(self) -> Any:
        """The next pair. Raises EOFError or OSError where the worker is gone, and what unpickling raises."""
        content, slot, capacity, parts = pickle.loads(self.connection.recv_bytes())
        if slot is None:
            return pickle.loads(content, buffers=[part if copied else bytearray(part) for part, copied in parts])
        if capacity:
            fd = reduction.recv_handle(self.connection)
            try:
                self._maps.append(mmap.mmap(fd, capacity))
            finally:
                os.close(fd)
        memory = memoryview(self._maps[slot])
        views = [(memory[at : at + size], copied) for at, size, copied in parts]
        try:
            return pickle.loads(content, buffers=[part if copied else bytearray(part) for part, copied in views])
        finally:
            self.released.append(slot)

    def taken(self) -> list[int]:
        """The pieces of memory to tell of, which are forgotten here."""
        slots, self.released = self.released, []
        return slots


class Failure:
    """An exception of a worker, with the text of its traceback, which is raised in the main process."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.kind: Any = type(error)
        self.name = self.kind.__name__
        self.text = "".join(traceback.format_exception(error))
        self.where = where

    def plain(self) -> Failure:
        """The same as a RuntimeError, for an exception whose class can't be pickled."""
        self.kind = RuntimeError
        return self

    def reraise(self) -> None:
        """Raise an exception of the same type whose message has the traceback."""
        message: Any = f"Caught {self.name} {self.where}.\nOriginal {self.text}"
        if self.kind is KeyError:
            message = _Shown(message)
        try:
            kind: Any = self.kind
            error = kind(message=message) if getattr(kind, "message", None) else kind(message)
        except Exception:
            raise RuntimeError(message) from None
        try:
            raise error
        finally:
            del error  # or this frame and the traceback would keep each other, and with them the workers


class _Shown(str):
    """A string that a KeyError, which shows the repr of what it is given, shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
