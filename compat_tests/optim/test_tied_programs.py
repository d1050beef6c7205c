"""Random programs that tie, untie, load, copy and train the layers of a model, next to torch."""

from __future__ import annotations

import copy
import random
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from torchish_mlx import optim as ours

LAYERS, WIDTH = 4, 3
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.05, "momentum": 0.9},
    "AdamW": {"lr": 0.01},
    "Adagrad": {"lr": 0.02},
}


def loss_of(model: nn.Module, x: mx.array) -> mx.array:
    for layer in model.layers:
        x = mx.tanh(layer(x)) + 0.5 * x
    return (x**2).mean()


class Program:
    """A model of both kinds, and what may happen to it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.theirs = torch.nn.ModuleList([torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)])
        self.ours: Any = nn.Sequential(*[nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)])
        for mine, its in zip(self.ours.layers, self.theirs, strict=True):
            mine.weight = mx.array(its.weight.detach().numpy())
        name = self.random.choice(list(OPTIMIZERS))
        for _ in range(self.random.randrange(2)):
            self.tie()
        self.torchs = getattr(torch.optim, name)(self.theirs.parameters(), **OPTIMIZERS[name])
        self.optimizer = getattr(ours, name)(self.ours, **OPTIMIZERS[name])
        self.said = [name]

    def pair(self) -> tuple[int, int]:
        i, j = self.random.sample(range(LAYERS), 2)
        return i, j

    def tie(self) -> None:
        i, j = self.pair()
        if not (self.theirs[i].weight.requires_grad and self.theirs[j].weight.requires_grad):
            return  # a frozen place stays frozen in MLX
        self.theirs[i].weight = self.theirs[j].weight
        self.ours.layers[i].weight = self.ours.layers[j].weight

    def assign(self) -> None:
        """A new Parameter at one of several places; where it is the only one, a place is the Parameter."""
        i, _ = self.pair()
        new = self.numpy.normal(size=(WIDTH, WIDTH)).astype(np.float32)
        if sum(layer.weight is self.theirs[i].weight for layer in self.theirs) > 1:
            self.theirs[i].weight = torch.nn.Parameter(torch.tensor(new), self.theirs[i].weight.requires_grad)
        else:
            self.theirs[i].weight.data.copy_(torch.tensor(new))
        list(tm.parameters(self.ours))
        self.ours.layers[i].weight = mx.array(new)

    def batch(self) -> np.ndarray:
        return self.numpy.normal(size=(4, WIDTH)).astype(np.float32)

    def trained_by_torch(self, x: np.ndarray) -> None:
        value = torch.tensor(x)
        for layer in self.theirs:
            value = torch.tanh(layer(value)) + 0.5 * value
        self.torchs.zero_grad()
        (value**2).mean().backward()
        self.torchs.step()
        self.theirs.zero_grad()

    def step(self) -> None:
        x = self.batch()
        self.trained_by_torch(x)
        self.one_step(mx.array(x))

    def one_step(self, x: mx.array) -> mx.array:
        loss = tm.backward(self.ours, loss_of, x)
        self.optimizer.step()
        for p in tm.parameters(self.ours):
            p.grad = None
        return loss.array

    def compiled(self) -> None:
        state = [self.ours.state, self.optimizer.state]
        list(tm.parameters(self.ours))
        function = mx.compile(self.one_step, inputs=state, outputs=state)
        for _ in range(2):
            x = self.batch()
            self.trained_by_torch(x)
            mx.eval(function(mx.array(x)))

    def update(self) -> None:
        list(tm.parameters(self.ours))
        x = self.batch()
        self.trained_by_torch(x)
        _, gradients = nn.value_and_grad(self.ours, loss_of)(self.ours, mx.array(x))
        held = {id(p) for p in self.optimizer.param_groups[0]["params"]}
        leaves = gradients["layers"]
        for i in range(LAYERS):  # what was assigned is not held
            if id(tm.locate(self.ours, f"layers.{i}.weight")) not in held:
                leaves[i] = {}
        self.optimizer.update(self.ours, gradients)

    def traced(self) -> None:
        """What leaves other objects at each place."""
        list(tm.parameters(self.ours))
        nn.value_and_grad(self.ours, loss_of)(self.ours, mx.array(self.batch()))

    def copies(self) -> None:
        self.theirs, self.torchs = copy.deepcopy((self.theirs, self.torchs))
        list(tm.parameters(self.ours))
        self.ours, self.optimizer = copy.deepcopy((self.ours, self.optimizer))

    def load(self) -> None:
        source = {f"{i}.weight": self.numpy.normal(size=(WIDTH, WIDTH)).astype(np.float32) for i in range(LAYERS)}
        for key in self.random.sample(sorted(source), self.random.randrange(LAYERS)):
            del source[key]
        self.theirs.load_state_dict({k: torch.tensor(v) for k, v in source.items()}, strict=False)
        tm.load_state_dict(self.ours, {f"layers.{k}": mx.array(v) for k, v in source.items()}, strict=False)

    def freeze(self) -> None:
        i, _ = self.pair()
        value = self.random.random() < 0.5
        self.theirs[i].weight.requires_grad_(value)
        tm.locate(self.ours, f"layers.{i}.weight").requires_grad_(value)

    def thaw(self) -> None:
        """There must be something to train."""
        if not any(p.requires_grad for p in self.theirs.parameters()):
            self.theirs[0].weight.requires_grad_(True)
            tm.locate(self.ours, "layers.0.weight").requires_grad_(True)

    def run(self, length: int) -> None:
        kinds = [
            self.tie,
            self.tie,
            self.assign,
            self.step,
            self.step,
            self.update,
            self.traced,
            self.copies,
            self.load,
        ]
        kinds += [self.freeze] + [self.compiled] * (self.random.random() < 0.05)
        for _ in range(length):
            action = self.random.choice(kinds)
            self.said.append(action.__name__)
            action()
            self.thaw()
            self.compare()

    def compare(self) -> None:
        assert len(list(tm.parameters(self.ours))) == len(list(self.theirs.parameters())), self.said
        for i, (mine, its) in enumerate(zip(self.ours.layers, self.theirs, strict=True)):
            np.testing.assert_allclose(
                np.array(mine.weight), its.weight.detach().numpy(), rtol=1e-3, atol=1e-4, err_msg=f"{i} {self.said}"
            )
            assert tm.locate(self.ours, f"layers.{i}.weight").requires_grad == its.weight.requires_grad, self.said


@pytest.mark.parametrize("seed", range(40))
def test_a_random_program(seed: int) -> None:
    Program(seed).run(12)
