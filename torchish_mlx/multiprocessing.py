"""``torch.multiprocessing``: Python's ``multiprocessing``, with ``spawn``. Tensors go to other processes as copies."""

from __future__ import annotations

import multiprocessing as _python
import sys as _sys
import traceback as _traceback
from multiprocessing import *  # noqa: F403
from typing import Any as _Any

from ._inert import note as _note

__all__ = [
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]
_loaded: _Any = _python  #: ``connection`` is imported by the first pipe
_STRATEGIES = ("file_descriptor", "file_system")
_strategy = [_STRATEGIES[0]]


def get_all_sharing_strategies() -> set[str]:
    """The names that :func:`set_sharing_strategy` takes.

    Source: ``torch.multiprocessing.get_all_sharing_strategies``.
    """
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """What :func:`set_sharing_strategy` was given; ``"file_descriptor"`` before.

    Source: ``torch.multiprocessing.get_sharing_strategy``.
    """
    return _strategy[0]


def set_sharing_strategy(new_strategy: str) -> None:
    """Keep the name. It has no effect here: Tensors go to other processes as copies.

    Raises:
        AssertionError: an unknown name.

    Source: ``torch.multiprocessing.set_sharing_strategy``.
    """
    if new_strategy not in _STRATEGIES:
        raise AssertionError(f"invalid sharing strategy {new_strategy!r}, expected one of {set(_STRATEGIES)}")
    _note("torch.multiprocessing.set_sharing_strategy")
    _strategy[0] = new_strategy


class ProcessRaisedException(Exception):
    """A process of :func:`spawn` has raised an error.

    Source: ``torch.multiprocessing.ProcessRaisedException``.
    """

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.error_pid = msg, error_index, error_pid

    def __reduce__(self) -> _Any:
        return type(self), (self.msg, self.error_index, self.error_pid)


class ProcessExitedException(Exception):
    """A process of :func:`spawn` has ended by a signal or with another exit code than 0.

    Source: ``torch.multiprocessing.ProcessExitedException``.
    """

    def __init__(self, msg: str, error_index: int, error_pid: int, exit_code: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.error_pid, self.exit_code = msg, error_index, error_pid, exit_code

    def __reduce__(self) -> _Any:
        return type(self), (self.msg, self.error_index, self.error_pid, self.exit_code)


def _run(fn: _Any, index: int, args: tuple[_Any, ...], sender: _Any) -> None:
    """The work of one process: the text of an error goes to the one that started it."""
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        sender.send(_traceback.format_exc())
        _sys.exit(1)


class ProcessContext:
    """The processes that :func:`spawn` has started with ``join=False``.

    Source: ``torch.multiprocessing.ProcessContext``.
    """

    def __init__(self, processes: list[_Any], receivers: list[_Any]) -> None:
        self.processes, self._receivers = processes, receivers

    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [int(process.pid) for process in self.processes]

    def join(self, timeout: float | None = None) -> bool:
        """Wait for a process to end. True when all have.

        Raises:
            ProcessRaisedException, ProcessExitedException: one has failed; the others were ended.
        """
        running = [process.sentinel for process in self.processes if process.is_alive()]
        if running:
            _loaded.connection.wait(running, timeout)
        failed = next((i for i, process in enumerate(self.processes) if process.exitcode not in (0, None)), None)
        if failed is None:
            return all(process.exitcode == 0 for process in self.processes)
        for process in self.processes:
            if process.is_alive():
                process.terminate()
            process.join()
        process, receiver = self.processes[failed], self._receivers[failed]
        try:
            text = receiver.recv()
        except EOFError:  # it has ended without an error of Python's
            text = None
        if text is not None:
            raise ProcessRaisedException(
                f"\n\n-- Process {failed} terminated with the following error:\n{text}", failed, process.pid
            )
        said = f"signal {-process.exitcode}" if process.exitcode < 0 else f"exit code {process.exitcode}"
        raise ProcessExitedException(f"process {failed} terminated with {said}", failed, process.pid, process.exitcode)


def start_processes(
    fn: _Any,
    args: tuple[_Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run ``fn(i, *args)`` in ``nprocs`` processes; wait for them, or return them for ``join=False``.

    Raises:
        ProcessRaisedException, ProcessExitedException: one has failed; the others were ended.

    Source: ``torch.multiprocessing.start_processes``.
    """
    context: _Any = _python.get_context(start_method)
    processes, receivers = [], []
    for i in range(nprocs):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(fn, i, args, sender), daemon=daemon)
        process.start()
        sender.close()
        processes.append(process)
        receivers.append(receiver)
    started = ProcessContext(processes, receivers)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: _Any,
    args: tuple[_Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """:func:`start_processes` by starting new interpreters.

    Raises:
        ProcessRaisedException, ProcessExitedException: one has failed; the others were ended.

    Source: ``torch.multiprocessing.spawn``.
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)
