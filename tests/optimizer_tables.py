"""docs/optimizers.md: its tables of arguments and defaults, and what the classes themselves say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).resolve().parent.parent / "docs" / "optimizers.md"
REQUIRED = "required"


class Column(NamedTuple):
    """One class or function of the page: its name, and its arguments with their defaults."""

    name: str
    arguments: dict[str, str]


def columns(text: str) -> list[Column]:
    """The left and the right half of every table of arguments."""
    found = []
    for table in re.findall(
        r"^\| [^\n]+ \| default \| [^\n]+ \| default \| \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE
    ):
        (head,) = re.findall(rf"^(\| .+)\n.*\n{re.escape(table)}", text, re.MULTILINE)
        rows = [re.split(r"(?<!\\) ?\| ?", row)[1:-1] for row in (head, *table.splitlines())]
        for left in (0, 2):
            if not (name := re.fullmatch(r"`(.+)`", rows[0][left])):
                continue
            arguments: dict[str, str] = {}
            for row in rows[1:]:
                names, defaults = re.findall(r"`([^`]+)`", row[left]), re.findall(r"`([^`]+)`|required", row[left + 1])
                arguments.update(zip(names, [default or REQUIRED for default in defaults], strict=True))
            found.append(Column(name[1], arguments))
    return found


def real(function: Callable[..., Any]) -> dict[str, str]:
    """The arguments of a class or a function, with their defaults."""
    given = inspect.signature(function).parameters.values()
    return {a.name: REQUIRED if a.default is a.empty else repr(a.default) for a in given}


def resolve(name: str, roots: dict[str, Any]) -> Any:
    """``torch.optim.Adam`` in the module that stands for ``torch``."""
    first, *rest = name.split(".")
    found = roots[first]
    for part in rest:
        found = getattr(found, part)
    return found
