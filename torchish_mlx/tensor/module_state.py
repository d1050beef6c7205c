"""torch's state dict of an ``mlx.nn.Module``: parameters and buffers by name, out and in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn

from .._docs import see
from ._arraylike import Size
from ._evaluate import schedule
from ._renaming import renaming
from .creation import array_of
from .parameter import Parameter, _checked, named
from .tensor import Tensor

_COUNT = "num_batches_tracked"  # torch's BatchNorm counts its batches, MLX's does not


class _IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def state_dict(model: nn.Module) -> OrderedDict[str, Tensor]:
    """The arrays of ``model`` by name: parameters, frozen ones too, and buffers, as torch's ``model.state_dict()``.

    The names and their order are those of ``mlx.utils.tree_flatten(model.parameters())``; a layer that stands in two
    places is listed under both. The Tensors follow the model, as torch's do: ``copy.deepcopy`` keeps a moment.

    Args:
        model (mlx.nn.Module): any module.

    Raises:
        TypeError: ``model`` is not an ``mlx.nn.Module``.

    Example:
        >>> import mlx.nn as nn
        >>> import torchish_mlx as torch
        >>> {name: tuple(value.shape) for name, value in torch.state_dict(nn.Linear(2, 3)).items()}
        {'weight': (3, 2), 'bias': (3,)}

    Source: ``torch.nn.Module.state_dict``.
    """
    places = named(_checked(model, "state_dict"), remove_duplicate=False)
    return OrderedDict((path, tensor.detach()) for path, tensor in places)


def load_state_dict(model: nn.Module, state_dict: Mapping[str, Any], strict: bool = True) -> _IncompatibleKeys:
    """Take the values of ``state_dict`` (Tensors, or arrays of MLX, NumPy or torch), in the dtypes that ``model`` has.

    A convolution of torch has the channels first, and is refused until its weights are transposed. Where they have one
    shape either way, torch's state dict is known by its ``_metadata``, and a plain dict is taken as it is.

    The names ``*.num_batches_tracked`` of torch's BatchNorm, which has no such count in MLX, are passed over. One array
    at two places of the model stays one, unless the two have different values in ``state_dict``.

    Args:
        model (mlx.nn.Module): what to load into.
        state_dict (Mapping): what :func:`state_dict` gives, or the same with torch's tensors.
        strict (bool): refuse names that are missing or too many; otherwise they are passed over, and returned.

    Returns:
        ``missing_keys`` and ``unexpected_keys``, two lists of names.

    Raises:
        RuntimeError: names or shapes do not fit, all of them in one message; nothing is changed.
        TypeError: ``model`` is not an ``mlx.nn.Module``, or ``state_dict`` is no mapping.

    Example:
        >>> import mlx.nn as nn
        >>> import torchish_mlx as torch
        >>> model, other = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> torch.load_state_dict(other, torch.state_dict(model))
        <All keys matched successfully>
        >>> torch.load_state_dict(model, {"bias": torch.zeros(3)}, strict=False)
        _IncompatibleKeys(missing_keys=['weight'], unexpected_keys=[])

    Source: ``torch.nn.Module.load_state_dict``.
    """
    own = dict(named(_checked(model, "load_state_dict"), remove_duplicate=False))
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    given = {name: value for name, value in state_dict.items() if not _is_count(name, own)}
    keys = _IncompatibleKeys([k for k in own if k not in given], [k for k in given if k not in own])
    errors, cures, either = [], [], []
    if strict:
        for what, names in (("Missing", keys.missing_keys), ("Unexpected", keys.unexpected_keys)):
            if names:
                listed = ", ".join(f'"{name}"' for name in names)
                errors.append(f"{what} key(s) in state_dict: {listed}. ")
        if errors:
            cures.append(_renamed(own, given) or "To load what fits and leave the rest, pass strict=False.")
    arrays: list[tuple[Tensor, mx.array]] = []
    for path, place in own.items():
        if path not in given:
            continue
        try:
            array = array_of(given[path], place.dtype)
        except TypeError as error:
            errors.append(f'While copying the parameter named "{path}": {error}')
            continue
        if array is None:
            errors.append(
                f'While copying the parameter named "{path}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(given[path])}"
            )
            cures.append(f'Give "{path}" as a tensor: torchish_mlx.tensor(value).')
        elif tuple(array.shape) != tuple(place.shape):
            errors.append(
                f"size mismatch for {path}: copying a param with shape {Size(array.shape)} from checkpoint, the "
                f"shape in current model is {place.shape}."
            )
            cures.append(_reshaped(path, place, tuple(array.shape)))
        else:
            arrays.append((place, array))
            either += _in_either_layout(path, place)
    if either and not errors and hasattr(state_dict, "_metadata"):  # which modules of torch write
        errors.append("The state dict is of a module of torch, whose convolutions have the channels first.")
        cures += [*either, "Then pass dict(state_dict)."]
    if errors:
        torchs = any(_TORCHS_LAYOUT in cure for cure in cures)
        if torchs:
            cures += either
        lines = [f"Error(s) in loading state_dict for {type(model).__name__}:", *errors, *dict.fromkeys(cures)]
        where = see("a-convolution-from-torch") if torchs or either else see("a-state-dict-that-does-not-fit")
        raise RuntimeError("\n\t".join(lines) + where)
    arrays = _tied(arrays)
    schedule([array for _, array in arrays])
    for place, array in arrays:
        place.array = array
    return keys


def _is_count(name: Any, own: Collection[str]) -> bool:
    """Whether ``name`` is torch's count of batches of a BatchNorm that is here."""
    lead, _, last = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    return last == _COUNT and name not in own and (f"{lead}.running_mean" if lead else "running_mean") in own


