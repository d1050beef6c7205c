"""Hostile files by name, among them all that broke something: each with what is said, or "" if it loads."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from tests.hostile.headers import with_header
from tests.hostile.pickles import called, group, legacy_object, named, text, whole
from tests.hostile.seeds import DATA, Files
from tests.hostile.zips import Entry as Zipped
from tests.hostile.zips import with_pickle, zipped


def torch_file(body: bytes, data: bytes = bytes(24)) -> Files:
    """A zip with this pickle and one record, ``data/0``, of 6 floats."""
    return {
        "f": zipped(
            [Zipped(b"a/data.pkl", b"\x80\x02" + body + b"."), Zipped(b"a/data/0", data), Zipped(b"a/version", b"3\n")]
        )
    }


def part(kind: str = "torch FloatStorage", key: bytes = text("0"), numel: int = 6) -> bytes:
    return group(text("storage"), named(kind), key, text("cpu"), whole(numel)) + b"Q"


def tensor(
    storage: bytes | None = None,
    grad: bytes = b"\x89",
    hooks: bytes = b"}",
    *more: bytes,
    shape: tuple[int, ...] = (6,),
) -> bytes:
    sizes, strides = group(*map(whole, shape)), group(*(whole(1) for _ in shape))
    return called("torch._utils _rebuild_tensor_v2", storage or part(), whole(0), sizes, strides, grad, hooks, *more)


def legacy(body: bytes | None = None, keys: bytes | None = None, version: bytes | None = None) -> Files:
    data = (DATA / "torch_legacy_small.pt").read_bytes()
    start, end = legacy_object(data)
    if version is not None:
        return {"f": data[:15] + version + data[start:]}
    after = data.index(b".", end) + 1
    return {
        "f": data[:start]
        + (data[start:end] if body is None else body)
        + (data[end:after] if keys is None else keys)
        + data[after:]
    }


def safetensors(header: Any, data: bytes = b"") -> Files:
    raw = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return {"f": len(raw).to_bytes(8, "little") + raw + data}


def noted(tree: Any) -> Files:
    """A safetensors file of this object, with its checksum."""
    note = json.dumps({"version": 1, "crc32": {}, "object": tree})
    header = {"__metadata__": {"torchish_mlx.crc32": "00000000", "torchish_mlx": note}}
    return {"f": with_header(safetensors({})["f"], json.dumps(header, separators=(",", ":")).encode())}


def _laughs(times: int) -> bytes:
    """Lists that double each other."""
    return b"]q\x000" + b"](h\x00h\x00eq\x000" * times + b"h\x00"


_DOUBLED = [{"!shared": 0, "is": []}, *({"!shared": i + 1, "is": [{"!shared": i}, {"!shared": i}]} for i in range(60))]
_HUGE = whole(1 << 8_000_000)
_TWOS = [b"".join(b"J" + struct.pack("<i", -1 - (i >> b & 1)) for b in range(12)) for i in range(4096)]

CORPUS: dict[str, tuple[Callable[[], Files], str]] = {
    # pickles that broke something
    "a tensor for requires_grad": (lambda: torch_file(tensor(None, tensor())), "requires a gradient"),
    "a tensor for hooks": (lambda: torch_file(tensor(None, b"\x89", tensor())), "hooks"),
    "a tensor for the conj flag": (
        lambda: torch_file(tensor(None, b"\x89", b"}", b"}" + text("conj") + tensor() + b"s")),
        "torch does not",
    ),
    "booleans negated": (
        lambda: torch_file(tensor(part("torch BoolStorage"), b"\x89", b"}", b"}" + text("neg") + b"\x88s"), bytes(6)),
        "torch does not",
    ),
    "a layout that is a deep list": (
        lambda: torch_file(called("torch.serialization _get_layout", b"]" * 100_000 + b"a" * 99_999)),
        "layout",
    ),
    "a layout that is endless when printed": (
        lambda: torch_file(_laughs(60) + b"\x85q\x00" + b"0" + named("torch.serialization _get_layout") + b"h\x00R"),
        "layout",
    ),
    "a key of 80,000 bits in a message": (
        lambda: torch_file(b"}" + whole(1 << 80_000) + b"cos\nsystem\ns"),
        "80001 bits is a key",
    ),
    "a key of 8 million bits, hashed a thousand times": (
        lambda: torch_file(b"}(" + _HUGE + b"q\x00N" + b"h\x00N" * 1000 + b"u"),
        "bits is a key",
    ),
    "a storage key that is no UTF-8": (lambda: torch_file(tensor(part(key=text("\ud800")))), "storage"),
    "a storage key of 80,000 bits": (lambda: torch_file(tensor(part(key=whole(1 << 80_000)))), "storage"),
    "a storage of 2**60 bytes that is not there": (
        lambda: torch_file(tensor(part(key=text("9"), numel=2**58), shape=(2**20,) * 2)),
        "no record 'data/9'|does not hold|parts",
    ),
    "a storage of 4 GB that is not there": (
        lambda: torch_file(tensor(part(key=text("9"), numel=2**30), shape=(2**30,))),
        "no record 'data/9'",
    ),
    "tuples of the same hash": (
        lambda: torch_file(b"}(" + b"".join(b"(" + b"K\x01" * 50 + t + b"tN" for t in _TWOS) + b"u"),
        "16 parts",
    ),
    "many tuples of the same hash": (lambda: torch_file(b"}(" + b"".join(b"(" + t + b"tN" for t in _TWOS) + b"u"), ""),
    # (A million sets take 1.6 to 2.5 seconds of a processor whose speed varies by as much.)
    "half a million empty sets": (lambda: torch_file(b"](" + b"\x8f" * 500_000 + b"e"), ""),
    "a million empty dicts": (lambda: torch_file(b"](" + b"}" * 1_000_000 + b"e"), ""),
    "a million marks": (lambda: torch_file(b"(" * 1_000_000), "ends with"),
    "lists that double each other": (lambda: torch_file(_laughs(60)), "millions of entries"),
    "100,000 lists in each other": (lambda: torch_file(b"]" * 100_000 + b"a" * 99_999), "1000 deep"),
    "100,000 tuples in each other as a key": (lambda: torch_file(b"})" + b"\x85" * 100_000 + b"Ns"), "16 parts"),
    "doubled tuples as a key": (lambda: torch_file(b"})" + b"q\x00h\x00\x86" * 60 + b"Ns"), "16 parts"),
    # the format before the zip
    "legacy: storages 0 and '0'": (
        lambda: legacy(
            b"\x80\x02](" + tensor(part(numel=3), shape=(3,)) + tensor(part(key=b"K\x00", numel=3), shape=(3,)) + b"e."
        ),
        "others",
    ),
    "legacy: a key of 80,000 bits": (
        lambda: legacy(keys=b"\x80\x02](" + whole(1 << 80_000) + b"e."),
        "list of storages",
    ),
    "legacy: a version that is a deep list": (
        lambda: legacy(version=b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
        "protocol version: a list",
    ),
    "legacy: a version of 80,000 bits": (
        lambda: legacy(version=b"\x80\x02" + whole(1 << 80_000) + b"."),
        "protocol version",
    ),
    "a plain pickle of 2 MB": (lambda: {"f": b"\x80\x02](" + b"N" * 2_000_000 + b"e."}, "plain pickle"),
    # JSON
    "a key twice among 300,000": (
        lambda: safetensors(b"{" + b",".join(b'"%d":0' % i for i in range(300_000)) + b',"299999":0}'),
        "occurs twice",
    ),
    "JSON in each other 100,000 times": (
        lambda: safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "nested too deeply",
    ),
    "32 MB of text with one emoji": (
        lambda: safetensors(b'{"a":"' + "\U0001f600".encode() + b"a" * 31_000_000 + b'"}'),
        "should have",
    ),
    "33 MB of text": (lambda: safetensors(b'{"a":"' + b"a" * 33_000_000 + b'"}'), "at most 32,000,000"),
    "two million floats": (lambda: safetensors(b'{"a":[' + b"1e5," * 1_900_000 + b"1]}"), "should have"),
    "a million dicts": (lambda: safetensors(b'{"a":[' + b'{"":0},' * 900_000 + b"1]}"), "should have"),
    "a set of numbers of the same hash": (
        lambda: noted({"!set": [i * (2**61 - 1) for i in range(30_000)]}),
        "4096 keys",
    ),
    "a dict of numbers of the same hash": (
        lambda: noted({"!dict": [[i * (2**61 - 1), 0] for i in range(30_000)]}),
        "4096 keys",
    ),
    "a number of 2 million bits as key": (
        lambda: noted({"!dict": [[{"!int": "0x" + "f" * 500_000}, 0]] * 2}),
        "bits is a key",
    ),
    "lists that double each other in JSON": (lambda: noted(_DOUBLED), "millions of entries"),
    "a number of 5,000 digits": (lambda: safetensors(b'{"a":' + b"9" * 5000 + b"}"), "no valid JSON"),
    "NaN": (lambda: safetensors(b'{"a":NaN}'), "no number of JSON"),
    "a name that is no UTF-8": (
        lambda: safetensors({"\ud800": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}),
        "",
    ),
    "63 huge dimensions and one of zero": (
        lambda: safetensors({"a": {"dtype": "F32", "shape": [2**31 - 1] * 63 + [0], "data_offsets": [0, 0]}}),
        "",
    ),
    "a header of 2**63 bytes": (lambda: {"f": (2**63).to_bytes(8, "little") + b"{}"}, "truncated"),
    # indexes
    **{
        f"an index that names {name!r}"[:60]: (
            lambda name=name: {"m.safetensors.index.json": json.dumps({"weight_map": {"a": name}}).encode()},
            message,
        )
        for name, message in (
            ("../m.safetensors", "only the name"),
            ("/etc/passwd", "only the name"),
            ("..", "only the name"),
            ("a.bin", "no safetensors file"),
            ("pipe.safetensors", "pipe"),
            ("zero.safetensors", "device"),
            ("loop.safetensors", "next to it|loop|symbolic"),
            ("folder.safetensors", "directory"),
            ("none.safetensors", "next to it"),
            ("\ud800.safetensors", "next to it"),
            ("m.safetensors.index.json", "no safetensors file"),
            ("x" * 300 + ".safetensors", "too long|next to it"),
        )
    },
}


def index_without_its_seal() -> bytes:
    """What a deletion left of an index: valid JSON, and not the object that was saved."""
    return b'{"metadata": {"torchish_mlx.l_size": 64}, "weight_map": {}}'


CORPUS["an index whose notes were cut out"] = (
    lambda: {"m.safetensors.index.json": index_without_its_seal()},
    "checksum does not fit",
)
CORPUS["an index with three bits changed"] = (
    lambda: {"m.safetensors.index.json": b'{"metadeta": {"torchish_mlx.cRc32": "e779b0f1"}, "weight_map": {}}'},
    "checksum does not fit",
)
CORPUS["a pickle in a zip in front of a zip"] = (lambda: {"f": torch_file(b"N")["f"] + torch_file(b"K\x01")["f"]}, "")
CORPUS["a format version that ends in a control character"] = (
    lambda: {"f": zipped([Zipped(b"a/data.pkl", b"\x80\x02N."), Zipped(b"a/version", b"1\x1c")])},
    "",
)
CORPUS["a call of os.system"] = (
    lambda: {"f": with_pickle(torch_file(b"N")["f"], b"\x80\x02cos\nsystem\n" + text("touch ran") + b"\x85R.")},
    "nothing was run",
)
