"""Tensors in several safetensors files: shards with tags in their names, and an index, as on the model hubs.

    model-1a2b3c4d-00001-of-00002.safetensors  ...  model.safetensors.index.json

The tag comes from the contents, so a save never overwrites shards that the old index names, unless they are the same.
The index is written last: until then the old index and its shards are in place. After that, the shards that the new
index does not name are removed.

The index is ``{"metadata": {"total_size": bytes, ...}, "weight_map": {name of a tensor: file name}}``.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..._core.messages import shortened
from ..._core.origin import Origin
from .._shared.atomic import remove_stale, replacing
from .._shared.input import Input, opened
from .._shared.output import write_all
from .._shared.seal import NOTE, SEAL, UNSEALED, check_seal, sealed
from .._shared.strict_json import MAX_BYTES, check_readable, parsed
from ._file import VERSION, Reader, Written, check_note
from ._tree_write import Named

INDEX = ".index.json"
_SUFFIX = ".safetensors"
_PREFIX = f'{{\n  "metadata": {{\n    "{SEAL}": "'.encode()
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def bytes_in(size: int | str) -> int:
    """A size as a number of bytes: an int, or text such as "5GB" (10**9 bytes) or "500MiB" (2**20).

    >>> bytes_in("5GB"), bytes_in("1.5 KiB")
    (5000000000, 1536)
    """
    out: float = 0
    if type(size) is int:
        out = size
    elif isinstance(size, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?I?B?)", size.strip().upper(), re.ASCII)
        if match and match[2] in _UNITS:
            out = int(float(match[1]) * _UNITS[match[2]])
    if out < 1:
        raise ValueError(f"max_shard_size is a number of bytes, or text such as '5GB' or '500MB', not {size!r}")
    return int(out)


def split(tensors: Mapping[str, Named], most: int) -> list[dict[str, Named]]:
    """The tensors in their order, in shards of at most ``most`` bytes; a larger tensor is a shard of its own."""
    shards: list[dict[str, Named]] = [{}]
    size = 0
    for name, named in tensors.items():
        count = named.array.nbytes
        if shards[-1] and size + count > most:
            shards.append({})
            size = 0
        shards[-1][name] = named
        size += count
    return shards


def save_shards(
    path: Path, shards: list[dict[str, Named]], metadata: Mapping[str, str], noted: Mapping[str, Any]
) -> None:
    """Write shards next to ``path`` and the index at ``path`` + ".index.json", and remove what these replace.

    Args:
        path: the name of the whole, which ends in ``.safetensors``.
        shards: the tensors of each file.
        metadata: texts that are kept with the tensors of each.
        noted: what is noted in the index in addition to the version.

    Raises:
        OSError: a file could not be written; the old files are unchanged.
    """
    contents = [Written(shard, metadata, {}) for shard in shards]
    note = {"version": VERSION, **noted}
    digest = hashlib.sha256(json.dumps(note).encode())
    for content in contents:
        digest.update(content.start)
    tag, stem = digest.hexdigest()[:8], path.name[: -len(_SUFFIX)]
    names = [f"{stem}-{tag}-{i:05}-of-{len(shards):05}{_SUFFIX}" for i in range(1, len(shards) + 1)]
    total = sum(named.array.nbytes for shard in shards for named in shard.values())
    index = {
        "metadata": {SEAL: UNSEALED, NOTE: note, "total_size": total},
        "weight_map": {tensor: name for shard, name in zip(shards, names, strict=True) for tensor in shard},
    }
    raw = sealed(json.dumps(index, indent=2).encode("ascii") + b"\n", _PREFIX)
    check_readable(raw, "the index")
    old = {name for name in _siblings(path) if (path.parent / name).exists()}
    remove_stale(path.parent, lambda name: _own(stem).fullmatch(name) is not None)
    try:
        for content, name in zip(contents, names, strict=True):
            with replacing(path.parent / name) as file:
                content.to(file)
        with replacing(index_of(path)) as file:
            write_all(file, raw)
    except BaseException:
        if not _stands(index_of(path), raw):  # an error after the renaming leaves the new index
            _remove(path.parent, [name for name in names if name not in old])
        raise
    _remove(path.parent, [path.name, *(name for name in old if name not in names)])


def remove_shards(path: Path) -> None:
    """Remove the index of ``path`` and its shards, after the whole was written as one file."""
    old = _siblings(path)
    _remove(path.parent, [index_of(path).name, *old])


def index_of(path: Path) -> Path:
    """The path of the index of a sharded file."""
    return path.with_name(path.name + INDEX)


def _own(stem: str) -> re.Pattern[str]:
    """The names that shards of a file get here."""
    return re.compile(rf"{re.escape(stem)}-[0-9a-f]{{8}}-\d{{5}}-of-\d{{5}}{re.escape(_SUFFIX)}", re.ASCII)


def _siblings(path: Path) -> set[str]:
    """The shards that belong to ``path``: those named as here, and those that its index names in the hubs' way."""
    stem = path.name[: -len(_SUFFIX)]
    own = _own(stem)
    hub = re.compile(rf"{re.escape(stem)}-\d{{5}}-of-\d{{5}}{re.escape(_SUFFIX)}", re.ASCII)
    out: set[str] = set()
    with suppress(OSError), os.scandir(path.parent) as entries:
        out |= {entry.name for entry in entries if own.fullmatch(entry.name)}
    with suppress(OSError, RuntimeError), opened(index_of(path)) as source:
        out |= {name for name in _weight_map(source, "the old index")[0].values() if hub.fullmatch(name)}
    return out


