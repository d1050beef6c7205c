"""State dicts of models and named optimizers between torch and this package, by name."""

from __future__ import annotations

import copy
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch

import torchish_mlx
from compat_tests.bridge import difference, to_torch
from torchish_mlx import optim
from torchish_mlx.parity.optimizer_cases import INFO

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


class Ours(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.bn, self.b = nn.Linear(3, 4), nn.BatchNorm(4), nn.Linear(4, 2)


class Theirs(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.bn, self.b = torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.bn(self.a(x)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_model_there_and_back(dtype: torch.dtype) -> None:
    """Buffers too; torch's count of batches is passed over here, and torch does without it."""
    source, model, back = Theirs().to(dtype), Ours(), Theirs()
    source.bn.running_mean.add_(3)
    assert torchish_mlx.load_state_dict(model, source.state_dict()) == ([], [])
    for name, value in torchish_mlx.state_dict(model).items():
        np.testing.assert_array_equal(np.array(value.array), source.state_dict()[name].float().numpy(), err_msg=name)
    back.load_state_dict(to_torch(dict(torchish_mlx.state_dict(model))), strict=True)
    assert torch.equal(back.bn.running_mean, source.bn.running_mean.float())


def test_a_convolution_of_torchs_layout() -> None:
    source, model = torch.nn.Conv2d(3, 4, (2, 5)), nn.Conv2d(3, 4, (2, 5))
    with pytest.raises(RuntimeError, match=r"transpose it with \(0, 2, 3, 1\)"):
        torchish_mlx.load_state_dict(model, source.state_dict())
    state = {**source.state_dict(), "weight": source.weight.permute(0, 2, 3, 1)}
    torchish_mlx.load_state_dict(model, state)
    x = torch.randn(2, 3, 6, 7)
    ours = np.array(model(mx.array(x.permute(0, 2, 3, 1).numpy()))).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(ours, source(x).detach().numpy(), atol=1e-5)


def test_a_dtype_that_mlx_has_not() -> None:
    with pytest.raises(RuntimeError, match=r'"bias": a torch.Tensor of dtype torch.float8_e4m3fn can.t become'):
        torchish_mlx.load_state_dict(
            nn.Linear(1, 2), {"weight": torch.ones(2, 1), "bias": torch.ones(2).to(torch.float8_e4m3fn)}
        )


def test_torchs_prefix_of_a_wrapper() -> None:
    source = torch.nn.Sequential(Theirs())
    with pytest.raises(RuntimeError, match=r'load \{name.removeprefix\("0."\): value for'):
        torchish_mlx.load_state_dict(Ours(), source.state_dict())


def grouped(kind: Any, named: Any, order: list[list[int]], rates: list[float]) -> Any:
    pairs = list(named)
    groups = [{"params": [pairs[i] for i in chosen], "lr": lr} for chosen, lr in zip(order, rates, strict=True)]
    return kind(groups)


@pytest.mark.parametrize("name", [name for name in INFO if name not in ("LBFGS", "SparseAdam", "Muon")])
def test_an_optimizer_in_another_order_and_other_groups(name: str) -> None:
    """torch's state by name into ours, of another order; from there by order into torch, of that order: as it was."""
    model, other = Ours(), Theirs()
    theirs = grouped(INFO[name].optim_cls, other.named_parameters(), [[0, 1, 2, 3], [4, 5]], [0.01, 0.02])
    for _ in range(3):
        theirs.zero_grad()
        other(torch.randn(5, 3)).square().sum().backward()
        theirs.step()
    ours = grouped(getattr(optim, name), torchish_mlx.named_parameters(model), [[5, 4], [3], [1, 0, 2]], [1, 1, 1])
    assert ours.load_state_dict(theirs.state_dict(), strict=True) == ([], [], {})
    assert [group["lr"] for group in ours.param_groups] == [0.02, 0.01, 0.01]
    names = dict(torchish_mlx.named_parameters(model))
    for path, q in other.named_parameters():
        assert difference(dict(ours.state[names[path]]), dict(theirs.state[q])) == 0
    back = grouped(INFO[name].optim_cls, copy.deepcopy(other).named_parameters(), [[5, 4], [3], [1, 0, 2]], [1, 1, 1])
    back.load_state_dict(to_torch(ours.state_dict()))
    assert [group["param_names"] for group in back.param_groups] == [
        ["b.bias", "b.weight"],
        ["bn.bias"],
        ["a.bias", "a.weight", "bn.weight"],
    ]
    for group in back.param_groups:
        for path, q in zip(group["param_names"], group["params"], strict=True):
            assert difference(dict(theirs.state[dict(other.named_parameters())[path]]), dict(back.state[q])) == 0


def test_an_lr_that_is_torchs_tensor_becomes_ours() -> None:
    theirs = torch.optim.Adam([("w", torch.nn.Parameter(torch.ones(2)))], lr=torch.tensor(0.25))
    ours = optim.Adam([("w", torchish_mlx.Parameter(mx.ones(2)))])
    for strict in (None, True):
        ours.load_state_dict(theirs.state_dict(), strict=strict)
        assert isinstance(ours.param_groups[0]["lr"], torchish_mlx.Tensor)
        assert ours.param_groups[0]["lr"].item() == 0.25
