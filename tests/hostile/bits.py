"""What a bad disk makes of a file: bits, bytes and ranges changed, and ends cut off."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.hostile.seeds import SUMMED, Files, Mutation


def damaged(r: Random, data: bytes) -> bytes:
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
    return Mutation(_one(r, files, damaged), name in SUMMED)


def truncated(r: Random, name: str, files: Files) -> Mutation:
    return Mutation(_one(r, files, lambda r, data: data[: r.randrange(len(data))]), name in SUMMED)
