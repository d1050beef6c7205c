"""torch's modules, tensors and optimizers, given where this package's are wanted: a sentence that says what to do."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import pytest
import torch

import torchish_mlx
from torchish_mlx import optim, optimizers


class Net(torch.nn.Module):
    """A class of a user, which inherits from torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (lambda m: m, r"'Net' object is not iterable: torchish_mlx trains mlx.nn modules.*load_state_dict\(model"),
        (lambda m: m.layer, "'Linear' object is not iterable: torchish_mlx trains"),
        (lambda m: m.parameters(), r"one of the params is torch.nn.parameter.Parameter: torchish_mlx trains"),
        (lambda m: m.named_parameters(), "one of the params is torch.nn.parameter.Parameter: torchish_mlx trains"),
        (lambda m: [m.layer.weight.detach()], "one of the params is torch.Tensor: torchish_mlx trains"),
        (lambda m: m.layer.weight, "'Parameter' object is not iterable: torchish_mlx trains"),
        (lambda m: m.parameters, "'method' object is not iterable: torchish_mlx trains"),
        (lambda m: [{"params": m.parameters()}], "torch.nn.parameter.Parameter: torchish_mlx trains"),
    ],
)
def test_as_params(params, match):
    with pytest.raises(TypeError, match=match):
        optim.AdamW(params(Net()), lr=0.1)


def test_a_torch_module_in_a_rule_and_as_a_rate():
    with pytest.raises(TypeError, match=r"learning_rate is a Net of torch.*take no parameters"):
        optimizers.AdamW(Net())
    with pytest.raises(TypeError, match=r"learning_rate is a generator.*take no parameters"):
        optimizers.AdamW(Net().parameters())
    with pytest.raises(TypeError, match=r"lr is a Net of torch.*the parameters come first"):
        optim.AdamW(0.1, Net())


def test_torchs_optimizer_under_a_scheduler():
    with pytest.raises(TypeError, match=r"SGD is not an Optimizer: it is torch's"):
        optim.lr_scheduler.StepLR(torch.optim.SGD(Net().parameters(), lr=0.1), 10)


def test_backward():
    """A torch model is refused; tensors of a DataLoader are taken as data."""
    with pytest.raises(TypeError, match=r"a module of torch, which is written with mlx.nn here"):
        torchish_mlx.backward(Net(), lambda m, x: m(x).sum(), torch.ones(2, 2))
    seen = []

    def loss_fn(model: nn.Module, batch: list[mx.array]) -> mx.array:
        seen.extend(batch)
        return model(batch[0]).sum()

    torchish_mlx.backward(nn.Linear(2, 2), loss_fn, [torch.ones(2, 2), torch.tensor([1, 2])])
    assert [(type(a), a.dtype) for a in seen] == [(mx.array, mx.float32), (mx.array, mx.int64)]


def test_numbers_of_torch_are_numbers():
    p = torchish_mlx.Parameter(mx.ones(1))
    assert optim.SGD([p], lr=torch.tensor(0.5)).learning_rate.item() == 0.5
