"""Loads a state dict by the names of the parameters, whatever their order and their groups are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.messages import as_lines, shown
from .._docs import see
from .._tensor.tensor import Tensor
from ..bridge._renaming import renaming
from ..optimizers._rates import LR_STEP
from ._groups import Group
from ._misfits import entry_faults, option_faults
from ._scheduled import complete, is_scheduled, settle
from ._state import OptimizerState
from ._state_dict import Arrange, cast, check_keys, checked, clock_of, own

_absent = object()


class LoadReport(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` passed over.

    Attributes:
        missing_keys: parameters that only the optimizer has, and options that the groups of the state dict do not have.
        unexpected_keys: parameters that only the state dict has.
        mismatched_keys: {what both have and does not fit: why, in words}.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]
    mismatched_keys: dict[str, str]

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return (
            f"LoadReport(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys}, "
            f"mismatched_keys={self.mismatched_keys})"
        )


class _Saved(NamedTuple):
    """A parameter in a file: the index of its group there, and its number."""

    group: int
    number: int


def by_name(
    optimizer: Any,
    state_dict: Mapping[str, Any],
    later: Mapping[str, Any],
    strict: bool,
    keep_dtype: bool,
    arrange: Arrange,
) -> tuple[dict[str, Any], LoadReport]:
    """What ``state_dict`` means for ``optimizer``, as ``unpacked`` gives it, and what does not fit.

    Raises ValueError for names on one side only, and with ``strict`` for everything that does not fit, at once.
    """
    state: OptimizerState = optimizer.state_tree()
    groups: Sequence[Group] = optimizer.param_groups
    saved_groups, entries_of = checked(state_dict)
    names = _own_names(state, groups)
    saved = _saved_names(saved_groups)
    check_keys(entries_of, {entry.number for entry in saved.values()})
    complete(groups, saved_groups, entries_of)
    entries_of, in_torchs_layout = arrange(entries_of, {saved[n].number: p for n, p in names.items() if n in saved})
    report = LoadReport([name for name in names if name not in saved], [n for n in saved if n not in names], {})
    name_of = {p: name for name, p in names.items()}
    new_groups = []
    loaded: dict[Any, Any] = {key: v for key, v in entries_of.items() if not isinstance(key, int)}
    fixed = optimizer._in_order and [n for n in saved if n in names] != [n for n in names if n in saved]
    for i, group in enumerate(groups):
        members = [name_of[p] for p in group["params"]]
        rule = state.rule_of(group)
        needed = [*(optimizer.defaults if rule is None else rule.fields()), *([LR_STEP] if is_scheduled(group) else [])]
        sources = {n: saved_groups[saved[n].group] for n in members if n in saved}
        values = _options(i, group, sources, needed, later, report)
        if rule is not None:
            faults_of = option_faults(rule, values, group)
            if fault := settle(group, values):
                faults_of[LR_STEP] = fault
            for key, fault in faults_of.items():
                if f'param_groups[{i}]["{key}"]' not in report.missing_keys:
                    report.mismatched_keys[f'param_groups[{i}]["{key}"]'] = fault
                    values[key] = group[key]
        new_groups.append(values)
        h = None if rule is None else rule.hypers(values, rule.carried(values))
        for p, name in zip(group["params"], members, strict=True):
            held = state.entries(state.add(p, None, None)).apart()
            if name not in saved:
                if state.has(p):
                    loaded[p] = held
                continue
            number = saved[name].number
            where = f"state[{number}]"
            given = cast(p, entries_of.get(number, {}), clock_of(group), keep_dtype)
            faults = in_torchs_layout.get(number, []) + optimizer._misfits(given, where)
            if rule is not None:
                faults += _strangers(rule, h, p, given, held, where) or entry_faults(rule, h, p, given, where)
            if fixed and given:
                faults.append(
                    f"{where} is one vector of all parameters, in the order {list(saved)}; expected {list(names)}. "
                    "Make the optimizer with its parameters in that order."
                )
            if faults:
                report.mismatched_keys[name] = " ".join(faults)
            if state.has(p) if faults else number in entries_of:
                loaded[p] = held if faults else given
    if strict and any(report):
        raise ValueError(_refusal(type(optimizer).__name__, report, names, saved))
    return {"state": loaded, "param_groups": new_groups}, report


# -- names -----------------------------------------------------------------------------------------------------------


def _own_names(state: OptimizerState, groups: Sequence[Group]) -> dict[str, Tensor]:
    """name -> parameter: the names that it was given with, or its path in its module."""
    names: dict[str, Tensor] = {}
    for i, group in enumerate(groups):
        given = group.get("param_names") or [None] * len(group["params"])
        for j, (p, name) in enumerate(zip(group["params"], given, strict=True)):
            name = name or state.paths.get(p)
            if name is None or name.partition("#")[0].isdigit():
                raise ValueError(
                    f'param_groups[{i}]["params"][{j}] of this optimizer has no name, and strict=True and strict=False '
                    "load by name: make the optimizer of torchish_mlx.named_parameters(model), or of (name, parameter) "
                    "pairs; or load by order with strict=None"
                )
            if names.setdefault(name, p) is not p:
                raise ValueError(
                    f"two parameters of this optimizer have the name {name!r}, and it can't load by name: give them "
                    "names of their own, as (name, parameter) pairs, or load by order with strict=None"
                )
    return names


def _saved_names(groups: Sequence[Mapping[str, Any]]) -> dict[str, _Saved]:
    saved: dict[str, _Saved] = {}
    numbers: dict[int, str] = {}
    for i, group in enumerate(groups):
        where, names = f'state_dict["param_groups"][{i}]', group.get("param_names")
        if names is None:
            raise ValueError(
                f'{where} has no "param_names", and strict=True and strict=False load by name: save from an optimizer '
                "made of named_parameters (in torch model.named_parameters()), or add the names as a list, one for "
                'each of its "params"; or load by order with strict=None'
            )
        fits = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
        if not fits or len(names) != len(group["params"]):
            raise ValueError(
                f'{where}["param_names"] is {shown(names)}, expected a list of {len(group["params"])} names, one '
                'for each of its "params"'
            )
        for name, number in zip(names, group["params"], strict=True):
            entry = saved.setdefault(name, _Saved(i, number))
            if entry != (i, number) or numbers.setdefault(number, name) != name:
                raise ValueError(
                    f"{where} has the name {name!r} and the number {number}, and one of them already belongs to "
                    "another parameter; expected a name and a number of its own for each parameter"
                )
    return saved


# -- groups ----------------------------------------------------------------------------------------------------------


def _options(
    i: int,
    group: Group,
    sources: Mapping[str, Mapping[str, Any]],
    needed: Collection[str],
    later: Mapping[str, Any],
    report: LoadReport,
) -> dict[str, Any]:
    """The options of group ``i``: those that its parameters were saved with. ``sources`` are name -> saved group."""
    values = dict(group)
    if not sources:
        return values
    distinct: dict[int, tuple[str, Mapping[str, Any]]] = {}
    for name, source in sources.items():
        distinct.setdefault(id(source), (name, source))
    first, *others = distinct.values()
    keys = dict.fromkeys(key for _, source in distinct.values() for key in source)
    for key in keys:
        if key in ("params", "param_names"):
            continue
        name, source = first
        value = source.get(key, later.get(key, _absent))
        unlike = next((n for n, s in others if not same_option(s.get(key, later.get(key, _absent)), value)), None)
        if unlike is not None:
            other = distinct[id(sources[unlike])][1].get(key, later.get(key, _absent))
            report.mismatched_keys[f'param_groups[{i}]["{key}"]'] = (
                f"is {_shown(value)} for {name!r} and {_shown(other)} for {unlike!r} in the state dict, expected one "
                "value for the group: put these parameters into groups of their own, as they were saved."
            )
        else:
            values[key] = own(value)
    for key in group:
        if key in ("params", "param_names") or key in keys:
            continue
        if key in later:
            values[key] = later[key]
        elif key in needed:
            report.missing_keys.append(f'param_groups[{i}]["{key}"]')
    return values


def _shown(value: Any) -> str:
    return "absent" if value is _absent else shown(value)


def same_option(a: Any, b: Any) -> bool:
    """Whether two options are the same, tensors and tuples included."""
    if a is b:
        return True
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_option, a, b))
    return bool(_plain(a) == _plain(b))


def _plain(value: Any) -> Any:
    """A tensor or an array as Python numbers."""
    return value.tolist() if hasattr(value, "tolist") else value


# -- entries ---------------------------------------------------------------------------------------------------------


def _strangers(rule: Any, h: Any, p: Tensor, given: Mapping[str, Any], held: Collection[str], where: str) -> list[str]:
    """Tensors that the rule does not keep: those of another optimizer, or of other options."""
    kept = {*rule.slots(h, p.array), *(rule.clock if rule.counted else ()), *rule.late}
    extra = sorted(
        str(name) for name, value in given.items() if isinstance(value, Tensor) and name not in (*kept, *held)
    )
    if not extra:
        return []
    return [
        f"{where} has {extra}, which {rule.__name__} does not keep; expected {sorted(kept)}. It "
        "was saved by another optimizer, or with other options: load it into one of that class, or by order with "
        "strict=None."
    ]


def _refusal(kind: str, report: LoadReport, names: Collection[str], saved: Collection[str]) -> str:
    missing = [key for key in report.missing_keys if key in names]
    options = [key for key in report.missing_keys if key not in names]
    sentences = []
    if missing:
        sentences.append(f"Missing: {_quoted(missing)}, which this optimizer has and the state dict does not have.")
    if report.unexpected_keys:
        sentences.append(
            f"Unexpected: {_quoted(report.unexpected_keys)}, which the state dict has and this optimizer does not have."
        )
    if missing or report.unexpected_keys:
        found = renaming(names, saved)
        fits = any(name in saved and name not in report.mismatched_keys for name in names)
        advice = "Make the optimizer of the parameters that were saved"
        if fits:
            advice += ", or load what fits with strict=False."
        if found is not None:
            renamed = f"[{found.expression or 'its name here'} for name in group['param_names']]"
            advice = f'{found.what[0].upper()}{found.what[1:]}: give each saved group "param_names": {renamed}.'
            if found.rest:
                advice += f" The state dict then still has {_quoted(found.rest)}, which this optimizer does not have."
            if found.missing:
                advice += (
                    f" This optimizer then still has {_quoted(found.missing)}, which the state dict does not have."
                )
            if found.rest or found.missing:
                advice += " So pass strict=False, too."
        sentences.append(advice if advice.endswith(".") else f"{advice}.")
    if options:
        sentences.append(
            f"Missing: {', '.join(options)}, options that the saved groups do not have. Load them into an optimizer of "
            "the class that saved them, or keep the present ones with strict=False."
        )
    sentences += [f"Mismatched: {key}: {why}" for key, why in report.mismatched_keys.items()]
    where = see("a-state-dict-that-does-not-fit")
    return f"the state dict does not fit this {kind} by name, and nothing was changed{where}: {as_lines(sentences)}"


def _quoted(names: Collection[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