def _stands(index: Path, raw: bytes) -> bool:
    """Whether the index has these bytes; also True if it can't be read, because then it may have them."""
    try:
        return index.read_bytes() == raw
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _remove(folder: Path, names: list[str]) -> None:
    for name in names:
        with suppress(OSError):
            (folder / name).unlink()


def _weight_map(source: Input, what: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The files of the tensors, and the metadata of an index, checked."""
    raw = source.read(0, MAX_BYTES + 1)
    index = parsed(raw, what)
    index = index if isinstance(index, dict) else {}
    files, metadata = index.get("weight_map"), index.get("metadata", {})
    if not isinstance(files, dict) or not isinstance(metadata, dict):
        raise RuntimeError(f"{what}: an index of shards is {{'metadata': {{...}}, 'weight_map': {{tensor: file}}}}")
    for tensor, name in files.items():
        if not isinstance(name, str) or not re.fullmatch(r"[^/\\:\0]+", name) or name in (".", ".."):
            raise RuntimeError(
                f"{what}: the tensor {shortened(tensor)} is said to be in {shortened(name)}: only the name of a "
                "file in the folder of the index is read"
            )
        if not name.endswith(_SUFFIX):
            raise RuntimeError(
                f"{what}: the tensor {shortened(tensor)} is in {shortened(name)}, which is no safetensors file: load "
                "each such file with torchish_mlx.load(path)"
            )
    if f'"{NOTE}'.encode() in raw:  # also where the damage is in the word "metadata"
        check_seal(raw, _PREFIX, what)
        check_note(metadata.get(NOTE), what)
    return files, metadata


class ShardIndex:
    """An index of shards: their headers were checked, and together they hold what it names.

    The shards are opened one after the other: there may be more of them than a process may have open.
    """

    def __init__(self, source: Input, folder: Path, what: str) -> None:
        self._folder, self._what = folder, what
        self._files, metadata = _weight_map(source, what)
        self.note: dict[str, Any] = metadata.get(NOTE, {})
        self.metadata: dict[str, str] = {}
        found: dict[str, str] = {}
        self._origins: dict[str, Origin | None] = {}
        for i, name in enumerate(dict.fromkeys(self._files.values())):
            with self._shard(name) as shard:
                for tensor in shard.entries:
                    self._check_place(tensor, name)
                    found[tensor] = name
                self._origins |= shard.origins()
                if i == 0:
                    self.metadata = shard.metadata
        for tensor, name in self._files.items():
            if tensor not in found:
                raise RuntimeError(f"{what}: the tensor {shortened(tensor)} should be in {name}, and is not")

    def origins(self) -> dict[str, Origin | None]:
        """Where each tensor is from, as far as the shards tell."""
        return self._origins

    def arrays(self) -> dict[str, mx.array]:
        """All tensors, in the order of the index."""
        found: dict[str, mx.array] = {}
        for name in dict.fromkeys(self._files.values()):
            with self._shard(name) as shard:
                found |= shard.arrays()
        return {tensor: found[tensor] for tensor in self._files}

    @contextmanager
    def _shard(self, name: str) -> Iterator[Reader]:
        path = self._folder / name
        if not path.exists():
            message = f"{self._what} names a shard that is not next to it: copy or download it too. The shard"
            raise FileNotFoundError(errno.ENOENT, message, str(path))
        with opened(path) as source:
            yield Reader(source, str(path))

    def _check_place(self, tensor: str, name: str) -> None:
        """Refuse a tensor of a shard that the index does not place there."""
        wanted = self._files.get(tensor)
        if wanted != name:
            where = "the index does not name it" if wanted is None else f"the index says in {wanted}"
            raise RuntimeError(f"{self._what}: the tensor {shortened(tensor)} is in {name}, and {where}")
