"""Torch's own files, without torch."""

from __future__ import annotations

import io
import os
from pathlib import PurePath
from typing import Any

from ._atomic import replacing
from ._pickle import Pickler
from ._spread import check_spread
from ._zip_write import write_torch_zip


def save_torch(obj: Any, f: Any) -> None:
    """Write ``obj`` as ``torch.save`` does: a zip file that ``torch.load(f, weights_only=True)`` reads.

    Args:
        obj: what ``torchish_mlx.save`` takes.
        f: a path, whose file is replaced as a whole, or a binary file object, into which it is written where that
            stands.

    Raises:
        TypeError, ValueError: an entry cannot be saved; nothing was written.
        OSError: it cannot be written. What stood at a path stands.

    >>> import io
    >>> import torchish_mlx as torch
    >>> file = io.BytesIO()
    >>> save_torch({"w": torch.ones(2)}, file)
    >>> file.getvalue()[:2]
    b'PK'

    Source: torch.save, torch/serialization.py.
    """
    path = isinstance(f, (str, os.PathLike))
    if not path:
        _check_file(f)
    pickler = Pickler()
    pickled = pickler.dump(obj)
    check_spread(obj)
    if path:
        with replacing(f) as file:
            write_torch_zip(file, _folder(f), pickled, pickler.storages)
    else:
        write_torch_zip(f, "archive", pickled, pickler.storages)
        if callable(getattr(f, "flush", None)):
            f.flush()


def _check_file(f: Any) -> None:
    if isinstance(f, bytes):
        raise TypeError("save() takes a path as a str or a Path, not bytes: os.fsdecode(f)")
    if not callable(getattr(f, "write", None)):
        raise TypeError(f"save() takes a path or a binary file object, not {type(f).__name__}")
    if isinstance(f, io.TextIOBase):
        raise TypeError('save() takes a binary file object, and this one is of text: open(path, "wb")')
    if callable(getattr(f, "writable", None)) and not f.writable():
        raise io.UnsupportedOperation('this file object cannot be written: open(path, "wb")')


def _folder(path: Any) -> str:
    """What the records in the zip lie under: the name of the file without its last suffix, as in torch."""
    stem = PurePath(path).name.rpartition(".")[0] or PurePath(path).name
    return stem if stem.isascii() and stem.isprintable() and stem.strip(".") else "archive"
