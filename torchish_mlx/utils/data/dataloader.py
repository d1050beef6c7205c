"""``DataLoader``: batches of a dataset, in this process or by workers."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

from ...random.generator import Generator
from ._iterators import _BaseDataLoaderIter as _BaseDataLoaderIter
from ._iterators import _SingleProcessDataLoaderIter as _SingleProcessDataLoaderIter
from ._multi import _MultiProcessingDataLoaderIter as _MultiProcessingDataLoaderIter
from ._utils.collate import default_collate, default_convert
from ._utils.worker import get_worker_info
from .dataset import Dataset, IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = ["DataLoader", "get_worker_info", "default_collate", "default_convert"]

T_co = TypeVar("T_co", covariant=True)


class _DatasetKind:
    """torch's numbers for the two kinds of datasets."""

    Map = 0
    Iterable = 1


class _InfiniteConstantSampler(Sampler[None]):
    """None without end: an ``IterableDataset`` has no indices."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(Generic[T_co]):
    """Batches of a dataset, one epoch for each ``iter()``.

    With the same seed the order of the samples, and the seeds of workers, are those of torch. Where ``dataset`` is a
    ``TensorDataset``, or a ``Subset`` of one, and ``collate_fn`` the default one, a batch is one gather.

    **Workers** (``num_workers``) are processes that are started in the way Python has as its default: forked on Linux
    (before Python 3.14), spawned on a Mac. A forked worker has everything that this process has, also lambdas and
    classes of ``__main__``; for a spawned one all of it is pickled. In a worker all of MLX works, on the CPU, but for
    ``mlx.core.compile``, which calls the function as it is, and streams that were made before the fork, on which a
    forked worker would wait for ever. What is not evaluated yet when workers are forked is evaluated then. A
    batch comes back through shared memory and becomes Tensors here. On a Mac, choose ``"fork"`` only for datasets that
    use NumPy alone: a forked process can't use the Mac's GPU or its memory.

    Args:
        dataset: a ``Dataset``, whatever has ``__getitem__`` and ``__len__``, or an ``IterableDataset``.
        batch_size: samples in a batch. With None there are no batches: what the dataset gives goes through
            ``default_convert``.
        shuffle: whether the order is random.
        sampler: an iterable of indices, in place of ``shuffle``.
        batch_sampler: an iterable of lists of indices, in place of ``batch_size``, ``shuffle``, ``sampler`` and
            ``drop_last``.
        num_workers: how many processes load; with 0 this one does.
        collate_fn: makes a batch from a list of samples: ``default_collate``, unless said otherwise.
        pin_memory: memory is one for all devices, so Tensors are as they would be without. Batches of your own
            classes have their ``pin_memory()`` called.
        drop_last: whether a last batch that is smaller is left out.
        timeout: after how many seconds without a batch from the workers there is an error; with 0 never.
        worker_init_fn: called in each worker with its number, after the seeding.
        multiprocessing_context: how processes are started: ``"fork"``, ``"spawn"``, ``"forkserver"`` or a context.
        generator: where the order and the seed of the workers come from.
        prefetch_factor: how many batches each worker loads ahead: 2, unless said otherwise.
        persistent_workers: whether the workers stay for the next epoch.
        pin_memory_device: deprecated by torch, which ignores it with a warning.
        in_order: whether batches come in the order of their indices, and not as soon as they are there.

    Raises:
        ValueError: arguments that exclude each other, or a setting that can't be.
        RuntimeError: while iterating: a worker is gone, or ``timeout`` is over. An exception in a worker is raised
            here with its type, and with its traceback in the message.

    Source: ``torch.utils.data.DataLoader``.

    >>> import torchish_mlx as torch
    >>> loader = DataLoader(range(5), batch_size=2, shuffle=True, generator=torch.Generator().manual_seed(0))
    >>> [batch.tolist() for batch in loader]
    [[3, 1], [0, 4], [2]]
    """

    dataset: Any
    batch_size: int | None
    num_workers: int
    pin_memory: bool
    drop_last: bool
    timeout: float
    sampler: Any
    batch_sampler: Any
    pin_memory_device: str
    prefetch_factor: int | None
    _initialized = False
    _iterator: Any = None
    _IterableDataset_len_called: int | None = None
    _context: BaseContext | None = None

    def __init__(
        self,
        dataset: Dataset[T_co] | Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[Any] | Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing."
                "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        elif prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self._dataset_kind = _DatasetKind.Iterable if isinstance(dataset, IterableDataset) else _DatasetKind.Map
        if self._iterable:
            for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        source: Any = dataset
        order: Any = sampler
        if order is None and self._iterable:
            order = _InfiniteConstantSampler()
        elif order is None:
            order = RandomSampler(source, generator=generator) if shuffle else SequentialSampler(source)
        if batch_size is not None:
            batch_sampler = BatchSampler(order, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = order
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self.persistent_workers = persistent_workers
        self._initialized = True
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self) -> Any:
        """The context that workers are started by; None for Python's default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            if self.num_workers <= 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(
                        f"multiprocessing_context option should specify a valid start method in {methods!r}, but got "
                        f"multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start "
                    f"method, but got multiprocessing_context={context}"
                )
        self._context = context

    def __setattr__(self, attr: str, val: Any) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self._initialized and attr in fixed:
            raise ValueError(f"{attr} attribute should not be set after {self.__class__.__name__} is initialized")
        super().__setattr__(attr, val)

    def __iter__(self) -> Iterator[Any]:
        if not self.persistent_workers:
            return self._get_iterator()
        if self._iterator is None:
            self._iterator = self._get_iterator()
        else:
            self._iterator._reset(self)
        kept: Iterator[Any] = self._iterator
        return kept

    def _get_iterator(self) -> Any:
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        return _MultiProcessingDataLoaderIter(self)

    @property
    def _iterable(self) -> bool:
        return self._dataset_kind == _DatasetKind.Iterable

    @property
    def _auto_collation(self) -> bool:
        """Whether samples are made into batches."""
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        """Where what is fetched at a time comes from: lists of indices, or indices."""
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self) -> int:
        if not self._iterable:
            return len(self._index_sampler)
        length = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return length
        count, rest = divmod(length, self.batch_size)
        return count + bool(rest and not self.drop_last)

    def check_worker_number_rationality(self) -> None:
        """Warn where there are more workers than CPUs that this process may use."""
        if not self.num_workers:
            return
        checked = hasattr(os, "sched_getaffinity")
        most = len(os.sched_getaffinity(0)) if checked else os.cpu_count()
        if most is not None and self.num_workers <= most:
            return
        suggested = "DataLoader is not able to compute a suggested max number of worker in current system."
        if most is not None:
            suggested = (
                f"Our suggested max number of worker in current system is {most}"
                f"{'' if checked else ' (`cpuset` is not taken into account)'}, which is smaller than what this "
                "DataLoader is going to create."
            )
        warnings.warn(
            f"This DataLoader will create {self.num_workers} worker processes in total. {suggested} Please be aware "
            "that excessive worker creation might get DataLoader running slow or even freeze, lower the worker number "
            "to avoid potential slowness/freeze if necessary.",
            stacklevel=2,
        )
