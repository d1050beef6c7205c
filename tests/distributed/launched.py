"""Programs of two processes on this machine, by ``mlx.launch`` over loopback."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LAUNCH = Path(sys.executable).parent / "mlx.launch"
SECONDS = 120  # after which a program hangs; they take 4


def free_ports(count: int) -> int:
    """The first of ``count`` ports in a row that nobody listens on."""
    for _ in range(100):
        first = random.randrange(20_000, 60_000)
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise OSError("no free ports in a row were found")


def launched(program: Path, *arguments: object, processes: int = 2) -> str:
    """What the processes print, one after the other or mixed. Fails where one of them does, and where they hang."""
    command = [shutil.which("mlx.launch") if not LAUNCH.exists() else LAUNCH, "-n", processes, "--backend", "ring"]
    command += ["--starting-port", free_ports(processes), sys.executable, program, *arguments]
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,  # it reads all the time from one that is closed
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        pytest.fail(f"{program.name} hangs; it has printed\n{printed}")
    assert "Traceback" not in printed, printed
    assert "exited with code" not in printed, printed
    assert process.returncode == 0, printed
    return printed


def main(*parts: Callable[[mx.distributed.Group], None]) -> None:
    """What a program of two processes does: its parts, one after the other."""
    group = mx.distributed.init(strict=True, backend="ring")
    assert group.size() == 2
    for part in parts:
        part(group)
        mx.eval(mx.distributed.all_sum(mx.array(1.0), group=group))  # the other process is as far
    sys.stdout.write(f"process {group.rank()} is done\n")
