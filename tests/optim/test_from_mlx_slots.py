"""What the MLX classes of users keep in their state: arrays, also late ones, and Python numbers. Lists are refused."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import pytest
from mlx.utils import tree_flatten

import torchish_mlx
from torchish_mlx import optim


class Counting(mlx.optimizers.Optimizer):
    """The first gradient only fills a slot that was not there; the weight of the mean is a Python float."""

    def __init__(self, learning_rate: float, beta: float = 0.5) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.beta = beta

    def init_single(self, parameter: mx.array, state: dict[str, Any]) -> None:
        state["count"] = 0
        state["weight"] = 0.0
        state["mean"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]) -> mx.array:
        state["count"] += 1
        if state["count"] == 1:
            state["first"] = gradient
            return parameter
        state["weight"] = 1.0 + self.beta * state["weight"]
        state["mean"] = state["mean"] + (gradient - state["mean"]) / state["weight"]
        return parameter - self.learning_rate * (state["mean"] + 0.1 * state["first"])


class Listing(mlx.optimizers.Optimizer):
    """A list of arrays in a slot, as preconditioners often are."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)

    def init_single(self, parameter: mx.array, state: dict[str, Any]) -> None:
        state["factors"] = [mx.eye(n) for n in parameter.shape]


class Switching(Counting):
    """Arrays at first; a list after a step."""

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]) -> mx.array:
        state["seen"] = [gradient]
        return parameter


def network() -> nn.Module:
    mx.random.seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def loss_fn(model: nn.Module, x: mx.array) -> mx.array:
    return (model(x) ** 2).sum()


@pytest.mark.parametrize("goes_on", ["", "state_dict", "tree"])
def test_numbers_and_late_arrays(goes_on, tmp_path):
    """Six steps are MLX's, also where the state was saved and loaded after the third."""
    model, twin = network(), network()
    ours, theirs = optim.from_mlx(Counting)(model, lr=0.1), Counting(0.1)
    x = mx.random.normal((5, 3))
    for i in range(6):
        if i == 3 and goes_on:
            again = optim.from_mlx(Counting)(model, lr=0.1)
            if goes_on == "state_dict":
                torchish_mlx.save(ours.state_dict(), tmp_path / "state.pt")
                again.load_state_dict(torchish_mlx.load(tmp_path / "state.pt"))
            else:
                again.state = ours.state
            ours = again
        ours.zero_grad()
        torchish_mlx.backward(model, loss_fn, x)
        ours.step()
        theirs.update(twin, nn.value_and_grad(twin, loss_fn)(twin, x)[1])
        mx.eval(ours.state, twin.parameters())
    for (name, a), (_, b) in zip(tree_flatten(model.parameters()), tree_flatten(twin.parameters()), strict=True):
        assert mx.allclose(a, b, rtol=2e-6, atol=1e-7), name
    state = ours.state[next(torchish_mlx.parameters(model))]
    assert int(state["count"]) == 6
    assert float(state["weight"]) == pytest.approx(theirs.state["layers"][0]["weight"]["weight"])


@pytest.mark.parametrize(("cls", "slot"), [(Listing, "factors"), (Switching, "seen")])
def test_a_list_is_refused(cls, slot):
    """With the slot's name and what to do; the parameters stay as they are."""
    model, twin = network(), network()
    optimizer = optim.from_mlx(cls)(model, lr=0.1)
    torchish_mlx.backward(model, loss_fn, mx.ones((1, 3)))
    with pytest.raises(TypeError, match=rf"{cls.__name__} keeps a list in its state, as '{slot}'.*its own update\(\)"):
        optimizer.step()
    for (_, a), (_, b) in zip(tree_flatten(model.parameters()), tree_flatten(twin.parameters()), strict=True):
        assert mx.array_equal(a, b)
