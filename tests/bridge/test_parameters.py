"""Parameters over mlx.nn models: identity, freezing, buffers, ``backward``, copies, compile, errors. No torch."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import torchish_mlx as tm
from torchish_mlx.optimizers import RowSparse


class Net(nn.Module):
    """Submodules, a list of modules, and arrays in lists and dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)]
        self.blocks = [mx.ones((2,)), {"scale": mx.full((2,), 2.0), "_hidden": mx.zeros((1,))}]
        self.gain = mx.array(3.0)
        self._cache = mx.zeros((5,))

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers:
            x = layer(x)
        return (x * self.blocks[0] + self.blocks[1]["scale"]) * self.gain


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(3, 4)
        self.norm = nn.BatchNorm(4)

    def __call__(self, x: mx.array) -> mx.array:
        return self.norm(self.lin(x))


def total(model: nn.Module, x: mx.array) -> mx.array:
    return (model(x) ** 2).sum()


X = mx.array(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))

# -- which they are ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [Net, lambda: nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), lambda: nn.TransformerEncoder(1, 8, 2)]
)
def test_paths_are_those_of_mlx(make: Any) -> None:
    model = make()
    theirs = dict(tree_flatten(model.parameters()))
    mine = dict(tm.named_parameters(model))
    assert list(mine) == list(theirs)
    for path, p in mine.items():
        assert p.array is theirs[path]
        assert isinstance(p, tm.Parameter)
        assert p.path == path
        assert p.is_leaf
        assert tm.locate(model, path) is p


def test_identity() -> None:
    model = Net()
    first = list(tm.parameters(model))
    model.update(model.parameters())
    assert all(a is b for a, b in zip(first, tm.parameters(model), strict=True))
    assert next(tm.parameters(model.layers[0])) is tm.locate(model, "layers.0.weight")
    assert len({id(p) for p in first}) == len(first) == 8


def test_owner_and_key() -> None:
    model = Net()
    p = tm.locate(model, "layers.2.bias")
    assert (p.owner, p.key) == (model.layers[2], "bias")
    q = tm.locate(model, "blocks.1.scale")
    assert q.owner is model
    assert q.key == "blocks.1.scale"
    list(tm.parameters(model.layers[2]))
    assert p.path == "bias"  # the path from where it was listed last


def test_a_shared_module_is_listed_once() -> None:
    model = Net()
    model.again = model.layers[0]
    names = [n for n, _ in tm.named_parameters(model)]
    assert "layers.0.weight" in names
    assert "again.weight" not in names
    assert tm.locate(model, "again.weight") is tm.locate(model, "layers.0.weight")


def test_writes_reach_the_model_and_come_from_it() -> None:
    model = Net()
    p = tm.locate(model, "layers.0.weight")
    before = np.array(p.array)
    p.data.mul_(0.9)
    np.testing.assert_array_equal(np.array(model.layers[0].weight), before * np.float32(0.9))
    with tm.no_grad():
        p.add_(1)
        p[0].zero_()
        p.t()[1].fill_(7)
    assert model.layers[0].weight[0].tolist() == [0.0, 7.0, 0.0]
    model.layers[0].weight = mx.ones((4, 3))
    assert p.tolist() == [[1.0] * 3] * 4
    p.data = mx.zeros((4, 3))
    assert model.layers[0].weight.sum().item() == 0
    q = tm.locate(model, "blocks.0")
    q.data.fill_(5)
    assert model.blocks[0].tolist() == [5.0, 5.0]
    model.blocks = [mx.zeros((2,)), model.blocks[1]]  # another list
    assert q.tolist() == [0.0, 0.0]
    q.data.add_(1)
    assert model.blocks[0].tolist() == [1.0, 1.0]


