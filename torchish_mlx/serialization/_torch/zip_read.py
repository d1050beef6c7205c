"""Reads torch's zip files: what they contain is checked strictly, and their bytes by the check sums.

Torch writes stored records only, each at a multiple of 64 bytes, below one folder: ``data.pkl``, ``data/0``,
``data/1``, ..., ``byteorder``, ``version``.

Source: PKWARE's APPNOTE (4.3: the records of a zip; 4.5.3: zip64); ``torch.serialization`` for the names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from .._shared.input import AGAIN, Input

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_NONE16, _NONE32 = 0xFFFF, 0xFFFFFFFF  # the number is in the zip64 record
_ENCRYPTED, _SIZES_FOLLOW = 1, 8  # flags
_NEWEST = 10  # the last version of the format that torch's reader takes


class Record(NamedTuple):
    """A file in the zip: where its local header begins, where the next thing begins, and what it holds."""

    name: bytes
    header: int
    limit: int
    size: int
    crc: int
    flags: int
    method: int


def has_zip_end(source: Input) -> bool:
    """Whether a zip ends where the file ends."""
    return _end(source) is not None


class Archive:
    """A zip file as torch writes it.

    Raises:
        RuntimeError: it is not complete, its parts contradict each other, or it is a zip of another kind.
    """

    def __init__(self, source: Input) -> None:
        self._source = source
        self._records = {record.name: record for record in _directory(source)}
        # torch.serialization.set_crc32_options(False) writes zeros for all check sums; "version" alone has another
        self.summed = any(record.crc for record in self._records.values())
        self.folder = self._folder()
        for record in self._records.values():
            if record.flags & _ENCRYPTED or record.method:
                kind = "encrypted" if record.flags & _ENCRYPTED else "compressed"
                raise RuntimeError(
                    f"the record {_shown(record.name)} of the zip file is {kind}, and torch only stores bytes as they "
                    "are: unpack the file and pack it again without that (zip -0 -r new.pt folder), or save it again."
                )
        version = self.text("version") or self.text(".data/version")
        if version is not None and not (version.strip().isdigit() and 1 <= int(version.strip()) <= _NEWEST):
            raise RuntimeError(
                f"the file has format version {version.strip()!r}, and 1 to {_NEWEST} are known here. Save it with an "
                "older torch, or save it again if it is damaged."
            )
        self.byteorder = self.text("byteorder") or "little"
        if self.byteorder not in ("little", "big"):
            raise RuntimeError(f"the byte order is {self.byteorder!r}, and not 'little' or 'big'. {AGAIN}")

    def _folder(self) -> bytes:
        """The folder that holds everything, with its slash; refuses what torch.save has not written."""
        names = list(self._records)
        tops = {name[: -len(b"data.pkl")] for name in names if name.endswith(b"/data.pkl") and name.count(b"/") == 1}
        for top in tops:
            if top + b"constants.pkl" in self._records or any(name.startswith(top + b"code/") for name in names):
                raise RuntimeError(
                    "this is a TorchScript archive, which holds code: in torch, "
                    "torch.save(torch.jit.load(path).state_dict(), new_path), and load that."
                )
        if len(tops) == 1:
            return tops.pop()
        shown = ", ".join(_shown(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
        if names and all(name.endswith(b".npy") for name in names):
            raise RuntimeError("this is NumPy's .npz, not a file of torch.save: load it with mlx.core.load(path).")
        many = "more than one folder with a" if tops else "no"
        raise RuntimeError(
            f"this zip file has {many} data.pkl, so torch.save did not write it (it holds {shown or 'nothing'}). Load "
            "a file that torch.save or torchish_mlx.save wrote."
        )

    def __contains__(self, name: str) -> bool:
        return self.folder + name.encode() in self._records

    def size(self, name: str) -> int:
        """The bytes of a record."""
        return self._records[self.folder + name.encode()].size

    def text(self, name: str) -> str | None:
        """A short record of ASCII, or None where there is none."""
        if name not in self:
            return None
        if self.size(name) > 100:
            raise RuntimeError(f"the record {name!r} has {self.size(name)} bytes, where a word is expected. {AGAIN}")
        return self.read(name).decode("ascii", "replace")

    def read(self, name: str) -> bytes:
        """The bytes of a record."""
        out = bytearray(self.size(name))
        self.fill(name, memoryview(out))()
        return bytes(out)

    def fill(self, name: str, memory: memoryview) -> Callable[[], None]:
        """Read a record into ``memory``, which has its size; the function that is returned compares the check sum."""
        record = self._records[self.folder + name.encode()]
        crc = self._source.filling(self._start(record), memory, self.summed)

        def check() -> None:
            if self.summed and crc() != record.crc:
                raise RuntimeError(
                    f"the check sum of record {_shown(record.name)} is wrong ({crc():08x}, written was "
                    f"{record.crc:08x}). {AGAIN}"
                )

        return check

    def _start(self, record: Record) -> int:
        """Where the bytes of a record begin, by its local header, which must say what the directory says."""
        shown = _shown(record.name)
        head = self._source.read(record.header, _LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
            raise RuntimeError(f"the record {shown} has no header where the directory says. {AGAIN}")
        _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(head)
        start: int = record.header + _LOCAL.size + name_length + extra_length
        later = (0,) if flags & _SIZES_FOLLOW else ()
        if (
            self._source.read(record.header + _LOCAL.size, name_length) != record.name
            or method != 0
            or flags != record.flags
            or crc not in (record.crc, *later)
            or packed not in (record.size, _NONE32, *later)
            or size not in (record.size, _NONE32, *later)
        ):
            raise RuntimeError(f"the header of record {shown} contradicts the directory. {AGAIN}")
        if start + record.size > record.limit:
            raise RuntimeError(f"the record {shown} reaches into what follows it. {AGAIN}")
        return start


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _end(source: Input) -> tuple[int, tuple[int, ...]] | None:
    """Where the end record begins, and its numbers."""
    tail_at = max(source.size - _END.size - 0xFFFF, 0)
    short_at = max(source.size - _END.size, 0)
    for begin in (short_at, tail_at):  # nearly always there is no comment
        tail = source.read(begin, source.size - begin)
        at = tail.rfind(b"PK\x05\x06")
        while at >= 0:
            if at + _END.size <= len(tail):
                numbers = _END.unpack_from(tail, at)[1:]
                if at + _END.size + numbers[-1] == len(tail):
                    return begin + at, numbers
            at = tail.rfind(b"PK\x05\x06", 0, at)
    return None


def _directory(source: Input) -> list[Record]:
    """The records that the directory at the end lists, in the order that they have in the file."""
    found = _end(source)
    if found is None:
        raise RuntimeError(f"failed finding central directory: the zip file has no end. {AGAIN}")
    at, (disk, first_disk, here, count, size, offset, _) = found
    wide = source.read(at - _LOCATOR64.size, _LOCATOR64.size) if at >= _LOCATOR64.size + _END64.size else b""
    if wide[:4] == b"PK\x06\x07":
        at -= _LOCATOR64.size + _END64.size
        sign, length, _, _, *numbers = _END64.unpack(source.read(at, _END64.size))
        narrow = ((disk, _NONE16), (first_disk, _NONE16), (here, _NONE16), (count, _NONE16), (size, _NONE32))
        if (
            sign != b"PK\x06\x06"
            or length != _END64.size - 12
            or any(a not in (b, none) for (a, none), b in zip((*narrow, (offset, _NONE32)), numbers, strict=True))
        ):
            raise RuntimeError(f"the two end records of the zip file contradict each other. {AGAIN}")
        disk, first_disk, here, count, size, offset = numbers
    if disk or first_disk or here != count:
        raise RuntimeError(
            "this zip file is one part of several: put them together (zip -s 0 parts.zip --out one.zip)."
        )
    before = at - size - offset  # the bytes in front of the zip
    if before < 0:
        raise RuntimeError(f"the directory of the zip file does not fit into the file. {AGAIN}")
    records = _parsed(source.read(at - size, size), count, before)
    headers = [record.header for record in records[1:]] + [at - size]
    return [record._replace(limit=limit) for record, limit in zip(records, headers, strict=True)]


def _parsed(data: bytes, count: int, before: int) -> list[Record]:
    """The records of a directory, sorted by position."""
    out: dict[bytes, Record] = {}
    at = 0
    while at < len(data):
        if len(data) - at < _CENTRAL.size or data[at : at + 4] != b"PK\x01\x02":
            raise RuntimeError(f"the directory of the zip file is not readable. {AGAIN}")
        fields = _CENTRAL.unpack_from(data, at)
        _, _, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length, *_, header = fields
        at += _CENTRAL.size
        name = data[at : at + name_length]
        extra = data[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment_length
        if at > len(data) or name in out:
            what = "is not readable" if at > len(data) else f"has {_shown(name)} twice"
            raise RuntimeError(f"the directory of the zip file {what}. {AGAIN}")
        size, packed, header = _widened(extra, size, packed, header)
        if packed != size and not method:
            raise RuntimeError(f"the directory gives record {_shown(name)} two sizes, {size} and {packed}. {AGAIN}")
        out[name] = Record(name, before + header, 0, size, crc, flags, method)
    if len(out) != count:
        raise RuntimeError(f"the directory of the zip file has {len(out)} records and says {count}. {AGAIN}")
    return sorted(out.values(), key=lambda record: record.header)


def _widened(extra: bytes, *numbers: int) -> list[int]:
    """``numbers``, in which those that are in the zip64 field are filled in."""
    out = list(numbers)
    at = 0
    while _NONE32 in out and at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            missing = [i for i, n in enumerate(out) if n == _NONE32]
            if length < 8 * len(missing) or at + 4 + 8 * len(missing) > len(extra):
                break
            for i, value in zip(missing, struct.unpack_from(f"<{len(missing)}Q", extra, at + 4), strict=True):
                out[i] = value
            break
        at += 4 + length
    return out
