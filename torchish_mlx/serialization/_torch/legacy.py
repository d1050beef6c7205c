"""Torch's format before the zip: pickles one after the other, and then the bytes of the storages.

A magic number, the version, facts about the machine, the object, the keys of the storages, and for each key the number
of elements in 8 bytes and the elements, in little-endian order.

Source: ``torch.serialization._legacy_save``.
"""

from __future__ import annotations

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

from .._shared.input import AGAIN, Input, Pickled, Stream
from .._shared.layout_note import mark_storages
from .._shared.map_location import Restored
from .fill import placed
from .objects import objects_for
from .rebuild import FileStorage, TorchBuilder, is_name
from .unpickle import unpickle

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


def is_legacy(source: Input) -> bool:
    """Whether the file begins with the magic number."""
    try:
        start = source.read(0, 64)  # no more is read of a file of another kind
        return start[:1] == b"\x80" and unpickle(Pickled(start), TorchBuilder()) == _MAGIC
    except UnpicklingError:
        return False


def load_legacy(source: Input, restored: Restored, weights_only: bool = True) -> Any:
    """The object in a file of the old format."""
    stream = Stream(source)
    unpickle(stream, TorchBuilder())
    version = unpickle(stream, TorchBuilder())
    if type(version) is not int or version != _VERSION:
        shown = version if type(version) is int and abs(version) < 2**63 else f"a {type(version).__name__}"
        raise RuntimeError(f"Invalid protocol version: {shown}, where {_VERSION} is known. {AGAIN}")
    unpickle(stream, TorchBuilder())  # facts about the machine, which torch does not use either
    builder = TorchBuilder()
    begin = stream.tell()
    made = unpickle(stream, builder)
    objects = objects_for(made, builder, weights_only)
    offsets = _offsets(source, stream, builder)

    def read(stored: FileStorage, memory: memoryview) -> Callable[[], object]:
        return source.filling(offsets[stored.key], memory, summed=False)

    placed(made, builder, read, restored)
    mark_storages(builder.storages.values(), None)
    return made if objects is None else unpickle(Stream(source, begin), objects)


def _offsets(source: Input, stream: Stream, builder: TorchBuilder) -> dict[Any, int]:
    """Where the bytes of each storage begin."""
    keys = unpickle(stream, TorchBuilder())
    if type(keys) is not list or not all(map(is_name, keys)):
        raise RuntimeError(f"where the list of storages should be, there is something else. {AGAIN}")
    storages = builder.storages
    if len(set(map(str, keys))) != len(keys) or set(map(str, keys)) != set(storages):
        raise RuntimeError(f"the file lists {len(keys)} storages, and its tensors use {len(storages)} others. {AGAIN}")
    out = {}
    at = stream.tell()
    for key in keys:
        stored = storages[str(key)]
        size = 1 if stored.dtype is None else stored.dtype.size
        count = int.from_bytes(source.read(at, 8), "little", signed=True)
        if count * size != stored.nbytes or at + 8 + stored.nbytes > source.size:
            raise RuntimeError(
                f"storage {key!r} has {count} elements in the file and {stored.nbytes // size} by its tensors, or the "
                f"file ends too early. {AGAIN}"
            )
        out[stored.key] = at + 8
        at += 8 + stored.nbytes
    return out
