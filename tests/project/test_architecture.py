"""The layers of the package: what imports what, and what nothing imports. One walk over all files lists every fault."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torchish_mlx

PACKAGE = Path(torchish_mlx.__file__).resolve().parent
FILES = sorted(PACKAGE.rglob("*.py"))
# folder -> the folders whose modules it may import, besides its own. Whatever is new must be entered here.
BELOW: dict[str, set[str]] = {
    "_core": set(),
    "_tensor": {"_core"},
    "optimizers": {"_core"},
    "random": {"_core", "_tensor"},
    "ops": {"_core", "_tensor", "random"},
    "autograd": {"_core", "_tensor", "ops"},
    "bridge": {"_core", "_tensor"},
    "nn": {"_core", "_tensor", "random", "ops", "autograd", "optimizers", "bridge"},
    "optim": {"_core", "_tensor", "ops", "random", "autograd", "optimizers", "bridge", "nn"},
    "serialization": {"_core", "_tensor"},
    "amp": {"_core", "_tensor", "ops", "optim"},
    "backends": {"_core"},
    "cuda": {"_core", "_tensor", "random", "amp"},
    "checkpoint": {"_core", "_tensor", "random", "optimizers", "bridge", "optim", "serialization"},
    "testing": {"_core", "_tensor", "optim"},
    "utils": {"_core", "_tensor", "random", "ops", "autograd", "amp"},
    "distributed": set(),
    "distributions": {"_core", "_tensor", "ops", "autograd"},
    "cli": set(),  # it runs programs, which see the package as its users do
    "parity": set(),  # it sees the package as its users do: `imports_of_parity`
}
# a folder of a folder -> the others of that folder that it may import
WITHIN: dict[str, dict[str, set[str]]] = {
    "serialization": {"_shared": set(), "_torch": {"_shared"}, "safetensors": {"_shared"}},
}
MAY_BE_IMPORTED = {"mlx", "numpy", "torchish_mlx"} | set(sys.stdlib_module_names)
# `python -m torchish_mlx parity`: the one folder that imports torch, and what its report is drawn with.
PARITY = {"torch", "jinja2", "markupsafe", "matplotlib", "tabulate", "tqdm"}
COMMAND = (f"{PACKAGE.name}/__main__.py", f"{PACKAGE.name}.parity.command")  # the one import of parity/ from outside
LINES = 500


class File:
    """A file of the package, parsed, and its imports with the full name of each module."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.tree = path, text, ast.parse(text)
        self.name = path.relative_to(PACKAGE.parent).as_posix()
        self.folder = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""
        self.imports = list(self._imports())

    def _imports(self) -> Iterator[tuple[ast.stmt, str]]:
        """``from . import x`` gives the full name of ``x``."""
        package = [PACKAGE.name, *self.path.relative_to(PACKAGE).parent.parts]
        for node in ast.walk(self.tree):
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


def read(path: Path) -> File:
    return File(path, path.read_text(encoding="utf-8"))


# The rules. Each gives the faults of a file, with their lines.


def imports_of_layers(file: File) -> Iterator[str]:
    """Layers import downwards. The package's own __init__ re-exports every layer."""
    if not file.folder or file.folder == "parity":
        return
    for node, module in file.imports:
        parts = module.split(".")
        allowed = BELOW.get(file.folder, set()) | {file.folder, "_version", "_docs", "_absent", "_inert"}
        if parts == [PACKAGE.name]:
            yield f"{node.lineno}: imports the whole package"
        elif parts[0] == PACKAGE.name and parts[1] not in allowed:
            yield f"{node.lineno}: imports {module}, which is no layer below"


def imports_within_a_layer(file: File) -> Iterator[str]:
    """The parts of a layer import downwards too."""
    parts = file.path.relative_to(PACKAGE).parts
    for inner, allowed in WITHIN.get(file.folder, {}).items():
        for node, module in file.imports:
            to = module.split(".")[1:]
            here = len(parts) > 2 and parts[1] == inner and len(to) > 1 and to[0] == file.folder
            if here and to[1] not in allowed | {inner}:
                yield f"{node.lineno}: imports {module}, which is not below {file.folder}/{inner}"


def imports_of_parity(file: File) -> Iterator[str]:
    """parity/ names what users of the package may name; only the package's ``__main__`` names parity/: its command."""
    for node, module in file.imports:
        parts = module.split(".")
        ours, of_parity = parts[0] == PACKAGE.name, parts[:2] == [PACKAGE.name, "parity"]
        if of_parity and file.folder != "parity" and (file.name, module) != COMMAND:
            yield f"{node.lineno}: imports {module}, which only the command may"
        private = [part for part in parts if part.startswith("_") and part != "__version__"]
        if file.folder == "parity" and ours and not of_parity and private:
            yield f"{node.lineno}: imports {module}, which is private"


