"""Batches from samples. Where it can be done all of them become one array at once, as MLX takes a while for each."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ...._core.cpu import on_cpu
from ...._core.promotion import DEFAULTS, FLOATING
from ...._tensor.modes import mode
from ...._tensor.storage import View
from ...._tensor.tensor import Tensor, wrap
from ...._tensor.views import Index
from ....ops.creation import as_tensor, tensor
from ....ops.joining import stack

#: What collates samples of a type: ``function(batch, collate_fn_map=map)``.
CollateMap = dict[Any, Callable[..., Any]]

UNKNOWN = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
#: Dtypes of NumPy that have no numbers: bytes, strings, objects.
NO_NUMBERS = re.compile(r"[SaUO]")
#: NumPy's name for the elements of an array, by the format of its memory; those of bfloat16 are taken as they are.
FORMATS = {"?": "?", "B": "u1", "H": "u2", "I": "u4", "L": "u8", "Q": "u8", "b": "i1", "h": "i2", "i": "i4", "l": "i8"}
FORMATS |= {"q": "i8", "e": "f2", "f": "f4", "d": "f8", "Zf": "c8", "bfloat16": "u2"}


def _numbers(data: Any) -> bool:
    """Whether a value of NumPy has numbers."""
    return NO_NUMBERS.search(data.dtype.str) is None


def _mapped(data: Any, values: dict[Any, Any]) -> Any:
    """A mapping of the type of ``data`` with these values, or a dict where the type can't be made so."""
    try:
        if isinstance(data, MutableMapping):
            made = copy.copy(data)
            made.update(values)
            return made
        return type(data)(values)
    except TypeError:
        return values


def _listed(data: Any, values: list[Any]) -> Any:
    """A sequence of the type of ``data`` with these values, or a list where the type can't be made so."""
    try:
        if isinstance(data, MutableSequence):
            made = copy.copy(data)
            for i, value in enumerate(values):
                made[i] = value
            return made
        return type(data)(values)
    except TypeError:
        return values


