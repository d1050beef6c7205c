"""What does not fit by name: refused all together, or left and reported."""

from __future__ import annotations

import copy
from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import torchish_mlx as torch
from tests.loading import lone
from tests.refused import everything, refused
from torchish_mlx import optim


def renamed(state_dict: Any, names: dict[str, str]) -> Any:
    for group in state_dict["param_groups"]:
        group["param_names"] = [names.get(name, name) for name in group["param_names"]]
    return state_dict


def spoiled(optimizer: Any) -> Any:
    """One name of another model, one slot of another shape, one entry of another optimizer, and an lr that is text."""
    new = renamed(copy.deepcopy(optimizer.state_dict()), {"layers.0.weight": "layers.9.weight"})
    new["state"][1]["exp_avg"] = torch.ones(7)
    new["state"][2]["momentum_buffer"] = torch.ones(2, 2)
    new["param_groups"][0]["lr"] = "fast"
    return new


def test_all_that_does_not_fit_is_reported_together():
    model, optimizer = lone()
    bad = spoiled(optimizer)
    with refused(ValueError, "does not fit this AdamW by name", optimizer, model) as _:
        with pytest.raises(ValueError, match="by name") as error:
            optimizer.load_state_dict(bad, strict=True)
        raise error.value
    for words in (
        'Missing: "layers.0.weight", which this optimizer has and the state dict does not have.',
        'Unexpected: "layers.9.weight", which the state dict has and this optimizer does not have.',
        "or load what fits with strict=False.",
        'Mismatched: layers.0.bias: state[1]["exp_avg"], of a parameter of shape (2,), has shape (7,), expected (2,).',
        "layers.1.weight: state[2] has ['momentum_buffer'], which AdamW does not keep; expected ['exp_avg', 'exp_avg_s",
        "param_groups[0][\"lr\"]: is 'fast' (str), expected a number such as 0.1 for AdamW.",
    ):
        assert words in str(error.value)


def test_without_strict_what_fits_is_loaded_and_the_rest_left():
    model, optimizer = lone()
    bad = spoiled(optimizer)
    bad["state"][3]["exp_avg"] = torch.full((2,), 5.0)
    bad["param_groups"][0]["weight_decay"] = 0.25
    before = everything(optimizer, model)["entries"]
    for entries in bad["state"].values():
        entries["step"] = torch.tensor(9.0)
    report = optimizer.load_state_dict(bad, strict=False)
    assert report.missing_keys == ["layers.0.weight"]
    assert report.unexpected_keys == ["layers.9.weight"]
    assert set(report.mismatched_keys) == {"layers.0.bias", "layers.1.weight", 'param_groups[0]["lr"]'}
    assert repr(report).startswith("LoadReport(missing_keys=['layers.0.weight'], unexpected_keys=['layers.9.weight'], ")
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.1, 0.25)
    after = everything(optimizer, model)["entries"]
    for name in ("layers.0.weight", "layers.0.bias", "layers.1.weight"):
        assert {k: v.tolist() for k, v in after[name].items()} == {k: v.tolist() for k, v in before[name].items()}
    assert (after["layers.1.bias"]["exp_avg"].tolist(), after["layers.1.bias"]["step"]) == ([5, 5], 9)
    optimizer.step()
    steps = {path: entries["step"].item() for path, entries in everything(optimizer, model)["entries"].items()}
    assert steps == {"layers.0.weight": 3, "layers.0.bias": 3, "layers.1.weight": 3, "layers.1.bias": 10}


@given(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3)))
def test_names_that_only_one_side_has(ours_only, theirs_only):
    model, source = lone("SGD", momentum=0.9)
    pairs = list(torch.named_parameters(model))
    state_dict = renamed(copy.deepcopy(source.state_dict()), {pairs[i][0]: f"old.{i}" for i in theirs_only})
    target = optim.SGD([pair for i, pair in enumerate(pairs) if i not in ours_only] or pairs[:1], lr=0.3)
    held, saved = target.param_groups[0]["param_names"], state_dict["param_groups"][0]["param_names"]
    report = target.load_state_dict(state_dict, strict=False)
    assert report == ([n for n in held if n not in saved], [n for n in saved if n not in held], {})
    assert {name for name, p in pairs if p in target.state} == set(held) & set(saved)
    if any(report):
        with pytest.raises(ValueError, match="does not fit this SGD by name") as error:
            target.load_state_dict(state_dict, strict=True)
        assert all(f'"{name}"' in str(error.value) for names in report[:2] for name in names)


