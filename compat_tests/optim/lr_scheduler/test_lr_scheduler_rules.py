"""Warnings, errors, references and signatures: as in torch, on both sides."""

from __future__ import annotations

import gc
import inspect
import types
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish_mlx
from compat_tests.optim.lr_scheduler.test_lr_scheduler_curves import both_sides, mixed
from compat_tests.two_sides import OURS, Side
from tests.each import each
from torchish_mlx.parity.scheduler_cases import CASES, class_of, made, named, optimizer_of, train
from torchish_mlx.parity.scheduler_pair import SIDES, advance, outcome, words

EARLY = r"^Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`.*how-to-adjust-learning-rate$"
REPLACED = r"^Seems like `optimizer\.step\(\)` has been overridden after learning rate scheduler initialization\."


def warned(call: Callable[[], Any]) -> list[str]:
    error, found = outcome(call)
    assert error is None
    return found


def names() -> list[str]:
    return [*torch.optim.lr_scheduler.__all__, "SWALR"]


@pytest.mark.parametrize("name", names())
def test_signatures(name):
    """The same arguments, in the same order, with the same defaults, of the constructor and of the methods."""
    ours, theirs = (named(side, name) for side in SIDES)
    for method in ("__init__", "step", "get_last_lr", "get_lr", "state_dict", "load_state_dict"):
        a, b = (inspect.signature(getattr(cls, method)).parameters.values() for cls in (ours, theirs))
        assert [(p.name, p.kind, p.default) for p in a] == [(p.name, p.kind, p.default) for p in b], method


def test_the_private_names_that_subclasses_use():
    for name in ("LRScheduler", "_LRScheduler", "EPOCH_DEPRECATION_WARNING"):
        assert hasattr(torchish_mlx.optim.lr_scheduler, name)
    for case in CASES:
        kept = [{key for key in vars(made(case, side, optimizer_of(side))) if key[0] == "_"} for side in SIDES]
        assert kept[0] == kept[1], case


# Warnings ------------------------------------------------------------------------------------------------------------


@both_sides
@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("keyword", [False, True])
def test_a_scheduler_that_steps_first(side, resumed, keyword):
    """Warned of at the first step, and not again."""
    optimizer = mixed(side)
    for group in optimizer.param_groups:
        group["initial_lr"] = 0.01
    more = {"last_epoch": 10} if resumed else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler = side.optim.lr_scheduler.StepLR(optimizer, gamma=0.1, step_size=3, **more)
    with pytest.warns(UserWarning, match=EARLY) as caught:
        scheduler.step(**({"epoch": None} if keyword else {}))
    assert [w.filename for w in caught] == [__file__]
    assert warned(scheduler.step) == []


@both_sides
@pytest.mark.parametrize("keyword", [False, True])
def test_an_optimizer_that_steps_first(side, keyword):
    optimizer = mixed(side)

    def run() -> None:
        scheduler = side.optim.lr_scheduler.StepLR(optimizer, gamma=0.1, step_size=3)
        for _ in range(5):
            optimizer.step()
            scheduler.step(**({"epoch": None} if keyword else {}))

    assert warned(run) == []


@both_sides
def test_steps_before_the_scheduler_was_made_do_not_count(side):
    optimizer = mixed(side)
    optimizer.step()
    scheduler = side.optim.lr_scheduler.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match=EARLY):
        scheduler.step()


@both_sides
def test_a_second_scheduler_needs_no_step_of_its_own(side):
    optimizer = mixed(side)
    side.optim.lr_scheduler.StepLR(optimizer, 3)
    optimizer.step()
    scheduler = side.optim.lr_scheduler.StepLR(optimizer, 3)
    assert warned(scheduler.step) == []


def replaced(optimizer: Any) -> None:
    """As a script does that adds something to every step."""
    old = optimizer.step

    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        return old(*args, **kwargs)

    optimizer.step = types.MethodType(step, optimizer)


@both_sides
@pytest.mark.parametrize("order", ["optimizer", "scheduler"])
def test_a_step_that_was_replaced(side, order):
    """Whichever steps first; the warning is about the replacement."""
    optimizer = mixed(side)
    scheduler = side.optim.lr_scheduler.StepLR(optimizer, gamma=0.1, step_size=3)
    replaced(optimizer)
    if order == "optimizer":
        optimizer.step()
    with pytest.warns(UserWarning, match=REPLACED):
        scheduler.step()
    optimizer.step()
    assert warned(scheduler.step) == []


COMPUTING = [n for n in names() if n not in ("LRScheduler", "SequentialLR", "ChainedScheduler", "ReduceLROnPlateau")]


@both_sides
@pytest.mark.parametrize("name", COMPUTING)
def test_get_lr_outside_of_a_step(side, name):
    """Each class that computes a rate says to use ``get_last_lr``; within a step it does not."""
    scheduler = made(next(case for case in CASES if class_of(case) == name), side, optimizer_of(side))
    message = r"^To get the last learning rate computed by the scheduler, please use `get_last_lr\(\)`\.$"
    with pytest.warns(UserWarning, match=message) as caught:
        scheduler.get_lr()
    assert [w.filename for w in caught] == [__file__] or side is not OURS  # torch names its own file


