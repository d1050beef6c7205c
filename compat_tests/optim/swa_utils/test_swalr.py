"""``SWALR`` beside torch's: every learning rate, states saved and loaded, tensors, the recipe, errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from compat_tests.bridge import outcome
from compat_tests.two_sides import OURS, THEIRS, Side, push
from torchish_mlx import optim

STEPS = 500
NEAR = 1e-12  # measured: 0, the arithmetic is Python's on both sides
SIDES = (OURS, THEIRS)
LRS = [0.1, 0.5, 0.003]
CASES: dict[str, dict[str, Any]] = {
    "default": {"swa_lr": 0.05},
    "linear": {"swa_lr": 0.05, "anneal_strategy": "linear"},
    "upwards": {"swa_lr": 0.7, "anneal_epochs": 37},
    "long": {"swa_lr": 1e-5, "anneal_epochs": 500},
    "longer": {"swa_lr": 1e-5, "anneal_epochs": 1234, "anneal_strategy": "linear"},
    "at once": {"swa_lr": 0.02, "anneal_epochs": 0},
    "one": {"swa_lr": 0.02, "anneal_epochs": 1, "anneal_strategy": "linear"},
    "an integer": {"swa_lr": 1, "anneal_epochs": 100},
    "each": {"swa_lr": [0.01, 0.02, 0.03], "anneal_epochs": 60},
}


def optimizer(side: Side, groups: int = 1, lr: Any = None) -> Any:
    params = [side.parameter([1.0, 2.0]) for _ in range(groups)]
    lrs = LRS if lr is None else [lr] * groups
    made = side.optim.SGD([{"params": [p], "lr": x} for p, x in zip(params, lrs, strict=False)], lr=0.1)
    push(*params)
    return made


def swalr(side: Side, opt: Any, case: str, **more: Any) -> Any:
    kwargs = dict(CASES[case])
    if isinstance(kwargs["swa_lr"], list):
        kwargs["swa_lr"] = kwargs["swa_lr"][: len(opt.param_groups)]
    return side.optim.swa_utils.SWALR(opt, **kwargs, **more)


def rates(opt: Any) -> list[float]:
    return [float(group["lr"]) for group in opt.param_groups]


def assert_rates(opts: Any) -> None:
    ours, theirs = map(rates, opts)
    assert ours == pytest.approx(theirs, rel=NEAR, abs=0)


def advance(opts: Any, schedulers: Any, step: int = 0) -> None:
    for opt, scheduler in zip(opts, schedulers, strict=True):
        if step == 0:
            opt.step()
        scheduler.step()


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_rates(case, groups):
    opts = [optimizer(side, groups) for side in SIDES]
    schedulers = [swalr(side, opt, case) for side, opt in zip(SIDES, opts, strict=True)]
    for i in range(STEPS):
        advance(opts, schedulers, i)
        assert_rates(opts)
        assert schedulers[0].get_last_lr() == rates(opts[0])
    ours, theirs = (scheduler.state_dict() for scheduler in schedulers)
    assert ours == theirs
    assert list(ours) == list(theirs)
    ours, theirs = ({k: v for k, v in opt.param_groups[0].items() if k != "params"} for opt in opts)
    assert ours == theirs


@pytest.mark.parametrize("case", ["default", "longer", "at once", "each"])
@pytest.mark.parametrize("optimizer_first", [True, False])
def test_saved_and_loaded(case, optimizer_first):
    """At every step of the first 70: into fresh objects, the optimizer's state before or after."""
    opts = [optimizer(side, 3) for side in SIDES]
    schedulers = [swalr(side, opt, case) for side, opt in zip(SIDES, opts, strict=True)]
    for _ in range(70):
        for j, side in enumerate(SIDES):
            saved = copy.deepcopy((opts[j].state_dict(), schedulers[j].state_dict()))
            opts[j] = optimizer(side, 3)
            if optimizer_first:
                opts[j].load_state_dict(saved[0])
            schedulers[j] = swalr(side, opts[j], case)
            if not optimizer_first:
                opts[j].load_state_dict(saved[0])
            else:
                for group, was in zip(opts[j].param_groups, saved[0]["param_groups"], strict=True):
                    group["lr"] = was["lr"]  # the constructor makes a step of its own, in torch too
            schedulers[j].load_state_dict(saved[1])
        advance(opts, schedulers)
        assert_rates(opts)
        assert schedulers[0].anneal_func is schedulers[0]._cosine_anneal or case == "longer"


def test_resumed_by_last_epoch():
    opts = [optimizer(side, 3) for side in SIDES]
    for opt, side in zip(opts, SIDES, strict=True):
        for group in opt.param_groups:
            group["initial_lr"] = group["lr"]
        side.scheduler = swalr(side, opt, "upwards", last_epoch=12)
    for _ in range(50):
        advance(opts, [side.scheduler for side in SIDES])
        assert_rates(opts)
        assert SIDES[0].scheduler.last_epoch == SIDES[1].scheduler.last_epoch


