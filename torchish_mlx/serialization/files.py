"""``save`` and ``load``: one call each for every format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from ._shared.input import opened
from ._torch.load import load_torch
from ._torch.save import save_torch
from .safetensors.files import load_safetensors, save_safetensors


def save(obj: Any, f: str | os.PathLike[str] | BinaryIO) -> None:
    """Save what a training script keeps: state dicts of models, optimizers and schedulers, numbers, whole modules.

    A path that ends in ``.safetensors`` gets that format (see ``save_safetensors``). All else gets torch's own zip
    file, as ``torch.save`` writes it, which ``torch.load(f, weights_only=True)`` reads. ``load`` reads both.

    In a torch file everything is kept exactly: types, dtypes, and what is shared. An object in two places is one object
    after loading. Tensors on one storage, such as views with their strides and offsets, are on one storage again.
    ``requires_grad`` is saved; gradients, graphs and attributes of tensors are not.

    The file notes which tensors are from a state dict of this package. Where the weight of a convolution has the same
    shape in torch's layout and in MLX's, that note tells them apart (see :func:`torchish_mlx.load_state_dict`).

    A path is written atomically: whatever happens, there is either the old file or the complete new one.

    Args:
        obj: ``Tensor``, ``Parameter`` and ``mx.array``, None, bool, int, float, complex, str, bytes, bytearray,
            ``Size``, dtypes, devices, and NumPy's scalars (saved as Python's numbers), in any nest of list, tuple,
            dict, OrderedDict, Counter and set, is read by ``load(f)`` and by ``torch.load(f)``. Modules of ``nn``,
            NumPy's arrays, and instances of other classes are saved as ``pickle`` does, their classes by torch's names;
            ``load(f, weights_only=False)`` reads them, here and in torch. Of optimizers and of models of ``mlx.nn``,
            save the state dicts.
        f: a path, or a binary file object, which is written from its current position and left open.

    Raises:
        TypeError: an entry or a key is of another type; it is named, with what to save in its place. Nothing was
            written.
        ValueError: an entry cannot be built by ``torch.load``: a tuple that contains itself, an int of more than
            255 bytes, more than 1000 levels of nesting. Nothing was written.
        OSError: the file cannot be written. An old file of that name is unchanged.

    >>> import io
    >>> import torchish_mlx as torch
    >>> file = io.BytesIO()
    >>> torch.save({"step": 10, "weight": torch.ones(2)}, file)
    >>> torch.load(io.BytesIO(file.getvalue()))
    {'step': 10, 'weight': tensor([1., 1.])}

    Source: torch.save.
    """
    save_values(obj, f, objects=True)


def save_values(obj: Any, f: str | os.PathLike[str] | BinaryIO, objects: bool = False) -> None:
    """As ``save``, in the format of the name; without ``objects`` only what ``load(f)`` reads without permission."""
    if isinstance(f, (str, os.PathLike)) and _named_safetensors(f):
        save_safetensors(obj, f)
    else:
        save_torch(obj, f, objects)


def load(f: str | os.PathLike[str] | BinaryIO, map_location: Any = None, *, weights_only: bool | None = None) -> Any:
    """Load a file that ``save``, ``torch.save``, MLX or the safetensors package wrote; tensors become ``Tensor``.

    The format is recognized by the content: torch's zip file, the older format of torch (before 1.6), safetensors, and
    the JSON index of a model in several safetensors files. Without ``weights_only=False`` nothing in a file is
    executed: tensors and plain Python values are built, and all else is refused by name, but for what
    ``serialization.add_safe_globals`` lists.

    The Tensors of a file that torch wrote remember that it did: see ``layout`` of :func:`torchish_mlx.load_state_dict`.

    Args:
        f: a path, or a binary file object that can seek, which is read from its current position.
        map_location: torch's argument: None, "cpu", "mps", a device, a dict from locations in the file to these, or a
            function of a storage and its location, which returns that storage or None. MLX's devices share their
            memory, so nothing moves: the argument is checked, a device that this machine has not got is refused, and
            the Tensors have the device ``cpu``. ``x.to("mps")`` gives them another one, and copies nothing.
        weights_only: None and True refuse what is no tensor and no plain value. False makes modules and every other
            object, which imports what the file names and calls it: load only files that you trust so. Names of torch
            in the file mean those of this package, so it may be a module that torch saved.

    Raises:
        RuntimeError, pickle.UnpicklingError: the file is damaged, or holds what cannot be loaded; the entry is named.
        FileNotFoundError: there is no such file.

    >>> import io
    >>> import mlx.core as mx
    >>> import torchish_mlx as torch
    >>> file = io.BytesIO()
    >>> mx.save_safetensors(file, {"weight": mx.array([1.0, 2.0])})
    >>> torch.load(io.BytesIO(file.getvalue()))
    {'weight': tensor([1., 2.])}

    Source: torch.load.
    """
    if _is_safetensors(f):
        return load_safetensors(f, map_location)
    return load_torch(f, map_location, weights_only is None or bool(weights_only))


def _named_safetensors(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix == ".safetensors"


def _is_safetensors(f: Any) -> bool:
    """Whether ``f`` is safetensors or an index of such files, by its first bytes; by its name where they say nothing.

    A safetensors file begins with the length of its header in eight bytes and then the header's brace.
    """
    path = isinstance(f, (str, os.PathLike))
    if path and _named_safetensors(f) and not Path(f).exists():
        return True  # it may be in several files, next to an index
    with opened(f) as source:
        start = source.read(0, 9)
        if not path:
            source.file.seek(source.start)
    if start[8:] == b"{" or start.lstrip().startswith(b"{"):
        return True
    return path and _named_safetensors(f) and not start.startswith((b"PK\3\4", b"\x80"))
