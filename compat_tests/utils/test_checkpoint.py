"""Checkpoints of activations next to torch's: values, gradients of all orders, random numbers, errors."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pytest
import torch
import torch.utils.checkpoint

import torchish_mlx as tm

X = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
W = np.array([[0.3, 0.1], [-0.2, 0.4]], np.float32)


def leaves(m):
    return m.tensor(X, requires_grad=True), m.tensor(W, requires_grad=True)


def plain(m, x, w):
    return (x @ w).tanh() * x


def several(m, x, w):
    h = x @ w
    return {"a": h.exp(), "b": [h.sum(), x, 3, None]}, h


PROGRAMS = {
    "an argument and a closure": lambda m, c, x, w: c(lambda x: plain(m, x, w), x).sum(),
    "parameters alone": lambda m, c, x, w: c(lambda x: plain(m, x, w), x.detach()).sum(),
    "an input that has a history": lambda m, c, x, w: c(lambda h: plain(m, h, w), x * 2).sum() + (x * 3).sum(),
    "two inputs, one behind the other": lambda m, c, x, w: c(lambda a, b: a * b, x * 2, (x * 2).exp()).sum(),
    "one used inside and outside": lambda m, c, x, w: (lambda h: c(lambda a: a * h, h.sin()).sum() + h.sum())(x * w),
    "nested": lambda m, c, x, w: c(lambda x: c(lambda y: plain(m, y, w), x.sin()) + x, x).sum(),
    "a view of an input": lambda m, c, x, w: c(lambda x: x[0] * 2, x).sum() + c(lambda x: x[1], x * 3).sum(),
    "in place inside": lambda m, c, x, w: c(lambda x: (x @ w).mul_(2).relu_(), x).sum(),
    "keywords": lambda m, c, x, w: c(lambda a, *, k: a * k, x, k=w).sum(),
    "dropout": lambda m, c, x, w: c(lambda x: m.nn.functional.dropout(x @ w, 0.5), x).sum() + m.rand(1).sum(),
    "random numbers between": lambda m, c, x, w: (
        (a := c(lambda x: x * m.rand(2, 2), x)),
        (b := m.rand(2)),
        (a * b).sum(),
    )[-1],
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("other", ["torch's checkpoint", "no checkpoint"])
def test_a_program(name, other):
    found = []
    for m, kept in ((tm, True), (torch, other.startswith("torch")) if other.startswith("torch") else (tm, False)):
        m.manual_seed(5)
        x, w = leaves(m)

        def call(f, *args, kept=kept, m=m, **kwargs):
            return (
                m.utils.checkpoint.checkpoint(f, *args, use_reentrant=False, **kwargs) if kept else f(*args, **kwargs)
            )

        loss = PROGRAMS[name](m, call, x, w)
        loss.backward()
        after = m.rand(2)
        found.append([loss.tolist(), *[None if t.grad is None else t.grad.tolist() for t in (x, w)], after.tolist()])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_results_of_any_shape():
    for m in (tm, torch):
        x, w = leaves(m)
        named, h = m.utils.checkpoint.checkpoint(lambda x, m=m, w=w: several(m, x, w), x, use_reentrant=False)
        assert named["b"][1] is x
        assert named["b"][2:] == [3, None]
        (named["a"].sum() + named["b"][0] + h.sum()).backward()
        x2, w2 = leaves(m)
        named, h = several(m, x2, w2)
        (named["a"].sum() + named["b"][0] + h.sum()).backward()
        np.testing.assert_allclose(w.grad.tolist(), w2.grad.tolist(), rtol=1e-5)
        np.testing.assert_allclose(x.grad.tolist(), x2.grad.tolist(), rtol=1e-5)


def test_derivatives_of_derivatives():
    found = []
    for m in (tm, torch):
        x, w = leaves(m)
        out = m.utils.checkpoint.checkpoint(lambda x, m=m, w=w: plain(m, x, w), x, use_reentrant=False)
        first = m.autograd.grad(out.sum(), [x, w], create_graph=True)
        second = m.autograd.grad(sum((g * g).sum() for g in first), [x, w])
        found.append([t.tolist() for t in (*first, *second)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_sequence(reentrant):
    found = []
    for m in (tm, torch):
        x, w = leaves(m)
        steps = [m.sin, lambda a, w=w: a @ w, m.exp, m.tanh, lambda a: a * a]
        out = m.utils.checkpoint.checkpoint_sequential(steps, 2, x, use_reentrant=reentrant)
        out.sum().backward()
        found.append([out.tolist(), x.grad.tolist(), w.grad.tolist()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_hooks_see_a_gradient_once():
    for m in (tm, torch):
        x, w = leaves(m)
        seen = []
        x.register_hook(lambda g, seen=seen: seen.append("x"))
        h = x * 2
        h.register_hook(lambda g, seen=seen: seen.append("h"))
        m.utils.checkpoint.checkpoint(lambda h, m=m, w=w: plain(m, h, w), h, use_reentrant=False).sum().backward()
        assert seen == ["h", "x"]


def test_autocast_is_that_of_the_first_call():
    for m in (tm, torch):
        x, w = leaves(m)
        seen = []

        def f(x, w=w, seen=seen):
            out = x @ w
            seen.append(str(out.dtype))
            return out

        with m.autocast("cpu"):
            out = m.utils.checkpoint.checkpoint(f, x, use_reentrant=False)
        out.float().sum().backward()
        assert set(seen) == {"torch.bfloat16"}
        assert m is torch or len(seen) == 2  # torch stops as soon as it has what backward needs
        assert x.grad.dtype == m.float32


def test_what_is_in_between_is_let_go():
    held = []

    def f(x):
        middle = x.exp()
        held.append(weakref.ref(middle))
        return middle.sin()

    x = tm.tensor(X, requires_grad=True)
    out = tm.utils.checkpoint.checkpoint(f, x, use_reentrant=False)
    gc.collect()
    assert held[0]() is None
    assert [type(n).__name__ for n in (out.grad_fn,)] == ["CheckpointFunctionBackward"]
    assert out.grad_fn.next_functions[0][0].variable is x
    out.sum().backward()
    assert len(held) == 2


SAID = [
    *["c(f, x)", "c(f, y)", "c(f, y, use_reentrant=True)", "c(f, y, use_reentrant=False)"],
    *["c(f, x, use_reentrant=True, debug=True)", "c(f, x, use_reentrant=True, foo=1)"],
    *[
        "c(f, x, use_reentrant=False, determinism_check='foo')",
        "c(f, x, use_reentrant=False, preserve_rng_state=False)",
    ],
    *["s([f, f], 2, x)", "s([f, f], 2, x, use_reentrant=False, foo=1)", "c(f, y, use_reentrant=True).requires_grad"],
]


@pytest.mark.parametrize("text", SAID)
def test_what_is_refused_or_warned_of(text):
    said = []
    for m in (tm, torch):
        module = m.utils.checkpoint
        names = {"c": module.checkpoint, "s": module.checkpoint_sequential, "f": lambda a: a * 2}
        names |= {"x": m.ones(2, requires_grad=True), "y": m.ones(2)}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = eval(text, names)
                found = found if isinstance(found, bool) else found.tolist()
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
        said.append((found, [(w.category, str(w.message).partition("passed explicitly")[:2]) for w in caught]))
    assert said[0] == said[1]


def test_a_function_that_changes_is_refused():
    for m in (tm, torch):
        x, calls = m.ones(4, requires_grad=True), []

        def f(x, calls=calls):
            calls.append(1)
            return (x[: 4 - len(calls)]).exp().sin() * 2

        out = m.utils.checkpoint.checkpoint(f, x, use_reentrant=False)
        with pytest.raises(m.utils.checkpoint.CheckpointError):
            out.sum().backward()


def test_blocks_around_the_two_calls():
    for m in (tm, torch):
        seen, x = [], m.ones(2, requires_grad=True)

        class Block:
            def __init__(self, name, seen=seen):
                self.name, self.seen = name, seen

            def __enter__(self):
                self.seen.append(self.name)

            def __exit__(self, *_):
                pass

        out = m.utils.checkpoint.checkpoint(
            lambda x: x.exp(), x, use_reentrant=False, context_fn=lambda: (Block("first"), Block("again"))
        )
        out.sum().backward()
        assert seen == ["first", "again"]
