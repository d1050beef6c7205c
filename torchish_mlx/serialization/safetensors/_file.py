"""Writes and reads one safetensors file: a tensor at a time, each with a checksum in the metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO

import mlx.core as mx

from ..._core.messages import shortened
from ..._core.origin import Origin
from .._shared.arrays import buffer, filled
from .._shared.crc import Summer
from .._shared.input import AGAIN, Input
from .._shared.layout_note import note_of, origins
from .._shared.output import write_all
from .._shared.seal import NOTE, SEAL, hexadecimal
from .._shared.strict_json import parsed
from .._shared.where import entry
from . import _header as header
from ._tree_write import Named

VERSION = 1


class Written:
    """A file to be written: the tensors, and the header with their checksums, which comes before them.

    Args:
        noted: what is noted in the metadata in addition to the version and the checksums.
    """

    def __init__(self, tensors: Mapping[str, Named], metadata: Mapping[str, str], noted: Mapping[str, Any]) -> None:
        arrays = {name: named.array for name, named in tensors.items()}
        self._tensors = tensors
        self._entries = header.placed((name, array.dtype, tuple(array.shape)) for name, array in arrays.items())
        layouts = note_of({name: named.holder for name, named in tensors.items()})
        note = {"version": VERSION, "crc32": _checksums(tensors), **layouts, **noted}
        self.start = header.written(self._entries, {NOTE: json.dumps(note), **metadata})

    def to(self, file: BinaryIO) -> None:
        """Write to ``file``, from its current position."""
        write_all(file, self.start)
        for name, _ in sorted(self._entries.items(), key=lambda item: item[1].start):
            write_all(file, _bytes(self._tensors[name]))


def _checksums(tensors: Mapping[str, Named]) -> dict[str, str]:
    """The CRC32 of each tensor's bytes."""
    with Summer() as summer:
        return {name: hexadecimal(summer.summing(_bytes(named))()) for name, named in tensors.items()}


def _bytes(named: Named) -> memoryview:
    """The bytes of a tensor, evaluated."""
    try:
        return buffer(named.array)
    except RuntimeError as error:
        raise RuntimeError(f"{entry(named.path)}: {error}") from error


class Reader:
    """A safetensors file whose header was checked.

    Attributes:
        entries: the tensors, in the order of the header.
        metadata: the texts that the user saved with them.
        note: what torchish_mlx noted, or {} in a file of another program.
    """

    def __init__(self, source: Input, what: str) -> None:
        self._source, self._what = source, what
        length = header.header_length(source.read(0, 8), source.size, what)
        self._data = 8 + length
        self.entries, metadata = header.read(source.read(8, length), source.size - self._data, what)
        self.note = _note(metadata.pop(NOTE), what) if NOTE in metadata else {}
        metadata.pop(SEAL, None)
        self.metadata = metadata
        self._checksums = self.note.get("crc32", {})
        if self.note and self._checksums.keys() != self.entries.keys():
            raise RuntimeError(f"{what}: the checksums are not those of the tensors in the file. {AGAIN}")

    def origins(self) -> dict[str, Origin | None]:
        """Where each tensor is from, as far as the file tells."""
        return origins(self.entries, self.note, self.metadata)

    def arrays(self) -> dict[str, mx.array]:
        """All tensors, which are read in the order that they have in the file."""
        found: dict[str, mx.array] = {}
        sums: dict[str, Callable[[], int]] = {}
        for name, place in sorted(self.entries.items(), key=lambda item: item[1].start):
            fill = partial(self._fill, name, place, sums)
            found[name] = filled(fill, place.dtype, place.shape)
        for name, wait in sums.items():
            if self.note and hexadecimal(wait()) != self._checksums[name]:
                raise RuntimeError(f"{self._what}: tensor {shortened(name)}: the checksum does not fit. {AGAIN}")
        return {name: found[name] for name in self.entries}

    def _fill(
        self, name: str, place: header.StoredTensor, sums: dict[str, Callable[[], int]], memory: memoryview
    ) -> None:
        """Read a tensor; its checksum is computed while the next ones are read."""
        sums[name] = self._source.filling(self._data + place.start, memory, summed=bool(self.note))


def _note(text: str, what: str) -> dict[str, Any]:
    """What torchish_mlx noted in the metadata."""
    what = f"{what}: the metadata {NOTE!r}"
    note: dict[str, Any] = parsed(text.encode("utf-8", "surrogatepass"), what)
    check_note(note, what)
    checksums = note.get("crc32")
    if not isinstance(checksums, dict) or any(not isinstance(value, str) for value in checksums.values()):
        raise RuntimeError(f"{what} has no checksums of the tensors. {AGAIN}")
    return note


def check_note(note: Any, what: str) -> None:
    """Refuse what another version noted."""
    if not isinstance(note, dict) or type(note.get("version")) is not int:
        raise RuntimeError(f"{what} is not as torchish_mlx writes it. {AGAIN}")
    if note["version"] != VERSION:
        raise RuntimeError(
            f"{what} is of version {shortened(note['version'])}, and {VERSION} is known here: update torchish_mlx"
        )
