"""A worker process: it gets indices, and sends batches.

MLX computes on threads, and a forked process has none of its parent's. What a worker computes therefore runs on a new
stream, whose thread is its own, and what the parent has not evaluated yet is evaluated before the fork, because it
would be computed on the parent's stream and never end (``settle``).
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import queue
import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import mlx.core as mx
import numpy as np

from ....random.generator import default_generator
from .channel import Failure, Outbox
from .fetch import IterableFetcher, MapFetcher

#: Seconds after which a worker looks whether the main process is alive, and for which that waits for the worker's end.
INTERVAL = 5.0


@dataclass(frozen=True)
class WorkerInfo:
    """What :func:`get_worker_info` says of a worker.

    Attributes:
        id: which of the workers it is, from 0.
        num_workers: how many there are.
        seed: what the generators of this worker were seeded with.
        dataset: the worker's copy of the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a ``DataLoader``: its ``id``, ``num_workers``, ``seed`` and ``dataset``; None elsewhere.

    Source: ``torch.utils.data.get_worker_info``.
    """
    return _info


@dataclass(frozen=True)
class Job:
    """What a worker is told when it starts."""

    dataset: Any
    iterable: bool
    auto_collation: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init_fn: Callable[[int], Any] | None
    id: int
    num_workers: int

    def fetcher(self) -> MapFetcher | IterableFetcher:
        """What makes batches, from the first sample on."""
        if self.iterable:
            return IterableFetcher(self.dataset, self.auto_collation, self.collate_fn, self.drop_last)
        return MapFetcher(self.dataset, self.auto_collation, self.collate_fn)


@dataclass(frozen=True)
class Resume:
    """To a persistent worker, and back: begin again."""


@dataclass(frozen=True)
class Ended:
    """From a worker: its part of an ``IterableDataset`` is at its end."""


def settle(*roots: Any) -> None:
    """Evaluate all arrays that there are, so that a forked process can use them.

    ``roots`` are what the process will work with. They are searched for arrays where objects are exempt from garbage
    collection (``gc.freeze``), which hides them.
    """
    found = [value for value in gc.get_objects() if type(value) is mx.array]
    found += list(mx.random.state)  # type: ignore[call-overload]
    if gc.get_freeze_count():
        found += _reachable(roots)
    try:
        mx.eval(found)
    except (RuntimeError, ValueError):  # those of other threads, and of traces, which no other process could use either
        for array in found:
            try:
                mx.eval(array)
            except (RuntimeError, ValueError):
                continue
    mx.synchronize()


def _reachable(roots: Any) -> list[mx.array]:
    """The arrays that can be reached from ``roots`` and from the main module."""
    waiting: list[Any] = [roots, vars(sys.modules["__main__"])]
    seen: dict[int, Any] = {}
    while waiting:
        for value in gc.get_referents(waiting.pop()):
            if id(value) not in seen:
                seen[id(value)] = value
                waiting.append(value)
    return [value for value in seen.values() if type(value) is mx.array]


def _prepare(job: Job) -> None:
    """Have MLX compute on a thread of this process, and seed every generator."""
    mx.disable_compile()  # what the parent has compiled has the parent's stream in it
    mx.set_default_device(mx.cpu)
    mx.set_default_stream(mx.new_stream(mx.cpu))
    seed = job.base_seed + job.id
    random.seed(seed)
    default_generator.manual_seed(seed)
    mx.random.seed(seed)
    words = [job.id, job.base_seed & 0xFFFFFFFF, job.base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))
    global _info
    _info = WorkerInfo(job.id, job.num_workers, seed, job.dataset)


def _read(tasks: Connection, waiting: queue.SimpleQueue[bytes]) -> None:
    """Take tasks as they come, so that the main process never waits to send one; end with the main process."""
    parent = os.getppid()
    try:
        while True:
            while not tasks.poll(INTERVAL):
                if os.getppid() != parent:
                    os._exit(1)
            waiting.put(tasks.recv_bytes())
    except (EOFError, OSError):
        waiting.put(pickle.dumps(None))


def run(job: Job, tasks: Connection, results: Connection, inherited: list[Connection]) -> None:
    """What a worker does, until it gets None or the main process is gone.

    Args:
        job: what to do.
        tasks: where ``(number, indices, memory that is free again)``, ``Resume()`` and None come from.
        results: where ``(number, batch)`` go.
        inherited: ends of the main process, which a fork has opened here as well.
    """
    for connection in inherited:
        connection.close()
    # The main process stops, too, or has stopped.
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        _serve(job, tasks, Outbox(results))


def _serve(job: Job, tasks: Connection, outbox: Outbox) -> None:
    where = f"in DataLoader worker process {job.id}"
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    fetcher: Any = None
    failed: Failure | None = None
    try:
        _prepare(job)
        if job.init_fn is not None:
            job.init_fn(job.id)
        fetcher = job.fetcher()
    except Exception as error:
        failed = Failure(error, where)
    threading.Thread(target=_read, args=(tasks, waiting), daemon=True).start()
    ended = False
    while (task := pickle.loads(waiting.get())) is not None:
        if isinstance(task, Resume):
            outbox.send(task, None)
            ended = False
            try:
                fetcher = job.fetcher()
            except Exception as error:
                failed = Failure(error, where)
            continue
        number, indices, free = task
        outbox.release(free)
        if ended:
            continue
        try:
            result = failed or fetcher.fetch(indices)
        except Exception as error:
            ended = job.iterable and isinstance(error, StopIteration)
            result = Ended() if ended else Failure(error, where)
        outbox.answer(number, result, where)
        del result, task, indices
