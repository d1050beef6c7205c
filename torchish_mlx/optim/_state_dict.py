"""torch's state dict: ``{"state": {0: {...}, ...}, "param_groups": [{..., "params": [0, ...]}]}``, out and in."""

from __future__ import annotations

import copy
import math
import reprlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import mlx.core as mx

from ..optimizers import Rule
from ..optimizers._core import kept_shapes
from ..optimizers._hyper import Hyper, Static
from ..tensor import Tensor
from ..tensor.creation import array_of
from ..tensor.module_state import torchs_layout
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


def checked(state_dict: Any) -> tuple[list[dict[str, Any]], Mapping[Any, Any]]:
    """The groups and the state of a saved dict, if it has the form of one; no optimizer is compared with it yet."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f'an optimizer\'s state dict is a dict with "state" and "param_groups", but got {_kind(state_dict)}: give '
            "what optimizer.state_dict() returned"
        )
    for key in ("param_groups", "state"):
        if key not in state_dict:
            within = [
                k for k, v in state_dict.items() if isinstance(v, Mapping) and {"state", "param_groups"} <= v.keys()
            ]
            cure = f"load state_dict[{within[0]!r}]" if within else "give what optimizer.state_dict() returned"
            raise ValueError(
                f"this is not an optimizer's state dict: it has {_some(state_dict)}, and no {key!r}; {cure}"
            )
    groups, state = state_dict["param_groups"], state_dict["state"]
    if not isinstance(groups, (list, tuple)):
        raise ValueError(f'state_dict["param_groups"] is {_kind(groups)}, expected a list of dicts, one for each group')
    for i, group in enumerate(groups):
        where = f'state_dict["param_groups"][{i}]'
        if not isinstance(group, Mapping):
            raise ValueError(f'{where} is {_kind(group)}, expected a dict of options with "params"')
        if "params" not in group:
            raise ValueError(
                f'{where} has {_some(group)}, and no "params": expected the numbers of its parameters there'
            )
        numbers = group["params"]
        if not isinstance(numbers, (list, tuple)):
            raise ValueError(f'{where}["params"] is {_kind(numbers)}, expected a list of numbers, as [0, 1]')
        for j, number in enumerate(numbers):
            if type(number) is not int:
                raise ValueError(
                    f'{where}["params"][{j}] is {_kind(number)}, expected the number of a parameter, an int: give what '
                    "optimizer.state_dict() returned, and not param_groups itself"
                )
    if not isinstance(state, Mapping):
        raise ValueError(f'state_dict["state"] is {_kind(state)}, expected a dict: {{0: {{"step": ...}}, 1: ...}}')
    return [dict(group) for group in groups], state


def check_keys(state: Mapping[Any, Any], numbers: Collection[int]) -> None:
    """Refuse entries of parameters that no group has, and those that are no dicts."""
    for key, entries in state.items():
        if key not in numbers and isinstance(key, (int, str)) and str(key).isdigit():
            cure = "drop that entry, or add the number to the group that it belongs to"
            if int(key) in numbers:
                cure = "the numbers became strings, as JSON makes them: load {int(k): v for k, v in state.items()}"
            raise ValueError(
                f'state_dict["state"][{key!r}] belongs to no parameter, for no group has {key!r} in "params"; {cure}'
            )
        if key in numbers and not isinstance(entries, Mapping):
            raise ValueError(f'state_dict["state"][{key!r}] is {_kind(entries)}, expected a dict, as {{"step": ...}}')


def unpacked(
    state: OptimizerState,
    groups: Sequence[Group],
    state_dict: Mapping[str, Any],
    later: Mapping[str, Any],
    keep_dtype: bool = False,
) -> dict[str, Any]:
    """What ``state_dict`` means for these groups: {"state": {p: entries}, "param_groups": [...]}, cast and checked.

    ``later`` are the values of keys that older versions did not save.

    Raises ValueError where it does not fit, before anything is changed.
    """
    saved, entries_of = checked(state_dict)
    if len(groups) != len(saved):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved)}, and the optimizer has {len(groups)}. Make the groups as they were saved, or load by name "
            "(strict=True)."
        )
    for i, (group, other) in enumerate(zip(groups, saved, strict=True)):
        if len(group["params"]) != len(other["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                f"group {i} has {len(other['params'])} parameters, and the optimizer's has {len(group['params'])}. "
                "Give the group the parameters that it was saved with, or load by name (strict=True)."
            )
    group_of: dict[int, Group] = {}
    numbered: dict[int, Tensor] = {}
    for i, (group, other) in enumerate(zip(groups, saved, strict=True)):
        for p, number in zip(group["params"], other["params"], strict=True):
            if numbered.setdefault(number, p) is not p:
                raise ValueError(
                    f'state_dict["param_groups"][{i}]["params"] has the number {number}, which another parameter has '
                    "already; expected a number for each parameter, as optimizer.state_dict() gives them"
                )
            group_of[number] = group
    check_keys(entries_of, numbered)
    new_groups = [_group(group, other, later) for group, other in zip(groups, saved, strict=True)]
    loaded: dict[Any, Any] = {}
    for key, entries in entries_of.items():
        p = numbered.get(key)
        loaded[key if p is None else p] = (
            entries if p is None else cast(p, entries, clock_of(group_of[key]), keep_dtype)
        )
    numbers = {p: number for number, p in numbered.items()}
    wrong: list[str] = []
    for i, (group, values) in enumerate(zip(groups, new_groups, strict=True)):
        rule = state.rule_of(group)
        if rule is None:
            continue
        faults = option_faults(rule, values, group)
        wrong += [f'param_groups[{i}]["{name}"] {fault}' for name, fault in faults.items()]
        if not faults:
            h = rule.hypers(values, rule.carried(values))
            for p in group["params"]:
                wrong += entry_faults(rule, h, p, loaded.get(p) or {}, f"state[{numbers[p]}]")
    if wrong:
        raise ValueError("the state dict does not fit this optimizer, and nothing was changed: " + as_lines(wrong))
    return {"state": loaded, "param_groups": new_groups}


def as_lines(sentences: Sequence[str]) -> str:
    """The sentences below each other, if there are several; the first ones of many."""
    more = [f"and {len(sentences) - 20} more"] * (len(sentences) > 20)
    return "\n\t".join([""] * (len(sentences) > 1) + [*sentences[:20], *more])


def _kind(value: Any) -> str:
    text = shown(value) if isinstance(value, (int, float, str, bytes, type(None))) else ""
    return f"{type(value).__name__}{f' {text}' if 0 < len(text) <= 40 and value is not None else ''}"


def _some(names: Collection[Any]) -> str:
    shown = list(names)[:12]
    return f"{shown}{f' and {len(names) - 12} more' if len(names) > 12 else ''}"


def clock_of(group: Group) -> set[str]:
    """The entries of a parameter that depend on its count alone."""
    return {"step", *(group.rule.clock if group.rule is not None else ())}


def _group(group: Group, saved: dict[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one loaded group: torch's rule for ``params`` and ``param_names``, and keys that came later."""
    values = {key: own(value) for key, value in saved.items()}
    values["params"] = group["params"]
    if "param_names" in group:
        values.setdefault("param_names", group["param_names"])
    for key, value in later.items():
        values.setdefault(key, value)
    return values


