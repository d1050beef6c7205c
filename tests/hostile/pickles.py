"""What an attacker makes of a pickle: opcodes exchanged, and programs composed of all that the reader knows."""

from __future__ import annotations

import io
import pickletools
import struct
from random import Random

from tests.hostile.bits import damaged
from tests.hostile.seeds import Files, Mutation
from tests.hostile.zips import entries_of, pickle_of, with_pickle, zipped


def opcodes(data: bytes) -> list[bytes]:
    """The bytes of each opcode."""
    at = [position or 0 for _, _, position in pickletools.genops(data)]
    return [data[a:b] for a, b in zip(at, [*at[1:], len(data)], strict=True)]


def named(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


GLOBALS = [
    named(name)
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
        start, end = legacy_object(data)
        return Mutation({"f": data[:start] + _pickle(r, data[start:end]) + data[end:]}, False)
    return Mutation({"f": with_pickle(data, _pickle(r, pickle_of(data)))}, False)


def legacy_object(data: bytes) -> tuple[int, int]:
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
        return Mutation({"f": damaged(r, data)}, False)
    entries = entries_of(data)
    i = 0 if r.random() < 0.8 else r.randrange(len(entries))
    entries[i] = entries[i]._replace(data=damaged(r, entries[i].data or b"0"))
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
    return named(name) + group(*values) + b"R"


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
    part = group(*map(or_any, (text("storage"), named(kind), key, text("cpu"), whole(numel)))) + b"Q"
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
        "torch._utils _rebuild_tensor_v3": [*where, *more, or_any(named("torch float32"))],
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
        kind = named(r.choice(("torch Tensor", "torch.nn.parameter Parameter")))
        return called(
            "torch._tensor _rebuild_from_type_v2",
            or_any(named(name)),
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
    start, end = legacy_object(data)
    keys = r.choice(
        (data[end:], b"\x80\x02](" + b"".join(_any(r, 2) for _ in range(r.randrange(4))) + b"e." + data[end + 20 :])
    )
    return Mutation({"f": data[:start] + pickled + keys}, False)
