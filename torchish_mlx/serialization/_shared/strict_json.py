"""JSON from a file that may be hostile: no duplicate keys, no endless nesting, no more values than can be held."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from ..._core.messages import shortened
from .input import AGAIN

MAX_BYTES = 32_000_000  # of one text; the largest models have headers and indexes of a tenth of it
MAX_VALUES = 2_000_000  # in one text: what a header of 200,000 tensors has


def parsed(raw: bytes, what: str) -> Any:
    """The value of UTF-8 JSON text. ``what`` is its name in messages.

    Raises:
        RuntimeError: it is no JSON, or has a key twice in one object, NaN or Infinity, too many values or levels.

    >>> parsed(b'{"a": [1, 2.0]}', "the text")
    {'a': [1, 2.0]}
    """
    if len(raw) > MAX_BYTES:
        raise RuntimeError(f"{what} has {len(raw):,} bytes, and at most {MAX_BYTES:,} are read")
    if 1 + sum(raw.count(sign) for sign in (b"[", b"{", b",")) > MAX_VALUES:
        raise RuntimeError(f"{what} has more than {MAX_VALUES:,} values")
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise RuntimeError(f"{what} is nested too deeply") from None
    except ValueError as error:  # also UnicodeDecodeError, and numbers of thousands of digits
        raise RuntimeError(f"{what} is no valid JSON: {error}. {AGAIN}") from None


def check_readable(raw: bytes, what: str) -> None:
    """Refuse to write text that ``parsed`` would refuse."""
    try:
        parsed(raw, what)
    except RuntimeError as error:
        raise ValueError(
            f"{error}: a file with it could not be loaded. Save long texts and bytes as tensors of uint8, fewer "
            "tensors, or in torch's format"
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {shortened(twice)} occurs twice in one object")
    return out


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
