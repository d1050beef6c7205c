"""The tape against torch: what is recorded, released and summed, gradients of gradients, and depth."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.sides import SIDES, values
from torchish_mlx.ops._call import public
from torchish_mlx.ops._op import Array, Op, vjp

pytestmark = pytest.mark.filterwarnings("ignore:Using backward.. with create_graph:UserWarning")  # torch's own advice


@pytest.mark.long
def test_deep_chains() -> None:
    """20,000 operations, and as many in place, forward, backward and freed, without recursion."""
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + x
    y.sum().backward()
    assert x.grad.tolist() == [20_001.0, 20_001.0]
    del y
    z = x * 1
    for i in range(20_000):
        z.mul_(1.0001 if i % 2 else 0.9999)
    z.sum().backward()
    gc.collect()
    view = tm.ones(4)
    for _ in range(20_000):
        view = view.view(2, 2).t()
    view.mul_(2)


def test_deep_chain_of_a_graph_of_gradients() -> None:
    x = tm.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(3_000):
        y = y * 1.0001
    (y * y).sum().backward(create_graph=True)
    g, x.grad = x.grad, None
    g.sum().backward()
    np.testing.assert_allclose(x.grad.item(), 2 * 1.0001**6000, rtol=2e-4)  # 3,000 roundings each way


@pytest.mark.parametrize("create_graph", [False, True])
def test_shared_uses_are_summed_once(create_graph: bool) -> None:
    found = []
    for side in SIDES:
        x = side.leaf(np.array([2.0, 3.0]), torch.float32, True)
        y = x * x
        z = (y + y) * x + y.sum()
        z.sum().backward(create_graph=create_graph)
        z = x.exp() * x
        z.sum().backward()
        found.append(values(x.grad))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_third_derivative() -> None:
    found = []
    for side in SIDES:
        x = side.leaf(np.array([0.5, 1.5]), torch.float32, True)
        y = (x**3 * x.exp() / (x + 1)).norm()
        seen = []
        for _ in range(3):
            y.backward(create_graph=True)
            g, x.grad = x.grad, None
            seen.append(values(g))
            y = g.sum()
        found.append(np.array(seen))
    np.testing.assert_allclose(found[1], found[0], rtol=2e-5)  # 2e-6 measured


def test_gradients_alias_nothing() -> None:
    """The gradient of a leaf is its own, whatever it was computed from."""
    for side in SIDES:
        x, y = (side.leaf(np.ones(2), torch.float32, True) for _ in range(2))
        seed = side.leaf(np.ones(2), torch.float32, False)
        (x + y).backward(seed)
        x.grad.mul_(5)
        assert y.grad.tolist() == [1.0, 1.0]
        assert seed.tolist() == [1.0, 1.0]
        same = x.grad
        (x * 2).sum().backward()
        assert same is x.grad  # summed in place, as in torch
        assert same.tolist() == [7.0, 7.0]


def test_twice() -> None:
    for side in SIDES:
        x = side.leaf(np.ones(2), torch.float32, True)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.tolist() == [4.0, 4.0]
        with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
            y.backward()
        z = (x + x).sum()  # keeps nothing, and may be pulled again
        z.backward()
        z.backward()


def test_what_is_kept_is_freed() -> None:
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    kept = weakref.ref(y.array)
    z = (y * y).sum()
    del y
    gc.collect()
    assert kept() is not None
    z.backward()
    gc.collect()
    assert kept() is None
    big = mx.ones((100,))
    alive = weakref.ref(big)
    total = (tm.Tensor(big) + x.sum()).sum()  # adding keeps nothing
    del big
    gc.collect()
    assert alive() is None
    assert total.requires_grad


def test_in_place_on_a_result() -> None:
    found = []
    for side in SIDES:
        x = side.leaf(np.array([1.0, 2.0]), torch.float32, True)
        y = x * 2
        y.mul_(3)
        y.exp_()
        y.sum().backward(create_graph=True)
        g, x.grad = x.grad, None
        g.sum().backward()
        found.append((values(g), values(x.grad), y.is_leaf))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-6)
    assert found[0][2] == found[1][2]


def test_in_place_with_a_leaf_that_needs_it() -> None:
    """A tensor without grad becomes one with: ``buffer.mul_(w)``."""
    found = []
    for side in SIDES:
        b = side.leaf(np.array([1.0, 2.0]), torch.float32, False)
        w = side.leaf(np.array([3.0, 4.0]), torch.float32, True)
        b.mul_(w)
        b.mul_(w)
        assert b.requires_grad
        b.sum().backward()
        found.append(values(w.grad))
    np.testing.assert_array_equal(found[1], found[0])


def test_x_times_x_in_place() -> None:
    for side in SIDES:
        x = side.leaf(np.array([1.0, 2.0]), torch.float32, True) * 1
        x.mul_(x)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            x.sum().backward()


def test_retain_grad() -> None:
    for side in SIDES:
        x = side.leaf(np.ones(2), torch.float32, True)
        y = x * 2
        y.retain_grad()
        assert y.retains_grad
        (y * y).sum().backward()
        assert y.grad.tolist() == [4.0, 4.0]
        with pytest.warns(UserWarning, match="not a leaf"):
            assert (x * 2).grad is None


# -- modes ------------------------------------------------------------------------------------------------------------


def test_modes() -> None:
    for T in (torch, tm):
        x = T.tensor([1.0], requires_grad=True)

        @T.no_grad()
        def off(x: Any = x) -> Any:
            return x * 2

        @T.no_grad
        def off_too(x: Any = x) -> Any:
            return x * 2

        @T.no_grad()
        def steps(x: Any = x) -> Iterator[bool]:
            yield (x * 2).requires_grad
            yield (x * 2).requires_grad

        @T.set_grad_enabled(False)
        def off_as_well(x: Any = x) -> Any:
            return x * 2

        assert not off().requires_grad
        assert not off_too().requires_grad
        assert not off_as_well().requires_grad
        assert T.is_grad_enabled()
        seen = steps()
        assert next(seen) is False
        assert T.is_grad_enabled()
        assert next(seen) is False
        with T.no_grad():
            assert not T.is_grad_enabled()
            with T.enable_grad():
                assert (x * 2).requires_grad
            with T.set_grad_enabled(True):
                assert (x * 2).requires_grad
            assert not (x * 2).requires_grad
            x.mul_(3)  # a leaf may be written here
        assert x.tolist() == [3.0]
        T.set_grad_enabled(False)
        assert not T.is_grad_enabled()
        T.set_grad_enabled(True)
        with pytest.raises(ZeroDivisionError), T.no_grad():
            1 / 0
        assert T.is_grad_enabled()
    mode = tm.no_grad()
    with mode, mode:  # one object twice, which torch's does not survive
        assert not tm.is_grad_enabled()
    assert tm.is_grad_enabled()


def test_the_mode_is_of_the_thread() -> None:
    seen: list[bool] = []
    with tm.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tm.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_generator_receives_what_is_sent() -> None:
    @tm.no_grad()
    def echo() -> Any:
        got = yield "ready"
        try:
            yield (got, tm.is_grad_enabled())
        except KeyError:
            yield "caught"
        return "done"

    g = echo()
    assert next(g) == "ready"
    assert g.send(3) == (3, False)
    assert g.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as stop:
        next(g)
    assert stop.value.value == "done"
    closed = echo()
    next(closed)
    closed.close()
    assert tm.is_grad_enabled()


# -- every op is recorded ---------------------------------------------------------------------------------------------


def test_an_op_whose_derivative_is_mlxs() -> None:
    """``vjp`` says what MLX's derivative needs, and the derivatives of every order follow."""

    def gelu(x: Array) -> mx.array:
        return x * mx.sigmoid(1.702 * x)

    call = public(Op(gelu, "gelu", vjp(x="x")))
    x = tm.tensor([0.5, -1.0], requires_grad=True)
    y = call(x)
    assert y.grad_fn is not None
    y.sum().backward(create_graph=True)
    g, x.grad = x.grad, None
    g.sum().backward()
    t = torch.tensor([0.5, -1.0], requires_grad=True)
    (t * torch.sigmoid(1.702 * t)).sum().backward(create_graph=True)
    tg, t.grad = t.grad, None
    tg.sum().backward()
    np.testing.assert_allclose(values(g), values(tg), rtol=1e-6)
    np.testing.assert_allclose(values(x.grad), values(t.grad), rtol=1e-6)


