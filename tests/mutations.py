"""Seeds, and what an attacker or a bad disk makes of them; every mutation follows from a number.

A file is a dict of names and bytes: one entry, or an index with its shards. A mutation says what loading may give:
the seed's object bit for bit where checksums protect it, or anything well-formed.
"""

from __future__ import annotations

import io
import json
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn

import torchish_mlx as torch
from torchish_mlx import optim
from torchish_mlx.serialization import save, save_safetensors

DATA = Path(__file__).parent / "data"
Files = dict[str, bytes]


class Mutation(NamedTuple):
    """Files of which the first is loaded; ``equal``: what loads must be the seed's object."""

    files: Files
    equal: bool


# -- seeds


def trained() -> tuple[nn.Module, Any, Any]:
    """A model, an optimizer and a scheduler after a step."""
    mx.random.seed(0)
    model = nn.Linear(2, 2)
    optimizer = optim.AdamW(model, lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 3)
    torch.backward(model, lambda m, x: m(x).sum(), mx.ones((1, 2)))
    optimizer.step()
    scheduler.step()
    return model, optimizer, scheduler


def checkpoint() -> dict[str, Any]:
    """What a training script saves: states, views of one storage, plain values."""
    model, optimizer, scheduler = trained()
    base = torch.Tensor(mx.arange(12.0).reshape(3, 4))
    return {
        "model": torch.state_dict(model),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "views": [base, base.t(), base[1:, 0:2]],
        "half": torch.Tensor(mx.ones(3, dtype=mx.bfloat16)),
        "flags": torch.Tensor(mx.array([True, False])),
        "param": torch.Parameter(mx.arange(6.0)),
        "rest": (1, 2.5, None, "text", b"\x00\xff", 2**70, {1, 2}, OrderedDict(a=1), float("inf"), 1 + 2j),
    }


def _saved(write: Callable[[Any, Any], None], obj: Any) -> bytes:
    file = io.BytesIO()
    write(obj, file)
    return file.getvalue()


def _sharded() -> Files:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        save_safetensors({"a": {"x": mx.arange(8.0), "n": [1, None]}, "b": mx.ones((4, 2))}, path, max_shard_size=32)
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir(), key=lambda f: f.suffix)}


def _foreign() -> bytes:
    file = io.BytesIO()
    mx.save_safetensors(file, {"a": mx.arange(6.0).reshape(2, 3), "b": mx.array([1, 2], mx.int16)}, {"by": "me"})
    return file.getvalue()


def seeds() -> dict[str, Files]:
    """name -> files."""
    return {
        "pt": {"f": _saved(save, checkpoint())},
        "small": {"f": _saved(save, {"a": mx.array([1.0, 2.0]), "n": [1, "x"]})},
        "torch": {"f": (DATA / "torch_zip.pt").read_bytes()},
        "no crc": {"f": (DATA / "torch_without_crc.pt").read_bytes()},
        "legacy": {"f": (DATA / "torch_legacy.pt").read_bytes()},
        "legacy small": {"f": (DATA / "torch_legacy_small.pt").read_bytes()},
        "nested": {"f": _saved(save_safetensors, checkpoint())},
        "plain": {"f": _saved(save_safetensors, {"a": mx.arange(4.0), "b": mx.ones((2, 2))})},
        "foreign": {"f": _foreign()},
        "sharded": _sharded(),
    }


#: the seeds of which every byte that matters has a checksum
SUMMED = {"pt", "small", "torch", "nested", "plain", "sharded"}

# -- bytes


def _bytes(r: Random, data: bytes) -> bytes:
    """``data`` with some bits, bytes or ranges changed, at random or where a number may stand."""
    out = bytearray(data)
    kind = r.randrange(8)
    n = len(out)
    if kind <= 1:
        for _ in range(r.choice((1, 1, 1, 2, 4, 16))):
            out[r.randrange(n)] ^= 1 << r.randrange(8)
    elif kind == 2:
        for _ in range(r.choice((1, 2, 5))):
            out[r.randrange(n)] = r.choice((0, 255, 127, 128, 1, r.randrange(256)))
    elif kind == 3:
        width = r.choice((2, 4, 8))
        at = r.randrange(max(n - width, 1))
        out[at : at + width] = number(r, width)
    else:
        a, b = sorted((r.randrange(n + 1), r.randrange(n + 1)))
        b = min(b, a + r.choice((1, 4, 64, 1000)))
        at = r.randrange(n + 1)
        if kind == 4:
            del out[a:b]
        elif kind == 5:
            out[at:at] = out[a:b]
        elif kind == 6:
            out[at:at] = r.randbytes(r.randrange(1, 20))
        else:
            out[at : at + b - a] = out[a:b]
    return bytes(out)


