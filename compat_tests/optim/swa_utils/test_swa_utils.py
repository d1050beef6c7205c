"""Averages, BatchNorm's statistics and SWALR beside torch's: the same numbers, entries and errors."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch
from torch.optim import swa_utils as theirs

import torchish_mlx
from compat_tests.bridge import difference, outcome
from compat_tests.sides import DTYPES, to_array, values
from compat_tests.two_sides import OURS, THEIRS
from tests.marks import mostly_long
from torchish_mlx import optim
from torchish_mlx.optim import swa_utils as ours

UPDATES = 50
UNITS = {torch.float32: 2.0**-23, torch.bfloat16: 2.0**-7, torch.float16: 2.0**-10}
#: Units of the last place after 50 updates. Measured: 0 for the functions of two tensors, in every dtype; 1.0 for those
#: of lists, where torch fuses a product and a sum; 3.0 for in-place arithmetic, which rounds (and fuses) at each step.
LIMIT, LIMIT_IN_PLACE = 1.5, 4


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.layers = [[nn.Linear(4, 6), nn.Linear(6, 4, bias=False)], [nn.Linear(4, 4)]]
        self.scale = mx.ones(())


class Net(nn.Module):
    """Linear, Conv2d, BatchNorm, LayerNorm, nested lists, an array without dimensions, frozen parts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, kernel_size=3)
        self.bn = nn.BatchNorm(4)
        self.blocks = [Block(), Block()]
        self.head = nn.Linear(4, 3)
        self.blocks[0].freeze()


