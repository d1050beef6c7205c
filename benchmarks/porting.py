"""The programs of docs/porting.md, compared: the torch script, the same under ``run``, its port, and optional steps.

    OMP_NUM_THREADS=1 python benchmarks/porting.py [--rounds 7] [--quick]

All start from the weights that torch drew, converted as the page says. Prints the page's two tables: how far losses
and weights are from torch's, and what a step takes, from one call of ``scheduler.step()`` to the next: the median of
the processor's time, all threads together. Unlike the clock's it is hardly changed by other work on the machine, as
long as no threads spin waiting for each other: hence one thread. The first two steps of each round, which trace and
compile, and the smaller last batch of an epoch are left out. The contestants take turns, in an order that changes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from digits_task import EPOCH
from mlx.utils import tree_flatten
from porting_page import programs

import torchish_mlx


def say(words: str) -> None:
    sys.stdout.write(words)
    sys.stdout.flush()


def namespaces() -> dict[str, dict[str, Any]]:
    """Each program, run as it is on the page in a folder of its own; then its ``Net`` and ``train`` are used."""
    found: dict[str, dict[str, Any]] = {}
    here = Path.cwd()
    for name, program in programs().items():
        found[name] = {"__name__": "__main__"}
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            os.chdir(folder)
            try:
                exec(compile(program, name, "exec"), found[name])
            finally:
                os.chdir(here)
    return found


def new_model(program: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> Any:
    """The program's model with torch's weights."""
    model = program["Net"]()
    if isinstance(model, torch.nn.Module):
        model.load_state_dict(weights)
    elif isinstance(model, torchish_mlx.nn.Module):
        model.load_state_dict({name: torchish_mlx.tensor(w.numpy()) for name, w in weights.items()})
    else:
        given = {
            name: torchish_mlx.Tensor(mx.array(w.numpy().transpose(0, 2, 3, 1) if w.ndim == 4 else w.numpy()))
            for name, w in weights.items()
        }
        torchish_mlx.load_state_dict(model, given)
    return model


def in_torchs_layout(model: Any) -> dict[str, np.ndarray]:
    if isinstance(model, (torch.nn.Module, torchish_mlx.nn.Module)):
        return {name: p.detach().numpy() for name, p in model.named_parameters()}
    arrays = {name: np.array(a) for name, a in tree_flatten(model.parameters())}
    return {name: a.transpose(0, 3, 1, 2) if a.ndim == 4 else a for name, a in arrays.items()}


def numbers(all_of: Mapping[str, dict[str, Any]], weights: Mapping[str, torch.Tensor], epochs: int) -> None:
    """How far each is from torch."""
    heads = ["", "largest difference of a loss from torch's, first epoch", "all epochs", "of a weight, at the end"]
    say("| " + " | ".join([*heads, "last loss", "test accuracy"]) + " |\n")
    say("|---" * 6 + "|\n")
    theirs: tuple[np.ndarray, np.ndarray] | None = None
    for name, program in all_of.items():
        model = new_model(program, weights)
        losses = np.array(program["train"](model, epochs)[0])
        flat = np.concatenate([a.ravel() for _, a in sorted(in_torchs_layout(model).items())])
        ends = [f"{losses[-1]:.4f}", f"{program['accuracy'](model):.3f}"]
        if theirs is None:
            theirs = losses, flat
            cells = ["", "", ""]
        else:
            off = np.abs(losses - theirs[0])
            cells = [f"{value:.1e}" for value in (off[:EPOCH].max(), off.max(), np.abs(flat - theirs[1]).max())]
        say("| " + " | ".join([name, *cells, *ends]) + " |\n")


def clocked(scheduler: type, times: list[float]) -> type:
    """A scheduler that notes when it is stepped."""

    def step(self: Any, *args: Any) -> None:
        scheduler.step(self, *args)  # type: ignore[attr-defined]
        times.append(time.process_time())

    return type(scheduler.__name__, (scheduler,), {"step": step})


def speed(all_of: Mapping[str, dict[str, Any]], weights: Mapping[str, torch.Tensor], rounds: int) -> None:
    """What a step takes."""
    steps: dict[str, list[float]] = {name: [] for name in all_of}
    names = list(all_of)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            program = all_of[name]
            times: list[float] = []
            model = new_model(program, weights)
            kept = program["SequentialLR"]
            program["SequentialLR"] = clocked(kept, times)
            program["train"](model, 2)
            program["SequentialLR"] = kept
            took = 1e3 * np.diff(times)
            steps[name] += [t for i, t in enumerate(took) if i > 0 and (i + 2) % EPOCH]
    median = {name: float(np.median(found)) for name, found in steps.items()}
    say("\n| | processor time, ms a step | to torch's |\n|---|---|---|\n")
    for name in names:
        say(f"| {name} | {median[name]:.2f} | {median[name] / median['torch']:.2f} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the timing")
    parser.add_argument("--quick", action="store_true", help="one epoch, one round")
    args = parser.parse_args()
    all_of = namespaces()
    torch.manual_seed(0)
    weights = all_of["torch"]["Net"]().state_dict()
    numbers(all_of, weights, 1 if args.quick else 10)
    speed(all_of, weights, 1 if args.quick else args.rounds)


if __name__ == "__main__":
    main()