def dependencies(file: File) -> Iterator[str]:
    """Neither torch nor anything else that is not installed with the package is imported; not even where it is guarded.

    But for parity/, whose command imports the report after it has seen that what that needs is there, and for
    ``_torch/names.py``, which imports what a trusted file names.
    """
    command = file.path.parts[-2:] in (
        ("parity", "command.py"),
        ("cli", "swap.py"),
        ("torchish_mlx", "_absent.py"),
        ("_torch", "names.py"),
    )
    allowed = MAY_BE_IMPORTED | (PARITY if file.folder == "parity" and not command else set())
    for node, module in file.imports:
        if module.split(".")[0] not in allowed:
            yield f"{node.lineno}: imports {module}, which is not installed with the package"
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and not command:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield f"{node.lineno}: calls {called}"


def imports_inside_functions(file: File) -> Iterator[str]:
    for function in ast.walk(file.tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for node in ast.walk(function):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    yield f"{node.lineno}: imports inside a function"


def length(file: File) -> Iterator[str]:
    if (lines := len(file.text.splitlines())) > LINES:
        yield f"{lines}: more than {LINES} lines"


def folders(file: File) -> Iterator[str]:
    if file.folder and file.folder not in BELOW:
        yield f"1: the folder {file.folder} is not in the table BELOW"


RULES = [
    imports_of_layers,
    imports_within_a_layer,
    imports_of_parity,
    dependencies,
    imports_inside_functions,
    length,
    folders,
]


def faults(file: File) -> list[str]:
    return sorted({f"{file.name}:{fault}" for rule in RULES for fault in rule(file)})


def test_the_imports_are_seen():
    """The walk resolves relative imports of every form."""
    seen = {module for _, module in read(PACKAGE / "optim" / "_stateful.py").imports}
    assert {"torchish_mlx._tensor.tensor", "torchish_mlx.optimizers", "torchish_mlx.optim._groups", "mlx.core"} <= seen
    assert "torchish_mlx.optimizers" in {module for _, module in read(PACKAGE / "optim" / "sgd.py").imports}
    assert "torchish_mlx.optim" in {module for _, module in read(PACKAGE / "__init__.py").imports}


def test_no_file_breaks_a_rule():
    files = [read(path) for path in FILES]
    assert [fault for file in files for fault in faults(file)] == []
    assert {file.folder for file in files} - {""} == set(BELOW)  # none of the table's folders is gone
    assert COMMAND in [(file.name, module) for file in files for _, module in file.imports]


FAULTY = [
    ("ops/a.py", "import torchish_mlx", "imports the whole package"),
    ("ops/a.py", "from ..optim import _state", "imports torchish_mlx.optim, which is no layer below"),
    ("serialization/_shared/a.py", "from .._torch import load", "which is not below serialization/_shared"),
    ("serialization/safetensors/a.py", "from .._torch.load import x", "not below serialization/safetensors"),
    ("nn/utils/a.py", "from ... import amp", "imports torchish_mlx.amp, which is no layer below"),
    ("optim/a.py", "from torchish_mlx.parity import command", "imports torchish_mlx.parity, which only"),
    ("__init__.py", "from .parity import command", "imports torchish_mlx.parity, which only the command may"),
    ("__main__.py", "from .parity.report import x", "imports torchish_mlx.parity.report, which only"),
    ("parity/a.py", "from torchish_mlx.optim._state import x", "torchish_mlx.optim._state, which is private"),
    ("parity/a.py", "import pandas", "imports pandas, which is not installed with the package"),
    ("parity/command.py", "import torch", "imports torch, which is not installed with the package"),
    ("amp/a.py", "try:\n    import torch\nexcept ImportError:\n    pass", ":2: imports torch, which is not"),
    ("amp/a.py", "import importlib\nimportlib.import_module('x')", ":2: calls import_module"),
    ("amp/a.py", "def f():\n    import math", ":2: imports inside a function"),
    ("amp/a.py", "pass\n" * (LINES + 1), f":{LINES + 1}: more than {LINES} lines"),
    ("new/a.py", "import math", "the folder new is not in the table BELOW"),
]


def test_the_rules_can_fail():
    for path, text, found in FAULTY:
        assert found in "\n".join(faults(File(PACKAGE / path, text))), path


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


def test_every_file_is_in_a_table_of_the_page():
    page = (Path(__file__).resolve().parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    tables = ("_core", "_tensor", "bridge", "ops", "optimizers", "random", "utils/data", "utils/data/_utils")
    names = [path.name for folder in tables for path in (PACKAGE / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(names) > 100
    assert [name for name in names if f"`{name}`" not in page] == []
