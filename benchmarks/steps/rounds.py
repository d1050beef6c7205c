"""Contestants that take turns in random order, round by round, and what is said of their times."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx

Rows = list[dict[str, Any]]
FEWEST = 3
BUSY = 0.1  # of the machine's processor time: what others may take before it is noted
KINDS = ("host", "total")


class Contestant:
    """One path. A turn is ``give`` (not clocked), ``call`` (host time ends), ``end`` (total time ends), ``drop``."""

    has_host = True  # whether the call only prepares work, so that its host time is something else than its total
    calls = 1  # how many steps one call makes

    def give(self, turn: int) -> None:
        """Fresh gradients, evaluated."""

    def call(self) -> None:
        """What is clocked."""
        raise NotImplementedError

    def end(self) -> None:
        """Wait for what the call began."""

    def drop(self) -> None:
        """Let go of the gradients."""


@contextlib.contextmanager
def unscheduled() -> Iterator[None]:
    """``mx.async_eval`` does nothing meanwhile.

    On MLX's CPU backend it waits for most of the evaluation, because its queue is short; host time is what is left
    without it. Everything else that a path calls is clocked, ``mx.eval`` too.
    """
    scheduled, mx.async_eval = mx.async_eval, lambda *_: None
    try:
        yield
    finally:
        mx.async_eval = scheduled


def turn_of(contestant: Contestant, turn: int, kind: str) -> float:
    """Milliseconds for each step of one turn, until the call returns (host) or until all is computed (total)."""
    contestant.give(turn)
    with unscheduled() if kind == "host" else contextlib.nullcontext():
        start = time.perf_counter()
        contestant.call()
        stop = time.perf_counter()
    contestant.end()
    if kind == "total":
        stop = time.perf_counter()
    contestant.drop()
    return 1e3 * (stop - start) / contestant.calls


def cpu_of_others() -> float | None:
    """Seconds of processor time that other processes have had since the start of the machine. Only Linux says."""
    if not (stat := Path("/proc/stat")).exists():
        return None
    user, nice, system, _, _, *interrupts = map(int, stat.read_text().split("\n")[0].split()[1:9])
    own = os.times()
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - sum(own[:4])


@dataclass
class Clock:
    """How a run measures: ``rounds`` for each case, or as many as ``limit`` seconds hold (3 at least)."""

    rounds: int
    limit: float
    quick: bool
    notes: list[str]
    say: Callable[[str], None]
    order: random.Random = field(default_factory=lambda: random.Random(0))

    def rows(self, what: str, contestants: Mapping[str, Contestant], **labels: Any) -> Rows:
        """One row for each contestant, with its host and its total time in ms, which have turns of their own.

        A contestant that raises in the first two rounds, which warm up, is left out with a note.
        """
        self.say(what)
        left = dict(contestants)
        one_round = 0.0
        for turn in range(2):
            began = time.perf_counter()
            for name in list(left):
                try:
                    for kind in _kinds(left[name]):
                        turn_of(left[name], turn, kind)
                except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
                    words = " ".join(str(error).split())[:200]
                    self.notes.append(f"{what}: {name} left out: {type(error).__name__}: {words}")
                    del left[name]
            one_round = time.perf_counter() - began  # the second round, without compilation
        fit = max(FEWEST, int(self.limit / one_round)) if left else 0
        if left and fit < self.rounds:
            self.notes.append(f"{what}: {fit} rounds instead of {self.rounds}, of {one_round:.1f} s each")
        began, others = time.perf_counter(), cpu_of_others()
        times: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in KINDS} for name in left}
        turns = [(name, kind) for name, contestant in left.items() for kind in _kinds(contestant)]
        for turn in range(min(self.rounds, fit)):
            self.order.shuffle(turns)
            for name, kind in turns:
                times[name][kind].append(turn_of(left[name], turn, kind))
        took = time.perf_counter() - began
        share = 0.0 if others is None else ((cpu_of_others() or 0.0) - others) / took / (os.cpu_count() or 1)
        if share > BUSY and took > 0.5:
            self.notes.append(f"{what}: not a quiet machine: other processes had {share:.0%} of its processor time")
        return [{**labels, "path": name, **{k: spread(v) for k, v in both.items()}} for name, both in times.items()]


def _kinds(contestant: Contestant) -> tuple[str, ...]:
    return KINDS[::-1] if contestant.has_host else ("total",)  # total first: nothing is traced without async_eval


def spread(values: list[float]) -> dict[str, float] | None:
    """Median, quartiles, the least and how many."""
    if not values:
        return None
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return {"median": middle, "q1": low, "q3": high, "min": min(values), "n": len(values)}


def scaled(found: dict[str, float] | None, factor: float) -> dict[str, float] | None:
    """A spread in another unit."""
    return found and {key: value if key == "n" else factor * value for key, value in found.items()}


def medians(rows: Rows, kind: str, **labels: Any) -> dict[str, float]:
    """path -> the median (or plain number) ``kind``, of the rows that have these labels and such a number."""
    found = {}
    for row in rows:
        if row.get(kind) is not None and all(row.get(key) == value for key, value in labels.items()):
            found[row["path"]] = row[kind]["median"] if isinstance(row[kind], dict) else row[kind]
    return found


def ratio(values: dict[str, float], over: str, under: str) -> float | None:
    """``values[over] / values[under]``, where both were measured."""
    return values[over] / values[under] if over in values and values.get(under) else None
