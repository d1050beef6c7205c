"""A convolution of torch whose shape is the same in MLX's layout: weights and moments, by every way that they come."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import safetensors.torch
import torch

import torchish_mlx
from compat_tests.bridge import difference, to_torch
from torchish_mlx import checkpoint, optim
from torchish_mlx.optim.swa_utils import AveragedModel
from torchish_mlx.parity.optimizer_cases import INFO


class Theirs(torch.nn.Module):
    def __init__(self, more: bool = False) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3)
        if more:
            self.body = torch.nn.Conv2d(8, 4, 3)
        self.head = torch.nn.Linear(8, 2)


class Ours(nn.Module):
    def __init__(self, more: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        if more:
            self.body = nn.Conv2d(8, 4, 3)
        self.head = nn.Linear(8, 2)


def last(value: Any) -> Any:
    return value.permute(0, 2, 3, 1) if value.ndim == 4 else value


def renamed(state: Any) -> Any:
    wrapped = {f"module.{name}": value for name, value in state.items()}
    return {name.removeprefix("module."): value for name, value in wrapped.items()}


def by_file(state: Any, folder: Path, **options: Any) -> Any:
    torch.save(state, folder / "theirs.pt", **options)
    return torchish_mlx.load(folder / "theirs.pt")


def by_safetensors(state: Any, folder: Path, metadata: Any = None) -> Any:
    tensors = {name: value.contiguous() for name, value in state.items()}
    safetensors.torch.save_file(tensors, folder / "theirs.safetensors", metadata)
    return torchish_mlx.load(folder / "theirs.safetensors")


def by_mlx(state: Any, folder: Path) -> Any:
    by_safetensors(state, folder)
    return mx.load(str(folder / "theirs.safetensors"))


WAYS: dict[str, Callable[[Any, Path], Any]] = {
    "torch's own": lambda state, _: state,
    "a plain dict": lambda state, _: dict(state),
    "renamed": lambda state, _: renamed(state),
    "a file": by_file,
    "an older file": lambda state, folder: by_file(state, folder, _use_new_zipfile_serialization=False),
    "a file, renamed": lambda state, folder: renamed(by_file(state, folder)),
    "a file, and ours": lambda state, folder: resaved(by_file(state, folder), folder),
    "safetensors": by_safetensors,
    "safetensors of transformers": lambda state, folder: by_safetensors(state, folder, {"format": "pt"}),
    "safetensors by MLX": by_mlx,
    "numpy": lambda state, _: {name: value.numpy() for name, value in state.items()},
    "MLX": lambda state, _: {name: mx.array(value.numpy()) for name, value in state.items()},
    "Tensors": lambda state, _: {name: torchish_mlx.tensor(value) for name, value in state.items()},
    "Tensors of numpy": lambda state, _: {name: torchish_mlx.tensor(value.numpy()) for name, value in state.items()},
    "channels_last": lambda state, _: {
        name: value.to(memory_format=torch.channels_last) if value.ndim == 4 else value for name, value in state.items()
    },
}
ways = pytest.mark.parametrize("way", WAYS)


def resaved(state: Any, folder: Path) -> Any:
    torchish_mlx.save(state, folder / "ours.safetensors")
    return torchish_mlx.load(folder / "ours.safetensors")


def refused(load: Callable[[], Any], model: Ours) -> str:
    before = np.array(model.stem.weight).tolist()
    with pytest.raises((RuntimeError, ValueError), match="the same shape in torch's layout of a convolution") as error:
        load()
    assert np.array(model.stem.weight).tolist() == before
    return str(error.value)


@pytest.mark.parametrize("more", [False, True], ids=["alone", "with one that its shape tells"])
@ways
def test_weights(way: str, more: bool, tmp_path: Path) -> None:
    """They are refused as they are, and load with ``layout="torch"``, with torch's outputs."""
    theirs, model = Theirs(more), Ours(more)
    state = WAYS[way](theirs.state_dict(), tmp_path)
    refused(lambda: torchish_mlx.load_state_dict(model, state), model)
    refused(lambda: torchish_mlx.load_state_dict(model, state, strict=False), model)
    torchish_mlx.load_state_dict(model, state, layout="torch")
    x = torch.randn(2, 3, 7, 7)
    ours = model.stem(mx.array(x.permute(0, 2, 3, 1).numpy()))
    np.testing.assert_allclose(np.array(ours), theirs.stem(x).detach().permute(0, 2, 3, 1).numpy(), atol=1e-5)


