"""Draw the curve of every learning-rate scheduler.

    python examples/schedules.py [--steps 100] [--out out]

A thin line is what `scheduler.step()` writes into `param_groups`, dots are `scheduler.as_schedule()`, the pure function
of the step, where there is one. Where torch is installed, torch's scheduler is drawn underneath, as a broad line, and
the largest difference is printed. Writes OUT/schedules.png.
"""

from __future__ import annotations

import common

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from torchish_mlx import Parameter, optim

TORCH = importlib.util.find_spec("torch") is not None
if TORCH:
    import torch

Make = Callable[[Any, Any, int], Any]
COLUMNS = 5


def sides() -> dict[str, tuple[Callable[[], Any], Any]]:
    """name -> (a new optimizer, its schedulers): ours, and torch's where it is installed."""
    ours = SimpleNamespace(**vars(optim.lr_scheduler), SWALR=optim.swa_utils.SWALR)
    found = {"torchish_mlx": (lambda: optim.SGD([Parameter(mx.zeros(1))], lr=1.0, momentum=0.9), ours)}
    if TORCH:
        theirs = SimpleNamespace(**vars(torch.optim.lr_scheduler), SWALR=torch.optim.swa_utils.SWALR)
        found["torch"] = (lambda: torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9), theirs)
    return found


