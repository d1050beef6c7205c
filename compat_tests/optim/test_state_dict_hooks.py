"""Hooks of state dicts that write into ``optimizer.state``, over torch's table of optimizers."""

from __future__ import annotations

import copy
from typing import Any

import mlx.core as mx

import torchish_mlx
from tests.each import each
from torchish_mlx import optim
from torchish_mlx.parity.optimizer_cases import CASES, Case

every_case = each("case", CASES)


def made(case: Case) -> Any:
    shape = (2, 3)
    return getattr(optim, case.name)([torchish_mlx.Parameter(mx.ones(shape))], **case.ours)


def note(optimizer: Any) -> None:
    optimizer.state["noted"] = 1


def take_note_out(optimizer: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
    state_dict["was noted"] = state_dict["state"].pop("noted", None) is not None
    return state_dict


@every_case
def test_a_hook_before_saving_adds_an_entry(case: Case) -> None:
    optimizer = made(case)
    optimizer.register_state_dict_pre_hook(note)
    assert optimizer.state_dict()["state"]["noted"] == 1
    assert optimizer.state["noted"] == 1


@every_case
def test_a_hook_after_saving_changes_what_is_saved(case: Case) -> None:
    optimizer = made(case)
    optimizer.register_state_dict_post_hook(take_note_out)
    assert optimizer.state_dict()["was noted"] is False
    optimizer.register_state_dict_pre_hook(note)
    saved = optimizer.state_dict()
    assert saved["was noted"] is True
    assert "noted" not in saved["state"]


@every_case
def test_hooks_before_loading_in_their_order(case: Case) -> None:
    """The first one changes the shallow copy that it gets, the other gives a dict of its own, and comes first."""
    optimizer = made(case)
    saved = optimizer.state_dict()

    def in_place(_: Any, state_dict: dict[str, Any]) -> None:
        state_dict["param_groups"][0]["lr"] = 0.002

    def replaced(_: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
        mine = copy.deepcopy(state_dict)
        mine["param_groups"][0]["lr"] = 0.003
        return mine

    optimizer.register_load_state_dict_pre_hook(in_place)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.002
    optimizer.register_load_state_dict_pre_hook(replaced, prepend=True)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.002


@every_case
def test_a_hook_after_loading_writes_into_the_state(case: Case) -> None:
    optimizer = made(case)

    def look(optimizer: Any) -> None:
        optimizer.state["rate was 0.003"] = optimizer.param_groups[0]["lr"] == 0.003
        optimizer.state["loaded"] = True

    optimizer.register_load_state_dict_post_hook(look)
    optimizer.load_state_dict(optimizer.state_dict())
    assert not bool(optimizer.state["rate was 0.003"])
    assert optimizer.state["loaded"] is True

    def faster(_: Any, state_dict: dict[str, Any]) -> None:
        state_dict["param_groups"][0]["lr"] = 0.003

    optimizer.register_load_state_dict_pre_hook(faster)
    optimizer.load_state_dict(optimizer.state_dict())
    assert bool(optimizer.state["rate was 0.003"])


@every_case
def test_groups_that_are_there_twice_are_saved_alike(case: Case) -> None:
    """``param_groups.extend(param_groups)``: the same parameters have the same numbers."""
    optimizer = made(case)
    once = optimizer.state_dict()["param_groups"]
    optimizer.param_groups.extend(optimizer.param_groups)
    twice = optimizer.state_dict()["param_groups"]
    assert [group["params"] for group in twice] == [[0], [0]]
    assert twice[-1].keys() == once[-1].keys()


@every_case
def test_a_deep_copy_has_the_public_attributes(case: Case) -> None:
    def public(optimizer: Any) -> set[str]:
        return {name for name in vars(optimizer) if not name.startswith("_")}

    optimizer = made(case)
    assert public(optimizer) == public(copy.deepcopy(optimizer)) != set()
