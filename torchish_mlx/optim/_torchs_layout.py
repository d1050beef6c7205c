"""The state of a convolution's weights in a state dict: in torch's layout or in MLX's, as the weights are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .._core.origin import MLX, TORCH, Origin
from .._tensor.conversion import origin_of
from .._tensor.tensor import Tensor
from ..bridge._layouts import LayerValue, Layouts, doubts, layouts_of, torchs_layout, transposed


class Arranged(NamedTuple):
    """The entries of a state dict in MLX's layout, and what can't be brought into it, by the parameter's number."""

    entries: Mapping[Any, Any]
    faults: dict[int, list[str]]


def arranged(optimizer: Any, layout: str | None, entries: Mapping[Any, Any], of: Mapping[int, Tensor]) -> Arranged:
    """``entries`` of a state dict for the parameters ``of`` its numbers.

    ``layout`` says in which layout they are: "mlx"; "torch", by which they are transposed; or None, where it is
    found from shapes and origins.
    """
    out = Arranged(entries, {})
    known = {n: found for n, p in of.items() if (found := layouts_of(p)) is not None}
    if layout == MLX or not known:
        return out
    if optimizer._in_order:
        if any(layouts.moves for layouts in known.values()):
            out.faults.update(_joined_faults(layout, entries, of))
        return out
    if layout == TORCH:
        new = {n: _transposed(found, entries[n], n, out.faults) for n, found in known.items() if n in entries}
        return out._replace(entries={**entries, **new})
    held: list[tuple[int, LayerValue]] = []
    for number, layouts in known.items():
        for name, value in _tensors(entries.get(number), f"state[{number}]"):
            shape = tuple(value.shape)
            if len(shape) == len(layouts.mlx) and max(shape) > 1:
                held.append((number, LayerValue(name, layouts, shape, origin_of(value))))
                if optimizer.rule is None and shape == layouts.torch != layouts.mlx:  # nothing else looks at its shape
                    what = torchs_layout(of[number], shape)
                    out.faults.setdefault(number, []).append(f"{name} {what}, as every entry of these weights.")
    in_doubt = doubts(entry for _, entry in held)
    for number, entry in held:
        if entry.name in in_doubt:
            out.faults.setdefault(number, []).append(in_doubt[entry.name])
    return out


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """(name, tensor) of every array among the entries of a parameter, in lists and dicts too."""
    if hasattr(value, "shape"):
        yield name, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _tensors(child, f'{name}["{key}"]')
    elif isinstance(value, (list, tuple)):
        for i, child in enumerate(value):
            yield from _tensors(child, f"{name}[{i}]")


def _transposed(layouts: Layouts, value: Any, number: int, faults: dict[int, list[str]], name: str = "") -> Any:
    """The entries with the arrays of torch's shape transposed."""
    name = name or f"state[{number}]"
    if isinstance(value, Mapping):
        return {k: _transposed(layouts, v, number, faults, f'{name}["{k}"]') for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_transposed(layouts, v, number, faults, f"{name}[{i}]") for i, v in enumerate(value)])
    shape = tuple(getattr(value, "shape", ()))
    if len(shape) != len(layouts.mlx) or max(shape) <= 1:
        return value
    if shape == layouts.torch:
        return transposed(value, layouts.order)
    why = f'has shape {shape}, and layout="torch" expects {layouts.torch}, the shape of the weights in torch\'s layout'
    if shape == layouts.mlx:
        why = "has MLX's layout already, and not torch's: leave out layout=\"torch\", or transpose it back"
    elif all(n in (1, m) for n, m in zip(shape, layouts.torch, strict=True)):
        why += (
            ", and moments of some of its axes can't be transposed: delete the entries of this number, to begin without"
        )
    faults.setdefault(number, []).append(f"{name} {why}.")
    return value


def _joined_faults(layout: str | None, entries: Mapping[Any, Any], numbers: Iterable[int]) -> dict[int, list[str]]:
    """What is wrong with vectors of all parameters, one after the other, which can't be transposed."""
    for number in numbers:
        for name, value in _tensors(entries.get(number), f"state[{number}]"):
            if tuple(value.shape) not in ((), (1,)) and (layout == TORCH or origin_of(value) != Origin(MLX)):
                fault = (
                    f"{name} is one vector of all parameters, with the weights of convolutions in torch's order or in "
                    "MLX's, and a vector is not put into the other order here: begin with a new optimizer; or, if "
                    'it is in MLX\'s order, pass layout="mlx".'
                )
                return {number: [fault]}
    return {}
