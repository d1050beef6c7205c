"""``DataLoader`` next to torch: batches, seeds of workers, states of generators, lengths, warnings and errors."""

from __future__ import annotations

import random
import re
import warnings

import numpy as np
import pytest
import torch

import torchish_mlx
from tests.marks import mostly_long

SIDES = (torch, torchish_mlx)


def plainly(value):
    """Tensors as lists."""
    if isinstance(value, (torch.Tensor, torchish_mlx.Tensor)):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plainly(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plainly(each) for each in value)
    return value


def compared(run, same=True):
    """What ``run(module)`` gives for each side, with its warnings, errors and the state that it leaves."""
    found = []
    for module in SIDES:
        module.manual_seed(11)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value = plainly(run(module))
            except Exception as error:
                value = type(error), str(error)
        found.append((value, [str(w.message) for w in caught], module.get_rng_state().tolist()))
    if same:
        assert found[1] == found[0]
    return found[1]


class Squares:
    """Map-style, without a base class."""

    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return {"square": i * i, "name": str(i)}


class Together(Squares):
    def __getitems__(self, indices):
        return [self[i] for i in reversed(indices)]


def stream(module, n=7, length=None):
    """An ``IterableDataset`` that gives each worker its part."""

    class Stream(module.utils.data.IterableDataset):
        def __iter__(self):
            info = module.utils.data.get_worker_info()
            first, step = (0, 1) if info is None else (info.id, info.num_workers)
            return iter(range(first, n, step))

        def __repr__(self):
            return "Stream()"

    if length is not None:
        Stream.__len__ = lambda self: length
    return Stream()


def rows(module, n=20):
    return module.utils.data.TensorDataset(module.arange(2 * n).reshape(n, 2), module.arange(n))


def two(batch):
    return [len(batch), batch]


class EveryOther:
    """A sampler that draws when its iterator is made."""

    def __init__(self, module):
        self.module = module

    def __iter__(self):
        return iter(self.module.randperm(6).tolist())

    def __len__(self):
        return 6


LOADERS = {
    "plain": lambda m, **k: m.utils.data.DataLoader(Squares(), **k),
    "batches": lambda m, **k: m.utils.data.DataLoader(Squares(), 4, **k),
    "dropped": lambda m, **k: m.utils.data.DataLoader(Squares(), 4, drop_last=True, **k),
    "shuffled": lambda m, **k: m.utils.data.DataLoader(Squares(), 4, shuffle=True, **k),
    "shuffled, generator": lambda m, **k: m.utils.data.DataLoader(
        Squares(), 4, True, generator=m.Generator().manual_seed(5), **k
    ),
    "sampler": lambda m, **k: m.utils.data.DataLoader(Squares(), 4, sampler=[3, 1, 2, 3, 0], **k),
    "own sampler": lambda m, **k: m.utils.data.DataLoader(Squares(), 4, sampler=EveryOther(m), **k),
    "batch sampler": lambda m, **k: m.utils.data.DataLoader(Squares(), batch_sampler=[[1, 2], [3]], **k),
    "no batches": lambda m, **k: m.utils.data.DataLoader(Squares(), batch_size=None, **k),
    "no batches of arrays": lambda m, **k: m.utils.data.DataLoader(np.arange(6).reshape(3, 2), batch_size=None, **k),
    "collate_fn": lambda m, **k: m.utils.data.DataLoader(Squares(), 4, collate_fn=two, **k),
    "getitems": lambda m, **k: m.utils.data.DataLoader(Together(), 4, **k),
    "rows": lambda m, **k: m.utils.data.DataLoader(rows(m), 6, True, **k),
    "rows of a subset": lambda m, **k: m.utils.data.DataLoader(m.utils.data.Subset(rows(m), [-1, 4, 2]), 2, **k),
    "rows of parts": lambda m, **k: m.utils.data.DataLoader(m.utils.data.random_split(rows(m), [0.5, 0.5])[1], 4, **k),
    "rows of both": lambda m, **k: m.utils.data.DataLoader(rows(m, 3) + rows(m, 4), 3, True, **k),
    "stream": lambda m, **k: m.utils.data.DataLoader(stream(m), 2, **k),
    "stream, dropped": lambda m, **k: m.utils.data.DataLoader(stream(m), 2, drop_last=True, **k),
    "stream without batches": lambda m, **k: m.utils.data.DataLoader(stream(m), batch_size=None, **k),
    "stream with a length": lambda m, **k: m.utils.data.DataLoader(stream(m, 7, 7), 2, **k),
    "stream of shuffle": lambda m, **k: m.utils.data.DataLoader(stream(m), 2, shuffle=False, **k),
    "empty": lambda m, **k: m.utils.data.DataLoader([], 2, **k),
    "weights": lambda m, **k: m.utils.data.DataLoader(
        Squares(), 3, sampler=m.utils.data.WeightedRandomSampler([1.0, 2.0, 3.0], 7), **k
    ),
}
WAYS = {
    "0": {},
    "2": {"num_workers": 2},
    "2, persistent": {"num_workers": 2, "persistent_workers": True},
    "1, ahead": {"num_workers": 1, "prefetch_factor": 4},
}

