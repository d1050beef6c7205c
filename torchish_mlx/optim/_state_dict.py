"""torch's state dict: ``{"state": {0: {...}, ...}, "param_groups": [{..., "params": [0, ...]}]}``, out and in."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import mlx.core as mx
import numpy as np

from ..optimizers._core import kept_shapes
from ..optimizers._hyper import Static
from ..tensor import Tensor
from ._groups import Group
from ._state import OptimizerState

# What older versions of torch did not save, and the value that stands for it.
LATER_KEYS: dict[str, Any] = {
    "amsgrad": False,
    "capturable": False,
    "decoupled_weight_decay": False,
    "differentiable": False,
    "foreach": None,
    "fused": None,
    "maximize": False,
}


def packed(groups: Sequence[Mapping[str, Any]], state: Mapping[Any, Any]) -> dict[str, Any]:
    """The state dict: parameters become their numbers, in the order of the groups."""
    numbers: dict[Tensor, int] = {}
    packed_groups, start = [], 0
    for group in groups:
        for i, p in enumerate(group["params"], start):
            numbers.setdefault(p, i)
        start += len(group["params"])
        entry = {key: value for key, value in group.items() if key != "params"}
        packed_groups.append({**entry, "params": [numbers[p] for p in group["params"]]})
    if isinstance(state, OptimizerState):
        entries = {i: dict(state[p]) for p, i in numbers.items() if p in state} | state.loose
    else:  # a wrapper that keeps a dict of its own
        entries = {numbers.get(k, k) if isinstance(k, Tensor) else k: v for k, v in state.items()}
    return {"state": entries, "param_groups": packed_groups}


def unpacked(
    state: OptimizerState, groups: Sequence[Group], state_dict: Mapping[str, Any], later: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``state_dict`` means for these groups: {"state": {p: entries}, "param_groups": [...]}, cast and checked.

    ``later`` are the values of keys that older versions did not save.

    Raises ValueError where it does not fit, before anything is changed.
    """
    for key in ("param_groups", "state"):
        if key not in state_dict:
            raise ValueError(f"this is not an optimizer's state dict: it has {list(state_dict)}, and no {key!r}")
    saved = [dict(group) for group in state_dict["param_groups"]]
    if len(groups) != len(saved):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved)}, and the optimizer has {len(groups)}"
        )
    for i, (group, other) in enumerate(zip(groups, saved, strict=True)):
        if len(group["params"]) != len(other["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                f"group {i} has {len(other['params'])} parameters, and the optimizer's has {len(group['params'])}"
            )
    numbered = dict(
        zip(
            chain.from_iterable(g["params"] for g in saved),
            chain.from_iterable(g["params"] for g in groups),
            strict=True,
        )
    )
    new_groups = [_group(group, other, later) for group, other in zip(groups, saved, strict=True)]
    clock = {name for group in groups if group.rule is not None for name in group.rule.clock} | {"step"}
    loaded: dict[Any, Any] = {}
    for key, entries in state_dict["state"].items():
        loaded[numbered.get(key, key)] = _cast(numbered[key], entries, clock) if key in numbered else entries
    numbers = {p: number for number, p in numbered.items()}
    for group, values in zip(groups, new_groups, strict=True):
        if state.rule_of(group) is not None:
            _check(group, values, loaded, numbers)
    return {"state": loaded, "param_groups": new_groups}


def _group(group: Group, saved: dict[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one loaded group: torch's rule for ``params`` and ``param_names``, and keys that came later."""
    values = {key: copy.deepcopy(value) for key, value in saved.items()}
    values["params"] = group["params"]
    if "param_names" in group:
        values.setdefault("param_names", group["param_names"])
    for key, value in later.items():
        values.setdefault(key, value)
    return values


def _array(value: Any) -> mx.array | None:
    """The array of a Tensor, an mx.array, a NumPy array or another library's tensor; None for anything else."""
    if isinstance(value, Tensor):
        return value.array
    if isinstance(value, mx.array):
        return value
    if isinstance(value, np.ndarray) or hasattr(value, "__dlpack__"):
        return mx.array(value.detach() if hasattr(value, "detach") else value)
    return None


def _cast(p: Tensor, value: Any, clock: Collection[str], key: Any = None) -> Any:
    """torch's rule: state takes the dtype of its parameter where that is a floating one, except the step.

    Nor does what depends on the step alone (NAdam's ``mu_product``, ASGD's ``eta`` and ``mu``); torch rounds it here.
    """
    array = _array(value)
    if array is not None:
        return Tensor(array.astype(p.dtype) if key not in clock and p.is_floating_point() else array)
    if isinstance(value, Mapping):
        return {k: _cast(p, v, clock, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_cast(p, v, clock) for v in value)  # type: ignore[call-arg]
    return value


def _check(group: Group, values: Mapping[str, Any], state: Mapping[Any, Any], numbers: Mapping[Tensor, int]) -> None:
    """Refuse entries that the rule could not go on with: another model's, or another optimizer's."""
    rule = group.rule
    assert rule is not None
    missing = [
        name
        for name, field in rule.fields().items()
        if name not in values and (name in group or not isinstance(field, Static))
    ]
    if missing:
        raise ValueError(f"the loaded parameter group lacks {missing} of {rule.__name__}; it has {sorted(values)}")
    h = rule.hypers(values, rule.carried(values))
    for p in values["params"]:
        entries = state.get(p)
        if not entries:
            continue
        where = f"the loaded state of parameter {numbers[p]} (shape {tuple(p.shape)})"
        slots = kept_shapes(rule, h, p.array, [name for name, value in entries.items() if isinstance(value, Tensor)])
        wanted = {**slots, **dict.fromkeys(rule.clock, ())} if rule.counted else slots
        lacking = sorted(wanted.keys() - entries.keys())
        if lacking:
            raise ValueError(
                f"{where} lacks {lacking} of {rule.__name__}; it has {sorted(entries)}. It was saved by another "
                "optimizer."
            )
        for name, value in entries.items():
            if name in slots and not isinstance(value, Tensor):
                raise ValueError(f"{where} has {name!r} as {type(value).__name__}, expected a tensor")
            shape = tuple(value.shape) if isinstance(value, Tensor) else ()
            expected = wanted.get(name, shape)
            if shape != expected:
                raise ValueError(
                    f"{where} has {name!r} of shape {shape}, expected {expected}. It was saved for another model, "
                    "or with the parameters in another order."
                )


def restore(state: OptimizerState, groups: Sequence[Group], loaded: Mapping[Any, Any]) -> None:
    """Make ``state`` hold exactly the entries of ``loaded`` ({p: entries}), in place.

    A count that the first parameter of a group has becomes the group's; who has another one keeps it as its own.
    """
    held = [slots for slots in state.slots.values() if slots]
    state.forget()
    for group in groups:
        rule, shared = state.rule_of(group), None
        for p in group["params"]:
            entries = dict(loaded.get(p) or {})
            if rule is not None:
                entries = {k: v for k, v in entries.items() if v is not None}
            if entries and rule is not None and rule.counted:
                clock = {name: _number(entries.pop(name)) for name in rule.clock}
                if shared is None:
                    shared = clock
                    group.arrays.update({name: mx.array(value, mx.float32) for name, value in clock.items()})
                elif clock != shared:
                    entries |= {name: Tensor(mx.array(value, mx.float32)) for name, value in clock.items()}
            target = state.entries(p)
            for name, value in entries.items():
                if isinstance(value, Tensor):
                    target.slots[name] = value.array
                else:
                    target[name] = value
    state.loose = {key: value for key, value in loaded.items() if not isinstance(key, Tensor)}
    if not all(held):
        state.renew()


def _number(value: Any) -> float:
    array = _array(value)
    return float(value if array is None else array.item())  # type: ignore[arg-type]
