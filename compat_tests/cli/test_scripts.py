"""The programs in ``examples/scripts`` print the same on torch and under ``run``; they are in plain torch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "examples" / "scripts").glob("*.py"))
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?|-?\d+")
RELATIVE = 1e-3  #: of a number, in losses over some dozens of steps; measured: 2e-4


def printed(command: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same_numbers(mine: str, theirs: str) -> None:
    """The same text, with numbers that are near each other."""
    assert NUMBER.sub("#", mine) == NUMBER.sub("#", theirs)
    ours, torchs = (np.array([float(n) for n in NUMBER.findall(text)]) for text in (mine, theirs))
    apart = np.abs(ours - torchs) / np.maximum(np.abs(torchs), 1e-2)
    assert apart.max() <= RELATIVE, (mine, theirs)


@pytest.mark.long
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_program_prints_what_torch_prints(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert "torchish" not in text
    assert "mlx" not in text
    theirs = printed([sys.executable, str(script)])
    assert_same_numbers(printed([sys.executable, "-m", "torchish_mlx", "run", str(script)]), theirs)


def test_there_are_twelve() -> None:
    assert len(SCRIPTS) >= 12
