"""Draws that are repeated, and draws of sizes around the limits of what is made at a time: no number changes."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import both, equal, same_numbers, same_state, seed_both
from torchish_mlx.random import _counts, _draws

SIZES = (16, 17, 31, 100, 112, 511, 1000, 1008, 1009, 1023, 1024, 1025)


@pytest.mark.parametrize("n", SIZES)
def test_normals_again_and_again(n):
    """So often that what is drawn ahead ends many times. To ask for the state puts back what was drawn ahead."""
    seed_both(n)
    for i in range(150_000 // n):
        same_numbers(tm.randn(n), torch.randn(n))
        if i % 500 == 499:
            same_state()
    same_state()


OTHERS = [
    lambda m: m.rand(1),
    lambda m: m.rand(1500),
    lambda m: m.randn(7),
    lambda m: m.zeros(100, dtype=m.bfloat16).normal_(),
    lambda m: m.zeros(100, dtype=m.float64).normal_(),
    lambda m: m.poisson(m.full((3,), 4.0)),
    lambda m: m.zeros(3, 40).t().normal_(),
    lambda m: m.randint(0, 2**40, (5,)),
]


@pytest.mark.parametrize("seed", range(8))
def test_repeated_and_interrupted_normals(seed):
    choose = random.Random(seed)
    seed_both(seed)
    for _ in range(100):
        n, times = choose.choice(SIZES), choose.choice((1, 2, 3, 40))
        mean, std = choose.choice(((0, 1), (0, 0.02), (3, 2), (0, 0), (0, 1e-30), (-1e20, 1e31)))
        for _ in range(times):
            same_numbers(tm.zeros(n).normal_(mean, std), torch.zeros(n).normal_(mean, std))
        if choose.random() < 0.5:
            other = choose.choice(OTHERS)
            same_numbers(other(tm), other(torch))
        if choose.random() < 0.1:
            same_state()
    same_state()


def test_a_clone_goes_on_where_normals_are_repeated():
    mine, theirs = tm.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    for _ in range(200):
        same_numbers(tm.randn(100, generator=mine), torch.randn(100, generator=theirs))
    other = mine.clone_state()
    for _ in range(300):
        expected = torch.randn(100, generator=theirs)
        same_numbers(tm.randn(100, generator=mine), expected)
        same_numbers(tm.randn(100, generator=other), expected)


FILLS = [
    ("uniform_", (), "float32"),
    ("uniform_", (-0.1, 0.3), "float32"),
    ("uniform_", (-0.1, 0.3), "bfloat16"),
    ("uniform_", (-0.1, 0.3), "float16"),
    ("uniform_", (-0.1, 0.3), "float64"),
    ("random_", (), "float32"),
    ("random_", (-5, 2**40), "int64"),
    ("random_", (-5, 90), "int64"),
    ("random_", (-5, 90), "int8"),
    ("random_", (-(2**63), None), "int64"),
    ("bernoulli_", (0.3,), "float32"),
    ("bernoulli_", (0.3,), "bool"),
    ("exponential_", (2.0,), "float32"),
    ("geometric_", (0.3,), "int64"),
    ("cauchy_", (1.0, 2.0), "float32"),
]


@pytest.mark.parametrize(("name", "args", "dtype"), FILLS)
def test_sizes_around_the_limits(name, args, dtype):
    for limit in (512, 1024, 4096, _draws._CHUNK, 2 * _draws._CHUNK):
        for n in (limit - 1, limit, limit + 1):
            both(lambda m, n=n: getattr(m.zeros(n, dtype=getattr(m, dtype)), name)(*args), n)


@pytest.mark.parametrize(
    "bounds", [(0, 1), (-1, 1), (1, 1), (0.25, 0.25 + 2**-25), (1e30, 3e38), (-3e38, 3e37), (1, 2)]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_uniform_numbers_that_may_be_rounded_to_the_end(bounds, dtype):
    for n in (40, 1000, 20_000):
        both(lambda m, n=n: m.zeros(n, dtype=getattr(m, dtype)).uniform_(*bounds), n)


@pytest.mark.parametrize("n", [_draws._SORTED + i for i in (-1, 0, 1, 2, 5000)] + [400_000])
def test_permutations_by_blocks(n):
    both(lambda m: m.randperm(n), n)


def test_permutations_by_blocks_of_few(monkeypatch):
    monkeypatch.setattr(_draws, "_SORTED", 301)
    for seed in range(30):
        both(lambda m, seed=seed: m.randperm(302 + 61 * seed), seed)


@pytest.mark.parametrize("rate", [1e-20, 0.01, 0.7, 3.0, 9.99, 10.0, 10.5, 30.0, 1000.0, 1e6])
def test_poisson_numbers_of_one_rate(rate):
    limits = _counts._SEVERAL, _counts._MANY
    for n in (1, *(limit + i for limit in limits for i in (-1, 0, 1)), 20_000):
        both(lambda m, n=n: m.poisson(m.full((n,), rate)), n)


def test_poisson_numbers_of_several_rates():
    for most in (2.0, 20.0, 500.0):
        both(lambda m, most=most: m.poisson(m.linspace(0.0, most, 5000)), int(most))


def test_threads_with_generators_of_their_own():
    def draw(module, seed):
        source = module.Generator().manual_seed(seed)
        made = []
        for i in range(60):
            made += [module.randn(100, generator=source), module.zeros(5000).normal_(1, 2, generator=source)]
            made += [module.rand(17, generator=source), module.randn(100, generator=source)]
            if i % 10 == 0:
                made.append(module.randn(40_000, generator=source))
        return made, source.get_state()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: draw(tm, seed), range(8)))
    for seed, (mine, state) in enumerate(found):
        theirs, their_state = draw(torch, seed)
        for a, b in zip(mine, theirs, strict=True):
            same_numbers(a, b)
        assert state.tolist() == their_state.tolist()


def test_threads_share_a_generator():
    """Which of them has which numbers is left open, but all are there, once."""
    source, n = tm.Generator().manual_seed(1), 200
    with ThreadPoolExecutor(4) as pool:
        mine = list(pool.map(lambda _: tuple(tm.randn(100, generator=source).tolist()), range(n)))
    theirs = torch.Generator().manual_seed(1)
    assert sorted(mine) == sorted(tuple(torch.randn(100, generator=theirs).tolist()) for _ in range(n))
    assert source.get_state().tolist() == theirs.get_state().tolist()


def test_what_was_drawn_does_not_change_later():
    """Small draws are parts of tables, which a Tensor must not share."""
    seed_both(0)
    calls = [lambda m: m.rand(50), lambda m: m.randn(100), lambda m: m.zeros(60).bernoulli_(0.5)]
    pairs = [(call(tm), call(torch)) for _ in range(50) for call in calls]
    for mine, _ in pairs[::2]:
        mine.add_(1)
    for i, (mine, theirs) in enumerate(pairs):
        same_numbers(mine, theirs + 1 if i % 2 == 0 else theirs)
    equal(tm.rand(50), torch.rand(50))
