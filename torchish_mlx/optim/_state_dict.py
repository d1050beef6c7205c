"""torch's state dict: ``{"state": {0: {...}, ...}, "param_groups": [{..., "params": [0, ...]}]}``, out and in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import mlx.core as mx

from .._core.messages import as_lines, kind, shown, some
from .._docs import see
from .._tensor.conversion import array_of
from .._tensor.tensor import Tensor
from ..optimizers._rates import LR_STEP
from ._groups import Group
from ._mapping import ParameterState
from ._misfits import as_float, entry_faults, option_faults
from ._scheduled import complete, settle
from ._state import OptimizerState
from ._torchs_layout import Arranged

Arrange: TypeAlias = Callable[[Mapping[Any, Any], Mapping[int, Tensor]], Arranged]

# What older versions of torch did not save, and the value that is used instead.
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
    tree = tree_of(state)
    if tree is None:  # a wrapper that keeps a dict of its own
        entries = {numbers.get(k, k) if isinstance(k, Tensor) else k: v for k, v in state.items()}
    else:
        entries = _numbered(tree, numbers)
    return {"state": entries, "param_groups": packed_groups}


def tree_of(state: Any) -> OptimizerState | None:
    """The tree behind ``optimizer.state``; None for another mapping."""
    if isinstance(state, ParameterState):
        return state.tree
    return state if isinstance(state, OptimizerState) else None


def _numbered(tree: OptimizerState, numbers: Mapping[Tensor, int]) -> dict[Any, Any]:
    """number -> entries of every parameter that has a dict of them, and what belongs to no parameter."""
    numbered: dict[Any, Any] = {}
    for p, held in tree.saved():
        entries = held.saved()
        if p in numbers:
            numbered[numbers[p]] = entries
        elif entries:
            raise KeyError(
                f"optimizer.state has entries of {tree.paths[p]!r}, a parameter of shape {tuple(p.shape)} in no group, "
                "and a state dict has no number for it: put it into a group, or del optimizer.state[p]"
            )
    return numbered | dict(tree.loose)


def checked(state_dict: Any) -> tuple[list[dict[str, Any]], Mapping[Any, Any]]:
    """The groups and the state of a saved dict, if it has the form of one; no optimizer is compared with it yet."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f'an optimizer\'s state dict is a dict with "state" and "param_groups", but got {kind(state_dict)}: give '
            "what optimizer.state_dict() returned"
        )
    for key in ("param_groups", "state"):
        if key not in state_dict:
            within = [
                k for k, v in state_dict.items() if isinstance(v, Mapping) and {"state", "param_groups"} <= v.keys()
            ]
            advice = f"load state_dict[{within[0]!r}]" if within else "give what optimizer.state_dict() returned"
            raise ValueError(
                f"this is not an optimizer's state dict: it has {some(state_dict)}, and no {key!r}; {advice}"
                + see("a-state-dict-that-does-not-fit")
            )
    groups, state = state_dict["param_groups"], state_dict["state"]
    if not isinstance(groups, (list, tuple)):
        raise ValueError(f'state_dict["param_groups"] is {kind(groups)}, expected a list of dicts, one for each group')
    for i, group in enumerate(groups):
        where = f'state_dict["param_groups"][{i}]'
        if not isinstance(group, Mapping):
            raise ValueError(f'{where} is {kind(group)}, expected a dict of options with "params"')
        if "params" not in group:
            raise ValueError(
                f'{where} has {some(group)}, and no "params": expected the numbers of its parameters there'
            )
        numbers = group["params"]
        if not isinstance(numbers, (list, tuple)):
            raise ValueError(f'{where}["params"] is {kind(numbers)}, expected a list of numbers, as [0, 1]')
        for j, number in enumerate(numbers):
            if type(number) is not int or number.bit_length() > 63:
                raise ValueError(
                    f'{where}["params"][{j}] is {kind(number)}, expected the number of a parameter, an int of 64 bits: '
                    "give what optimizer.state_dict() returned, and not param_groups itself"
                )
    if not isinstance(state, Mapping):
        raise ValueError(f'state_dict["state"] is {kind(state)}, expected a dict: {{0: {{"step": ...}}, 1: ...}}')
    return [dict(group) for group in groups], state


def check_keys(state: Mapping[Any, Any], numbers: Collection[int]) -> None:
    """Refuse entries of parameters that no group has, and those that are no dicts."""
    for key, entries in state.items():
        numeric = key.isdecimal() if isinstance(key, str) else isinstance(key, int) and key >= 0
        if numeric and key not in numbers:
            advice = "drop that entry, or add the number to the group that it belongs to"
            if key in {*map(shown, numbers)}:
                advice = "the numbers became strings, as JSON makes them: load {int(k): v for k, v in state.items()}"
            raise ValueError(
                f'state_dict["state"][{shown(key)}] belongs to no parameter, for no group has it in "params"; {advice}'
            )
        if key in numbers and not isinstance(entries, Mapping):
            raise ValueError(f'state_dict["state"][{key!r}] is {kind(entries)}, expected a dict, as {{"step": ...}}')


