"""`make bench`: its sets, contestants, clock and bars, and one run of it as a process, on MLX alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from benchmarks.steps import on_mlx, report, sides
from benchmarks.steps.bars import bars
from benchmarks.steps.rounds import Clock, Contestant, spread
from benchmarks.steps.scaling import exponent, steepest
from benchmarks.steps.sets import case, matrices

ROOT = Path(__file__).resolve().parents[2]


def bench(*options: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "optimizers.py"), "--quick", "--no-torch", *options],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def clock(rounds: int = 5, limit: float = 600.0) -> Clock:
    return Clock(rounds, limit, True, [], lambda _: None)


# The command --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_every_table_has_its_rows(tmp_path):
    run = bench("--rounds", "2", "--optimizer", "adamw", "--set", "gpt", "--dtype", "float32", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "out" / "bench"
    text, results = (folder / "optimizers.txt").read_text(), json.loads((folder / "optimizers.json").read_text())
    assert run.stdout.startswith(text)
    assert report.text(results) == text
    if find_spec("matplotlib"):
        assert (folder / "optimizers.png").read_bytes().startswith(b"\x89PNG")
    assert not [note for note in results["notes"] if "left out" in note]
    assert results["run"]["torch"] == "not used"
    assert str(ROOT) not in json.dumps(results)

    paths = list(on_mlx.PATHS)
    assert [row["path"] for row in results["steps"]] == paths
    assert all(row[kind]["n"] == 2 and 0 < row[kind]["q1"] for row in results["steps"] for kind in ("host", "total"))
    assert [row["path"] for row in results["memory"]] == [on_mlx.OURS, on_mlx.EAGER]
    assert all(0 < row["peak MB"] and isinstance(row["RSS MB"], float) for row in results["memory"])
    assert len(results["clip"]) == 3
    assert [(r["scheduler"], r["groups"]) for r in results["schedulers"]][:2] == [("StepLR", 1), ("StepLR", 50)]
    assert all(row["a later step"] < row["first step"] for row in results["traces"])
    assert len(results["hooks"]) == 2
    assert [row["groups"] for row in results["groups"]] == [1, 2, 50] * 2
    assert [row["tensors"] for row in results["numbers"]] == [10] * 3 + [20] * 3 + [40] * 3
    assert len(results["bytes"]) == 12
    assert all(0 < results["first"][0][name]["median"] for name in ("first", "second", "first, filled cache"))
    assert all(0 < speed for speed in results["bandwidth"].values())
    assert [heading for heading in report.HEADINGS.values() if f"\n{heading}\n" not in text] == []

    whats = {row["what"].split(",")[0] for row in results["bars"]}
    assert whats == {
        "step() / mlx eager",
        "step() / mlx in mx.compile",
        "update() / mlx",
        "step() / its memory traffic at copy bandwidth",
        "50 groups / 1",
        "StepLR.step()",
        "CosineAnnealingLR.step()",
        "new traces after scheduler.step()",
        "unregistered hooks",
        "host time grows with exponent",
        "host time",
        "total time grows with exponent",
        "total time",
        "first step",
    }


@pytest.mark.long
@pytest.mark.parametrize("options", [("--optimizer", "adamx"), ("--rounds", "0"), ("--only", "nothing")])
def test_refuses_what_it_can_not_do(tmp_path, options):
    run = bench(*options, cwd=tmp_path)
    assert run.returncode == 2
    assert options[0] in run.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


# What is measured ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tensors", "numbers"),
    [("gpt", 148, 11.6e6), ("resnet50", 161, 25.6e6), ("small", 1000, 64e3), ("large", 1, 32 << 20)],
)
def test_the_four_sets(name, tensors, numbers):
    given = case("adamw", name, "bfloat16")
    assert len(given.shapes) == tensors
    assert given.numbers == pytest.approx(numbers, rel=0.005)
    assert given.megabytes == given.numbers * 2 / 1e6
    assert all(len(shape) == 2 for shape in matrices(given.shapes).values())


@pytest.mark.long
@pytest.mark.parametrize("optimizer", on_mlx.OPTIMIZERS)
def test_every_path_takes_a_step_in_every_turn(optimizer):
    """Also in the turns that clock host time, where nothing is scheduled."""
    given = case(optimizer, "gpt", "bfloat16", True)
    named = sides.contestants(given, on_mlx.PATHS)
    assert {on_mlx.OURS, on_mlx.IN_COMPILE, on_mlx.EAGER, on_mlx.COMPILED} <= named.keys()
    before = given.arrays(1, 0.02)
    timer = clock(rounds=1)
    rows = timer.rows("a case", named)
    assert timer.notes == []
    assert [row["path"] for row in rows] == list(named)
    for path, contestant in named.items():
        after = dict(tree_flatten(contestant.model.parameters()))
        assert [name for name, p in before.items() if mx.array_equal(after[name], p)] == [], path


class Fake(Contestant):
    """Counts its turns; asks for an evaluation as a step does."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.turns, self.scheduled = error, 0, 0

    def call(self) -> None:
        self.turns += 1
        if self.error:
            raise self.error
        waiting = mx.array([1.0]) + 1
        mx.async_eval(waiting)
        self.scheduled += mx.async_eval.__name__ == "async_eval"


