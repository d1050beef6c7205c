"""State dicts that are trees, and what is said where names differ by a prefix and by an extra key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as torch
from torchish_mlx.optim.swa_utils import AveragedModel


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Sequential(nn.Linear(3, 3), nn.BatchNorm(3)))
        self.blocks = [nn.Linear(3, 2), {"inner": nn.Linear(2, 2)}]
        self.rows = [mx.zeros(2), mx.zeros((1, 2))]


def moved() -> Model:
    model = Model()
    rng = np.random.default_rng(0)
    model.apply(lambda a: mx.array(rng.standard_normal(a.shape).astype("f4")))
    return model


def values(model: nn.Module) -> dict[str, list[Any]]:
    return {name: array.tolist() for name, array in tree_flatten(model.parameters())}


def refusal(model: nn.Module, state: Any, **kwargs: Any) -> str:
    before = values(model)
    with pytest.raises(RuntimeError) as error:
        torch.load_state_dict(model, state, **kwargs)
    assert values(model) == before
    return str(error.value)


def file_of(tree: Any, name: str, folder: Path) -> Path:
    torch.save(tree, folder / name)
    return folder / name


# Trees ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", ["tree.pt", "tree.safetensors", ""], ids=["pt", "safetensors", "memory"])
def test_a_tree_loads_as_it_was_saved(strict, name, tmp_path) -> None:
    source, model = moved(), Model()
    tree: Any = source.parameters()
    if name:
        tree = torch.load(file_of({"params": tree, "epoch": 3}, name, tmp_path))["params"]
    assert torch.load_state_dict(model, tree, strict=strict) == ([], [])
    assert values(model) == values(source)


@pytest.mark.parametrize("name", ["tree.pt", "tree.safetensors"])
def test_the_trainable_part_of_a_frozen_model(name, tmp_path) -> None:
    source, model = moved(), Model()
    source.freeze()
    source.blocks[0].unfreeze()
    keys = torch.load_state_dict(
        model, torch.load(file_of(source.trainable_parameters(), name, tmp_path)), strict=False
    )
    assert keys.unexpected_keys == []
    assert {*values(model)} - {*keys.missing_keys} == {"blocks.0.weight", "blocks.0.bias"}
    assert model.blocks[0].weight.tolist() == source.blocks[0].weight.tolist()
    assert "pass strict=False" in refusal(Model(), source.trainable_parameters())


def test_trees_and_names_may_be_mixed() -> None:
    source, model = moved(), Model()
    flat = dict(torch.state_dict(source))
    mixed: dict[str, Any] = {name: value for name, value in flat.items() if not name.startswith(("body", "blocks.1"))}
    mixed["body.layers.0"] = {"weight": source.body.layers[0].weight, "bias": source.body.layers[0].bias}
    mixed["body"] = {"layers.2": source.body.layers[2].parameters()}
    mixed["blocks.1"] = {"inner": {"bias": flat["blocks.1.inner.bias"], "weight": flat["blocks.1.inner.weight"]}}
    assert torch.load_state_dict(model, mixed) == ([], [])
    assert values(model) == values(source)


def test_the_same_name_twice_is_refused() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    text = refusal(model, {**torch.state_dict(model), "layers": [{"weight": mx.ones((1, 1))}]}, strict=False)
    assert 'Key(s) that are in state_dict twice, once in a container: "layers.0.weight"' in text


def test_other_containers_stay_one_unexpected_key() -> None:
    model = nn.Linear(1, 1)
    state = {**torch.state_dict(model), "history": [1.0, 2.0], "optimizer": {"state": {0: {"step": 3}}}}
    assert torch.load_state_dict(model, state, strict=False) == ([], ["history", "optimizer"])
    assert 'Unexpected key(s) in state_dict: "history", "optimizer".' in refusal(model, state)


def test_a_container_without_end_is_refused() -> None:
    tree: dict[str, Any] = {"weight": mx.ones((1, 1))}
    tree["self"] = tree
    with pytest.raises(ValueError, match="more than 100 levels deep: nothing was loaded"):
        torch.load_state_dict(nn.Linear(1, 1, bias=False), tree)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("inside", "advice"),
    [
        (lambda tree: {"model": tree, "epoch": 3}, "load state_dict['model']"),
        (lambda tree: {"state": {"params": tree, "step": 1}}, "load state_dict['state']['params']"),
    ],
)
def test_a_tree_below_a_key_is_not_passed_over_in_silence(strict, inside, advice) -> None:
    for tree in (moved().parameters(), dict(torch.state_dict(moved()))):
        assert advice in refusal(Model(), inside(tree), strict=strict)


def test_an_average_takes_a_tree() -> None:
    source, average = moved(), AveragedModel(Model())
    tree = {"module": source.parameters(), "n_averaged": mx.array(3)}
    assert average.load_state_dict(tree) == ([], [])
    assert (values(average.module), average.n_averaged.item()) == (values(source), 3)


# Names that differ ---------------------------------------------------------------------------------------------------

PREFIXES = ["module.", "model.", "_orig_mod.", "module._orig_mod.", "model.module.", "net.backbone."]
EXTRA = [{}, {"epoch": 3}, {"n_averaged": mx.array(4), "step": mx.array(2)}, {"module.extra": mx.ones(1), "lr": 0.1}]


def advised(text: str, state: Any) -> Any:
    """What the advice in ``text`` gives."""
    start = text.index("load {") + len("load ")
    return eval(text[start : text.index("}", start) + 1], {"state_dict": state})


@pytest.mark.parametrize("extra", EXTRA, ids=lambda extra: "+".join(extra) or "none")
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_seen_past_other_keys(prefix, extra) -> None:
    source, model = moved(), Model()
    state = {**{f"{prefix}{name}": value for name, value in torch.state_dict(source).items()}, **extra}
    text = refusal(model, state)
    assert f'with "{prefix}" before it' in text
    assert all(f'"{name}"' in text for name in extra)
    assert torch.load_state_dict(model, advised(text, state)) == ([], [])
    assert values(model) == values(source)


@pytest.mark.parametrize("extra", [{}, {"epoch": 3}])
def test_what_is_missing_does_not_hide_a_prefix_either(extra) -> None:
    source, model = moved(), Model()
    state = {f"module.{name}": value for name, value in torch.state_dict(source).items() if "rows.0" not in name}
    text = refusal(model, {**state, **extra})
    assert 'Then "rows.0" is missing still: pass strict=False, too.' in text
    keys = torch.load_state_dict(model, advised(text, {**state, **extra}), strict=False)
    assert keys == (["rows.0"], [])


def test_wrappers_within_the_names() -> None:
    source, model = moved(), Model()
    state = {
        f"model.{name.replace('body.', 'body._orig_mod.').replace('blocks.0.', 'blocks.0.module.')}": value
        for name, value in torch.state_dict(source).items()
    }
    text = refusal(model, {**state, "epoch": 3})
    assert 'but for "_orig_mod." and "module.", which torch\'s wrappers put into names, with "model." before it' in text
    assert torch.load_state_dict(model, advised(text, {**state, "epoch": 3})) == ([], [])
    assert values(model) == values(source)


def test_a_prefix_below_a_key() -> None:
    source, model = moved(), Model()
    state = {"state_dict": {f"module.{n}": v for n, v in torch.state_dict(source).items()}, "epoch": 3}
    text = refusal(model, state)
    assert "The weights are in state_dict['state_dict']." in text
    assert torch.load_state_dict(model, advised(text, state)) == ([], [])


def test_sequential_of_torch_and_an_extra_key() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    state = {name.removeprefix("layers."): v for name, v in torch.state_dict(model).items()} | {"epoch": 3}
    assert torch.load_state_dict(model, advised(refusal(model, state), state)) == ([], [])
    deep = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    state = {f"module.{n.replace('layers.', '')}": v for n, v in torch.state_dict(deep).items()} | {"epoch": 3}
    text = refusal(deep, state)
    assert 'Every saved name but "epoch" has "module." before it, and the names differ by "layers."' in text


def test_two_sets_of_weights_in_one_file() -> None:
    source, model = moved(), Model()
    state = {f"{lead}.{n}": v for lead in ("student", "teacher") for n, v in torch.state_dict(source).items()}
    text = refusal(model, {**state, "epoch": 3})
    assert 'saved with "student." or with "teacher." before them. Choose one of these sets: load {' in text
    assert torch.load_state_dict(model, advised(text, {**state, "epoch": 3})) == ([], [])


@pytest.mark.parametrize(
    "state",
    [
        {"other": mx.ones(2), "more": mx.ones(3)},
        {"head.weight": mx.ones((9, 9)), "head.bias": mx.ones(9), "epoch": 1},  # weights of other sizes
        {f"x{i}.y": mx.ones(1) for i in range(9)} | {"a.rows.0": mx.ones(2)},  # one name of ten
    ],
    ids=["other names", "other sizes", "one of many"],
)
def test_no_false_advice(state) -> None:
    for model in (Model(), nn.Linear(2, 2)):
        text = refusal(model, state)
        assert "strict=False" not in text
        assert "removeprefix" not in text


def test_strict_false_is_advised_only_where_it_loads_something() -> None:
    model = nn.Linear(2, 2)
    fits = dict(torch.state_dict(model))
    assert "pass strict=False" in refusal(model, {**fits, "epoch": 3})
    assert "pass strict=False" in refusal(model, {"weight": fits["weight"]})
    assert "The state dict is empty." in refusal(model, {})
    text = refusal(model, {"weight": mx.ones((5, 5)), "epoch": 3})  # strict=False would refuse it too
    assert "strict=False" not in text
    assert "a model of another size" in text


# By-name loading of an optimizer -------------------------------------------------------------------------------------


def named_state(rename: Any, extra: int = 0) -> dict[str, Any]:
    """A state dict of names that differ, with further parameters."""
    model = Model()
    pairs = [(rename(name), p) for name, p in torch.named_parameters(model)]
    pairs += [(f"module.extra{i}", torch.Parameter(mx.ones(1))) for i in range(extra)]
    return torch.optim.Adam(pairs).state_dict()


@pytest.mark.parametrize("extra", [0, 1, 5])
@pytest.mark.parametrize("prefix", ["module.", "model._orig_mod."])
def test_a_prefix_in_the_names_of_an_optimizer(prefix, extra) -> None:
    optimizer = torch.optim.Adam(torch.named_parameters(Model()))
    state = named_state(lambda name: prefix + name, extra)
    with pytest.raises(ValueError, match="by name") as error:
        optimizer.load_state_dict(state, strict=True)
    assert f'[name.removeprefix("{prefix}") for name in group[' in str(error.value)
    assert ("pass strict=False, too" in str(error.value)) == bool(extra)
    for group in state["param_groups"]:
        group["param_names"] = [name.removeprefix(prefix) for name in group["param_names"]]
    report = optimizer.load_state_dict(state, strict=not extra)
    assert (report.missing_keys, len(report.unexpected_keys)) == ([], extra)


def test_strict_false_of_an_optimizer_is_advised_only_where_it_loads_something() -> None:
    optimizer = torch.optim.Adam(torch.named_parameters(nn.Linear(2, 2)))
    other = torch.optim.Adam([("a", torch.Parameter(mx.ones(1))), ("weight2", torch.Parameter(mx.ones(1)))])
    with pytest.raises(ValueError, match="Make the optimizer of the parameters that were saved") as error:
        optimizer.load_state_dict(other.state_dict(), strict=True)
    assert "strict=False" not in str(error.value)
