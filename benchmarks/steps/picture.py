"""The results as one picture: bars of host and total time for each case, and how both grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from .on_mlx import COMPILED, EAGER, FUSED, IN_COMPILE, LOOP, OURS
from .report import number
from .rounds import Rows, medians

COLOURS = {
    OURS: "#08519c",
    FUSED: "#3182bd",
    LOOP: "#6baed6",
    IN_COMPILE: "#9ecae1",
    EAGER: "#d94801",
    COMPILED: "#fdae6b",
    "torch loop": "#525252",
    "torch foreach": "#969696",
    "torch fused": "#cccccc",
}
GROWTH = (("numbers", "host", "tensors"), ("bytes", "total", "megabytes"))


def draw(results: dict[str, Any], path: Path) -> None:
    """Write a PNG. The first dtype of the run has bars, the next one diamonds."""
    steps = results.get("steps", [])
    optimizers, sets, dtypes = (
        list(dict.fromkeys(row[name] for row in steps)) for name in ("optimizer", "set", "dtype")
    )
    lines = [line for line in GROWTH if results.get(line[0])]
    height, width = max(len(optimizers) + bool(lines), 1), max(len(sets), len(lines), 1)
    size = (max(5 * width, 8), 2.6 * height + 0.9)
    figure, axes = plt.subplots(height, width, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for i, optimizer in enumerate(optimizers):
        for j, set_name in enumerate(sets):
            if rows := [row for row in steps if (row["optimizer"], row["set"]) == (optimizer, set_name)]:
                _bars(axes[i, j], rows, dtypes)
                axes[i, j].set_title(f"{optimizer}, {set_name}", fontsize=10, loc="left")
    for j, (part, kind, x) in enumerate(lines):
        _growth(axes[-1, j], results[part], kind, x)
    words = f"one step, ms; bars: total, black: host, {dtypes[0]}" if dtypes else "AdamW, ms"
    words += f"; diamonds: total in {dtypes[1]}" if len(dtypes) > 1 else ""
    run = results["run"]
    figure.suptitle(f"{words}\n{run['device']}, {run['date']}, medians of {run['rounds']} rounds", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axis: Axes, rows: Rows, dtypes: list[str]) -> None:
    """Bars of ``dtypes[0]``, diamonds of ``dtypes[1]``."""
    times = [{kind: medians(rows, kind, dtype=dtype) for kind in ("host", "total")} for dtype in dtypes]
    paths = [path for path in COLOURS if any(path in both["total"] for both in times)]
    highest = max(max(both["total"].values(), default=0) for both in times)
    for y, path in enumerate(paths):
        host, total = (times[0][kind].get(path) for kind in ("host", "total"))
        ends = [both["total"][path] for both in times if path in both["total"]]
        if total is not None:
            axis.barh(y, total, color=COLOURS[path], height=0.75)
            axis.barh(y, host or 0, color="black", height=0.25)
            label = number(total) + (f" (host {number(host)})" if host else "")
            axis.text(max(ends) + 0.03 * highest, y, label, va="center", fontsize=7)
        for both in times[1:]:
            if path in both["total"]:
                axis.plot(both["total"][path], y, "D", color="white", markeredgecolor="black", markersize=4)
    axis.set_axis_on()
    axis.set_yticks(range(len(paths)), paths, fontsize=7)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_xlim(0, highest * 1.45)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)


def _growth(axis: Axes, rows: Rows, kind: str, x: str) -> None:
    axis.set_axis_on()
    for path in dict.fromkeys(row["path"] for row in rows):
        points = [(row[x], row[kind]["median"]) for row in rows if row["path"] == path]
        axis.loglog(*zip(*points, strict=True), "o-", color=COLOURS[path], markersize=3, label=path)
    axis.set_title(f"adamw float32, {kind} ms against {x}", fontsize=10, loc="left")
    axis.legend(fontsize=7, frameon=False)
    axis.tick_params(which="both", labelsize=7)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
