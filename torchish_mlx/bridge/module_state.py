"""torch's state dict of an ``mlx.nn.Module``: parameters and buffers by name, out and in."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn

from .._core.evaluation import schedule
from .._core.origin import MLX, TORCH, Origin
from .._docs import see
from .._tensor.arraylike import Size
from .._tensor.conversion import array_of, origin_of
from .._tensor.tensor import Tensor
from ._layouts import LayerValue, check_layout, doubts, in_mlx, layouts_of, torchs_layout, transposed
from ._nested import below, flattened
from ._renaming import Renaming, advice, renaming
from ._walk import checked as _checked
from .parameters import named

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

    The names and their order are those of ``mlx.utils.tree_flatten(model.parameters())``; a layer that is in two places
    is listed under both, and so is an array (tied weights), as one storage. The Tensors follow the model, as torch's
    do: ``copy.deepcopy`` keeps a moment.

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
    listed = named(_checked(model, "state_dict"), remove_duplicate=False)
    return in_mlx(OrderedDict((path, tensor.detach()) for path, tensor in listed))


def load_state_dict(
    model: nn.Module, state_dict: Mapping[str, Any], strict: bool = True, layout: str | None = None
) -> _IncompatibleKeys:
    """Take the values of ``state_dict`` (Tensors, or arrays of MLX, NumPy or torch), in the dtypes that ``model`` has.

    A tree of dicts and lists, as ``model.trainable_parameters()`` gives it, has the names that MLX's ``tree_flatten``
    gives it.

    A convolution of torch has the channels second, and is refused until its weights are transposed, as
    ``layout="torch"`` does. Where they have the same shape either way, it counts where they are from (a state dict of
    this package, a file of it or of torch, a tensor of torch) and what layout other convolutions from there have; what
    can't be told so is refused until ``layout`` says it.

    The names ``*.num_batches_tracked`` of torch's BatchNorm, which has no such count in MLX, are passed over. One array
    at several places of the model (tied weights) stays one: it takes the value that ``state_dict`` has for the last of
    these places, and with ``strict=False`` one of them is enough.

    Args:
        model (mlx.nn.Module): what to load into.
        state_dict (Mapping): what :func:`state_dict` gives, the same with torch's tensors, or a tree of arrays.
        strict (bool): refuse names that are missing or too many; otherwise they are passed over, and returned.
        layout (str): how ``state_dict`` has the weights of convolutions: "mlx", or "torch", by which they are
            transposed. By default shapes and origins tell.

    Returns:
        ``missing_keys`` and ``unexpected_keys``, two lists of names.

    Raises:
        RuntimeError: names or shapes do not fit, all of them in one message; or the names are in a container further
            down. Nothing is changed.
        TypeError: ``model`` is not an ``mlx.nn.Module``, or ``state_dict`` is no mapping.
        ValueError: ``layout`` is none of these.

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
    flat = flattened(state_dict, own)
    given = {name: value for name, value in flat.values.items() if not _is_count(name, own)}
    keys = _IncompatibleKeys([k for k in own if k not in given], [k for k in given if k not in own])
    check_layout(layout)
    errors, hints, entries = [], [], []
    if flat.twice:
        errors.append(f"Key(s) that are in state_dict twice, once in a container: {_listed(flat.twice)}. ")
        hints.append("Leave out one of the two.")
    by_name: list[str] = []
    if strict:
        for what, names in (("Missing", keys.missing_keys), ("Unexpected", keys.unexpected_keys)):
            if names:
                by_name.append(f"{what} key(s) in state_dict: {_listed(names)}. ")
    arrays: list[tuple[Tensor, mx.array]] = []
    for path, target in own.items():
        if path not in given:
            continue
        value, layouts = given[path], layouts_of(target)
        if layout == TORCH and layouts is not None and len(getattr(value, "shape", ())) == target.ndim:
            value = transposed(value, layouts.order)
        try:
            array = array_of(value, target.array.dtype)
        except TypeError as error:
            errors.append(f'While copying the parameter named "{path}": {error}')
            continue
        if array is None:
            errors.append(
                f'While copying the parameter named "{path}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(given[path])}"
            )
            hints.append(f'Give "{path}" as a tensor: torchish_mlx.tensor(value).')
        elif tuple(array.shape) != tuple(target.shape):
            errors.append(
                f"size mismatch for {path}: copying a param with shape {Size(array.shape)} from checkpoint, the "
                f"shape in current model is {target.shape}."
            )
            has_mlx = layout == TORCH and layouts is not None and tuple(given[path].shape) == layouts.mlx
            hints.append(_SAYS_TORCH.format(path) if has_mlx else _reshaped(path, target, tuple(array.shape)))
        else:
            arrays.append((target, array))
        if layout is None and array is not None and layouts is not None:
            origin = origin_of(value) or (Origin(MLX) if path in flat.nested else None)
            entries.append(LayerValue(f'"{path}"', layouts, tuple(array.shape), origin))
    if not strict and (further_down := _further_down(own, given, state_dict)):
        errors.append("No name in state_dict is one of the model's, so that nothing would be loaded. ")
        hints.append(further_down)
    if by_name:
        loads = bool(arrays) and not errors
        hints = [hint for hint in (_renamed(own, given, state_dict, loads), *hints) if hint]
        errors = [*by_name, *errors]
    if in_doubt := doubts(entries):
        errors.append(f"The layout of {', '.join(in_doubt)} is not known. ")
        hints += in_doubt.values()
    if errors:
        torchs = bool(in_doubt) or any(entry.shape == entry.layouts.torch != entry.layouts.mlx for entry in entries)
        lines = [f"Error(s) in loading state_dict for {type(model).__name__}:", *errors, *dict.fromkeys(hints)]
        where = see("a-convolution-from-torch") if torchs else see("a-state-dict-that-does-not-fit")
        raise RuntimeError("\n\t".join(lines) + where)
    arrays = _tied(arrays)
    schedule([array for _, array in arrays])
    for target, array in arrays:
        target.array = array
    return keys


