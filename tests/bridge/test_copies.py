"""Copies of every kind of module: Python's own deepcopy fails on those that keep functions written in C++."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import pkgutil
import threading
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.nn import layers
from mlx.utils import tree_flatten, tree_map

import torchish_mlx as torch
from torchish_mlx.bridge._copies import copied, deep_copied
from torchish_mlx.optim.swa_utils import AveragedModel

# The classes of mlx.nn by name, and the arguments of those that need some.
CLASSES = {
    name: cls
    for module in pkgutil.iter_modules(layers.__path__)
    for name, cls in vars(importlib.import_module(f"mlx.nn.layers.{module.name}")).items()
    if inspect.isclass(cls) and issubclass(cls, nn.Module) and not name.startswith("_") and name != "Module"
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Linear": (3, 4), "Bilinear": (2, 3, 4), "Embedding": (5, 4), "BatchNorm": (4,), "InstanceNorm": (4,),
    "LayerNorm": (4,), "RMSNorm": (4,), "GroupNorm": (2, 4), "RNN": (3, 4), "GRU": (3, 4), "LSTM": (3, 4),
    "MultiHeadAttention": (8, 2), "RoPE": (8,), "SinusoidalPositionalEncoding": (8,), "Upsample": (2,),
    "QuantizedLinear": (64, 64), "QuantizedEmbedding": (64, 64), "QQLinear": (64, 64), "Transformer": (8, 2),
    "TransformerEncoder": (2, 8, 2), "TransformerEncoderLayer": (8, 2), "TransformerDecoder": (2, 8, 2),
    "TransformerDecoderLayer": (8, 2), "AllToShardedLinear": (4, 4), "ShardedToAllLinear": (4, 4),
    "QuantizedAllToShardedLinear": (64, 64), "QuantizedShardedToAllLinear": (64, 64),
    "FullyShardedModule": (nn.Linear(2, 2),),
    **{f"Conv{transposed}{n}d": (3, 4, 3) for transposed in ("", "Transpose") for n in (1, 2, 3)},
    **{f"{kind}Pool{n}d": (2,) for kind in ("Avg", "Max") for n in (1, 2, 3)},
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_of_mlx(name: str) -> None:
    model = CLASSES[name](*ARGUMENTS.get(name, ()))
    mx.eval(model.state)
    twin = copied(model)
    assert type(twin) is type(model)
    assert_apart(model, twin)
    average = AveragedModel(model)
    average.update_parameters(model)
    average.update_parameters(model)
    assert_apart(model, average.module)


def assert_apart(model: Any, twin: Any) -> None:
    """Equal arrays in containers of their own; a change of one does not show in the other."""
    mine, its = arrays_of(model), arrays_of(twin)
    assert [path for path, _ in mine] == [path for path, _ in its]
    before = [np.array(a.astype(mx.float32)) for _, a in mine]
    for (_, a), (_, b), old in zip(mine, its, before, strict=True):
        assert a is not b
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.array(b.astype(mx.float32)), old)
    assert {id(m) for m in model.modules()}.isdisjoint(id(m) for m in twin.modules())
    assert {id(p) for p in torch.parameters(model)}.isdisjoint(id(p) for p in torch.parameters(twin))
    trained = len(tree_flatten(model.trainable_parameters()))
    twin.update(tree_map(lambda a: a * 0, twin.parameters()))
    twin.freeze()
    for (_, a), old in zip(arrays_of(model), before, strict=True):
        np.testing.assert_array_equal(np.array(a.astype(mx.float32)), old)
    assert len(tree_flatten(model.trainable_parameters())) == trained


def arrays_of(model: nn.Module) -> list[tuple[str, mx.array]]:
    return [(path, a) for path, a in tree_flatten(model.state) if isinstance(a, mx.array)]


@dataclass
class Holder:
    layer: nn.Module
    function: Any = nn.relu


class Slotted:
    __slots__ = ("layer", "rest")

    def __init__(self, layer: nn.Module) -> None:
        self.layer, self.rest = layer, mx.ones(2)


Pair = namedtuple("Pair", ["first", "second"])


class Custom(nn.Module):
    """Attributes of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.layers = [self.linear, nn.ReLU(), {"a": nn.Linear(2, 2), "list": [mx.ones(3)]}]
        self.functions = {"tanh": mx.tanh, "relu": nn.relu, "compiled": mx.compile(lambda x: x + 1)}
        self.scale = lambda x: 2 * x
        self.partial = functools.partial(self.linear, mx.ones((1, 2)))
        self.method = self.linear.__call__
        self.holder, self.slotted, self.pair = Holder(self.linear), Slotted(self.linear), Pair(self.linear, mx.ones(1))
        self.lock, self.stream, self.dtype = threading.Lock(), mx.default_stream(mx.cpu), mx.float32
        self.group = mx.distributed.init()
        self.numpy, self.names, self.ordered = np.ones(3), {"a", "b"}, OrderedDict(a=1)
        self.deque, self.tensor = deque([mx.ones(2), 3]), torch.Parameter(mx.ones(2))
        self._hidden = mx.zeros(2)

    def __call__(self, x: mx.array) -> mx.array:
        for layer in (self.linear, self.layers[2]["a"], nn.Sequential(mx.tanh, self.functions["relu"])):
            x = layer(x)
        return self.functions["compiled"](self.scale(x)) + self.partial() + self.method(x)


