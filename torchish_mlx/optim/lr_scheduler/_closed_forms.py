"""What each class of scheduler does to the rate, entered for ``as_schedule``.

See :class:`Wanted` for what a function gets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from ...optimizers import schedules
from ...optimizers.schedules._curves import count, power_of_ratio, powers
from ...optimizers.schedules._cycle import phases
from ...optimizers.schedules._decay import milestones_passed
from ._base import LRScheduler
from ._composite import ChainedScheduler, SequentialLR
from ._cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from ._curve import MADE, RESTARTED, Chain, Cosine, Curve, Multiplies, NoClosedForm, Sets, sequence
from ._cycle import CyclicLR, OneCycleLR
from ._decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from ._lambda import LambdaLR, MultiplicativeLR
from ._plateau import ReduceLROnPlateau
from ._schedule import Wanted, build, closed_form, lr


@closed_form(LRScheduler)
def users_curve(e: Wanted) -> Curve:
    """:class:`.LRScheduler`, and a class of a user."""
    if type(e.scheduler).as_schedule is not LRScheduler.as_schedule:  # a user's own
        return Sets(e.scheduler.as_schedule(e.group))
    raise NoClosedForm(
        f"{type(e.scheduler).__name__} computes its rates in a way of its own, and may define as_schedule itself"
    )


@closed_form(MultiplicativeLR)
def multiplicative_lr_curve(_e: Wanted) -> Curve:
    """:class:`.MultiplicativeLR`, which has no function of the step."""
    raise NoClosedForm("MultiplicativeLR multiplies by a function of every step, whose product may be any function")


@closed_form(ReduceLROnPlateau)
def reduce_lr_on_plateau_curve(_e: Wanted) -> Curve:
    """:class:`.ReduceLROnPlateau`, which has no function of the step."""
    raise NoClosedForm("ReduceLROnPlateau depends on the metrics that it is given")


@closed_form(LambdaLR)
def lambda_lr_curve(e: Wanted) -> Curve:
    """:class:`.LambdaLR`; by itself it gives :func:`.lambda_lr`."""
    s = e.scheduler
    return Sets(schedules.lambda_lr(e.base, s.lr_lambdas[e.group]))


@closed_form(StepLR)
def step_lr_curve(e: Wanted) -> Curve:
    """:class:`.StepLR`; by itself it gives :func:`.step_lr`."""
    s = e.scheduler
    power, size = powers(s.gamma), count("step_size", s.step_size, 1)
    return Multiplies(
        schedules.step_lr(e.found, size, s.gamma), lambda t, n: power(mx.maximum(n // size - t // size, 0))
    )


@closed_form(MultiStepLR)
def multi_step_lr_curve(e: Wanted) -> Curve:
    """:class:`.MultiStepLR`; by itself it gives :func:`.multi_step_lr`."""
    s = e.scheduler
    power, milestones = powers(s.gamma), sorted(s.milestones.elements())
    passed = milestones_passed(milestones)
    # No step is below 0, but milestones there count where a milestone of a SequentialLR asks for the closed form.
    never = s.gamma ** sum(m < 0 for m in milestones) if e.begin == RESTARTED else 1.0
    return Multiplies(
        schedules.multi_step_lr(e.found * never, milestones, s.gamma),
        lambda t, n: power(mx.maximum(passed(n) - passed(t), 0)),
        s.gamma ** sum(m == 0 for m in milestones),
    )


@closed_form(ConstantLR)
def constant_lr_curve(e: Wanted) -> Curve:
    """:class:`.ConstantLR`; by itself it gives :func:`.constant_lr`."""
    s = e.scheduler
    total, rate = count("total_iters", s.total_iters), e.found
    factor = 1.0 if e.begin == RESTARTED and not total else s.factor
    back = 1 / factor if factor else math.nan  # its step() divides by it
    return Multiplies(
        schedules.constant_lr(rate, factor, total),
        lambda t, n: mx.where((t < total) & (n >= total), back, 1.0),
        factor,
    )


@closed_form(LinearLR)
def linear_lr_curve(e: Wanted) -> Curve:
    """:class:`.LinearLR`; by itself it gives :func:`.linear_lr`."""
    s = e.scheduler
    _check_division(s, e.begin == RESTARTED and s.total_iters == 0)
    args = (s.start_factor, s.end_factor, s.total_iters)
    share = schedules.linear_lr(1.0, *args)
    return Multiplies(schedules.linear_lr(e.found, *args), _quotient(share), s.start_factor)


@closed_form(ExponentialLR)
def exponential_lr_curve(e: Wanted) -> Curve:
    """:class:`.ExponentialLR`; by itself it gives :func:`.exponential_lr`."""
    s = e.scheduler
    power, first = powers(s.gamma), s.gamma if e.begin > 0 else 1.0
    return Multiplies(
        schedules.exponential_lr(e.found * first, s.gamma), lambda t, n: power(mx.maximum(n - t, 0)), first
    )


@closed_form(PolynomialLR)
def polynomial_lr_curve(e: Wanted) -> Curve:
    """:class:`.PolynomialLR`; by itself it gives :func:`.polynomial_lr`."""
    s = e.scheduler
    total = count("total_iters", s.total_iters)
    _check_division(s, e.begin != 0 and total == 0)
    first = (total / (total + 1)) ** s.power if e.begin > 0 else 1.0
    share = power_of_ratio(total, s.power)
    return Multiplies(
        schedules.polynomial_lr(e.found * first, total, s.power),
        _quotient(lambda n: share(total - mx.minimum(n, total))) if total else lambda _t, n: mx.ones(n.shape),
        first,
    )


def _quotient(share: Any) -> Any:
    """``share(n) / share(t)``; from 0 on nothing changes."""

    def between(t: mx.array, n: mx.array) -> mx.array:
        before = share(t)
        return mx.where(before == 0, 1.0, share(n) / mx.where(before == 0, 1.0, before))

    return between


def _check_division(s: Any, by_zero: bool) -> None:
    if by_zero:
        raise NoClosedForm(f"{type(s).__name__} with total_iters=0 divides by it here, its step() raises")


@closed_form(CosineAnnealingLR)
def cosine_annealing_lr_curve(e: Wanted) -> Curve:
    """:class:`.CosineAnnealingLR`; by itself it gives :func:`.cosine_annealing_lr`."""
    s = e.scheduler
    period = count("T_max", s.T_max, 1)
    return Cosine(e.base, e.found, period, float(s.eta_min), e.begin > 0)


@closed_form(CosineAnnealingWarmRestarts)
def cosine_annealing_warm_restarts_curve(e: Wanted) -> Curve:
    """:class:`.CosineAnnealingWarmRestarts`; by itself it gives :func:`.cosine_annealing_warm_restarts`."""
    s = e.scheduler
    return Sets(schedules.cosine_annealing_warm_restarts(e.base, s.T_0, s.T_mult, s.eta_min))


@closed_form(CyclicLR)
def cyclic_lr_curve(e: Wanted) -> Curve:
    """:class:`.CyclicLR`; by itself it gives :func:`.cyclic_lr`."""
    s, low = e.scheduler, e.base
    up = count("step_size_up", round(s.step_ratio * s.total_size, 6), 1)  # kept as a ratio
    down = count("step_size_up + step_size_down", s.total_size) - up
    high = lr(s.max_lrs[e.group])
    values = schedules.cyclic_lr(low, high, up, down, s.mode, s.gamma, s._scale_fn_custom, s.scale_mode)
    if e.begin == MADE and e.start is None and e.initial != low:  # its constructor uses the initial rate of the group
        return Sets(lambda n: mx.where(n == 0, e.initial, values(n)))
    return Sets(values)


@closed_form(OneCycleLR)
def one_cycle_lr_curve(e: Wanted) -> Curve:
    """:class:`.OneCycleLR`; by itself it gives :func:`.one_cycle_lr`."""
    group, parts = e.scheduler.optimizer.param_groups[e.group], e.scheduler._schedule_phases
    rates = [lr(group[name]) for name in (parts[0]["start_lr"], *(part["end_lr"] for part in parts))]
    ends = [part["end_step"] for part in parts]
    return Sets(phases(ends, rates, e.scheduler._anneal_func_type, e.scheduler.total_steps))


@closed_form(SequentialLR)
def sequential_lr_curve(e: Wanted) -> Curve:
    """:class:`.SequentialLR`; by itself it gives :func:`.sequential_lr`."""
    _check_begin(e)

    def part(scheduler: Any, begin: int, start: float | None = None) -> Curve:
        return build(Wanted(scheduler, e.group, begin, start))

    return sequence(part, e.scheduler._schedulers, e.scheduler._milestones, e.begin, e.initial)


@closed_form(ChainedScheduler)
def chained_scheduler_curve(e: Wanted) -> Curve:
    """:class:`.ChainedScheduler`; by itself it gives :func:`.chained_scheduler`."""
    _check_begin(e)
    members = list(_members(e.scheduler))
    own = e.start is None and hasattr(members[0], "base_lrs")
    start = Wanted(members[0], e.group).base if own else e.initial
    return Chain([build(Wanted(member, e.group, e.begin, e.start)) for member in members], start)


def _members(scheduler: Any) -> Iterator[Any]:
    """The schedulers of a chain, and of the chains within it."""
    for part in scheduler._schedulers:
        if isinstance(part, ChainedScheduler):
            yield from _members(part)
        else:
            yield part


def _check_begin(e: Wanted) -> None:
    if e.begin == RESTARTED:
        raise NoClosedForm(
            f"a {type(e.scheduler).__name__} can't begin at a milestone of a SequentialLR, its step() raises there"
        )