@pytest.mark.parametrize("way", ["torch's own", "a plain dict", "a file", "an older file", "Tensors"])
def test_weights_that_were_transposed(way: str, tmp_path: Path) -> None:
    """As torch's tensors or as ours; a copy of one that torch transposed tells nothing, unless others do."""
    theirs = Theirs()
    state = {name: last(value) for name, value in WAYS[way](theirs.state_dict(), tmp_path).items()}
    model = Ours()
    torchish_mlx.load_state_dict(model, state)
    np.testing.assert_array_equal(np.array(model.stem.weight), last(theirs.stem.weight).detach().numpy())
    if not isinstance(state["stem.weight"], torch.Tensor):
        return
    refused(lambda: torchish_mlx.load_state_dict(Ours(), {n: v.contiguous() for n, v in state.items()}), Ours())
    more = {name: last(value).contiguous() for name, value in Theirs(True).state_dict().items()}
    torchish_mlx.load_state_dict(Ours(True), more)


def test_one_that_was_forgotten() -> None:
    state = dict(Theirs(True).state_dict())
    state["body.weight"] = last(state["body.weight"])
    model = Ours(True)
    assert "it comes from torch" in refused(lambda: torchish_mlx.load_state_dict(model, state), model)


def test_an_average_of_torch(tmp_path: Path) -> None:
    average = AveragedModel(Ours())
    state = by_file(torch.optim.swa_utils.AveragedModel(Theirs()).state_dict(), tmp_path)
    refused(lambda: average.load_state_dict(state), average.module)
    average.load_state_dict(state, layout="torch")
    np.testing.assert_array_equal(
        np.array(average.module.stem.weight), state["module.stem.weight"].permute(0, 2, 3, 1).numpy()
    )


# Moments -------------------------------------------------------------------------------------------------------------

NAMES = [name for name in INFO if name not in ("LBFGS", "SparseAdam", "Muon")]
OPTIONS: dict[str, Any] = {"SGD": {"lr": 0.1, "momentum": 0.9}, "RMSprop": {"momentum": 0.9}}


def both(name: str, more: bool = False) -> tuple[Theirs, Any, Ours, Any]:
    theirs, model = Theirs(more), Ours(more)
    torchish_mlx.load_state_dict(model, theirs.state_dict(), layout="torch")
    named = list(theirs.named_parameters()), list(torchish_mlx.named_parameters(model))
    optimizers = [
        kind(pairs, **OPTIONS.get(name, {}))
        for kind, pairs in zip((INFO[name].optim_cls, getattr(optim, name)), named, strict=True)
    ]
    return theirs, optimizers[0], model, optimizers[1]


def step(theirs: Theirs, optimizer: Any, rng: np.random.Generator, model: Any = None, ours: Any = None) -> None:
    gradients = {name: rng.standard_normal(p.shape).astype("f4") for name, p in theirs.named_parameters()}
    for name, p in theirs.named_parameters():
        p.grad = torch.tensor(gradients[name])
    optimizer.step()
    if model is not None:
        for name, p in torchish_mlx.named_parameters(model):
            g = gradients[name]
            p.grad = mx.array(np.ascontiguousarray(g.transpose(0, 2, 3, 1) if g.ndim == 4 else g))
        ours.step()


def in_state(state: Any, change: Callable[[Any], Any]) -> Any:
    entries = {
        n: {k: change(v) if hasattr(v, "ndim") else v for k, v in each.items()} for n, each in state["state"].items()
    }
    return {**state, "state": entries}


OF_MOMENTS: dict[str, Callable[[Any, Path], Any]] = {
    "torch's own": lambda state, _: state,
    "rebuilt": lambda state, _: in_state(state, lambda v: v),
    "deepcopy": lambda state, _: copy.deepcopy(state),
    "a file": by_file,
    "a file and ours": lambda state, folder: resaved(by_file(state, folder), folder),
    "clones of a file": lambda state, folder: in_state(by_file(state, folder), lambda v: v.clone()),
    "numpy": lambda state, _: in_state(state, lambda v: v.numpy()),
    "MLX": lambda state, _: in_state(state, lambda v: mx.array(v.numpy())),
}


