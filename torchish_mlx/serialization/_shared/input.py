"""A file to read from at given places: never beyond its end, and never more than is asked for."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .crc import PIECE, Summer

#: What to do about a file that is not as it was written.
AGAIN = "The file is damaged or was not written to its end: copy or download it again, or save it again."


class Input:
    """The bytes of a seekable binary file from its current position, which is position 0 here.

    Args:
        file: a binary file object with ``read``, ``seek`` and ``tell``.

    Raises:
        TypeError: a text file, or what is no file.
        RuntimeError: a file that cannot seek.
    """

    def __init__(self, file: BinaryIO) -> None:
        for name in ("read", "seek", "tell"):
            if not callable(getattr(file, name, None)):
                raise TypeError(
                    f"load() takes a path or a seekable binary file, not {type(file).__name__}, which has no {name}()"
                )
        try:
            self.start = file.tell()
            self.size = max(file.seek(0, os.SEEK_END) - self.start, 0)
            file.seek(self.start)
        except (OSError, TypeError) as error:
            raise RuntimeError(
                f"load() cannot seek in this {type(file).__name__} ({error}): give it io.BytesIO(file.read())"
            ) from error
        if type(file.read(0)) is not bytes:
            raise TypeError("load() takes a file opened in binary mode: open(path, 'rb')")
        self.file = file
        self._summer = Summer()

    def read(self, position: int, count: int) -> bytes:
        """The ``count`` bytes at ``position``; fewer where the file ends before."""
        count = min(count, self.size - position)
        if count <= 0:
            return b""
        self.file.seek(self.start + position)
        pieces = []
        while count and (piece := self.file.read(count)):
            pieces.append(piece)
            count -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def filling(self, position: int, memory: memoryview, summed: bool = True) -> Callable[[], int]:
        """Fill ``memory`` with the bytes from ``position``. The function that is returned waits for their CRC-32, which
        is computed while the caller goes on; it gives 0 if ``summed`` is False.
        """
        if not summed:
            self._read_into(position, memory)
            return lambda: 0
        return self._summer.summing(memory, lambda piece, at: self._read_into(position + at, piece))

    def close(self) -> None:
        """End the threads that sum; the file stays open."""
        self._summer.close()

    def _read_into(self, position: int, memory: memoryview) -> None:
        self.file.seek(self.start + position)
        readinto = getattr(self.file, "readinto", None)
        done = 0
        while done < len(memory):
            if readinto is not None:
                count = readinto(memory[done:]) or 0
            else:
                data = self.file.read(min(len(memory) - done, PIECE))
                count = len(data)
                memory[done : done + count] = data
            if not count:
                raise RuntimeError(f"the file ends {len(memory) - done} bytes too early. {AGAIN}")
            done += count


_LINE = 1000  # the longest name of a global


class Pickled(io.BytesIO):
    """Bytes in memory, as ``pickletools`` reads them: no line of endless length."""

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(_LINE if size is None or size < 0 else min(size, _LINE))


class Stream:
    """Reading on from a place in an ``Input``, as ``pickletools`` reads: no line and no piece of endless length."""

    def __init__(self, source: Input, position: int = 0) -> None:
        self._source = source
        self._position = position
        self._block = b""
        self._at = 0  # in the block

    def tell(self) -> int:
        return self._position

    def read(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._block):
            self._block = self._source.read(self._position, max(count, 1 << 16))
            self._at, end = 0, count
        out = self._block[self._at : end]
        self._at += len(out)
        self._position += len(out)
        return out

    def readline(self) -> bytes:
        end = self._block.find(b"\n", self._at, self._at + _LINE) + 1
        if not end:
            self._block = self._source.read(self._position, 1 << 16)
            self._at = 0
            end = self._block.find(b"\n", 0, _LINE) + 1
        return self.read((end or min(len(self._block), _LINE)) - self._at)


@contextmanager
def opened(f: Any) -> Iterator[Input]:
    """The Input of a path, whose file is closed at the end, or of an open file, which is left open."""
    if isinstance(f, (str, os.PathLike)):
        if Path(f).exists() and not (Path(f).is_file() or Path(f).is_dir()):  # reading a pipe would wait
            raise OSError(errno.EINVAL, "This is no file but a pipe, a socket or a device. Save what it gives", str(f))
        with Path(f).open("rb", buffering=0) as file, closing(Input(file)) as source:
            yield source
    else:
        with closing(Input(f)) as source:
            yield source
