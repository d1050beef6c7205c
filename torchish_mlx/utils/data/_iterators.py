"""Iterators over a ``DataLoader``: what both have in common, and the one that loads in this process."""

from __future__ import annotations

import warnings
from typing import Any

from ._utils.fetch import IterableFetcher, MapFetcher
from ._utils.pin_memory import pin_memory
from .sampler import drawn_seed


class _BaseDataLoaderIter:
    """One epoch: indices from the sampler, batches from ``_next_data`` of the subclass."""

    def __init__(self, loader: Any) -> None:
        # The loader itself is not kept: it keeps the iterator where workers are persistent, and a cycle ends late.
        self._dataset = loader.dataset
        self._num_workers: int = loader.num_workers
        self._pin_memory = loader.pin_memory
        self._index_sampler = loader._index_sampler
        if loader.pin_memory and loader.pin_memory_device:
            warnings.warn(
                "pin_memory_device is deprecated, the current accelerator will be used as the device,"
                f"ignore pin_memory_device='{loader.pin_memory_device}'.",
                stacklevel=2,
            )
        self._sampler_iter = iter(self._index_sampler)
        self._base_seed = drawn_seed(loader.generator)
        self._len_called = loader._IterableDataset_len_called
        self._num_yielded = 0

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def _reset(self, loader: Any) -> None:
        """Begin an epoch."""
        self._sampler_iter = iter(self._index_sampler)
        self._len_called = loader._IterableDataset_len_called
        self._num_yielded = 0

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        data = self._next_data()
        if self._pin_memory:
            data = pin_memory(data)
        self._num_yielded += 1
        if self._len_called is not None and self._num_yielded > self._len_called:
            message = (
                f"Length of IterableDataset {self._dataset} was reported to be {self._len_called}"
                f"(when accessing len(dataloader)), but {self._num_yielded} samples have been fetched. "
            )
            if self._num_workers > 0:
                message += (
                    "With workers, each of them iterates over the whole dataset unless its __iter__ asks "
                    "get_worker_info() which part is its own."
                )
            warnings.warn(message, stacklevel=2)
        return data

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", self.__class__.__name__)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Loads in this process."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetcher: MapFetcher | IterableFetcher
        if loader._iterable:
            self._fetcher = IterableFetcher(loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)
        else:
            self._fetcher = MapFetcher(loader.dataset, loader._auto_collation, loader.collate_fn)

    def _next_data(self) -> Any:
        return self._fetcher.fetch(next(self._sampler_iter))
