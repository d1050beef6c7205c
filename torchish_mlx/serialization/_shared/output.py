"""A file to write to: a path, whose file is replaced as a whole, or a binary file object, from its current position."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from .atomic import replacing


def check_target(f: Any) -> None:
    """Refuse what nothing can be written to, before any work is done for it."""
    if isinstance(f, (str, os.PathLike)):
        return
    if isinstance(f, bytes):
        raise TypeError("save() takes a path as a str or a Path, not bytes: os.fsdecode(f)")
    if not callable(getattr(f, "write", None)):
        raise TypeError(f"save() takes a path or a binary file object, not {type(f).__name__}")
    if isinstance(f, io.TextIOBase):
        raise TypeError('save() takes a binary file object, and this one is of text: open(path, "wb")')
    if callable(getattr(f, "writable", None)) and not f.writable():
        raise io.UnsupportedOperation('this file object cannot be written: open(path, "wb")')


@contextmanager
def saving(f: Any) -> Iterator[BinaryIO]:
    """The file to write. It appears at the path ``f`` when the block ends, or is ``f`` itself, flushed at the end."""
    if isinstance(f, (str, os.PathLike)):
        with replacing(f) as file:
            yield file
    else:
        yield f
        if callable(getattr(f, "flush", None)):
            f.flush()


def write_all(file: Any, data: bytes | memoryview) -> None:
    """Write all of ``data``, also to a raw file that takes only a part of it at a time."""
    view = memoryview(data)
    while view:
        written = file.write(view)
        if written is None and not isinstance(file, io.RawIOBase):  # a writer that says nothing took all of it
            return
        if written is None or not 0 < written <= len(view):
            raise OSError(f"{type(file).__name__}.write() took {written} of {len(view)} bytes")
        view = view[written:]
