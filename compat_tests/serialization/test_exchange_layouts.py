"""A convolutional network of torch, from a real file into ``mlx.nn``: other names, other layouts, and what says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

import torchish_mlx
from compat_tests.bridge import difference, to_array
from compat_tests.exchange import load, save
from compat_tests.two_sides import OURS, THEIRS


def their_block(into: int, out: int) -> torch.nn.Module:
    block = torch.nn.Module()
    block.conv1, block.bn1 = torch.nn.Conv2d(into, out, 3, padding=1, bias=False), torch.nn.BatchNorm2d(out)
    block.conv2, block.bn2 = torch.nn.Conv2d(out, out, 3, padding=1, bias=False), torch.nn.BatchNorm2d(out)
    if into != out:
        block.downsample = torch.nn.Sequential(torch.nn.Conv2d(into, out, 1, bias=False), torch.nn.BatchNorm2d(out))
    return block


class Block(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm(out)
        if into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, bias=False), nn.BatchNorm(out))


class ResNet(torch.nn.Module):
    """A stem, two residual blocks, and a linear head, under torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.BatchNorm2d(8)
        self.layer1 = torch.nn.Sequential(their_block(8, 8), their_block(8, 6))
        self.fc = torch.nn.Linear(6, 4)


class OurResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm(8)
        self.layer1 = [Block(8, 8), Block(8, 6)]
        self.fc = nn.Linear(6, 4)


def resnet(model: Any, x: Any, relu: Callable[[Any], Any], pooled: Callable[[Any], Any]) -> Any:
    """The forward pass of either side."""
    x = relu(model.bn1(model.conv1(x)))
    for block in model.layer1:
        y = block.bn2(block.conv2(relu(block.bn1(block.conv1(x)))))
        x = relu(y + (block.downsample(x) if "downsample" in names_of(block) else x))
    return model.fc(pooled(x))


def names_of(block: Any) -> Any:
    return block if isinstance(block, nn.Module) else dict(block.named_children())


def their_resnet() -> ResNet:
    """With weights, statistics and a count of batches that a training left."""
    model = ResNet().train()
    for _ in range(3):
        outputs_of(model, np.random.default_rng(0).standard_normal((4, 9, 9, 3)).astype("f4"))
    return model.eval()


def outputs_of(model: Any, x: np.ndarray) -> np.ndarray:
    if isinstance(model, nn.Module):
        return np.array(resnet(model, mx.array(x), nn.relu, lambda x: x.mean((1, 2))))
    x = torch.tensor(x).permute(0, 3, 1, 2)
    return resnet(model, x, torch.relu, lambda x: x.mean((2, 3))).detach().numpy()


X = np.random.default_rng(1).standard_normal((2, 9, 9, 3)).astype("f4")
#: (entry, order of the axes) of every line of a refusal that says how to transpose.
TRANSPOSE = re.compile(r"(?m)^\s*(\S+?),? (?:has|of) .*transpose it with (\([\d, ]+\))")
LAYERS = '"layer1.1.downsample.0.weight" and "layer1.1.downsample.layers.0.weight"'


def refusal(load_it: Callable[[], Any]) -> str:
    with pytest.raises((RuntimeError, ValueError)) as error:
        load_it()
    return str(error.value)


def renamed(name: str) -> str:
    return name.removeprefix("module.").replace("downsample.", "downsample.layers.")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("parallel", [False, True], ids=["alone", "DataParallel"])
def test_a_residual_network_of_torch(zipped: bool, parallel: bool, tmp_path: Path) -> None:
    """The names and layouts differ, and the refusals say how: with that done, the model gives torch's outputs.

    Of the first convolution (three channels, 3 x 3) the shape is the same in both layouts: it is told of too.
    """
    theirs, model = their_resnet(), OurResNet().eval()
    source = torch.nn.DataParallel(theirs) if parallel else theirs
    file = save(source.state_dict(), THEIRS, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    state = load(OURS, file)

    text = refusal(lambda: torchish_mlx.load_state_dict(model, state))
    assert (LAYERS if not parallel else LAYERS.replace('"', '"module.', 1)) in text
    assert ('has "module." before it' in text) == parallel
    state = {renamed(name): value for name, value in state.items()}

    hints = TRANSPOSE.findall(refusal(lambda: torchish_mlx.load_state_dict(model, state)))
    assert sorted(name for name, _ in hints) == sorted(f'"{name}"' for name, v in state.items() if v.ndim == 4)
    for name, order in hints:
        state[name.strip('"')] = state[name.strip('"')].permute(eval(order))
    assert repr(torchish_mlx.load_state_dict(model, state)) == "<All keys matched successfully>"
    np.testing.assert_allclose(outputs_of(model, X), outputs_of(theirs, X), rtol=1e-5, atol=1e-6)


def moved(value: Any, *order: int) -> Any:
    """The weights of a convolution, in another layout."""
    return value.permute(order) if value.ndim == 4 else value


@pytest.mark.parametrize("source", ["theirs", "ours"])
def test_a_residual_network_and_its_optimizer_go_on(source: str, tmp_path: Path) -> None:
    """The entries have the layout of their weights: transposed like them, the run goes on, here as in torch."""
    theirs, model = their_resnet(), OurResNet()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    ours = torchish_mlx.optim.SGD(model, lr=0.1, momentum=0.9)
    rng = np.random.default_rng(0)

    def step() -> None:
        for p, q in zip(theirs.parameters(), torchish_mlx.parameters(model), strict=True):
            gradient = torch.tensor(rng.standard_normal(p.shape).astype("f4"))
            p.grad, q.grad = gradient, to_array(moved(gradient, 0, 2, 3, 1))
        optimizer.step()
        ours.step()

    step()
    file = tmp_path / "run.pt"
    if source == "theirs":
        content = load(OURS, save({"model": theirs.state_dict(), "optimizer": optimizer.state_dict()}, THEIRS, file))
        text = refusal(lambda: ours.load_state_dict(content["optimizer"]))
        assert len(TRANSPOSE.findall(text)) == 6  # with the first, whose shape tells nothing
        for entries in content["optimizer"]["state"].values():
            entries["momentum_buffer"] = moved(entries["momentum_buffer"], 0, 2, 3, 1)
        ours.load_state_dict(content["optimizer"])
        state = {renamed(name): moved(value, 0, 2, 3, 1) for name, value in content["model"].items()}
        torchish_mlx.load_state_dict(model, state)
    else:
        saved = {"model": torchish_mlx.state_dict(model), "optimizer": ours.state_dict()}
        for entries in saved["optimizer"]["state"].values():
            entries["momentum_buffer"] = moved(entries["momentum_buffer"], 0, 3, 1, 2)
        saved["model"] = {
            name.replace(".layers.", "."): moved(value, 0, 3, 1, 2) for name, value in saved["model"].items()
        }
        content = load(THEIRS, save(saved, OURS, file))
        optimizer.load_state_dict(content["optimizer"])
        theirs.load_state_dict(content["model"])
    for _ in range(3):
        step()
    named = dict(theirs.named_parameters())
    for name, value in torchish_mlx.named_parameters(model):
        assert difference(moved(value, 0, 3, 1, 2), named[name.replace(".layers.", ".")]) <= 1e-6, name
    np.testing.assert_allclose(outputs_of(model.eval(), X), outputs_of(theirs, X), rtol=1e-5, atol=1e-5)
