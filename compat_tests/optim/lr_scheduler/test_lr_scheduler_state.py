"""State dicts, checkpoints, copies, and what is shared with whom: as torch has them, on both sides."""

from __future__ import annotations

import copy
import io
import pickle
import types
from functools import partial
from typing import Any

import pytest
import torch

from compat_tests.optim.lr_scheduler.test_lr_scheduler_curves import both_sides, close, mixed, rates
from compat_tests.two_sides import OURS, THEIRS, Side
from tests.each import each
from torchish_mlx.parity.scheduler_cases import CASES, Warmup, made, named, optimizer_of, train
from torchish_mlx.parity.scheduler_pair import advance, words

#: name -> arguments of a scheduler, and others of the one that its state is loaded into
TWO: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "StepLR": ({"gamma": 0.1, "step_size": 3}, {"gamma": 0.005, "step_size": 1}),
    "MultiStepLR": ({"gamma": 0.1, "milestones": [2, 5, 9]}, {"gamma": 0.01, "milestones": [1, 4, 6]}),
    "ConstantLR": ({"factor": 0.5, "total_iters": 4}, {"factor": 0.1, "total_iters": 7}),
    "LinearLR": ({"start_factor": 0.5, "total_iters": 4}, {"end_factor": 0.2}),
    "ExponentialLR": ({"gamma": 0.1}, {"gamma": 0.01}),
    "PolynomialLR": ({"total_iters": 20}, {"power": 2.0}),
    "CosineAnnealingLR": ({"T_max": 12, "eta_min": 1e-10}, {"T_max": 5, "eta_min": 0.0}),
    "CosineAnnealingWarmRestarts": ({"T_0": 4, "T_mult": 2}, {"T_0": 100}),
    "CyclicLR": (
        {"base_lr": 0.01, "max_lr": 1.0, "step_size_up": 4, "mode": "triangular2"},
        {"base_lr": 0.02, "max_lr": 0.5, "step_size_up": 7, "mode": "exp_range", "gamma": 0.5},
    ),
    "OneCycleLR": ({"max_lr": 1.0, "total_steps": 20}, {"max_lr": 2.0, "epochs": 3, "steps_per_epoch": 9}),
    "SWALR": (
        {"anneal_epochs": 3, "swa_lr": 0.5},
        {"anneal_epochs": 10, "anneal_strategy": "linear", "swa_lr": 5.0},
    ),
    "ReduceLROnPlateau": (
        {"mode": "min", "patience": 2, "cooldown": 1},
        {"mode": "max", "factor": 0.5, "patience": 9, "threshold_mode": "abs"},
    ),
}


@both_sides
@pytest.mark.parametrize("name", TWO)
def test_a_state_dict_carries_everything(side, name):
    """Loaded into a scheduler of other arguments, it makes that one the same."""
    optimizer = mixed(side)
    first, second = TWO[name]
    scheduler = named(side, name)(optimizer, **first)
    train(optimizer)
    for _ in range(10):
        advance(scheduler)
    twin = named(side, name)(optimizer, **second)
    assert words(twin.state_dict()) != words(scheduler.state_dict())
    twin.load_state_dict(scheduler.state_dict())
    for key, value in vars(scheduler).items():
        if key not in ("optimizer", "_scale_fn_ref", "anneal_func"):
            assert words(vars(twin)[key]) == words(value), key
    assert twin.get_last_lr() == scheduler.get_last_lr()
    for one in (scheduler, twin):  # what is made of the state goes by it
        if name == "CyclicLR":
            assert one._scale_fn_ref(3) == 0.25
        if name == "SWALR":
            assert one.anneal_func(0.5) == pytest.approx(0.5)
            assert one.anneal_func(0.1) != pytest.approx(0.1)
        if name == "ReduceLROnPlateau":
            assert one.mode_worse == float("inf")


def through_pickle(state: Any) -> Any:
    return pickle.loads(pickle.dumps(state))


def through_torch(state: Any, weights_only: bool) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only)


@both_sides
@each("case", CASES)
def test_a_state_dict_goes_through_a_file(side, case):
    """Of every class: pickle, and torch.save with weights_only or not; then into a fresh scheduler."""
    optimizer = optimizer_of(side)
    scheduler = made(case, side, optimizer)
    train(optimizer)
    for _ in range(0 if case in ("StepLR-size-0", "OneCycleLR-one-step") else 5):
        advance(scheduler)
    state = scheduler.state_dict()
    ways = [through_pickle, partial(through_torch, weights_only=True), partial(through_torch, weights_only=False)]
    for way in ways:
        loaded = way(state)
        assert words(loaded) == words(state)
        fresh = made(case, side, optimizer_of(side))
        fresh.load_state_dict(loaded)
        assert words(fresh.state_dict()) == words(state)