def test_frozen_live() -> None:
    model = Net()
    p, q = tm.locate(model, "layers.0.weight"), tm.locate(model, "blocks.1.scale")
    assert p.requires_grad
    assert q.requires_grad
    model.freeze()
    assert not any(p.requires_grad for p in tm.parameters(model))
    model.layers[0].unfreeze(keys="weight")
    assert [n for n, p in tm.named_parameters(model) if p.requires_grad] == ["layers.0.weight"]
    p.requires_grad = False
    assert "layers.0.weight" not in dict(tree_flatten(model.trainable_parameters()))
    q.requires_grad_()
    assert [n for n, _ in tree_flatten(model.trainable_parameters())] == ["blocks.1.scale"]
    model.unfreeze()
    assert all(p.requires_grad for p in tm.parameters(model))


def test_one_array_of_a_frozen_list() -> None:
    """MLX can freeze a whole attribute; thawing one array in it leaves the others frozen."""
    model = Net()
    model.freeze(keys="blocks")
    a, b = tm.locate(model, "blocks.0"), tm.locate(model, "blocks.1.scale")
    assert not a.requires_grad
    a.requires_grad = True
    assert a.requires_grad
    assert not b.requires_grad
    names = [n for n, _ in tree_flatten(model.trainable_parameters())]
    assert "blocks.0" in names
    assert "blocks.1.scale" not in names


def test_integers_never_require_grad() -> None:
    model = nn.QuantizedLinear(64, 64)
    p = tm.locate(model, "weight")
    model.unfreeze()
    assert p.dtype == mx.uint32
    assert not p.requires_grad
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require gradients"):
        p.requires_grad = True


def test_buffers() -> None:
    model = Normed()
    assert [n for n, _ in tm.named_parameters(model)] == ["lin.weight", "lin.bias", "norm.weight", "norm.bias"]
    assert [n for n, _ in tm.named_buffers(model)] == ["norm.running_mean", "norm.running_var"]
    mean = next(tm.buffers(model))
    assert mean is next(tm.buffers(model))
    assert not isinstance(mean, tm.Parameter)
    assert not mean.requires_grad
    mean.fill_(3)
    assert model.norm.running_mean.tolist() == [3.0] * 4
    with pytest.raises(KeyError, match="a buffer, not a parameter"):
        tm.locate(model, "norm.running_mean")


# -- a Parameter of its own -------------------------------------------------------------------------------------------


def test_parameter() -> None:
    p = tm.Parameter(mx.array([1.0, 2.0]))
    assert p.requires_grad
    assert p.is_leaf
    assert (p.owner, p.path) == (None, None)
    (p * p).sum().backward()
    assert p.grad.tolist() == [2.0, 4.0]
    assert repr(p) == "Parameter containing:\ntensor([1., 2.], requires_grad=True)"
    assert not tm.Parameter([1.0], requires_grad=False).requires_grad
    assert tm.Parameter([[1, 2]], requires_grad=False).dtype == mx.int64
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype"):
        tm.Parameter([1, 2])
    t = tm.tensor([1.0])
    q = tm.Parameter(t)
    q.data.add_(1)
    assert t.tolist() == [2.0]  # shared, as in torch


def test_grad_setter() -> None:
    p = tm.Parameter(mx.zeros((3, 2)))
    g = mx.ones((3, 2))
    p.grad = g
    assert isinstance(p.grad, tm.Tensor)
    assert p.grad.array is g
    p.grad = mx.ones((3, 2), mx.bfloat16)  # another floating dtype, which torch refuses
    rows = RowSparse(mx.array([1]), mx.ones((1, 2)), (3, 2))
    p.grad = rows
    assert p.grad is rows
    p._accumulate(mx.ones((3, 2)))
    assert p.grad.tolist() == [[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]]
    p.grad = None
    assert p.grad is None
    with pytest.raises(TypeError, match="assigned grad expected to be a Tensor or None but got grad of type int"):
        p.grad = 3
    with pytest.raises(RuntimeError, match=r"a gradient of size '\[3\]' to a tensor of size '\[3, 2\]'"):
        p.grad = mx.zeros((3,))
    with pytest.raises(RuntimeError, match="a gradient is of a floating point dtype"):
        p.grad = mx.zeros((3, 2), mx.int32)


