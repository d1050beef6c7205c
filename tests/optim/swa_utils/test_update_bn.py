"""``update_bn``: statistics of BatchNorm over a loader, what is restored, what is evaluated."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import torchish_mlx as torch
from tests.cases import assert_same, flat
from tests.optim.test_evaluation import FEWER, SLACK, growth, pending
from torchish_mlx.optim.swa_utils import AveragedModel, update_bn

NEAR = 1e-6  # relative; measured: 2e-7


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(5, 6)
        self.bn = nn.BatchNorm(6, momentum=0.3)

    def __call__(self, x: mx.array) -> mx.array:
        return self.bn(self.before(x))


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 4, kernel_size=3, padding=1)
        self.bn = nn.BatchNorm(4, momentum=0.3)

    def __call__(self, x: mx.array) -> mx.array:
        return self.bn(self.before(x))


SHAPES: dict[type[nn.Module], tuple[int, ...]] = {Dense: (5,), Convolutional: (5, 5, 3)}
each_model = pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)


def batches(kind: type[nn.Module], count: int = 8, size: int = 5) -> list[mx.array]:
    return [mx.random.normal((size, *SHAPES[kind]), key=mx.random.key(i)) for i in range(count)]


def statistics(kinds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The averages over the batches of mean and variance (with n - 1: as MLX and torch keep it)."""
    rows = [k.reshape(-1, k.shape[-1]).astype(np.float64) for k in kinds]
    return np.mean([r.mean(0) for r in rows], axis=0), np.mean([r.var(0, ddof=1) for r in rows], axis=0)


