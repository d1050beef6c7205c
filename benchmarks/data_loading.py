"""Time of a batch from the ``DataLoader``, next to torch's where that is installed.

    python benchmarks/data_loading.py [--quick]

Digits are samples of 8x8 in batches of 64, images samples of 3x32x32 in batches of 128, both in float32 and with a
label. *rows* is a ``TensorDataset``; *items* is a class whose ``__getitem__`` indexes a Tensor; *made* is one that
makes a Tensor of a NumPy array; *arrays* gives the array itself. Times are those of the wall clock: the mean over the
batches of the best of some epochs, whose order is exchanged between the two sides, without the first batches.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
from typing import Any

import numpy as np

import torchish_mlx

SHAPES = {"digits": ((8, 8), 64), "images": ((3, 32, 32), 128)}
KINDS = ("rows", "items", "made", "arrays")


class Items:
    """Samples of one of the kinds."""

    def __init__(self, kind: str, module: Any, x: Any, y: Any) -> None:
        self.kind, self.module, self.x, self.y = kind, module, x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> Any:
        if self.kind == "made":
            return self.module.from_numpy(self.x[i]), int(self.y[i])
        return self.x[i], self.y[i]


def dataset(kind: str, module: Any, shape: tuple[int, ...], n: int) -> Any:
    """A dataset of one of the kinds, for one of the two sides."""
    rng = np.random.default_rng(0)
    x, y = rng.random((n, *shape), np.float32), rng.integers(10, size=n)
    if kind in ("rows", "items"):
        x, y = module.tensor(x), module.tensor(y)
    if kind == "rows":
        return module.utils.data.TensorDataset(x, y)
    return Items(kind, module, x, y)


def seconds(loader: Any, skipped: int) -> float:
    """The mean time of a batch of one epoch, without the first ones."""
    start, count = 0.0, -skipped
    for _ in loader:
        count += 1
        if count == 0:
            start = time.perf_counter()
    return (time.perf_counter() - start) / count


def measured(
    modules: dict[str, Any], kind: str, name: str, workers: int, batches: int, epochs: int
) -> dict[str, float]:
    """Microseconds of a batch, for each side."""
    shape, size = SHAPES[name]
    loaders = {
        side: module.utils.data.DataLoader(
            dataset(kind, module, shape, batches * size),
            batch_size=size,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        for side, module in modules.items()
    }
    best = dict.fromkeys(modules, float("inf"))
    for turn in range(epochs):
        for side in list(modules) if turn % 2 else reversed(list(modules)):
            best[side] = min(best[side], seconds(loaders[side], 4 + 4 * workers) * 1e6)
    return best


def main() -> None:
    """Write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer batches")
    options = parser.parse_args()
    modules = {"here": torchish_mlx}
    if importlib.util.find_spec("torch"):
        modules["torch"] = importlib.import_module("torch")
    batches, epochs = (40, 3) if options.quick else (150, 6)
    sys.stdout.write(f"{'us a batch':30}" + "".join(f"{side:>9}" for side in modules) + "    ratio\n")
    for workers in (0, 2):
        for name in SHAPES:
            for kind in KINDS:
                times = measured(modules, kind, name, workers, batches, epochs)
                ratio = f"{times['here'] / times['torch']:9.2f}" if "torch" in times else ""
                row = f"{name} {kind}, {workers} workers"
                sys.stdout.write(f"{row:30}" + "".join(f"{each:9.0f}" for each in times.values()) + ratio + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