def warm_up_and_decay(s: Any, o: Any, n: int) -> Any:
    return s.ChainedScheduler([s.LinearLR(o, 0.1, total_iters=n // 5), s.ExponentialLR(o, 0.97)])


# The learning rate of the optimizers is 1; n is the number of steps.
PANELS: dict[str, Make] = {
    "LambdaLR": lambda s, o, n: s.LambdaLR(o, lambda k: 1 / (1 + 10 * k / n)),
    "MultiplicativeLR": lambda s, o, _: s.MultiplicativeLR(o, lambda k: 0.97 if k % 20 < 10 else 0.99),
    "StepLR": lambda s, o, n: s.StepLR(o, n // 5, gamma=0.5),
    "MultiStepLR": lambda s, o, n: s.MultiStepLR(o, [n // 5, n // 2, 9 * n // 10], gamma=0.4),
    "ConstantLR": lambda s, o, n: s.ConstantLR(o, 0.3, total_iters=n // 3),
    "LinearLR": lambda s, o, n: s.LinearLR(o, 0.1, total_iters=2 * n // 3),
    "ExponentialLR": lambda s, o, _: s.ExponentialLR(o, 0.96),
    "PolynomialLR": lambda s, o, n: s.PolynomialLR(o, total_iters=9 * n // 10, power=2.0),
    "CosineAnnealingLR": lambda s, o, n: s.CosineAnnealingLR(o, T_max=2 * n // 5, eta_min=0.1),
    "CosineAnnealingWarmRestarts": lambda s, o, n: s.CosineAnnealingWarmRestarts(o, T_0=n // 7, T_mult=2),
    "CyclicLR, triangular2": lambda s, o, n: s.CyclicLR(o, 0.1, 1.0, step_size_up=n // 8, mode="triangular2"),
    "OneCycleLR": lambda s, o, n: s.OneCycleLR(o, 1.0, total_steps=n),
    "ReduceLROnPlateau": lambda s, o, n: s.ReduceLROnPlateau(o, factor=0.5, patience=n // 20),
    "SequentialLR": lambda s, o, n: s.SequentialLR(
        o, [s.LinearLR(o, 0.05, total_iters=n // 5), s.CosineAnnealingLR(o, n - n // 5)], [n // 5]
    ),
    "ChainedScheduler": warm_up_and_decay,
    "SequentialLR of a chain": lambda s, o, n: s.SequentialLR(
        o, [warm_up_and_decay(s, o, n), s.CosineAnnealingWarmRestarts(o, n // 6)], [n // 2]
    ),
    "SWALR after CosineAnnealingLR": lambda s, o, n: s.SequentialLR(
        o, [s.CosineAnnealingLR(o, n), s.SWALR(o, 0.6, anneal_epochs=n // 10)], [2 * n // 3]
    ),
    "FromSchedule": lambda s, o, n: s.FromSchedule(
        o,
        mlx.optimizers.join_schedules(
            [mlx.optimizers.linear_schedule(0.0, 1.0, n // 5), mlx.optimizers.cosine_decay(1.0, n // 2, 0.2)], [n // 5]
        ),
    ),
    "OneCycleLR: momentum": lambda s, o, n: s.OneCycleLR(o, 1.0, total_steps=n, three_phase=True),
    "CyclicLR: momentum": lambda s, o, n: s.CyclicLR(o, 0.1, 1.0, step_size_up=n // 8, step_size_down=n // 5),
}


def drive(title: str, optimizer: Any, scheduler: Any, steps: int) -> np.ndarray:
    """The learning rate (or the momentum) of each step, as training would see it."""
    key = "momentum" if "momentum" in title else "lr"
    values = []
    for k in range(steps):
        values.append(optimizer.param_groups[0][key])
        optimizer.step()
        if k == steps - 1:
            break
        if title == "ReduceLROnPlateau":
            scheduler.step(max(1 - 4 * k / steps, 0.4))  # a loss that falls, and then stays where it is
        else:
            scheduler.step()
    return np.array(values)


def pure(scheduler: Any, steps: np.ndarray) -> np.ndarray | None:
    try:
        return np.array(scheduler.as_schedule()(mx.array(steps)))
    except ValueError:  # no closed form
        return None


def draw(axes: Axes, title: str, steps: int) -> float:
    """One panel; returns the largest difference from torch relative to the largest value, 0 without torch."""
    found = sides()
    new, schedulers = found["torchish_mlx"]
    optimizer = new()
    scheduler = PANELS[title](schedulers, optimizer, steps)
    dots = np.arange(0, steps, max(steps // 20, 1))
    function = None if "momentum" in title else pure(scheduler, dots)
    values = drive(title, optimizer, scheduler, steps)
    difference = 0.0
    if "torch" in found and title != "FromSchedule":
        new, schedulers = found["torch"]
        optimizer = new()
        theirs = drive(title, optimizer, PANELS[title](schedulers, optimizer, steps), steps)
        axes.plot(theirs, color="#f4a259", linewidth=5, label="torch", solid_capstyle="round")
        difference = float(np.abs(values - theirs).max() / np.abs(theirs).max())
    axes.plot(values, color="#1d3557", linewidth=1.2, label="torchish_mlx: scheduler.step()")
    if function is not None:
        axes.plot(dots, function, "o", color="#c1121f", markersize=3, label="torchish_mlx: scheduler.as_schedule()")
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=7)
    axes.set_ylim((0.78, 0.97) if "momentum" in title else (-0.05, 1.08))
    return difference


def plot(steps: int, path: Path) -> dict[str, float]:
    """All panels into one PNG; returns each one's difference from torch."""
    rows = -(-len(PANELS) // COLUMNS)
    figure = Figure(figsize=(13, 2.2 * rows + 0.7), dpi=90, layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharex=True)
    differences = {
        title: draw(axes, title, steps) for axes, title in zip(panels.flat[: len(PANELS)], PANELS, strict=True)
    }
    for axes in panels.flat[len(PANELS) :]:
        axes.set_axis_off()
    figure.supxlabel("calls of scheduler.step()", fontsize=9)
    figure.supylabel("learning rate (the optimizer's own is 1), momentum in the last two", fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=9, frameon=False)
    with common.whole(path) as file:
        figure.savefig(file)
    return differences


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Draw the curve of every learning-rate scheduler.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=100, help="how many steps to draw, 20 or more")
    parser.add_argument("--out", type=Path, default=Path("out"), help="the folder that the picture goes into")
    args = parser.parse_args()
    if args.steps < 20:
        parser.error(f"--steps must be 20 or more, got {args.steps}")
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    # A chain within a SequentialLR is stepped when that is made, and warns of the order of calls, in torch too.
    warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
    differences = plot(args.steps, args.out / "schedules.png")
    if TORCH:
        worst = max(differences, key=lambda title: differences[title])
        same = "none, the same numbers bit for bit"
        apart = f"{differences[worst]:.1e} of the highest value, {worst}" if differences[worst] else same
        print(f"largest difference from torch: {apart}")
    else:
        print("torch is not installed here, so its curves are missing.")
    print(f"plot  {args.out / 'schedules.png'} ({len(PANELS)} panels, {time.perf_counter() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
