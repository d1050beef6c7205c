"""Writing torch's own files, without torch."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any

from .._shared.layout_note import record_of
from .._shared.output import check_target, saving
from .._shared.spread import check_spread
from .pickler import Pickler
from .zip_write import write_torch_zip


def save_torch(obj: Any, f: Any, objects: bool = False) -> None:
    """Write ``obj`` as ``torch.save`` does: a zip file that ``torch.load(f, weights_only=True)`` reads.

    Args:
        obj: what ``torchish_mlx.save`` takes.
        f: a path, whose file is replaced as a whole, or a binary file object, which is written from its current
            position.
        objects: whether modules and instances of other classes are saved too, which ``weights_only=False`` reads.

    Raises:
        TypeError, ValueError: an entry cannot be saved; nothing was written.
        OSError: it cannot be written. An old file at the path is unchanged.

    >>> import io
    >>> import torchish_mlx as torch
    >>> file = io.BytesIO()
    >>> save_torch({"w": torch.ones(2)}, file)
    >>> file.getvalue()[:2]
    b'PK'

    Source: torch.save, torch/serialization.py.
    """
    check_target(f)
    pickler = Pickler(objects)
    pickled = pickler.dump(obj)
    check_spread(obj)
    with saving(f) as file:
        write_torch_zip(file, _folder(f), pickled, pickler.storages, record_of(pickler.foreign))


def _folder(f: Any) -> str:
    """The folder of the records in the zip: the name of the file without its last suffix, as in torch."""
    name = PurePath(f).name if isinstance(f, (str, os.PathLike)) else "archive"
    stem = name.rpartition(".")[0] or name
    return stem if stem.isascii() and stem.isprintable() and stem.strip(".") else "archive"
