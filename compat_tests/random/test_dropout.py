"""Dropout next to torch: masks and values to the bit, first and second derivatives with the mask that was drawn."""

from __future__ import annotations

import warnings

import mlx.core as mx
import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import FLOATS, equal, ours, seed_both, states
from torchish_mlx.ops._declare import op
from torchish_mlx.ops._op import Array, vjp

PLAIN = ("dropout", "alpha_dropout")
FEATURE = ("feature_dropout", "feature_alpha_dropout")
SHAPES = {
    "dropout": [(), (1,), (17,), (3, 5), (2, 3, 4, 5), (0, 3), (10_000,)],
    "alpha_dropout": [(), (17,), (2, 3, 4, 5)],
    "feature_dropout": [(3, 5), (3, 5, 2), (2, 3, 4, 5), (0, 3)],
    "feature_alpha_dropout": [(3, 5), (2, 3, 4, 5)],
}


def leaves(shape, dtype):
    """The same numbers on both sides."""
    theirs = (torch.arange(float(torch.Size(shape).numel())).reshape(shape) / 7 - 1).to(FLOATS[dtype])
    mine = tm.Tensor(mx.array(theirs.float().numpy()).astype(ours(dtype)))
    if dtype == "float64":
        mine = tm.tensor(theirs.numpy(), dtype=mx.float64)
    return mine.requires_grad_(), theirs.requires_grad_()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*PLAIN, *FEATURE])
@pytest.mark.parametrize("p", [0, 0.1, 0.5, 0.9, 1])
def test_values_and_derivatives(name, p, dtype):
    for shape in SHAPES[name]:
        for train in (True, False):
            mine, theirs = leaves(shape, dtype)
            seed_both(3)
            out, wanted = getattr(tm, name)(mine, p, train), getattr(torch, name)(theirs, p, train)
            equal(out, wanted)
            (out * out).sum().backward(), (wanted * wanted).sum().backward()
            equal(mine.grad, theirs.grad)
            assert (out is mine) == (wanted is theirs)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*PLAIN, *FEATURE])
def test_in_place(name, dtype):
    for p, train in ((0.3, True), (0, True), (1, True), (0.3, False)):
        mine, theirs = leaves((3, 5, 2), dtype)
        seed_both(4)
        a, b = mine * 1, theirs * 1
        assert getattr(tm, name + "_")(a, p, train) is a
        getattr(torch, name + "_")(b, p, train)
        equal(a, b)
        a.sum().backward(), b.sum().backward()
        equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "native_dropout"])
def test_the_order_of_memory(name):
    for view in (lambda t: t.permute(0, 2, 3, 1), lambda t: t[..., 1:], lambda t: t[:, ::2].transpose(1, 2)):
        mine, theirs = leaves((2, 4, 3, 5), "float32")
        seed_both(5)
        out, wanted = (getattr(m, name)(view(t), 0.4, True) for m, t in ((tm, mine), (torch, theirs)))
        if name == "native_dropout":
            (out, kept), (wanted, wanted_mask) = out, wanted
            equal(kept, wanted_mask)
        equal(out, wanted)
        out.sum().backward(), wanted.sum().backward()
        equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [0, 0.1, 0.3, 1])
@pytest.mark.parametrize("train", [True, False, None])
def test_native_dropout(p, train, dtype):
    for shape in SHAPES["dropout"]:
        mine, theirs = leaves(shape, dtype)
        seed_both(6)
        got, wanted = tm.native_dropout(mine, p, train), torch.native_dropout(theirs, p, train)
        equal(got.result, wanted[0])
        equal(got.mask, wanted[1])
        assert not got.mask.requires_grad
        if 0 in shape:  # torch returns the leaf itself as a result, and then can't go back
            continue
        (got[0] * got[0]).sum().backward(), (wanted[0] * wanted[0]).sum().backward()
        equal(mine.grad, theirs.grad)


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph:UserWarning")
@pytest.mark.parametrize("name", [*PLAIN, *FEATURE, "native_dropout", "rrelu"])
def test_second_derivatives_use_the_mask_that_was_drawn(name):
    """Cubed, so that the second derivative is that of the cube, times the mask twice."""

    def second(module, leaf):
        if name == "rrelu":
            out = module.rrelu(leaf, 0.1, 0.9, True)
        else:
            out = getattr(module, name)(leaf, 0.4, True)
        out = out[0] if name == "native_dropout" else out
        (out * out * out).sum().backward(create_graph=True)
        first = leaf.grad
        leaf.grad = None
        (first * first).sum().backward()
        return first, leaf.grad

    mine, theirs = leaves((4, 5, 3), "float64")
    seed_both(7)
    got, wanted = second(tm, mine), second(torch, theirs)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(a.detach().numpy()), b.detach(), rtol=1e-14, atol=0)
    assert (wanted[1] != 0).any()
    assert states()[0] == states()[1]


