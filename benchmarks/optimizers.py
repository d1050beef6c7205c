"""Time and memory of an optimizer's step, compared with ``mlx.optimizers`` and torch.

    make bench                                                     # everything, 30 rounds: an hour or two on two cores
    make bench BENCH_ARGS="--optimizer adamw --set gpt small"      # a part of it
    make bench BENCH_ARGS=--quick                                  # tiny sets, to see that it works

All contestants of a case take turns in one process, round by round, in a new order each round; the tables give medians
and quartiles. Gradients are new in each turn and evaluated before the clock starts.

Host time ends when the call returns. MLX has then built a graph and computed nothing: a person with a fast GPU waits
for this. ``step()`` also schedules an evaluation, for which MLX's CPU backend waits, so ``mx.async_eval`` does nothing
while host time is taken; the graph is evaluated outside the clock. Total time ends when ``mx.eval`` of the model's
parameters and the optimizer's state has returned, and on a GPU ``mx.synchronize``. Both have turns of their own. torch
on the CPU computes at once and has no host time of its own.

Every side has the same hyper-parameters. MLX's AdamW has its default, without bias correction, which makes its
work less. Muon gets the matrices of a set.

Peak memory is measured in a process of its own for each path, after the first step. First steps are measured in new
processes whose kernel cache is an empty folder, and once more with what the first of them left there.

Everything runs on MLX's default device, torch on the same kind and on all cores. Its threads wait for each other by
spinning. Where another process is busy, that takes many times as long, unless OMP_WAIT_POLICY=passive is set, which on
a quiet machine costs torch a factor of 1.4 to 1.8; a note says where other processes took more than a tenth of the
machine.

Writes optimizers.txt and .json to out/bench after each part, and .png at the end;
torch, lion-pytorch and matplotlib are used where they are installed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlx.core as mx
from steps import alone, costs, scaling, sides
from steps.bars import bars
from steps.on_mlx import EAGER, OPTIMIZERS, OURS, on_gpu
from steps.report import text, write
from steps.rounds import Clock, Rows
from steps.sets import MOST_GFLOP, SETS, Case, case, muon_gflop

import torchish_mlx

DTYPES = ("float32", "bfloat16")


def say(words: str) -> None:
    """A line on the terminal for each case."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {words}\n")
    sys.stderr.flush()


def about(rounds: int, with_torch: bool) -> dict[str, Any]:
    """What this run runs on."""

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    device = mx.default_device()
    named = mx.device_info(device).get("device_name") or mx.device_info(device).get("architecture") or ""
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "device": f"{device} {named}".strip(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "torchish_mlx": torchish_mlx.__version__,
        "mlx": installed("mlx"),
        **{package: installed(package) if with_torch else "not used" for package in ("torch", "lion-pytorch")},
        **(sides.torch_side().about() if with_torch else {}),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "not set"),
        "BLAS loaded first": Path(os.environ.get("LD_PRELOAD", "none").split(":")[0]).parent.name or "none",
        "rounds": rounds,
    }


def cases(args: argparse.Namespace, clock: Clock) -> list[Case]:
    """What is measured; Muon's large matrices are not, on the CPU."""
    found = []
    for given in (case(o, s, d, args.quick) for o in args.optimizer for s in args.set for d in args.dtype):
        work = muon_gflop(given.shapes) if given.optimizer == "muon" and not on_gpu() else 0
        if work > MOST_GFLOP:
            clock.notes.append(f"{given} left out: {work:.0f} GFLOP a step in bfloat16, which takes minutes on the CPU")
        else:
            found.append(given)
    return found


def parts(args: argparse.Namespace, clock: Clock, with_torch: bool) -> dict[str, Callable[[], Any]]:
    """name -> what measures it."""

    def steps() -> Rows:
        rows: Rows = []
        for given in cases(args, clock):
            labels = {"optimizer": given.optimizer, "set": given.set, "dtype": given.dtype}
            labels |= {"tensors": len(given.shapes), "megabytes": given.megabytes}
            names = sides.paths(with_torch, given.optimizer)
            rows += clock.rows(str(given), sides.contestants(given, names), **labels)
            mx.clear_cache()
        return rows

    def memory() -> Rows:
        if args.quick:
            return alone.memories(cases(args, clock)[0], (OURS, EAGER), clock)
        named = [(given, sides.paths(with_torch, given.optimizer)) for given in cases(args, clock)]
        return [row for given, paths in named for row in alone.memories(given, paths, clock)]

    return {
        "bandwidth": lambda: scaling.bandwidth(args.quick),
        "steps": steps,
        "memory": memory,
        "clip": lambda: costs.clipping(args.set, args.dtype, with_torch, clock),
        "schedulers": lambda: costs.schedulers(with_torch, clock),
        "traces": lambda: costs.traces(clock),
        "hooks": lambda: costs.hooks(clock),
        "groups": lambda: costs.groups([name for name in args.set if name != "large"], clock),
        "many groups": lambda: costs.many_groups(with_torch, clock),
        "numbers": lambda: scaling.numbers(clock),
        "bytes": lambda: scaling.sizes(clock),
        "first": lambda: alone.firsts(args.optimizer, clock),
    }


PARTS = tuple(parts(argparse.Namespace(), Clock(0, 0, True, [], say), False))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizer", nargs="+", choices=list(OPTIMIZERS), default=list(OPTIMIZERS))
    parser.add_argument("--set", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    parser.add_argument("--no-torch", action="store_true", help="measure MLX alone")
    parser.add_argument("--rounds", type=int, help="30, or 3 with --quick")
    parser.add_argument("--limit", type=float, default=600, help="seconds of one case, after which it has fewer rounds")
    parser.add_argument("--quick", action="store_true", help="tiny sets, to see that it works")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="the folder to write to")
    args = parser.parse_args()
    args.rounds = args.rounds if args.rounds is not None else 3 if args.quick else 30
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return args


def main() -> int:
    args = arguments()
    with_torch = not args.no_torch and find_spec("torch") is not None
    results: dict[str, Any] = {"run": about(args.rounds, with_torch), "notes": []}
    if args.quick:
        results["notes"].append("--quick: tiny sets; the figures say nothing")
    clock = Clock(args.rounds, args.limit, args.quick, results["notes"], say)
    for name, measure in parts(args, clock, with_torch).items():
        if name in args.only:
            results[name] = measure()
            results["bars"] = bars(results)
            written = write(results, args.out)
    if find_spec("matplotlib"):
        written.append(args.out / "optimizers.png")
        importlib.import_module("steps.picture").draw(results, written[-1])
    sys.stdout.write(text(results))
    sys.stdout.writelines(f"wrote {path}\n" for path in written)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: the files hold the parts that were done.\n")
        sys.exit(130)