@both_sides
@pytest.mark.parametrize("case", ["StepLR-30", "CyclicLR-triangular", "ReduceLROnPlateau-default", "SWALR-default"])
def test_the_epoch_argument_is_warned_of(side, case):
    optimizer = optimizer_of(side)
    scheduler = made(case, side, optimizer)
    train(optimizer)
    with pytest.warns(UserWarning, match="^The epoch parameter") as caught:
        scheduler.step(*([1.0] if "Plateau" in case else []), 3)
    assert [str(w.message) for w in caught] == [side.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING]
    assert caught[0].filename == __file__
    assert scheduler.last_epoch == 3


@both_sides
def test_fractions_of_an_epoch_are_not_warned_of(side):
    scheduler = made("CosineAnnealingWarmRestarts-10", side, optimizer_of(side))
    assert warned(lambda: scheduler.step(0.5)) == []


def test_the_two_texts_are_torchs():
    ours, theirs = (side.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING for side in SIDES)
    assert ours == theirs
    for change in (lambda optimizer: None, replaced):
        found = []
        for side in SIDES:
            optimizer = mixed(side)
            scheduler = side.optim.lr_scheduler.StepLR(optimizer, 3)
            change(optimizer)
            found.append(warned(scheduler.step))
        assert found[0] == found[1]


# References ----------------------------------------------------------------------------------------------------------


def parts(side: Side, case: str) -> tuple[Any, Any]:
    optimizer = optimizer_of(side, "Adam")
    scheduler = made(case, side, optimizer)
    train(optimizer)
    if case not in ("StepLR-size-0", "OneCycleLR-one-step"):
        advance(scheduler)
    return scheduler, optimizer


@both_sides
@each("case", CASES)
def test_no_reference_cycles(side, case):
    """Without the garbage collector the scheduler goes when its last name does, and then the optimizer."""
    gc.disable()
    try:
        scheduler, optimizer = parts(side, case)
        refs = weakref.ref(scheduler), weakref.ref(optimizer)
        del scheduler
        assert refs[0]() is None
        assert refs[1]() is optimizer
        del optimizer
        assert refs[1]() is None
    finally:
        gc.enable()


# Errors --------------------------------------------------------------------------------------------------------------

