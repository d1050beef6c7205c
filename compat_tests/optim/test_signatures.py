"""Signatures, defaults, groups, state keys, layout of state dicts, repr: equal to torch's for all fifteen classes."""

from __future__ import annotations

import inspect
from typing import Any

import mlx.core as mx
import pytest
import torch
import torch.optim.optimizer as torchs_module

import torchish_mlx
from compat_tests.bridge import shape_of, to_torch
from compat_tests.twin import Twin
from tests.each import each
from torchish_mlx import optim
from torchish_mlx.parity.optimizer_cases import CASES, INFO, Case

NAMES = list(INFO)
METHODS = [
    "add_param_group",
    "load_state_dict",
    "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "register_step_post_hook",
    "register_step_pre_hook",
    "state_dict",
    "step",
    "zero_grad",
]


def arguments(function: Any) -> list[tuple[str, Any, Any]]:
    """(name, kind, default) of each argument; torch marks positional-only ones in some overloads only."""
    return [(a.name, a.kind, a.default) for a in inspect.signature(function).parameters.values()]


def entries(state: Any, name: str) -> Any:
    """Names in order, with types; of LBFGS sorted, because what is no array stands behind the arrays here."""
    found = shape_of(dict(state))
    return sorted(found) if name == "LBFGS" else found


def layout(state_dict: Any, name: str) -> Any:
    """The whole state dict, parameters by number (torch has them in the order in which they first got a gradient)."""
    state = {number: entries(state_dict["state"][number], name) for number in sorted(state_dict["state"])}
    return list(state_dict), state, shape_of(to_torch(state_dict["param_groups"]))


def test_fifteen() -> None:
    assert len(NAMES) == 15
    assert len(CASES) == 91
    assert {name for name in dir(torch.optim) if isinstance(getattr(torch.optim, name), type)} <= {*dir(optim)}


#: What a method takes besides torch's arguments.
MORE = {"load_state_dict": ["strict", "keep_state_dtype", "layout"]}


@pytest.mark.parametrize("name", NAMES)
def test_constructor(name: str) -> None:
    assert arguments(getattr(optim, name)) == arguments(INFO[name].optim_cls)


@each("method", METHODS)
@each("name", [*NAMES, "Optimizer"])
def test_methods(name: str, method: str) -> None:
    ours, theirs = (
        arguments(getattr(getattr(optim, name), method)),
        arguments(getattr(INFO[name].optim_cls if name in INFO else torch.optim.Optimizer, method)),
    )
    assert ours[: len(theirs)] == theirs
    assert [name for name, *_ in ours[len(theirs) :]] == MORE.get(method, [])


def test_module_functions() -> None:
    for name in ("register_optimizer_step_pre_hook", "register_optimizer_step_post_hook"):
        assert arguments(getattr(optim, name)) == arguments(getattr(torchs_module, name))


@pytest.mark.parametrize("name", NAMES)
def test_base_classes(name: str) -> None:
    """Which class is which other's, among the fifteen and Optimizer: AdamW is an Adam."""
    theirs, ours = INFO[name].optim_cls, getattr(optim, name)
    for other in [*NAMES, "Optimizer"]:
        assert issubclass(ours, getattr(optim, other)) == issubclass(theirs, getattr(torch.optim, other)), other


@each("case", CASES)
def test_groups_and_defaults(case: Case) -> None:
    """The same keys in the same order with the same values, in ``defaults`` and in the group, and the same repr."""
    twin = Twin(case)
    for ours, theirs in (
        (twin.ours.defaults, twin.theirs.defaults),
        *zip(twin.ours.param_groups, twin.theirs.param_groups, strict=True),
    ):
        assert list(ours) == list(theirs)
        for key in ours:
            if key != "params":
                assert to_torch(ours[key]) == theirs[key], key
                assert type(to_torch(ours[key])) is type(theirs[key]), key
    assert repr(twin.ours) == repr(twin.theirs)


@each("case", CASES)
def test_state(case: Case) -> None:
    """After steps: the same entries in the same order, of the same types, dtypes and shapes; before them too."""
    twin = Twin(case, missing=True)
    for _ in range(3):
        assert layout(twin.ours.state_dict(), case.name) == layout(twin.theirs.state_dict(), case.name)
        for p, q in zip(twin.our_params, twin.their_params, strict=True):
            assert (p in twin.ours.state) == (q in twin.theirs.state)
            if q in twin.theirs.state:
                assert entries(twin.ours.state[p], case.name) == entries(twin.theirs.state[q], case.name)
        twin.step()


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_state(name: str) -> None:
    """The dtype of every entry of the state of a bfloat16 parameter is torch's."""
    more = {"max_iter": 3} if name == "LBFGS" else {}  # its lists are as long as its iterations, which rounding decides
    twin = Twin(Case(name, 0), dtype=torch.bfloat16, **more)
    twin.step()
    assert layout(twin.ours.state_dict(), name) == layout(twin.theirs.state_dict(), name)
    assert shape_of([*twin.our_params]) == shape_of([*twin.their_params])


def test_names_in_the_groups() -> None:
    """Named parameters: ``param_names`` stands where torch has it, in the group and in the state dict."""
    p, q = torchish_mlx.Parameter(mx.ones(2)), torch.nn.Parameter(torch.ones(2))
    ours, theirs = optim.AdamW([("w", p)]), torch.optim.AdamW([("w", q)])
    assert list(ours.param_groups[0]) == list(theirs.param_groups[0])
    assert ours.param_groups[0]["param_names"] == theirs.param_groups[0]["param_names"] == ["w"]
    assert repr(ours.state_dict()) == repr(theirs.state_dict())
    assert repr(ours) == repr(theirs)