@pytest.mark.parametrize("case", CASES)
def test_a_tensor_for_a_rate(case):
    """It keeps its identity; the numbers are float32's on both sides."""
    tensors = [side.tensor(0.3) for side in SIDES]
    opts = [optimizer(side, 1, tensor) for side, tensor in zip(SIDES, tensors, strict=True)]
    schedulers = [swalr(side, opt, case) for side, opt in zip(SIDES, opts, strict=True)]
    for i in range(60):
        advance(opts, schedulers, i)
        assert [opt.param_groups[0]["lr"] is t for opt, t in zip(opts, tensors, strict=True)] == [True, True]
        assert float(tensors[0]) == pytest.approx(float(tensors[1]), rel=1e-6)
        assert schedulers[0].get_last_lr()[0] is not tensors[0]


def test_a_tensor_for_swa_lr():
    found = []
    for side in SIDES:
        given = side.tensor(0.25)
        opt = optimizer(side, 3)
        scheduler = side.optim.swa_utils.SWALR(opt, given, anneal_epochs=3)
        assert all(group["swa_lr"] is not given for group in opt.param_groups)
        opt.step()
        for _ in range(5):
            scheduler.step()
        found.append(rates(opt))
    assert found[0] == found[1] == [0.25] * 3


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize(
    "other",
    [
        lambda side, opt: side.optim.lr_scheduler.MultiplicativeLR(opt, lambda epoch: 0.9),
        lambda side, opt: side.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=40),
        lambda side, opt: side.optim.lr_scheduler.ExponentialLR(opt, 0.97),
    ],
)
def test_the_recipe(other, strategy):
    """Another scheduler first, then this one; both stand on the optimizer from the start."""
    opts = [optimizer(side, 3) for side in SIDES]
    first = [other(side, opt) for side, opt in zip(SIDES, opts, strict=True)]
    last = [
        side.optim.swa_utils.SWALR(opt, anneal_strategy=strategy, anneal_epochs=20, swa_lr=0.05)
        for side, opt in zip(SIDES, opts, strict=True)
    ]
    for i in range(100):
        advance(opts, last if i > 50 else first, i)
        assert_rates(opts)
    assert rates(opts[0]) == [0.05] * 3


def test_in_a_sequence():
    opts = [optimizer(side, 3) for side in SIDES]
    schedulers = []
    for side, opt in zip(SIDES, opts, strict=True):
        parts = [side.optim.lr_scheduler.LinearLR(opt, total_iters=5), side.optim.swa_utils.SWALR(opt, 0.05)]
        schedulers.append(side.optim.lr_scheduler.SequentialLR(opt, parts, milestones=[10]))
    for i in range(40):
        advance(opts, schedulers, i)
        assert_rates(opts)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"swa_lr": [1, 2]},
        {"swa_lr": (0.1, 0.2, 0.3, 0.4)},
        {"swa_lr": 0.1, "anneal_strategy": "x"},
        {"swa_lr": 0.1, "anneal_strategy": None},
        {"swa_lr": 0.1, "anneal_epochs": -1},
        {"swa_lr": 0.1, "anneal_epochs": 1.5},
        {"swa_lr": 0.1, "anneal_epochs": "10"},
        {"swa_lr": "x"},
        {"swa_lr": None},
        {"swa_lr": 0.1, "last_epoch": 3},
    ],
)
def test_bad_input(kwargs):
    """torch's words; and here the groups stay as they were."""
    errors = []
    for side in SIDES:
        opt = optimizer(side, 3)
        before = [dict(group) for group in opt.param_groups]
        errors.append(outcome(lambda: side.optim.swa_utils.SWALR(opt, **kwargs)))  # noqa: B023
        if side is OURS:
            assert [dict(group) for group in opt.param_groups] == before
    assert errors[0] is not None
    assert errors[0] == errors[1]


def test_not_an_optimizer():
    with pytest.raises(TypeError, match=r"^str is not an Optimizer"):
        optim.swa_utils.SWALR("x", 0.1)


def test_a_state_dict_of_another_kind():
    """torch takes them, and fails or goes astray later."""
    opt = optimizer(OURS)
    scheduler = optim.swa_utils.SWALR(opt, 0.1)
    before = dict(vars(scheduler))
    others = [optim.lr_scheduler.StepLR(opt, 3).state_dict(), {**scheduler.state_dict(), "_anneal_strategy": "x"}]
    for state in others:
        with pytest.raises(ValueError):
            scheduler.load_state_dict(state)
        assert vars(scheduler) == before


def test_warnings():
    """Reading get_lr(), and stepping before the optimizer does."""
    for side in SIDES:
        scheduler = side.optim.swa_utils.SWALR(optimizer(side), 0.1)
        with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`"):
            scheduler.get_lr()
        with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`"):
            scheduler.step()


def test_a_compiled_step_sees_the_rate():
    """The array in the state follows."""
    opt = optimizer(OURS, 3)
    scheduler = optim.swa_utils.SWALR(opt, 0.01, anneal_epochs=4)
    opt.step()
    for _ in range(6):
        scheduler.step()
        assert [arrays["lr"].item() for arrays in opt.state_tree()["_groups"]] == pytest.approx(rates(opt), rel=1e-7)
    assert rates(opt) == [0.01] * 3
