"""The README's tables: each row of features names a test that exists; the measured ones are as docs/data has them."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## What works, what raises\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)[1]
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in SECTION.splitlines() if line[:2] == "| "]


def test_the_table_is_found():
    assert ROWS[0][-1] == "test"
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0])
def test_the_test_of_a_row_exists(row):
    found = re.fullmatch(r"`([\w/]+/test_\w+\.py)::(test_\w+)`", row[-1])
    assert found, f"the row names no test: {row[-1]}"
    tree = ast.parse((ROOT / found[1]).read_text(encoding="utf-8"))
    assert found[2] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def tables():
    """docs/tables.py, which is a script."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_measured_tables_are_those_of_the_data(tables):
    """Run `python docs/tables.py` after a new measurement."""
    assert tables.rendered(README) == README


@pytest.mark.parametrize(("name", "change"), [("parity", ["facts", "mlx"]), ("speed", ["run", "mlx"])])
def test_another_measurement_gives_another_table(tables, name, change, tmp_path):
    for file in (ROOT / "docs" / "data").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    place = tmp_path / f"{name}.json"
    measured = json.loads(place.read_text(encoding="utf-8"))
    measured[change[0]][change[1]] = "9.9.9"
    place.write_text(json.dumps(measured), encoding="utf-8")
    assert "mlx 9.9.9" in tables.rendered(README, tmp_path)
    with pytest.raises(ValueError, match=f"0 places for the table '{name}'"):
        tables.rendered(README.replace(f"<!-- /{name} -->", ""))
