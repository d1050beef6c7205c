"""Samplers: in which order a ``DataLoader`` takes samples. What is random are torch's numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import mlx.core as mx

from ..._core.dtypes import float64
from ..._tensor.tensor import Tensor
from ...ops.creation import as_tensor
from ...ops.drawing import multinomial, randint, randperm
from ...random._draws import any_of
from ...random.generator import Generator, chosen

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)
#: How many numbers torch draws at a time with replacement.
BLOCK = 32


def drawn_seed(generator: Generator | None) -> int:
    """A seed from a generator, or from the default one: an integer from 0 up to 2^63."""
    return int(chosen("random_", generator).draw(any_of, 1, mx.int64)[0])


class Sampler(Generic[T_co]):
    """The order of samples: a subclass has ``__iter__``, which gives indices, or lists of indices; and ``__len__``.

    Source: ``torch.utils.data.Sampler``.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """All indices in their order.

    Source: ``torch.utils.data.SequentialSampler``.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    data_source: Sized

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in random order, or drawn with replacement.

    Args:
        data_source: what has a length.
        replacement: whether an index may come more than once.
        num_samples: how many indices there are; the length of ``data_source`` unless said otherwise. Without
            replacement, each index comes once before one comes a second time.
        generator: where the numbers come from. Without one, each iterator draws the seed of a new one from the
            default generator.

    Raises:
        TypeError: ``replacement`` is no bool.
        ValueError: ``num_samples`` is not positive.

    Source: ``torch.utils.data.RandomSampler``.

    >>> import torchish_mlx as torch
    >>> list(RandomSampler("abcde", generator=torch.Generator().manual_seed(0)))
    [4, 0, 1, 3, 2]
    """

    data_source: Sized
    replacement: bool

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self) -> int:
        """How many indices an iterator gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, generator = len(self.data_source), self.generator
        if generator is None:
            generator = Generator().manual_seed(drawn_seed(None))
        if self.replacement:
            full, rest = divmod(self.num_samples, BLOCK)
            for size in [BLOCK] * full + [rest]:
                yield from randint(n, (size,), generator=generator).tolist()
        else:
            full, rest = divmod(self.num_samples, n)
            for _ in range(full):
                yield from randperm(n, generator=generator).tolist()
            # torch draws this permutation even where none of it is used, which the generator's state shows
            yield from randperm(n, generator=generator).tolist()[:rest]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order.

    Source: ``torch.utils.data.SubsetRandomSampler``.

    >>> import torchish_mlx as torch
    >>> list(SubsetRandomSampler([10, 20, 30], generator=torch.Generator().manual_seed(0)))
    [30, 10, 20]
    """

    indices: Sequence[int]

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices that are drawn in proportion to ``weights``.

    Args:
        weights: a number for each index, which need not sum up to 1.
        num_samples: how many indices are drawn.
        replacement: whether an index may come more than once.
        generator: where the numbers come from.

    Raises:
        ValueError: ``num_samples`` is no positive integer, ``replacement`` is no bool, or ``weights`` have more
            dimensions than one.

    Source: ``torch.utils.data.WeightedRandomSampler``.

    >>> import torchish_mlx as torch
    >>> list(WeightedRandomSampler([1.0, 0.0, 2.0], 6, generator=torch.Generator().manual_seed(3)))
    [0, 0, 2, 0, 2, 2]
    """

    weights: Tensor
    num_samples: int
    replacement: bool

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        with mx.stream(mx.cpu):  # a GPU has no float64
            self.weights = as_tensor(weights, dtype=float64)
        if self.weights.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        with mx.stream(mx.cpu):
            drawn = multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).tolist()
        yield from drawn

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in lists of ``batch_size``.

    Args:
        sampler: any iterable of indices.
        batch_size: how many indices a list has.
        drop_last: whether a last list that is shorter is left out.

    Raises:
        ValueError: ``batch_size`` is no positive integer, or ``drop_last`` is no bool.

    Source: ``torch.utils.data.BatchSampler``.

    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        rest = iter(self.sampler)
        while batch := list(itertools.islice(rest, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        count, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return count + bool(rest and not self.drop_last)
