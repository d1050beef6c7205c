"""Real files between torch and this package: averages, scalers, checkpoints, tied weights, views."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
import torch

import torchish_mlx
from compat_tests.bridge import difference
from compat_tests.exchange import FIRST, MORE, Run, Small, carried, exact, load, save
from compat_tests.serialization.test_exchange import apart, both_ways
from compat_tests.two_sides import OURS, THEIRS, Side
from torchish_mlx import checkpoint

MOMENTUM, ADAM = Small("SGD", 0, (("momentum", 0.9),)), Small("Adam", 0)
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])


# Beside the optimizer ------------------------------------------------------------------------------------------------


def averaged(run: Run) -> Any:
    """An exponential average of the model; on torch's side the buffers that it has are ours."""
    swa = run.side.optim.swa_utils
    return swa.AveragedModel(run.model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9))


@both_ways
def test_an_average_and_swalr_go_on(source: Side, target: Side, tmp_path: Path) -> None:
    run = Run(source, ADAM, "SWALR-default")
    average = averaged(run)

    def train(run: Run, average: Any) -> None:
        for _ in range(FIRST):
            run.train(1)
            average.update_parameters(run.model)

    train(run, average)
    file = save({"average": average.state_dict()}, source, tmp_path / "average.pt")
    other = carried(run, target, tmp_path)
    twin = averaged(other)
    twin.load_state_dict(load(target, file)["average"])
    assert exact(twin.state_dict()) == exact(average.state_dict())
    train(run, average)
    train(other, twin)
    assert apart(run, other) <= 1e-6
    ours, theirs = (average, twin) if source is OURS else (twin, average)
    assert int(theirs.n_averaged) == 2 * FIRST
    assert difference(ours.state_dict(), theirs.state_dict()) <= 1e-6  # measured: 1.1e-7