def default_convert(data: Any) -> Any:
    """Have Tensors in place of NumPy's and MLX's arrays, in lists, tuples and mappings too; the rest stays as it is.

    A ``DataLoader`` with ``batch_size=None`` does it with each sample.

    Source: ``torch.utils.data.default_convert``.

    >>> import numpy as np
    >>> default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, mx.array):
        return Tensor(data)
    if isinstance(data, (np.ndarray, np.generic)):
        return as_tensor(data) if _numbers(data) else data
    if isinstance(data, Mapping):
        return _mapped(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        values = [default_convert(each) for each in data]
        return type(data)(*values) if hasattr(data, "_fields") else values
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _listed(data, [default_convert(each) for each in data])
    return data


def collate(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """A batch of samples as one sample with a first dimension more, in dicts, lists and tuples too.

    Args:
        batch: the samples.
        collate_fn_map: type, or tuple of types, -> the function that collates samples of it. What has no function
            there must be a mapping or a sequence.

    Raises:
        TypeError: samples that nothing says how to collate.
        RuntimeError: lists of different lengths.

    Source: ``torch.utils.data._utils.collate.collate``.
    """
    first = batch[0]
    kind = type(first)
    table = collate_fn_map or {}
    function = table.get(kind)
    if function is None:
        function = next((table[types] for types in table if isinstance(first, types)), None)
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        values = {key: collate([each[key] for each in batch], collate_fn_map=collate_fn_map) for key in first}
        return _mapped(first, values)
    named = isinstance(first, tuple) and hasattr(first, "_fields")
    if not isinstance(first, Sequence):
        raise TypeError(UNKNOWN.format(kind))
    if not named and any(len(each) != len(first) for each in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=False)]
    if named:
        return kind(*columns)
    return columns if isinstance(first, tuple) else _listed(first, columns)


def rows(source: Tensor, indices: Any) -> Tensor:
    """The rows of a Tensor at ``indices``, integers that are known to be inside, as one array."""
    array = source._read()
    made = wrap(mx.take(array, mx.array(np.asarray(indices, np.int64) % array.shape[0]), axis=0))
    made._keep_label(source._label)
    return made


def _of_one(batch: Sequence[Any]) -> Tensor | None:
    """The samples, where each is ``x[i]`` of one Tensor ``x``, by one gather; None otherwise."""
    storage = batch[0]._storage
    if type(storage) is not View or storage._last is None:
        return None
    whole = storage._last[0]
    indices = []
    for each in batch:
        last = each._storage._last if type(each._storage) is View else None
        if last is None or last[0] is not whole or type(last[1]) is not Index:
            return None
        key = last[1].key
        if len(key) != 1 or type(key[0]) is not int:
            return None
        indices.append(key[0])
    return rows(wrap(whole.read()), indices)


def _joined(arrays: list[mx.array]) -> mx.array:
    """Arrays of one shape and dtype as one, by copying their memory."""
    mx.eval(arrays)
    parts = [memoryview(array) for array in arrays]  # type: ignore[arg-type]
    plain = FORMATS[parts[0].format]
    contents: list[Any] = [part if part.c_contiguous else np.ascontiguousarray(part) for part in parts]
    shape = (len(arrays), *arrays[0].shape)
    made = mx.array(np.frombuffer(b"".join(contents), plain).reshape(shape))
    return made if made.dtype == arrays[0].dtype else mx.view(made, arrays[0].dtype)


def collate_tensor_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:  # noqa: ARG001
    """Tensors of one shape, stacked. Gradients are recorded."""
    if any(type(each) is not Tensor or (each._requires_grad and mode.enabled) for each in batch):
        return stack(batch)
    made = _of_one(batch)
    if made is None:
        arrays = [each._read() for each in batch]
        shape, dtype = arrays[0].shape, arrays[0].dtype
        if any(array.shape != shape or array.dtype != dtype for array in arrays):
            return stack(batch)
        # A GPU may be in the middle of a training step, which the evaluation of a sample would wait for.
        made = wrap(_joined(arrays) if on_cpu() and arrays[0].size else mx.stack(arrays))
    made._keep_label(next((each._label for each in batch if each._label is not None), None))
    return made


def collate_mlx_array_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """MLX's arrays, as the Tensors around them."""
    return collate([Tensor(each) for each in batch], collate_fn_map=collate_fn_map)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """NumPy's arrays of one shape as a Tensor; float64 becomes float32, as everywhere here."""
    first = batch[0]
    if not _numbers(first):
        raise TypeError(UNKNOWN.format(first.dtype))
    if any(each.shape != first.shape or each.dtype != first.dtype for each in batch):
        return collate([as_tensor(each) for each in batch], collate_fn_map=collate_fn_map)
    return as_tensor(np.stack(batch))


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:  # noqa: ARG001
    """NumPy's numbers as a Tensor of one dimension."""
    return as_tensor(np.array(batch))


def collate_float_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:  # noqa: ARG001
    """Floats as a Tensor of the default dtype. torch makes float64, which no GPU that MLX works on has."""
    return tensor(batch, dtype=DEFAULTS[FLOATING])


def collate_int_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:  # noqa: ARG001
    """Integers and bools as a Tensor."""
    return tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:  # noqa: ARG001
    """Strings and bytes as they are."""
    return batch


default_collate_fn_map: CollateMap = {
    Tensor: collate_tensor_fn,
    mx.array: collate_mlx_array_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Any) -> Any:
    """A batch of samples as one sample whose Tensors have a first dimension more: that of the batch.

    Tensors, arrays of NumPy and MLX, and numbers become Tensors; strings and bytes stay in a list or tuple. Samples
    may be dicts, lists, tuples and named tuples of these; of tuples a list is made, as in torch. Python's floats and
    NumPy's float64 become float32.

    Raises:
        TypeError: samples of another type.
        RuntimeError: Tensors of different shapes, lists of different lengths.

    Source: ``torch.utils.data.default_collate``.

    >>> import numpy as np
    >>> default_collate([(np.array([1, 2]), "a", 0), (np.array([3, 4]), "b", 1)])
    [tensor([[1, 2],
            [3, 4]]), ('a', 'b'), tensor([0, 1])]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
