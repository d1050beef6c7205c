"""Seeds, states and generators: exchanged with torch both ways."""

from __future__ import annotations

import copy
import itertools
import pickle
import threading

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.random_pair import SEEDS, equal, seed_both, states


def mine_of(state: torch.Tensor) -> tm.Tensor:
    return tm.tensor(state.numpy())


def theirs_of(state: tm.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(state.array))


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds(seed):
    seed_both(seed)
    assert tm.initial_seed() == torch.initial_seed() == tm.default_generator.initial_seed()
    equal(tm.rand(700), torch.rand(700))
    mine, theirs = tm.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    assert mine.initial_seed() == theirs.initial_seed()
    equal(tm.randn(7, generator=mine), torch.randn(7, generator=theirs))


def test_manual_seed_takes_what_torchs_takes():
    assert tm.manual_seed(3) is tm.default_generator
    assert torch.manual_seed(3) is torch.default_generator
    for mine, theirs in ((1.5, 1.5), (tm.tensor(3), torch.tensor(3)), (np.int64(4), np.int64(4)), ("7", "7")):
        assert tm.manual_seed(mine).initial_seed() == torch.manual_seed(theirs).initial_seed()


def test_a_generator_of_the_default_seed():
    assert tm.Generator().initial_seed() == torch.Generator().initial_seed() == 67280421310721
    seed_both(0)
    equal(tm.rand(3, generator=tm.Generator()), torch.rand(3, generator=torch.Generator()))


def test_seed_draws_a_seed():
    first, second = tm.seed(), tm.seed()
    assert first != second
    assert 0 <= second < 2**64
    assert tm.initial_seed() == second
    torch.manual_seed(second)
    equal(tm.rand(3), torch.rand(3))
    g = tm.Generator()
    assert g.seed() == g.initial_seed() != 67280421310721


@pytest.mark.parametrize("words", [0, 1, 2, 623, 624, 625, 1248, 1249])
def test_states_after_some_words(words):
    seed_both(4)
    equal(tm.rand(words), torch.rand(words))
    torch.set_rng_state(theirs_of(tm.get_rng_state()))
    tm.set_rng_state(mine_of(torch.get_rng_state()))
    equal(tm.rand(700), torch.rand(700))


def test_states_are_exchanged_both_ways():
    tm.manual_seed(11)
    tm.randn(5), tm.rand(1000)
    state = tm.get_rng_state()
    assert (state.dtype, state.shape) == (mx.uint8, (5056,))
    torch.set_rng_state(theirs_of(state))
    equal(tm.randn(6), torch.randn(6))
    torch.randn(7)
    tm.set_rng_state(mine_of(torch.get_rng_state()))
    equal(tm.randn(6), torch.randn(6))
    own = torch.Generator()
    own.set_state(theirs_of(tm.default_generator.get_state()))
    assert tm.randperm(30).tolist() == torch.randperm(30, generator=own).tolist()


def test_a_kept_normal_survives_what_torchs_survives():
    seed_both(5)
    equal(tm.randn(3), torch.randn(3))
    equal(tm.randn(40), torch.randn(40))  # of blocks
    equal(tm.rand(3), torch.rand(3))
    equal(tm.zeros(3).log_normal_(), torch.zeros(3).log_normal_())
    equal(tm.randn(2), torch.randn(2))
    seed_both(5)
    equal(tm.randn(3), torch.randn(3))
    seed_both(5)  # drops it
    equal(tm.randn(3), torch.randn(3))


def test_refused_states_change_nothing():
    seed_both(6)
    tm.randn(3), torch.randn(3)
    good = torch.get_rng_state()
    zeros, short, floats = torch.zeros(5056, dtype=torch.uint8), good[:5048], torch.zeros(5056)
    for bad in (zeros, short, floats, [1]):
        with pytest.raises((RuntimeError, TypeError)) as theirs:
            torch.set_rng_state(bad)
        with pytest.raises(theirs.type) as mine:
            tm.set_rng_state(bad if isinstance(bad, list) else tm.tensor(bad.numpy()))
        assert str(mine.value) == str(theirs.value)
    inconsistent = good.clone()
    inconsistent[8:12] = torch.tensor([1, 1, 0, 0])  # left = 257, which the next word contradicts
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        tm.set_rng_state(tm.tensor(inconsistent.numpy()))
    assert states()[0] == states()[1]