@pytest.mark.parametrize("case", ["StepLR-30", "MultiStepLR-two", "CyclicLR-object", "SequentialLR-three"])
def test_a_checkpoint_of_torch_is_loaded_here(case):
    """The file that a training script in torch left."""
    optimizer = optimizer_of(THEIRS, "AdamW", 2)
    scheduler = made(case, THEIRS, optimizer)
    for _ in range(33):
        train(optimizer)
        scheduler.step()
    file = through_torch({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, True)
    ours = optimizer_of(OURS, "AdamW", 2)
    mine = made(case, OURS, ours)
    ours.load_state_dict(file["optimizer"])
    mine.load_state_dict(file["scheduler"])
    for _ in range(20):
        train(optimizer)
        train(ours)
        scheduler.step()
        mine.step()
        assert rates(ours) == rates(optimizer)


# Callables -----------------------------------------------------------------------------------------------------------


@both_sides
@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
def test_functions_are_not_saved_and_objects_are(side, name):
    """None stands for a function; of an object its ``__dict__``, a copy, which loading puts into the object there."""
    optimizer = mixed(side)
    scheduler = named(side, name)(optimizer, [lambda n: 0.5, Warmup(10)])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [None, {"length": 10}]
    assert state["lr_lambdas"][1] is not vars(scheduler.lr_lambdas[1])
    function, warmup = lambda n: 0.25, Warmup(-1)
    twin = named(side, name)(optimizer, [function, warmup])
    twin.load_state_dict(state)
    assert twin.lr_lambdas == [function, Warmup(10)]
    assert twin.lr_lambdas[1] is warmup
    assert state["lr_lambdas"] == [None, {"length": 10}]


@both_sides
@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
def test_one_object_for_all_groups(side, name):
    scheduler = named(side, name)(mixed(side), Warmup(10))
    assert scheduler.lr_lambdas[0] is scheduler.lr_lambdas[1]
    assert scheduler.state_dict()["lr_lambdas"] == [{"length": 10}] * 2


@both_sides
def test_the_scale_function_of_cyclic(side):
    """A mode's own function is not in the state; a user's is None in it, an object its ``__dict__``."""
    cls = partial(side.optim.lr_scheduler.CyclicLR, mixed(side), base_lr=1, max_lr=5, cycle_momentum=False)

    def half(_: float) -> float:
        return 0.5

    for scheduler, kept in (
        (cls(), None),
        (cls(mode="exp_range"), None),
        (cls(scale_fn=half), None),
        (cls(scale_fn=Warmup(7)), {"length": 7}),
    ):
        state = scheduler.state_dict()
        assert "_scale_fn_ref" not in state
        assert state["_scale_fn_custom"] == kept
        assert words(through_pickle(state)) == words(state)
    assert isinstance(cls()._scale_fn_ref, types.FunctionType)

    restored = cls()
    restored.load_state_dict(cls(mode="triangular2").state_dict())
    assert restored.mode == "triangular2"
    assert restored._scale_fn_custom is None
    assert restored.scale_fn(3) == 0.25
    restored = cls(scale_fn=half)
    restored.load_state_dict(cls(scale_fn=half).state_dict())
    assert restored._scale_fn_custom is half
    restored = cls(scale_fn=Warmup(-1))
    restored.load_state_dict(cls(scale_fn=Warmup(7)).state_dict())
    assert restored._scale_fn_custom == Warmup(7)


# Tensors -------------------------------------------------------------------------------------------------------------

BY_RATE = {
    "LambdaLR": {"lr_lambda": lambda n: n // 10},
    "MultiplicativeLR": {"lr_lambda": lambda n: 0.95},
    "StepLR": {"step_size": 30},
    "MultiStepLR": {"milestones": [30, 80]},
    "ConstantLR": {},
    "LinearLR": {},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {},
    "CosineAnnealingLR": {"T_max": 10},
    "CosineAnnealingWarmRestarts": {"T_0": 20},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.2},
    "OneCycleLR": {"max_lr": 0.2, "total_steps": 10},
    "SWALR": {"swa_lr": 0.01},
}


@both_sides
@pytest.mark.parametrize("name", BY_RATE)
def test_a_tensor_that_moves_takes_nothing_along(side, name):
    """The initial rates stay what they were, however the rate is changed in place."""
    lr = side.tensor(0.1)
    optimizer = side.optim.SGD([side.parameter([1.0])], lr=lr, momentum=0.9)
    scheduler = named(side, name)(optimizer, **BY_RATE[name])
    group = optimizer.param_groups[0]
    before = float(group["initial_lr"]), float(scheduler.base_lrs[0])
    train(optimizer)
    for _ in range(3):
        scheduler.step()
        lr.mul_(0.1)
        assert (float(group["initial_lr"]), float(scheduler.base_lrs[0])) == before
        others = [group["initial_lr"], scheduler.base_lrs[0], scheduler.get_last_lr()[0]]
        assert len({id(lr), *map(id, others)}) == 4 or isinstance(others[0], float)
        assert group["lr"] is lr


ENTRIES = ("initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr")


@both_sides
@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR", "SWALR"])
def test_arguments_that_are_tensors_are_copied(side, name):
    """Changing them afterwards changes no entry of a group, and no rate."""
    given = {key: side.tensor(x) for key, x in (("low", 0.1), ("high", 0.2), ("less", 0.8), ("more", 0.9))}
    optimizer = side.optim.SGD([side.parameter([1.0])], lr=given["low"], momentum=0.5)
    kwargs = {
        "CyclicLR": {"base_lr": given["low"], "max_lr": given["high"], "step_size_up": 4},
        "OneCycleLR": {"max_lr": given["high"], "total_steps": 10},
        "SWALR": {"swa_lr": given["high"]},
    }[name]
    if name != "SWALR":
        kwargs |= {"base_momentum": given["less"], "max_momentum": given["more"]}
    scheduler = named(side, name)(optimizer, **kwargs)
    group = optimizer.param_groups[0]
    before = {key: float(group[key]) for key in ENTRIES if key in group}
    assert len(before) == {"CyclicLR": 3, "OneCycleLR": 5, "SWALR": 2}[name]
    train(optimizer)
    for _ in range(2):
        for tensor in given.values():
            tensor.mul_(0.5)
        scheduler.step()
        assert {key: float(group[key]) for key in before} == before
    if name == "CyclicLR":
        close([float(scheduler.base_lrs[0]), float(scheduler.max_lrs[0])], [0.1, 0.2])


# Checkpoints ---------------------------------------------------------------------------------------------------------


@both_sides
@pytest.mark.parametrize("name", [*BY_RATE, "ReduceLROnPlateau"])
def test_going_on_from_the_optimizers_state(side, name):
    """A new optimizer with the old one's state, and a scheduler that begins at the epoch reached."""
    kwargs = BY_RATE.get(name, {})
    optimizer = side.optim.AdamW([side.parameter([1.0])], lr=0.02)
    scheduler = named(side, name)(optimizer, **kwargs)
    train(optimizer)
    advance(scheduler)
    fresh = side.optim.AdamW([side.parameter([1.0])], lr=0.5)
    fresh.load_state_dict(optimizer.state_dict())
    new = named(side, name)(fresh, **kwargs, **({} if name == "ReduceLROnPlateau" else {"last_epoch": 0}))
    assert new.get_last_lr() == scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]
    assert fresh.param_groups[0]["betas"] == optimizer.param_groups[0]["betas"]