def number(r: Random, width: int) -> bytes:
    """A number that a program may not expect."""
    top = 1 << (8 * width)
    value = r.choice((0, 1, top - 1, top // 2, top // 2 - 1, r.randrange(top), r.randrange(256), 2**31, 2**32 - 1))
    return (value % top).to_bytes(width, "little")


def _one(r: Random, files: Files, change: Callable[[Random, bytes], bytes]) -> Files:
    name = r.choice(list(files))
    return {**files, name: change(r, files[name])}


def flipped(r: Random, name: str, files: Files) -> Mutation:
    return Mutation(_one(r, files, _bytes), name in SUMMED)


def truncated(r: Random, name: str, files: Files) -> Mutation:
    return Mutation(_one(r, files, lambda r, data: data[: r.randrange(len(data))]), name in SUMMED)


# -- zips


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
            entries[i] = entries[i]._replace(data=_bytes(r, entries[i].data or b"0"))
        else:
            r.shuffle(entries)
    out = zipped(entries, end, comment, wide=r.random() < 0.3)
    if r.random() < 0.1:
        out = r.choice((out + data, data + out, b"#!/bin/sh\n" + out))
    return Mutation({"f": out}, False)


# -- pickles


def opcodes(data: bytes) -> list[bytes]:
    """The bytes of each opcode."""
    at = [position or 0 for _, _, position in pickletools.genops(data)]
    return [data[a:b] for a, b in zip(at, [*at[1:], len(data)], strict=True)]


def _global(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


GLOBALS = [
    _global(name)
    for name in [
        "os system",
        "builtins eval",
        "builtins getattr",
        "builtins __import__",
        "subprocess Popen",
        "copyreg _reconstructor",
        "torch load",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_tensor_v3",
        "torch FloatStorage",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_parameter_with_state",
        "torch Tensor",
        "torch Size",
        "torch._tensor _rebuild_from_type_v2",
        "torch.nn.parameter Parameter",
        "torch device",
        "torch float32",
        "torch LongStorage",
        "torch.storage UntypedStorage",
        "torch.serialization _get_layout",
        "collections OrderedDict",
        "collections Counter",
        "builtins set",
        "builtins bytearray",
        "builtins complex",
        "builtins bytes",
        "_codecs encode",
        "torch.jit load",
        "runpy run_path",
        "torch._utils _rebuild_qtensor",
        "torch.storage _load_from_bytes",
        "numpy.core.multiarray _reconstruct",
        "torch bool",
    ]
]
_SNIPPETS = [
    *(bytes([i]) for i in b"N)]}(0121tuesabRQ.\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x81\x92ldo"),
    b"h\x00",
    b"h\x01",
    b"h\x05",
    b"q\x00",
    b"q\x01",
    b"r\xff\xff\xff\xff",
    b"j\xff\xff\xff\x7f",
    b"K\x00",
    b"K\x01",
    b"K\xff",
    b"J\xff\xff\xff\xff",
    b"M\xff\xff",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"\x8a\x09" + b"\xff" * 8 + b"\x00",
    b"\x8a\x00",
    b"\x8a\xff" + b"\x7f" * 255,
    b"\x8b\x00\x10\x00\x00" + b"\x55" * 4096,
    b"\x8b\xff\xff\xff\xff",
    b"\x8b\xff\xff\xff\x7f",
    b"G\x7f\xf8" + bytes(6),
    b"G\x7f\xf0" + bytes(6),
    b"X\x00\x00\x00\x00",
    b"X\x03\x00\x00\x00\xed\xa0\x80",
    b"X\xff\xff\xff\xff",
    b"X\x01\x00\x00\x000",
    b"X\x03\x00\x00\x00cpu",
    b"X\x07\x00\x00\x00storage",
    b"X\x08\x00\x00\x00_storage",
    b"B\x02\x00\x00\x00ab",
    b"\x8d" + b"\xff" * 7 + b"\x7f",
    b"\x8e" + b"\xff" * 8,
    b"\x96" + bytes(8),
    b"\x95" + b"\xff" * 8,
    b"\x80\x05",
    b"\x80\xff",
    b"\x82\x01",
    b"\x83\x01\x00",
    b"\x84\x01\x00\x00\x00",
    b"\x97",
    b"\x98",
    b"U\x01\xff",
    b"\x8c\x02os\x8c\x06system\x93",
    b"(ios\nsystem\n",
    b"(cos\nsystem\nX\x02\x00\x00\x00lso",
    b"P1\n",
    b"I1\n",
    b"V1\n",
    b"]q\x00h\x00a",
    b"}q\x00X\x01\x00\x00\x00ah\x00s",
]


def _pickle(r: Random, data: bytes, codes: list[bytes] | None = None) -> bytes:
    """A pickle with opcodes deleted, doubled, swapped, replaced, their arguments changed."""
    codes = list(codes or opcodes(data))
    for _ in range(r.choice((1, 1, 1, 2, 3, 8))):
        i, j = r.randrange(len(codes)), r.randrange(len(codes))
        kind = r.randrange(8)
        if kind == 0 and len(codes) > 1:
            del codes[i]
        elif kind == 1:
            codes.insert(i, codes[j])
        elif kind == 2:
            codes[i], codes[j] = codes[j], codes[i]
        elif kind == 3:
            codes[i] = r.choice(_SNIPPETS)
        elif kind == 4:
            codes.insert(i, r.choice(_SNIPPETS))
        elif kind == 5:
            codes[i] = r.choice(GLOBALS)
        elif kind == 6 and len(codes[i]) > 1:
            changed = bytearray(codes[i])
            changed[r.randrange(1, len(changed))] = r.randrange(256)
            codes[i] = bytes(changed)
        else:
            codes[i:i] = codes[j : j + r.randrange(1, 30)]
    return b"".join(codes)


def repickled(r: Random, name: str, files: Files) -> Mutation:
    """A pickle that was changed opcode by opcode, and whose checksum fits."""
    (data,) = files.values()
    if name.startswith("legacy"):
        start, end = _legacy_object(data)
        return Mutation({"f": data[:start] + _pickle(r, data[start:end]) + data[end:]}, False)
    return Mutation({"f": with_pickle(data, _pickle(r, pickle_of(data)))}, False)


def _legacy_object(data: bytes) -> tuple[int, int]:
    """Where the pickle of the object begins and ends: the fourth, for three others stand before it."""
    file = io.BytesIO(data)
    ends = []
    for _ in range(4):
        for _ in pickletools.genops(file):
            pass
        ends.append(file.tell())
    return ends[2], ends[3]


def reflipped(r: Random, name: str, files: Files) -> Mutation:
    """A record whose bytes were changed, and whose checksum fits."""
    (data,) = files.values()
    if name.startswith("legacy"):
        return Mutation({"f": _bytes(r, data)}, False)
    entries = entries_of(data)
    i = 0 if r.random() < 0.8 else r.randrange(len(entries))
    entries[i] = entries[i]._replace(data=_bytes(r, entries[i].data or b"0"))
    return Mutation({"f": zipped(entries)}, False)


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def whole(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<I", len(raw)) + raw


def group(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def called(name: str, *values: bytes) -> bytes:
    return _global(name) + group(*values) + b"R"


def _any(r: Random, depth: int) -> bytes:
    """Opcodes that make one value, whatever it is."""
    kind = r.randrange(16 if depth else 6)
    if kind <= 2:
        return r.choice(
            (
                b"N",
                b"\x88",
                b"\x89",
                b")",
                b"]",
                b"}",
                b"\x8f",
                b"K\x01",
                text(""),
                text("0"),
                text("a\ud800"),
                text("_storage"),
            )
        )
    if kind <= 4:
        return r.choice(
            (
                b"K\x00",
                whole(-1),
                whole(2**31),
                whole(2**63),
                whole(2**64 - 1),
                whole(1 << 20000),
                b"G\x7f\xf8" + bytes(6),
                b"h\x05",
            )
        )
    if kind == 5:
        return r.choice(GLOBALS)
    some = [_any(r, depth - 1) for _ in range(r.randrange(4))]
    if kind <= 7:
        return r.choice(
            (
                b"](" + b"".join(some) + b"e",
                group(*some),
                b"\x8f(" + b"".join(some) + b"\x90",
                b"(" + b"".join(some) + b"l",
            )
        )
    if kind == 8:
        return b"}(" + b"".join(_any(r, 0) + one for one in some) + b"u"
    if kind == 9:
        return _any(r, depth - 1) + _any(r, depth - 1) + b"b"
    if kind == 10:
        return b"h" + bytes([r.randrange(8)])
    if kind == 11:
        return _any(r, depth - 1) + b"q" + bytes([r.randrange(8)])
    if kind == 12:
        return r.choice(GLOBALS) + group(*some) + r.choice((b"R", b"\x81"))
    return _plausible(r, depth - 1)


def _plausible(r: Random, depth: int) -> bytes:
    """What torch.save writes, with now and then another value in it."""

    def or_any(usual: bytes) -> bytes:
        return _any(r, depth) if depth > 0 and r.random() < 0.12 else usual

    kind = f"torch {r.choice(('Float', 'Float', 'Long', 'Bool', 'ComplexFloat', 'BFloat16', 'ComplexDouble'))}Storage"
    key = r.choice((text("0"), text("0"), text("1"), b"K\x00", text("../0"), text("9")))
    numel = r.choice((0, 1, 2, 2, 3, 4, 12, 2**40, 2**62))
    part = group(*map(or_any, (text("storage"), _global(kind), key, text("cpu"), whole(numel)))) + b"Q"
    shape = r.choice(((), (2,), (2,), (1, 2), (0, 3), (2, 2), (4,), (2**31, 0), (2**16, 2**16), (2,) * 63))
    strides = tuple(r.choice((0, 1, 1, 2, 2**62)) for _ in shape) if r.random() < 0.4 else tuple(1 for _ in shape)
    flags = b"}" + text(r.choice(("neg", "conj"))) + or_any(b"\x88") + b"s"
    where = [
        or_any(part),
        or_any(whole(r.choice((0, 0, 0, 1, 2**62)))),
        or_any(group(*map(whole, shape))),
        or_any(group(*map(whole, strides))),
    ]
    more = [or_any(b"\x89"), or_any(called("collections OrderedDict"))]
    kinds = {
        "torch._utils _rebuild_tensor": where,
        "torch._utils _rebuild_tensor_v2": [*where, *more, *([or_any(flags)] if r.random() < 0.2 else [])],
        "torch._utils _rebuild_tensor_v3": [*where, *more, or_any(_global("torch float32"))],
    }
    name = r.choice(list(kinds))
    made = called(name, *kinds[name])
    chosen = r.randrange(8)
    if chosen == 0:
        return called("torch._utils _rebuild_parameter", or_any(made), *more)
    if chosen == 1:
        state = b"}" + or_any(text("x")) + or_any(b"N") + b"s"
        return called("torch._utils _rebuild_parameter_with_state", or_any(made), *more, or_any(state))
    if chosen == 2:
        kind = _global(r.choice(("torch Tensor", "torch.nn.parameter Parameter")))
        return called(
            "torch._tensor _rebuild_from_type_v2",
            or_any(_global(name)),
            or_any(kind),
            or_any(group(*kinds[name])),
            or_any(b"}"),
        )
    if chosen == 3:
        return called("torch device", or_any(text("cpu")), or_any(b"K\x00")) + made + b"\x86"
    return made


def composed(r: Random, name: str, files: Files) -> Mutation:
    """A pickle of a few values of any kind, put together as torch.save might, and not."""
    (data,) = files.values()
    pickled = b"\x80\x02](" + b"".join(r.choice((_any, _plausible))(r, 4) for _ in range(r.randrange(1, 6))) + b"e."
    if not name.startswith("legacy"):
        return Mutation({"f": with_pickle(data, pickled)}, False)
    start, end = _legacy_object(data)
    keys = r.choice(
        (data[end:], b"\x80\x02](" + b"".join(_any(r, 2) for _ in range(r.randrange(4))) + b"e." + data[end + 20 :])
    )
    return Mutation({"f": data[:start] + pickled + keys}, False)


# -- JSON


_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63,
    2**64,
    10**400,
    0.5,
    -0.0,
    1e308,
    "",
    "x",
    "F32",
    "I64",
    "\ud800",
    "é\0",
    "../x",
    "/etc/passwd",
    "nan",
    "!tensor",
    [],
    {},
    [[]],
    [0, 16],
    [-1],
    [2**63, 2**63],
    [1] * 65,
    {"!tensor": "a"},
    {"!tuple": []},
    {"!shared": 0},
    {"!shared": 0, "is": []},
    {"!set": [[1]]},
    {"!set": [1, 1]},
    {"!bytes": "A"},
    {"!bytes": "é"},
    {"!float": "x"},
    {"!int": "0x"},
    {"!int": "0x" + "f" * 5000},
    {"!dict": [[1]]},
    {"!dict": [[{"!tuple": [[]]}, 1]]},
    {"!dtype": "x"},
    {"!device": "cuda"},
    {"!Size": [-1]},
    {"!complex": [1, 2]},
    {"!OrderedDict": 1},
    {"!Counter": [["a", {}]]},
    {"!parameter": "a"},
    {"!tensor": "a", "requires_grad": True},
    {"!tensor": ["a"]},
    {"!tensor": "model.weight", "face": 2**70},
    {"!!": 1},
]


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every place in a tree."""
    out, stack = [], [tree]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            out.append((node, key))
            if isinstance(node[key], (dict, list)):
                stack.append(node[key])
    return out


def _json(r: Random, tree: Any) -> Any:
    """A tree with entries deleted, moved, renamed, replaced."""
    tree = json.loads(json.dumps(tree))
    for _ in range(r.choice((1, 1, 2, 4))):
        nodes = _nodes(tree)
        if not nodes:
            break
        node, key = r.choice(nodes)
        other, place = r.choice(nodes)
        kind = r.randrange(5)
        if kind <= 1:
            node[key] = json.loads(json.dumps(r.choice(_VALUES)))
        elif kind == 2:
            node[key] = json.loads(json.dumps(other[place]))
        elif kind == 3 and isinstance(node, dict):
            node[r.choice(("a", "", "!tuple", "!shared", "is", "x" * 300, "\ud800", str(place)))] = node.pop(key)
        else:
            del node[key]
    return tree


def _sealed(raw: bytes, spaces: bool) -> bytes:
    """The text with its checksum, where it has a place for one."""
    sign = b'"torchish_mlx.crc32":' + (b' "' if spaces else b'"')
    at = raw.find(sign) + len(sign)
    if at < len(sign) or (not spaces and at > 60):
        return raw
    blank = raw[:at] + b"00000000" + raw[at + 8 :]
    return raw[:at] + f"{zlib.crc32(blank):08x}".encode() + raw[at + 8 :]


def _header(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:8], "little")
    return data[8 : 8 + length], data[8 + length :]


def with_header(data: bytes, raw: bytes) -> bytes:
    """The safetensors file with another header, whose checksum fits."""
    return len(raw).to_bytes(8, "little") + _sealed(raw, False) + _header(data)[1]


def resealed(r: Random, name: str, files: Files) -> Mutation:
    """JSON that was changed as a tree or as text, and whose checksums fit."""
    chosen = r.choice(list(files))
    data = files[chosen]
    if chosen.endswith(".json"):
        raw = _bytes(r, data) if r.random() < 0.3 else json.dumps(_json(r, json.loads(data)), indent=2).encode()
        return Mutation({**files, chosen: _sealed(raw, True)}, False)
    raw, _ = _header(data)
    if r.random() < 0.3:
        return Mutation({**files, chosen: with_header(data, _bytes(r, raw))}, False)
    header = json.loads(raw)
    note = header.get("__metadata__", {}).get("torchish_mlx")
    if note is not None and r.random() < 0.7:
        header["__metadata__"]["torchish_mlx"] = json.dumps(_json(r, json.loads(note)))
    else:
        header = _json(r, header)
    return Mutation({**files, chosen: with_header(data, json.dumps(header, separators=(",", ":")).encode())}, False)


# -- the plan: (mutator, seeds); a mutation is the n-th of a line of it

PLAN: dict[str, tuple[Callable[[Random, str, Files], Mutation], tuple[str, ...]]] = {
    "flipped torch files": (flipped, ("pt", "small", "torch", "no crc")),
    "flipped legacy files": (flipped, ("legacy", "legacy small")),
    "flipped safetensors": (flipped, ("nested", "plain", "foreign", "sharded")),
    "truncated": (truncated, ("pt", "torch", "no crc", "legacy", "nested", "foreign", "sharded")),
    "spliced": (spliced, ("pt", "small", "torch", "no crc")),
    "repickled": (repickled, ("pt", "torch", "small")),
    "repickled legacy": (repickled, ("legacy", "legacy small")),
    "reflipped": (reflipped, ("pt", "small", "torch", "legacy")),
    "composed": (composed, ("torch", "small", "legacy")),
    "resealed": (resealed, ("nested", "plain", "foreign")),
    "resealed shards": (resealed, ("sharded",)),
}


def mutation(line: str, of: dict[str, Files], seed: int) -> tuple[str, Mutation]:
    """The name of the seed and the mutation."""
    change, names = PLAN[line]
    r = Random(f"{line} {seed}")
    name = r.choice(names)
    return name, change(r, name, of[name])
