"""``.. absent-names::`` lists the names of torch that are not here, from the table that the AttributeErrors use."""

from __future__ import annotations

import importlib
import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import torchish_mlx
from torchish_mlx._absent import table


def missing(section: str) -> dict[str, list[str]]:
    """What to do instead -> the names of a section of torch that are not here; an empty string for the others."""
    if section == "torch.Tensor":
        where: Any = torchish_mlx.Tensor
    else:
        where = importlib.import_module(torchish_mlx.__name__ + section.removeprefix("torch"))
    found: dict[str, list[str]] = {}
    for name, advice in table()[section].items():
        if not hasattr(where, name):
            found.setdefault(advice, []).append(name)
    return found


def lines_of(section: str) -> list[str]:
    """The list of a section."""
    found = missing(section)
    rest = found.pop("", [])
    lines = [f".. rubric:: {section}", ""]
    for advice, names in found.items():
        plain = re.sub(r"([\\*_`|])", r"\\\1", advice)  # it is text, and not markup: `normal_` is no link
        lines += [f"* {', '.join(f'``{name}``' for name in names)}: {plain}"]
    if rest:
        lines += ["", "Not here yet: " + ", ".join(f"``{name}``" for name in rest)]
    return [*lines, ""]


class AbsentNames(SphinxDirective):
    """All sections, each with what to use instead and then the other names."""

    def run(self) -> list[nodes.Node]:
        lines = [line for section in table() if missing(section) for line in lines_of(section)]
        where = nodes.Element()
        self.state.nested_parse(StringList(lines, source="<absent names>"), self.content_offset, where)
        return where.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("absent-names", AbsentNames)
    return {"parallel_read_safe": True}
