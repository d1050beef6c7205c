"""The ratios that the step is held to, with their bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .on_mlx import COMPILED, EAGER, FUSED, IN_COMPILE, OURS, on_gpu
from .rounds import Rows, medians, ratio
from .scaling import exponent, steepest

#: bytes that AdamW moves for each byte of the parameters: it reads p, g and two moments, and writes p and the moments
TRAFFIC = 7
Add = Callable[[str, str, "float | None", "float | None"], None]


def bars(results: dict[str, Any]) -> Rows:
    """Every ratio that this run can give: what, where, value, bar, and whether it is met."""
    rows: Rows = []

    def add(what: str, where: str, value: float | None, bar: float | None) -> None:
        if value is not None:
            met = "" if bar is None else "met" if value <= bar else "NOT MET"
            rows.append({"what": what, "where": where, "value": value, "at most": bar, "met": met})

    for part in (_compared, _groups, _schedulers, _hooks, _growth, _first):
        part(results, add)
    return rows


def _compared(results: dict[str, Any], add: Add) -> None:
    """AdamW compared with mlx.optimizers, torch and the memory's limit."""
    steps, memory = results.get("steps", []), results.get("memory", [])
    cases = dict.fromkeys((row["set"], row["dtype"]) for row in steps + memory if row["optimizer"] == "adamw")
    for set_name, dtype in cases:
        key = {"optimizer": "adamw", "set": set_name, "dtype": dtype}
        host, total = (medians(steps, kind, **key) for kind in ("host", "total"))
        peak = medians(memory, "peak MB", **key)
        where = f"{set_name} {dtype}"
        compiled = {"gpt": 0.9, "resnet50": 0.9, "small": 0.5}.get(set_name)
        add("step() / mlx eager, host", where, ratio(host, OURS, EAGER), 0.30)
        add("step() / mlx eager, total", where, ratio(total, OURS, EAGER), 0.50)
        add("step() / mlx eager, peak memory", where, ratio(peak, OURS, EAGER), 1.0)
        add("step() / mlx in mx.compile, total", where, ratio(total, OURS, COMPILED), compiled)
        add("update() / mlx, both in mx.compile, host", where, ratio(host, IN_COMPILE, COMPILED), None)
        add("update() / mlx, both in mx.compile, total", where, ratio(total, IN_COMPILE, COMPILED), 1.0)
        add("step() / torch foreach, total", where, ratio(total, OURS, "torch foreach"), None if on_gpu() else 1.0)
        sizes = [row["megabytes"] for row in steps if all(row[k] == v for k, v in key.items())]
        if results.get("bandwidth") and OURS in total:
            limit = TRAFFIC * sizes[0] / max(results["bandwidth"].values())  # MB / (GB/s) = ms
            add("step() / its memory traffic at copy bandwidth", where, total[OURS] / limit, None)


def _groups(results: dict[str, Any], add: Add) -> None:
    rows = results.get("groups", [])
    for set_name in dict.fromkeys(row["set"] for row in rows):
        for kind in ("host", "total"):
            one, many = (medians(rows, kind, set=set_name, groups=n) for n in (1, 50))
            for path in one:
                add(f"50 groups / 1, {path}, {kind}", f"{set_name} float32", many[path] / one[path], 1.5)
    rows = results.get("many groups", [])
    for optimizer in dict.fromkeys(row["optimizer"] for row in rows):
        total = medians(rows, "total", optimizer=optimizer)
        where = f"{optimizer}, {rows[0]['groups']} groups"
        add("step() / torch, a group for each tensor, total", where, ratio(total, OURS, "torch"), 3.0)


def _schedulers(results: dict[str, Any], add: Add) -> None:
    for row in results.get("schedulers", []):
        if row["path"] == "ours":
            where = f"{row['groups']} group{'s' * (row['groups'] > 1)}"
            add(f"{row['scheduler']}.step(), us of host time for each group", where, row["us per group"]["median"], 20)
    for row in results.get("traces", []):
        add(f"new traces after scheduler.step(), {row['path']}", "gpt float32", float(row["new trace"]), 0)


def _hooks(results: dict[str, Any], add: Add) -> None:
    """What looking for hooks costs: in microseconds, and of the host time of a step on the GPT-shaped set."""
    found = list(medians(results.get("hooks", []), "us").values())
    if len(found) == 2:
        add("unregistered hooks, us for each step", "one tensor", found[0] - found[1], None)
        host = medians(results.get("steps", []), "host", optimizer="adamw", set="gpt", dtype="float32")
        if OURS in host:
            add("unregistered hooks, % of host time", "gpt float32", (found[0] - found[1]) / host[OURS] / 10, 1.0)


def _growth(results: dict[str, Any], add: Add) -> None:
    """Exponents: 1 is linear. Between neighbours bytes may be steeper: arrays of 32 MB and more are fresh pages."""
    for part, kind, x in (("numbers", "host", "tensors"), ("bytes", "total", "megabytes")):
        rows = results.get(part, [])
        for path in (OURS, FUSED, EAGER):
            points = [(row[x], row[kind]["median"]) for row in rows if row["path"] == path]
            where = f"{points[0][0]:.3g} to {points[-1][0]:.5g} {x}" if points else ""
            bar = None if path == EAGER else 1.1
            add(f"{kind} time grows with exponent, {path}", where, exponent(points), bar)
            add(
                f"{kind} time, the steepest between neighbours, {path}",
                where,
                steepest(points),
                1.25 if bar and kind == "host" else None,
            )


def _first(results: dict[str, Any], add: Add) -> None:
    """Every path that is the default, on models of less than a million numbers."""
    for row in results.get("first", []):
        bar = 500 if row["path"] == OURS else None
        add(
            f"first step, cold kernel cache, ms, {row['path']}",
            f"{row['set']}, {row['optimizer']}",
            row["first"]["median"],
            bar,
        )
