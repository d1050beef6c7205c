"""Layers that are replaced, or added, after the optimizer was built: it goes on holding the Parameters it was given."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from torchish_mlx import optim

X = mx.ones((2, 3))


class LoRA(nn.Module):
    """A frozen layer with a small one next to it."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.a, self.b = mx.ones((3, 1)), mx.zeros((1, 3))
        self.linear.freeze()

    def __call__(self, x: mx.array) -> mx.array:
        return self.linear(x) + x @ self.a @ self.b


def loss_of(model: nn.Module) -> mx.array:
    return ((model(X) - 1) ** 2).sum()


def model_of(*layers: nn.Module) -> Any:
    return nn.Sequential(*(layers or (nn.Linear(3, 3), nn.Linear(3, 3))))


def trained(optimizer: Any, model: nn.Module, steps: int = 2) -> None:
    for _ in range(steps):
        _, gradients = nn.value_and_grad(model, loss_of)(model)
        optimizer.update(model, gradients)


@pytest.mark.parametrize("keep_old", [False, True])
@pytest.mark.parametrize("kind", ["AdamW", "Adamax", "Lion"])
def test_update_refuses_what_has_the_name_of_another_parameter(kind: str, keep_old: bool) -> None:
    model = model_of()
    optimizer = getattr(optim, kind)(model, lr=0.1)
    trained(optimizer, model)
    old = model.layers[0] if keep_old else None
    model.layers[0] = nn.Linear(3, 3)
    before = [np.array(a) for a in (model.layers[0].weight, model.layers[1].weight)]
    state = [np.array(a) for a in optimizer.state["layers"][1]["weight"].values()]
    _, gradients = nn.value_and_grad(model, loss_of)(model)
    for call in (optimizer.update, lambda m, g: optimizer.apply_gradients(g, m)):
        with pytest.raises(ValueError, match=r"'layers\.0\.\w+', 'layers\.0\.\w+'.*was replaced after the optimizer"):
            call(model, gradients)
    with pytest.raises(ValueError, match=r'optimizer\.add_param_group\(\{"params": layer\}\), or build'):
        optimizer.init(model)
    for a, b in zip(before, (model.layers[0].weight, model.layers[1].weight), strict=True):
        np.testing.assert_array_equal(a, np.array(b))  # nothing was changed
    for a, b in zip(state, optimizer.state["layers"][1]["weight"].values(), strict=True):
        np.testing.assert_array_equal(a, np.array(b))
    optimizer.add_param_group({"params": model.layers[0]})
    trained(optimizer, model)
    assert not np.array_equal(before[0], np.array(model.layers[0].weight))
    count = optimizer.state[torch.locate(model, "layers.0.weight")].get("step")
    assert count is None or count.item() == 2
    assert old is None or old is not model.layers[0]


def test_step_trains_nothing_of_a_new_layer() -> None:
    model = model_of()
    optimizer = optim.AdamW(model, lr=0.1)
    model.layers[0] = nn.Linear(3, 3)
    before = [np.array(a) for a in (model.layers[0].weight, model.layers[1].weight)]
    torch.backward(model, loss_of)
    optimizer.step()
    np.testing.assert_array_equal(before[0], np.array(model.layers[0].weight))
    assert not np.array_equal(before[1], np.array(model.layers[1].weight))


def test_a_layer_that_was_added() -> None:
    model = model_of()
    optimizer = optim.AdamW(model, lr=0.1)
    model.layers.append(nn.Linear(3, 3))
    with pytest.raises(ValueError, match=r"'layers\.2\.weight'.*Give it a layer that was added after it was built"):
        trained(optimizer, model)
    optimizer.add_param_group({"params": model.layers[2]})
    trained(optimizer, model)


def test_adapters_of_lora() -> None:
    model = model_of()
    optimizer = optim.AdamW(model, lr=0.1)
    trained(optimizer, model)
    model.layers[0] = LoRA(model.layers[0])
    frozen = np.array(model.layers[0].linear.weight)
    with pytest.raises(ValueError, match=r"'layers\.0\.a', which this optimizer does not hold"):
        trained(optimizer, model)
    optimizer.add_param_group({"params": [p for p in torch.parameters(model.layers[0]) if p.requires_grad]})
    before = np.array(model.layers[0].b)
    trained(optimizer, model)
    np.testing.assert_array_equal(frozen, np.array(model.layers[0].linear.weight))
    assert not np.array_equal(before, np.array(model.layers[0].b))


def test_a_layer_that_moved_is_the_same() -> None:
    """It is wrapped, and so has another path: its Parameters go on with their moments."""
    model = model_of(nn.Linear(3, 3))
    optimizer = optim.AdamW(model, lr=0.1)
    trained(optimizer, model)
    model.layers[0] = nn.Sequential(model.layers[0], nn.ReLU())
    trained(optimizer, model)
    assert optimizer.state[torch.locate(model, "layers.0.layers.0.weight")]["step"].item() == 4


def test_another_model_of_the_same_names() -> None:
    model, other = model_of(), model_of()
    optimizer = optim.AdamW(model, lr=0.1)
    _, gradients = nn.value_and_grad(other, loss_of)(other)
    with pytest.raises(ValueError, match="or this is another model"):
        optimizer.update(other, gradients)
    new = optimizer.apply_gradients(gradients, other.parameters())  # arrays have no identity, and go by their paths
    other.update(new)


def test_arrays_go_by_their_paths() -> None:
    p = torch.Parameter(mx.ones((3, 3)))
    model = nn.Linear(3, 3, bias=False)
    optimizer = optim.SGD([("weight", p)], lr=1.0)
    optimizer.update(model, {"weight": mx.ones((3, 3))})  # a Parameter of no module, which is called the same
    assert p.tolist() == [[1.0] * 3] * 3
