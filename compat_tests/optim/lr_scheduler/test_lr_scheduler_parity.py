"""Every scheduler gives torch's learning rates, momentum and state, to the last bit, over 500 steps.

Python floats are the same arithmetic on both sides; of float32 tensors, every operation that a scheduler does is
rounded once and correctly on both sides. So nothing here has a tolerance.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

import torchish_mlx
from compat_tests.bridge import to_ours, to_torch
from compat_tests.two_sides import Side
from tests.marks import mostly_long
from torchish_mlx.parity.scheduler_cases import CASES, LRS, OPTIMIZERS, TABLE, class_of
from torchish_mlx.parity.scheduler_pair import Pair, words

STEPS = 500
every_case = pytest.mark.parametrize("case", CASES)
#: Of each class the first case and every third after it; test_500_steps has all of them.
SHORT = {case for name, rows in TABLE.items() for case in [f"{name}-{label}" for label in rows][::3]}
some_cases = pytest.mark.parametrize("case", mostly_long(CASES, SHORT.__contains__))
#: Cases that both sides refuse at some step, and after how many.
ENDS = {
    "StepLR-size-0": 0,
    "ConstantLR-factor-0": 29,
    "PolynomialLR-power-negative": 39,
    "OneCycleLR-past-the-end": 90,
    "OneCycleLR-pct-1": 499,
    "OneCycleLR-one-step": 1,
    "SequentialLR-onecycle": 115,
    "SequentialLR-chained-later": 6,
    "SequentialLR-nested-later": 6,
}


def tensors(side: Side) -> list[Any]:
    return [side.tensor(lr) for lr in LRS]


def words_of(pair: Pair) -> Any:
    """Both sides, for a comparison with another pair."""
    return [words(pair.facts(i)) for i in (0, 1)]


def test_the_table():
    """Every name of torch's, six configurations at least."""
    assert set(TABLE) == {*torch.optim.lr_scheduler.__all__, "SWALR"}
    assert set(torch.optim.lr_scheduler.__all__) <= set(torchish_mlx.optim.lr_scheduler.__all__)
    assert min(map(len, TABLE.values())) >= 6


@every_case
@pytest.mark.parametrize("groups", mostly_long([3, 1], lambda groups: groups == 3))
def test_500_steps(case, groups):
    assert Pair(CASES[case], groups=groups).run(STEPS) == ENDS.get(case, STEPS)


@some_cases
@pytest.mark.parametrize("groups", mostly_long([3, 1], lambda groups: groups == 3))
def test_learning_rates_that_are_tensors(case, groups):
    """They keep their identity, and nothing that a scheduler remembers is the same object or moves with them."""
    pair = Pair(CASES[case], groups=groups, lrs=tensors)
    held = [[group["lr"] for group in optimizer.param_groups] for optimizer in pair.optimizers]
    pair.run(60, full=20)
    for rates, optimizer, scheduler in zip(held, pair.optimizers, pair.schedulers, strict=True):
        for i, (lr, group) in enumerate(zip(rates, optimizer.param_groups, strict=True)):
            assert group["lr"] is lr or "own-step" in case
            remembered = [scheduler.get_last_lr()[i], *getattr(scheduler, "base_lrs", [])[i : i + 1]]
            if class_of(case) != "ReduceLROnPlateau":
                remembered.append(group["initial_lr"])
            before = [float(value) for value in remembered]
            if "own-step" not in case:
                lr.fill_(17.0)
            assert [float(value) for value in remembered] == before


@some_cases
def test_other_optimizers(case):
    """What an optimizer can't do (momentum that it has not) is refused on both sides."""
    cycles = class_of(case) in ("CyclicLR", "OneCycleLR") or "cycl" in case
    for kind in OPTIMIZERS:
        pair = Pair(CASES[case], kind)
        assert pair.made == (kind not in ("Adagrad", "LBFGS") or not cycles or case.endswith("no-momentum")), kind
        if pair.made:
            pair.run(30, full=15)


@pytest.mark.long
@every_case
@pytest.mark.parametrize("order", ["before", "after", "last"])
def test_saved_and_loaded_at_any_step(case, order):
    """Into fresh objects; the optimizer's state before the scheduler is made, after, or after the scheduler's state.

    Where the optimizer comes first, making the scheduler moves the rate that it has just loaded, in torch as here. In
    the other orders the run goes on as if it had never stopped.
    """
    whole = Pair(CASES[case], groups=2)
    whole.train()
    for _ in range(48):
        part = whole.resumed(whole.saved(), order)
        part.check()
        if order != "before":
            assert words_of(part) == words_of(whole)
        for _ in range(3):
            if not part.step():
                break
            part.check_rates()
        else:
            part.check()
        if not whole.step():
            break


@some_cases
def test_each_others_state_dicts(case):
    """A run of torch goes on here, and one of ours there."""
    whole = Pair(CASES[case], groups=3)
    whole.train()
    for _ in range(min(23, ENDS.get(case, 23))):
        whole.step()
    (ours, our_optimizer), (theirs, their_optimizer) = whole.saved()
    part = whole.resumed([(theirs, to_ours(their_optimizer)), (ours, to_torch(our_optimizer))], "after")
    part.check()
    assert words_of(part) == words_of(whole)
    for _ in range(20):
        if not part.step():
            break
        part.check()


@some_cases
def test_saved_and_loaded_with_tensors(case):
    """The same with learning rates that are tensors."""
    whole = Pair(CASES[case], groups=2, lrs=tensors)
    whole.train()
    for _ in range(min(11, ENDS.get(case, 11))):
        whole.step()
    for order in ("before", "after", "last"):
        part = whole.resumed(whole.saved(), order)
        part.check()
        for _ in range(3):
            if not part.step():
                break
            part.check()


NO_LAST_EPOCH = ("ReduceLROnPlateau", "ChainedScheduler")


GO_ON = [case for case in CASES if class_of(case) not in NO_LAST_EPOCH and case != "SWALR-chained"]


@pytest.mark.parametrize("case", mostly_long(GO_ON, SHORT.__contains__))
def test_resuming_with_last_epoch(case):
    """From the optimizer's state alone, which has the initial rates."""
    whole = Pair(CASES[case], groups=2)
    whole.train()
    for last_epoch in range(31):
        if not whole.step():
            return
        if last_epoch in (0, 1, 7, 30):
            fresh = Pair(CASES[case], groups=2)
            for optimizer, (_, state) in zip(fresh.optimizers, whole.saved(), strict=True):
                optimizer.load_state_dict(state)
            if fresh.build(last_epoch=last_epoch):
                fresh.run(20, full=10)