def test_refused_seeds():
    for bad in (2**64, -(2**63) - 1, "a"):
        for seed in (lambda m, bad=bad: m.manual_seed(bad), lambda m, bad=bad: m.Generator().manual_seed(bad)):
            with pytest.raises((RuntimeError, ValueError)) as theirs:
                seed(torch)
            with pytest.raises(theirs.type) as mine:
                seed(tm)
            assert str(mine.value) == str(theirs.value)
    for bad in (1.5, True):
        with pytest.raises(RuntimeError) as theirs:
            torch.Generator().manual_seed(bad)
        with pytest.raises(RuntimeError) as mine:
            tm.Generator().manual_seed(bad)
        assert str(mine.value) == str(theirs.value)


def test_clones():
    g = tm.Generator().manual_seed(2)
    tm.randn(3, generator=g)
    theirs = torch.Generator().manual_seed(2)
    torch.randn(3, generator=theirs)
    for other in (g.clone_state(), pickle.loads(pickle.dumps(g)), copy.deepcopy(g)):
        assert other is not g
        assert np.array(other.get_state().array).tobytes() == theirs.get_state().numpy().tobytes()
        assert tm.randn(4, generator=other).tolist() == torch.randn(4, generator=theirs.clone_state()).tolist()
    assert np.array(g.get_state().array).tobytes() == theirs.get_state().numpy().tobytes()  # it did not move


def test_what_a_generator_says():
    assert tm.Generator().device == tm.Generator("cpu").device == tm.device("cpu")
    assert repr(tm.Generator()).startswith("<torchish_mlx.Generator object at 0x")
    assert repr(torch.Generator()).startswith("<torch._C.Generator object at 0x")
    assert tm.Generator("mps").manual_seed(0).device.type == "mps"  # the numbers are those of the CPU
    seed_both(0)
    assert tm.rand(3, generator=tm.Generator("mps").manual_seed(0)).tolist() == tm.rand(3).tolist()
    with pytest.raises(RuntimeError, match="'cpu' and 'mps'"):
        tm.Generator("cuda")


def test_fork_rng():
    seed_both(7)
    with tm.random.fork_rng(), torch.random.fork_rng():
        equal(tm.rand(99), torch.rand(99))
    equal(tm.rand(3), torch.rand(3))
    with tm.random.fork_rng(enabled=False), torch.random.fork_rng(enabled=False):
        equal(tm.rand(99), torch.rand(99))
    equal(tm.rand(3), torch.rand(3))
    before = states()[0]
    with pytest.raises(RuntimeError, match="negative"), tm.random.fork_rng(devices=[]):
        tm.rand(int(tm.rand(3).sum() * 0) - 1)
    assert states()[0] == before
    for bad in ({"devices": [0]}, {"device_type": "cuda"}):
        with pytest.raises(RuntimeError, match="one generator"), tm.random.fork_rng(**bad):
            pass


def test_names():
    theirs = set(torch.random.__all__) - {"thread_safe_generator"}
    assert theirs <= set(tm.random.__all__)
    assert tm.random.default_generator is tm.default_generator
    assert tm.random.manual_seed is tm.manual_seed


def test_threads_share_a_generator():
    """Each of the words goes to one thread."""
    g = tm.Generator().manual_seed(3)
    found: list[list[float]] = [[] for _ in range(4)]

    def draw(into: list[float]) -> None:
        for _ in range(200):
            into += tm.rand(5, generator=g).tolist()

    threads = [threading.Thread(target=draw, args=(into,)) for into in found]
    [t.start() for t in threads]
    [t.join() for t in threads]
    wanted = torch.rand(4000, generator=torch.Generator().manual_seed(3)).tolist()
    assert sorted(itertools.chain(*found)) == sorted(wanted)