class Mirror(torch.nn.Module):
    """The parameters and buffers of an mlx.nn model as torch's, in the same order."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        for path, p in torchish_mlx.named_parameters(model):
            self.register_parameter(path.replace(".", "/"), torch.nn.Parameter(to_torch(p), p.requires_grad))
        for path, b in torchish_mlx.named_buffers(model):
            self.register_buffer(path.replace(".", "/"), to_torch(b))


def to_torch(t: Any) -> torch.Tensor:
    dtype = next(theirs for theirs, ours in DTYPES.items() if ours == t.dtype)
    return torch.tensor(np.array(t.array.astype(mx.float32))).to(dtype)


def places(model: Any) -> list[Any]:
    if isinstance(model, torch.nn.Module):
        return [t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    return [*torchish_mlx.parameters(model), *torchish_mlx.buffers(model)]


def pair(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, torch.nn.Module]:
    model = Net()
    model.set_dtype(DTYPES[dtype])
    return model, Mirror(model)


def walk(model: nn.Module, mirror: torch.nn.Module, rng: np.random.Generator) -> None:
    """New values on both sides, buffers too."""
    for mine, other in zip(places(model), places(mirror), strict=True):
        other.data = torch.tensor(rng.standard_normal(tuple(other.shape)).astype("f4")).to(other.dtype)
        mine.array = to_array(other)


def apart(model: nn.Module, mirror: torch.nn.Module) -> float:
    """How far the two are apart, in units of the last place of the largest element, or of 1, which the weights are."""
    worst = 0.0
    for mine, other in zip(places(model), places(mirror), strict=True):
        assert mine.dtype == DTYPES[other.dtype]
        assert tuple(mine.shape) == tuple(other.shape)
        a, b = values(mine), values(other)
        worst = max(worst, float(np.abs(a - b).max() / max(np.abs(b).max(), 1) / UNITS[other.dtype]))
    return worst


def slowing(average: Any, weight: Any, n: Any) -> Any:
    return average + (weight - average) / (n + 1) ** 0.75


def in_place(averages: Any, weights: Any, n: Any) -> None:
    for average, weight in zip(averages, weights, strict=True):
        average.mul_(0.95).add_(weight, alpha=0.05)


def constant(average: Any, weight: Any, n: Any) -> Any:
    return 0.5 if average.ndim == 2 else weight if average.ndim == 0 else average[:1] * 0.5


def by_number(averages: Any, weights: Any, n: Any) -> None:
    for average, weight in zip(averages, weights, strict=True):
        average.sub_((average - weight) / (n + 3))


FUNCTIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "default": lambda side: {},
    "swa": lambda side: {"avg_fn": side.get_swa_avg_fn()},
    "swa-lists": lambda side: {"multi_avg_fn": side.get_swa_multi_avg_fn()},
    "ema": lambda side: {"avg_fn": side.get_ema_avg_fn(0.99)},
    "ema-default": lambda side: {"avg_fn": side.get_ema_avg_fn()},
    "ema-lists": lambda side: {"multi_avg_fn": side.get_ema_multi_avg_fn(0.99)},
    "ema-lists-default": lambda side: {"multi_avg_fn": side.get_ema_multi_avg_fn()},
    "ema-0.3": lambda side: {"multi_avg_fn": side.get_ema_multi_avg_fn(0.3)},
    "ema-0": lambda side: {"multi_avg_fn": side.get_ema_multi_avg_fn(0)},
    "ema-1": lambda side: {"avg_fn": side.get_ema_avg_fn(1.0)},
    "slowing": lambda side: {"avg_fn": slowing},
    "in-place": lambda side: {"multi_avg_fn": in_place},
    "constant": lambda side: {"avg_fn": constant},
    "by-number": lambda side: {"multi_avg_fn": by_number},
}


def short(name: str, use_buffers: bool, dtype: torch.dtype) -> bool:
    return name == "ema-lists" or (use_buffers and dtype == torch.float32)


@pytest.mark.parametrize(
    ("name", "use_buffers", "dtype"), mostly_long(itertools.product(FUNCTIONS, (False, True), UNITS), short), ids=str
)
def test_averages(name, use_buffers, dtype):
    model, mirror = pair(dtype)
    mine = ours.AveragedModel(model, use_buffers=use_buffers, **FUNCTIONS[name](ours))
    other = theirs.AveragedModel(mirror, use_buffers=use_buffers, **FUNCTIONS[name](theirs))
    rng = np.random.default_rng(0)
    worst = 0.0
    for i in range(UPDATES):
        walk(model, mirror, rng)
        mine.update_parameters(model)
        other.update_parameters(mirror)
        assert mine.n_averaged.item() == other.n_averaged.item() == i + 1
        worst = max(worst, apart(mine.module, other.module))
    assert worst <= (LIMIT_IN_PLACE if name == "in-place" else LIMIT)


def test_frozen_parameters_are_averaged_and_stay_frozen():
    model, mirror = pair()
    mine, other = ours.AveragedModel(model), theirs.AveragedModel(mirror)
    flags = [p.requires_grad for p in mirror.parameters()]
    assert set(flags) == {True, False}
    rng = np.random.default_rng(0)
    for _ in range(3):
        walk(model, mirror, rng)
        mine.update_parameters(model)
        other.update_parameters(mirror)
    assert [p.requires_grad for p in torchish_mlx.parameters(mine)] == flags
    assert [p.requires_grad for p in other.parameters()] == flags
    assert apart(mine.module, other.module) == 0


# -- a training loop -------------------------------------------------------------------------------------------------


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 16, bias=False)  # a bias would get rounding errors for gradients
        self.bn = nn.BatchNorm(16, momentum=0.3)
        self.norm = nn.LayerNorm(16)
        self.last = nn.Linear(16, 2)

    def __call__(self, x: mx.array) -> mx.array:
        return self.last(nn.gelu(self.norm(self.bn(self.first(x)))))


class TheirDense(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(6, 16, bias=False)
        self.bn = torch.nn.BatchNorm1d(16, momentum=0.3)
        self.norm = torch.nn.LayerNorm(16)
        self.last = torch.nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.nn.functional.gelu(self.norm(self.bn(self.first(x)))))


def dense() -> tuple[Dense, TheirDense]:
    """The same weights on both sides, by torch's names."""
    model, other = Dense(), TheirDense()
    state = {k: v for k, v in other.state_dict().items() if k != "bn.num_batches_tracked"}
    model.load_weights([(path, to_array(t)) for path, t in state.items()])
    return model, other


def without_counts(other: torch.nn.Module) -> dict[str, torch.Tensor]:
    """torch's state dict but for the count of batches, which MLX's BatchNorm has not."""
    return {k: v for k, v in other.state_dict().items() if not k.endswith("num_batches_tracked")}