def assert_statistics(bn: nn.BatchNorm, expected: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_allclose(np.array(bn.running_mean), expected[0], rtol=NEAR, atol=NEAR)
    np.testing.assert_allclose(np.array(bn.running_var), expected[1], rtol=NEAR)


@each_model
@pytest.mark.parametrize(
    "wrapped",
    [lambda x: x, torch.Tensor, lambda x: [x, 1], lambda x: (torch.Tensor(x), None)],
    ids=["array", "Tensor", "list", "tuple"],
)
def test_the_average_over_the_batches(kind, wrapped):
    """Whatever stood there, in one pass over an iterator; and again from the start."""
    model = kind()
    model.bn.running_mean = model.bn.running_mean + 9
    data = batches(kind)
    expected = statistics([np.array(model.before(x)) for x in data])
    update_bn(iter([wrapped(x) for x in data]), model)
    assert_statistics(model.bn, expected)
    update_bn((wrapped(x) for x in data), model)
    assert_statistics(model.bn, expected)
    assert model.training
    assert model.bn.momentum == 0.3
    assert type(model.bn) is nn.BatchNorm


def test_the_variance_is_the_one_of_training():
    """MLX keeps the variance with n - 1, as torch does: the same of one batch as of a step with momentum 1."""
    model, trained = nn.BatchNorm(3), nn.BatchNorm(3, momentum=1.0)
    x = mx.random.normal((4, 3))
    update_bn([x], model)
    trained(x)
    assert_same(model, trained)
    np.testing.assert_allclose(np.array(model.running_var), np.array(x).var(0, ddof=1), rtol=NEAR)


def test_batches_of_different_sizes_count_the_same():
    model = Dense()
    data = [x[: i + 2] for i, x in enumerate(batches(Dense, 3))]
    update_bn(data, model)
    assert_statistics(model.bn, statistics([np.array(model.before(x)) for x in data]))


def test_weights_stay_and_the_mode_comes_back():
    model = Dense()
    model.eval()
    before = flat(model.before), flat(dict(model.bn))["weight"]
    update_bn(batches(Dense), model)
    assert not model.training
    assert not model.bn.training
    assert model.bn.momentum == 0.3
    assert_same(before[0], model.before)
    np.testing.assert_array_equal(before[1], np.array(model.bn.weight))


def test_mixed_modes_become_that_of_the_model():
    """As in torch."""
    model = Dense()
    model.bn.eval()
    update_bn(batches(Dense), model)
    assert model.bn.training


def test_every_call_counts():
    """A layer that is called twice for a batch, one that is called for some batches, and one that is never called."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.twice, self.sometimes, self.never = nn.BatchNorm(2), nn.BatchNorm(2), nn.BatchNorm(2)

        def __call__(self, x: mx.array, other: Any = None) -> mx.array:
            if x.shape[0] > 4:
                self.sometimes(x)
            return self.twice(x) + self.twice(x * 3 + 1)

    data = [mx.random.normal((3 + i % 3, 2)) for i in range(7)]
    model = Net()
    model.never.running_mean = mx.ones(2)
    update_bn(data, model)
    values = [np.array(x) for x in data]
    assert_statistics(model.twice, statistics([v for x in values for v in (x, x * 3 + 1)]))
    assert_statistics(model.sometimes, statistics([x for x in values if len(x) > 4]))
    assert model.never.running_mean.tolist() == [0, 0]
    assert model.never.running_var.tolist() == [1, 1]


def test_a_layer_that_the_model_keeps_in_evaluation_mode():
    """Its statistics begin anew, as in torch, and calls in evaluation mode count for nothing."""

    class Kept(Dense):
        def __call__(self, x: mx.array) -> mx.array:
            self.bn.train(x.shape[0] > 3)
            return super().__call__(x)

    model = Kept()
    data = [mx.random.normal((2 + i % 4, 5)) for i in range(8)]
    update_bn(data, model)
    assert_statistics(model.bn, statistics([np.array(model.before(x)) for x in data if x.shape[0] > 3]))


def test_a_layer_that_stands_twice_and_one_without_statistics():
    shared = nn.BatchNorm(5)
    model = nn.Sequential(shared, shared, nn.BatchNorm(5, track_running_stats=False))
    data = batches(Dense)
    update_bn(data, model)
    normal = [np.array(x) for x in data]
    second = [(x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) for x in normal]
    expected = statistics([v for pair in zip(normal, second, strict=True) for v in pair])
    assert_statistics(shared, expected)
    assert shared.momentum == 0.1
    assert "running_mean" not in model.layers[2]


def test_an_averaged_model():
    model = Dense()
    ema = AveragedModel(model)
    ema.update_parameters(model)
    update_bn(batches(Dense), ema)
    assert_statistics(ema.module.bn, statistics([np.array(model.before(x)) for x in batches(Dense)]))
    assert model.bn.running_mean.tolist() == [0] * 6


def test_without_batch_norm_the_loader_is_left_alone():
    def loader():
        raise AssertionError("it was read")
        yield

    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    model.eval()
    update_bn(loader(), model)
    assert not model.training


def test_an_empty_loader():
    model = Dense()
    model.bn.running_mean = mx.ones(6)
    update_bn([], model)
    assert model.bn.running_mean.tolist() == [0] * 6
    assert model.bn.running_var.tolist() == [1] * 6


@pytest.mark.parametrize("where", ["loader", "model"])
def test_an_exception_leaves_everything_as_it_was(where):
    def loader():
        yield from batches(Dense, 2)
        if where == "loader":
            raise OSError("no more")
        yield mx.ones((2, 4))

    model = Dense()
    update_bn(batches(Dense), model)
    model.eval()
    before = flat(model)
    with pytest.raises((OSError, ValueError)):
        update_bn(loader(), model)
    assert_same(before, model)
    assert not model.training
    assert model.bn.momentum == 0.3
    assert type(model.bn) is nn.BatchNorm


def test_the_device():
    model = Dense()
    update_bn(batches(Dense), model, device="cpu")
    before = flat(model)
    with pytest.raises(AssertionError, match="not compiled with XPU"):
        update_bn(batches(Dense), model, device="xpu:0")
    assert_same(before, model)


def test_memory_is_flat():
    """Each batch is evaluated: a loader of many holds one of them. (Dropout behind it keeps a state too.)"""
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm(6), nn.Dropout(0.5))
    x = batches(Dense)[0]
    seen: list[int] = []

    def loader():
        for i in range(FEWER):
            if i in (100, FEWER - 1):
                mx.synchronize()
                seen.append(mx.get_active_memory())
            yield x + i

    update_bn(loader(), model)
    assert abs(seen[1] - seen[0]) <= SLACK
    mx.synchronize()
    assert pending(model.state, mx.random.state) == []
    assert abs(growth(lambda: update_bn([x], model), FEWER)) <= SLACK
