"""The results as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .on_mlx import COMPILED, EAGER
from .rounds import Rows, medians, ratio

#: part of the results -> its heading
HEADINGS = {
    "steps": "One step, ms. Host: until the call returns, nothing evaluated. Total: with the evaluation",
    "memory": "Peak memory of a step in a process of its own: parameters, gradients, state and what the step needs",
    "clip": "Clipping by the norm, ms",
    "schedulers": "A scheduler's step, microseconds of host time for each group",
    "traces": "Python functions that a step of AdamW runs: as many after a scheduler's step if nothing is traced",
    "hooks": "Hooks, none registered: one step of AdamW on one tensor, microseconds of host time",
    "groups": "Parameter groups, AdamW, ms",
    "many groups": "Groups of one tensor of 64 numbers each, float32, ms",
    "numbers": "AdamW on tensors of 64 numbers, float32, ms",
    "bytes": "AdamW on one tensor, float32, ms (megabytes of the parameter; the traffic of a step is 7 times as much)",
    "first": "First steps in new processes, cold kernel cache, float32, ms (model: 0.4 M numbers in 16 tensors)",
    "bars": "Ratios of medians, and their bars",
}


def number(value: Any) -> str:
    """Three digits; a spread as its median and quartiles."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return f"{number(value['median'])} [{number(value['q1'])}, {number(value['q3'])}]"
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= 999.5:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


def table(rows: Rows) -> str:
    """Rows as aligned text; a column for every key that some row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([number(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def with_ratios(steps: Rows) -> Rows:
    """The rows of times, each with its ratios to ``mlx.optimizers`` in the same rounds."""
    rows = []
    for row in steps:
        case = {key: row[key] for key in ("optimizer", "set", "dtype")}
        found = {**case, "path": row["path"], "host ms": row["host"], "total ms": row["total"]}
        for kind, under, name in (
            ("host", EAGER, "host / mlx eager"),
            ("total", EAGER, "total / mlx eager"),
            ("total", COMPILED, "total / mlx compiled"),
        ):
            found[name] = ratio(medians(steps, kind, **case), row["path"], under)
        rows.append({**found, "rounds": row["total"]["n"]})
    return rows


def text(results: dict[str, Any]) -> str:
    """Everything, as it is printed."""
    blocks = ["\n".join(f"{name}: {value}" for name, value in results["run"].items())]
    for part, heading in HEADINGS.items():
        if rows := results.get(part):
            blocks.append(f"{heading}\n\n{table(with_ratios(rows) if part == 'steps' else rows)}")
    if speeds := results.get("bandwidth"):
        found = ", ".join(f"{number(float(speed))} on {name}" for name, speed in speeds.items())
        blocks.append(f"Copy bandwidth, GB/s read and written: {found}")
    if results["notes"]:
        blocks.append("Notes\n\n" + "\n".join(results["notes"]))
    return "\n\n\n".join(blocks) + "\n"


def write(results: dict[str, Any], folder: Path) -> list[Path]:
    """``optimizers.txt`` and ``optimizers.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "optimizers.txt", folder / "optimizers.json"]
    paths[0].write_text(text(results), encoding="utf-8")
    paths[1].write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return paths
