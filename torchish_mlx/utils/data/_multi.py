"""The iterator over a ``DataLoader`` with worker processes."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import selectors
import signal
import sys
import time
import warnings
from multiprocessing.connection import Connection
from typing import Any

from ._iterators import _BaseDataLoaderIter
from ._utils.channel import Failure, Inbox
from ._utils.worker import INTERVAL, Ended, Job, Resume, run, settle


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Gives each worker ``prefetch_factor`` tasks ahead, and hands the batches out in order.

    Each worker has a connection for tasks and one for results. A worker that ends shows by its sentinel, so nothing
    waits for a process that is gone.
    """

    _shut_down = False

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        if loader.prefetch_factor <= 0:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self._creator = os.getpid()
        self._workers: list[Any] = []
        self._tasks_to: list[Connection] = []
        self._inboxes: list[Inbox] = []
        self._running: list[bool] = []  #: whether a worker was not told to end
        self._arrived: list[tuple[int, Any, Any]] = []  #: (worker, number, batch) as they came
        self._selector = selectors.DefaultSelector()
        context = loader.multiprocessing_context or multiprocessing.get_context()
        forks = context.get_start_method() == "fork"
        if forks:
            settle(loader.dataset, loader.collate_fn, loader.worker_init_fn)
        for i in range(loader.num_workers):
            self._start(i, context, forks)
        self._reset(loader, first=True)

    def _start(self, i: int, context: Any, forks: bool) -> None:
        loader = self._loader
        tasks, tasks_to = context.Pipe(duplex=False)
        inbox, results = context.Pipe(duplex=True)  # a socket, which can send descriptors
        job = Job(
            loader.dataset,
            loader._iterable,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
            self._base_seed,
            loader.worker_init_fn,
            i,
            loader.num_workers,
        )
        mine = [*self._tasks_to, *(each.connection for each in self._inboxes), tasks_to, inbox]
        worker = context.Process(target=run, args=(job, tasks, results, mine if forks else []), daemon=True)
        try:
            with warnings.catch_warnings():
                # Python warns of forks of a process with threads; what of MLX the child may use is described in worker.py
                warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
                worker.start()
        except (TypeError, AttributeError, pickle.PicklingError):
            warnings.warn(
                "Got pickle error when attempting to start a worker Process. The dataset, collate_fn and worker_init_fn "
                "have to be picklable, unless processes are forked: multiprocessing_context='fork' does that, which is "
                "the default on Linux before Python 3.14.",
                stacklevel=2,
            )
            raise
        finally:
            tasks.close()
            results.close()
        self._workers.append(worker)
        self._tasks_to.append(tasks_to)
        self._inboxes.append(Inbox(inbox))
        self._running.append(True)
        self._selector.register(inbox, selectors.EVENT_READ, i)
        self._selector.register(worker.sentinel, selectors.EVENT_READ, i)

    def _reset(self, loader: Any, first: bool = False) -> None:
        super()._reset(loader)
        if not first:
            for i in range(len(self._workers)):
                self._tell(i, Resume())
            self._arrived.clear()
            answered = 0
            while answered < len(self._workers):  # batches of an epoch that was left early are dropped
                answered += isinstance(self._receive()[1], Resume)
        self._sent = 0  #: the number of the next task
        self._next = 0  #: the number of the next batch that is handed out
        self._worker_of: dict[int, int] = {}  #: of each task whose batch was not handed out
        self._batches: dict[int, Any] = {}  #: those that came before their turn
        self._active = [True] * len(self._workers)
        self._given = [0] * len(self._workers)  #: how many tasks each worker has
        self._turns = itertools.cycle(range(len(self._workers)))
        for _ in range(loader.prefetch_factor * len(self._workers)):
            self._give()

    # -- tasks -------------------------------------------------------------------------------------------

    def _tell(self, i: int, message: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # that it is gone is noticed in _receive
            self._tasks_to[i].send(message)

    def _give(self) -> None:
        """Give the next task to the next worker that has not come to its end."""
        try:
            indices = next(self._sampler_iter)
        except StopIteration:
            return
        most = self._loader.prefetch_factor * len(self._workers)
        for i in itertools.islice(self._turns, len(self._workers)):
            if self._active[i] and (self._loader.in_order or self._given[i] < most // sum(self._active)):
                break
        else:
            return
        self._tell(i, (self._sent, indices, self._inboxes[i].taken()))
        self._worker_of[self._sent] = i
        self._given[i] += 1
        self._sent += 1

    # -- batches -----------------------------------------------------------------------------------------

    def _next_data(self) -> Any:
        while True:
            while self._next < self._sent and not self._expected(self._next):
                self._worker_of.pop(self._next, None)
                self._next += 1
            if self._next == self._sent:
                if not self._loader.persistent_workers:
                    self._shutdown_workers()
                raise StopIteration
            if self._next in self._batches:
                return self._hand_out(self._next, self._batches.pop(self._next))
            i, number, batch = self._receive()
            if isinstance(batch, Ended):
                self._active[i] = False
                if not self._loader.persistent_workers:
                    self._end(i)
                self._give()
            elif number == self._next or not self._loader.in_order:
                return self._hand_out(number, batch)
            else:
                self._batches[number] = batch

    def _expected(self, number: int) -> bool:
        """Whether a batch has come or will come: a worker that is at its end answers no more tasks."""
        return number in self._batches or (number in self._worker_of and self._active[self._worker_of[number]])

    def _hand_out(self, number: int, batch: Any) -> Any:
        self._given[self._worker_of.pop(number)] -= 1
        if number == self._next:
            self._next += 1
        self._give()
        if isinstance(batch, Failure):
            batch.reraise()
        return batch

    def _receive(self) -> tuple[int, Any, Any]:
        """What comes next: (worker, number, batch).

        Raises RuntimeError after ``timeout`` seconds, and where a worker is gone.
        """
        timeout = self._loader.timeout or None
        end = None if timeout is None else time.monotonic() + timeout
        while not self._arrived:
            ready = self._selector.select(None if end is None else max(0.0, end - time.monotonic()))
            if not ready and end is not None and time.monotonic() >= end:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            gone = set()
            for i in {key.data for key, _ in ready}:
                inbox = self._inboxes[i]
                try:
                    if inbox.connection.poll(0):
                        self._arrived.append((i, *inbox.receive()))
                    elif not self._workers[i].is_alive():
                        gone.add(i)
                except (EOFError, ConnectionResetError):
                    gone.add(i)
            if gone:
                self._refuse(gone)
        return self._arrived.pop(0)

    def _refuse(self, gone: set[int]) -> None:
        """Raise for workers that are gone, unless they were told to end."""
        unexpected = []
        for i in sorted(gone):
            worker = self._workers[i]
            worker.join(INTERVAL)
            for source in (self._inboxes[i].connection, worker.sentinel):
                with contextlib.suppress(KeyError):
                    self._selector.unregister(source)
            if self._running[i]:
                self._running[i] = self._active[i] = False
                unexpected.append(worker)
        if unexpected:
            pids = ", ".join(str(worker.pid) for worker in unexpected)
            cause = RuntimeError(_how_it_ended(unexpected[0]))
            raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from cause

    # -- the end -----------------------------------------------------------------------------------------

    def _end(self, i: int) -> None:
        """Tell a worker to end."""
        if self._running[i]:
            self._running[i] = False
            self._tell(i, None)

    def _shutdown_workers(self) -> None:
        """End all workers; those that do not end by themselves are terminated."""
        if self._shut_down:
            return
        self._shut_down = True
        try:
            for i in range(len(self._workers)):
                self._end(i)
            self._selector.close()
            for inbox in self._inboxes:  # a worker that is sending stops
                inbox.connection.close()
            deadline = time.monotonic() + INTERVAL
            for worker in self._workers:
                worker.join(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in self._workers:
                if worker.is_alive():
                    worker.terminate()
                    worker.join(INTERVAL)
            for connection in self._tasks_to:
                connection.close()

    def __del__(self) -> None:
        # At the end of the interpreter multiprocessing terminates all workers; a forked process has a copy of this only.
        if not sys.is_finalizing() and getattr(self, "_creator", None) == os.getpid():
            self._shutdown_workers()


def _how_it_ended(worker: Any) -> str:
    code = worker.exitcode
    if code is not None and code < 0:
        return f"DataLoader worker (pid {worker.pid}) is killed by signal: {signal.strsignal(-code)}. "
    return (
        f"DataLoader worker (pid {worker.pid}) exited unexpectedly with exit code {code}. Details are lost due to "
        "multiprocessing. Rerunning with num_workers=0 may give better error trace."
    )
