"""A script that ``serialization/test_faults.py`` runs: processes save in a loop and are killed at random moments.

    python kill_loop.py KIND PATH KILLS SEED

For each kill it prints "killed" and waits for a line before it starts the next process. KIND is a key of ``SAVES``.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx

from torchish_mlx import checkpoint, save
from torchish_mlx.serialization import save_safetensors


def state(number: int, length: int = 400_000) -> dict[str, Any]:
    """About 8 bytes times ``length``, every element of which tells the number; those of odd numbers are larger."""
    length += 1000 * (number % 2)
    layers = [mx.full((length // 4,), float(number)) for _ in range(4)]
    return {"number": number, "layers": layers, "moments": {"a": mx.full((length,), number, mx.int32)}}


def is_whole(saved: Any, length: int = 400_000) -> bool:
    """Whether something loaded is one of these states, and wholly."""
    expected = state(saved["number"], length)
    pairs = [*zip(saved["layers"], expected["layers"], strict=True), (saved["moments"]["a"], expected["moments"]["a"])]
    return all(a.dtype == b.dtype and mx.array_equal(a.array, b).item() for a, b in pairs)


def _sharded(saved: Any, path: Path) -> None:
    save_safetensors(saved, path, max_shard_size=saved["moments"]["a"].nbytes)


def _kept(saved: Any, path: Path) -> None:
    checkpoint.save(path, step=saved["number"], extra=saved, keep=2)


SAVES: dict[str, Callable[[Any, Path], Any]] = {
    "torch": save,
    "safetensors": save_safetensors,
    "shards": _sharded,
    "checkpoint": _kept,
}


def save_for_ever(kind: str, path: Path) -> None:
    """Save one state after the other; a file beside says how long the first took."""
    last = checkpoint.latest(path) if kind == "checkpoint" else None
    number = int(last.stem.removeprefix("step-")) if last else 0
    parent = os.getppid()
    for i in itertools.count():
        if os.getppid() != parent:
            return  # nobody is left to kill this process
        begun = time.perf_counter()
        SAVES[kind](state(number + i + 1), path)
        if i == 0:
            path.with_name("begun").write_text(f"{time.perf_counter() - begun}\n")


def start(arguments: list[str]) -> int:
    """A process that saves. A fork costs a tenth of a new interpreter; not all of macOS's libraries survive one."""
    if sys.platform == "darwin":
        return subprocess.Popen([sys.executable, __file__, *arguments, "save"]).pid
    if pid := os.fork():
        return pid
    try:
        save_for_ever(arguments[0], Path(arguments[1]))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def seconds(begun: Path, pid: int) -> float:
    """How long the first save of that process took, once it is done."""
    while True:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise SystemExit("the process ended before it was killed")
        if begun.exists() and (text := begun.read_text()).endswith("\n"):
            return float(text)
        time.sleep(0.0005)


def main(arguments: list[str]) -> None:
    if arguments[-1] == "save":
        save_for_ever(arguments[0], Path(arguments[1]))
    path, kills, moments = Path(arguments[1]), int(arguments[2]), random.Random(int(arguments[3]))
    begun = path.with_name("begun")
    for _ in range(kills):
        pid = start(arguments)
        time.sleep(moments.uniform(0, 2 * seconds(begun, pid)))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        begun.unlink()
        print(f"killed {os.WTERMSIG(status)}", flush=True)  # noqa: T201
        sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1:])
