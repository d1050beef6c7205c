"""The programs in ``examples/`` that are in plain torch: the same file prints the same on torch and under ``run``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for _name in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(_name, reason="the examples extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "examples" / "scripts").glob("*.py"))
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?|-?\d+")
RELATIVE = 1e-3  #: of a number, in losses over some dozens of steps; measured: 2e-4

#: The programs that write their curves, which have all digits: the largest difference of any loss with --quick,
#: relative to the first loss. About ten times what was measured, in brackets.
CURVES = {
    "accumulation": 2e-7,  # (1.3e-8)
    "char_gpt": 1e-5,  # (1.3e-6)
    "custom_optimizer": 1e-5,  # (9e-7)
    "digits": 3e-7,  # (1.4e-8)
    "fine_tuning": 2e-6,  # (1.7e-7)
    "lbfgs_regression": 1e-5,  # (1e-6: near the minimum the line search goes by rounding)
    "photograph": 1e-5,  # (1e-6)
    "vae": 3e-5,  # (2.9e-6)
}


def printed(command: list[str], cwd: Path) -> str:
    cwd.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed_by_both(script: Path, tmp_path: Path, *options: str) -> tuple[str, str]:
    """What a program prints under ``run``, and with torch; it has no word of this package."""
    text = script.read_text(encoding="utf-8")
    assert "torchish" not in text
    assert "mlx" not in text
    theirs = printed([sys.executable, str(script), *options], tmp_path / "theirs")
    return printed([sys.executable, "-m", "torchish_mlx", "run", str(script), *options], tmp_path / "mine"), theirs


def assert_same_numbers(mine: str, theirs: str) -> None:
    """The same text, with numbers that are near each other."""
    assert NUMBER.sub("#", mine) == NUMBER.sub("#", theirs)
    ours, torchs = (np.array([float(n) for n in NUMBER.findall(text)]) for text in (mine, theirs))
    apart = np.abs(ours - torchs) / np.maximum(np.abs(torchs), 1e-2)
    assert apart.max() <= RELATIVE, (mine, theirs)


@pytest.mark.long
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_program_prints_what_torch_prints(script: Path, tmp_path: Path) -> None:
    assert_same_numbers(*printed_by_both(script, tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("name", CURVES)
def test_a_program_has_torchs_curves(name: str, tmp_path: Path) -> None:
    mine, theirs = printed_by_both(ROOT / "examples" / f"{name}.py", tmp_path, "--quick")
    texts = [re.sub(r"^time .*", "", text, flags=re.MULTILINE) for text in (mine, theirs)]
    assert NUMBER.sub("#", texts[0]) == NUMBER.sub("#", texts[1])
    ours, torchs = (json.loads((tmp_path / s / "out" / f"{name}.json").read_text()) for s in ("mine", "theirs"))
    assert ours["settings"] == torchs["settings"]
    assert list(ours["curves"]) == list(torchs["curves"])
    for curve in ours["curves"]:
        a, b = np.array(ours["curves"][curve]), np.array(torchs["curves"][curve])
        np.testing.assert_array_equal(a[:, 0], b[:, 0])
        assert np.abs(b[:, 1] - b[0, 1]).max() > 100 * CURVES[name] * abs(b[0, 1]), "the curve does not move"
        if "loss" in curve:
            apart = np.abs(a - b)[:, 1].max() / b[0, 1]
            assert apart <= CURVES[name], f"{apart:.1e} of the first loss"


def test_there_are_twelve_scripts_and_the_table_has_the_others() -> None:
    assert len(SCRIPTS) >= 12
    plain = [p.stem for p in (ROOT / "examples").glob("*.py") if "\nimport torch\n" in p.read_text(encoding="utf-8")]
    assert sorted(plain) == list(CURVES)
