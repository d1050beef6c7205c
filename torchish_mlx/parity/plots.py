"""Errors over steps: one picture per family, as SVG for the page and as PNG for the Markdown."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from .families import Family
from .rows import Point, ReportRow

INK = "#010203"  # replaced by the reader's text colour in the SVG
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1"]  # seen by the colour-blind
LEAST = 2.0**-6  # where an error of 0 is drawn on the logarithmic axis


def over_steps(rows: Sequence[ReportRow], value: Callable[[Point], float | None]) -> tuple[list[int], list[float]]:
    """The worst of all rows at each step where there is one."""
    worst: dict[int, float] = {}
    for row in rows:
        for point in row.points:
            found = value(point)
            if found is not None and math.isfinite(found):
                worst[point.step] = max(worst.get(point.step, 0.0), found)
    return sorted(worst), [max(worst[step], LEAST) for step in sorted(worst)]


def few(axis: Any) -> bool:
    """Whether there is room for 1, 2, 5, 10, ... on an axis: up to two and a half decades."""
    low, high = axis.get_view_interval()
    return bool(high < 300 * low)


def figure_of(family: Family, rows: Sequence[ReportRow]) -> Figure | None:
    """The picture of a family, or None where there are no steps, or no errors."""
    points = [point for row in rows for point in row.points]
    if len({point.step for point in points}) < 2 or not any(0 < point.error < math.inf for point in points):
        return None
    figure = Figure(figsize=(5.2, 3.1), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.set_facecolor("none")
    steps, values = over_steps(rows, lambda point: point.torch)
    if steps:
        axes.plot(steps, values, color="#8a8a8a", linewidth=4, alpha=0.6, label="torch's own rounding")
    subjects = list(dict.fromkeys(row.subject for row in rows))
    for i, subject in enumerate(subjects):
        mine = [row for row in rows if row.subject == subject]
        style = ("-", "--", ":")[i // len(COLOURS) % 3]
        axes.plot(
            *over_steps(mine, lambda point: point.error),
            color=COLOURS[i % len(COLOURS)],
            linestyle=style,
            linewidth=1.5,
            marker="o" if len(subjects) <= len(COLOURS) else "",
            markersize=3,
            label=subject,
        )
    axes.set(xscale="log", yscale="log", xlabel="step", ylabel=f"worst error of {family.error}, ulps")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few(axis) else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:.2g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.grid(color="#8a8a8a", alpha=0.3, linewidth=0.6)
    for text in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_color(INK)
    axes.tick_params(which="both", colors=INK)
    for spine in axes.spines.values():
        spine.set_color("#8a8a8a")
    figure.legend(
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        handlelength=1.6,
        columnspacing=1.2,
    )
    return figure


def as_svg(figure: Figure, name: str) -> str:
    """An ``<svg>`` element whose text has the colour and the font of the page."""
    out = io.StringIO()
    options: dict[str, Any] = {"svg.fonttype": "none", "svg.hashsalt": name}
    with mpl.rc_context(options):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return text.replace("<svg ", f'<svg role="img" aria-label="{name}: errors over steps" ', 1).strip()


def as_png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130, facecolor="white")
    return out.getvalue()
