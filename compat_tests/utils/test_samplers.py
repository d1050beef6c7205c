"""Datasets and samplers next to torch: the same indices, the same state of the generator, the same errors."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch

import torchish_mlx

SIDES = (torch, torchish_mlx)


def both(run):
    """What ``run(module)`` gives on both sides: values or an error, warnings, and the state that it leaves."""
    found = []
    for module in SIDES:
        module.manual_seed(3)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value = run(module)
            except Exception as error:
                value = (type(error), str(error))
        found.append((value, [(w.category, str(w.message)) for w in caught], module.get_rng_state().tolist()))
    return found


def data(module):
    return module.utils.data


SAMPLERS = {
    "sequential": lambda m: data(m).SequentialSampler(range(5)),
    "random": lambda m: data(m).RandomSampler(range(50)),
    "random, generator": lambda m: data(m).RandomSampler(range(50), generator=m.Generator().manual_seed(1)),
    "more than once": lambda m: data(m).RandomSampler(range(7), num_samples=30),
    "fewer": lambda m: data(m).RandomSampler(range(70), num_samples=30),
    "replacement": lambda m: data(m).RandomSampler(range(50), True),
    "replacement, 64": lambda m: data(m).RandomSampler(range(50), True, 64),
    "subset": lambda m: data(m).SubsetRandomSampler([3, 1, 7]),
    "weighted": lambda m: data(m).WeightedRandomSampler([0.1, 0.9, 0.4, 3, 0.6], 20),
    "weighted, without": lambda m: data(m).WeightedRandomSampler([0.1, 0.9, 0.4, 3, 0.6], 4, replacement=False),
    "weights of a tensor": lambda m: data(m).WeightedRandomSampler(m.tensor([1.0, 2.0]), 3),
    "batch": lambda m: data(m).BatchSampler(range(10), 3, False),
    "batch, dropped": lambda m: data(m).BatchSampler(range(10), 3, True),
    "batch of random": lambda m: data(m).BatchSampler(data(m).RandomSampler(range(10)), 4, False),
    "distributed": lambda m: data(m).DistributedSampler(range(10), 3, 1),
    "distributed, in order": lambda m: data(m).DistributedSampler(range(10), 3, 2, shuffle=False),
    "distributed, dropped": lambda m: data(m).DistributedSampler(range(11), 3, 0, seed=5, drop_last=True),
    "distributed, short": lambda m: data(m).DistributedSampler(range(2), 7, 6),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name):
    def run(module):
        sampler = SAMPLERS[name](module)
        epochs = [list(sampler), list(sampler)]
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(4)
        generator = getattr(sampler, "generator", None)
        state = None if generator is None else generator.get_state().tolist()
        return epochs, list(sampler), len(sampler), state

    theirs, ours = both(run)
    assert ours == theirs
    assert isinstance(ours[0][2], int)  # no error


def test_a_sampler_that_stops_early_leaves_the_generator_as_torchs():
    def run(module):
        generator = module.Generator().manual_seed(1)
        iterator = iter(data(module).RandomSampler(range(9), generator=generator))
        return [next(iterator) for _ in range(9)], generator.get_state().tolist()

    theirs, ours = both(run)
    assert ours == theirs


REFUSED = {
    "replacement": lambda m: data(m).RandomSampler([1], replacement=1),
    "no samples": lambda m: data(m).RandomSampler([]),
    "0 samples": lambda m: data(m).RandomSampler([1], num_samples=0),
    "half a sample": lambda m: data(m).RandomSampler([1], num_samples=0.5),
    "batch of 0": lambda m: data(m).BatchSampler([1], 0, False),
    "batch of True": lambda m: data(m).BatchSampler([1], True, False),
    "drop_last": lambda m: data(m).BatchSampler([1], 1, None),
    "weighted": lambda m: data(m).WeightedRandomSampler([1.0], True),
    "weighted, replacement": lambda m: data(m).WeightedRandomSampler([1.0], 1, 1),
    "weights of two dimensions": lambda m: data(m).WeightedRandomSampler([[1.0]], 1),
    "too many without replacement": lambda m: list(data(m).WeightedRandomSampler([1.0], 2, False)),
    "rank": lambda m: data(m).DistributedSampler([1], 2, 2),
    "sizes": lambda m: data(m).TensorDataset(m.ones(2), m.ones(3)),
    "stack of none": lambda m: data(m).StackDataset(),
    "stack of both": lambda m: data(m).StackDataset([1], a=[1]),
    "stack of sizes": lambda m: data(m).StackDataset([1], [1, 2]),
    "concatenation of none": lambda m: data(m).ConcatDataset([]),
    "concatenation of a stream": lambda m: data(m).ConcatDataset([data(m).ChainDataset([])]),
    "concatenation, outside": lambda m: data(m).ConcatDataset([[1, 2]])[-3],
    "chain": lambda m: list(data(m).ChainDataset([[1]])),
    "length of a chain": lambda m: len(data(m).ChainDataset([[1]])),
    "split": lambda m: data(m).random_split(range(5), [3, 3]),
    "fractions": lambda m: data(m).random_split(range(5), [1.5, -0.5]),
    "dataset": lambda m: data(m).Dataset()[0],
    "sampler": lambda m: list(data(m).Sampler()),
    "nested sizes": lambda m: data(m).StackDataset(Short())[[0]] and data(m).StackDataset(Short()).__getitems__([0, 1]),
}


class Short:
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return i

    def __getitems__(self, indices):
        return [0]


@pytest.mark.parametrize("name", REFUSED)
def test_errors(name):
    theirs, ours = both(REFUSED[name])
    assert theirs[0][0] in (TypeError, ValueError, RuntimeError, AssertionError, NotImplementedError)
    assert ours == theirs


def test_a_subset_without_getitems():
    for module in SIDES:
        kind = type("Mine", (data(module).Subset,), {"__getitem__": lambda self, i: 0})
        with pytest.raises(NotImplementedError, match="Mine overrides __getitem__ but not __getitems__"):
            kind([1], [0])


SPLITS = [[3, 7], [0.3, 0.3, 0.4], [0.5, 0.5], [10, 0], [0.99, 0.01], [1.0]]


@pytest.mark.parametrize("lengths", SPLITS)
def test_random_split(lengths):
    def run(module):
        given = data(module).random_split(range(10), lengths, generator=module.Generator().manual_seed(42))
        usual = data(module).random_split(range(10), lengths)
        return [list(part) for part in given + usual]

    theirs, ours = both(run)
    assert ours == theirs
    assert sorted(i for part in ours[0][: len(lengths)] for i in part) == list(range(10))


def test_datasets():
    def run(module):
        x = module.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        rows = data(module).TensorDataset(x, module.tensor([0, 1, 2]))
        subset = data(module).Subset(rows, [2, 0])
        joined = rows + subset
        named = data(module).StackDataset(a=rows, b="xyz")
        plain = data(module).StackDataset(subset, "xy")
        values = [rows[1], rows[-1], rows[[0, 2]], subset[1], subset[[0, 1]], joined[3], joined[-1], named[1], plain[0]]
        many = [subset.__getitems__([1, 0]), named.__getitems__([2, 0]), plain.__getitems__([1])]
        sizes = [len(rows), len(subset), len(joined), len(named), len(plain), joined.cumulative_sizes]
        return plainly([values, many]), sizes, joined.cummulative_sizes

    theirs, ours = both(run)
    assert ours == theirs
    assert ours[1]  # the warning of the old spelling


def plainly(value):
    """Tensors as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plainly(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plainly(each) for each in value)
    return value


def test_streams():
    def run(module):
        class Stream(data(module).IterableDataset):
            def __iter__(self):
                return iter([1, 2])

            def __len__(self):
                return 2

        both = Stream() + Stream()
        return list(both), len(both), type(both).__name__

    theirs, ours = both(run)
    assert ours == theirs


def test_pythons_generators_are_not_touched():
    random.seed(0)
    np.random.seed(0)
    before = random.getstate(), np.random.get_state()[1].tolist()
    list(torchish_mlx.utils.data.RandomSampler(range(10)))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
