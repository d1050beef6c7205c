"""What an attacker makes of a zip: records exchanged, doubled and nested, and a lie in every field."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from tests.hostile.bits import damaged, number
from tests.hostile.seeds import Files, Mutation


class Entry(NamedTuple):
    """A record and what is said of it: ``local`` and ``central`` replace fields of the two headers."""

    name: bytes
    data: bytes
    local: Mapping[str, int] = MappingProxyType({})
    central: Mapping[str, int] = MappingProxyType({})


_LOCAL = ["version", "flags", "method", "time", "date", "crc", "packed", "size", "name", "extra"]
_CENTRAL = [
    "made",
    "version",
    "flags",
    "method",
    "time",
    "date",
    "crc",
    "packed",
    "size",
    "name",
    "extra",
    "comment",
    "disk",
    "inner",
    "outer",
    "at",
]
_END = ["disk", "first", "here", "count", "size", "at", "comment"]


def zipped(entries: list[Entry], end: dict[str, int] | None = None, comment: bytes = b"", wide: bool = False) -> bytes:
    """A zip of stored records, with lies where they are given."""
    out, directory = bytearray(), bytearray()
    for entry in entries:
        size = len(entry.data)
        fields = dict.fromkeys(_CENTRAL, 0) | {"crc": zlib.crc32(entry.data), "packed": size, "size": size}
        fields |= {"name": len(entry.name), "at": len(out)}
        local = fields | dict(entry.local)
        out += struct.pack("<4s5H3I2H", b"PK\3\4", *(local[k] & (2**32 - 1 if k in _WIDE else 65535) for k in _LOCAL))
        out += entry.name + entry.data
        central = fields | dict(entry.central)
        numbers = (central[k] & (2**32 - 1 if k in _WIDE else 65535) for k in _CENTRAL)
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", *numbers) + entry.name
    facts = dict.fromkeys(_END, 0) | {"here": len(entries), "count": len(entries), "size": len(directory)}
    facts |= {"at": len(out), "comment": len(comment)}
    at = len(out) + len(directory)
    if wide:
        more = facts | (end or {})
        numbers = (more[k] & 2**64 - 1 for k in ("here", "count", "size", "at"))
        directory += struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, more["disk"], more["first"], *numbers)
        directory += struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
        end = None
    facts |= end or {}
    numbers = (facts[k] & (2**32 - 1 if k in ("size", "at") else 65535) for k in _END)
    return bytes(out + directory) + struct.pack("<4s4H2IH", b"PK\5\6", *numbers) + comment


_WIDE = {"crc", "packed", "size", "outer", "at"}


def entries_of(data: bytes) -> list[Entry]:
    """The records of a zip."""
    out = []
    for info in zipfile.ZipFile(io.BytesIO(data)).infolist():
        name, extra = struct.unpack_from("<2H", data, info.header_offset + 26)
        start = info.header_offset + 30 + name + extra
        out.append(Entry(info.filename.encode(), data[start : start + info.file_size]))
    return out


def pickle_of(data: bytes) -> bytes:
    return next(entry.data for entry in entries_of(data) if entry.name.endswith(b"/data.pkl"))


def with_pickle(data: bytes, pickled: bytes) -> bytes:
    """The zip with another pickle, whose checksum fits."""
    return zipped([e._replace(data=pickled) if e.name.endswith(b"/data.pkl") else e for e in entries_of(data)])


def spliced(r: Random, name: str, files: Files) -> Mutation:
    """Records that are swapped, renamed, doubled, nested, lied about; all checksums fit."""
    (data,) = files.values()
    entries = entries_of(data)
    end: dict[str, int] = {}
    comment = b""
    for _ in range(r.choice((1, 1, 2, 4))):
        i, j = r.randrange(len(entries)), r.randrange(len(entries))
        kind = r.randrange(11)
        if kind == 0:
            a, b = entries[i], entries[j]
            entries[i], entries[j] = a._replace(data=b.data), b._replace(data=a.data)
        elif kind == 1:
            entries[i] = entries[i]._replace(name=entries[j].name)
        elif kind == 2:
            entries.insert(i, entries[j])
        elif kind == 3 and len(entries) > 1:
            del entries[i]
        elif kind == 4:
            entries[i] = entries[i]._replace(
                data=r.choice((data, b"", bytes(40), r.randbytes(24), entries[i].data * 2))
            )
        elif kind == 5:
            where = r.choice(("local", "central"))
            field = r.choice(_LOCAL if where == "local" else _CENTRAL)
            lie = {field: int.from_bytes(number(r, 4), "little")}
            entries[i] = entries[i]._replace(**{where: dict(getattr(entries[i], where)) | lie})
        elif kind == 6:
            end[r.choice(_END)] = r.choice((0, 1, len(data), int.from_bytes(number(r, r.choice((2, 4))), "little")))
        elif kind == 7:
            comment = r.choice((b"x" * 100, data[-80:], zipped(entries[:1]), b"PK\5\6" * 2000, bytes(65535)))
        elif kind == 8:
            names = (
                b"../x",
                b"/etc/passwd",
                b"a/data.pkl",
                b"b/data.pkl",
                b"",
                b"\xff\xfe/data.pkl",
                b"a\0b",
                b"x" * 60000,
            )
            entries[i] = entries[i]._replace(name=r.choice(names))
        elif kind == 9:
            entries[i] = entries[i]._replace(data=damaged(r, entries[i].data or b"0"))
        else:
            r.shuffle(entries)
    out = zipped(entries, end, comment, wide=r.random() < 0.3)
    if r.random() < 0.1:
        out = r.choice((out + data, data + out, b"#!/bin/sh\n" + out))
    return Mutation({"f": out}, False)