def own(value: Any) -> Any:
    """A copy of an option; another library's tensor (an ``lr``) becomes a Tensor."""
    array = None if isinstance(value, (Tensor, mx.array)) else array_of(value)
    return copy.deepcopy(value) if array is None else Tensor(array)


def cast(p: Tensor, value: Any, clock: Collection[str], keep_dtype: bool = False, key: Any = None) -> Any:
    """torch's rule: state takes the dtype of its parameter where that is a floating one, except the step.

    Nor does what depends on the step alone (NAdam's ``mu_product``, ASGD's ``eta`` and ``mu``); torch rounds it here.
    With ``keep_dtype`` what was saved in a floating dtype keeps that.
    """
    floating = p.is_floating_point() and key not in clock
    array = array_of(value, mx.float64 if floating and p.dtype == mx.float64 and not keep_dtype else None)
    if array is not None:
        kept = not floating or (keep_dtype and mx.issubdtype(array.dtype, mx.floating))
        return Tensor(array if kept else array.astype(p.dtype))
    if isinstance(value, Mapping):
        return {k: cast(p, v, clock, keep_dtype, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(cast(p, v, clock, keep_dtype) for v in value)  # type: ignore[call-arg]
    return value


# -- what does not fit -----------------------------------------------------------------------------------------------


def option_faults(rule: type[Rule], values: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, str]:
    """name -> what is wrong with an option of a loaded group, where the rule could not go on with it."""
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


def shown(value: Any) -> str:
    """A value of a file in a message: its beginning, however deep it is or often it contains itself.

    >>> shown([[0.1, 0.2]] * 1000)
    '[[0.1, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1, 0.2], ...]'
    """
    try:
        return reprlib.repr(value)
    except ValueError:  # an int of thousands of digits
        return "a huge number"


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
        numbers = [_number(v) for v in (value if isinstance(value, (list, tuple)) else [value]) if v is not None]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
    return not any(map(math.isnan, numbers))


def entry_faults(rule: type[Rule], h: Any, p: Tensor, entries: Mapping[str, Any], where: str) -> list[str]:
    """Entries that the rule could not go on with: another model's, or another optimizer's, in words."""
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
                f"{entry} is {_kind(value)}, expected a tensor of shape {expected}: give the tensor that "
                "optimizer.state_dict() had there"
            )
        elif isinstance(value, Tensor) and tuple(value.shape) != expected:
            cure = (
                "was saved for another model, or with the parameters in another order: build both as they were, or "
                "load by name (strict=True)."
            )
            if expected == shape and (layout := torchs_layout(p, tuple(value.shape))):
                cure = f"{layout}, as every entry of a convolution's weights."
            faults.append(
                f"{entry}, of a parameter of shape {shape}, has shape {tuple(value.shape)}, expected {expected}. It "
                f"{cure}"
            )
        elif name not in slots and not _counts(name, value):
            faults.append(
                f"{entry} is {value.item() if isinstance(value, Tensor) else _kind(value)}, expected "
                f"{'a count, 0 or more' if name == 'step' else 'a number'}: give the number that was saved"
            )
    return faults


def _counts(name: str, value: Any) -> bool:
    """Whether ``value`` is a number that the clock may show."""
    try:
        number = _number(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
    return math.isfinite(number) and (name != "step" or number >= 0)


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
    if isinstance(value, str):
        raise TypeError("a str is no number, not even '3'")
    array = array_of(value)
    return float(value if array is None else array.item())  # type: ignore[arg-type]