def test_attributes_of_many_kinds() -> None:
    model = Custom()
    twin = copied(model)
    x = mx.ones((3, 2))
    np.testing.assert_array_equal(np.array(twin(x)), np.array(model(x)))
    linear = twin.linear
    assert linear is not model.linear
    assert twin.layers[0] is linear
    assert twin.partial.func is linear
    assert twin.method.__self__ is linear
    assert twin.holder.layer is linear
    assert twin.slotted.layer is linear
    assert isinstance(twin.pair, Pair)
    assert twin.pair.first is linear
    for name in ("lock", "stream", "dtype", "group", "scale"):
        assert getattr(twin, name) is getattr(model, name)
    for name in ("tanh", "relu", "compiled"):
        assert twin.functions[name] is model.functions[name]
    for name in ("numpy", "names", "ordered", "deque", "_hidden", "tensor", "functions"):
        assert getattr(twin, name) is not getattr(model, name)
    assert twin.tensor.tolist() == [1.0, 1.0]
    assert twin.deque[0] is not model.deque[0]
    assert_apart(model, twin)


def test_a_module_in_two_places_is_one_in_the_copy() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model.again = model.layers[0]
    model.loop = [model.layers]
    twin = copied(model)
    assert twin.again is twin.layers[0]
    assert twin.loop[0] is twin.layers


def test_no_gradients_and_no_optimizer() -> None:
    model = nn.Linear(2, 2)
    p = next(torch.parameters(model))
    p.grad = mx.ones((2, 2))
    assert next(torch.parameters(copied(model))).grad is None
    assert next(torch.parameters(model)) is p
    assert p.grad is not None


def test_an_average_of_what_deepcopy_refuses_is_copied_by_python() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.MaxPool1d(2), nn.relu)
    with pytest.raises(TypeError):
        copy.deepcopy(model)
    average = AveragedModel(model)
    twin, same = copy.deepcopy((average, average))
    assert same is twin
    assert twin.module is not average.module
    assert twin.module.layers[2] is nn.relu
    average.update_parameters(model)
    assert (twin.n_averaged.item(), average.n_averaged.item()) == (0, 1)


def test_a_copy_of_its_own_making() -> None:
    """``__deepcopy__`` of a class is used, and what it raises is raised."""

    class Own(nn.Module):
        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            new = Own()
            new.w = mx.full((1,), 5.0)
            return new

    class Broken(nn.Module):
        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            raise TypeError("not this one")

    assert copied(nn.Sequential(Own())).layers[0].w.item() == 5
    with pytest.raises(TypeError, match="not this one"):
        copied(nn.Sequential(Broken()))
    values = [1, "a", None, (1, [2, (3,)]), {"a": {1, 2}}, range(3), 1.5, b"x", int, len, print]
    twin = deep_copied(values)
    assert twin == values
    assert twin[3][1] is not values[3][1]
    assert twin[4] is not values[4]
