"""Time and memory of saving and loading, next to ``torch.save``/``torch.load`` and ``mx.save_safetensors``/``mx.load``.

    python benchmarks/checkpoints.py                     # times, 500 MB, and peak memory, 1 GB
    python benchmarks/checkpoints.py --mb 100 --rounds 3

All contestants take turns, round by round, in a new order each round; the table gives medians, and the ratio to the
slower of the two peers. ``save`` here ends with an fsync, which the peers' do not have: "+fsync" adds one to each of
them. "first load" is the first of a process, as when a run is resumed; "load" is in one process that has loaded before,
and so has the memory already. Peak memory is measured in a process of its own for each case, above what it needed
before and less the state itself. Needs torch.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch

import torchish_mlx

MB = 1 << 20
SHAPES = {"64 tensors": 64, "1 tensor": 1}


def arrays(megabytes: float, count: int) -> dict[str, mx.array]:
    """``count`` float32 arrays of ``megabytes`` in all, in numbers that do not compress or repeat."""
    size = int(megabytes * MB / 4 / count)
    made = {f"layers.{i}.weight": mx.random.normal((size,), key=mx.random.key(i)) for i in range(count)}
    mx.eval(made)
    return made


def synced(path: Path) -> None:
    """Flush a written file to disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def load_mlx(path: str) -> dict[str, mx.array]:
    loaded = mx.load(path)
    mx.eval(loaded)
    return loaded


#: name -> (file, how it is read)
LOADS: dict[str, tuple[str, Callable[[str], object]]] = {
    "torch.load": ("torch.pt", lambda path: torch.load(path, weights_only=True)),
    "mx.load": ("mlx.safetensors", load_mlx),
    "ours .pt": ("ours.pt", torchish_mlx.load),
    "ours .safetensors": ("ours.safetensors", torchish_mlx.load),
}


def clocked(call: Callable[[], object]) -> float:
    """The milliseconds of one call."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def first_load(name: str, folder: Path) -> float:
    """The milliseconds of the first load of a new process, after its imports."""
    command = [sys.executable, __file__, "--first", name, str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def contestants(state: dict[str, mx.array], folder: Path) -> dict[str, dict[str, Callable[[], float]]]:
    """kind -> name -> a call that gives its milliseconds; each name's file is written before it is read."""
    theirs = {name: torch.from_numpy(np.array(a)) for name, a in state.items()}
    torch_pt, mlx_st = folder / "torch.pt", folder / "mlx.safetensors"
    saves: dict[str, Callable[[], object]] = {
        "torch.save": lambda: torch.save(theirs, torch_pt),
        "mx.save_safetensors": lambda: mx.save_safetensors(str(mlx_st), state),
        "torch.save +fsync": lambda: (torch.save(theirs, torch_pt), synced(torch_pt)),
        "mx.save_safetensors +fsync": lambda: (mx.save_safetensors(str(mlx_st), state), synced(mlx_st)),
        "ours .pt": lambda: torchish_mlx.save(state, folder / "ours.pt"),
        "ours .safetensors": lambda: torchish_mlx.save(state, folder / "ours.safetensors"),
    }
    return {
        "save": {name: partial(clocked, call) for name, call in saves.items()},
        "first load": {name: partial(first_load, name, folder) for name in LOADS},
        "load": {name: partial(clocked, partial(read, str(folder / file))) for name, (file, read) in LOADS.items()},
    }


def timed(megabytes: float, count: int, rounds: int, folder: Path) -> list[dict[str, object]]:
    """One row for each contestant: median and spread in ms, and the ratio to the slower peer."""
    rows: list[dict[str, object]] = []
    for kind, named in contestants(arrays(megabytes, count), folder).items():
        times: dict[str, list[float]] = {name: [] for name in named}
        for turn in range(rounds + 1):
            order = list(named)
            random.shuffle(order)
            for name in order:
                os.sync()  # nobody pays for the pages that another one left behind
                milliseconds = named[name]()
                if turn:  # the first round warms up
                    times[name].append(milliseconds)
        medians = {name: statistics.median(values) for name, values in times.items()}
        plain = max(m for name, m in medians.items() if not name.startswith("ours") and "+" not in name)
        flushed = max((m for name, m in medians.items() if "+fsync" in name), default=plain)
        rows += [
            {
                "what": kind,
                "name": name,
                "ms": round(median),
                "from": round(min(times[name])),
                "to": round(max(times[name])),
                "ratio": round(median / plain, 2),
                "ratio, all flushed": round(median / flushed, 2) if name.startswith("ours") else "",
            }
            for name, median in medians.items()
        ]
    return rows


def peak() -> int:
    """The largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux hands ru_maxrss on to the processes that it starts
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measured_alone(case: str, path: str, megabytes: float, count: int) -> float:
    """In this process: the peak of one save or load above the state itself, in MB."""
    warm = Path(path).with_name("warm" + Path(path).suffix)
    torchish_mlx.save({"a": mx.ones(4)}, warm)
    torchish_mlx.load(warm)
    before = peak()
    if case == "load":
        kept = torchish_mlx.load(path)
        mx.eval([t.array for t in kept.values()])
    else:
        size = int(megabytes * MB / 4 / count)
        state = {}
        for i in range(count):  # one by one: building must not need more than saving
            state[f"layers.{i}.weight"] = mx.full((size,), float(i))
            mx.eval(state)
        torchish_mlx.save(state, path)
    return (peak() - before) / MB - megabytes


def memory(megabytes: float, count: int, folder: Path) -> list[dict[str, object]]:
    """One row for each case, each measured in a process of its own."""
    rows: list[dict[str, object]] = []
    for suffix in (".pt", ".safetensors"):
        path = folder / f"memory{suffix}"
        for case in ("save", "load"):
            command = [sys.executable, __file__, "--alone", case, str(path), str(megabytes), str(count)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            extra = json.loads(run.stdout)
            rows.append(
                {"what": case, "file": suffix, "extra MB": round(extra), "of the state": round(extra / megabytes, 2)}
            )
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """Rows as aligned text."""
    lines = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=500, help="size of the state for the times")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-mb", type=float, default=1024, help="size of the state for the peak memory")
    parser.add_argument("--folder", help="where to write; the system's temporary folder if left out")
    parser.add_argument("--alone", nargs=4, metavar=("CASE", "PATH", "MB", "COUNT"), help=argparse.SUPPRESS)
    parser.add_argument("--first", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first:
        name, folder = args.first
        file, read = LOADS[name]
        sys.stdout.write(str(clocked(partial(read, str(Path(folder) / file)))))
        return
    if args.alone:
        case, path, megabytes, count = args.alone
        sys.stdout.write(json.dumps(measured_alone(case, path, float(megabytes), int(count))))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        for label, count in SHAPES.items():
            sys.stdout.write(f"\n{args.mb:g} MB in {label}, {args.rounds} rounds, milliseconds\n")
            sys.stdout.write(table(timed(args.mb, count, args.rounds, Path(name))) + "\n")
        for label, count in SHAPES.items():
            sys.stdout.write(f"\nPeak memory besides a state of {args.memory_mb:g} MB in {label}\n")
            sys.stdout.write(table(memory(args.memory_mb, count, Path(name))) + "\n")


if __name__ == "__main__":
    main()
