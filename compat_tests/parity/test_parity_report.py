"""``python -m torchish_mlx parity``: what it writes, its exit status, and what it leaves when it is interrupted."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

import torchish_mlx
from torchish_mlx.__main__ import main
from torchish_mlx.optimizers import SGD
from torchish_mlx.parity import command, optimizer_checks, rows
from torchish_mlx.parity.families import chosen, families
from torchish_mlx.parity.optimizer_cases import CASES, INFO
from torchish_mlx.parity.pages import in_words
from torchish_mlx.parity.scheduler_cases import CASES as SCHEDULERS

ROOT = str(Path(torchish_mlx.__file__).resolve().parent.parent)


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "parity.json").read_text(encoding="utf-8"))


def interpreter(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a new interpreter, after ``code``."""
    whole = f"import sys, os, signal, runpy; sys.path.insert(0, {ROOT!r})\n{code}\n"
    whole += "runpy.run_module('torchish_mlx', run_name='__main__')"
    command_line = [sys.executable, "-c", whole, "parity", *arguments]
    return subprocess.run(command_line, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.long
def test_the_command_line(tmp_path: Path) -> None:
    """As people run it: files, tables, exit status; no progress bar where there is no terminal."""
    process = interpreter("", "--quick", "--optimizer", "SGD", cwd=tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stderr == ""
    folder = tmp_path / "out" / "parity"
    names = {"parity.html", "parity.md", "parity.json", "parity-sgd.png", "parity-half.png"}
    assert {path.name for path in folder.iterdir()} == names

    found = read(folder)
    cases = sum(case.name == "SGD" for case in CASES)
    assert found["passed"] == found["total"] == len(found["rows"]) == cases + 1 + 4
    assert re.search(rf"^SGD +eager +{cases}/{cases} ", process.stdout, re.MULTILINE)
    assert f"{found['total']} of {found['total']} checks passed" in process.stdout
    assert found["facts"]["torch"].startswith("2.")
    assert found["facts"]["device"].split(",")[0] in ("cpu", "gpu")
    (sgd, half) = found["families"]
    assert (sgd["name"], half["name"]) == ("sgd", "half")
    assert {line["subject"] for line in sgd["lines"]} == {"SGD"}
    for row in found["rows"]:
        assert row["error"] == max(point["error"] for point in row["points"])

    markdown = (folder / "parity.md").read_text(encoding="utf-8")
    assert {name for _, name in re.findall(r"!\[(.*?)\]\((.*?)\)", markdown)} == {n for n in names if n.endswith("png")}
    for name in names:
        if name.endswith("png"):
            assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path: Path) -> None:
    assert main(["parity", "--quick", "--family", "half", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "parity.html").read_text(encoding="utf-8")
    page = ET.fromstring(text)
    namespaces = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= set(namespaces)
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)
    identities = [e.get("id") for e in page.iter() if e.get("id")]
    for element in page.iter():
        assert element.tag.rpartition("}")[2] not in ("script", "link", "img", "iframe", "object")
        for key, value in element.items():
            if key.rpartition("}")[2] in ("src", "href"):
                assert value.startswith("#")
                assert value[1:] in identities
    assert page.findall(".//{http://www.w3.org/2000/svg}svg")
    assert "width=device-width" in text
    assert "prefers-color-scheme: dark" in text


def test_a_wrong_formula_fails_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SGD with momentum goes a ten-thousandth too far; without momentum it is as it was."""
    original = SGD.formula.__func__

    def wrong(cls: type, h: Any, g: mx.array, p: mx.array, s: dict[str, mx.array], k: Any) -> mx.array:
        new = original(cls, h, g, p, s, k)
        return p + (new - p) * 1.0001 if h.remembers else new

    monkeypatch.setattr(SGD, "formula", classmethod(wrong))
    assert main(["parity", "--quick", "--optimizer", "SGD", "--out", str(tmp_path)]) == 1
    found = read(tmp_path)
    failed = [row for row in found["rows"] if not row["passed"]]
    assert failed
    assert found["passed"] == found["total"] - len(failed)
    for row in failed:
        assert (row["family"], row["subject"]) == ("sgd", "SGD")
        assert "momentum" in row["configuration"]
        assert re.match(r"param: \d\.\d\de-\d\d > ", row["message"])
        assert re.match(r"step \d+, parameter \d", row["where"])
        assert row["error"] > 10
    printed = capsys.readouterr()
    assert re.search(r"^FAILED SGD \S*momentum", printed.out, re.MULTILINE)
    for name in ("parity.md", "parity.html"):
        assert failed[0]["where"] in (tmp_path / name).read_text(encoding="utf-8")


def test_what_raises_is_a_row_that_failed_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = optimizer_checks.compare

    def compare(case: Any, *args: Any, **kwargs: Any) -> Any:
        if case.name == "ASGD" and case.number == 1:
            raise RuntimeError("<no kernel>\nfor this")
        return original(case, *args, **kwargs)

    monkeypatch.setattr(optimizer_checks, "compare", compare)
    assert main(["parity", "--quick", "--optimizer", "ASGD", "--out", str(tmp_path)]) == 1
    found = read(tmp_path)
    failed = [row for row in found["rows"] if not row["passed"]]
    assert [row["message"] for row in failed] == ["RuntimeError: <no kernel> for this"]
    assert failed[0]["error"] is None
    assert found["passed"] == found["total"] - 1 >= 7
    ET.fromstring((tmp_path / "parity.html").read_text(encoding="utf-8"))


def test_nan_is_no_pass_and_no_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SGD, "formula", classmethod(lambda cls, h, g, p, s, k: p * float("nan")))
    assert main(["parity", "--quick", "--optimizer", "SGD", "--out", str(tmp_path)]) == 1
    failed = [row for row in read(tmp_path)["rows"] if not row["passed"] and row["family"] == "sgd"]
    assert failed
    assert {row["error"] for row in failed if row["points"]} == {"inf"}


def test_another_torch_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "version", lambda _: "2.99.0+cpu")
    assert main(["parity", "--quick", "--family", "half", "--out", str(tmp_path)]) == 0
    warning = "torch 2.99.0 is installed; the limits are those of torch 2.13.0."
    assert f"warning: {warning}\n" in capsys.readouterr().err
    assert read(tmp_path)["warnings"] == [warning]
    for name in ("parity.md", "parity.html"):
        assert warning in (tmp_path / name).read_text(encoding="utf-8")


def test_a_device_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mx, "is_available", lambda device: device == mx.cpu)
    assert main(["parity", "--device", "gpu", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "parity: MLX has no gpu here; --device cpu is what it has\n"
    assert not (tmp_path / "out").exists()


IMPORTING = """
class Hook:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Hook())
"""
RUNNING = """
import torchish_mlx.parity.rows as rows
run = rows.run
def interrupted(checks):
    for i, row in enumerate(run(checks)):
        if i == 2:
            os.kill(os.getpid(), signal.SIGINT)
        yield row
