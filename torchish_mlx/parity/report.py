"""Runs the checks and writes the report. Importing this imports torch and its table of optimizers: seconds."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx
import torch
from tqdm import tqdm

from .facts import facts
from .families import chosen, families
from .pages import Section, as_text, files, verdict
from .rows import Check, ReportRow, run


def report(options: argparse.Namespace, warnings: list[str]) -> int:
    """The exit status: 0 where all checks passed, 1 where one failed, 2 where the device is not there."""
    if options.device:
        if not mx.is_available(getattr(mx, options.device)):
            sys.stderr.write(f"parity: MLX has no {options.device} here; --device cpu is what it has\n")
            return 2
        mx.set_default_device(getattr(mx, options.device))
    torch.set_num_threads(1)  # these tensors are small: threads only wait for each other
    began = time.perf_counter()
    rows = run_all(chosen(options.quick, options.family, options.optimizer))
    known = {**facts(options.quick), "seconds": f"{time.perf_counter() - began:.0f}"}
    sections = [Section.of(f, mine) for f in families() if (mine := [row for row in rows if row.family == f.name])]
    write(options.out, files(sections, known, warnings))
    passed, total = verdict(sections)
    sys.stdout.write(f"\n{as_text(sections)}\n{passed} of {total} checks passed in {known['seconds']} s")
    sys.stdout.write(f" (torch {known['torch']}, mlx {known['mlx']}, {known['device']})\n")
    for name in ("parity.html", "parity.md", "parity.json"):
        sys.stdout.write(f"{options.out / name}\n")
    return 0 if passed == total else 1


def run_all(checks: list[Check]) -> list[ReportRow]:
    """Every check, under a progress bar where standard error is a terminal."""
    rows = []
    with tqdm(total=len(checks), unit="check", leave=False, disable=None, dynamic_ncols=True) as bar:
        for row in run(checks):
            rows.append(row)
            bar.set_description_str(row.subject, refresh=False)
            bar.update()
            if not row.passed:
                bar.write(f"FAILED {row.subject} {row.configuration}, {row.mode}, {row.way}", file=sys.stderr)
    return rows


def write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Each file whole or not at all: Ctrl-C is held back for the milliseconds that this takes."""
    held = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as place:
            for name, content in contents.items():
                (Path(place) / name).write_bytes(content)
            for old in folder.glob("parity-*.png"):
                if old.name not in contents:
                    old.unlink()
            for name in contents:
                (Path(place) / name).replace(folder / name)
    finally:
        signal.signal(signal.SIGINT, held)
