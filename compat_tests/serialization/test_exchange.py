"""Real files between torch and this package, both ways: model, optimizer and scheduler of a run that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compat_tests.exchange import (
    ALL,
    DEFAULTS,
    FIRST,
    MORE,
    Run,
    Small,
    carried,
    exact,
    load,
    outline,
    save,
)
from compat_tests.optim.lr_scheduler.test_lr_scheduler_parity import ENDS
from compat_tests.two_sides import OURS, THEIRS, Side
from tests.marks import mostly_long
from torchish_mlx.parity.optimizer_cases import Case, allowed_error, collected, worst
from torchish_mlx.parity.scheduler_cases import CASES as SCHEDULERS
from torchish_mlx.parity.scheduler_cases import TABLE
from torchish_mlx.parity.scheduler_pair import outcome, words

WAYS = [(THEIRS, OURS), (OURS, THEIRS)]
both_ways = pytest.mark.parametrize(("source", "target"), WAYS, ids=["theirs", "ours"])
#: A scheduler of each class.
FIRST_OF_EACH = [f"{name}-{next(iter(cases))}" for name, cases in TABLE.items()]
#: Those that any optimizer takes, for one optimizer after the other.
ANY = [case for case in FIRST_OF_EACH if not case.startswith(("CyclicLR", "OneCycleLR"))]
#: Those that schedulers are tried with: momentum and betas are cycled.
MOMENTUM, BETAS = Small("SGD", 0, (("momentum", 0.9),)), Small("AdamW", 0)
#: A bfloat16 has 8 bits, and torch rounds to them between the operations of a step. Measured: 2.4 of these units.
HALF = 3 * 2.0**-7
#: torch rounds these to bfloat16 when it loads them (not when it makes them); here they stay as precise as "step".
ROUNDED = ("['eta']", "['mu']", "['mu_product']")


def scheduler_for(case: Case) -> str:
    """One of ANY.

    torch's LBFGS keeps an ``lr`` that is a tensor as the length of its last step, and a scheduler then moves that too:
    in torch itself a run that was loaded goes on otherwise than one that was not. So there the rate rests.
    """
    if case.name == "LBFGS" and isinstance(case.kwargs.get("lr"), torch.Tensor):
        return "StepLR-30"
    return ANY[ALL.index(case) % len(ANY)]


def apart(run: Run, other: Run) -> float:
    """The largest relative difference of a parameter or an entry of the state; rates and schedulers are equal.

    LBFGS's state are differences of rounded gradients: there the parameters are compared.
    """
    sides = (run, other) if run.side is OURS else (other, run)
    ours, theirs = ([words(side.scheduler.state_dict()), *map(words, rates(side))] for side in sides)
    assert ours == theirs
    found = [collected(side.params, {} if run.case.name == "LBFGS" else side.optimizer.state) for side in sides]
    return max(worst(*found).values())


def rates(run: Run) -> list[Any]:
    return [group["lr"] for group in run.optimizer.param_groups]


def short(case: Case, source: Side, target: Side) -> bool:
    """The defaults of each optimizer. Files go there and back in each test."""
    return case in DEFAULTS


@pytest.mark.parametrize(
    ("case", "source", "target"),
    mostly_long(((case, *sides) for case in ALL for sides in WAYS), short),
    ids=lambda value: {id(OURS): "ours", id(THEIRS): "theirs"}.get(id(value), repr(value)),
)
def test_every_optimizer_goes_on_on_the_other_side(case: Case, source: Side, target: Side, tmp_path: Path) -> None:
    """Ten steps, a file, and ten more beside the run that wrote it: to the limits of test_parity.

    The largest difference measured is 4.6e-7 (Adadelta), 0.3 of its limit; nearest to its limit, at 0.4, is NAdam.
    """
    run = Run(source, case, scheduler_for(case))
    run.train(FIRST)
    other = carried(run, target, tmp_path)
    for side in (run, other):
        side.train(MORE)
    assert apart(run, other) <= (1e-6 if case.name == "LBFGS" else allowed_error(case, run.scenario))


@pytest.mark.parametrize("case", ALL, ids=repr)
def test_both_sides_save_the_same_outline(case: Case) -> None:
    """Keys, their order, types, dtypes and shapes, of a run that never saw the other side."""
    ours, theirs = Run(OURS, case, scheduler_for(case)), Run(THEIRS, case, scheduler_for(case))
    for side in (ours, theirs):
        side.train(2)
    assert outline(ours.saved()) == outline(theirs.saved())


@both_ways
@pytest.mark.parametrize("case", DEFAULTS, ids=repr)
def test_named_parameters(case: Case, source: Side, target: Side, tmp_path: Path) -> None:
    """``param_names`` go along."""
    run = Run(source, case, named=True)
    run.train(2)
    other = carried(run, target, tmp_path)
    names = [name for group in other.optimizer.param_groups for name in group["param_names"]]
    assert sorted(names) == sorted(run.saved()["model"])


@both_ways
@pytest.mark.parametrize("case", DEFAULTS, ids=repr)
def test_bfloat16(case: Case, source: Side, target: Side, tmp_path: Path) -> None:
    """The file and what is loaded are exact; then torch rounds more often."""
    run = Run(source, case, dtype=torch.bfloat16)
    run.train(FIRST)
    if case.name in ("ASGD", "NAdam"):
        file = save(run.saved(), source, tmp_path / "run.pt")
        other = run.fresh(target).load(load(target, file))
        for (where, loaded), (_, given) in zip(exact(other.saved()), exact(run.saved()), strict=True):
            assert loaded == given or (target is THEIRS and where.endswith(ROUNDED)), where
    else:
        other = carried(run, target, tmp_path)
    for side in (run, other):
        side.train(MORE)
    assert apart(run, other) <= HALF


@both_ways
@pytest.mark.parametrize("case", mostly_long(SCHEDULERS, lambda case: case in FIRST_OF_EACH))
def test_every_scheduler_goes_on_on_the_other_side(case: str, source: Side, target: Side, tmp_path: Path) -> None:
    """Its state and the rates are equal to the last bit, and it raises at the same step, where it does."""
    optimizer = (MOMENTUM, BETAS)[list(SCHEDULERS).index(case) % 2]
    run = Run(source, optimizer, case)
    run.train(min(FIRST, ENDS.get(case, FIRST)))
    other = carried(run, target, tmp_path)
    for _ in range(MORE):
        first, second = (outcome(lambda side=side: side.train(1))[0] for side in (run, other))
        if first is not None:
            assert second is not None
            assert first[0] == second[0]
            break
        assert second is None
        assert apart(run, other) <= 2e-6  # measured: 9.8e-7 (AdamW, OneCycleLR), where a scalar is near zero
