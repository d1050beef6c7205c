"""Groups whose learning rate is a function of the step: ``lr=schedule``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import mlx.core as mx

from .._core.trace import traced
from .._docs import see
from ..optimizers import Rule
from ..optimizers._hyper import STRUCTURE, shortest
from ..optimizers._rates import LR_STEP, first_rate, is_schedule, rate_at
from ._groups import Group
from ._misfits import as_float

_READ = ("lr", LR_STEP)


class ScheduledGroup(Group):
    """A group that was given a schedule as ``lr``.

    ``group["lr"]`` is the rate of the last step (before the first step, that of the first one), and
    ``group["lr_step"]`` the number of steps that the schedule has counted. Both are read from arrays, because
    a step replaces these arrays also where it was compiled and runs without Python.

    A number written to ``group["lr"]`` ends the schedule, and ``lr_step`` is None from then on. A number written to
    ``group["lr_step"]`` moves the schedule to that step.
    """

    def __init__(self, rule: type[Rule] | None, items: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        self.schedule = items["lr"]
        self._seen: mx.array | None = None  # the count whose numbers the dict holds
        step = items.get(LR_STEP, 0)
        super().__init__(rule, {**items, "lr": self._rate_after(step), LR_STEP: step}, given)

    @property
    def scheduled(self) -> bool:
        """Whether the schedule still sets the rate."""
        return LR_STEP in self.arrays

    def given(self) -> dict[str, Any]:
        """The options that make such a group again."""
        return {**self, "lr": self.schedule} if self.scheduled else dict(self)

    def _rate_after(self, step: int) -> float:
        """The rate of the last of so many steps, or of the first one."""
        return shortest(rate_at(self.schedule, mx.array(max(step - 1, 0), mx.uint64)))

    def following(self) -> dict[str, Any]:
        """The arrays of the next step."""
        assert self.rule is not None
        step = self.arrays[LR_STEP]
        return {"lr": self.rule.fields()["lr"].carry(rate_at(self.schedule, step)), LR_STEP: step + 1}

    def _refresh(self) -> None:
        """Make the numbers of the dict those of the arrays."""
        step = self.arrays.get(LR_STEP)
        if step is None or step is self._seen:
            return
        if traced(self.arrays[STRUCTURE]):
            raise RuntimeError(
                'group["lr"] follows a schedule, and has no value inside a traced step: read it after the call, or use '
                "the array optimizer.learning_rate" + see("a-schedule-as-lr")
            )
        rate = self.arrays["lr"]
        dict.__setitem__(self, "lr", shortest(rate[0] if isinstance(rate, list) else rate))
        dict.__setitem__(self, LR_STEP, int(step.item()))
        self._seen = step

    def _end(self) -> None:
        """Leave the rate as it is."""
        dict.__setitem__(self, LR_STEP, None)
        self.arrays.pop(LR_STEP, None)

    def _move(self, step: Any) -> None:
        self._check(LR_STEP)
        if step is None:
            self._refresh()
            self._end()
            return
        if fault := step_fault(step):
            raise ValueError(f'group["{LR_STEP}"] {fault}')
        rate = self._rate_after(step)
        assert self.rule is not None
        self.arrays["lr"] = self.rule.fields()["lr"].carry(rate)
        dict.update(self, {"lr": rate, LR_STEP: step})
        self._count()

    def _count(self) -> None:
        """Write the array of the count."""
        step = dict.get(self, LR_STEP)
        if step is not None:
            self.arrays[LR_STEP] = self._seen = mx.array(step, mx.uint64)

    # Methods that write

    def rebuild(self) -> None:
        super().rebuild()
        self._count()

    def replace(self, items: Mapping[str, Any]) -> None:
        self.arrays.pop(LR_STEP, None)
        if is_schedule(items.get("lr")):  # what given() gave
            self.schedule = items["lr"]
            items = {**items, "lr": self._rate_after(items[LR_STEP])}
        super().replace(items)

    def adopt(self) -> None:
        if not traced(self.arrays[STRUCTURE]):
            super().adopt()

    def __setitem__(self, key: str, value: Any) -> None:
        if key == LR_STEP:
            self._move(value)
            return
        super().__setitem__(key, value)
        if key == "lr":
            self._end()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        if key == "lr":
            self._end()

    # Methods that read. With an __iter__ of its own, dict(group) and {**group} read by __getitem__.

    def __getitem__(self, key: str) -> Any:
        if key in _READ:
            self._refresh()
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key in _READ:
            self._refresh()
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def items(self) -> Any:
        self._refresh()
        return super().items()

    def values(self) -> Any:
        self._refresh()
        return super().values()

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self))


def group_of(rule: type[Rule] | None, items: Mapping[str, Any], given: Mapping[str, Any]) -> Group:
    """A group of these options; ``given`` is the user's dict, which stays connected to it."""
    if rule is not None and is_schedule(items.get("lr")):
        return ScheduledGroup(rule, items, given)
    return Group(rule, items, given)


