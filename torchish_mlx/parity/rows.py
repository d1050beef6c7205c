"""What a check is, what it finds, and how many rows become one line of a table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from torchish_mlx.testing import ulps

ERRORS = ("error", "torch", "state", "state_torch")


@dataclass(frozen=True)
class Point:
    """The worst errors after ``step`` steps, in ulps; None is what a check does not have."""

    step: int
    error: float
    torch: float | None = None  # torch's own rounding: its float32 result against its float64 result
    state: float | None = None
    state_torch: float | None = None


@dataclass(frozen=True)
class Measured:
    """What a check found. ``message`` says what is wrong; empty is a pass."""

    points: list[Point]
    where: str = ""
    state_where: str = ""
    message: str = ""


@dataclass(frozen=True)
class Check:
    """A configuration and a way to run it."""

    family: str
    subject: str  # the class or function
    configuration: str
    mode: str  # a line of the table holds all checks of a subject in one mode
    way: str
    run: Callable[[], Measured]


@dataclass(frozen=True)
class ReportRow:
    """A check that was run: what parity.json holds."""

    family: str
    subject: str
    configuration: str
    mode: str
    way: str
    passed: bool
    message: str
    where: str
    state_where: str
    points: list[Point] = field(default_factory=list)

    def worst(self, name: str) -> float | None:
        """The largest ``error``, ``torch``, ``state`` or ``state_torch`` of the points."""
        found = [value for point in self.points if (value := getattr(point, name)) is not None]
        return max(found, key=lambda v: math.inf if math.isnan(v) else v) if found else None

    def as_json(self) -> dict[str, Any]:
        out = asdict(self)
        for name in ERRORS:
            out[name] = in_json(self.worst(name))
        out["points"] = [{name: in_json(value) for name, value in asdict(point).items()} for point in self.points]
        return out


@dataclass(frozen=True)
class Line:
    """All rows of a subject in one mode, as a table shows them."""

    subject: str
    mode: str
    passed: int
    total: int
    error: float | None
    torch: float | None
    state: float | None
    state_torch: float | None
    where: str


def in_json(value: Any) -> Any:
    """JSON has no infinity and no nan: they become strings."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def run(checks: Iterable[Check]) -> Iterator[ReportRow]:
    """Each check's row. One that raises is a row that failed, and the next goes on."""
    for check in checks:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = check.run()
        except Exception as error:
            text = " ".join(str(error).split())
            found = Measured([], message=f"{type(error).__name__}: {text}"[:500])
        yield ReportRow(
            check.family,
            check.subject,
            check.configuration,
            check.mode,
            check.way,
            not found.message,
            found.message,
            found.where,
            found.state_where,
            found.points,
        )


def summary(rows: Iterable[ReportRow]) -> list[Line]:
    """A line for each subject and mode, in the order in which they come."""
    grouped: dict[tuple[str, str], list[ReportRow]] = {}
    for row in rows:
        grouped.setdefault((row.subject, row.mode), []).append(row)
    return [line(subject, mode, members) for (subject, mode), members in grouped.items()]


def line(subject: str, mode: str, rows: list[ReportRow]) -> Line:
    def most(name: str) -> float | None:
        return max((value for row in rows if (value := row.worst(name)) is not None), default=None)

    failed = [row for row in rows if not row.passed]
    first = max(failed or rows, key=lambda row: row.worst("error") or 0.0)
    exact = not failed and not most("error")
    where = "" if exact else f"{first.configuration} · {first.way}" + (f" · {first.where}" if first.where else "")
    error, torch, state, state_torch = map(most, ERRORS)
    return Line(subject, mode, len(rows) - len(failed), len(rows), error, torch, state, state_torch, where)


def off(actual: np.ndarray, expected: np.ndarray, dtype: str = "f4", scale: str = "tensor") -> tuple[float, str]:
    """The largest error in ulps of ``dtype``, and the index where it is."""
    if not expected.size:
        return 0.0, ""
    errors = ulps(actual, expected.astype(dtype), scale=scale)
    index = np.unravel_index(int(np.argmax(errors)), errors.shape)
    return float(errors[index]), f"[{', '.join(map(str, index))}]" if index else ""
