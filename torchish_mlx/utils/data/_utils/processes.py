"""The worker processes of one iterator: started, told what to do, listened to, ended."""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import time
import warnings
from multiprocessing.connection import Connection
from typing import Any

from .channel import Inbox
from .worker import INTERVAL, Job, run


class Workers:
    """Each worker has a connection for tasks and one for results.

    A worker that ends shows by its sentinel, so nothing waits for a process that is gone.
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        self.forks = context.get_start_method() == "fork"
        self.creator = os.getpid()
        self.processes: list[Any] = []
        self.inboxes: list[Inbox] = []
        self.running: list[bool] = []  #: whether a worker is there, and was not told to end
        self.arrived: list[tuple[int, Any, Any]] = []  #: (worker, number, batch) as they came
        self._tasks_to: list[Connection] = []
        self._selector = selectors.DefaultSelector()
        self._ended = False

    def start(self, job: Job) -> None:
        """Start one more worker.

        Raises what pickling raises where the process is not forked and has to be sent the dataset.
        """
        tasks, tasks_to = self.context.Pipe(duplex=False)
        inbox, results = self.context.Pipe(duplex=True)  # a socket, which can send descriptors
        mine = [*self._tasks_to, *(each.connection for each in self.inboxes), tasks_to, inbox]
        process = self.context.Process(target=run, args=(job, tasks, results, mine if self.forks else []), daemon=True)
        try:
            with warnings.catch_warnings():
                # Python 3.12 warns of the fork of a process with threads. worker.py says what makes it safe here.
                warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
                process.start()
        except (TypeError, AttributeError, pickle.PicklingError):
            warnings.warn(
                "Got pickle error when attempting to start a worker Process. The dataset, collate_fn and "
                "worker_init_fn have to be picklable, unless processes are forked: multiprocessing_context='fork' does "
                "that, which is the default on Linux before Python 3.14.",
                stacklevel=4,
            )
            raise
        finally:
            tasks.close()
            results.close()
        self._selector.register(inbox, selectors.EVENT_READ, len(self.processes))
        self._selector.register(process.sentinel, selectors.EVENT_READ, len(self.processes))
        self.processes.append(process)
        self._tasks_to.append(tasks_to)
        self.inboxes.append(Inbox(inbox))
        self.running.append(True)

    def tell(self, i: int, message: Any) -> None:
        """Send something to a worker; that one is gone is noticed by ``receive``."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._tasks_to[i].send(message)

    def end(self, i: int) -> None:
        """Tell a worker to end."""
        if self.running[i]:
            self.running[i] = False
            self.tell(i, None)

    def receive(self, timeout: float | None) -> tuple[int, Any, Any]:
        """What comes next: (worker, number, batch).

        Raises RuntimeError after ``timeout`` seconds, and where a worker is gone.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.arrived:
            ready = self._selector.select(None if end is None else max(0.0, end - time.monotonic()))
            if not ready and end is not None and time.monotonic() >= end:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            gone = set()
            for i in {key.data for key, _ in ready}:
                inbox = self.inboxes[i]
                try:
                    if inbox.connection.poll(0):
                        self.arrived.append((i, *inbox.receive()))
                    elif not self.processes[i].is_alive():
                        gone.add(i)
                except (EOFError, ConnectionResetError):
                    gone.add(i)
            if gone:
                self._refuse(gone)
        return self.arrived.pop(0)

    def _refuse(self, gone: set[int]) -> None:
        """Raise for workers that are gone, unless they were told to end."""
        unexpected = []
        for i in sorted(gone):
            process = self.processes[i]
            process.join(INTERVAL)
            for source in (self.inboxes[i].connection, process.sentinel):
                with contextlib.suppress(KeyError):
                    self._selector.unregister(source)
            if self.running[i]:
                self.running[i] = False
                unexpected.append(process)
        if unexpected:
            pids = ", ".join(str(process.pid) for process in unexpected)
            cause = RuntimeError(_how_it_ended(unexpected[0]))
            raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from cause

    def shut_down(self) -> None:
        """End all workers; those that do not end by themselves in some seconds are terminated.

        A forked process has a copy of this object, which does nothing.
        """
        if self._ended or os.getpid() != self.creator:
            return
        self._ended = True
        try:
            for i in range(len(self.processes)):
                self.end(i)
            self._selector.close()
            for inbox in self.inboxes:  # a worker that is sending stops
                inbox.connection.close()
            deadline = time.monotonic() + INTERVAL
            for process in self.processes:
                process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for process in self.processes:
                if process.is_alive():
                    process.terminate()
                    process.join(INTERVAL)
            for connection in self._tasks_to:
                connection.close()


def _how_it_ended(process: Any) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        return f"DataLoader worker (pid {process.pid}) is killed by signal: {signal.strsignal(-code)}. "
    return (
        f"DataLoader worker (pid {process.pid}) exited unexpectedly with exit code {code}. Details are lost due to "
        "multiprocessing. Rerunning with num_workers=0 may give better error trace."
    )
