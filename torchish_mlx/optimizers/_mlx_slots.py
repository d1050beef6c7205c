"""The slots of one parameter: from MLX's names and shapes to a rule's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mlx.core as mx

from ._core import kept_shapes
from ._mlx_state import MLXPart

Leaf = tuple[tuple[Any, ...], Mapping[str, mx.array]]  # where it is in the tree, and MLX's slots
_SAVED_BY = {  # for messages: the classes that have these slots
    frozenset(("m", "v")): "Adam, AdamW or Adamax",
    frozenset(("m",)): "Lion",
    frozenset(("v",)): "SGD, RMSprop, Adagrad or Muon",
    frozenset(("v", "u")): "AdaDelta",
    frozenset(("exp_avg_sq",)): "Adafactor",
    frozenset(("exp_avg_sq_row", "exp_avg_sq_col")): "Adafactor",
    frozenset(("exp_avg_sq", "exp_avg")): "Adafactor with beta_1",
    frozenset(("exp_avg_sq_row", "exp_avg_sq_col", "exp_avg")): "Adafactor with beta_1",
}


def entry(keys: Iterable[Any]) -> str:
    """How the entry at ``keys`` is written."""
    return "state" + "".join(f"[{key!r}]" if isinstance(key, int) else f'["{key}"]' for key in keys)


def converted(
    part: MLXPart, h: Any, p: mx.array | None, step: int, keys: tuple[Any, ...], slots: Mapping[str, mx.array]
) -> dict[str, mx.array]:
    """The rule's slots of one parameter, from MLX's."""
    mlx = part.counterpart()
    names = mlx.slots if p is None else part.names(p)
    strange = sorted(slots.keys() - (names or {}).keys())
    classes = _SAVED_BY.get(frozenset(slots))
    saved_by = f" It looks like the state of MLX's {classes}." if classes else ""
    if strange or names is None:
        raise ValueError(
            f"{entry((*keys, *strange[:1]))} is a slot that {part.name} does not keep: MLX's has "
            f"{sorted(names or {})}. The state is of another optimizer.{saved_by} For MLX's own formula and slots: "
            "optim.from_mlx(mlx.optimizers.<its class>)"
        )
    new = {}
    for name, value in slots.items():
        if name in mlx.squares and mx.any(value < 0).item():
            raise ValueError(
                f"{entry((*keys, name))} has negative entries, where {part.name} keeps squares or absolute values: "
                f"the state is of another optimizer.{saved_by}"
            )
        axis = mlx.axes.get(names[name])
        new[names[name]] = value if axis is None or value.ndim < -1 - axis else mx.expand_dims(value, axis)
    if p is None:
        p = _stand_in(part, new, keys)
    blank = step == 0 and not any(mx.any(value).item() for value in new.values())
    keeps_late = getattr(h, "remembers", False) and not blank  # torch makes SGD's buffer in the first step
    wanted = kept_shapes(part.rule, h, p, new if keeps_late else ())
    for name in [name for name in new if name not in wanted]:
        if mx.any(new.pop(name)).item():
            raise ValueError(
                f"{entry((*keys, _theirs(names, name)))} holds numbers, but {part.name} keeps no {name!r} for this "
                f"parameter (shape {tuple(p.shape)}) with its options. It was saved with others (a momentum), or "
                "for another model"
            )
    for name, shape in wanted.items():
        if name not in new and name in mlx.alone:
            raise ValueError(
                f"{entry(keys)} has {sorted(slots)}, and nothing for {name!r} of {part.name}, which MLX does not have: "
                f"construct it with {mlx.alone[name]}"
            )
        theirs = _theirs(names, name)
        if theirs is None:
            raise ValueError(
                f"{part.name} keeps {name!r}, of which MLX has nothing: use state_dict() and load_state_dict()"
            )
        if name not in new:
            raise ValueError(f"{entry((*keys, theirs))} is missing: {part.name} needs it as {name!r}.{saved_by}")
        if tuple(new[name].shape) != shape:
            expected = _without(shape, mlx.axes.get(name))
            raise ValueError(
                f"{entry((*keys, theirs))} has the shape {tuple(slots[theirs].shape)}, expected {expected}: it was "
                "saved for another model"
            )
    return new


def _stand_in(part: MLXPart, new: Mapping[str, mx.array], keys: tuple[Any, ...]) -> mx.array:
    """An array of the shape that the parameter must have, which a rule alone does not know."""
    shape: tuple[int, ...] = ()
    for value in new.values():
        lengths = zip(_padded(shape, value.ndim), _padded(tuple(value.shape), len(shape)), strict=True)
        shape = tuple(b if a == 1 else a for a, b in lengths)
    p = mx.zeros(shape, next(iter(new.values())).dtype)
    try:
        part.rule.check_parameter(p)
    except ValueError as error:
        raise ValueError(f"{entry(keys)} is of a parameter that {part.name} can't train: {error}") from None
    return p


def _padded(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return (1,) * (ndim - len(shape)) + shape


def _without(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """The shape without the axis that MLX leaves out."""
    return shape if axis is None else tuple(n for i, n in enumerate(shape, -len(shape)) if i != axis)


def _theirs(names: Mapping[str, str], name: str) -> str | None:
    """MLX's name of a slot; None where it has no such slot."""
    return next((theirs for theirs, ours in names.items() if ours == name), None)
