"""Every function that draws next to torch: equal bits and equal states, over dtypes, sizes, seeds and layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import DTYPES, FLOATS, INTEGERS, SEEDS, SIZES, both, equal, ours, seed_both
from tests.each import each

#: In place, by dtype: what is called on a tensor.
ON_FLOATS = {
    "uniform_": lambda t: t.uniform_(),
    "uniform_(-3, 5)": lambda t: t.uniform_(-3, 5),
    "uniform_(0.1, 0.1001)": lambda t: t.uniform_(0.1, 0.1001),
    "normal_": lambda t: t.normal_(),
    "normal_(1.5, 0.1)": lambda t: t.normal_(1.5, 0.1),
    "normal_(-0.3, 7)": lambda t: t.normal_(-0.3, 7),
    "exponential_": lambda t: t.exponential_(),
    "exponential_(0.3)": lambda t: t.exponential_(lambd=0.3),
    "cauchy_": lambda t: t.cauchy_(),
    "cauchy_(1, 0.2)": lambda t: t.cauchy_(1, 0.2),
    "log_normal_": lambda t: t.log_normal_(),
    "log_normal_(0.1, 0.3)": lambda t: t.log_normal_(0.1, 0.3),
}
ON_ALL = {
    "bernoulli_": lambda t: t.bernoulli_(),
    "bernoulli_(0.3)": lambda t: t.bernoulli_(0.3),
    "bernoulli_(0)": lambda t: t.bernoulli_(0),
    "bernoulli_(1)": lambda t: t.bernoulli_(1.0),
    "random_(100)": lambda t: t.random_(100) if "bool" not in str(t.dtype) else t.random_(2),
    "random_(3, 17)": lambda t: t.random_(3, 17) if "bool" not in str(t.dtype) else t.random_(0, 1),
}
ON_COUNTS = {
    "random_": lambda t: t.random_(),
    "geometric_(0.3)": lambda t: t.geometric_(0.3) if "bool" not in str(t.dtype) else t.random_(),
    "random_(1, None)": lambda t: t.random_(1, None),
}


def made(module: Any, name: str, shape: Any) -> Any:
    return module.zeros(shape, dtype=ours(name) if module is tm else DTYPES[name])


def cases() -> list[Any]:
    found = [(name, dtype, call) for name, call in ON_FLOATS.items() for dtype in FLOATS]
    late = ("uint16", "uint32", "uint64")  # random_ with bounds is all that torch has for them
    found += [
        (name, dtype, call)
        for name, call in ON_ALL.items()
        for dtype in DTYPES
        if "random" in name or dtype not in late
    ]
    found += [(name, dtype, call) for name, call in ON_COUNTS.items() for dtype in DTYPES if dtype not in late]
    return [pytest.param(dtype, call, id=f"{name}-{dtype}") for name, dtype, call in found]


@pytest.mark.parametrize(("dtype", "call"), cases())
def test_in_place(dtype, call):
    for size in SIZES:
        both(lambda module, size=size: call(made(module, dtype, size)), size)
    for seed in SEEDS:
        both(lambda module: call(made(module, dtype, (3, 7))), seed)


LAYOUTS = {
    "0-d": lambda module, t: t[0, 0, 0, 0],
    "1-d": lambda module, t: t[1, 1, 1],
    "2-d": lambda module, t: t[0, 1],
    "transposed": lambda module, t: t[0].transpose(0, 2),
    "last first": lambda module, t: t.permute(0, 2, 3, 1),
    "columns": lambda module, t: t[..., 1:3],
    "every second": lambda module, t: t[:, ::2],
    "transposed part": lambda module, t: t[0, :, 1:, ::2].transpose(0, 1),
    "with sizes 1": lambda module, t: t[:, 1:2, :, 2:3].transpose(0, 2),
    "diagonal": lambda module, t: t.diagonal(dim1=2, dim2=3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_parts_are_filled_in_the_order_of_memory(layout, dtype):
    for call in (*ON_FLOATS.values(), *ON_ALL.values()):

        def whole(module, call=call):
            t = made(module, dtype, (2, 3, 5, 5))
            part = LAYOUTS[layout](module, t)
            call(part)
            return t

        both(whole, 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_like(layout):
    def like(module, name, **kwargs):
        return getattr(module, name)(LAYOUTS[layout](module, module.zeros(2, 3, 5, 5)), **kwargs)

    for name in ("rand_like", "randn_like"):
        both(lambda module, name=name: like(module, name))
        both(lambda module, name=name: like(module, name, dtype=module.float64))
    both(lambda module: module.randint_like(LAYOUTS[layout](module, module.zeros(2, 3, 5, 5)), 9))
    both(lambda module: module.randint_like(LAYOUTS[layout](module, module.zeros(2, 3, 5, 5)), low=-4, high=9))


NEW = {
    "rand": lambda m: m.rand(3, 7),
    "rand of a tuple": lambda m: m.rand((3, 7)),
    "rand by name": lambda m: m.rand(size=(3, 7)),
    "rand, double": lambda m: m.rand(50, dtype=m.float64),
    "rand, half": lambda m: m.rand(5000, dtype=m.float16),
    "rand, complex": lambda m: m.rand(9, dtype=m.complex64),
    "rand into out": lambda m: m.rand(4, out=m.zeros(4, dtype=m.float64)),
    "randn": lambda m: m.randn(33, 3),
    "randn, few": lambda m: m.randn(3, 5),
    "randn, none": lambda m: m.randn(0, 5),
    "randn, 0-d": lambda m: m.randn(()),
    "randn, complex": lambda m: m.randn(21, dtype=m.complex64),
    "randn, few complex": lambda m: m.randn(3, dtype=m.complex64),
    "randn, double": lambda m: m.randn(333, dtype=m.float64),
    "randn, large": lambda m: m.randn(70_001),
    "randint": lambda m: m.randint(10, (100,)),
    "randint of both": lambda m: m.randint(-7, 10, (100,)),
    "randint by name": lambda m: m.randint(low=-7, high=10, size=(100,)),
    "randint, wide": lambda m: m.randint(-(2**63), 2**63 - 1, (100,)),
    "randint, 2^28": lambda m: m.randint(2**28, (100,)),
    "randint, 2^28 - 1": lambda m: m.randint(2**28 - 1, (100,)),
    "randint, floats": lambda m: m.randint(1000, (100,), dtype=m.float32),
    "randint into out": lambda m: m.randint(1000, (100,), out=m.zeros(100)),
    "randperm": lambda m: m.randperm(1000),
    "randperm of 0": lambda m: m.randperm(0),
    "randperm of 1": lambda m: m.randperm(1),
    "randperm, bytes": lambda m: m.randperm(256, dtype=m.uint8),
    "randperm, half": lambda m: m.randperm(2049, dtype=m.float16),
    "normal": lambda m: m.normal(2, 0.5, (40,)),
    "normal, few": lambda m: m.normal(2.0, 0.5, size=(4, 2)),
    "normal of 0-d": lambda m: m.normal(m.tensor(2.0), m.tensor(0.5), (4, 2)),
    "normal of means": lambda m: m.normal(m.arange(40.0)),
    "normal of means, 2": lambda m: m.normal(m.arange(40.0), 0.3),
    "normal of deviations": lambda m: m.normal(0.3, m.arange(40.0)),
    "normal of both": lambda m: m.normal(m.arange(40.0), m.arange(40.0) / 7),
    "normal that broadcasts": lambda m: m.normal(m.arange(6.0), m.arange(4.0).reshape(4, 1)),
    "normal, doubles": lambda m: m.normal(m.arange(40.0).double(), m.arange(40.0) / 7),
    "normal, halves": lambda m: m.normal(m.arange(40.0).half(), m.arange(40.0).half() / 7),
    "normal of a transposed": lambda m: m.normal(m.arange(40.0).reshape(5, 8).t(), 0.3),
    "normal, both transposed": lambda m: m.normal(m.zeros(5, 8).t(), m.ones(5, 8).t()),
    "normal, complex": lambda m: m.normal(0.0, 1.0, (9,), dtype=m.complex64),
    "normal into out": lambda m: m.normal(m.arange(40.0), 0.3, out=m.zeros(40)),
    "bernoulli": lambda m: m.bernoulli(m.linspace(0, 1, 99)),
    "bernoulli, double": lambda m: m.bernoulli(m.linspace(0, 1, 99).double()),
    "bernoulli, half": lambda m: m.bernoulli(m.linspace(0, 1, 99).half()),
    "bernoulli of p": lambda m: m.bernoulli(m.zeros(4, 9), 0.3),
    "bernoulli of p, integers": lambda m: m.bernoulli(m.zeros(4, 9).long(), p=0.3),
    "bernoulli, transposed": lambda m: m.bernoulli(m.linspace(0, 1, 12).reshape(3, 4).t()),
    "bernoulli into out": lambda m: m.bernoulli(m.linspace(0, 1, 12), out=m.zeros(12, dtype=m.int64)),
    "bernoulli, method": lambda m: m.linspace(0, 1, 99).bernoulli(),
    "bernoulli, method of p": lambda m: m.zeros(9).bernoulli(0.7),
    "bernoulli_ of a tensor": lambda m: m.zeros(3, 5).bernoulli_(m.linspace(0, 1, 5)),
    "bernoulli_ of a double": lambda m: m.zeros(3, 5).bernoulli_(m.linspace(0, 1, 5).double()),
    "bernoulli_ of one": lambda m: m.zeros(3, 5).long().bernoulli_(m.tensor(0.4)),
    "bernoulli_, transposed": lambda m: m.zeros(3, 5).t().bernoulli_(m.linspace(0, 1, 3)),
    "multinomial": lambda m: m.multinomial(m.rand(20), 7),
    "multinomial of 1": lambda m: m.multinomial(m.rand(5, 20), 1),
    "multinomial with replacement": lambda m: m.multinomial(m.rand(5, 20), 30, True),
    "multinomial, double": lambda m: m.multinomial(m.rand(3, 20, dtype=m.float64), 30, replacement=True),
    "multinomial, double, without": lambda m: m.multinomial(m.rand(3, 20, dtype=m.float64), 5),
    "multinomial, half": lambda m: m.multinomial(m.rand(3, 20).half(), 30, True),
    "multinomial, bfloat16": lambda m: m.multinomial(m.rand(3, 20).bfloat16(), 30, True),
    "multinomial, half, one": lambda m: m.multinomial(m.rand(3, 20).half(), 1),
    "multinomial, no rows": lambda m: m.multinomial(m.ones(0, 3), 1),
    "multinomial into out": lambda m: m.multinomial(m.rand(5), 2, out=m.zeros(2, dtype=m.int64)),
    "multinomial, method": lambda m: m.rand(5).multinomial(2),
    "poisson": lambda m: m.poisson(m.rand(300) * 5),
    "poisson, large": lambda m: m.poisson(m.rand(300) * 500),
    "poisson, mixed": lambda m: m.poisson(m.linspace(0, 40, 300)),
    "poisson, double": lambda m: m.poisson(m.linspace(0, 40, 50).double()),
    "poisson, half": lambda m: m.poisson(m.linspace(0, 40, 50).half()),
    "random_ by name": lambda m: m.zeros(20).random_(**{"from": 3, "to": 9}),
    "random_ to": lambda m: m.zeros(20).random_(to=9),
    "random_, all 64 bits": lambda m: m.zeros(20).long().random_(-(2**63), None),
    "random_, all 64 bits, floats": lambda m: m.zeros(20).random_(-(2**63), None),
    "random_, all 64 bits, bfloat16": lambda m: m.zeros(20).bfloat16().random_(-(2**63), None),
    "random_, 2^40": lambda m: m.zeros(20).long().random_(5, 2**40),
    "random_, negative": lambda m: m.zeros(20).long().random_(-5, None),
    "geometric_, bytes that overflow": lambda m: m.zeros(20, dtype=m.uint8).geometric_(0.001),
    "uniform_, complex": lambda m: m.zeros(20, dtype=m.complex64).uniform_(-1, 1),
    "normal_, complex": lambda m: m.zeros(20, dtype=m.complex64).normal_(1, 2),
    "normal_, few complex": lambda m: m.zeros(3, dtype=m.complex64).normal_(1, 2),
    "uniform_ of the top": lambda m: m.zeros(100_000, dtype=m.float16).uniform_(0, 1),
    "serial, many": lambda m: m.zeros(200, 100).t().normal_(),
    "rrelu": lambda m: m.rrelu((m.arange(50.0) - 25), training=True),
    "rrelu of bounds": lambda m: m.rrelu((m.arange(50.0) - 25), 0.3, 0.7, training=True),
    "rrelu, double": lambda m: m.rrelu((m.arange(50.0) - 25).double(), 0.3, 0.7, True),
    "rrelu, bfloat16": lambda m: m.rrelu((m.arange(50.0) - 25).bfloat16(), training=True),
    "rrelu, not training": lambda m: m.rrelu(m.arange(50.0) - 25),
    "rrelu_": lambda m: m.rrelu_((m.arange(50.0) - 25), training=True),
}


@each("name", NEW)
@each("seed", [0, 7])
def test_new(name, seed):
    both(NEW[name], seed)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_of_a_dtype(dtype):
    kind = ours(dtype)
    top = min(int(np.iinfo(dtype).max) + 1, 2**63 - 1)
    seed_both(5)
    for span in (2, 100, top):
        equal(tm.randint(0, span, (100,), dtype=kind), torch.randint(0, span, (100,), dtype=INTEGERS[dtype]))


@pytest.mark.filterwarnings("ignore:.*is out of bounds:UserWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_integers_that_a_float_does_not_have(dtype):
    digits = {"float32": 24, "float64": 53, "bfloat16": 8, "float16": 11}[dtype]
    seed_both(6)
    for low, high in (
        (0, 2**digits + 1),
        (2**digits + 1, 2**digits + 9),
        (-(2**digits) - 3, 5),
        (1, 2 ** (digits + 3)),
    ):
        if dtype != "float16" or high < 60000:
            equal(
                tm.zeros(50, dtype=ours(dtype)).random_(low, high),
                torch.zeros(50, dtype=FLOATS[dtype]).random_(low, high),
            )


def test_a_generator_of_its_own():
    mine, theirs = tm.Generator().manual_seed(9), torch.Generator().manual_seed(9)
    seed_both(1)
    for call in (
        lambda m, g: m.rand(5, generator=g),
        lambda m, g: m.randn(50, generator=g),
        lambda m, g: m.randint(9, (5,), generator=g),
        lambda m, g: m.randperm(9, generator=g),
        lambda m, g: m.rand_like(m.ones(5), generator=g),
        lambda m, g: m.randn_like(m.ones(5), generator=g),
        lambda m, g: m.randint_like(m.ones(5), 9, generator=g),
        lambda m, g: m.normal(0, 1, (5,), generator=g),
        lambda m, g: m.normal(m.ones(5), m.ones(5), generator=g),
        lambda m, g: m.bernoulli(m.ones(5) / 2, generator=g),
        lambda m, g: m.multinomial(m.ones(50), 5, generator=g),
        lambda m, g: m.poisson(m.ones(50), generator=g),
        lambda m, g: m.rrelu(-m.ones(5), training=True, generator=g),
        *(
            lambda m, g, name=name: getattr(m.zeros(5), name)(generator=g)
            for name in ("uniform_", "normal_", "random_", "bernoulli_", "exponential_", "cauchy_", "log_normal_")
        ),
        lambda m, g: m.zeros(5).geometric_(0.5, generator=g),
    ):
        equal(call(tm, mine), call(torch, theirs))  # the default generators did not move
        assert np.array(mine.get_state().array).tobytes() == theirs.get_state().numpy().tobytes()