@both_sides
@pytest.mark.parametrize("last_epoch", [0, 1, 5])
def test_no_initial_rate_to_go_on_from(side, last_epoch):
    optimizer = side.optim.SGD([side.parameter([1.0])], lr=0.1)
    message = (
        r"param \\?'initial_lr\\?' is not specified in param_groups\[0\] when resuming scheduler with last_epoch >= 0"
    )
    with pytest.raises(KeyError, match=message):
        side.optim.lr_scheduler.StepLR(optimizer, step_size=3, last_epoch=last_epoch)
    assert "initial_lr" not in optimizer.param_groups[0]


@both_sides
@each("case", CASES)
def test_copies_go_on_alone(side, case):
    """A copy of a scheduler has a copy of its optimizer, and both go on as the original does."""
    optimizer = optimizer_of(side, "Adam", 2)
    scheduler = made(case, side, optimizer)
    train(optimizer)
    steps = 0 if case in ("StepLR-size-0", "OneCycleLR-one-step") else 3
    for _ in range(steps):
        advance(scheduler)
    before = rates(optimizer)
    copies = [way((scheduler, optimizer)) for way in (copy.deepcopy, through_pickle)[: 1 + picklable(scheduler)]]
    for twin, twins in copies:
        assert twin.optimizer is twins
        assert twins is not optimizer
        for _ in range(steps):
            advance(twin)
        assert rates(optimizer) == before
    for _ in range(steps):
        advance(scheduler)
    for twin, twins in copies:
        assert rates(twins) == rates(optimizer)
        assert words(twin.state_dict()) == words(scheduler.state_dict())


def picklable(scheduler: Any) -> bool:
    """Lambdas are not, nor classes that a function made."""
    try:
        pickle.dumps(scheduler)
    except Exception:
        return False
    return True


def test_as_much_is_picklable_here_as_in_torch():
    for case in CASES:
        for kind in ("SGD", "Adam"):
            ours, theirs = (picklable(made(case, side, optimizer_of(side, kind))) for side in (OURS, THEIRS))
            assert ours >= theirs, case


@both_sides
def test_a_state_dict_is_not_changed_by_loading(side: Side):
    for case in ("LambdaLR-object", "CyclicLR-object", "SequentialLR-three", "ChainedScheduler-deep", "SWALR-default"):
        state = made(case, side, optimizer_of(side)).state_dict()
        before = words(state)
        made(case, side, optimizer_of(side)).load_state_dict(state)
        if side is OURS or case != "CyclicLR-object":  # torch takes the function out of the dict that it is given
            assert words(state) == before, case
