"""What torch refuses is refused: the same exception and message, and neither the tensor nor the generator changed."""

from __future__ import annotations

import re
import warnings

import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import seed_both, states
from tests.each import each

NAN, INF = float("nan"), float("inf")
#: Equal types and, up to what torch adds about itself, equal messages.
SAME = {
    "rand of integers": lambda m, x: m.rand(2, dtype=m.int64),
    "rand of truth values": lambda m, x: m.rand(2, dtype=m.bool),
    "rand, negative": lambda m, x: m.rand(-1),
    "rand of a str": lambda m, x: m.rand("a"),
    "rand of a float": lambda m, x: m.rand(2.0),
    "rand of a bool": lambda m, x: m.rand(True),
    "rand, out of another dtype": lambda m, x: m.rand(2, out=m.zeros(2, dtype=m.float64), dtype=m.float32),
    "rand, out of integers": lambda m, x: m.rand(2, out=m.zeros(2).long()),
    "randn of integers": lambda m, x: m.randn(2, dtype=m.int64),
    "randn of many integers": lambda m, x: m.randn(20, dtype=m.int32),
    "randint, empty": lambda m, x: m.randint(3, 3, (2,)),
    "randint, turned round": lambda m, x: m.randint(5, 3, (2,)),
    "randint, int32": lambda m, x: m.randint(0, 2**31 + 1, (2,), dtype=m.int32),
    "randint, uint8": lambda m, x: m.randint(0, 300, (2,), dtype=m.uint8),
    "randint, uint8, low": lambda m, x: m.randint(-1, 3, (2,), dtype=m.uint8),
    "randint, bool": lambda m, x: m.randint(0, 3, (2,), dtype=m.bool),
    "randint, half": lambda m, x: m.randint(0, 2**30, (2,), dtype=m.float16),
    "randint, complex": lambda m, x: m.randint(0, 3, (2,), dtype=m.complex64),
    "randint, 2^63": lambda m, x: m.randint(0, 2**63, (2,)),
    "randperm, negative": lambda m, x: m.randperm(-1),
    "randperm, half": lambda m, x: m.randperm(2050, dtype=m.float16),
    "randperm, bool": lambda m, x: m.randperm(3, dtype=m.bool),
    "randperm, complex": lambda m, x: m.randperm(3, dtype=m.complex64),
    "rand_like of integers": lambda m, x: m.rand_like(x.long()),
    "rand_like of a number": lambda m, x: m.rand_like(3),
    "randn_like of integers": lambda m, x: m.randn_like(x.long()),
    "randint_like, turned round": lambda m, x: m.randint_like(x, 3, 1),
    "normal, negative": lambda m, x: m.normal(0.0, -1.0, (2,)),
    "normal of integers": lambda m, x: m.normal(0, 1, (2,), dtype=m.int64),
    "normal of means, negative": lambda m, x: m.normal(x, -1.0),
    "normal of deviations, negative": lambda m, x: m.normal(1.0, x - 1),
    "normal, NaN": lambda m, x: m.normal(x, NAN),
    "normal of integer means": lambda m, x: m.normal(x.long(), 1.0),
    "normal of integer deviations": lambda m, x: m.normal(1.0, x.long()),
    "bernoulli, above 1": lambda m, x: m.bernoulli(x + 2),
    "bernoulli, below 0": lambda m, x: m.bernoulli(x - 1),
    "bernoulli, NaN": lambda m, x: m.bernoulli(x + NAN),
    "bernoulli of integers": lambda m, x: m.bernoulli(x.long()),
    "bernoulli of truth values": lambda m, x: m.bernoulli(x.bool()),
    "bernoulli, p above 1": lambda m, x: m.bernoulli(x, 1.5),
    "bernoulli of a number": lambda m, x: m.bernoulli(3),
    "bernoulli_, p above 1": lambda m, x: x.bernoulli_(1.5),
    "bernoulli_, NaN": lambda m, x: x.bernoulli_(NAN),
    "bernoulli_ of integers": lambda m, x: x.bernoulli_(m.ones(3).long()),
    "bernoulli_ of above 1": lambda m, x: x.bernoulli_(m.ones(3) * 2),
    "multinomial of zeros": lambda m, x: m.multinomial(x, 1),
    "multinomial of zeros, replacement": lambda m, x: m.multinomial(x, 2, True),
    "multinomial, none": lambda m, x: m.multinomial(x + 1, 0),
    "multinomial, too many": lambda m, x: m.multinomial(x + 1, 4),
    "multinomial, negative": lambda m, x: m.multinomial(x - 1, 2),
    "multinomial, negative, replacement": lambda m, x: m.multinomial(x - 1, 2, True),
    "multinomial, NaN": lambda m, x: m.multinomial(x + NAN, 2),
    "multinomial, inf": lambda m, x: m.multinomial(x + INF, 2),
    "multinomial of integers": lambda m, x: m.multinomial(x.long() + 1, 2),
    "multinomial, 3-d": lambda m, x: m.multinomial(m.ones(2, 2, 2), 2),
    "multinomial, 0-d": lambda m, x: m.multinomial(m.tensor(1.0), 1),
    "multinomial, out": lambda m, x: m.multinomial(x + 1, 2, out=m.zeros(2)),
    "poisson, negative": lambda m, x: m.poisson(x - 1),
    "poisson, NaN": lambda m, x: m.poisson(x + NAN),
    "poisson of integers": lambda m, x: m.poisson(x.long()),
    "uniform_, turned round": lambda m, x: x.uniform_(1, 0),
    "uniform_, one bound": lambda m, x: x.uniform_(2),
    "uniform_, NaN": lambda m, x: x.uniform_(0, NAN),
    "uniform_, too wide": lambda m, x: x.uniform_(-3e38, 3e38),
    "uniform_, too large": lambda m, x: x.uniform_(0, 1e39),
    "uniform_, half": lambda m, x: x.half().uniform_(0, 1e5),
    "uniform_ of integers": lambda m, x: x.long().uniform_(),
    "uniform_, three": lambda m, x: x.uniform_(0, 1, 3),
    "uniform_, empty": lambda m, x: m.zeros(0).uniform_(1, 0),
    "normal_, negative": lambda m, x: x.normal_(0, -1),
    "normal_, NaN": lambda m, x: x.normal_(0, NAN),
    "normal_ of integers": lambda m, x: x.long().normal_(),
    "random_, turned round": lambda m, x: x.random_(3, 1),
    "random_, 0": lambda m, x: x.random_(0),
    "random_, uint8": lambda m, x: x.byte().random_(0, 257) if m is torch else x.to(m.uint8).random_(0, 257),
    "random_, from": lambda m, x: x.to(m.uint8).random_(300, None),
    "random_, int32": lambda m, x: x.int().random_(2**40, 2**41),
    "random_, bool": lambda m, x: x.bool().random_(0, 3),
    "random_, complex": lambda m, x: x.to(m.complex64).random_(),
    "random_, from 2^24": lambda m, x: x.random_(2**24, None),
    "random_, half": lambda m, x: x.half().random_(-70000, None),
    "random_, 64 bits, int32": lambda m, x: x.int().random_(-(2**63), None),
    "random_, 64 bits, half": lambda m, x: x.half().random_(-(2**63), None),
    "exponential_, 0": lambda m, x: x.exponential_(0),
    "exponential_, NaN": lambda m, x: x.exponential_(NAN),
    "exponential_ of integers": lambda m, x: x.long().exponential_(),
    "geometric_, 0": lambda m, x: x.geometric_(0),
    "geometric_, 1": lambda m, x: x.geometric_(1),
    "geometric_, NaN": lambda m, x: x.geometric_(NAN),
    "geometric_ of truth values": lambda m, x: x.bool().geometric_(0.5),
    "cauchy_, 0": lambda m, x: x.cauchy_(1, 0),
    "cauchy_ of integers": lambda m, x: x.long().cauchy_(),
    "log_normal_, 0": lambda m, x: x.log_normal_(1, 0),
    "log_normal_ of integers": lambda m, x: x.long().log_normal_(),
    "of a leaf": lambda m, x: x.requires_grad_().uniform_(),
    "of repeated elements": lambda m, x: m.zeros(1).expand(3).normal_(),
    "dropout above 1": lambda m, x: m.dropout(x, 1.5, True),
    "dropout below 0": lambda m, x: m.dropout(x, -0.1, False),
    "dropout, NaN": lambda m, x: m.dropout(x, NAN, True),
    "dropout of a leaf": lambda m, x: m.dropout_(x.requires_grad_(), 0.5, True),
    "alpha_dropout above 1": lambda m, x: m.alpha_dropout(x, 1.5, True),
    "feature_dropout, 1-d": lambda m, x: m.feature_dropout(x, 0.5, True),
    "feature_alpha_dropout, 1-d": lambda m, x: m.feature_alpha_dropout(x, 0.5, True),
    "native_dropout above 1": lambda m, x: m.native_dropout(x, 1.5, True),
    "rrelu, turned round": lambda m, x: m.rrelu(x - 1, 0.3, 0.1, False),
    "rrelu of integers": lambda m, x: m.rrelu((x - 1).long(), 0.1, 0.3, True),
    "rrelu of integers, not training": lambda m, x: m.rrelu((x - 1).long(), 0.1, 0.3),
    "rrelu of halves": lambda m, x: m.rrelu((x - 1).half(), 0.1, 0.3, True),
}
#: Equal types; the messages say it in other words. torch may have drawn before it refuses.
SAME_TYPE = {
    "geometric_, none": lambda m, x: x.geometric_(),
    "multinomial, replacement": lambda m, x: m.multinomial(x + 1, 1, 1),
    "a generator that is none": lambda m, x: m.rand(2, generator=3),
    "rand of nothing": lambda m, x: m.rand(),
    "randint without a size": lambda m, x: m.randint(3),
    "randint, floats": lambda m, x: m.randint(0.5, 3, (2,)),
    "randint, size": lambda m, x: m.randint(3, 2),
    "randint, low twice": lambda m, x: m.randint(3, (2,), low=1),
    "randint, gradient": lambda m, x: m.randint(0, 3, (2,), requires_grad=True),
    "randperm, uint8": lambda m, x: m.randperm(300, dtype=m.uint8),
    "randperm of a float": lambda m, x: m.randperm(3.0),
    "normal without a size": lambda m, x: m.normal(0.0, 1.0),
    "normal of shapes": lambda m, x: m.normal(x, m.ones(2)),
    "normal with a size": lambda m, x: m.normal(x, 1.0, size=(3,)),
    "bernoulli of two": lambda m, x: m.bernoulli(x, x),
    "bernoulli_ of a shape": lambda m, x: x.bernoulli_(m.ones(2)),
    "multinomial of nothing": lambda m, x: m.multinomial(m.ones(3, 0), 1, True),
    "random_ of a float": lambda m, x: x.random_(1.5),
    "uniform_ of a str": lambda m, x: x.uniform_("a"),
    "rand into a leaf": lambda m, x: m.rand(3, out=x.requires_grad_()),
    "dropout of integers": lambda m, x: m.dropout(x.long(), 0.5, True),
    "dropout of complex numbers": lambda m, x: m.dropout(x.to(m.complex64), 0.5, True),
    "native_dropout of integers": lambda m, x: m.native_dropout(x.long(), 0.5, True),
}


