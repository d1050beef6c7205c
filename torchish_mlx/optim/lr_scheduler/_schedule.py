"""``scheduler.as_schedule()``: looks up what the class of a scheduler, and those of its parts, do to the rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from ..._docs import see
from ...optimizers._hyper import as_number
from ...optimizers.schedules import Schedule
from ...optimizers.schedules._curves import whole
from ._curve import MADE, Curve, NoClosedForm


@dataclass(frozen=True)
class Wanted:
    """A scheduler whose curve is wanted."""

    scheduler: Any
    group: int  # the index of the parameter group
    begin: int = MADE  # how it begins; see _curve
    start: float | None = None  # the rate at which it begins, where that is not its own initial rate

    @property
    def base(self) -> float:
        return lr(self.scheduler.base_lrs[self.group])

    @property
    def found(self) -> float:
        return self.base if self.start is None else self.start

    @property
    def initial(self) -> float:
        return lr(self.scheduler.optimizer.param_groups[self.group]["initial_lr"])


Form = Callable[[Wanted], Curve]
FORMS: dict[type, Form] = {}
#: What makes a user's subclass another schedule than its base class.
METHODS = (
    "as_schedule",
    "get_lr",
    "step",
    "_initial_step",
    "_update_lr",
    "_get_closed_form_lr",
    "_factor",
    "_total",
    "_anneal_func",
    "scale_fn",
)
PER_GROUP = ("base_lrs", "max_lrs", "lr_lambdas", "schedules")


def closed_form(cls: type) -> Callable[[Form], Form]:
    """Enter the decorated function as the form of ``cls``."""

    def enter(form: Form) -> Form:
        FORMS[cls] = form
        return form

    return enter


def to_schedule(scheduler: Any, group: int | None) -> Schedule:
    """``scheduler.as_schedule(group)``"""
    groups = scheduler.optimizer.param_groups
    if group is None:
        differing = [i for i in range(1, len(groups)) if _rates(scheduler, i) != _rates(scheduler, 0)]
        if differing:
            raise ValueError(
                f"group {differing[0]} has another learning rate than group 0: call as_schedule(group=i) for each of "
                f"the {len(groups)} groups" + see("no-closed-form")
            )
        group = 0
    elif not isinstance(group, int) or not 0 <= group < len(groups):
        raise ValueError(f"group must be the index of a group, 0 to {len(groups) - 1}, but got {group!r}")
    try:
        curve = build(Wanted(scheduler, group))
    except NoClosedForm as error:
        raise ValueError(
            f"{type(scheduler).__name__} has no closed form: {error}. Call step() in the loop instead; it writes into "
            'group["lr"], which a compiled step reads without a new trace.' + see("no-closed-form")
        ) from None
    return lambda step: curve.alone(whole(step), _no_start)


def build(entry: Wanted) -> Curve:
    """The curve of a scheduler and of what it is made of."""
    classes = type(entry.scheduler).__mro__
    known = next((base for base in classes if base in FORMS), None)
    if known is None:
        raise NoClosedForm(f"{classes[0].__name__} is not a scheduler of this package")
    if any(getattr(classes[0], method, None) is not getattr(known, method, None) for method in METHODS):
        known = next(base for base in reversed(classes) if base in FORMS)
    return FORMS[known](entry)


def lr(value: Any) -> float:
    """A learning rate as a Python float; it may be a tensor."""
    return float(as_number("lr", value))


def _no_start() -> mx.array:
    raise AssertionError("only a part of a SequentialLR asks for the rate before it")


def _rates(scheduler: Any, i: int) -> list[Any]:
    """What a group has of its own, for comparison."""
    group = scheduler.optimizer.param_groups[i]
    parts = [_rates(part, i) for part in getattr(scheduler, "_schedulers", ())]
    lists = [getattr(scheduler, name)[i] for name in PER_GROUP if hasattr(scheduler, name)]
    return [as_number("lr", value) for value in [*lists, *map(group.get, ("max_lr", "min_lr", "swa_lr"))]] + parts
