"""The checks of the optimizers: torch's 91 configurations, by every door, eager, compiled and fused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch

import torchish_mlx
from torchish_mlx import optim

from .lbfgs_cases import DECISIONS, POWERS, STEPS, allowed_lbfgs_error, lbfgs
from .optimizer_cases import (
    CASES,
    INFO,
    Case,
    Scenario,
    Trajectory,
    failures,
    marks,
    our_trajectory,
    relative,
    their_trajectory,
)
from .rows import Check, Measured, Point, off

DOORS = ("step", "update", "apply_gradients")
MOVING = Scenario(steps=100, moving=True, groups=True)
SHORT = Scenario(steps=20, moving=True, groups=True)
MISSING = Scenario(steps=20, missing=True)


def family_of(name: str) -> str:
    """The file that has the rule of an optimizer."""
    return str(getattr(optim, name).__module__.rpartition(".")[2])


def members(family: str) -> list[str]:
    return [name for name in INFO if family_of(name) == family]


def worst_at(mine: Trajectory, others: Trajectory, step: int, state: bool) -> tuple[float, str]:
    """The largest error after ``step`` steps, of the parameters or of the state, and where."""
    found = [(0.0, "")]
    for name, arrays in others[step].items():
        if (name != "param") == state:
            for j, (a, b) in enumerate(zip(mine[step][name], arrays, strict=True)):
                error, index = off(a, b)
                entry = "parameter" if name == "param" else f"{name} of parameter"
                found.append((error, f"step {step}, {entry} {j}{index}"))
    return max(found, key=lambda pair: pair[0])


def compare(
    case: Case,
    scenario: Scenario,
    doors: tuple[str, ...] = ("step",),
    compiled: bool = False,
    path: dict[str, bool] | None = None,
) -> Measured:
    """One configuration compared with torch, at some steps of the way. It passes if the last result does."""
    looked = marks(scenario.steps)
    mine, _ = our_trajectory(case, scenario, doors, compiled, path, looked)
    wrong = "; ".join(failures(mine[scenario.steps], case, scenario))
    single, double = their_trajectory(case, scenario), their_trajectory(case, scenario, double=True)
    points, places, state_places = [], [], []
    for step in looked:
        error, state = worst_at(mine, single, step, state=False), worst_at(mine, single, step, state=True)
        own = [worst_at(double, single, step, state=entries)[0] for entries in (False, True)]
        points.append(Point(step, error[0], own[0], state[0], own[1]))
        places.append(error)
        state_places.append(state)
    return Measured(points, max(places)[1], max(state_places)[1], wrong)


def compare_lbfgs(case: Case, power: int, over: Sequence[int]) -> Measured:
    """L-BFGS over so many steps: parameters, and the same numbers of evaluations and iterations."""
    points, places, wrong = [], [], []
    for steps in over:
        mine, kept = lbfgs(case, torchish_mlx, None, steps, power)
        single, theirs = lbfgs(case, torch, torch.float32, steps, power)
        double, _ = lbfgs(case, torch, torch.float64, steps, power)
        error, allowed = max(map(relative, mine, single)), allowed_lbfgs_error(max(map(relative, single, double)))
        if not error <= allowed:
            wrong.append(f"step {steps}: {error:.2e} > {allowed:.2e}")
        wrong += [f"step {steps}: {key} {kept[key]} != {theirs[key]}" for key in DECISIONS if kept[key] != theirs[key]]
        found = [(*off(a, b), j) for j, (a, b) in enumerate(zip(mine, single, strict=True))]
        worst, index, j = max(found)
        places.append((worst, f"step {steps}, parameter {j}{index}"))
        points.append(Point(steps, worst, max(off(a, b)[0] for a, b in zip(double, single, strict=True))))
    return Measured(points, max(places)[1], "", "; ".join(wrong))


def optimizer_checks(quick: bool) -> Iterator[Check]:
    """Family by family, in torch's order within each."""
    for case in sorted(CASES, key=lambda case: list(INFO).index(case.name)):
        check = partial(Check, family_of(case.name), case.name, repr(case).partition("-")[2])
        if case.name == "LBFGS":
            over = STEPS[:2] if quick else STEPS
            for power in POWERS:
                yield check(
                    "eager",
                    f"step(closure), power {power}",
                    partial(compare_lbfgs, case, power, over),
                )
        elif quick:
            door = DOORS[case.number % len(DOORS)]
            yield check("eager", door, partial(compare, case, SHORT, (door,)))
            if case.number == 0:
                yield check("compiled", "step", partial(compare, case, SHORT, compiled=True))
        else:
            for door in DOORS:
                yield check("eager", door, partial(compare, case, MOVING, (door,)))
            yield check("eager", "step, some gradients missing", partial(compare, case, MISSING))
            yield check("eager", "step, foreach=False", partial(compare, case, SHORT, path={"foreach": False}))
            for door in DOORS:
                yield check("compiled", door, partial(compare, case, MOVING, (door,), compiled=True))
            yield check("fused=True", "step", partial(compare, case, SHORT, path={"fused": True}))
