"""The note in a file about the layout of its tensors: this package's state dicts have MLX's layout, others may not.

A torch file that this package wrote has one record more than torch writes, which ``torch.load`` ignores. It is lost
when torch writes the tensors again. A safetensors file has the note in its metadata, where other programs say "format".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..._core.origin import MLX, TORCH, Origin
from ..._tensor.conversion import origin_of
from ..._tensor.tensor import Tensor
from .input import AGAIN

RECORD = ".torchish_mlx"  # of a torch file: "mlx", and the keys of the storages of unknown layout
KEY = "foreign"  # of the note in a safetensors file: the names of those tensors, or true for all
_OF_FORMAT = {"mlx": MLX, "pt": TORCH}


def is_foreign(value: Any) -> bool:
    """Whether a tensor that is saved is not known to be in MLX's layout."""
    origin = origin_of(value)
    return origin is None or not origin.is_mlx


def record_of(foreign: Collection[int]) -> bytes:
    """The record of a torch file. ``foreign`` are keys of storages."""
    return " ".join(["mlx", *map(str, sorted(foreign))]).encode("ascii")


def mark_storages(storages: Iterable[Any], record: bytes | None) -> None:
    """Note in the tensors of a torch file where they are from, by the record; torch wrote a file without it."""
    first, *rest = (record or b"").decode("ascii", "replace").split(" ")
    foreign = frozenset(rest)
    for storage in storages:
        origin: Origin | None = Origin(TORCH)
        if record is not None:
            origin = Origin(MLX) if first == "mlx" and storage.key not in foreign else None
        for tensor, _ in storage.tensors:
            mark(tensor, origin)


def note_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The note about the tensors of a safetensors file."""
    foreign = [name for name, value in values.items() if is_foreign(value)]
    return {KEY: len(foreign) == len(values) or foreign} if foreign else {}


def origins(names: Iterable[str], note: Mapping[str, Any], metadata: Mapping[str, str]) -> dict[str, Origin | None]:
    """Where the tensors of a safetensors file are from."""
    if not note:
        side = _OF_FORMAT.get(metadata.get("format", ""))
        return dict.fromkeys(names, None if side is None else Origin(side))
    foreign = note.get(KEY, [])
    if foreign is not True and not (isinstance(foreign, list) and all(isinstance(name, str) for name in foreign)):
        raise RuntimeError(f"the note in the file about the layout of its tensors is no list of names. {AGAIN}")
    known = frozenset() if foreign is True else frozenset(foreign)
    return {name: None if foreign is True or name in known else Origin(MLX) for name in names}


def mark(tensor: Tensor, origin: Origin | None) -> Tensor:
    """``tensor``, in which is now noted where it is from."""
    if origin is not None:
        tensor._origin = origin
    return tensor