def test_host_time_is_taken_without_scheduling():
    fake, scheduling = Fake(), mx.async_eval
    (row,) = clock().rows("a case", {"fake": fake})
    assert (row["host"]["n"], row["total"]["n"]) == (5, 5)
    assert fake.turns == 2 * (2 + 5)
    assert fake.scheduled == 2 + 5
    assert mx.async_eval is scheduling


def test_one_that_raises_is_left_out_with_a_note():
    timer = clock()
    rows = timer.rows("a case", {"broken": Fake(ValueError("no such\nthing")), "fake": Fake()}, set="s")
    assert [(row["path"], row["set"]) for row in rows] == [("fake", "s")]
    assert timer.notes == ["a case: broken left out: ValueError: no such thing"]


def test_a_case_that_takes_too_long_has_fewer_rounds():
    timer = clock(rounds=1000, limit=1e-9)
    (row,) = timer.rows("a case", {"fake": Fake()})
    assert row["total"]["n"] == 3
    assert timer.notes[0].startswith("a case: 3 rounds instead of 1000, of ")


# What is said of it -------------------------------------------------------------------------------------------------


def times(path: str, host: float, total: float) -> dict:
    labels = {"optimizer": "adamw", "set": "gpt", "dtype": "float32", "megabytes": 100.0}
    return {**labels, "path": path, "host": spread([host]), "total": spread([total])}


def test_bars_are_met_or_not():
    steps = [times(on_mlx.OURS, 1.0, 70.0), times(on_mlx.EAGER, 4.0, 100.0), times("torch foreach", 0.0, 70.0)]
    rows = bars({"steps": steps, "bandwidth": {"one core": 10.0, "2 cores": 20.0}})
    assert [(row["what"], row["value"], row["at most"], row["met"]) for row in rows] == [
        ("step() / mlx eager, host", 0.25, 0.30, "met"),
        ("step() / mlx eager, total", 0.7, 0.50, "NOT MET"),
        ("step() / torch foreach, total", 1.0, None if on_mlx.on_gpu() else 1.0, "" if on_mlx.on_gpu() else "met"),
        ("step() / its memory traffic at copy bandwidth", 2.0, None, ""),  # 700 MB at 20 GB/s: 35 ms
    ]
    assert bars({}) == []


def test_growth():
    linear, late = [(n, 5.0 * n) for n in (100, 1000, 10_000)], [(100, 1.0), (1000, 10.0), (10_000, 1000.0)]
    assert exponent(linear) == pytest.approx(1)
    assert exponent([(n, n**2) for n in (1, 2, 4)]) == pytest.approx(2)
    assert steepest(late) == pytest.approx(2)
    assert exponent(late[:1]) is steepest(late[:1]) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (0.0123456, "0.0123"), (1.0, "1.00"), (123.4, "123"), (45_678.9, "45679"), (True, "True"), (7, "7")],
)
def test_numbers_have_three_digits(value, words):
    assert report.number(value) == words


def test_a_spread_is_its_median_and_quartiles():
    assert report.number(spread([1.0, 2.0, 3.0, 4.0, 5.0])) == "3.00 [2.00, 4.00]"
    assert spread([]) is None
