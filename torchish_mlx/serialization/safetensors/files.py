"""safetensors files: tensors by names, and everything else of a checkpoint as JSON in the metadata.

The order of the calls, which are one level below the other::

    load_safetensors           finds the file, or the index of several
      Reader / ShardIndex           reads and checks the header, or the index and all headers  (_file.py, _shards.py)
      (the bytes of all tensors are read, and their CRCs compared)
      put_together             makes the object from the JSON and the tensors             (_tree_read.py)
    save_safetensors
      taken_apart              gives the tensors by name, and the rest as JSON            (_tree_write.py)
      Written / save_shards    writes one file, or several with an index                  (_file.py, _shards.py)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..._tensor.storage import Storage
from ..._tensor.tensor import Tensor
from .._shared.input import Input, opened
from .._shared.layout_note import mark
from .._shared.map_location import restorer
from .._shared.output import check_target, saving
from .._shared.seal import NOTE
from .._shared.spread import check_spread
from ._file import Reader, Written
from ._shards import ShardIndex, bytes_in, index_of, remove_shards, save_shards, split
from ._tree_read import put_together
from ._tree_write import taken_apart

_FORMAT = {"format": "mlx"}  # transformers refuses files whose metadata has no format that it knows


def save_safetensors(
    obj: Any,
    f: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str] | None = None,
    max_shard_size: int | str | None = None,
) -> None:
    """Write an object to a safetensors file, or to several with an index.

    A dict of names and tensors gives a file with these names, as on the model hubs. In any other object a tensor has
    the keys and indices on the way to it as its name, with dots between them, and everything else is JSON in the
    file's metadata, so that ``load_safetensors`` gives the same object back. A tensor that is in several places is
    written once, under its first name, and is one tensor again; a view is written as a tensor of its own. Every tensor
    and the header have a CRC32 that loading checks.

    Args:
        obj: tensors (``Tensor``, ``Parameter``, ``mx.array``) and None, bool, int, float, complex, str, bytes,
            bytearray, ``Size``, dtypes, devices, in any nest of list, tuple, dict, OrderedDict, Counter, set.
        f: where to: a path, which is replaced when all is written, or a binary file object, which is written from
            its current position.
        metadata: texts to keep with the tensors; ``safetensors_metadata`` reads them. "format" is "mlx" unless given.
        max_shard_size: bytes, or text such as "5GB": where the tensors have more, they are written to several files.
            For the path ``model.safetensors``, these are files such as ``model-1a2b3c4d-00001-of-00002.safetensors``,
            and the index ``model.safetensors.index.json``, which says what tensor is in which file. A tensor that is
            larger than that has a file of its own.

    Raises:
        TypeError: an entry or a key is of another type; it is named, with what to save instead.
        ValueError: a container contains itself or is more than 100 levels deep, the JSON is larger than what is
            read, or an argument is wrong.
        OSError: the file could not be written; an old file is unchanged.

    >>> import io
    >>> import torchish_mlx as torch
    >>> file = io.BytesIO()
    >>> save_safetensors({"weight": torch.ones(2), "optimizer": {"state": {0: {"step": 3}}}}, file)
    >>> load_safetensors(io.BytesIO(file.getvalue()))
    {'weight': tensor([1., 1.]), 'optimizer': {'state': {0: {'step': 3}}}}

    Source: https://huggingface.co/docs/safetensors/index#format
    """
    texts = {**_FORMAT, **_checked(metadata)}
    most = None if max_shard_size is None else bytes_in(max_shard_size)
    check_target(f)
    path = Path(f) if isinstance(f, (str, os.PathLike)) else None
    if most is not None and path is None:
        raise ValueError("max_shard_size makes several files: pass a path, not a file object")
    if most is not None and path is not None and path.suffix != ".safetensors":
        raise ValueError(f"shards are named after a path that ends in .safetensors, not {path.name!r}")
    tensors, tree, plain = taken_apart(obj)
    check_spread(obj)
    noted = {} if plain else {"object": tree}
    shards = [tensors] if most is None else split(tensors, most)
    if path is not None and len(shards) > 1:
        save_shards(path, shards, texts, noted)
        return
    content = Written(tensors, texts, noted)
    with saving(f) as file:
        content.to(file)
    if path is not None and most is not None:
        remove_shards(path)


def load_safetensors(f: str | os.PathLike[str] | BinaryIO, map_location: Any = None) -> Any:
    """The object that ``save_safetensors`` wrote, or a dict of names and Tensors from a file of another program.

    Args:
        f: a path, or a binary file object that can seek, which is read from its current position to its end. For a
            file in several shards: the path of its index, or the path that it was saved to.
        map_location: as for ``load``; nothing moves, because all devices share one memory; a device that does not exist
            here is refused.

    Raises:
        RuntimeError: the file is damaged, not a safetensors file, or holds what MLX cannot; the tensor is named.
        FileNotFoundError: there is no such file, or a shard is missing.

    >>> import io
    >>> import mlx.core as mx
    >>> file = io.BytesIO()
    >>> mx.save_safetensors(file, {"weight": mx.array([1.0, 2.0])})
    >>> load_safetensors(io.BytesIO(file.getvalue()))
    {'weight': tensor([1., 2.])}

    Source: https://huggingface.co/docs/safetensors/index#format
    """
    restored = restorer(map_location)
    f = _standing(f)
    with opened(f) as source:
        content = _content(source, f)
        storages = {name: Storage(array) for name, array in content.arrays().items()}
        origins = content.origins()
    for storage in storages.values():
        restored(storage, "cpu")
    if "object" not in content.note:
        return {name: mark(Tensor(storage), origins[name]) for name, storage in storages.items()}
    return put_together(content.note["object"], storages, origins)


def safetensors_metadata(f: str | os.PathLike[str] | BinaryIO) -> dict[str, str]:
    """The texts that are kept with the tensors of a safetensors file, without those that are torchish_mlx's own.

    >>> import io
    >>> file = io.BytesIO()
    >>> save_safetensors({}, file, metadata={"author": "me"})
    >>> safetensors_metadata(io.BytesIO(file.getvalue()))
    {'format': 'mlx', 'author': 'me'}
    """
    f = _standing(f)
    with opened(f) as source:
        return _content(source, f).metadata


def _checked(metadata: Mapping[str, str] | None) -> dict[str, str]:
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(
                f"metadata[{key!r}] is {type(value).__name__}: the format has texts only, str(...) or json.dumps(...)"
            )
        if key.startswith(NOTE):
            raise ValueError(f"metadata[{key!r}]: keys that begin with {NOTE!r} are taken, choose another")
    return dict(metadata or {})


def _standing(f: Any) -> Any:
    """The path of the index in place of a path where there are only shards."""
    if isinstance(f, (str, os.PathLike)) and not Path(f).exists() and index_of(Path(f)).exists():
        return index_of(Path(f))
    return f


def _content(source: Input, f: Any) -> Reader | ShardIndex:
    """What the file is, by its first bytes: a header's length has zeros, and JSON has none."""
    start = source.read(0, 8)
    if not start.lstrip().startswith(b"{") or b"\0" in start:
        return Reader(source, str(f) if isinstance(f, (str, os.PathLike)) else "the file")
    if not isinstance(f, (str, os.PathLike)):
        raise RuntimeError("the file is an index of shards, which are found next to it: pass its path instead")
    return ShardIndex(source, Path(f).parent, str(f))
