"""What the examples share: options, batches, progress, pictures, files. No torch, no mlx.

Import it first: from then on Ctrl-C ends the script in one line, during the slow imports too.
"""

from __future__ import annotations

import os
import signal
import sys

importing = True  # until the script has all of its modules


def stop(*_: object) -> None:
    sys.stderr.write("\nInterrupted; nothing was left half written.\n")
    if importing:  # an exception inside a native module that is being initialized would abort the process
        sys.stderr.flush()
        os._exit(130)
    sys.exit(130)


signal.signal(signal.SIGINT, stop)

import argparse
import atexit
import json
import math
import tempfile
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a line is seen when it is printed, in a pipe too

atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all is done: Ctrl-C comes too late

LINES = 20  # printed in a run, at most, after the first
POINTS = 100  # drawn of a curve, at most
NOT_SETTINGS = ("out", "quick", "resume")  # options that change no number


# Options -----------------------------------------------------------------------------------------------------------


def parser(doc: str) -> argparse.ArgumentParser:
    """--out, --seed and --quick; a script adds its own options with ``type=common.count`` or ``common.positive``."""
    global importing
    importing = False
    made = argparse.ArgumentParser(
        description=doc.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--out", type=Path, default=Path("out"), help="the folder that the files go into")
    made.add_argument("--seed", type=seed, default=0, help="for the initial weights and the order of the data")
    made.add_argument("--quick", action="store_true", help="a few seconds of training, to see that it runs")
    return made


def parse(options: argparse.ArgumentParser, quick: Mapping[str, Any]) -> argparse.Namespace:
    """The arguments; ``quick`` has the defaults that hold with --quick. Makes the folder --out."""
    args = options.parse_args()
    if args.quick:
        options.set_defaults(**quick)
        args = options.parse_args()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        options.error(f"--out {args.out}: {error.strerror}")
    return args


def count(text: str) -> int:
    """An int, 1 or more."""
    return int(_greater_than_0(int(text)))


def positive(text: str) -> float:
    """A float, finite and greater than 0."""
    return _greater_than_0(float(text))


def _greater_than_0(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be greater than 0 and finite, got {value}")
    return value


def seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {value}")
    return value


# Weights and batches -----------------------------------------------------------------------------------------------


def initial(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """How a Parameter of an ``mlx.nn`` model begins: uniform in +-1/sqrt(fan_in); vectors are 0, a norm's weight 1."""
    if len(shape) < 2:
        return np.full(shape, name.endswith("weight"), np.float32)
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def batches(samples: int, size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """The indices of each batch of an epoch, in random order; the last batch may be smaller."""
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    for start in range(0, samples, size):
        yield order[start : start + size]


# Progress and files ------------------------------------------------------------------------------------------------


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to; the file appears under ``path`` when it is complete. Ctrl-C waits until then."""
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            yield Path(folder) / path.name
            (Path(folder) / path.name).replace(path)
    finally:
        signal.signal(signal.SIGINT, stop)
    if pressed:
        stop()


def wrote(path: Path, note: str = "") -> None:
    print(f"wrote {path}{note}")


class Log:
    """The curves of a run: lines and a progress bar while it trains, then OUT/NAME.json and OUT/NAME.png.

    ``for epoch in log.steps(10, "epoch")`` counts from 1; ``log.add(epoch, loss=..., test_accuracy=...)`` adds a point
    to each of the curves, whose newest values are printed. ``log.curves`` may be saved, and set to go on with.
    """

    def __init__(self, script: str, args: argparse.Namespace) -> None:
        self.name = Path(script).stem
        self.out: Path = args.out
        self.settings = {name: value for name, value in vars(args).items() if name not in NOT_SETTINGS}
        self.curves: dict[str, list[list[float]]] = {}
        self.unit = "step"
        self.began = time.perf_counter()

    def steps(self, total: int, unit: str = "step", start: int = 0) -> Iterator[int]:
        """start + 1, ..., total, with a progress bar in a terminal, and a line for the first and up to 20 more."""
        self.unit = unit
        with tqdm(total=total, initial=start, unit=unit, leave=False, disable=None) as bar:
            for step in range(start + 1, total + 1):
                yield step
                bar.update()
                if step == start + 1 or step * LINES // total > (step - 1) * LINES // total:
                    newest = (f"{name.replace('_', ' ')} {shown(c[-1][1])}" for name, c in self.curves.items())
                    bar.write("  ".join([f"{unit} {step:{len(str(total))}}/{total}", *newest]))

    def add(self, step: int, **values: float) -> None:
        """A point of each curve; a curve named "loss" is in every example."""
        for name, value in values.items():
            if not math.isfinite(value):
                sys.exit(f"The {name.replace('_', ' ')} is {value} at {self.unit} {step}: a smaller --lr may help.")
            self.curves.setdefault(name, []).append([step, value])

    def go_on(self, curves: dict[str, list[list[float]]], settings: dict[str, Any]) -> None:
        """Take up the curves of a checkpoint, if it is of a run with the same options."""
        for name in settings:
            if settings[name] != self.settings[name]:
                option = f"--{name.replace('_', '-')}"
                sys.exit(f"--resume: the checkpoint is of a run with {option} {settings[name]}; repeat its options.")
        self.curves = curves

    def save(self, title: str, log_scale: Collection[str] = (), draw: Callable[[Axes], None] | None = None) -> None:
        """Write and draw the curves, with those of OUT/torch over them where these are of the same settings.

        ``draw(axes)`` draws one panel more.
        """
        place = self.out / f"{self.name}.json"
        with whole(place) as file:
            file.write_text(json.dumps({"settings": self.settings, "curves": self.curves}, default=str) + "\n")
        wrote(place)
        theirs = self._torchs()
        place = self.out / f"{self.name}.png"
        with whole(place) as file:
            picture(title, self.unit, self.curves, theirs, log_scale, draw).savefig(file)
        wrote(place, f" (the curves in {self.out / 'torch'} are drawn over these)" if theirs else "")
        for name in theirs:
            pairs = zip(self.curves[name], theirs[name], strict=False)  # a line search may evaluate once more
            apart = max(abs(a[1] - b[1]) for a, b in pairs)
            print(f"{name.replace('_', ' ')}: at most {apart:.1g} from torch's")
        print(f"time {time.perf_counter() - self.began:.0f} s")

    def _torchs(self) -> dict[str, list[list[float]]]:
        """The curves in OUT/torch, or nothing."""
        try:
            saved = json.loads((self.out / "torch" / f"{self.name}.json").read_text())
        except FileNotFoundError:
            return {}
        return saved["curves"] if saved["settings"] == json.loads(json.dumps(self.settings, default=str)) else {}


def shown(value: float) -> str:
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def means(curve: list[list[float]], each: int) -> np.ndarray:
    """(2, n): the mean place and the mean value of each ``each`` points; what is left over at the end is left out."""
    whole = np.array(curve[: len(curve) // each * each])
    return whole.reshape(-1, each, 2).mean(1).T


def picture(
    title: str,
    unit: str,
    ours: dict[str, list[list[float]]],
    theirs: dict[str, list[list[float]]],
    log_scale: Collection[str] = (),
    draw: Callable[[Axes], None] | None = None,
) -> Figure:
    """A panel for each curve: this run's broad, torch's dashed over it."""
    panels = len(ours) + (draw is not None)
    figure = Figure(figsize=(5 * panels + (panels == 1), 4), dpi=120, layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for panel, name in zip(axes, ours, strict=False):
        each = -(-len(ours[name]) // POINTS)
        panel.plot(*means(ours[name], each), label="this run", color="#1f77b4", linewidth=5, alpha=0.45)
        if name in theirs:
            panel.plot(*means(theirs[name], each), label="torch", color="#d62728", linewidth=1.5, linestyle="--")
        note = f", means of {each} {unit}s" if each > 1 else ""
        scale = "log" if name in log_scale else "linear"
        panel.set(title=name.replace("_", " ") + note, xlabel=unit, yscale=scale)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
        panel.legend()
    if draw is not None:
        draw(axes[-1])
    return figure