@pytest.mark.parametrize("name", ["default", "ema", "ema-lists"])
def test_a_training_loop(name):
    """AdamW, an average after every step, statistics at the end; and what the averaged model then predicts."""
    model, other = dense()
    opts = optim.AdamW(model, lr=1e-2), torch.optim.AdamW(other.parameters(), lr=1e-2)
    averages = (
        ours.AveragedModel(model, **FUNCTIONS[name](ours)),
        theirs.AveragedModel(other, **FUNCTIONS[name](theirs)),
    )
    rng = np.random.default_rng(0)
    data = rng.standard_normal((10, 32, 6)).astype("f4")
    for i in range(60):
        x = data[i % 10]
        y = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2] * x[:, 3]], 1)
        opts[0].zero_grad()
        torchish_mlx.backward(model, lambda m, x, y: ((m(x) - y) ** 2).mean(), mx.array(x), mx.array(y))
        opts[0].step()
        averages[0].update_parameters(model)
        opts[1].zero_grad()
        ((other(torch.tensor(x)) - torch.tensor(y)) ** 2).mean().backward()
        opts[1].step()
        averages[1].update_parameters(other)
    assert difference(dict(averages[0].state_dict()), without_counts(averages[1])) <= 1e-6  # measured: 3.9e-7
    ours.update_bn([mx.array(x) for x in data], averages[0])
    theirs.update_bn([torch.tensor(x) for x in data], averages[1])
    for average in averages:
        average.eval()
    found, expected = averages[0](mx.array(data[0])), averages[1](torch.tensor(data[0]))
    assert difference(torchish_mlx.Tensor(found), expected) <= 1e-6  # measured: 2.8e-7
    assert difference(dict(averages[0].state_dict()), without_counts(averages[1])) <= 1e-6  # measured: 3.7e-7


# -- BatchNorm -------------------------------------------------------------------------------------------------------


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, kernel_size=3, padding=1)
        self.bn = nn.BatchNorm(5, momentum=0.3)

    def __call__(self, x: mx.array) -> mx.array:
        return self.bn(self.bn(self.conv(x)))


class TheirConvolutional(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, kernel_size=3, padding=1)
        self.bn = torch.nn.BatchNorm2d(5, momentum=0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.bn(self.conv(x)))


@pytest.mark.parametrize("batch", ["plain", "list", "tuple"])
@pytest.mark.parametrize("training", [True, False])
def test_update_bn(batch, training):
    """A layer that is called twice for a batch; batches of several sizes; modes and momenta afterwards."""
    model, other = Convolutional(), TheirConvolutional()
    model.conv.weight = mx.array(other.conv.weight.detach().numpy().transpose(0, 2, 3, 1))
    model.conv.bias = to_array(other.conv.bias)
    model.train(training)
    other.train(training)
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((2 + i % 4, 5, 6, 3)).astype("f4") for i in range(12)]
    shapes = {"plain": lambda x: x, "list": lambda x: [x, 0], "tuple": lambda x: (x, None)}
    ours.update_bn([shapes[batch](mx.array(x)) for x in data], model)
    theirs.update_bn([shapes[batch](torch.tensor(x.transpose(0, 3, 1, 2))) for x in data], other)
    for name in ("running_mean", "running_var"):
        assert difference(torchish_mlx.Tensor(model.bn[name]), getattr(other.bn, name)) <= 6e-7  # measured: 2.3e-7
    assert model.bn.momentum == other.bn.momentum == 0.3
    assert [m.training for m in (model, model.bn)] == [m.training for m in (other, other.bn)] == [training] * 2


# -- names, entries and errors ---------------------------------------------------------------------------------------


def test_names_and_signatures():
    assert ours.__all__ == theirs.__all__
    for name in (*ours.__all__, "AveragedModel.update_parameters", "SWALR.get_lr", "SWALR.state_dict"):
        mine, other = attrgetter(name)(ours), attrgetter(name)(theirs)
        assert [(a.name, a.default) for a in inspect.signature(mine).parameters.values()] == [
            (a.name, a.default) for a in inspect.signature(other).parameters.values()
        ], name


