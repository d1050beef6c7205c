"""From indices to a batch: what is done in the main process and in each worker alike."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ...._tensor.modes import mode
from ...._tensor.tensor import Tensor
from ..dataset import Subset, TensorDataset, items_of
from .collate import default_collate, rows


class MapFetcher:
    """Batches of a dataset that has samples by index."""

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any]) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn

    def fetch(self, index: Any) -> Any:
        """The batch for a list of indices; without ``auto_collation`` the sample for one."""
        if not self.auto_collation:
            return self.collate_fn(self.dataset[index])
        if self.collate_fn is default_collate:
            made = rows_of(self.dataset, index)
            if made is not None:
                return made
        return self.collate_fn(items_of(self.dataset, index))


def rows_of(dataset: Any, indices: Any) -> list[Tensor] | None:
    """The collated batch of a ``TensorDataset``, or of a part of one, by one gather for each Tensor.

    None where samples have to be taken one by one: other datasets, gradients, indices that are no integers or outside.
    """
    try:
        while type(dataset) is Subset:
            indices, dataset = [dataset.indices[i] for i in indices], dataset.dataset
        if type(dataset) is not TensorDataset:
            return None
        places = [operator.index(i) for i in indices]
    except (TypeError, IndexError):
        return None
    length = len(dataset)
    if not places or min(places) < -length or max(places) >= length:
        return None
    for tensor in dataset.tensors:
        if type(tensor) is not Tensor or (tensor.requires_grad and mode.enabled):
            return None
    return [rows(tensor, places) for tensor in dataset.tensors]


class IterableFetcher:
    """Batches of an ``IterableDataset``, one after the other; StopIteration at its end."""

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        self.iterator = iter(dataset)
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, index: Any) -> Any:
        """The next batch, of as many samples as ``index`` is long; without ``auto_collation`` the next sample."""
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.iterator))
        samples: list[Any] = []
        for _ in index:
            try:
                samples.append(next(self.iterator))
            except StopIteration:
                self.ended = True
                break
        if not samples or (self.drop_last and len(samples) < len(index)):
            raise StopIteration
        return self.collate_fn(samples)