@pytest.mark.parametrize("strict", [None, True], ids=["order", "name"])
@pytest.mark.parametrize("way", OF_MOMENTS)
def test_moments_by_every_way(way: str, strict: bool | None, tmp_path: Path) -> None:
    for more in (False, True):
        theirs, optimizer, model, ours = both("Adam", more)
        step(theirs, optimizer, np.random.default_rng(0))
        state = OF_MOMENTS[way](optimizer.state_dict(), tmp_path)
        text = refused(lambda state=state, ours=ours: ours.load_state_dict(state, strict=strict), model)
        assert 'state[0]["exp_avg"] has the same shape' in text
        ours.load_state_dict(state, strict=strict, layout="torch")
        kept = ours.state[torchish_mlx.locate(model, "stem.weight")]["exp_avg"]
        expected = last(optimizer.state[theirs.stem.weight]["exp_avg"])
        np.testing.assert_array_equal(kept.numpy(), expected.numpy())


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_torch_goes_on(name: str, more: bool, tmp_path: Path) -> None:
    """``layout="torch"`` and the advised transpositions are the same, and the numbers go on as torch's."""
    theirs, optimizer, model, ours = both(name, more)
    rng = np.random.default_rng(0)
    for _ in range(3):
        step(theirs, optimizer, rng)
    file = by_file({"model": theirs.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path)
    text = refused(lambda: ours.load_state_dict(file["optimizer"]), model)
    if name == "Adafactor":
        with pytest.raises(ValueError, match="moments of some of its axes can't be transposed"):
            ours.load_state_dict(file["optimizer"], layout="torch")
        return
    torchish_mlx.load_state_dict(model, file["model"], layout="torch")
    ours.load_state_dict(file["optimizer"], layout="torch")
    expected = repr(ours.state_dict())
    for number, entry, order in re.findall(r'state\[(\d+)\]\["(\w+)"\].*transpose it with (\([\d, ]+\))', text):
        entries = file["optimizer"]["state"][int(number)]
        entries[entry] = entries[entry].permute(eval(order))
    ours.load_state_dict(file["optimizer"])
    assert repr(ours.state_dict()) == expected
    for _ in range(3):
        step(theirs, optimizer, rng, model, ours)
    named = dict(theirs.named_parameters())
    for path, p in torchish_mlx.named_parameters(model):
        assert difference(p.permute(0, 3, 1, 2) if p.ndim == 4 else p, named[path]) <= 2e-6, path


def test_lbfgs() -> None:
    theirs, model = Theirs(), Ours()
    optimizer, ours = torch.optim.LBFGS(theirs.parameters(), max_iter=2), optim.LBFGS(model, max_iter=2)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = sum((p * p).sum() for p in theirs.parameters())
        loss.backward()
        return loss

    optimizer.step(closure)
    with pytest.raises(ValueError, match="is one vector of all parameters"):
        ours.load_state_dict(optimizer.state_dict())


# Our own files, saved again by torch ---------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [False, True])
def test_our_file_that_torch_saved_again(more: bool, tmp_path: Path) -> None:
    """Nothing says any more whose layout it has: other convolutions tell it, or ``layout``; a checkpoint resumes."""
    model = Ours(more)
    optimizer = optim.Adam(model)
    for p in torchish_mlx.parameters(model):
        p.grad = mx.ones_like(p.array)
    optimizer.step()
    file = checkpoint.save(tmp_path / "ours.pt", step=1, model=model, optimizer=optimizer)
    content = torch.load(file, weights_only=True)
    torch.save(content, tmp_path / "theirs.pt")
    assert checkpoint.resume(tmp_path / "theirs.pt", model=Ours(more), optimizer=both("Adam", more)[3]).step == 1

    saved, other = torchish_mlx.load(tmp_path / "theirs.pt"), Ours(more)
    fresh = optim.Adam(other)
    if not more:
        refused(lambda: torchish_mlx.load_state_dict(other, saved["model"]), other)
        refused(lambda: fresh.load_state_dict(saved["optimizer"]), other)
    layout = None if more else "mlx"
    torchish_mlx.load_state_dict(other, saved["model"], layout=layout)
    fresh.load_state_dict(saved["optimizer"], layout=layout)
    assert repr(fresh.state_dict()) == repr(optimizer.state_dict())
    assert repr(torchish_mlx.state_dict(other)) == repr(torchish_mlx.state_dict(model))


def test_our_state_dict_as_torchs_tensors() -> None:
    """What a user made torch's tensors of, to hand it over, is torch's."""
    model = Ours()
    refused(lambda: torchish_mlx.load_state_dict(model, to_torch(dict(torchish_mlx.state_dict(Ours())))), model)
