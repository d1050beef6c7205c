"""The families of the report: their titles, what their columns mean, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .optimizer_cases import INFO
from .optimizer_checks import family_of, members, optimizer_checks
from .other_checks import clip_checks, half_checks, schedule_checks, scheduler_checks
from .rows import Check


class Family(NamedTuple):
    """A section of the report."""

    name: str
    title: str
    error: str  # what the column of errors is of
    state: str  # ... and the next column; empty where there is none
    about: str


OPTIMIZERS = "A pass: no tensor further from torch's float32 than 4 times torch's own rounding, and 1e-5 at most."
LBFGS = f"{OPTIMIZERS[:-1]}, 2e-7 at least; as many evaluations and iterations as torch."
MUON = "A pass: within 4e-2 lr. Its Newton-Schulz iteration runs in bfloat16, where one rounding shows as that much."
OTHERS = (
    Family(
        "lr_scheduler", "lr_scheduler", "rates", "", "A pass: rates, momentum, state and warnings equal, bit for bit."
    ),
    Family(
        "schedules",
        "optimizers.schedules, pure functions of the step",
        "rates",
        "",
        "A pass: each rate within 1e-6 of torch's. Computed in float32; torch computes in double.",
    ),
    Family(
        "clip_grad",
        "Clipping of gradients",
        "gradients",
        "norm",
        "A pass: the norm within 5e-7 of torch's in float64, gradients within 1e-6, or 2 places of a half type.",
    ),
    Family("half", "Half precision", "parameters", "", "A pass: each step, from torch's state, within 2 ulps."),
)


def families() -> list[Family]:
    """The optimizers' in the order of torch's table, then the others."""
    names = dict.fromkeys(family_of(name) for name in ("SGD", "Adam", *INFO))
    about = {name: {"muon": MUON, "lbfgs": LBFGS}.get(name, OPTIMIZERS) for name in names}
    return [
        *(Family(name, ", ".join(members(name)), "parameters", "state", about[name]) for name in names),
        *OTHERS,
    ]


def chosen(quick: bool, only_families: Sequence[str], only_optimizers: Sequence[str]) -> list[Check]:
    """All checks, or those of the families and optimizers that were asked for."""
    everything = [
        *optimizer_checks(quick),
        *scheduler_checks(quick),
        *schedule_checks(quick),
        *clip_checks(quick),
        *half_checks(),
    ]
    order = [family.name for family in families()]
    everything.sort(key=lambda check: order.index(check.family))
    if not only_families and not only_optimizers:
        return everything
    return [check for check in everything if check.family in only_families or check.subject in only_optimizers]
