"""Saving under faults: killed processes, errors of every call, a limit of the kernel. What stands is old or new."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

import torchish_mlx as torch
from tests.kill_loop import SAVES, is_whole, state
from tests.marks import mostly_long
from torchish_mlx import checkpoint
from torchish_mlx.serialization._shared import atomic as _atomic

SCRIPT = Path(__file__).parents[1] / "kill_loop.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent)}


def target(kind: str, folder: Path) -> Path:
    folder.mkdir()
    return folder if kind == "checkpoint" else folder / ("a.pt" if kind == "torch" else "a.safetensors")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def temporaries(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name.endswith(".tmp")]


def standing(kind: str, path: Path, length: int = 400_000) -> int:
    """The number of the state that stands. All that stands is loaded and compared."""
    if kind != "checkpoint":
        saved = torch.load(path)
        assert is_whole(saved, length)
        return saved["number"]
    numbers = []
    for file in sorted(path.glob("step-*.pt")):
        run = checkpoint.resume(file)
        assert is_whole(run.extra, length)
        assert run.step == run.extra["number"]
        numbers.append(run.step)
    assert len(numbers) <= 3  # two are kept, and an older one may not be removed yet
    return max(numbers)


# -- killed processes -------------------------------------------------------------------------------------------------

KILLS = {"torch": 120, "checkpoint": 100, "safetensors": 80, "shards": 50}


@contextmanager
def killed_again_and_again(kind: str, path: Path) -> Iterator[Iterator[int]]:
    """A number after each kill; the next process starts when the next number is asked for."""
    command = [sys.executable, str(SCRIPT), kind, str(path), str(KILLS[kind]), "0"]
    alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a process that forks should have one thread
    environment = {**ENVIRONMENT, **alone}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as run:

        def kills(stdin: Any, stdout: Any) -> Iterator[int]:
            for i in range(KILLS[kind]):
                assert stdout.readline() == "killed 9\n"
                yield i
                stdin.write("\n")
                stdin.flush()

        yield kills(run.stdin, run.stdout)
    assert run.returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("kind", KILLS)
def test_a_killed_process_leaves_an_old_or_a_new_state(kind, tmp_path):
    """After every kill all that has its final name is whole; the next save removes what killed ones left."""
    path = target(kind, tmp_path / "saved")
    caught, seen = 0, []
    with killed_again_and_again(kind, path) as kills:
        for _ in kills:
            caught += bool(temporaries(tmp_path / "saved"))
            seen.append(standing(kind, path))
    assert caught > KILLS[kind] / 10, "hardly any process was killed while it wrote"
    assert len(set(seen)) > 1
    last = 10**6 + 1  # of another length than most, and the latest step
    SAVES[kind](state(last), path)
    assert standing(kind, path) == last
    fresh = target(kind, tmp_path / "fresh")
    if kind == "checkpoint":
        SAVES[kind](state(max(seen)), fresh)
    SAVES[kind](state(last), fresh)
    assert sorted(contents(tmp_path / "saved")) == sorted(contents(tmp_path / "fresh"))


# -- errors of every call ---------------------------------------------------------------------------------------------

LENGTH = 20_000


def leaves(tree: Any) -> list[mx.array]:
    return [*tree["layers"], tree["moments"]["a"]]


class Calls:
    """The calls that write, in order; the one of number ``failing`` fails, a write when it is half done."""

    def __init__(self, failing: int | None = None, number: int = 0, most: int = sys.maxsize) -> None:
        self.failing, self.number, self.most = failing, number, most
        self.names: list[str] = []

    def fails(self, name: str) -> bool:
        self.names.append(name)
        return len(self.names) - 1 == self.failing

    def make(self, name: str) -> None:
        if self.fails(name):
            raise OSError(self.number, os.strerror(self.number))

    def write(self, raw: FileIO, data: Any) -> int:
        if self.fails("write"):
            FileIO.write(raw, memoryview(data)[: len(data) // 2])
            raise OSError(self.number, os.strerror(self.number))
        return FileIO.write(raw, memoryview(data)[: self.most])


@contextmanager
def made(calls: Calls) -> Iterator[Calls]:
    """Have the calls go through ``calls``."""
    opened, fsync, fchmod, flock, replace, unlink = os.open, os.fsync, os.fchmod, fcntl.flock, Path.replace, Path.unlink

    class Raw(FileIO):
        def write(self, data: Any) -> int:
            return calls.write(self, data)

    def new_open(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_DIRECTORY or flags & os.O_CREAT:
            calls.make("open folder" if flags & os.O_DIRECTORY else "create")
        return opened(path, flags, *args, **kwargs)

    def new_fsync(fd: int) -> None:
        calls.make("flush folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "flush")
        fsync(fd)

    def new_fchmod(fd: int, mode: int) -> None:
        calls.make("set mode")
        fchmod(fd, mode)

    def new_flock(fd: int, operation: int) -> None:
        calls.make("lock")
        flock(fd, operation)

    def new_replace(self: Path, to: Any) -> Path:
        calls.make("rename")
        return replace(self, to)

    def new_unlink(self: Path, missing_ok: bool = False) -> None:
        if not self.name.endswith(".tmp"):
            calls.make("remove")
        unlink(self, missing_ok=missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_atomic, "FileIO", Raw)
        patch.setattr(os, "open", new_open)
        patch.setattr(os, "fsync", new_fsync)
        patch.setattr(os, "fchmod", new_fchmod)
        patch.setattr(fcntl, "flock", new_flock)
        patch.setattr(Path, "replace", new_replace)
        patch.setattr(Path, "unlink", new_unlink)
        yield calls


def begin(kind: str, folder: Path) -> Path:
    """A path at which states 0 and 1 were saved."""
    path = target(kind, folder)
    for number in (0, 1):
        SAVES[kind](state(number, LENGTH), path)
    return path


@pytest.mark.parametrize(
    "number", mostly_long([errno.ENOSPC, errno.EIO, errno.EACCES], lambda e: e == errno.ENOSPC), ids=errno.errorcode.get
)
@pytest.mark.parametrize("kind", SAVES)
def test_an_error_of_any_call_leaves_the_old_state(kind, number, tmp_path):
    """Bit for bit, with nothing beside it. Errors after the renaming leave the new state, whole."""
    new = state(2, LENGTH)
    arrays = leaves(new)
    path = begin(kind, tmp_path / "counted")
    with made(Calls()) as calls:
        SAVES[kind](new, path)
    assert calls.names.count("write") > 3
    for failing, failed in enumerate(calls.names):
        folder = tmp_path / str(failing)
        path = begin(kind, folder)
        old = contents(folder)
        with made(Calls(failing, number)):
            error = raised(kind, new, path)
        assert temporaries(folder) == []
        if error is None:
            assert (failed, number) == ("open folder", errno.EACCES) or (kind, failed) == ("shards", "remove")
            assert standing(kind, path, LENGTH) == 2
        else:
            assert (type(error), error.errno) == (type(OSError(number, "")), number)
            assert str(folder) in str(error)
            assert any(
                said in str(error) for said in ("is unchanged", "is in place", "nothing was written", "is complete")
            )
            if failed in ("flush folder", "remove"):
                assert standing(kind, path, LENGTH) == 2 or contents(folder) == old
            else:
                assert contents(folder) == old, failed
        SAVES[kind](state(3, LENGTH), path)
        assert standing(kind, path, LENGTH) == 3
    assert all(a is b for a, b in zip(leaves(new), arrays, strict=True))
    assert all(mx.array_equal(a, b).item() for a, b in zip(arrays, leaves(state(2, LENGTH)), strict=True))


def raised(kind: str, new: Any, path: Path) -> OSError | None:
    try:
        SAVES[kind](new, path)
    except OSError as error:
        return error
    return None


@pytest.mark.parametrize("kind", SAVES)
def test_short_writes_are_gone_on_with(kind, tmp_path):
    """A system may write fewer bytes than it was given."""
    path, whole = target(kind, tmp_path / "short"), target(kind, tmp_path / "whole")
    with made(Calls(most=999)) as calls:
        SAVES[kind](state(1, LENGTH), path)
    SAVES[kind](state(1, LENGTH), whole)
    assert calls.names.count("write") > 100
    assert standing(kind, path, LENGTH) == 1
    if kind != "checkpoint":  # whose random state went on
        assert contents(tmp_path / "short") == contents(tmp_path / "whole")


# -- a limit of the kernel --------------------------------------------------------------------------------------------

LIMITED = """
import errno, resource, sys
from pathlib import Path
from tests.kill_loop import SAVES, state
kind, path, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    SAVES[kind](state(3), path)
except OSError as error:
    assert error.errno == errno.EFBIG
    print(error)
"""


@pytest.mark.long
@pytest.mark.parametrize("limit", [4096, 1_000_000])
@pytest.mark.parametrize("kind", SAVES)
def test_the_kernels_limit_of_a_files_size(kind, limit, tmp_path):
    """A real error of a real write, after a short one."""
    path = begin(kind, tmp_path / "saved")
    old = contents(tmp_path / "saved")
    command = [sys.executable, "-W", "error", "-c", LIMITED, kind, str(path), str(limit)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
    assert (run.returncode, run.stderr) == (0, "")
    assert "File too large: could not write it; " in run.stdout
    assert "could be written: see the limit of this process (ulimit -f)" in run.stdout
    assert contents(tmp_path / "saved") == old
