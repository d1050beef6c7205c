"""What editors and type checkers see of the package. ``make lint`` checks tests/typing/ by mypy and pyright."""

from __future__ import annotations

import ast
from pathlib import Path

import torchish_mlx
from tests.table_stub import FUNCTIONAL_STUB, STUB, attached, functional_stub, stub

PACKAGE = Path(torchish_mlx.__file__).parent


def test_the_stub_is_what_the_table_makes():
    assert STUB.read_text(encoding="utf-8") == stub(), "run: python -m tests.table_stub"
    assert FUNCTIONAL_STUB.read_text(encoding="utf-8") == functional_stub(), "run: python -m tests.table_stub"


def test_the_stub_is_python():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    assert {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} <= set(torchish_mlx.__all__)
    (methods,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert {node.name for node in methods.body if isinstance(node, ast.FunctionDef)} == set(attached())


def test_the_stub_of_functional_is_python():
    tree = ast.parse(FUNCTIONAL_STUB.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert names == set(torchish_mlx.nn.functional.__all__)


def test_a_name_that_is_public_is_seen():
    """Each comes from an import ``x as x``, an assignment, or the stub."""
    seen = set()
    for file in (PACKAGE / "__init__.py", PACKAGE / "_names.py", STUB):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                seen |= {alias.name for alias in node.names if alias.asname == alias.name}
            elif isinstance(node, ast.Assign):
                targets = [t for target in node.targets for t in getattr(target, "elts", [target])]
                seen |= {target.id for target in targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.FunctionDef):
                seen.add(node.name)
    assert set(torchish_mlx.__all__) - seen == set()


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").read_bytes() == b""