def unpacked(
    state: OptimizerState,
    groups: Sequence[Group],
    state_dict: Mapping[str, Any],
    later: Mapping[str, Any],
    keep_dtype: bool,
    arrange: Arrange,
) -> dict[str, Any]:
    """What ``state_dict`` means for these groups: {"state": {p: entries}, "param_groups": [...]}, cast and checked.

    ``later`` are the values of keys that older versions did not save; ``arrange`` puts entries into MLX's layout.

    Raises ValueError where it does not fit, before anything is changed.
    """
    saved, entries_of = checked(state_dict)
    if len(groups) != len(saved):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved)}, and the optimizer has {len(groups)}. Make the groups as they were saved, or load by name "
            "(strict=True)." + see("a-state-dict-that-does-not-fit")
        )
    for i, (group, other) in enumerate(zip(groups, saved, strict=True)):
        if len(group["params"]) != len(other["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                f"group {i} has {len(other['params'])} parameters, and the optimizer's has {len(group['params'])}. "
                "Give the group the parameters that it was saved with, or load by name (strict=True)."
                + see("a-state-dict-that-does-not-fit")
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
    complete(groups, saved, entries_of)
    entries_of, in_torchs_layout = arrange(entries_of, numbered)
    new_groups = [_group(group, other, later) for group, other in zip(groups, saved, strict=True)]
    loaded: dict[Any, Any] = {}
    for key, entries in entries_of.items():
        p = numbered.get(key)
        loaded[key if p is None else p] = (
            entries if p is None else cast(p, entries, clock_of(group_of[key]), keep_dtype)
        )
    numbers = {p: number for number, p in numbered.items()}
    wrong = [fault for faults in in_torchs_layout.values() for fault in faults]
    for i, (group, values) in enumerate(zip(groups, new_groups, strict=True)):
        rule = state.rule_of(group)
        if rule is None:
            continue
        faults = option_faults(rule, values, group)
        if fault := settle(group, values):
            faults[LR_STEP] = fault
        wrong += [f'param_groups[{i}]["{name}"] {fault}' for name, fault in faults.items()]
        if not faults:
            h = rule.hypers(values, rule.carried(values))
            for p in group["params"]:
                wrong += entry_faults(rule, h, p, loaded.get(p) or {}, f"state[{numbers[p]}]")
    if wrong:
        raise ValueError(
            "the state dict does not fit this optimizer, and nothing was changed"
            f"{see('a-state-dict-that-does-not-fit')}: {as_lines(wrong)}"
        )
    return {"state": loaded, "param_groups": new_groups}


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

    What depends on the step alone (NAdam's ``mu_product``, ASGD's ``eta`` and ``mu``) keeps its dtype too, where torch
    rounds it. With ``keep_dtype`` everything that was saved in a floating dtype keeps it.
    """
    floating = p.is_floating_point() and key not in clock
    array = array_of(value, mx.float64 if floating and p.array.dtype == mx.float64 and not keep_dtype else None)
    if array is not None:
        kept = not floating or (keep_dtype and mx.issubdtype(array.dtype, mx.floating))
        return Tensor(array if kept else array.astype(p.array.dtype))
    if isinstance(value, Mapping):
        return {k: cast(p, v, clock, keep_dtype, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(cast(p, v, clock, keep_dtype) for v in value)  # type: ignore[call-arg]
    return value


def restore(tree: OptimizerState, groups: Sequence[Group], loaded: Mapping[Any, Any]) -> None:
    """Make ``tree`` hold exactly the entries of ``loaded`` ({p: entries}), in place.

    The count of the first parameter of a group becomes the group's; a parameter with another count keeps its own.
    """
    held = [slots for slots in tree.slots.values() if slots]
    loaded = {key: dict(value) if isinstance(key, Tensor) else value for key, value in loaded.items()}
    marked = tree.marked()
    tree.forget()
    for group in groups:
        rule, shared = tree.rule_of(group), None
        for p in group["params"]:
            entries = loaded.get(p)
            if not entries or rule is None:
                continue
            entries = loaded[p] = {k: v for k, v in entries.items() if v is not None}
            if entries and rule.counted:
                clock = {name: as_float(entries.pop(name)) for name in rule.clock}
                if shared is None:
                    shared = clock
                    group.arrays.update({name: mx.array(value, mx.float32) for name, value in clock.items()})
                elif clock != shared:
                    entries |= {name: mx.array(value, mx.float32) for name, value in clock.items()}
    for key, value in loaded.items():
        if not isinstance(key, Tensor):
            array = None if isinstance(value, (Tensor, mx.array)) else array_of(value)
            tree.loose[key] = value if array is None else Tensor(array)
            continue
        target = tree.of(key)
        for name, entry in value.items():
            if isinstance(entry, (Tensor, mx.array)):
                target.slots[name] = entry.array if isinstance(entry, Tensor) else entry
            else:
                target[name] = entry
    tree.mark_again(marked)
    if not all(held):
        tree.renew()


def kept(optimizer: Any) -> Callable[[], None]:
    """A function that puts the state and the groups of ``optimizer`` back as they are now. Arrays are not copied."""
    tree = optimizer.state_tree()
    entries, groups = tree.snapshot(), [group.snapshot() for group in optimizer.param_groups]

    def put_back() -> None:
        for group, before in zip(optimizer.param_groups, groups, strict=True):
            group.restore(before)
        tree.restore(entries)

    return put_back
