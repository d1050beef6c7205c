"""The header of a safetensors file: names, dtypes, shapes and places of its tensors, and text that is kept with them.

A file is 8 bytes with the header's length (little-endian), the header as JSON, and the bytes of the tensors without
gaps. Source: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import mlx.core as mx

from ..._core.messages import shortened
from .._shared.arrays import LARGEST, OF_DTYPE, OF_SAFETENSORS
from .._shared.input import AGAIN
from .._shared.seal import NOTE, SEAL, UNSEALED, check_seal, sealed
from .._shared.strict_json import MAX_BYTES, check_readable, parsed

METADATA = "__metadata__"
_PREFIX = f'{{"{METADATA}":{{"{SEAL}":"'.encode()
_ALIGNMENT = 8
_MAX_DIMENSIONS = 64


class StoredTensor(NamedTuple):
    """A tensor of a file: its bytes are ``data[start:end]``."""

    dtype: mx.Dtype
    shape: tuple[int, ...]
    start: int
    end: int


def placed(arrays: Iterable[tuple[str, mx.Dtype, tuple[int, ...]]]) -> dict[str, StoredTensor]:
    """Entries in the order given, with their places: the widest dtype first, so that every tensor is aligned."""
    wanted = list(arrays)
    places, at = {}, 0
    for name, dtype, shape in sorted(wanted, key=lambda w: -w[1].size):
        end = at + math.prod(shape) * dtype.size
        places[name] = (at, end)
        at = end
    return {name: StoredTensor(dtype, shape, *places[name]) for name, dtype, shape in wanted}


def written(entries: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> bytes:
    """The first bytes of a file, up to the data: the length and the header, with its own checksum."""
    header: dict[str, Any] = {METADATA: {SEAL: UNSEALED, **metadata}}
    for name, (dtype, shape, start, end) in entries.items():
        kind = OF_DTYPE[dtype].safetensors
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
    raw = json.dumps(header, separators=(",", ":")).encode("ascii")
    raw = sealed(raw + b" " * (-len(raw) % _ALIGNMENT), _PREFIX)
    check_readable(raw, "the header")
    return len(raw).to_bytes(8, "little") + raw


def header_length(start: bytes, size: int, what: str) -> int:
    """The header's length from the first 8 bytes of a file of ``size`` bytes."""
    length = int.from_bytes(start, "little")
    if len(start) < 8:
        raise RuntimeError(
            f"{what}: no safetensors file: it has {size} bytes, and the length of its header needs 8. {AGAIN}"
        )
    if length > size - 8:
        raise RuntimeError(
            f"{what}: no safetensors file, or a truncated one: its header should have {length:,} bytes, and "
            f"{size - 8:,} follow. {AGAIN}"
        )
    if length > MAX_BYTES:
        raise RuntimeError(f"{what}: its header has {length:,} bytes, and at most {MAX_BYTES:,} are read")
    return length


def read(raw: bytes, data_size: int, what: str) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The entries and the metadata of a header, all of it checked; ``data_size`` bytes follow it in the file.

    Raises:
        RuntimeError: naming the tensor, where something is not as the format says or MLX cannot hold it.
    """
    if not raw.startswith(b"{"):
        raise RuntimeError(f"{what}: no safetensors file: its header does not begin with '{{'. {AGAIN}")
    header = parsed(raw, f"{what}: the header")
    metadata = header.pop(METADATA, None)
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or any(not isinstance(value, str) for value in metadata.values()):
        raise RuntimeError(f"{what}: {METADATA!r} should hold texts only: save the rest as JSON")
    if any(key.startswith(NOTE) for key in metadata):
        check_seal(raw, _PREFIX, what)
    entries = {name: _entry(value, data_size, f"{what}: tensor {shortened(name)}") for name, value in header.items()}
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start != at:
            how = "overlaps with another" if entry.start < at else "leaves a gap before it"
            raise RuntimeError(
                f"{what}: tensor {shortened(name)} begins at byte {entry.start:,} of the data and {how}. {AGAIN}"
            )
        at = entry.end
    if at != data_size:
        raise RuntimeError(f"{what}: the tensors have {at:,} bytes, and the file holds {data_size:,}. {AGAIN}")
    return entries, metadata


def _entry(value: Any, data_size: int, what: str) -> StoredTensor:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise RuntimeError(f"{what} should have 'dtype', 'shape' and 'data_offsets', and nothing else. {AGAIN}")
    name, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(name, str) or name not in OF_SAFETENSORS:
        raise RuntimeError(
            f"{what} has the dtype {shortened(name)}, which MLX has not; it has "
            f"{', '.join(OF_SAFETENSORS)}. Convert it where it was made, for instance to BF16"
        )
    if not _counts(shape) or len(shape) > _MAX_DIMENSIONS or any(n > LARGEST for n in shape):
        raise RuntimeError(
            f"{what} should have a shape of at most {_MAX_DIMENSIONS} integers from 0 to {LARGEST}, not {_shown(shape)}"
        )
    if not _counts(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= data_size:
        raise RuntimeError(
            f"{what} should have two offsets in the {data_size:,} bytes of data, not {_shown(offsets)}. {AGAIN}"
        )
    dtype = OF_SAFETENSORS[name].dtype
    here, needed = offsets[1] - offsets[0], math.prod(shape) * dtype.size
    if here != needed:
        raise RuntimeError(
            f"{what} has {here:,} bytes, and {name} of shape {_shown(shape)} needs {shortened(needed)}. {AGAIN}"
        )
    return StoredTensor(dtype, tuple(shape), *offsets)


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _shown(value: Any) -> str:
    if not isinstance(value, list):
        return shortened(value)
    more = ", ..." if len(value) > 8 else ""
    return f"[{', '.join(map(shortened, value[:8]))}{more}]"