@both_ways
def test_a_grad_scaler_goes_on(source: Side, target: Side, tmp_path: Path) -> None:
    """Through growth, an infinite gradient and a skipped step."""

    def new(side: Side, scale: float) -> Any:
        return side.library.amp.GradScaler("cpu", init_scale=scale, growth_interval=3)

    def train(run: Run, scaler: Any, infinite: int) -> list[float]:
        scales = []
        for i in range(run.done, run.done + 5):
            factor = float(scaler.scale(run.side.tensor(1.0))) * (float("inf") if i == infinite else 1.0)
            for j, p in enumerate(run.params):
                p.grad = run.gradient(i, j, p) * factor
            scaler.step(run.optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
        run.done += 5
        return scales

    run = Run(source, MOMENTUM)
    scaler = new(source, 4096.0)
    train(run, scaler, infinite=2)
    file = save(scaler.state_dict(), source, tmp_path / "scaler.pt")
    other, twin = carried(run, target, tmp_path), new(target, 1.0)
    twin.load_state_dict(load(target, file))
    assert exact(twin.state_dict()) == exact(scaler.state_dict())
    scales = train(run, scaler, infinite=9)
    assert scales == train(other, twin, infinite=9)
    assert scales == [4096.0, 4096.0, 4096.0, 8192.0, 4096.0]
    assert apart(run, other) <= 1e-6


def test_torch_loads_a_checkpoint(tmp_path: Path) -> None:
    """The file of ``checkpoint.save`` has what torch's classes load, by the names of its arguments."""
    run = Run(OURS, ADAM, "MultiStepLR-duplicates")
    run.train(FIRST)
    scaler = torchish_mlx.amp.GradScaler("cpu", init_scale=8.0)
    file = checkpoint.save(
        tmp_path, step=FIRST, model=run.model, optimizer=run.optimizer, scheduler=run.scheduler, scaler=scaler, extra=3
    )
    content = load(THEIRS, file)
    assert content["step"] == FIRST
    other = run.fresh(THEIRS).load({**content, "epoch": content["extra"]})
    assert exact(other.saved()) == exact(run.saved())
    twin = torch.amp.GradScaler("cpu")
    twin.load_state_dict(content["scaler"])
    assert twin.state_dict() == scaler.state_dict()
    run.train(MORE)
    other.train(MORE)
    assert apart(run, other) <= 1e-6


# What files look like ------------------------------------------------------------------------------------------------


@FORMATS
def test_a_file_from_a_gpu(zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its storages say ``cuda:0``, and its groups ``capturable``, which the steps of a CPU do not allow."""
    run = Run(THEIRS, ADAM)
    run.train(FIRST)
    state = run.saved()
    for group in state["optimizer"]["param_groups"]:
        group |= {"capturable": True, "fused": True}
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    file = save(state, THEIRS, tmp_path / "gpu.pt", _use_new_zipfile_serialization=zipped)
    assert b"cuda:0" in file.read_bytes()
    other = run.fresh(OURS).load(load(OURS, file))
    assert exact(other.saved()) == exact(state)
    run.train(MORE)
    other.train(MORE)
    assert apart(run, other) <= 1e-6


class Tied(torch.nn.Module):
    """The weights of the embedding are those of the head, as in language models."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


class OurTied(nn.Module):
    """The same for ``mlx.nn``, where the head is ``self.embed.as_linear``."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)


@FORMATS
def test_tied_weights_of_torch(zipped: bool, tmp_path: Path) -> None:
    """They are one storage in the file and one after loading; the second name is the one too many here."""
    theirs, model = Tied(), OurTied()
    optimizer = torch.optim.Adam(theirs.parameters())
    theirs.head(theirs.embed(torch.tensor([1, 4]))).square().sum().backward()
    optimizer.step()
    content = {"model": theirs.state_dict(), "optimizer": optimizer.state_dict()}
    content = load(OURS, save(content, THEIRS, tmp_path / "tied.pt", _use_new_zipfile_serialization=zipped))
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "head.weight"'):
        torchish_mlx.load_state_dict(model, content["model"])
    assert torchish_mlx.load_state_dict(model, content["model"], strict=False).unexpected_keys == ["head.weight"]
    ours = torchish_mlx.optim.Adam(model)
    ours.load_state_dict(content["optimizer"])
    assert exact(ours.state_dict()["state"]) == exact(optimizer.state_dict()["state"])
    for _ in range(3):
        p, q = theirs.embed.weight, next(torchish_mlx.parameters(model))
        p.grad, q.grad = torch.full((5, 3), 0.25), mx.full((5, 3), 0.25)
        optimizer.step()
        ours.step()
        assert difference(q, p) <= 1e-6
    content["model"]["embed.weight"].fill_(7.0)
    assert content["model"]["head.weight"].tolist() == [[7.0] * 3] * 5


def test_tied_weights_for_torch(tmp_path: Path) -> None:
    """A Tensor under two names is one storage in the file: it has the weights once, and torch's tied model loads it."""
    model, theirs = OurTied(), Tied()
    state = torchish_mlx.state_dict(model)
    state["head.weight"] = state["embed.weight"]
    loaded = load(THEIRS, save(state, OURS, tmp_path / "tied.pt"))
    assert loaded["head.weight"].data_ptr() == loaded["embed.weight"].data_ptr()
    theirs.load_state_dict(loaded)
    assert exact(theirs.state_dict()["head.weight"]) == exact(state["embed.weight"])


def shared(side: Side) -> Any:
    """Parameters, one of them twice, and views of one storage: a column, a part from the middle, a transposition."""
    w = side.library.tensor([[float(3 * i + j) for j in range(3)] for i in range(4)])
    p = side.parameter([1.0, 2.0])
    views = OrderedDict(column=w[:, 1], middle=w[1:3], transposed=w.t(), whole=w)
    return {"parameters": [p, side.parameter([3.0]), p], "views": views, "lr": side.library.tensor(0.5)}


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [(THEIRS, OURS, {}), (THEIRS, OURS, {"_use_new_zipfile_serialization": False}), (OURS, THEIRS, {})],
    ids=["theirs", "older", "ours"],
)
def test_lists_of_parameters_and_views(source: Side, target: Side, options: dict[str, Any], tmp_path: Path) -> None:
    """What was one storage is one: a write to it shows in every view."""
    given = shared(source)
    loaded = load(target, save(given, source, tmp_path / "shared.pt", **options))
    assert exact(loaded) == exact(given)
    assert loaded["parameters"][0] is loaded["parameters"][2]
    assert {name: tuple(view.stride()) for name, view in loaded["views"].items()} == {
        name: tuple(view.stride()) for name, view in given["views"].items()
    }
    for side in (given, loaded):
        side["views"]["middle"].fill_(9.0)
        side["views"]["column"].mul_(2.0)
    assert exact(loaded["views"]) == exact(given["views"])
    back = save(loaded, target, tmp_path / "back.pt")
    assert exact(load(source, back)) == exact(given)
    assert back.stat().st_size < 6000