#: Those that all ways are tried with.
MOST = ("shuffled, generator", "own sampler", "stream", "rows")


def three_epochs(loader):
    try:
        length = len(loader)
    except TypeError as error:
        length = str(error)
    epochs = [list(loader) for _ in range(3)]
    state = None if loader.generator is None else loader.generator.get_state().tolist()
    return epochs, length, loader.batch_size, loader.drop_last, state


CASES = [(name, way) for way in WAYS for name in (LOADERS if way in ("0", "2") else MOST)]


@pytest.mark.parametrize(("name", "way"), mostly_long(CASES, lambda name, way: way == "0"))
def test_batches(name, way):
    value, _, _ = compared(lambda module: three_epochs(LOADERS[name](module, **WAYS[way])))
    assert len(value) == 5  # no error


class Drawn:
    """Samples are random numbers, and what the worker says of itself."""

    def __init__(self, module):
        self.module = module

    def __len__(self):
        return 6

    def __getitem__(self, i):
        info = self.module.utils.data.get_worker_info()
        drawn = [self.module.rand(2).tolist(), random.random(), np.random.rand(), random.randrange(100)]
        return [i, *drawn, info.id, info.num_workers, info.seed, info.dataset is self]


@pytest.mark.parametrize("persistent", [False, True])
def test_seeds_of_workers(persistent):
    def run(module):
        generator = module.Generator().manual_seed(2)
        loader = module.utils.data.DataLoader(
            Drawn(module),
            2,
            num_workers=2,
            collate_fn=list,
            generator=generator,
            persistent_workers=persistent,
            worker_init_fn=lambda i: module.rand(i + 1),
        )
        return [list(loader), list(loader)], generator.get_state().tolist()

    value, _, _ = compared(run)
    assert len(value[0]) == 2


def test_left_early():
    """An epoch that ends by ``break`` leaves the state of torch's, and the next one begins at its first batch."""

    def run(module):
        found = []
        for kind in ({}, {"num_workers": 1}, {"num_workers": 2, "persistent_workers": True}):
            loader = module.utils.data.DataLoader(Squares(30), 3, shuffle=True, **kind)
            for batch in loader:
                found.append(batch)
                break
            found.append(list(loader))
        return found

    compared(run)


REFUSED = {
    "workers": lambda m: m.utils.data.DataLoader([1], num_workers=-1),
    "timeout": lambda m: m.utils.data.DataLoader([1], timeout=-1),
    "timeout without workers": lambda m: list(m.utils.data.DataLoader([1], timeout=1)),
    "prefetch without workers": lambda m: m.utils.data.DataLoader([1], prefetch_factor=2),
    "prefetch below 0": lambda m: m.utils.data.DataLoader([1], num_workers=1, prefetch_factor=-1),
    "prefetch 0": lambda m: list(m.utils.data.DataLoader([1], num_workers=1, prefetch_factor=0)),
    "persistent without workers": lambda m: m.utils.data.DataLoader([1], persistent_workers=True),
    "shuffle of a stream": lambda m: m.utils.data.DataLoader(stream(m), shuffle=True),
    "sampler of a stream": lambda m: m.utils.data.DataLoader(stream(m), sampler=[1]),
    "batch sampler of a stream": lambda m: m.utils.data.DataLoader(stream(m), batch_sampler=[[1]]),
    "sampler and shuffle": lambda m: m.utils.data.DataLoader([1], shuffle=True, sampler=[0]),
    "batch sampler and size": lambda m: m.utils.data.DataLoader([1], 2, batch_sampler=[[0]]),
    "batch sampler and sampler": lambda m: m.utils.data.DataLoader([1], sampler=[0], batch_sampler=[[0]]),
    "batch sampler and drop_last": lambda m: m.utils.data.DataLoader([1], drop_last=True, batch_sampler=[[0]]),
    "no size and drop_last": lambda m: m.utils.data.DataLoader([1], None, drop_last=True),
    "size 0": lambda m: m.utils.data.DataLoader([1], 0),
    "context without workers": lambda m: m.utils.data.DataLoader([1], multiprocessing_context="fork"),
    "no such context": lambda m: m.utils.data.DataLoader([1], num_workers=1, multiprocessing_context="thread"),
    "no context": lambda m: m.utils.data.DataLoader([1], num_workers=1, multiprocessing_context=3),
    "shuffle of nothing": lambda m: m.utils.data.DataLoader([], shuffle=True),
    "set batch_size": lambda m: setattr(m.utils.data.DataLoader([1]), "batch_size", 2),
    "set dataset": lambda m: setattr(m.utils.data.DataLoader([1]), "dataset", 2),
    "pickled iterator": lambda m: iter(m.utils.data.DataLoader([1])).__getstate__(),
    "index outside": lambda m: list(m.utils.data.DataLoader(rows(m), sampler=[30])),
    "length of a stream": lambda m: len(m.utils.data.DataLoader(stream(m))),
}


