"""Reading the files of ``torch.save``, without torch and without running what is in them.

The order of the calls, which are one level below the other::

    load_torch                 opens the file, and sees by its first bytes which format it is
      restorer                 checks map_location                                        (_shared/map_location.py)
      Archive                  reads the directory of the zip, strictly                   (zip_read.py)
      unpickle                 reads data.pkl, opcode by opcode, into a TorchBuilder      (unpickle.py)
        TorchBuilder           makes the object, with tensors that have no numbers yet    (rebuild.py)
      survey                   looks the object over, and refuses what can't be here      (fill.py)
      objects_for            says what makes the rest, where that may be made           (objects.py)
      (all storages are compared with the tensors, before memory is taken for any)
      placed                   takes the memory, reads each record, checks its CRC, and
                               gives the tensors their arrays                             (fill.py)
      mark_storages            notes whose layout the tensors have                        (_shared/layout_note.py)
      unpickle               reads data.pkl again, into an ObjectBuilder, where there is one
    load_legacy                does the same for the format before the zip                (legacy.py)
"""

from __future__ import annotations

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import mlx.core as mx
import numpy as np

from .._shared.input import AGAIN, Input, Pickled, opened
from .._shared.layout_note import RECORD, mark_storages
from .._shared.map_location import Restored, restorer
from .fill import entry_of, placed
from .legacy import is_legacy, load_legacy
from .objects import objects_for
from .rebuild import FileStorage, TorchBuilder
from .unpickle import unpickle
from .zip_read import Archive, has_zip_end


def load_torch(f: Any, map_location: Any = None, weights_only: bool = True) -> Any:
    """The object in a file of ``torch.save`` or ``torchish_mlx.save``, in torch's zip format or the one before it.

    Args:
        f: a path, or a seekable binary file, which is read from its current position.
        map_location: as in torch; all devices share one memory here, so it moves nothing and is only checked. A
            function is called with the ``Storage`` of each tensor and the location in the file, and returns that
            storage or None.
        weights_only: False makes the objects of every class that the file names, and runs its code.

    Raises:
        pickle.UnpicklingError: the pickle is damaged, or has what ``weights_only`` loading refuses.
        RuntimeError: the file is damaged, or of another kind.

    Source: ``torch.load``.
    """
    restored = restorer(map_location)
    with opened(f) as source:
        if source.read(0, 4) == b"PK\x03\x04" or has_zip_end(source):
            return _load_zip(Archive(source), restored, weights_only)
        if not is_legacy(source):
            raise _unknown(source)
        return load_legacy(source, restored, weights_only)


def _load_zip(archive: Archive, restored: Restored, weights_only: bool) -> Any:
    builder = TorchBuilder()
    pickled = archive.read("data.pkl")
    made = unpickle(Pickled(pickled), builder)
    objects = objects_for(made, builder, weights_only)

    def read(stored: FileStorage, memory: memoryview) -> Callable[[], None]:
        name = f"data/{stored.key}"
        if name not in archive:
            return lambda: None  # it is empty
        check = archive.fill(name, memory)
        if archive.byteorder == "big":
            check()
            _swap(memory, stored.tensors[0][1].dtype)
            return lambda: None
        return check

    for stored in builder.storages.values():  # before memory is taken for any
        name = f"data/{stored.key}"
        if name not in archive:
            if stored.nbytes:
                raise RuntimeError(
                    f"cannot load {entry_of(made, stored)}: the file has no record {name!r}, where its numbers should "
                    f"be. {AGAIN}"
                )
        elif archive.size(name) != stored.nbytes:
            raise RuntimeError(
                f"the record {name!r} has {archive.size(name)} bytes and its tensors say {stored.nbytes}. {AGAIN}"
            )
    placed(made, builder, read, restored)
    mark_storages(builder.storages.values(), archive.read(RECORD) if RECORD in archive else None)
    return made if objects is None else unpickle(Pickled(pickled), objects)


def _swap(memory: memoryview, dtype: mx.Dtype | None) -> None:
    """Turn the bytes of every number around, in place."""
    size = 4 if dtype == mx.complex64 else 1 if dtype is None else dtype.size
    np.frombuffer(memory, f"u{size}").byteswap(inplace=True)


_KINDS = (
    (b"", "an empty file"),
    (b"\x1f\x8b", "a gzip file: unpack it first (gunzip)"),
    (b"BZh", "a bzip2 file: unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "an xz file: unpack it first (unxz)"),
    (b"(\xb5/\xfd", "a zstd file: unpack it first (unzstd)"),
    (b"\x89HDF", "an HDF5 file: read it with h5py and wrap the arrays (torchish_mlx.tensor(a))"),
    (b"\x93NUMPY", "a NumPy file: load it with mlx.core.load(path)"),
    (b"GGUF", "a GGUF file: load it with mlx.core.load(path)"),
    (b"version https://git-lfs", "the pointer of a file in Git LFS: fetch the file itself (git lfs pull)"),
    (b"<", "a web page or XML: download the file itself"),
)


def _unknown(source: Input) -> Exception:
    """The error for a file that torch.save did not write: it says what the file looks like."""
    head = source.read(0, 512)
    wrong = "this is not a file of torch.save, but"
    if len(head) >= 262 and head[257:262] == b"ustar":
        return RuntimeError(
            f"{wrong} a tar archive: torch before 0.1.10 saved so. In torch, load it with weights_only=False if you "
            "trust it, and torch.save it again."
        )
    for sign, what in _KINDS:
        if head.startswith(sign) and (sign or not head):
            return RuntimeError(f"{wrong} {what}.")
    if head[:1] == b"\x80":
        return UnpicklingError(
            f"{wrong} a plain pickle, or a damaged file (Invalid magic number). A pickle can run code and is not "
            "loaded: load it with pickle if you trust it, and torch.save what is in it."
        )
    if not head.translate(None, bytes(range(32, 127)) + b"\t\r\n"):
        return RuntimeError(f"{wrong} text ({head[:30].decode('ascii')!r}...): give the path of the file itself.")
    return RuntimeError(f"{wrong} something else (it begins with {head[:8].hex(' ')}). {AGAIN}")