def test_several_outputs_that_are_one_array() -> None:
    """``mx.vjp`` counts one cotangent of an array that is returned twice; the tape must count both."""
    found = []
    for side in SIDES:
        x, y = (side.leaf(np.array(v), torch.float32, True) for v in (1.5, -0.7))
        ((x + y) ** 2).backward(create_graph=True)
        gx, gy = x.grad, y.grad
        x.grad = y.grad = None
        (gx * gx + gy * gy).backward()
        found.append((values(x.grad), values(y.grad)))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_under_compile() -> None:
    """The tape inside ``mx.compile``: traced once, right at every call."""

    def step(w: mx.array, x: mx.array) -> mx.array:
        p = tm.Parameter(w)
        loss = ((tm.Tensor(x) @ p).clamp(-1, 1) ** 2).mean()
        loss.backward()
        return p.grad.array

    compiled = mx.compile(step)
    rng = np.random.default_rng(0)
    for _ in range(2):
        w, x = rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
        t = torch.tensor(w, requires_grad=True)
        ((torch.tensor(x) @ t).clamp(-1, 1) ** 2).mean().backward()
        np.testing.assert_allclose(np.array(compiled(mx.array(w), mx.array(x))), t.grad, rtol=2e-6, atol=1e-7)


def test_a_training_loop_learns_as_torch_does() -> None:
    """Torch's own loop, with p.data, p.grad and no optimizer: the same losses over 50 steps."""
    rng = np.random.default_rng(0)
    X, w0 = rng.normal(size=(64, 3)), rng.normal(size=(3,))
    Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3
    losses = []
    for side in SIDES:
        T = side.library
        x, y = side.leaf(X, torch.float32, False), side.leaf(Y, torch.float32, False)
        w, b = side.leaf(w0, torch.float32, True), T.zeros_like(side.leaf(np.zeros(()), torch.float32, False))
        b.requires_grad_()
        seen = []
        for _ in range(50):
            loss = ((x.mv(w) + b - y) ** 2).mean()
            loss.backward()
            for p in (w, b):
                p.data.add_(p.grad.data, alpha=-0.1)
                p.grad.zero_()
            seen.append(loss.item())
        losses.append(seen)
    assert losses[1][-1] < 1e-6
    # A residual is a sum of terms of the size of the first one, so that its error is relative to that. Measured over 20
    # seeds, with and without OpenBLAS: 1.4e-7.
    theirs, ours = np.sqrt(losses)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * theirs[0])
