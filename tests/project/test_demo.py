"""The examples, run as `make demo` and the like run them, without torch."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import torchish_mlx

ROOT = Path(__file__).resolve().parents[2]
DIGITS = [sys.executable, "-m", "torchish_mlx", "run", str(ROOT / "examples" / "digits.py")]
DEMO = [sys.executable, str(ROOT / "examples" / "demo.py")]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # the package of this checkout


def run(command: list[str], *options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *options], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False
    )


for _name in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(_name, reason="the examples extra is not installed")


@pytest.mark.long
def test_from_start_to_end(tmp_path):
    """As people run it, in an empty folder: torch's file; then a model of mlx.nn, both of its doors, its checkpoint."""
    for name, command in (("digits", DIGITS), ("mlx_digits", DEMO)):
        process = run(command, cwd=tmp_path)
        out = process.stdout
        assert process.returncode == 0, out + process.stderr

        epochs = re.findall(r"^epoch +(\d+)/15 +loss (\d+\.\d+)  test accuracy \d\.\d+$", out, re.MULTILINE)
        assert [int(epoch) for epoch, _ in epochs] == list(range(1, 16))
        assert float(epochs[-1][1]) < float(epochs[0][1]) / 10
        assert float(re.search(r"^test accuracy (\d\.\d+)$", out, re.MULTILINE)[1]) >= 0.97

        picture = (tmp_path / "out" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000
        place = tmp_path / re.search(r"^wrote (\S+\.pt)$", out, re.MULTILINE)[1]
        saved = torchish_mlx.load(place)
        layers = ("conv1", "conv2", "head")
        assert set(saved["model"]) == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
        assert sum("exp_avg" in entries for entries in saved["optimizer"]["state"].values()) == len(saved["model"])
    assert "the same weights, bit for bit\n" in out
    assert "the checkpoint read back: same test accuracy, same next step\n" in out
    wanted = [f"{name}.{kind}" for name in ("digits", "mlx_digits") for kind in ("json", "png", "pt")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == wanted


@pytest.mark.long
@pytest.mark.parametrize("command", [DIGITS, DEMO], ids=["digits", "demo"])
def test_ctrl_c_ends_in_one_line_and_leaves_nothing(tmp_path, command):
    command = [*command, "--epochs", "10000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, **pipes) as process:
        line = ""
        while not line.startswith("epoch"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "Interrupted; nothing was left half written."
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.long
def test_the_picture_of_the_schedulers(tmp_path):
    """`make schedules`, in an empty folder: one PNG, and torch's curves under ours where torch is installed."""
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "schedules.py")]
    arguments = {"cwd": tmp_path, "env": ENVIRONMENT, "capture_output": True, "text": True, "timeout": 300}
    process = subprocess.run([*command, "--steps", "60"], check=False, **arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    assert re.search(r"^plot +out.schedules\.png \(20 panels", process.stdout, re.MULTILINE)
    assert re.search(r"^(largest difference from torch: (none|\d\.\de-1\d)|torch is not installed)", process.stdout)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["schedules.png"]
    picture = (tmp_path / "out" / "schedules.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000

    process = subprocess.run([*command, "--steps", "3"], check=False, **arguments)
    assert process.returncode == 2
    assert "--steps must be 20 or more" in process.stderr


@pytest.mark.long
@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--lr"])
def test_refuses_what_cannot_train(tmp_path, option):
    process = run(DEMO, option, "0", cwd=tmp_path)
    assert process.returncode == 2
    assert f"argument {option}: must be greater than 0" in process.stderr
