"""The command: its options, what it needs, and Ctrl-C. Imports nothing that may be missing, nor anything slow."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from .. import optim

NEEDED = ("torch", "expecttest", "jinja2", "matplotlib", "tabulate", "tqdm")
TORCH = "2.13.0"  # whose table of optimizers this is, and whose numbers the limits were measured on
INSTALL = "pip install 'torchish-mlx[parity]'"
NOT_TORCHS = ("Optimizer", "Lion", "MultiOptimizer")
CLASSES = [getattr(optim, name) for name in optim.__all__ if isinstance(getattr(optim, name), type)]
#: name -> the file of its rule
OPTIMIZERS = {cls.__name__: cls.__module__.rpartition(".")[2] for cls in CLASSES if cls.__name__ not in NOT_TORCHS}
FAMILIES = [*dict.fromkeys(OPTIMIZERS.values()), "lr_scheduler", "schedules", "clip_grad", "half"]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m torchish_mlx parity",
        description="Run this package and torch on this machine, and write how far apart their results are.",
        epilog="Exit status: 0 all passed, 1 some failed, 2 it could not run, 130 interrupted.",
    )
    made.add_argument(
        "--optimizer", action="append", default=[], choices=OPTIMIZERS, metavar="NAME", help="only this; repeatable"
    )
    made.add_argument(
        "--family",
        action="append",
        default=[],
        choices=FAMILIES,
        metavar="NAME",
        help=f"only this; repeatable: {', '.join(FAMILIES)}",
    )
    made.add_argument("--device", choices=("cpu", "gpu"), help="where MLX computes (default: where it does by itself)")
    made.add_argument("--quick", action="store_true", help="fewer ways and steps: about 20 seconds")
    made.add_argument(
        "--out", type=Path, default=Path("out/parity"), metavar="FOLDER", help="for the files (default: %(default)s)"
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status."""
    held = signal.signal(signal.SIGINT, stop)
    try:
        return checked(parser().parse_args(arguments))
    finally:
        signal.signal(signal.SIGINT, held)


def checked(options: argparse.Namespace) -> int:
    """Runs the report, if what it needs is there."""
    if options.out.exists() and not options.out.is_dir():
        return refused(f"--out {options.out} is a file; it must be a folder")
    if absent := [name for name in NEEDED if find_spec(name) is None]:
        return refused(f"needs {', '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} missing: {INSTALL}")
    warnings = []
    if (found := version("torch").partition("+")[0]) != TORCH:
        warnings.append(f"torch {found} is installed; the limits are those of torch {TORCH}.")
        sys.stderr.write(f"warning: {warnings[0]}\n")
    try:
        report = import_module("torchish_mlx.parity.report")
    except ImportError as error:
        return refused(f"{error}: {INSTALL}")
    return int(report.report(options, warnings))


def refused(why: str) -> int:
    sys.stderr.write(f"parity: {why}\n")
    return 2


def stop(*_: object) -> NoReturn:
    """Ends the process at once, so that no library prints a traceback. No file is written before all are complete."""
    sys.stdout.flush()
    sys.stderr.write("\nInterrupted; nothing was left half written.\n")
    sys.stderr.flush()
    os._exit(130)
