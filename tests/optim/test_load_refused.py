"""What is no state dict of an optimizer is refused by its entry, with nothing changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import torchish_mlx as torch
from tests.cases import saved
from tests.loading import lone
from tests.refused import refused


def edited(change: Any) -> Any:
    def make(own: Any) -> Any:
        new = copy.deepcopy(own)
        change(new)
        return new

    return make


def entry(name: str, value: Any) -> Any:
    return edited(lambda d: d["state"][1].__setitem__(name, value))


def option(name: str, value: Any) -> Any:
    return edited(lambda d: d["param_groups"][0].__setitem__(name, value))


GIVE = "give what optimizer.state_dict\\(\\) returned"


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda own: None, TypeError, f"but got NoneType: {GIVE}"),
        (lambda own: [own], TypeError, f"but got list: {GIVE}"),
        (lambda own: 3, TypeError, "but got int 3"),
        (lambda own: {}, ValueError, f"it has \\[\\], and no 'param_groups'; {GIVE}"),
        (lambda own: {"optimizer": own}, ValueError, r"load state_dict\['optimizer'\]"),
        (lambda own: {**own, "param_groups": None}, ValueError, r'"param_groups"\] is NoneType, expected a list of'),
        (lambda own: {**own, "param_groups": "ab"}, ValueError, r"is str 'ab', expected a list of dicts"),
        (lambda own: {**own, "param_groups": [3]}, ValueError, r'"param_groups"\]\[0\] is int 3, expected a dict'),
        (lambda own: {**own, "param_groups": [{"lr": 1}]}, ValueError, r"\[0\] has \['lr'\], and no \"params\""),
        (lambda own: {**own, "param_groups": []}, ValueError, "number of parameter groups: 0|belongs to no"),
        (lambda own: {**own, "state": None}, ValueError, r'"state"\] is NoneType, expected a dict'),
        (lambda own: {**own, "state": [1]}, ValueError, r'"state"\] is list, expected a dict'),
        (option("params", None), ValueError, r'"params"\] is NoneType, expected a list of numbers'),
        (option("params", "0123"), ValueError, r'"params"\] is str \'0123\', expected a list'),
        (option("params", [0, 1.0, 2, 3]), ValueError, r'"params"\]\[1\] is float 1.0, expected the number'),
        (option("params", [0, 0, 2, 3]), ValueError, "(number|the number) 0"),
        (edited(lambda d: d["state"].__setitem__(9, {})), ValueError, r'"state"\]\[9\] belongs to no parameter'),
        (edited(lambda d: d["state"].__setitem__("9" * 5000, {})), ValueError, r"\['9+\.\.\.9+'\] belongs to no"),
        (edited(lambda d: d["state"].__setitem__(10**5000, {})), ValueError, r"\[a huge number\] belongs to no"),
        (option("params", [0, 10**5000, 2, 3]), ValueError, r'"params"\]\[1\] is int a huge number, expected'),
        (
            lambda own: {**own, "state": {str(k): v for k, v in own["state"].items()}},
            ValueError,
            r"\['0'\] belongs to no .* as JSON makes them: load {int\(k\): v for",
        ),
        (edited(lambda d: d["state"].__setitem__(1, 5)), ValueError, r'"state"\]\[1\] is int 5, expected a dict'),
        (option("lr", None), ValueError, r'_groups\[0\]\["lr"\].* is None \(NoneType\), expected a number such as'),
        (option("lr", float("nan")), ValueError, r'\["lr"\].* is nan \(float\), expected a number such as 0.1'),
        (option("lr", [0.1, 0.2]), ValueError, r'\["lr"\].* is \[0.1, 0.2\] \(list\), expected a number'),
        (option("betas", 0.9), ValueError, r'\["betas"\].* is 0.9 \(float\), expected a tuple such as \(0.9, 0.999\)'),
        (option("betas", (0.9, float("nan"))), ValueError, r'\["betas"\].* is \(0.9, nan\)'),
        (option("amsgrad", "no"), ValueError, r'\["amsgrad"\].* is \'no\' \(str\), expected True, False or None'),
        (entry("step", float("nan")), ValueError, r'state\[1\]\["step"\] is float nan, expected a count, 0 or more'),
        (entry("step", -1), ValueError, r'\["step"\] is int -1, expected a count, 0 or more'),
        (entry("step", "3"), ValueError, r'\["step"\] is str \'3\', expected a count'),
        (entry("step", None), ValueError, r'\["step"\] is NoneType, expected a count'),
        (entry("exp_avg", 0.0), ValueError, r'state\[1\]\["exp_avg"\] is float 0.0, expected a tensor of shape \(2,\)'),
        (entry("exp_avg", [1.0, 2.0]), ValueError, r'\["exp_avg"\] is list, expected a tensor of shape \(2,\)'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("strict", [None, True])
def test_junk_is_refused_by_its_entry(make, error, match, strict):
    model, optimizer = lone()
    with refused(error, match, optimizer, model):
        optimizer.load_state_dict(make(optimizer.state_dict()), strict=strict)


@pytest.mark.parametrize("strict", [None, True, False])
def test_a_hook_that_raises_changes_nothing(strict):
    model, optimizer = lone()
    state_dict = copy.deepcopy(optimizer.state_dict())
    state_dict["state"][0]["exp_avg"] += 1
    state_dict["param_groups"][0]["lr"] = 0.9

    def hook(optimizer: Any) -> None:
        assert optimizer.param_groups[0]["lr"] == 0.9
        raise KeyError("in the hook")

    optimizer.register_load_state_dict_post_hook(hook)
    with refused(KeyError, "in the hook", optimizer, model):
        optimizer.load_state_dict(state_dict, strict=strict)


def test_after_a_failed_load_groups_are_as_before():
    """A tensor that stands for a number still moves it; a rate that was read from an array is still known as such."""
    model, optimizer = lone()
    state_dict = copy.deepcopy(optimizer.state_dict())
    beta = torch.tensor(0.9)
    (group,) = optimizer.param_groups
    group["betas"] = (beta, 0.99)
    optimizer.state = saved(optimizer.state)
    assert group.rounded
    optimizer.register_load_state_dict_post_hook(lambda _: 1 / 0)
    with refused(ZeroDivisionError, "division by zero", optimizer, model):
        optimizer.load_state_dict(state_dict)
    assert group.rounded
    beta.fill_(0.5)
    assert group.arrays["betas"][0][0].item() == 0.5
