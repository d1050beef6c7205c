"""The layers of the package: what imports what, and what nothing imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import torchish_mlx

PACKAGE = Path(torchish_mlx.__file__).resolve().parent
FILES = sorted(PACKAGE.rglob("*.py"))
# folder -> the folders whose modules it may import, besides its own. Whatever is new must be entered here.
BELOW: dict[str, set[str]] = {
    "optimizers": set(),
    "tensor": {"optimizers"},
    "optim": {"optimizers", "tensor"},
    "amp": {"optimizers", "tensor", "optim"},
    "nn": {"optimizers", "tensor", "optim"},
    "serialization": {"optimizers", "tensor"},
    "checkpoint": {"optimizers", "tensor", "optim", "serialization"},
    "testing": {"optimizers", "tensor", "optim"},
    "parity": set(),  # sees the package as its users do: `test_parity_imports_what_is_public`
}
MAY_BE_IMPORTED = {"mlx", "numpy", "torchish_mlx"} | set(sys.stdlib_module_names)
# `python -m torchish_mlx parity`: the one folder that imports torch, and what its report is drawn with.
PARITY = {"torch", "jinja2", "markupsafe", "matplotlib", "tabulate", "tqdm"}


def imports(file: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every import in a file, with the full name of the module; ``from . import x`` gives ``....x``."""
    package = [PACKAGE.name, *file.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            if node.module and module != [PACKAGE.name]:
                yield node, ".".join(module)
            else:
                for alias in node.names:
                    yield node, ".".join([*module, alias.name])


def name(file: Path) -> str:
    return str(file.relative_to(PACKAGE.parent))


def test_the_imports_are_seen():
    """The walk resolves relative imports of every form."""
    seen = {module for _, module in imports(PACKAGE / "optim" / "optimizer.py")}
    assert {"torchish_mlx.tensor", "torchish_mlx.optimizers", "torchish_mlx.optim._groups", "mlx.core"} <= seen
    assert "torchish_mlx.optimizers" in {module for _, module in imports(PACKAGE / "optim" / "sgd.py")}
    assert "torchish_mlx.optim" in {module for _, module in imports(PACKAGE / "__init__.py")}


@pytest.mark.parametrize("file", FILES, ids=name)
def test_layers_import_downwards(file):
    folder = file.relative_to(PACKAGE).parts[0]
    if folder.endswith(".py"):
        return  # the package's own __init__ re-exports every layer
    if folder == "parity":
        return
    for node, module in imports(file):
        parts = module.split(".")
        if parts[0] == PACKAGE.name:
            assert len(parts) > 1, f"{name(file)}:{node.lineno} imports the whole package"
            allowed = BELOW[folder] | {folder, "_version", "_docs"}
            assert parts[1] in allowed, f"{name(file)}:{node.lineno} imports {module}"


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name == "parity"], ids=name)
def test_parity_imports_what_is_public(file):
    """Of the package it names what users may; and nobody but the package's ``__main__`` names it."""
    for node, module in imports(file):
        if module.split(".")[0] == PACKAGE.name and module.split(".")[1:2] != ["parity"]:
            private = [part for part in module.split(".") if part.startswith("_") and part != "__version__"]
            assert not private, f"{name(file)}:{node.lineno} imports {module}"


def test_nothing_but_the_command_imports_parity():
    seen = {
        (name(file), module)
        for file in FILES
        if file.parent.name != "parity"
        for _, module in imports(file)
        if module.split(".")[:2] == [PACKAGE.name, "parity"]
    }
    assert seen == {("torchish_mlx/__main__.py", "torchish_mlx.parity.command")}


def test_every_folder_has_its_place():
    folders = {file.relative_to(PACKAGE).parts[0] for file in FILES if file.parent != PACKAGE}
    assert folders == set(BELOW)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_only_the_declared_dependencies_are_imported(file):
    """Neither torch nor anything else that is not installed with the package; not even where it is guarded.

    But for parity/, which only its own command imports.
    """
    in_parity = file.parent.name == "parity"
    for node, module in imports(file):
        allowed = MAY_BE_IMPORTED | PARITY if in_parity and file.name != "command.py" else MAY_BE_IMPORTED
        assert module.split(".")[0] in allowed, f"{name(file)}:{node.lineno} imports {module}"
    if in_parity and file.name == "command.py":
        return  # imports the report after it has seen that what that needs is there
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not called & {"import_module", "__import__"}


def test_torch_is_not_imported_when_the_package_is_used():
    """A new interpreter imports everything and trains a step: torch is not among its modules."""
    code = """
import sys, pkgutil, importlib
import torchish_mlx
for module in pkgutil.walk_packages(torchish_mlx.__path__, "torchish_mlx."):
    if not module.name.startswith("torchish_mlx.parity.") or module.name.endswith(".command"):
        importlib.import_module(module.name)
import mlx.nn as nn, mlx.core as mx, mlx.optimizers
model = nn.Linear(2, 2)
optimizer = torchish_mlx.optim.AdamW(model)
torchish_mlx.backward(model, lambda m, x: m(x).sum(), mx.ones((1, 2)))
optimizer.step()
optimizer = torchish_mlx.optim.from_mlx(mlx.optimizers.Adam)(model, lr=0.1)
optimizer.update(model, model.parameters())
assert (mx.ones(3) * torchish_mlx.tensor([2.0])).dtype == mx.float32  # MLX looks at what a class's module is called
print(sorted(m for m in sys.modules if m.split(".")[0] in ("torch", "functorch", "compat_tests", "tests")))
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_no_import_inside_a_function(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for node in ast.walk(function):
                assert not isinstance(node, (ast.Import, ast.ImportFrom)), f"{name(file)}:{node.lineno}"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_files_are_short(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= 500, f"{name(file)} has {lines} lines"