def _is_count(name: Any, own: Collection[str]) -> bool:
    """Whether ``name`` is torch's count of batches of a BatchNorm that is here."""
    lead, _, last = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    return last == _COUNT and name not in own and (f"{lead}.running_mean" if lead else "running_mean") in own


def _tied(arrays: list[tuple[Tensor, mx.array]]) -> list[tuple[Tensor, mx.array]]:
    """The same in array objects of the model's own. Of several values for one Parameter the last one stays, as in
    torch, which copies them one after the other.
    """
    last = {id(target): (target, array) for target, array in arrays}
    return [(target, mx.array(array)) for target, array in last.values()]


# -- what would make it load -----------------------------------------------------------------------------------------


def _renamed(
    own: Mapping[str, Tensor], given: Mapping[Any, Any], state_dict: Mapping[Any, Any], loads: bool
) -> str | None:
    """What makes the names fit, in words. ``loads``: whether some entries are there, and would load as they are."""
    if {"state", "param_groups"} <= state_dict.keys():
        return "This is the state dict of an optimizer: load it with optimizer.load_state_dict(state_dict)."
    if path := _further_down(own, given, state_dict):
        return path
    if found := _renaming_of(own, given):
        flat = all(given.get(name) is value for name, value in state_dict.items())
        return advice(found, "state_dict.items()" if flat else "mlx.utils.tree_flatten(state_dict)")
    for key, value in state_dict.items():
        if isinstance(value, Mapping) and (found := _renaming_of(own, value)):
            return f"The weights are in state_dict[{key!r}]. {advice(found, f'state_dict[{key!r}].items()')}"
    if loads:
        return "To load what fits and leave the rest, pass strict=False."
    if not given:
        return "The state dict is empty."
    if not any(name in own for name in given):
        return f"No saved name is one of the model, as {_listed([*own][:2])}: build the model that was saved."
    return None


def _further_down(own: Collection[str], given: Collection[Any], state_dict: Mapping[Any, Any]) -> str | None:
    """Where the model's names are, in words, if they are all in a container that is in ``state_dict``."""
    path = None if any(name in own for name in given) else below(state_dict, own)
    where = "".join(f"[{key!r}]" for key in path or ())
    return f"The names of the model are further down: load state_dict{where}." if where else None


def _renaming_of(own: Mapping[str, Tensor], given: Mapping[Any, Any]) -> Renaming | None:
    def fits(path: str, name: str) -> bool:
        shape = getattr(given[name], "shape", None)  # torch has the same numbers in another order
        return shape is None or math.prod(shape) == own[path].numel()

    return renaming(own, [name for name in given if isinstance(name, str) and name.rpartition(".")[2] != _COUNT], fits)


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(f'"{name}"' for name in names)


_SAYS_TORCH = '"{}" has MLX\'s layout already, and not torch\'s: leave out layout="torch", or transpose it back.'


def _reshaped(path: str, target: Tensor, shape: tuple[int, ...]) -> str:
    """How an array of ``shape`` would fit ``target``."""
    if hint := torchs_layout(target, shape):
        if layouts_of(target) is None:
            return f'"{path}" {hint}.'
        return f'"{path}" {hint}, or pass layout="{TORCH}" to have all convolutions transposed.'
    if len(shape) == 2 and shape[::-1] == tuple(target.shape):
        return f'"{path}" would fit transposed, if it is the same matrix: transpose it with (1, 0).'
    if target.array.dtype == mx.uint32 and "Quantized" in target._layer:
        return f'"{path}" belongs to a quantized layer: load before mlx.nn.quantize, or quantize the saved model too.'
    return f'"{path}" is of a model of another size: build the model as it was built for saving, or leave it out.'
