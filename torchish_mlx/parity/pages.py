"""The report as text, HTML, Markdown and JSON. Files are complete before the first of them is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from tabulate import tabulate

from .families import Family
from .plots import as_png, as_svg, figure_of
from .rows import Line, ReportRow, in_json, summary

TEMPLATE = Path(__file__).with_name("report.html").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Section:
    """A family and what was found."""

    family: Family
    rows: list[ReportRow]
    lines: list[Line]
    figure: Figure | None
    svg: Markup

    @classmethod
    def of(cls, family: Family, rows: list[ReportRow]) -> Section:
        figure = figure_of(family, rows)
        svg = as_svg(figure, family.name) if figure else ""
        return cls(family, rows, summary(rows), figure, Markup(svg))

    @property
    def total(self) -> int:
        return len(self.rows)

    @property
    def failures(self) -> list[ReportRow]:
        return [row for row in self.rows if not row.passed]

    @property
    def passed(self) -> int:
        return self.total - len(self.failures)

    @property
    def has_torch(self) -> bool:
        return any(line.torch is not None for line in self.lines)

    @property
    def has_state(self) -> bool:
        return any(line.state is not None for line in self.lines)

    @property
    def has_state_torch(self) -> bool:
        return any(line.state_torch is not None for line in self.lines)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The headers and the cells of the summary."""
        family = self.family
        own = "torch's own"
        headers = ["name", "", "passed", f"{family.error}, ulps", own, f"{family.state}, ulps", own, "where"]
        kept = [True, True, True, True, self.has_torch, self.has_state, self.has_state_torch, True]
        rows = []
        for line in self.lines:
            errors = [in_words(value) for value in (line.error, line.torch, line.state, line.state_torch)]
            rows.append([line.subject, line.mode, f"{line.passed}/{line.total}", *errors, line.where])
        return pick(headers, kept), [pick(row, kept) for row in rows]


def pick(values: Sequence[str], kept: Sequence[bool]) -> list[str]:
    return [value for value, keep in zip(values, kept, strict=True) if keep]


def in_words(ulps: float | None) -> str:
    """An error in a table: 0 is exact, and an empty cell means that there is no error."""
    if ulps is None:
        return ""
    if ulps == 0 or not math.isfinite(ulps):
        return f"{ulps:g}"
    return f"{ulps:.2g}" if ulps < 10 else f"{ulps:,.0f}"


def verdict(sections: Sequence[Section]) -> tuple[int, int]:
    return sum(section.passed for section in sections), sum(section.total for section in sections)


def as_text(sections: Sequence[Section]) -> str:
    """The tables, as they are printed."""
    parts = []
    for section in sections:
        headers, rows = section.table()
        shown = [[*row[:-1], row[-1] if len(row[-1]) <= 60 else row[-1][:57] + "..."] for row in rows]
        align = ["left", "left", *["right"] * (len(headers) - 3), "left"]
        table = tabulate(shown, headers, tablefmt="simple", colalign=align, disable_numparse=True)
        parts.append(f"{section.family.title}\n\n{table}\n")
        for row in section.failures[:10]:
            parts.append(f"FAILED {row.subject} {row.configuration} · {row.mode}, {row.way}: {row.message}")
        if len(section.failures) > 10:
            parts.append(f"... and {len(section.failures) - 10} more, in the report")
    return "\n".join(parts)


def as_markdown(sections: Sequence[Section], facts: Mapping[str, Any], warnings: Sequence[str]) -> str:
    passed, total = verdict(sections)
    parts = ["# torchish_mlx compared with torch", f"**{passed} of {total} checks passed.**", *warnings]
    parts.append(tabulate(facts.items(), ["", ""], tablefmt="github", disable_numparse=True))
    parts.append(
        "Errors are in units in the last place (ulps) of the largest number in a tensor. *torch's own* is the distance"
        " between torch's float32 and torch's float64 result."
    )
    for section in sections:
        headers, rows = section.table()
        escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        align = ["left", "left", *["right"] * (len(headers) - 3), "left"]
        parts += [f"## {section.family.title}", section.family.about]
        parts.append(tabulate(escaped, headers, tablefmt="pipe", colalign=align, disable_numparse=True))
        parts += [
            f"- **failed**: {row.subject} {row.configuration}, {row.mode}, {row.way}: `{row.message}`"
            for row in section.failures
        ]
        if section.figure:
            parts.append(f"![{section.family.name}: errors over steps](parity-{section.family.name}.png)")
    return "\n\n".join(parts) + "\n"


def as_html(sections: Sequence[Section], facts: Mapping[str, Any], warnings: Sequence[str]) -> str:
    passed, total = verdict(sections)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    environment.filters["ulps"] = in_words
    template = environment.from_string(TEMPLATE)
    return template.render(sections=sections, facts=facts, warnings=warnings, passed=passed, total=total)


def as_json(sections: Sequence[Section], facts: Mapping[str, Any], warnings: Sequence[str]) -> str:
    """``facts``, ``warnings``, ``families`` with their lines, and ``rows`` with their points."""
    passed, total = verdict(sections)
    families = [
        {
            "name": section.family.name,
            "title": section.family.title,
            "error": section.family.error,
            "state": section.family.state,
            "passed": section.passed,
            "total": section.total,
            "lines": [{key: in_json(value) for key, value in vars(line).items()} for line in section.lines],
        }
        for section in sections
    ]
    whole = {
        "format": 1,
        "passed": passed,
        "total": total,
        "facts": dict(facts),
        "warnings": list(warnings),
        "families": families,
        "rows": [row.as_json() for section in sections for row in section.rows],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def files(sections: Sequence[Section], facts: Mapping[str, Any], warnings: Sequence[str]) -> dict[str, bytes]:
    """Name -> content."""
    out = {
        "parity.html": as_html(sections, facts, warnings).encode(),
        "parity.md": as_markdown(sections, facts, warnings).encode(),
        "parity.json": as_json(sections, facts, warnings).encode(),
    }
    for section in sections:
        if section.figure:
            out[f"parity-{section.family.name}.png"] = as_png(section.figure)
    return out