def _tied(arrays: list[tuple[Tensor, mx.array]]) -> list[tuple[Tensor, mx.array]]:
    """The same in array objects of the model's own; places that held one array object and get one value share it."""
    made: dict[int, list[tuple[mx.array, mx.array]]] = {}
    tied = []
    for place, array in arrays:
        shared = made.setdefault(id(place.array), [])
        new = next((n for a, n in shared if a is array or mx.array_equal(a, array, equal_nan=True).item()), None)
        if new is None:
            new = mx.array(array)
            shared.append((array, new))
        tied.append((place, new))
    return tied


# -- what would make it load -----------------------------------------------------------------------------------------


def _renamed(own: Collection[str], given: Mapping[str, Any]) -> str | None:
    """What makes the names fit, in words; None where there is no rule."""
    for name, value in given.items():
        if isinstance(value, Mapping) and set(value) & set(own):
            return f"The names of the model stand one level below: load state_dict[{name!r}]."
    if {"state", "param_groups"} <= given.keys():
        return "This is the state dict of an optimizer: load it with optimizer.load_state_dict(state_dict)."
    names = [name for name in given if isinstance(name, str)]
    found = renaming(own, [name for name in names if name.rpartition(".")[2] != _COUNT])
    if found is None:
        return None
    what, expression = found
    cure = "rename the saved ones"
    if expression is not None:
        cure = f"load {{{expression}: value for name, value in state_dict.items()}}"
    return f"{what[0].upper()}{what[1:]}: {cure}."


_TORCHS_LAYOUT = "has torch's layout of"


def _layouts(place: Tensor, ndim: int) -> dict[str, tuple[int, ...]]:
    """What a layer of convolution may be -> MLX's order of torch's axes; first what the layer of ``place`` is."""
    middle = range(2, ndim)
    orders = {"a convolution": (0, *middle, 1), "a transposed convolution": (1, *middle, 0)} if ndim > 2 else {}
    return dict(reversed(orders.items())) if "Transpose" in _layer(place) else orders


def _layer(place: Tensor) -> str:
    return type(place.owner).__name__ if isinstance(place, Parameter) else ""


def _in_either_layout(path: str, place: Tensor) -> list[str]:
    """A sentence on a convolution whose weights have one shape in torch's layout and in MLX's: no error shows them."""
    shape = tuple(place.shape)
    order = next(iter(_layouts(place, len(shape)).values()), None)
    if order is None or not _layer(place).startswith("Conv") or set(shape[1:]) == {1}:
        return []
    same = tuple(shape[i] for i in order) == shape
    return [f'"{path}" has the same shape in both layouts: transpose it with {order} too.'] * same


def torchs_layout(place: Tensor, shape: tuple[int, ...]) -> str | None:
    """What to do where ``shape`` is that of ``place`` in torch's layout of a convolution, in words."""
    for kind, order in _layouts(place, len(shape)).items():
        if tuple(shape[i] for i in order) == tuple(place.shape):
            return f"{_TORCHS_LAYOUT} {kind}, and MLX has the channels last: transpose it with {order}"
    return None


def _reshaped(path: str, place: Tensor, shape: tuple[int, ...]) -> str:
    """How an array of ``shape`` would fit ``place``."""
    if cure := torchs_layout(place, shape):
        return f'"{path}" {cure}.'
    if len(shape) == 2 and shape[::-1] == tuple(place.shape):
        return f'"{path}" would fit transposed, if it is the same matrix: transpose it with (1, 0).'
    if place.dtype == mx.uint32 and "Quantized" in _layer(place):
        return f'"{path}" belongs to a quantized layer: load before mlx.nn.quantize, or quantize the saved model too.'
    return f'"{path}" is of a model of another size: build the model as it was built for saving, or leave it out.'
