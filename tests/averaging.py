"""The model, the functions and the walk that the tests of averaged models share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest

import torchish_mlx as torch
from tests.cases import assert_same, flat
from torchish_mlx.optim.swa_utils import (
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
)


def plain(average: Any, weight: Any, n: Any) -> Any:
    return average * 0.9 + weight * 0.1


def plain_lists(averages: Any, weights: Any, n: Any) -> None:
    for average, weight in zip(averages, weights, strict=True):
        average.mul_(0.9).add_(weight * 0.1)


#: id -> (arguments, the weight of a new model as a function of the number of those before it)
FUNCTIONS: dict[str, tuple[dict[str, Any], Any]] = {
    "default": ({}, lambda n: 1 / (n + 1)),
    "swa": ({"avg_fn": get_swa_avg_fn()}, lambda n: 1 / (n + 1)),
    "swa-lists": ({"multi_avg_fn": get_swa_multi_avg_fn()}, lambda n: 1 / (n + 1)),
    "ema": ({"avg_fn": get_ema_avg_fn(0.9)}, lambda n: 0.1),
    "ema-lists": ({"multi_avg_fn": get_ema_multi_avg_fn(0.9)}, lambda n: 0.1),
    "plain": ({"avg_fn": plain}, lambda n: 0.1),
    "plain-lists": ({"multi_avg_fn": plain_lists}, lambda n: 0.1),
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_use_of_buffers = pytest.mark.parametrize("use_buffers", [False, True])
NEAR = 1e-6  # relative to numbers of about 1; measured: 3.3e-7


class Model(nn.Module):
    """Convolution, normalization, a layer that stands twice, a frozen bias, lists and dicts of arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, kernel_size=3)
        self.bn = nn.BatchNorm(3)
        self.blocks = [[nn.Linear(3, 3), nn.LayerNorm(3)], {"gain": mx.ones(()), "rows": [mx.zeros((2, 3))]}]
        self.head = nn.Linear(3, 2)
        self.again = self.head
        self.head.freeze(keys="bias")

    def __call__(self, x: mx.array) -> mx.array:
        x = self.bn(self.conv(x)).mean((1, 2))
        for layer in self.blocks[0]:
            x = layer(x)
        return self.again(x * self.blocks[1]["gain"] + self.blocks[1]["rows"][0].sum(0))


def walk(model: nn.Module, seed: int) -> None:
    """Move every array of ``model``, running statistics upwards."""
    keys = iter(mx.random.split(mx.random.key(seed), 64))
    for tensor in (*torch.parameters(model), *torch.buffers(model)):
        by = mx.random.normal(tensor.shape, key=next(keys)).astype(tensor.array.dtype)
        tensor.array = tensor.array + (by if isinstance(tensor, torch.Parameter) else mx.abs(by))


def averaged(model: nn.Module, updates: int = 3, **kwargs: Any) -> AveragedModel:
    ema = AveragedModel(model, **kwargs)
    for i in range(updates):
        walk(model, i)
        ema.update_parameters(model)
    return ema


@contextmanager
def nothing_changes(*models: nn.Module) -> Iterator[None]:
    before = [flat(model) for model in models]
    yield
    for model, values in zip(models, before, strict=True):
        assert_same(values, model)
