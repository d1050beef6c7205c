"""What needs a process of its own: peak memory, and the first step with a cold kernel cache.

MLX compiles kernels as it needs them and keeps them in the folder for temporary files, which ``TMPDIR`` moves. (What a
GPU's driver caches is not emptied here.)
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mlx.core as mx

from .on_mlx import OURS, PATHS
from .rounds import Clock, Rows, spread
from .sets import Case, case
from .sides import make

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
TURNS = 3


def rss(key: str) -> int:
    """``VmRSS`` or the largest so far, ``VmHWM``, in bytes; where there is no /proc, the largest since the start."""
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory(path: str, given: Case) -> dict[str, float | None] | None:
    """In this process: the most memory that a step needs, parameters, gradients and state included, in MB.

    ``peak MB`` is what MLX had allocated; ``RSS MB`` is the whole process above what it had after a step on one small
    matrix, with what MLX keeps of freed memory.
    """
    tiny = make(path, Case(given.optimizer, "tiny", given.dtype, {"weight": (8, 8)}))
    if tiny is None:
        return None
    tiny.give(0)
    tiny.call()  # imports what a first step does
    tiny.end()
    del tiny
    gc.collect()
    before = rss("VmRSS")
    contestant = make(path, given)
    assert contestant is not None
    peak = high = 0
    for turn in range(TURNS):
        contestant.give(turn)
        mx.clear_cache()  # what making the gradients left behind
        gc.collect()
        mx.reset_peak_memory()
        with contextlib.suppress(OSError):
            RESET.write_text("5")  # VmHWM starts again
        contestant.call()
        contestant.end()
        if turn:  # the first turn traces and makes the state
            peak, high = max(peak, mx.get_peak_memory(), mx.get_active_memory()), max(high, rss("VmHWM"))
        contestant.drop()
    return {"peak MB": peak / 1e6 if path in PATHS else None, "RSS MB": (high - before) / 1e6}


def first(path: str, given: Case) -> dict[str, float] | None:
    """In this process: milliseconds of making model and optimizer, and of the first two steps."""
    mx.eval(mx.ones(4) + 1)
    start = time.perf_counter()
    contestant = make(path, given)
    if contestant is None:
        return None
    times = [1e3 * (time.perf_counter() - start)]
    for turn in range(2):
        contestant.give(turn)
        start = time.perf_counter()
        contestant.call()
        contestant.end()
        times.append(1e3 * (time.perf_counter() - start))
        contestant.drop()
    return dict(zip(("make", "first", "second"), times, strict=True))


def ask(what: str, path: str, named: tuple[Any, ...], clock: Clock, folder: str | None = None) -> Any:
    """``memory`` or ``first`` of ``case(*named)`` in a new process; None, with a note, where it failed."""
    packages = [str(Path(__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(packages), **({"TMPDIR": folder} if folder else {})}
    command = [sys.executable, "-m", "steps.alone", what, path, json.dumps(named)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        last = run.stderr.strip().splitlines()[-1:] or [f"exit status {run.returncode}"]
        clock.notes.append(f"{what} of {' '.join(map(str, named[:3]))}: {path} left out: {last[0][:200]}")
        return None
    return json.loads(run.stdout)


def memories(given: Case, paths: tuple[str, ...], clock: Clock) -> Rows:
    """One row of peak memory for each path."""
    named = (given.optimizer, given.set, given.dtype)
    rows = []
    for path in paths:
        clock.say(f"memory of {given}, {path}")
        if found := ask("memory", path, (*named, clock.quick), clock):
            rows.append({**dict(zip(("optimizer", "set", "dtype"), named, strict=True)), "path": path, **found})
    return rows


def firsts(optimizers: list[str], clock: Clock) -> Rows:
    """First steps in float32 with an empty kernel cache and a filled one: the default of each optimizer on a small
    model and on the set of small tensors, and every path of the first optimizer on the small model.
    """
    todo = [(optimizers[0], "model", path) for path in (PATHS[:1] if clock.quick else PATHS)]
    if not clock.quick:
        todo += [(name, "model", OURS) for name in optimizers[1:]]
        todo += [(name, "small", OURS) for name in optimizers]
    rows: Rows = []
    for optimizer, set_name, path in todo:
        clock.say(f"first step of {optimizer} {set_name}, {path}")
        cold: list[Any] = []
        filled: list[Any] = []
        for _ in range(1 if clock.quick else 5):
            with tempfile.TemporaryDirectory() as folder:
                for answers in (cold, filled):
                    answers.append(ask("first", path, (optimizer, set_name, "float32"), clock, folder))
        if all(cold + filled):
            row: dict[str, Any] = {"optimizer": optimizer, "set": set_name, "path": path}
            row |= {name: spread([answer[name] for answer in cold]) for name in ("make", "first", "second")}
            rows.append({**row, "first, filled cache": spread([answer["first"] for answer in filled])})
    return rows


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps({"memory": memory, "first": first}[sys.argv[1]](sys.argv[2], case(*json.loads(sys.argv[3]))))
    )
