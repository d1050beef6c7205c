"""The iterator over a ``DataLoader`` with worker processes."""

from __future__ import annotations

import itertools
import multiprocessing
import weakref
from typing import Any

from ._iterators import _BaseDataLoaderIter
from ._utils.channel import Failure
from ._utils.processes import Workers
from ._utils.worker import Ended, Job, Resume, settle


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Gives each worker ``prefetch_factor`` tasks ahead, and hands the batches out in order."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        if loader.prefetch_factor <= 0:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self._prefetch_factor: int = loader.prefetch_factor
        self._persistent_workers = loader.persistent_workers
        self._timeout = loader.timeout or None
        self._in_order = loader.in_order
        self._workers = workers = Workers(loader.multiprocessing_context or multiprocessing.get_context())
        # __del__ would be called too late: in a cycle of references the connections may be closed before it.
        weakref.finalize(self, workers.shut_down)
        if workers.forks:
            settle(loader.dataset, loader.collate_fn, loader.worker_init_fn)
        for i in range(self._num_workers):
            workers.start(
                Job(
                    loader.dataset,
                    loader._iterable,
                    loader._auto_collation,
                    loader.collate_fn,
                    loader.drop_last,
                    self._base_seed,
                    loader.worker_init_fn,
                    i,
                    self._num_workers,
                )
            )
        self._begin(loader)

    def _reset(self, loader: Any) -> None:
        for i in range(self._num_workers):
            self._workers.tell(i, Resume())
        self._workers.arrived.clear()
        answered = 0
        while answered < self._num_workers:  # batches of an epoch that was left early are dropped
            answered += isinstance(self._receive()[1], Resume)
        self._begin(loader)

    def _begin(self, loader: Any) -> None:
        """Give the first tasks of an epoch."""
        super()._reset(loader)
        self._sent = 0  #: the number of the next task
        self._next = 0  #: the number of the next batch that is handed out
        self._worker_of: dict[int, int] = {}  #: of each task whose batch was not handed out
        self._batches: dict[int, Any] = {}  #: those that came before their turn
        self._active = [True] * self._num_workers  #: whether a worker has not come to the end of its stream
        self._given = [0] * self._num_workers  #: how many tasks each worker has
        self._turns = itertools.cycle(range(self._num_workers))
        for _ in range(self._prefetch_factor * self._num_workers):
            self._give()

    def _receive(self) -> tuple[int, Any, Any]:
        return self._workers.receive(self._timeout)

    def _answers(self, i: int) -> bool:
        """Whether a worker answers tasks: it does not when it is at its end or gone."""
        return self._active[i] and self._workers.running[i]

    def _give(self) -> None:
        """Give the next task to the next worker that answers."""
        try:
            indices = next(self._sampler_iter)
        except StopIteration:
            return
        most = self._prefetch_factor * self._num_workers // max(1, sum(map(self._answers, range(self._num_workers))))
        for i in itertools.islice(self._turns, self._num_workers):
            if self._answers(i) and (self._in_order or self._given[i] < most):
                break
        else:
            return
        self._workers.tell(i, (self._sent, indices, self._workers.inboxes[i].taken()))
        self._worker_of[self._sent] = i
        self._given[i] += 1
        self._sent += 1

    def _next_data(self) -> Any:
        while True:
            while self._next < self._sent and not self._expected(self._next):
                self._worker_of.pop(self._next, None)
                self._next += 1
            if self._next == self._sent:
                if not self._persistent_workers:
                    self._workers.shut_down()
                raise StopIteration
            if self._next in self._batches:
                return self._hand_out(self._next, self._batches.pop(self._next))
            i, number, batch = self._receive()
            if isinstance(batch, Ended):
                self._active[i] = False
                if not self._persistent_workers:
                    self._workers.end(i)
                self._give()
            elif number == self._next or not self._in_order:
                return self._hand_out(number, batch)
            else:
                self._batches[number] = batch

    def _expected(self, number: int) -> bool:
        """Whether a batch has come or will come."""
        return number in self._batches or (number in self._worker_of and self._answers(self._worker_of[number]))

    def _hand_out(self, number: int, batch: Any) -> Any:
        self._given[self._worker_of.pop(number)] -= 1
        if number == self._next:
            self._next += 1
        self._give()
        if isinstance(batch, Failure):
            batch.reraise()
        return batch