Build = Callable[[Any, Any], Any]  # of (the namespace, an optimizer with two groups)
ERRORS: dict[str, Build] = {
    "lambda-length": lambda s, o: s.LambdaLR(o, [abs] * 3),
    "lambda-length-tuple": lambda s, o: s.LambdaLR(o, (abs,)),
    "multiplicative-length": lambda s, o: s.MultiplicativeLR(o, [abs]),
    "multiplicative-number": lambda s, o: s.MultiplicativeLR(o, 0.95),
    "multiplicative-numbers": lambda s, o: s.MultiplicativeLR(o, [0.95, abs]),
    "constant-above": lambda s, o: s.ConstantLR(o, factor=1.1),
    "constant-below": lambda s, o: s.ConstantLR(o, factor=-0.1),
    "linear-start-0": lambda s, o: s.LinearLR(o, start_factor=0.0),
    "linear-start-above": lambda s, o: s.LinearLR(o, start_factor=1.1),
    "linear-end-above": lambda s, o: s.LinearLR(o, end_factor=1.1),
    "linear-end-below": lambda s, o: s.LinearLR(o, end_factor=-0.1),
    "restarts-0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "restarts-fraction": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1.5),
    "restarts-mult-0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 0),
    "restarts-mult-fraction": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 1.5),
    "restarts-minimum": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, eta_min="low"),
    "restarts-negative": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1).step(-1),
    "cyclic-mode": lambda s, o: s.CyclicLR(o, 0, 0, mode="CATS"),
    "cyclic-base-length": lambda s, o: s.CyclicLR(o, [1.0], 2.0),
    "cyclic-max-length": lambda s, o: s.CyclicLR(o, 1.0, (2.0, 3.0, 4.0)),
    "cyclic-momentum-length": lambda s, o: s.CyclicLR(o, 1.0, 2.0, base_momentum=[0.8]),
    "cyclic-max-momentum-length": lambda s, o: s.CyclicLR(o, 1.0, 2.0, max_momentum=[0.8] * 3),
    "cyclic-size-0": lambda s, o: s.CyclicLR(o, 1.0, 2.0, step_size_up=0),
    "one-cycle-strategy": lambda s, o: s.OneCycleLR(o, 1e-3, 10, anneal_strategy="CATS"),
    "one-cycle-start": lambda s, o: s.OneCycleLR(o, 1e-3, 10, pct_start=1.1),
    "one-cycle-start-below": lambda s, o: s.OneCycleLR(o, 1e-3, 10, pct_start=-0.1),
    "one-cycle-start-int": lambda s, o: s.OneCycleLR(o, 1e-3, 10, pct_start=1),
    "one-cycle-no-total": lambda s, o: s.OneCycleLR(o, 1e-3),
    "one-cycle-half-a-total": lambda s, o: s.OneCycleLR(o, 1e-3, epochs=3),
    "one-cycle-total-0": lambda s, o: s.OneCycleLR(o, 1e-3, 0),
    "one-cycle-total-negative": lambda s, o: s.OneCycleLR(o, 1e-3, -5),
    "one-cycle-total-fraction": lambda s, o: s.OneCycleLR(o, 1e-3, 2.5),
    "one-cycle-epochs": lambda s, o: s.OneCycleLR(o, 1e-3, epochs=-1, steps_per_epoch=2),
    "one-cycle-steps": lambda s, o: s.OneCycleLR(o, 1e-3, epochs=1, steps_per_epoch=0),
    "one-cycle-length": lambda s, o: s.OneCycleLR(o, [1.0] * 3, 10),
    "one-cycle-momentum-length": lambda s, o: s.OneCycleLR(o, 1.0, 10, max_momentum=[0.9]),
    "plateau-factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "plateau-mode": lambda s, o: s.ReduceLROnPlateau(o, mode="mid"),
    "plateau-threshold": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="both"),
    "plateau-length": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "plateau-no-metric": lambda s, o: s.ReduceLROnPlateau(o).step(),
    "plateau-text": lambda s, o: s.ReduceLROnPlateau(o).step("low"),
    "sequential-empty": lambda s, o: s.SequentialLR(o, [], []),
    "sequential-milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1), s.StepLR(o, 2)], [1, 2]),
    "sequential-no-scheduler": lambda s, o: s.SequentialLR(o, [abs], []),
    "sequential-plateau": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1), s.ReduceLROnPlateau(o)], [4]),
    "sequential-epoch": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], []).step(3),
    "chained-empty": lambda s, o: s.ChainedScheduler([]),
    "chained-no-scheduler": lambda s, o: s.ChainedScheduler([s.StepLR(o, 1), 3]),
    "chained-plateau": lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    "chained-epoch": lambda s, o: s.ChainedScheduler([s.StepLR(o, 1)]).step(3),
    "base": lambda s, o: s.LRScheduler(o),
    "resume": lambda s, o: s.ExponentialLR(o, 0.9, last_epoch=4),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_torchs(case):
    """Type and text; what is refused at construction leaves the groups here as they were."""
    found = []
    for side in SIDES:
        optimizer = mixed(side, momentum=0.4)
        optimizer.step()
        before = [words({k: v for k, v in g.items() if k != "params"}) for g in optimizer.param_groups]
        found.append(outcome(lambda side=side, optimizer=optimizer: ERRORS[case](side.optim.lr_scheduler, optimizer)))
        after = [words({k: v for k, v in g.items() if k != "params"}) for g in optimizer.param_groups]
        built = case.split("-")[-1] in ("epoch", "negative", "metric", "text") or "sequential" in case
        assert after == before or side is not OURS or built or "chained" in case
    assert found[0][0] is not None
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "kwargs", [{"anneal_strategy": "exponential"}, {"anneal_epochs": -1}, {"anneal_epochs": 1.7}, {"swa_lr": [1.0] * 3}]
)
def test_errors_of_swalr(kwargs):
    found = []
    for side in SIDES:
        optimizer = mixed(side)
        found.append(outcome(lambda s=side, o=optimizer: s.optim.swa_utils.SWALR(o, **{"swa_lr": 1.0, **kwargs})))
    assert found[0] == found[1]
    assert found[0][0][0] == "ValueError"


@pytest.mark.parametrize("name", ["StepLR", "LambdaLR", "CyclicLR", "OneCycleLR", "ReduceLROnPlateau"])
@pytest.mark.parametrize("thing", [None, 3, "SGD"])
def test_something_that_is_no_optimizer(name, thing):
    """torch's sentence, and what was given instead; LambdaLR of torch has an AttributeError."""
    args = {"StepLR": (1,), "LambdaLR": (abs,), "CyclicLR": (1, 2), "OneCycleLR": (1, 9), "ReduceLROnPlateau": ()}
    found = [outcome(lambda side=side: named(side, name)(thing, *args[name])) for side in SIDES]
    kind, text = found[0][0]
    assert kind == "TypeError"
    assert text.partition(":")[0] == f"{type(thing).__name__} is not an Optimizer"
    assert found[1][0] == (kind, text.partition(":")[0]) or name == "LambdaLR"


@both_sides
@pytest.mark.parametrize("name", ["SequentialLR", "ChainedScheduler"])
def test_a_scheduler_of_another_optimizer(side, name):
    first, second = mixed(side), mixed(side)
    s = side.optim.lr_scheduler
    members = [s.StepLR(first, 3), s.ExponentialLR(second, 0.9)]
    message = (
        f"^{name} expects all schedulers to belong to the same optimizer, but got scheduler ExponentialLR at index 1 "
        r"has SGD \("
    )
    with pytest.raises(ValueError, match=message):
        s.SequentialLR(first, members, [2]) if name == "SequentialLR" else s.ChainedScheduler(members)
