"""Random programs of mixed draws on both sides: after every call equal bits, and equal states of the generators."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import DTYPES, FLOATS, SEEDS, equal, ours, seed_both
from tests.marks import mostly_long

SHAPES = [(), (0,), (1,), (7,), (15,), (16,), (17,), (31,), (100,), (4, 4), (3, 5), (2, 3, 4), (2, 2, 3, 5), (40, 30)]
VIEWS = [
    lambda t: t,
    lambda t: t.t() if t.ndim == 2 else t,
    lambda t: t.transpose(0, -1) if t.ndim > 1 else t,
    lambda t: t[::2] if t.ndim else t,
    lambda t: t[..., 1:] if t.ndim else t,
]


class Program:
    """One program: the generators it draws from, and the calls, which are the same for both sides."""

    def __init__(self, number: int) -> None:
        self.rng = random.Random(number)
        seed_both(self.rng.choice([*SEEDS, number]))
        self.own = [(tm.Generator(), torch.Generator())]
        for mine, theirs in self.own:
            mine.manual_seed(number), theirs.manual_seed(number)
        self.generators: Any = (None, None)

    def step(self) -> None:
        rng = self.rng
        self.generators = rng.choice(self.own) if rng.random() < 0.2 else (None, None)
        call = rng.choice([self.new, self.new, self.fill, self.fill, self.chosen, self.dropped, self.states])
        call()
        for mine, theirs in self.own:
            assert np.array(mine.get_state().array).tobytes() == theirs.get_state().numpy().tobytes()

    def compare(self, call: Any) -> None:
        mine, theirs = self.generators
        equal(call(tm, mine), call(torch, theirs))

    def dtype(self, names: Any) -> tuple[Any, Any]:
        name = self.rng.choice(list(names))
        return ours(name), DTYPES[name]

    def new(self) -> None:
        rng = self.rng
        name, shape, (mine, theirs) = rng.choice(["rand", "randn"]), rng.choice(SHAPES), self.dtype(FLOATS)
        kind = rng.randrange(4)
        low, high = rng.randrange(-50, 50), rng.choice([60, 2**27, 2**28, 2**40])
        n, spread = rng.randrange(60), rng.uniform(0, 3)

        def call(module: Any, generator: Any) -> Any:
            if kind == 0:
                return module.randint(low, high, shape, generator=generator)
            if kind == 1:
                return module.randperm(n, generator=generator)
            if kind == 2:
                return module.normal(spread, 2.0, shape, generator=generator)
            return getattr(module, name)(shape, generator=generator, dtype=mine if module is tm else theirs)

        self.compare(call)

    def fill(self) -> None:
        rng = self.rng
        shape, view = rng.choice(SHAPES), rng.choice(VIEWS)
        a, b = sorted((rng.uniform(-5, 5), rng.uniform(-5, 5)))
        p = rng.uniform(0.05, 0.95)
        floats = {
            "uniform_": (a, b),
            "normal_": (a, abs(b)),
            "exponential_": (p,),
            "cauchy_": (a, p),
            "log_normal_": (a / 5, p),
            "geometric_": (p,),
            "bernoulli_": (p,),
            "random_": (rng.randrange(1, 200),),
        }
        integers = {"random_": (rng.randrange(1, 100),), "bernoulli_": (p,), "geometric_": (max(p, 0.4),)}
        of_floats = rng.random() < 0.7
        table = floats if of_floats else integers
        mine, theirs = self.dtype(FLOATS if of_floats else ("int64", "int32", "int16", "uint8", "int8"))
        name = rng.choice(list(table))

        def call(module: Any, generator: Any) -> Any:
            whole = module.ones(shape, dtype=mine if module is tm else theirs)
            getattr(view(whole), name)(*table[name], generator=generator)
            return whole

        self.compare(call)

    def chosen(self) -> None:
        rng = self.rng
        kind, replacement, samples = rng.randrange(3), rng.random() < 0.5, rng.randrange(1, 6)
        scores = np.array([[rng.uniform(0.1, 9) for _ in range(7)] for _ in range(rng.randrange(1, 4))], np.float32)

        def call(module: Any, generator: Any) -> Any:
            given = module.tensor(scores)
            if kind == 0:
                return module.multinomial(given, samples, replacement, generator=generator)
            if kind == 1:
                return module.poisson(given * 3, generator=generator)
            return module.bernoulli(given / 10, generator=generator)

        self.compare(call)

    def dropped(self) -> None:
        rng = self.rng
        name = rng.choice(["dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "rrelu"])
        shape, view = rng.choice([s for s in SHAPES if len(s) > 1]), rng.choice(VIEWS[:3])
        p = rng.choice([0, 0.1, 0.5, 0.75, 1])
        train = rng.random() < 0.8
        self.generators = (None, None)

        def call(module: Any, generator: Any) -> Any:
            given = view(module.arange(float(np.prod(shape))).reshape(shape) - 5)
            if name == "rrelu":
                return module.rrelu(given.contiguous(), training=train)
            return getattr(module, name)(given, p, train)

        self.compare(call)

    def states(self) -> None:
        """States are exchanged, or everything begins again."""
        rng = self.rng
        if rng.random() < 0.3:
            seed_both(rng.choice(SEEDS))
        elif rng.random() < 0.5:
            mine, theirs = tm.get_rng_state(), torch.get_rng_state()
            torch.set_rng_state(torch.from_numpy(np.array(mine.array)))
            tm.set_rng_state(tm.tensor(theirs.numpy()))
        else:
            self.own = [(mine.clone_state(), theirs.clone_state()) for mine, theirs in self.own]
            mine, theirs = self.own[0]
            default = tm.get_rng_state()
            mine.set_state(default)
            theirs.set_state(torch.from_numpy(np.array(default.array)))


@pytest.mark.parametrize("block", mostly_long(range(10), lambda block: block < 3))
def test_programs(block):
    for number in range(block * 30, block * 30 + 30):
        program = Program(number)
        for _ in range(20):
            program.step()