@pytest.mark.parametrize(
    ("rename", "hint"),
    [
        (lambda n: f"module.{n}", '"param_names": [name.removeprefix("module.") for name in group[\'param_names\']]'),
        (lambda n: n.removeprefix("layers."), '["layers." + name for name in'),
    ],
)
def test_what_would_make_the_names_fit(rename, hint):
    _, optimizer = lone()
    bad = copy.deepcopy(optimizer.state_dict())
    bad["param_groups"][0]["param_names"] = [rename(n) for n in bad["param_groups"][0]["param_names"]]
    with pytest.raises(ValueError, match="Every") as error:
        optimizer.load_state_dict(bad, strict=True)
    assert hint in str(error.value)
    for group in bad["param_groups"]:
        expression = str(error.value).split('"param_names": ')[1].removesuffix(".")
        group["param_names"] = eval(expression, {"group": group})
    optimizer.load_state_dict(bad, strict=True)


def test_options_that_cannot_be_told():
    model, _ = lone()
    pairs = list(torch.named_parameters(model))
    split = optim.AdamW([{"params": pairs[:2], "lr": 0.5}, {"params": pairs[2:], "weight_decay": 0.3}])
    one = optim.AdamW(pairs, lr=0.7)
    for group in split.state_dict()["param_groups"]:
        assert len(group["param_names"]) == 2
    with pytest.raises(ValueError, match="by name") as error:
        one.load_state_dict(split.state_dict(), strict=True)
    assert (
        "param_groups[0][\"lr\"]: is 0.5 for 'layers.0.weight' and 0.001 for 'layers.1.weight' in the state dict, "
        "expected one value for the group: put these parameters into groups of their own" in str(error.value)
    )
    report = one.load_state_dict(split.state_dict(), strict=False)
    assert set(report.mismatched_keys) == {'param_groups[0]["lr"]', 'param_groups[0]["weight_decay"]'}
    assert one.param_groups[0]["lr"] == 0.7


def test_options_that_the_saved_groups_lack():
    _, optimizer = lone()
    bad = copy.deepcopy(optimizer.state_dict())
    del bad["param_groups"][0]["betas"], bad["param_groups"][0]["maximize"]  # which older versions had not
    with pytest.raises(ValueError, match=r'Missing: param_groups\[0\]\["betas"\], options that the saved groups'):
        optimizer.load_state_dict(bad, strict=True)
    assert optimizer.load_state_dict(bad, strict=False).missing_keys == ['param_groups[0]["betas"]']


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda g: g.pop("param_names"), r'has no "param_names", .*save from an optimizer made of named_parameters'),
        (lambda g: g["param_names"].pop(), r'"param_names"\] is .*, expected a list of 4 names'),
        (lambda g: g.update(param_names=3), r'"param_names"\] is 3, expected a list of 4 names'),
        (lambda g: g.update(param_names=[1, 2, 3, 4]), r"expected a list of 4 names"),
        (lambda g: g.update(param_names=["a", "a", "b", "c"]), "has the name 'a' and the number 1, and one of them"),
        (lambda g: g.update(params=[0, 0, 1, 2]), "the number 0, and one of them already belongs to another"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_saved_names_that_are_none(spoil, match, strict):
    model, optimizer = lone()
    bad = copy.deepcopy(optimizer.state_dict())
    spoil(bad["param_groups"][0])
    with refused(ValueError, match, optimizer, model):
        optimizer.load_state_dict(bad, strict=strict)


def test_own_names_that_are_none():
    model, source = lone()
    alone = optim.AdamW([torch.Parameter(p.array) for p in torch.parameters(model)])
    with pytest.raises(ValueError, match=r'"params"\]\[0\] of this optimizer has no name.*named_parameters\(model\)'):
        alone.load_state_dict(source.state_dict(), strict=True)
    twice = optim.AdamW([(str("ab"[i > 1]), p) for i, p in enumerate(torch.parameters(model))])
    with pytest.raises(ValueError, match="two parameters of this optimizer have the name 'a'"):
        twice.load_state_dict(source.state_dict(), strict=True)


@pytest.mark.parametrize("strict", ["yes", 2, [], mx.array(3)])
def test_strict_that_is_neither(strict):
    _, optimizer = lone()
    with pytest.raises(TypeError, match="strict is None"):
        optimizer.load_state_dict(optimizer.state_dict(), strict=strict)
