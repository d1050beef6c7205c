"""What an attacker makes of JSON: the header of a safetensors file, and the index of several, sealed again."""

from __future__ import annotations

import json
import zlib
from random import Random
from typing import Any

from tests.hostile.bits import damaged
from tests.hostile.seeds import Files, Mutation

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


def nodes(tree: Any) -> list[tuple[Any, Any]]:
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
        places = nodes(tree)
        if not places:
            break
        node, key = r.choice(places)
        other, place = r.choice(places)
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
        raw = damaged(r, data) if r.random() < 0.3 else json.dumps(_json(r, json.loads(data)), indent=2).encode()
        return Mutation({**files, chosen: _sealed(raw, True)}, False)
    raw, _ = _header(data)
    if r.random() < 0.3:
        return Mutation({**files, chosen: with_header(data, damaged(r, raw))}, False)
    header = json.loads(raw)
    note = header.get("__metadata__", {}).get("torchish_mlx")
    if note is not None and r.random() < 0.7:
        header["__metadata__"]["torchish_mlx"] = json.dumps(_json(r, json.loads(note)))
    else:
        header = _json(r, header)
    return Mutation({**files, chosen: with_header(data, json.dumps(header, separators=(",", ":")).encode())}, False)
