"""The examples beside their torch originals: the same curves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for _name in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(_name, reason="the examples extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # the package of this checkout
PORTS = sorted(path.stem.removesuffix("_torch") for path in FOLDER.glob("*_torch.py"))

# The largest difference of any loss, relative to the first loss; about ten times what was measured, in brackets.
APART = {
    "accumulation": 1e-6,
    "char_gpt": 1e-5,
    "custom_optimizer": 3e-6,  # (3e-7)
    "digits": 1e-6,
    "fine_tuning": 1e-6,  # (1e-7)
    "lbfgs_regression": 7e-6,  # (7e-7: near the minimum the line search goes by rounding)
    "mlx_optimizer": 1e-3,
    "vae": 2e-6,  # (2e-7)
}

# Scripts, one after the other in one process, whose imports are what takes time; then the packages that were imported.
DRIVER = """
import runpy, sys
sys.path[0], *scripts = sys.argv[1:]
for script in scripts:
    sys.argv = [script, "--quick"]
    runpy.run_path(script, run_name="__main__")
print("imported", *sorted({"mlx", "torch", "torchish_mlx"} & set(sys.modules)))
"""


def quick(names: list[str], cwd: Path) -> list[str]:
    """Run scripts with --quick; the lines that they printed."""
    command = [sys.executable, "-c", DRIVER, str(FOLDER), *(str(FOLDER / f"{name}.py") for name in names)]
    process = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout.splitlines()


@pytest.mark.long
def test_the_ports_have_the_curves_of_the_originals(tmp_path):
    assert quick([f"{name}_torch" for name in PORTS], tmp_path)[-1] == "imported torch"
    lines = quick(PORTS, tmp_path)
    assert lines[-1] == "imported mlx torchish_mlx"
    for name in PORTS:
        assert f"wrote out/{name}.png (torch's curve is drawn over ours)" in lines
        compare(name, tmp_path)


def compare(name: str, tmp_path: Path) -> None:
    """The curves of a port and of its original."""
    ours, theirs = (json.loads((tmp_path / "out" / f"{side}.json").read_text()) for side in (name, f"{name}_torch"))
    assert ours["settings"] == theirs["settings"], name
    assert list(ours["curves"]) == list(theirs["curves"]), name
    for curve in ours["curves"]:
        a, b = np.array(ours["curves"][curve]), np.array(theirs["curves"][curve])
        np.testing.assert_array_equal(a[:, 0], b[:, 0])
        assert np.abs(b[:, 1] - b[0, 1]).max() > 100 * APART[name] * abs(b[0, 1]), f"{name}: the curve does not move"
        if curve == "loss":
            apart = np.abs(a - b)[:, 1].max() / b[0, 1]
            assert apart <= APART[name], f"{name}: {apart:.1e} of the first loss"


def test_the_table_has_each_example():
    assert list(APART) == PORTS