def test_state_dicts():
    """The same names in the same order; torch's loads here and goes on."""
    model, other = dense()
    averages = ours.AveragedModel(model), theirs.AveragedModel(other)
    rng = np.random.default_rng(0)
    for _ in range(3):
        walk(model, other, rng)
        averages[1].update_parameters(other)
    state = without_counts(averages[1])
    assert list(averages[0].state_dict()) == list(state)
    averages[0].load_state_dict(state)
    for average, source in zip(averages, (model, other), strict=True):
        average.update_parameters(source)
    assert difference(dict(averages[0].state_dict()), without_counts(averages[1])) == 0


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda state, make: state,
        lambda state, make: [],
        lambda state, make: None,
        lambda state, make: {},
        lambda state, make: {"zz": 1, "module.a.b": 2, **state},
        lambda state, make: {k: v for k, v in state.items() if k != "n_averaged"},
        lambda state, make: {**state, "module.weight": make([1.0, 2.0, 3.0])},
        lambda state, make: {**state, "module.weight": make([[1.0, 2.0]]), "n_averaged": make([1.0, 2.0])},
        lambda state, make: {"module.bias": [1, 2], "module.weight": make([[1.0]]), "x": 1},
        lambda state, make: {**state, "module.bias": None},
        lambda state, make: {**state, "module.bias": 3.5},
    ],
)
def test_load_state_dict(change, strict):
    """What it returns or raises, word for word; ours goes on with what would make it load."""
    found: list[Any] = []
    for side, average in (
        (torchish_mlx, ours.AveragedModel(nn.Linear(3, 2))),
        (torch, theirs.AveragedModel(torch.nn.Linear(3, 2))),
    ):
        state = change(dict(average.state_dict()), side.tensor)
        results = []
        found.append(outcome(lambda: results.append(average.load_state_dict(state, strict))))  # noqa: B023
        found[-1] = found[-1], [(repr(r), tuple(r)) for r in results]
    if found[1][0] is not None:
        kind, text = found[1][0]
        assert found[0][0][0] == kind
        assert found[0][0][1].startswith(text)
        assert found[0][0][1] != text or kind == "TypeError"
        found[0] = found[1][0], found[0][1]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda side, model: side.AveragedModel(model, avg_fn=slowing, multi_avg_fn=in_place),
        lambda side, model: side.get_ema_avg_fn(1.1),
        lambda side, model: side.get_ema_avg_fn(-1e-9),
        lambda side, model: side.get_ema_multi_avg_fn(1.1),
        lambda side, model: side.get_ema_multi_avg_fn(-2),
        lambda side, model: twice(side.AveragedModel(model, avg_fn=lambda a, w, n: None), model),
        lambda side, model: twice(side.AveragedModel(model, avg_fn=lambda a, w, n: "x"), model),
        lambda side, model: twice(side.AveragedModel(model, avg_fn=lambda a, w, n: 1 / 0), model),
        lambda side, model: twice(side.AveragedModel(model, multi_avg_fn=lambda a, w: None), model),
    ],
)
def test_bad_input(call):
    error = outcome(lambda: call(ours, nn.Linear(2, 2)))
    assert error is not None
    assert error == outcome(lambda: call(theirs, torch.nn.Linear(2, 2)))


def twice(average: Any, model: Any) -> None:
    average.update_parameters(model)
    average.update_parameters(model)


def test_integer_tensors():
    """The functions themselves, on what is no floating number: as torch truncates it, or refuses it."""
    for number in (3, None):
        for name in ("get_ema_multi_avg_fn", "get_swa_multi_avg_fn"):
            found = []
            for functions, side in ((ours, torchish_mlx), (theirs, torch)):
                average, weight = side.tensor([1, 20, -7]), side.tensor([9, 2, 4])
                n = side.tensor(5) if number is None else number
                error = outcome(lambda: getattr(functions, name)()([average], [weight], n))  # noqa: B023
                found.append((error and error[0], average.tolist()))
            assert found[0] == found[1]
    for name in ("get_ema_avg_fn", "get_swa_avg_fn"):
        found = [
            getattr(functions, name)()(side.tensor([1, 20, -7]), side.tensor([9, 2, 4]), side.tensor(5)).tolist()
            for functions, side in ((ours, torchish_mlx), (theirs, torch))
        ]
        assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_parameters_may_be_given_to_the_functions():
    """They record nothing, so that Parameters may be written."""
    found = []
    for functions, side in ((ours, OURS), (theirs, THEIRS)):
        average, weight = side.parameter([1.0, 2.0]), side.parameter([3.0, 5.0])
        functions.get_ema_multi_avg_fn(0.75)([average], [weight], 1)
        functions.get_swa_multi_avg_fn()([average], [weight], 3)
        result = functions.get_swa_avg_fn()(average, weight, 1)
        assert not result.requires_grad
        assert average.requires_grad
        found.append([average.tolist(), result.tolist()])
    assert found[0] == found[1]
