"""Writes torch's zip file record by record: uncompressed, each at a multiple of 64 bytes, in the layout of torch 2.13.

The writer never seeks or reads, so any stream will do. The sizes and CRCs follow each record, and the directory at the
end repeats them. torch.load can compute where each record is from the sizes alone, so the layout is torch's to the
byte, also beyond 4 GiB.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .._shared.arrays import buffer
from .._shared.crc import Summer
from .._shared.layout_note import RECORD
from .._shared.output import write_all

ALIGNMENT = 64
_FULL = 0xFFFFFFFF  # the value of a 32-bit field whose number is in the zip64 field
_UTF8, _SIZES_FOLLOW = 0x800, 0x8


class ZipWriter:
    """Writes records under ``folder/`` into ``file``, from its current position.

    >>> import io, zipfile
    >>> file = io.BytesIO()
    >>> with Summer() as summer:
    ...     writer = ZipWriter(file, "archive", summer)
    ...     writer.record("data/0", b"1234")
    ...     writer.close()
    >>> zipfile.ZipFile(file).read("archive/data/0")
    b'1234'
    """

    def __init__(self, file: Any, folder: str, summer: Summer) -> None:
        self._file, self._folder = file, folder
        self._at = 0
        self._summer = summer
        self._directory: list[bytes] = []
        self._names, self._sums = hashlib.sha256(), hashlib.sha256()

    def record(self, name: str, data: Any) -> None:
        """Write one record; ``data`` is bytes or a memoryview of bytes."""
        start, size, full_name = self._at, len(data), f"{self._folder}/{name}".encode()
        follows = _SIZES_FOLLOW if size else 0
        sizes = (size, size) if size >= _FULL else ()
        zip64 = _zip64((*sizes, *((start,) if start >= _FULL else ())))
        flags = (0, _UTF8 | follows, 0, 0, 0)
        # local header: signature, version, flags, method, time, date, CRC, sizes, lengths of the name and of the rest
        padding = -(start + 30 + len(full_name) + len(zip64) + 4) % ALIGNMENT
        extra = zip64 + b"FB" + struct.pack("<H", padding) + b"Z" * padding
        self._write(struct.pack("<4s5HIIIHH", b"PK\3\4", *flags, 0, 0, 0, len(full_name), len(extra)))
        self._write(full_name + extra)
        crc = self._write_summed(data)
        if follows:
            self._write(struct.pack("<4sIQQ" if zip64 else "<4sIII", b"PK\7\x08", crc, size, size))
        # and in the directory: lengths of the name, the extra field and a comment, disk, attributes
        rest = (min(size, _FULL), min(size, _FULL), len(full_name), len(zip64), 0, 0, 0, 0, min(start, _FULL))
        entry = struct.pack("<4sH5HIII5HII", b"PK\1\2", 0, *flags, crc, *rest)
        self._directory.append(entry + full_name + zip64)
        self._names.update(full_name)
        self._sums.update(struct.pack("<I", crc))

    def close(self) -> None:
        """Write the directory."""
        start, count = self._at, len(self._directory)
        for entry in self._directory:
            self._write(entry)
        size, end = self._at - start, self._at
        self._write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 0x031E, 45, 0, 0, count, count, size, start))
        self._write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
        shown = min(count, 0xFFFF)
        self._write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, shown, shown, min(size, _FULL), min(start, _FULL), 0))

    def identity(self) -> str:
        """40 digits that depend on the names and CRCs so far, as torch's serialization id does."""
        return "".join(f"{int.from_bytes(h.digest()[:8], 'little'):020d}" for h in (self._names, self._sums))

    def _write_summed(self, data: Any) -> int:
        """Write ``data``; returns the CRC, which is computed at the same time."""
        return self._summer.summing(memoryview(data), lambda piece, _: self._write(piece))()

    def _write(self, data: Any) -> None:
        self._at += len(data)
        write_all(self._file, data)


def _zip64(numbers: tuple[int, ...]) -> bytes:
    """The extra field with the numbers that do not fit into 32 bits; empty where all do."""
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""


def write_torch_zip(file: Any, folder: str, pickled: bytes, storages: Sequence[mx.array], layouts: bytes) -> None:
    """The records of torch.save in its order: the pickle, the marks of the format, and each storage's bytes.

    ``layouts`` is a record that torch does not write, and does not read.

    The bytes of one array are released before those of the next are asked for.
    """
    with Summer() as summer:
        writer = ZipWriter(file, folder, summer)
        writer.record("data.pkl", pickled)
        writer.record(".format_version", b"1")
        writer.record(".storage_alignment", str(ALIGNMENT).encode())
        writer.record("byteorder", sys.byteorder.encode())
        for key, array in enumerate(storages):
            writer.record(f"data/{key}", buffer(array))
        writer.record("version", b"3\n")
        writer.record(RECORD, layouts)
        writer.record(".data/serialization_id", writer.identity().encode())
        writer.close()
