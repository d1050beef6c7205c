"""Text that holds its own checksum: a CRC32 at a fixed place near the start."""

from __future__ import annotations

import zlib

from .input import AGAIN

SEAL = "torchish_mlx.crc32"  # the key of the checksum over the text
NOTE = "torchish_mlx"  # the key of what this package writes in addition to the tensors
UNSEALED = "00000000"


def hexadecimal(value: int) -> str:
    """A CRC32 as eight digits.

    >>> hexadecimal(zlib.crc32(b"hello"))
    '3610a686'
    """
    return f"{value:08x}"


def sealed(raw: bytes, prefix: bytes) -> bytes:
    """``raw``, which is ``prefix`` and then eight zeros, with its checksum in place of the zeros."""
    end = len(prefix) + len(UNSEALED)
    assert raw[:end] == prefix + UNSEALED.encode(), "the text does not begin as its format says"
    return prefix + hexadecimal(zlib.crc32(raw)).encode() + raw[end:]


def check_seal(raw: bytes, prefix: bytes, what: str) -> None:
    """Refuse text whose checksum does not fit."""
    end = len(prefix) + len(UNSEALED)
    blank = prefix + UNSEALED.encode() + raw[end:]
    if not raw.startswith(prefix) or raw[len(prefix) : end] != hexadecimal(zlib.crc32(blank)).encode():
        raise RuntimeError(
            f"{what}: the checksum does not fit. {AGAIN} (Or another program wrote it "
            f"again and kept what torchish_mlx had noted: drop {NOTE!r} and {SEAL!r} from its metadata.)"
        )
