"""The sampler for several processes that train together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from ...ops.drawing import randperm
from ...random.generator import Generator
from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """The indices of one of several processes: each process gets as many, and all together get the whole dataset.

    Args:
        dataset: what has a length.
        num_replicas: how many processes there are; those of ``mlx.core.distributed`` unless said otherwise.
        rank: which of them this is; that of ``mlx.core.distributed`` unless said otherwise.
        shuffle: whether the order is random. It is the same in all processes.
        seed: what the order depends on, together with the epoch.
        drop_last: whether indices are left out so that all processes have as many, instead of given twice.

    Raises:
        ValueError: a rank that there is no process for.

    Source: ``torch.utils.data.DistributedSampler``. torch raises without a process group; here one process without a
    group is a group of one.

    >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None:
            num_replicas = mx.distributed.init().size()
        if rank is None:
            rank = mx.distributed.init().rank()
        if rank >= num_replicas or rank < 0:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        count = len(dataset)
        self.num_samples = count // num_replicas if drop_last else math.ceil(count / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        indices: list[int] = list(range(count))
        if self.shuffle:
            indices = randperm(count, generator=Generator().manual_seed(self.seed + self.epoch)).tolist()
        if not self.drop_last and indices:
            indices = indices * math.ceil(self.total_size / count)
        return iter(indices[: self.total_size][self.rank :: self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next: with ``shuffle``, each has another order."""
        self.epoch = epoch
