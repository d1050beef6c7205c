"""What a scheduler refuses leaves it, its members and its optimizer as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest

from tests.cases import flat
from torchish_mlx import Parameter, optim, tensor
from torchish_mlx.optim import lr_scheduler as s
from torchish_mlx.optim.swa_utils import SWALR


def groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """What stands in the groups, tensors by value."""
    return [
        {key: value.item() if hasattr(value, "item") else value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]


def everything(scheduler: Any) -> Any:
    """A scheduler's and its optimizer's state, by value."""
    optimizer = scheduler.optimizer
    arrays = {path: np.array(value).tolist() for path, value in flat(optimizer.state).items()}
    members = [everything(member) for member in getattr(scheduler, "_schedulers", ())]
    kept = {k: v for k, v in vars(scheduler).items() if k not in ("optimizer", "_schedulers", "_scale_fn_ref")}
    return groups_of(optimizer), arrays, repr(kept), members


def sgd(groups: int = 2, **kwargs: Any) -> Any:
    given = [{"params": [Parameter(mx.array([1.0 + i]))], "lr": 0.1 * (i + 1)} for i in range(groups)]
    return optim.SGD(given, momentum=0.9, **kwargs)


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda o: s.LambdaLR(o, lambda n: 0.9**n),
    "StepLR": lambda o: s.StepLR(o, 2),
    "MultiStepLR": lambda o: s.MultiStepLR(o, [2, 4]),
    "ConstantLR": lambda o: s.ConstantLR(o),
    "LinearLR": lambda o: s.LinearLR(o),
    "ExponentialLR": lambda o: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: s.PolynomialLR(o),
    "CosineAnnealingLR": lambda o: s.CosineAnnealingLR(o, 9),
    "CosineAnnealingWarmRestarts": lambda o: s.CosineAnnealingWarmRestarts(o, 3),
    "CyclicLR": lambda o: s.CyclicLR(o, 0.1, 0.5),
    "OneCycleLR": lambda o: s.OneCycleLR(o, 0.5, 20),
    "ReduceLROnPlateau": lambda o: s.ReduceLROnPlateau(o),
    "SequentialLR": lambda o: s.SequentialLR(o, [s.StepLR(o, 2), s.ExponentialLR(o, 0.9)], [3]),
    "ChainedScheduler": lambda o: s.ChainedScheduler([s.StepLR(o, 2), s.ExponentialLR(o, 0.9)]),
    "SWALR": lambda o: SWALR(o, 0.05),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_state_of_another_class(name):
    """torch takes it, and goes on as a mixture of both."""
    scheduler = SCHEDULERS[name](sgd())
    before = everything(scheduler)
    for other in SCHEDULERS:
        if other != name:
            state = SCHEDULERS[other](sgd()).state_dict()
            with pytest.raises(ValueError, match=f"this is not the state dict of a {name}: it (lacks|has) "):
                scheduler.load_state_dict(state)
            assert everything(scheduler) == before


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_state_of_its_own_class(name):
    """And nothing but a dict with the right keys is one."""
    scheduler, other = SCHEDULERS[name](sgd()), SCHEDULERS[name](sgd())
    other.optimizer.step()
    for _ in range(3):
        other.step(*([1.0] if name == "ReduceLROnPlateau" else []))
    before = everything(scheduler)
    with pytest.raises(ValueError, match="this is not the state dict of a"):
        scheduler.load_state_dict({})
    for junk in (None, [], 3, "x"):
        with pytest.raises(TypeError, match="a scheduler's state dict is a dict, but got"):
            scheduler.load_state_dict(junk)
    assert everything(scheduler) == before
    scheduler.load_state_dict(other.state_dict())
    assert scheduler.get_last_lr() == other.get_last_lr()


@pytest.mark.parametrize("name", ["SequentialLR", "ChainedScheduler"])
@pytest.mark.parametrize("how", ["a member of another class", "too few", "too many"])
def test_the_state_of_other_members(name, how):
    scheduler = SCHEDULERS[name](sgd())
    state = SCHEDULERS[name](sgd()).state_dict()
    members = state["_schedulers"]
    members[0]["last_epoch"] = 40
    if how == "too few":
        members.pop()
    else:
        members.append(SCHEDULERS["LinearLR"](sgd()).state_dict())
        if how != "too many":
            del members[1]
    before = everything(scheduler)
    with pytest.raises(ValueError, match="state dict"):
        scheduler.load_state_dict(state)
    assert everything(scheduler) == before


class Short(s.LRScheduler):
    """Forgets a group, from its third epoch on."""

    def get_lr(self) -> list[Any]:
        return [0.7 - 0.1 * self.last_epoch] * (2 if self.last_epoch < 2 else 1)


class Broken(s.LRScheduler):
    def get_lr(self) -> list[Any]:
        return [0.7 - 0.1 * self.last_epoch, 0.5 if self.last_epoch < 2 else "high"]


REFUSED_STEPS: dict[str, tuple[Callable[[Any], Any], Any, str | None]] = {
    "one-cycle": (
        lambda o: s.OneCycleLR(o, 0.5, 1),
        ValueError,
        r"^Tried to step 2 times\. The specified number of total steps is 1$",
    ),
    "constant": (lambda o: s.ConstantLR(o, 0.0, 2), ZeroDivisionError, "division by zero"),
    "few-values": (Short, ValueError, r"zip\(\)"),
    "no-number": (Broken, (ValueError, TypeError), None),
    "chained": (
        lambda o: s.ChainedScheduler([s.ExponentialLR(o, 0.9), s.OneCycleLR(o, 0.5, 1)]),
        ValueError,
        r"^Tried to step 2 times",
    ),
    "sequential": (
        lambda o: s.SequentialLR(o, [s.ExponentialLR(o, 0.9), s.OneCycleLR(o, 0.5, 1)], [1]),
        ValueError,
        r"^Tried to step 2 times",
    ),
    "composite-later": (
        lambda o: s.SequentialLR(o, [s.StepLR(o, 1), s.ChainedScheduler([s.StepLR(o, 1)])], [2]),
        NotImplementedError,
        "ChainedScheduler can't begin at a milestone",
    ),
    "restarts": (
        lambda o: s.CosineAnnealingWarmRestarts(o, 3),
        ValueError,
        "^Expected non-negative epoch, but got -1$",
    ),
}


@pytest.mark.parametrize("case", REFUSED_STEPS)
@pytest.mark.parametrize("tensors", [False, True])
def test_a_step_that_is_refused_changes_nothing(case, tensors):
    build, error, message = REFUSED_STEPS[case]
    optimizer = sgd()
    if tensors:
        for group in optimizer.param_groups:
            group["lr"] = tensor(group["lr"])
    scheduler = build(optimizer)
    optimizer.step()
    args = [-1] if case == "restarts" else []
    before = everything(scheduler)
    for _ in range(0 if args else 3):  # until it is refused
        before = everything(scheduler)
        try:
            scheduler.step()
        except error:
            break
    for _ in range(2):
        assert everything(scheduler) == before
        with pytest.raises(error, match=message):
            scheduler.step(*args)
    assert everything(scheduler) == before


def test_a_plateau_whose_floors_are_too_few():
    optimizer = sgd()
    scheduler = s.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.01, 0.01])
    scheduler.step(1.0)
    optimizer.add_param_group({"params": [Parameter(mx.array([1.0]))]})
    before = everything(scheduler)
    with pytest.raises(RuntimeError, match=r"^The number of param groups in the `optimizer` \(3\) differs from when"):
        scheduler.step(2.0)
    assert everything(scheduler) == before


BY_GROUP = [  # these go by what they kept of each group
    *("LambdaLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR", "SWALR")
]


@pytest.mark.parametrize("name", BY_GROUP)
@pytest.mark.parametrize("tensors", [False, True])
def test_a_group_that_the_scheduler_does_not_know(name, tensors):
    """Added after the scheduler was made."""
    optimizer = sgd()
    if tensors:
        for group in optimizer.param_groups:
            group["lr"] = tensor(group["lr"])
    scheduler = SCHEDULERS[name](optimizer)
    optimizer.step()
    scheduler.step()
    optimizer.add_param_group({"params": [Parameter(mx.array([1.0]))], "lr": 0.5})
    before = everything(scheduler)
    with pytest.raises((ValueError, KeyError)):
        scheduler.step()
    assert everything(scheduler) == before


class Refusing(s.LRScheduler):
    def get_lr(self) -> list[Any]:
        raise RuntimeError("not today")


CONSTRUCTIONS: dict[str, tuple[Callable[[Any], Any], Any, str | None]] = {
    "constant-negative": (lambda o: s.ConstantLR(o, total_iters=-1), ValueError, "^total_iters expected to be"),
    "linear-negative": (lambda o: s.LinearLR(o, total_iters=-1), ValueError, "^total_iters expected to be"),
    "polynomial-negative": (lambda o: s.PolynomialLR(o, total_iters=-1), ValueError, "^total_iters expected to be"),
    "one-cycle-negative": (
        lambda o: s.OneCycleLR(o, 0.5, -1),
        ValueError,
        "^Expected positive integer total_steps, but got -1$",
    ),
    "one-cycle-no-momentum": (
        lambda o: s.OneCycleLR(optim.Adagrad(o.param_groups[0]["params"]), 0.5, 3),
        ValueError,
        "^optimizer must support momentum or beta1 with `cycle_momentum` option enabled$",
    ),
    "one-cycle-momentums": (
        lambda o: s.OneCycleLR(o, 0.5, 3, base_momentum=[0.1]),
        ValueError,
        r"^base_momentum must have the same length as optimizer\.param_groups\. base_momentum has 1 values, "
        r"param_groups has 2\.$",
    ),
    "cyclic-lengths": (
        lambda o: s.CyclicLR(o, 0.1, [0.5] * 3),
        ValueError,
        r"^max_lr must have the same length as optimizer\.param_groups\. max_lr has 3 values, param_groups has 2\.$",
    ),
    "cyclic-text": (lambda o: s.CyclicLR(o, 0.1, "high"), TypeError, None),
    "swalr-length": (lambda o: SWALR(o, [0.1]), ValueError, "^swa_lr must have the same length"),
    "swalr-strategy": (lambda o: SWALR(o, 0.1, anneal_strategy="up"), ValueError, "^anneal_strategy must be one of"),
    "lambda-number": (lambda o: s.LambdaLR(o, 0.9), TypeError, "^lr_lambda should be a function, but got float$"),
    "lambda-text": (lambda o: s.LambdaLR(o, lambda n: "high"), (TypeError, ValueError), None),
    "plateau": (lambda o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, r"^Factor should be < 1\.0\.$"),
    "user": (Refusing, RuntimeError, "^not today$"),
    "none": (s.LRScheduler, NotImplementedError, None),
    "resume": (
        lambda o: s.StepLR(o, 3, last_epoch=0),
        KeyError,
        r"param 'initial_lr' is not specified in param_groups\[0\] when resuming scheduler with last_epoch >= 0",
    ),
}


@pytest.mark.parametrize("case", CONSTRUCTIONS)
def test_a_construction_that_is_refused_changes_nothing(case):
    build, error, message = CONSTRUCTIONS[case]
    optimizer = sgd()
    before = groups_of(optimizer), {path: np.array(a).tolist() for path, a in flat(optimizer.state).items()}
    with pytest.raises(error, match=message):
        build(optimizer)
    after = groups_of(optimizer), {path: np.array(a).tolist() for path, a in flat(optimizer.state).items()}
    assert after == before


def test_unsorted_milestones_of_a_sequence():
    """torch looks the turn up by bisection, and finds a wrong one."""
    optimizer = sgd()
    members = [s.ExponentialLR(optimizer, 0.9) for _ in range(3)]
    before = [everything(member) for member in members]
    with pytest.raises(ValueError, match=r"milestones in increasing order, but got \[5, 2\]"):
        s.SequentialLR(optimizer, members, [5, 2])
    assert [everything(member) for member in members] == before


def test_members_of_another_optimizer():
    first, second = sgd(), sgd()
    members = [s.ExponentialLR(first, 0.9), s.StepLR(second, 3)]
    before = groups_of(first), groups_of(second)
    for build in (lambda: s.SequentialLR(first, members, [2]), lambda: s.ChainedScheduler(members)):
        with pytest.raises(ValueError, match="expects all schedulers to belong to the same optimizer, but got sched"):
            build()
    assert (groups_of(first), groups_of(second)) == before


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in ("SequentialLR", "ChainedScheduler")])
def test_one_of_mlxs_optimizers(name):
    """It has no groups; the message says what has."""
    native = mlx.optimizers.SGD(learning_rate=0.1)
    with pytest.raises(TypeError, match=r"^SGD is not an Optimizer.*optim\.from_mlx"):
        SCHEDULERS[name](native)
    for thing in (None, "SGD", nn.Linear(1, 1)):
        with pytest.raises(TypeError, match=f"^{type(thing).__name__} is not an Optimizer(: it is .*)?$"):
            SCHEDULERS[name](thing)
