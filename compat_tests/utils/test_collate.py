"""``default_collate`` and ``default_convert`` next to torch."""

from __future__ import annotations

import collections
import types

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx

Point = collections.namedtuple("Point", "x y")
#: float64 becomes float32 here, as everywhere in the package.
NARROWED = {"torch.float64": "torch.float32"}


class Row(list):
    """A mutable sequence with something more."""

    def __init__(self, values=(), name=None):
        super().__init__(values)
        self.name = name


class Odd(collections.abc.Sequence):
    """A sequence that is not made of values."""

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return (1, 2)[i]


def seen(value):
    """A value with its types, the same for both sides."""
    if isinstance(value, (torch.Tensor, torchish_mlx.Tensor)):
        dtype = str(value.dtype)
        return "tensor", NARROWED.get(dtype, dtype), tuple(value.shape), value.tolist()
    if isinstance(value, collections.abc.Mapping):
        return type(value).__name__, {key: seen(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, getattr(value, "name", None), [seen(each) for each in value]
    return type(value).__name__, str(value)


BATCHES = {
    "tensors": lambda m: [m.tensor([1.0, 2.0]), m.tensor([3.0, 4.0])],
    "scalars": lambda m: [m.tensor(1), m.tensor(2)],
    "empty tensors": lambda m: [m.zeros(0, 2), m.zeros(0, 2)],
    "halves": lambda m: [m.tensor([1.5], dtype=m.float16)] * 2,
    "bfloat16": lambda m: [m.tensor([1.5], dtype=m.bfloat16), m.tensor([2.5], dtype=m.bfloat16)],
    "bools": lambda m: [m.tensor([True, False])] * 2,
    "bytes of memory": lambda m: [m.tensor([1, 2], dtype=m.uint8)] * 3,
    "complex": lambda m: [m.tensor([1 + 2j])] * 2,
    "transposed": lambda m: [m.arange(6).reshape(2, 3).t() * 1, m.arange(6).reshape(2, 3).t()],
    "broadcast": lambda m: [m.tensor([[1.0]]).expand(2, 3), m.tensor([[2.0]]).expand(2, 3)],
    "every second": lambda m: [m.arange(9)[::2], m.arange(9)[::2] + 1],
    "rows of one": lambda m: [x[i] for x in [m.arange(12).reshape(4, 3)] for i in (3, 0, -1)],
    "rows of a view": lambda m: [m.arange(12).reshape(4, 3).t()[i] for i in (2, 0)],
    "rows of several": lambda m: [m.arange(6).reshape(2, 3)[1], m.ones(2, 3, dtype=m.int64)[0]],
    "parts of rows": lambda m: [m.arange(6).reshape(2, 3)[1, :2], m.arange(6).reshape(2, 3)[0, :2]],
    "images, channels last": lambda m: [m.nn.functional.max_pool2d(m.arange(32.0).reshape(1, 2, 4, 4), 2)[0]] * 2,
    "numbers": lambda m: [1, 2, 3],
    "large numbers": lambda m: [2**40, 1],
    "floats": lambda m: [1.5, 2.5],
    "truths": lambda m: [True, False],
    "strings": lambda m: ["a", "b"],
    "bytes": lambda m: [b"a", b"b"],
    "arrays": lambda m: [np.array([1, 2]), np.array([3, 4])],
    "arrays of float64": lambda m: [np.array([1.5]), np.array([2.5])],
    "arrays of float32": lambda m: [np.ones((2, 2), np.float32).T] * 2,
    "arrays without dimensions": lambda m: [np.array(3, np.int32), np.array(4, np.int32)],
    "numpy's numbers": lambda m: [np.float32(1.5), np.float32(2.5)],
    "numpy's bools": lambda m: [np.bool_(True), np.bool_(False)],
    "numpy's int8": lambda m: [np.int8(1), np.int8(2)],
    "tuples": lambda m: [(m.tensor([1.0]), 0), (m.tensor([2.0]), 1)],
    "lists": lambda m: [[1, 2.0], [3, 4.0]],
    "dicts": lambda m: [{"a": 1, "b": [m.ones(2), "x"]}, {"a": 2, "b": [m.zeros(2), "y"]}],
    "ordered": lambda m: [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "read-only mappings": lambda m: [types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 2})],
    "default dicts": lambda m: [collections.defaultdict(list, a=1), collections.defaultdict(list, a=2)],
    "named tuples": lambda m: [Point(1, m.ones(2)), Point(2, m.zeros(2))],
    "own lists": lambda m: [Row([1, 2], "n"), Row([3, 4], "n")],
    "own sequences": lambda m: [Odd(), Odd()],
    "one": lambda m: [m.tensor([1.0])],
    "ranges": lambda m: [range(2), range(2)],
}


@pytest.mark.parametrize("name", BATCHES)
def test_default_collate(name):
    theirs, ours = (seen(m.utils.data.default_collate(BATCHES[name](m))) for m in (torch, torchish_mlx))
    assert ours == theirs


@pytest.mark.parametrize("name", BATCHES)
def test_default_convert(name):
    theirs, ours = (seen(m.utils.data.default_convert(BATCHES[name](m))) for m in (torch, torchish_mlx))
    assert ours == theirs


REFUSED = {
    "objects": lambda m: [object(), object()],
    "None": lambda m: [None, None],
    "arrays of strings": lambda m: [np.array(["a"]), np.array(["b"])],
    "shapes": lambda m: [m.ones(2), m.ones(3)],
    "lengths": lambda m: [[1, 2], [1]],
    "lengths of tuples": lambda m: [(1, 2), (1,)],
    "arrays of shapes": lambda m: [np.ones(2), np.ones(3)],
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors(name):
    found = []
    for module in (torch, torchish_mlx):
        with pytest.raises((TypeError, RuntimeError)) as raised:
            module.utils.data.default_collate(REFUSED[name](module))
        found.append((raised.type, str(raised.value)))
    assert found[1] == found[0]


def test_gradients_go_through():
    found = []
    for module in (torch, torchish_mlx):
        x = module.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        batch = module.utils.data.default_collate([x[1], x[0] * 2])
        (batch * module.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
        found.append((batch.requires_grad, x.grad.tolist()))
    assert found[1] == found[0]


def test_rows_of_a_tensor_dataset_with_gradients():
    found = []
    for module in (torch, torchish_mlx):
        x = module.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        (batch,) = module.utils.data.DataLoader(module.utils.data.TensorDataset(x), batch_size=2)
        batch[0].sum().backward()
        found.append(x.grad.tolist())
    assert found[1] == found[0]


def test_arrays_of_mlx():
    made = torchish_mlx.utils.data.default_collate([(mx.array([1, 2]), 0), (mx.array([3, 4]), 1)])
    assert [type(each) for each in made] == [torchish_mlx.Tensor] * 2
    assert made[0].tolist() == [[1, 2], [3, 4]]
    assert torchish_mlx.utils.data.default_convert([mx.array(1)])[0].tolist() == 1


def test_a_map_of_ones_own():
    found = []
    for module in (torch, torchish_mlx):
        collate = module.utils.data._utils.collate
        table = {**collate.default_collate_fn_map, complex: lambda batch, *, collate_fn_map=None: sum(batch)}
        found.append(seen(collate.collate([(1j, 1), (2j, 2)], collate_fn_map=table)))
    assert found[1] == found[0]
