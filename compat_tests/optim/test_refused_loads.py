"""Refused loads change nothing; copies and pickles of optimizers; groups that come later."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx
from compat_tests.bridge import difference, outcome
from compat_tests.twin import Twin
from torchish_mlx import optim
from torchish_mlx.parity.optimizer_cases import CASES, INFO, Case

DEFAULTS = [Case(name, 0) for name in INFO]


def everything(opt: Any) -> Any:
    """All that an optimizer holds, with the identity of the dicts that a compiled step captures."""
    held = [p for group in opt.param_groups for p in group["params"]]
    arrays = [[(name, np.array(number(v))) for name, v in opt.state.get(p, {}).items()] for p in held]
    groups = [{k: v for k, v in group.items() if k != "params"} for group in opt.param_groups]
    places = [
        id(opt.state),
        *(id(a) for a in opt.state_tree().groups),
        *(id(s) for s in opt.state_tree().slots.values()),
    ]
    return repr(arrays), groups, repr([sorted(g) for g in opt.state_tree().groups]), places, repr(opt.state_dict())


def number(value: Any) -> Any:
    return value.array if isinstance(value, torchish_mlx.Tensor) else str(value)


def wrong_state_dicts() -> dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]]:
    """What may be wrong with a state dict: (own, another optimizer's) -> what is loaded."""

    def edited(change: Callable[[dict[str, Any]], Any]) -> Any:
        def make(own: dict[str, Any], other: dict[str, Any]) -> Any:
            new = copy.deepcopy(own)
            return change(new) or new

        return make

    def entry(name: str, value: Any) -> Any:
        return edited(lambda d: d["state"][1].__setitem__(name, value))

    return {
        "another model's shapes": entry("exp_avg", torchish_mlx.tensor([1.0, 2.0, 3.0])),
        "a count of another shape": entry("step", torchish_mlx.tensor([1.0, 2.0])),
        "a missing entry": edited(lambda d: d["state"][1].pop("exp_avg") and None),
        "more groups": edited(lambda d: d["param_groups"].append(d["param_groups"][0])),
        "fewer parameters": edited(lambda d: d["param_groups"][0]["params"].pop() and None),
        "no groups at all": edited(lambda d: d.pop("param_groups") and None),
        "no state at all": edited(lambda d: d.pop("state") and None),
        "a group without lr": edited(lambda d: d["param_groups"][1].pop("lr") and None),
        "lr that is no number": edited(lambda d: d["param_groups"][1].__setitem__("lr", "fast")),
        "betas that are one": edited(lambda d: d["param_groups"][1].__setitem__("betas", 0.9)),
        "a step that is no number": entry("step", "three"),
        "a moment that is no tensor": entry("exp_avg", "zero"),
        "another optimizer's": lambda own, other: other,
    }


@pytest.mark.parametrize("kind", wrong_state_dicts())
def test_a_refused_load_changes_nothing(kind: str) -> None:
    case = next(c for c in CASES if c.name == "Adam")
    twin, other = Twin(case, groups=True), Twin(next(c for c in CASES if repr(c) == "SGD-momentum=0.9"), groups=True)
    for _ in range(2):
        twin.step()
        other.step()
    bad = wrong_state_dicts()[kind](twin.ours.state_dict(), other.ours.state_dict())
    before = everything(twin.ours)
    with pytest.raises((ValueError, TypeError)):
        twin.ours.load_state_dict(bad)
    assert everything(twin.ours) == before
    twin.step()
    assert difference(twin.ours.state_dict(), twin.theirs.state_dict()) <= 1e-6


@pytest.mark.parametrize("name", INFO)
def test_anothers_state(name: str) -> None:
    """The state dict of each other class: taken where it has all that is needed, else refused and nothing changed.

    (torch takes every one of them, and fails in a later step or not at all.)
    """
    taken = []
    for other in INFO:
        twin, source = Twin(Case(name, 0)), Twin(Case(other, 0))
        if twin.case.shapes != source.case.shapes:
            continue
        twin.step_ours()
        source.step_ours()
        before = everything(twin.ours)
        try:
            twin.ours.load_state_dict(source.ours.state_dict())
        except ValueError:
            assert everything(twin.ours) == before
        else:
            taken.append(other)
            twin.step_ours()
    assert taken == [name] if name not in TAKES else set(taken) == TAKES[name]


#: Whose state has all that a class needs besides its own: torch's names for the same things.
TAKES = {
    "Adam": {"Adam", "AdamW", "NAdam", "RAdam"},
    "AdamW": {"Adam", "AdamW", "NAdam", "RAdam"},
    "RAdam": {"Adam", "AdamW", "NAdam", "RAdam"},
    "SparseAdam": {"Adam", "AdamW", "NAdam", "RAdam", "SparseAdam"},
}


@pytest.mark.parametrize("when", ["pre", "post"])
def test_an_exception_in_a_hook_changes_nothing(when: str) -> None:
    twin = Twin(DEFAULTS[3], groups=True)
    twin.step()
    state_dict = copy.deepcopy(twin.ours.state_dict())
    twin.step()

    def hook(*args: Any) -> None:
        raise KeyError("in the hook")

    getattr(twin.ours, f"register_load_state_dict_{when}_hook")(hook)
    before = everything(twin.ours)
    with pytest.raises(KeyError, match="in the hook"):
        twin.ours.load_state_dict(state_dict)
    assert everything(twin.ours) == before


@pytest.mark.parametrize("case", DEFAULTS, ids=repr)
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_of_an_optimizer(case: Case, how: str) -> None:
    """A copy holds copies of the parameters, as torch's does: both go on alone, with the same numbers."""
    more = {"max_iter": 3} if case.name == "LBFGS" else {}
    twin = Twin(case, groups=case.name != "LBFGS", **more)
    for _ in range(2):
        twin.step()
    twins = []
    for opt in (twin.ours, twin.theirs):
        new = copy.deepcopy(opt) if how == "deepcopy" else pickle.loads(pickle.dumps(opt))
        twins.append(new)
        assert type(new) is type(opt)
        assert repr(new) == repr(opt)
    added = {"differentiable": False}  # by torch, to the defaults of whatever was unpickled
    assert twins[0].defaults | added == twin.ours.defaults | added
    ours, theirs_ = twins
    assert difference(ours.state_dict(), theirs_.state_dict()) <= 1e-5
    new_params = in_order(ours, case)
    assert not {id(p) for p in new_params} & {id(p) for p in twin.our_params}
    start = [p.tolist() for p in twin.our_params]
    twin.step_ours(ours, new_params)
    assert [p.tolist() for p in twin.our_params] == start
    theirs_._params, theirs_._numel_cache = in_order(theirs_, case), None  # which a copy of torch's LBFGS lacks
    twin.step_theirs(theirs_, in_order(theirs_, case))
    if case.name != "LBFGS":
        assert difference(ours.state_dict(), theirs_.state_dict()) <= 1e-6
    assert difference(new_params, in_order(theirs_, case)) <= 1e-6


def in_order(opt: Any, case: Case) -> list[Any]:
    """The parameters of a twin's optimizer in the order of the twin (which deals them out to two groups)."""
    groups = [list(group["params"]) for group in opt.param_groups]
    return [groups[j % len(groups)][j // len(groups)] for j in range(len(case.shapes))]


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad"])
def test_a_model_and_its_optimizer(name: str, how: str) -> None:
    """Copied together they stay together: the copied optimizer trains the copied model, and not the first one."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    opt = getattr(optim, name)(model, lr=0.1)
    x = mx.ones((5, 3))

    def loss(m: Any) -> Any:
        return (m(x) ** 2).mean()

    def step(m: Any, o: Any) -> None:
        o.zero_grad()
        torchish_mlx.backward(m, loss)
        o.step()

    step(model, opt)
    new_model, new_opt = copy.deepcopy((model, opt)) if how == "deepcopy" else pickle.loads(pickle.dumps((model, opt)))
    before = np.array(model.layers[0].weight)
    step(new_model, new_opt)
    assert (np.array(model.layers[0].weight) == before).all()
    assert not (np.array(new_model.layers[0].weight) == before).all()
    step(model, opt)
    np.testing.assert_array_equal(np.array(model.layers[0].weight), np.array(new_model.layers[0].weight))
    for p, q in zip(torchish_mlx.parameters(new_model), new_opt.param_groups[0]["params"], strict=True):
        assert p is q


@pytest.mark.parametrize("case", [case for case in DEFAULTS if case.name != "LBFGS"], ids=repr)
def test_a_group_that_comes_later(case: Case) -> None:
    """add_param_group between steps: its options, its count from its own first step, its place in the state dict."""
    twin = Twin(case)
    late = [twin.our_params.pop(), twin.their_params.pop()]
    twin.theirs, twin.ours = INFO[case.name].optim_cls(twin.their_params), twin.new_ours(twin.our_params)
    for _ in range(3):
        twin.step()
    twin.ours.add_param_group({"params": late[:1], "lr": 0.02})
    twin.theirs.add_param_group({"params": late[1:], "lr": 0.02})
    twin.our_params.append(late[0])
    twin.their_params.append(late[1])
    for _ in range(3):
        twin.step()
    assert difference(twin.ours.state_dict(), twin.theirs.state_dict()) <= 1e-6
    assert difference(twin.our_params, twin.their_params) <= 1e-6
    other = Twin(case, groups=False)
    other.ours.add_param_group({"params": [torchish_mlx.Parameter(mx.ones((2, 2)))]})
    refused = outcome(lambda: other.ours.load_state_dict(twin.ours.state_dict()))
    assert refused is not None
    assert refused[0] == "ValueError"
