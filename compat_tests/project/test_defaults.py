"""The scripts behind docs/differences.md: what they find in a short run; the page has the rows that they print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the examples extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")


def cells(text):
    """The rows of the Markdown tables in ``text``."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quick(script):
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), "--quick"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"},  # beside other tests
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return cells(run.stdout)


@pytest.mark.long
def test_default_settings():
    heads, *rows = quick("defaults.py")
    found = {row[0]: dict(zip(heads[3:], row[3:], strict=True)) for row in rows}
    on_page = {row[0]: row for row in cells(PAGE) if len(row) == 6}
    assert [name for name in on_page if name in found] == list(found)
    apart = "apart after 5 steps"
    for name, row in found.items():
        near = 0.05 if name == "Muon" else 1e-4  # Muon iterates in bfloat16
        assert float(row["torchish_mlx"]) < near, name
        if row["equal settings"] == "no setting":
            assert float(row[apart]) > 0.05, name
        else:
            assert float(row["equal settings"]) < (0.1 if name == "Muon" else 1e-4), name
    for name in ("Adam", "AdamW", "Muon"):
        assert float(found[name][apart]) > 0.5, name
    for name in ("SGD", "RMSprop", "Adadelta", "Adafactor"):
        assert float(found[name][apart]) < 1e-4, name
    assert 1e-5 < float(found["Adagrad"][apart]) < 1e-2


@pytest.mark.long
def test_initial_values():
    rows = quick("initialization.py")
    distributions, effects = ([row for row in rows if len(row) == width] for width in (5, 6))
    on_page = [row for row in cells(PAGE) if len(row) == 5]
    assert len(on_page) > 10
    assert [row for row in on_page if row not in distributions] == []
    assert [row[-1] for row in distributions if row[:2] == ["Conv2d, 3 x 3", "bias"]] == ["all 0"]
    assert [row[:2] for row in effects[1:]] == [row[:2] for row in cells(PAGE) if len(row) == 6 and "±" in row[2]]
    assert len(effects) == 5