# -- backward ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Net, Normed, lambda: nn.Linear(3, 2)])
def test_gradients_are_those_of_mlx(make: Any) -> None:
    model = make()
    value, grads = nn.value_and_grad(model, total)(model, X)
    loss = tm.backward(model, total, X)
    assert isinstance(loss, tm.Tensor)
    assert not loss.requires_grad
    assert loss.item() == pytest.approx(value.item(), rel=1e-6)
    flat = dict(tree_flatten(grads))
    for name, p in tm.named_parameters(model):
        np.testing.assert_allclose(np.array(p.grad.array), np.array(flat[name]), rtol=1e-6, atol=1e-6)


def test_accumulates() -> None:
    model = Net()
    tm.backward(model, total, X)
    once = {n: np.array(p.grad.array) for n, p in tm.named_parameters(model)}
    held = tm.locate(model, "gain").grad
    tm.backward(model, total, X)
    assert tm.locate(model, "gain").grad is held
    for n, p in tm.named_parameters(model):
        np.testing.assert_array_equal(np.array(p.grad.array), 2 * once[n])


def test_model_is_as_before() -> None:
    model = Net()
    arrays = [p.array for p in tm.parameters(model)]
    tm.backward(model, total, X)
    assert all(a is p.array for a, p in zip(arrays, tm.parameters(model), strict=True))

    def broken(model: nn.Module, x: mx.array) -> mx.array:
        model(x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tm.backward(model, broken, X)
    assert all(a is p.array for a, p in zip(arrays, tm.parameters(model), strict=True))


def test_frozen_ones_get_none() -> None:
    model = Net()
    model.layers[0].freeze()
    tm.backward(model, total, X)
    assert {n for n, p in tm.named_parameters(model) if p.grad is None} == {"layers.0.weight", "layers.0.bias"}


def test_arguments_and_what_it_returns() -> None:
    model = Net()

    def loss_fn(model: nn.Module, x: mx.array, *, scale: Any) -> Any:
        assert isinstance(x, mx.array)
        assert isinstance(scale, mx.array)
        out = model(x)
        return (out * scale).sum(), out, {"n": 3, "out": out}

    loss, out, rest = tm.backward(model, loss_fn, tm.Tensor(X), scale=tm.tensor(2.0))
    assert loss.item() == pytest.approx(2 * out.sum().item(), rel=1e-6)
    assert rest["n"] == 3
    assert rest["out"].shape == out.shape
    loss = tm.backward(model, lambda m, x: tm.Tensor(total(m, x)), X)
    assert loss.item() == pytest.approx(total(model, X).item(), rel=1e-6)


def test_a_module_that_is_shared() -> None:
    """Both uses count, once."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = self.a

        def __call__(self, x: mx.array) -> mx.array:
            return self.b(self.a(x))

    model = Twice()
    tm.backward(model, total, X)
    w = model.a.weight
    expected = mx.grad(lambda w: (((X @ w.T) @ w.T) ** 2).sum())(w)
    np.testing.assert_allclose(np.array(tm.locate(model, "a.weight").grad.array), np.array(expected), rtol=1e-5)


def test_half_precision() -> None:
    model = nn.Linear(3, 2)
    model.set_dtype(mx.bfloat16)
    tm.backward(model, total, X.astype(mx.bfloat16))
    assert all(p.grad.dtype == mx.bfloat16 for p in tm.parameters(model))


def test_running_statistics_move() -> None:
    model = Normed()
    before = np.array(model.norm.running_mean)
    tm.backward(model, total, X)
    assert not np.allclose(np.array(model.norm.running_mean), before)


def test_an_unread_loss_and_statistics_do_not_grow() -> None:
    """A loop that evaluates parameters only must not keep the graphs of the steps before."""
    model = Normed()
    x = mx.random.normal((256, 3))
    kept: list[tm.Tensor] = []
    sizes = []
    for step in range(60):
        kept.append(tm.backward(model, total, x))
        for p in tm.parameters(model):
            p.data.add_(p.grad, alpha=-1e-4)
            p.grad = None
        mx.eval(model.trainable_parameters())
        if step in (20, 59):
            gc.collect()
            sizes.append(mx.get_active_memory())
    assert sizes[1] - sizes[0] < 40 * 4096  # each graph holds 256 x 4 activations several times over


def test_errors() -> None:
    model = Net()
    with pytest.raises(TypeError, match=r"call loss\.backward\(\)"):
        tm.backward(tm.tensor(1.0), total)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        tm.backward(model, lambda m, x: m(x), X)
    with pytest.raises(TypeError, match="the loss function gave a float"):
        tm.backward(model, lambda m, x: 1.0, X)
    model.freeze()
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad and does not have a grad_fn"):
        tm.backward(model, total, X)
    for function in (tm.parameters, tm.named_parameters, tm.buffers, tm.named_buffers):
        with pytest.raises(TypeError, match="a copy of the tree, pass the model itself"):
            list(function(model.parameters()))
        with pytest.raises(TypeError, match=r"takes an mlx\.nn\.Module, not int"):
            list(function(3))
    with pytest.raises(KeyError, match=r"no parameter 'layers\.9\.weight': layers has 0, 1, 2, not '9'"):
        tm.locate(model, "layers.9.weight")
    with pytest.raises(KeyError, match="not an array"):
        tm.locate(model, "layers.0")


# -- copies and compile -----------------------------------------------------------------------------------------------


def test_deepcopy_of_model_and_parameters() -> None:
    model = Net()
    params = list(tm.parameters(model))
    params[0].grad = mx.ones(params[0].shape)
    params[0].tag = "kept"
    model2, params2 = copy.deepcopy((model, params))
    assert model2 is not model
    assert all(a is b for a, b in zip(params2, tm.parameters(model2), strict=True))
    assert params2[0].tag == "kept"
    params2[0].data.fill_(7)
    assert model2.layers[0].weight[0, 0].item() == 7
    assert model.layers[0].weight[0, 0].item() != 7
    model2.layers[0].freeze()
    assert not params2[0].requires_grad
    assert params[0].requires_grad
    assert params2[0].grad.tolist() == params[0].grad.tolist()
    assert params2[0].grad is not params[0].grad


def test_deepcopy_in_the_other_order() -> None:
    model = Net()
    params = list(tm.parameters(model))
    params2, model2 = copy.deepcopy((params, model))
    assert all(a is b for a, b in zip(params2, tm.parameters(model2), strict=True))


def test_pickle_of_model_and_parameters() -> None:
    model = nn.Linear(3, 2)
    params = list(tm.parameters(model))
    model2, params2 = pickle.loads(pickle.dumps((model, params)))
    assert params2[0] is next(tm.parameters(model2))
    params2[0].data.fill_(7)
    assert model2.weight[0, 0].item() == 7
    assert model.weight[0, 0].item() != 7


def test_the_model_can_be_freed() -> None:
    before = mx.get_active_memory()
    model = nn.Linear(512, 512)
    tm.backward(model, lambda m: m.weight.sum())
    mx.eval([p.grad.array for p in tm.parameters(model)])
    assert mx.get_active_memory() > before
    del model
    gc.collect()
    assert mx.get_active_memory() <= before + 4096


def test_inside_compile() -> None:
    """A step of plain gradient descent with captured state: traced once per shape, the numbers of the eager one."""
    models = [Normed(), Normed()]
    models[1].update(copy.deepcopy(models[0].parameters()))
    traces = 0

    def step(model: nn.Module, x: mx.array) -> mx.array:
        nonlocal traces
        traces += 1
        loss = tm.backward(model, total, x)
        for p in tm.parameters(model):
            p.data.add_(p.grad, alpha=-1e-3)
            p.grad = None
        return loss.array

    compiled = mx.compile(lambda x: step(models[1], x), inputs=models[1].state, outputs=models[1].state)
    for _ in range(4):
        eager = step(models[0], X)
        traced = compiled(X)
        mx.eval(models[0].state, models[1].state)
        assert traced.item() == pytest.approx(eager.item(), rel=1e-5)
    assert traces == 4 + 1
    for a, b in zip(tree_flatten(models[0].state), tree_flatten(models[1].state), strict=True):
        np.testing.assert_allclose(np.array(a[1]), np.array(b[1]), rtol=1e-5, atol=1e-6)