@pytest.mark.parametrize("name", ["rrelu", "rrelu, not training"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rrelu(name, dtype):
    mine, theirs = leaves((4, 5), dtype)
    seed_both(8)
    args = (0.2, 0.7, "not" not in name)
    out, wanted = tm.rrelu(mine, *args), torch.rrelu(theirs, *args)
    equal(out, wanted)
    (out * 3).sum().backward(), (wanted * 3).sum().backward()
    equal(mine.grad, theirs.grad)


ZERO = {
    "normal_": lambda m, x: (x * 1).normal_(),
    "uniform_": lambda m, x: (x * 1).uniform_(),
    "random_": lambda m, x: (x * 1).random_(9),
    "bernoulli_": lambda m, x: (x * 1).bernoulli_(0.3),
    "bernoulli_ of a tensor": lambda m, x: m.zeros(4).bernoulli_(x.sigmoid()),
    "exponential_": lambda m, x: (x * 1).exponential_(),
    "geometric_": lambda m, x: (x * 1).geometric_(0.3),
    "cauchy_": lambda m, x: (x * 1).cauchy_(),
    "log_normal_": lambda m, x: (x * 1).log_normal_(),
    "bernoulli": lambda m, x: m.bernoulli(x.sigmoid()),
    "normal": lambda m, x: m.normal(x, 1.0),
    "normal of both": lambda m, x: m.normal(x, x.exp()),
    "poisson": lambda m, x: m.poisson(x.exp()),
    "a part": lambda m, x: half_of(x * 1),
}


def half_of(x):
    x[::2].normal_()
    return x


@pytest.mark.parametrize("name", ZERO)
def test_numbers_that_were_drawn_have_the_derivative_0(name):
    mine, theirs = leaves((4,), "float32")
    seed_both(9)
    out, wanted = ZERO[name](tm, mine), ZERO[name](torch, theirs)
    equal(out, wanted)
    assert out.requires_grad == wanted.requires_grad is True
    out.sum().backward(), wanted.sum().backward()
    equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("name", ["rand_like", "randn_like", "multinomial"])
def test_new_numbers_have_no_derivative(name):
    x = tm.ones(4, requires_grad=True)
    assert not (tm.multinomial(x, 2) if name == "multinomial" else getattr(tm, name)(x)).requires_grad
    assert tm.rand(3, requires_grad=True).requires_grad


def test_an_op_that_draws_needs_formulas():
    def body(given: Array) -> mx.array:
        return given

    for grad in (vjp(given=""), None):
        with pytest.raises(TypeError, match="needs formulas"):
            op(grad=grad, random=True, name="never.declared")(body)


#: Calls of ``torch.nn.functional`` in which torch refuses or warns.
TOLD = {
    "dropout": lambda F, x: F.dropout(x, 1.5),
    "alpha_dropout": lambda F, x: F.alpha_dropout(x, -0.5),
    "feature_alpha_dropout": lambda F, x: F.feature_alpha_dropout(x, 1.5),
    "dropout1d of p": lambda F, x: F.dropout1d(x, 1.5),
    "dropout1d": lambda F, x: F.dropout1d(x),
    "dropout2d": lambda F, x: F.dropout2d(x[0, 0]),
    "dropout2d of 3": lambda F, x: F.dropout2d(x[0]),
    "dropout3d": lambda F, x: F.dropout3d(x[0]),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_the_functions_of_nn_say(name):
    said = []
    for module in (tm, torch):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                TOLD[name](module.nn.functional, module.ones(2, 3, 4, 5))
                error = None
            except (RuntimeError, ValueError) as raised:
                error = raised
        said.append((type(error), str(error), [str(w.message) for w in warned]))
    assert said[0] == said[1]
    assert said[0][2] or said[0][1] != "None"


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5)])
def test_dropout1d(shape, inplace):
    mine, theirs = leaves(shape, "float32")
    seed_both(10)
    a, b = mine * 1, theirs * 1
    out, wanted = (
        tm.nn.functional.dropout1d(a, 0.4, True, inplace),
        torch.nn.functional.dropout1d(b, 0.4, True, inplace),
    )
    equal(out, wanted)
    equal(a, b)
    out.sum().backward(), wanted.sum().backward()
    equal(mine.grad, theirs.grad)
