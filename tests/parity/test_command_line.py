"""``python -m torchish_mlx``: the version, what the commands say, and the parity report where torch is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import torchish_mlx
from tests.marks import mostly_long
from torchish_mlx import optim
from torchish_mlx.__main__ import main
from torchish_mlx.parity import command


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a new interpreter that has no torch, whether or not it is installed."""
    code = "import sys, runpy; sys.modules['torch'] = None; runpy.run_module('torchish_mlx', run_name='__main__')"
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_version():
    process = run("--version")
    assert (process.returncode, process.stdout.strip()) == (0, f"torchish_mlx {torchish_mlx.__version__}")


@pytest.mark.parametrize("arguments", mostly_long([[], ["unknown"], ["--unknown"]], lambda given: given == ["unknown"]))
def test_what_is_no_command_is_refused(arguments):
    process = run(*arguments)
    assert process.returncode == 2
    assert "usage: python -m torchish_mlx" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("arguments", mostly_long([["--help"], ["parity", "--help"]], lambda given: len(given) == 2))
def test_help_needs_no_torch(arguments):
    process = run(*arguments)
    assert process.returncode == 0, process.stderr
    assert "parity" in process.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizer", "Sgd"], "invalid choice: 'Sgd'"),
        (["--family", "x"], "invalid choice: 'x'"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--quik"], "unrecognized arguments: --quik"),
    ],
)
def test_bad_arguments(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        main(["parity", *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "x").write_text("")
    assert main(["parity", "--out", str(tmp_path / "x")]) == 2
    assert "must be a folder" in capsys.readouterr().err


@pytest.mark.parametrize("absent", [["torch"], ["torch", "tabulate"]])
def test_what_is_missing_is_named_with_the_hint(tmp_path, monkeypatch, capsys, absent):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name in absent else object())
    monkeypatch.chdir(tmp_path)
    assert main(["parity"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"parity: needs {', '.join(absent)}")
    assert line.endswith("pip install 'torchish-mlx[parity]'")
    assert list(tmp_path.iterdir()) == []


def test_the_optimizers_that_can_be_named():
    assert len(command.OPTIMIZERS) == 15
    assert set(command.OPTIMIZERS) == {n for n in optim.__all__ if n[0].isupper()} - set(command.NOT_TORCHS)