rows.run = interrupted
"""
MOMENTS = {
    "torch": IMPORTING.format(name="torch"),
    "a check": RUNNING,
}


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted(tmp_path: Path, moment: str) -> None:
    """One line and no file, during the slow imports and during the checks."""
    process = interpreter(MOMENTS[moment], "--quick", "--family", "half", cwd=tmp_path)
    assert process.returncode == 130
    assert process.stderr.strip() == "Interrupted; nothing was left half written."
    assert process.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_interrupted_while_the_files_are_written(tmp_path: Path) -> None:
    """Which takes milliseconds: all of them are."""
    code = """
from pathlib import Path
write_bytes = Path.write_bytes
def interrupted(self, data):
    os.kill(os.getpid(), signal.SIGINT)
    return write_bytes(self, data)
Path.write_bytes = interrupted
"""
    process = interpreter(code, "--quick", "--family", "half", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    names = sorted(path.name for path in (tmp_path / "out" / "parity").iterdir())
    assert names == ["parity-half.png", "parity.html", "parity.json", "parity.md"]


@pytest.fixture(scope="module")
def full() -> list[rows.Check]:
    return chosen(False, [], [])


def test_every_configuration_is_checked_by_every_door(full: list[rows.Check]) -> None:
    assert [family.name for family in families()] == list(dict.fromkeys(check.family for check in full))
    assert {family.name for family in families()} == set(command.FAMILIES)
    assert set(command.OPTIMIZERS) == set(INFO)
    for case in CASES:
        if case.name != "LBFGS":
            configuration = repr(case).partition("-")[2]
            ways = {(c.mode, c.way) for c in full if (c.subject, c.configuration) == (case.name, configuration)}
            doors = ("step", "update", "apply_gradients")
            assert ways >= set(itertools.product(("eager", "compiled"), doors)) | {("fused=True", "step")}
    schedulers = {f"{c.subject}-{c.configuration}" for c in full if c.family == "lr_scheduler"}
    assert schedulers == set(SCHEDULERS)


def test_no_check_stands_twice(full: list[rows.Check]) -> None:
    keys = [(c.family, c.subject, c.configuration, c.mode, c.way) for c in full]
    assert len(set(keys)) == len(keys)


def test_quick_is_a_part_of_every_family(full: list[rows.Check]) -> None:
    quick = chosen(True, [], [])
    assert {(c.family, c.subject) for c in quick} == {(c.family, c.subject) for c in full}
    assert len(quick) < len(full) / 3


def test_numbers_in_the_tables() -> None:
    assert [in_words(x) for x in (None, 0.0, 0.0625, 1.0, 9.96, 1234.5, float("inf"))] == [
        "", "0", "0.062", "1", "10", "1,234", "inf"
    ]  # fmt: skip