@pytest.mark.filterwarnings("ignore:Exception ignored in")  # torch's __del__ after prefetch_factor=0
@pytest.mark.parametrize("name", REFUSED)
def test_errors(name):
    ours = compared(REFUSED[name], same=False)
    theirs = compared(lambda _: REFUSED[name](torch), same=False)
    assert ours[0][0] is theirs[0][0]
    if name != "length of a stream":  # whose local class has the module's name in it
        assert re.sub(r" at 0x\w+", "", ours[0][1]) == re.sub(r" at 0x\w+", "", theirs[0][1])
    assert isinstance(ours[0][0], type)


def test_other_attributes_can_be_set():
    def run(module):
        loader = module.utils.data.DataLoader([1, 2])
        loader.collate_fn = list
        loader.num_workers = 0
        return list(loader)

    assert compared(run)[0] == [[1], [2]]


def test_more_workers_than_cpus():
    compared(lambda module: module.utils.data.DataLoader([1], num_workers=10_000) and None)


def test_pinned():
    class Custom:
        def pin_memory(self):
            return "pinned"

    torchs = torchish_mlx
    loader = torchs.utils.data.DataLoader([1, 2], 2, collate_fn=lambda b: [torchs.tensor(b), Custom()], pin_memory=True)
    ((batch, custom),) = loader
    assert (batch.tolist(), custom) == ([1, 2], "pinned")
    loader = torchs.utils.data.DataLoader([1], pin_memory=True, pin_memory_device="mps")
    with pytest.warns(UserWarning, match="pin_memory_device is deprecated"):
        list(loader)


def test_a_stream_that_is_longer_than_it_says():
    def run(module):
        loader = module.utils.data.DataLoader(stream(module, 7, 3), batch_size=None)
        return len(loader), list(loader)

    _, said, _ = compared(run)
    assert len(said) == 4


class Bad(Exception):
    """An exception that can't be made of a message alone."""

    def __init__(self, a, b):
        super().__init__(a, b)


class Failing:
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if i == 2:
            raise self.error
        return i


@pytest.mark.long  # torch takes ten seconds to end its workers
@pytest.mark.parametrize("error", [ValueError("no"), KeyError("key"), Bad(1, 2), StopIteration()], ids=repr)
def test_an_error_in_a_worker(error):
    def run(module):
        found = []
        iterator = iter(module.utils.data.DataLoader(Failing(error), num_workers=2))
        for _ in range(4):
            try:
                found.append(next(iterator).tolist())
            except Exception as raised:
                text = str(raised)
                found.append((type(raised), text.splitlines()[:2], text.splitlines()[-1]))
        return found

    value, _, _ = compared(run)
    assert value[2][1][0].startswith("Caught")


def test_an_error_of_the_worker_init_fn():
    def fail(i):
        raise ValueError("not today")

    def run(module):
        with pytest.raises(
            ValueError, match=r"^Caught ValueError in DataLoader worker process 0\.\nOriginal"
        ) as raised:
            list(module.utils.data.DataLoader([1], num_workers=1, worker_init_fn=fail))
        return str(raised.value).splitlines()[-1]

    assert compared(run)[0] == "ValueError: not today"
