"""Words that are drawn ahead, tables, and permutations by a sort: what makes draws fast changes no number."""

from __future__ import annotations

import random

import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import both, equal, seed_both
from torchish_mlx.random import _normals

CALLS = [
    lambda m, n: m.rand(n),
    lambda m, n: m.randn(n),
    lambda m, n: m.randn(n, dtype=m.float64),
    lambda m, n: m.randn(n, dtype=m.bfloat16),
    lambda m, n: m.randint(0, 1000, (n,)),
    lambda m, n: m.randint(0, 2**40, (n,)),
    lambda m, n: m.randperm(n),
    lambda m, n: m.zeros(n).bernoulli_(0.3),
    lambda m, n: m.zeros(n).normal_(1, 2),
    lambda m, n: m.poisson(m.full((n,), 2.5)),
    lambda m, n: m.poisson(m.linspace(0.0, 40.0, n)),
    lambda m, n: m.nn.functional.dropout(m.ones(n), 0.5),
]
SIZES = (0, 1, 2, 3, 15, 16, 17, 100, 511, 512, 513, 1007, 1008, 1009, 1024, 1025, 4095, 4096, 4097, 40_000)


@pytest.mark.parametrize("seed", range(12))
def test_small_and_large_draws_in_any_order(seed):
    """The state is compared after each call in half of the runs: asking for it puts back what was drawn ahead."""
    choose = random.Random(seed)
    seed_both(seed)
    pairs = []
    for _ in range(60):
        call, n = choose.choice(CALLS), choose.choice(SIZES)
        pairs.append((call(tm, n), call(torch, n)))
        if seed % 2:
            equal(*pairs[-1])
        if choose.random() < 0.05:
            assert tm.default_generator.initial_seed() == torch.initial_seed()
            seed_both(choose.getrandbits(40))
    for mine, theirs in pairs:
        equal(mine, theirs)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("n", [*(_normals._CHUNK + i for i in (-1, 0, 1, 15, 16, 17)), 3 * _normals._CHUNK + 5])
def test_normals_around_the_limits_of_what_is_made_at_a_time(n, dtype):
    both(lambda m: m.randn(n, dtype=getattr(m, dtype)), n)
    both(lambda m: m.zeros(n, dtype=getattr(m, dtype)).normal_(0.3, 1.7), n)


@pytest.mark.parametrize("n", [299, 300, 301, 302, 1000, 65_535, 65_536, 65_537, 200_000])
def test_permutations(n):
    both(lambda m: m.randperm(n), n)
    both(lambda m: m.randperm(n), n + 1)


def test_a_clone_of_words_that_are_drawn_ahead():
    mine = tm.Generator().manual_seed(5)
    tm.randn(20, generator=mine)
    other = mine.clone_state()
    assert tm.rand(50, generator=mine).tolist() == tm.rand(50, generator=other).tolist()
    theirs = torch.Generator().manual_seed(5)
    torch.randn(20, generator=theirs)
    torch.rand(50, generator=theirs)
    assert bytes(mine.get_state().tolist()) == bytes(theirs.get_state().tolist())
