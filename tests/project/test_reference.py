"""Every public name has a docstring; and the check by which an undocumented one fails `make docs` does find it."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import torchish_mlx
from tests.each import each
from torchish_mlx.ops._declare import FUNCTIONAL as IN_FUNCTIONAL
from torchish_mlx.ops._declare import REGISTRY
from torchish_mlx.ops.functions import FUNCTIONAL, FUNCTIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"
SPEC = importlib.util.spec_from_file_location("public_names", DOCS / "_ext" / "public_names.py")
assert SPEC is not None
assert SPEC.loader is not None
public_names = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(public_names)

MODULES = public_names.public_modules(torchish_mlx)


def everything(modules):
    """The full names that a complete reference shows."""
    shown = set()
    for module in modules:
        for name in module.__all__:
            value = getattr(module, name)
            shown.add(f"{module.__name__}.{name}")
            if isinstance(value, type):
                shown |= {f"{module.__name__}.{name}.{member}" for member in dir(value) if hasattr(value, member)}
    return shown


def test_the_public_modules_are_found():
    names = {module.__name__ for module in MODULES}
    assert {"torchish_mlx", "torchish_mlx.optim.lr_scheduler", "torchish_mlx.nn.utils", "torchish_mlx.testing"} <= names
    assert not any(part.startswith("_") for name in names for part in name.split("."))
    assert "torchish_mlx.parity" not in names


def test_every_public_name_has_a_docstring():
    assert public_names.faults(MODULES, everything(MODULES)) == []


def test_every_function_of_the_reference_pages_is_a_public_name():
    """The pages are written by hand; what they show is compared with the package both ways, here without Sphinx."""
    shown = set()
    for page in (DOCS / "reference").glob("*.md"):
        module = ""
        for directive, name in re.findall(
            r"\.\. (currentmodule|autofunction|ops-of|functional-ops-of)::? (\S+)", page.read_text("utf-8")
        ):
            if directive == "currentmodule":
                module = name
            elif directive == "ops-of":  # as docs/_ext/op_reference.py makes it
                of = f"torchish_mlx.ops.{name}"
                shown |= {f"torchish_mlx.{each}" for each, function in FUNCTIONS.items() if function.__module__ == of}
            elif directive == "functional-ops-of":
                of, at = f"torchish_mlx.ops.{name}", "torchish_mlx.nn.functional"
                shown |= {f"{at}.{each}" for each, function in FUNCTIONAL.items() if function.__module__ == of}
            else:
                shown.add(f"{module}.{name}")
    public = {
        place
        for place in (f"{module.__name__}.{name}" for module in MODULES for name in module.__all__)
        if inspect.isroutine(_value(place))
    }
    assert shown <= public
    assert {_value(place) for place in public if _value(place).__module__.startswith("torchish_mlx")} <= {
        _value(place) for place in shown
    }


def _value(place):
    module, _, name = place.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    "name",
    [
        "torchish_mlx.optim.from_mlx",  # a function
        "torchish_mlx.add",  # of the table
        "torchish_mlx.optim.Optimizer.zero_grad",  # a method
        "torchish_mlx.Tensor.add_",  # of the table
        "torchish_mlx.optimizers.Rule.learning_rate",  # a property
        "torchish_mlx.float16",  # a constant
    ],
)
def test_a_name_that_no_page_shows_is_found(name):
    shown = {full for full in everything(MODULES) if full.split(".")[-1] != name.split(".")[-1]}
    assert any(fault.endswith(f"{name.split('.')[-1]} is not in the reference") for fault in _faults(shown))


def _faults(shown):
    return public_names.faults(MODULES, shown)


def test_a_name_without_a_docstring_is_found():
    class Documented:
        """It is."""

        def method(self): ...

        @property
        def number(self): ...

        def _hidden(self): ...

    class Bare: ...

    def function(): ...

    module = ModuleType("package")
    for value in (Documented, Bare, function):
        value.__module__ = "package"
        setattr(module, value.__name__, value)
    module.__all__ = ["Documented", "Bare", "function"]
    assert public_names.faults([module], everything([module])) == [
        "package.Documented.method has no docstring",
        "package.Documented.number has no docstring",
        "package.Bare has no docstring",
        "package.Bare has no docstring of its own",
        "package.function has no docstring",
    ]


@each("name", sorted(n for n in REGISTRY if n.startswith(IN_FUNCTIONAL) or ("." not in n and not n.startswith("__"))))
def test_a_function_of_the_registry_says_what_it_computes(name):
    function = REGISTRY[name].function
    lines = inspect.getdoc(function).splitlines()
    assert len(lines[0]) > 5
    assert lines[0].endswith(".")
    assert any(line.startswith("Shape: ") for line in lines)
    assert lines[-1].startswith("Source: ``torch.")