def with_numbers(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` with the first rate in place of a schedule, for checks of numbers."""
    lr: Any = options.get("lr")
    return {**options, "lr": first_rate(lr).item()} if is_schedule(lr) else dict(options)


def is_scheduled(group: Mapping[str, Any]) -> bool:
    """Whether a schedule sets the rate of ``group``."""
    return isinstance(group, ScheduledGroup) and group.scheduled


def advance(groups: Sequence[Group]) -> None:
    """Set the rates of the next step of those that have a schedule."""
    scheduled = [group for group in groups if isinstance(group, ScheduledGroup) and group.scheduled]
    for group, arrays in [(group, group.following()) for group in scheduled]:
        group.arrays.update(arrays)


def rates_of(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """The arrays of the groups that were given a schedule: a step writes their rates too."""
    return [group.arrays for group in groups if isinstance(group, ScheduledGroup)]


def refuse_scheduler(groups: Iterable[Group]) -> None:
    """Raise ValueError where a scheduler would move a rate that follows a schedule."""
    for i, group in enumerate(groups):
        if is_scheduled(group):
            raise ValueError(
                f"the lr of param_groups[{i}] is a schedule, which sets the rate in every step, and a scheduler would "
                f'set it too. Construct the optimizer with a number, or end the schedule: param_groups[{i}]["lr"] = 0.1'
                + see("a-schedule-as-lr")
            )


# State dicts ----------------------------------------------------------------------------------------------------------


def step_fault(step: Any) -> str:
    """What is wrong with a count, in words."""
    if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 2**63:
        return ""
    return f"is {step!r}, expected how many steps the schedule has counted, an int from 0 on"


def complete(groups: Sequence[Group], saved: Sequence[dict[str, Any]], entries: Mapping[Any, Any]) -> None:
    """Give saved groups without ``lr_step``, as torch's are, the largest step count of their parameters."""
    if any(isinstance(group, ScheduledGroup) for group in groups):
        for items in saved:
            held = [entries[n] for n in items["params"] if isinstance(entries.get(n), Mapping)]
            steps = [as_float(own["step"]) for own in held if "step" in own]
            if LR_STEP not in items and steps:
                items[LR_STEP] = int(max(steps))


def settle(group: Group, values: dict[str, Any]) -> str:
    """Check the ``lr_step`` of a loaded group, in words; a group without a schedule drops it, with a warning."""
    if isinstance(group, ScheduledGroup):
        if LR_STEP not in values:
            return (
                "is missing: the lr of this group is a schedule, and the state dict does not say how many steps it has "
                f'counted. Add them: state_dict["param_groups"][i]["{LR_STEP}"] = n'
            )
        return "" if values[LR_STEP] is None else step_fault(values[LR_STEP])
    if group.rule is not None and (step := values.pop(LR_STEP, None)) is not None:
        warnings.warn(
            f"the state dict was saved by an optimizer whose lr was a schedule, at step {step}. This one was made with "
            f"a number, and goes on with lr={values.get('lr')!r}. To go on with the schedule, construct it with "
            "lr=schedule",
            stacklevel=6,
        )
    return ""
