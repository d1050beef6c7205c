"""Says in words what in a loaded state dict does not fit an optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .._core.messages import kind, shown
from .._tensor.conversion import array_of
from .._tensor.tensor import Tensor
from ..bridge._layouts import layouts_of, torchs_layout
from ..optimizers import Rule
from ..optimizers._core import kept_shapes
from ..optimizers._hyper import Hyper, Static


def option_faults(rule: type[Rule], values: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, str]:
    """name -> what is wrong with an option of a loaded group, where the rule could not continue with it."""
    faults: dict[str, str] = {}
    for name, field in rule.fields().items():
        wanted = group.get(name, field.default)
        if name not in values:
            if name in group or not isinstance(field, Static):
                given = sorted(map(str, values.keys() - {"params", "param_names"}))
                faults[name] = (
                    f"is missing, expected {_described(wanted)} for {rule.__name__}; the group has {given}. Load it "
                    "into an optimizer of the class that saved it, or add the option."
                )
        elif not _fits(field, values[name], wanted):
            faults[name] = (
                f"is {shown(values[name])} ({type(values[name]).__name__}), expected {_described(wanted)} for "
                f"{rule.__name__}. Write such a value into the group before loading."
            )
    return faults


def _described(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "True, False or None"
    return f"a {'number' if isinstance(value, (int, float)) else type(value).__name__} such as {value!r}"


def _fits(field: Hyper, value: Any, wanted: Any) -> bool:
    """Whether ``value`` is one that a rule can take for a field that holds ``wanted``."""
    containers = (list, tuple, dict, set)
    for v in value if isinstance(value, containers) else (value,):
        if isinstance(v, containers) or (isinstance(v, int) and v.bit_length() > 1024):
            return False  # MLX follows a list that contains itself until the process ends
    if isinstance(field, Static):
        kinds: Any = (type(wanted),)
        if wanted is None or isinstance(wanted, (bool, int, float)):
            kinds = (bool, int, float, str, type(None)) if wanted is None else (bool, int, float, type(None))
        elif isinstance(wanted, (list, tuple)):
            kinds = (list, tuple)
        return isinstance(value, kinds) and not (isinstance(value, float) and math.isnan(value))
    try:
        field.carry(value)
        numbers = [as_float(v) for v in (value if isinstance(value, (list, tuple)) else [value]) if v is not None]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
    return not any(map(math.isnan, numbers))


def entry_faults(rule: type[Rule], h: Any, p: Tensor, entries: Mapping[str, Any], where: str) -> list[str]:
    """Says in words with which entries the rule could not continue: those of another model or another optimizer."""
    if not entries:
        return []
    shape = tuple(p.shape)
    slots = kept_shapes(rule, h, p.array, [name for name, value in entries.items() if isinstance(value, Tensor)])
    wanted = {**slots, **dict.fromkeys(rule.clock, ())} if rule.counted else slots
    lacking = sorted(wanted.keys() - entries.keys())
    if lacking:
        return [
            f"{where}, of a parameter of shape {shape}, lacks {lacking} of {rule.__name__}; it has "
            f"{sorted(map(str, entries))}. It was saved by another optimizer: load it into one of that class, with "
            "the same options."
        ]
    faults = []
    for name, expected in wanted.items():
        value, entry = entries[name], f'{where}["{name}"]'
        if name in slots and not isinstance(value, Tensor):
            faults.append(
                f"{entry} is {kind(value)}, expected a tensor of shape {expected}: give the tensor that "
                "optimizer.state_dict() had there"
            )
        elif isinstance(value, Tensor) and tuple(value.shape) != expected:
            advice = (
                "was saved for another model, or with the parameters in another order: build both as they were, or "
                "load by name (strict=True)."
            )
            if expected == shape and (layout := torchs_layout(p, tuple(value.shape))):
                every = "" if layouts_of(p) is None else ', or pass layout="torch"'
                advice = f"{layout}, as every entry of these weights{every}."
            faults.append(
                f"{entry}, of a parameter of shape {shape}, has shape {tuple(value.shape)}, expected {expected}. It "
                f"{advice}"
            )
        elif name not in slots and not _counts(name, value):
            faults.append(
                f"{entry} is {value.item() if isinstance(value, Tensor) else kind(value)}, expected "
                f"{'a count, 0 or more' if name == 'step' else 'a number'}: give the number that was saved"
            )
    return faults


def _counts(name: str, value: Any) -> bool:
    """Whether ``value`` is a number that the clock may show."""
    try:
        number = as_float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
    return math.isfinite(number) and (name != "step" or number >= 0)


def as_float(value: Any) -> float:
    """The number that a value, an array or a Tensor of one element is; TypeError or ValueError for anything else."""
    if isinstance(value, str):
        raise TypeError("a str is no number, not even '3'")
    array = array_of(value)
    return float(value if array is None else array.item())  # type: ignore[arg-type]