def raised(call, module) -> BaseException:
    x = module.zeros(3)
    with pytest.raises(Exception) as error:
        call(module, x)
    assert x.tolist() == [0, 0, 0]
    return error.value


def words(error: BaseException) -> str:
    text = str(error).splitlines()[0].replace("torch.Generator", "torchish_mlx.Generator")
    text = re.sub(r"\s*\(Could this error message be improved.*", "", text)
    return re.sub(r"(before performing the operation)[.:].*", r"\1", text)


@each("name", SAME)
def test_in_the_same_words(name):
    seed_both(0)
    before = states()[0]
    theirs, mine = raised(SAME[name], torch), raised(SAME[name], tm)
    assert type(mine) is type(theirs), (mine, theirs)
    assert words(mine) == words(theirs)
    assert states()[0] == before


@pytest.mark.parametrize("name", SAME_TYPE)
def test_with_the_same_type(name):
    seed_both(0)
    before = states()[0]
    theirs, mine = raised(SAME_TYPE[name], torch), raised(SAME_TYPE[name], tm)
    assert type(mine) is type(theirs), (mine, theirs)
    assert states()[0] == before


def test_a_size_that_out_does_not_have():
    """``out`` gets another size, as in torch."""
    seed_both(0)
    made = []
    for m in (tm, torch):
        out = m.zeros(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert m.rand(2, out=out) is out
        made.append(out.tolist())
    assert made[0] == made[1]
    assert states()[0] == states()[1]


def test_integers_that_a_float_does_not_have_are_warned_of():
    for call in (lambda m: m.randint(0, 2**25, (2,), dtype=m.float32), lambda m: m.zeros(2).half().random_(-5000, 5)):
        with pytest.warns(UserWarning, match="out of bounds") as theirs:
            call(torch)
        with pytest.warns(UserWarning, match="out of bounds") as mine:
            call(tm)
        start = str(mine[0].message)
        assert str(theirs[0].message).startswith(start)
        assert len(start) > 100


def test_arguments_that_are_ignored_raise():
    for bad in ({"layout": None}, {"pin_memory": False}, {"names": None}):
        with pytest.raises(TypeError):
            tm.rand(2, **bad)
    with pytest.raises(AssertionError, match="not compiled with XPU"):
        tm.rand(2, device="xpu")
