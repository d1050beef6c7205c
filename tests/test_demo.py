"""examples/digits.py, run as `make demo` runs it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, str(ROOT / "examples" / "digits.py")]

pytestmark = pytest.mark.xdist_group("demo")  # one worker, so that the demo runs once

for _name in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(_name, reason="the examples extra is not installed")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The demo as people run it, in an empty folder."""
    folder = tmp_path_factory.mktemp("demo")
    process = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return folder, process.stdout


def test_reaches_the_accuracy_it_promises(finished):
    _, out = finished
    assert float(re.search(r"^test accuracy (\d\.\d+)$", out, re.MULTILINE)[1]) >= 0.97


def test_prints_a_line_per_epoch(finished):
    _, out = finished
    lines = re.findall(r"^epoch +(\d+)/15 .* loss (\d+\.\d+)  test accuracy \d\.\d+$", out, re.MULTILINE)
    assert [int(epoch) for epoch, _ in lines] == list(range(1, 16))
    assert float(lines[-1][1]) < float(lines[0][1]) / 10


def test_step_and_update_give_the_same_weights(finished):
    _, out = finished
    assert "the same weights, bit for bit\n" in out


def test_writes_a_picture(finished):
    folder, _ = finished
    picture = (folder / "out" / "digits.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_writes_a_checkpoint_and_prints_where(finished):
    folder, out = finished
    place = folder / re.search(r"^checkpoint +(\S+)", out, re.MULTILINE)[1]
    model = mx.load(str(place / "model.safetensors"))
    layers = ("conv1", "conv2", "head")
    assert set(model) == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    optimizer = mx.load(str(place / "optimizer.safetensors"))
    assert sum(key.endswith("exp_avg") for key in optimizer) == len(model)
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["digits", "digits.png"]


def test_ctrl_c_ends_in_one_line_and_leaves_nothing(tmp_path):
    command = [*COMMAND, "--epochs", "10000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as process:
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


@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--lr"])
def test_refuses_what_cannot_train(tmp_path, option):
    process = subprocess.run(
        [*COMMAND, option, "0"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 2
    assert f"{option} must be greater than 0" in process.stderr
