"""``.. ops-of:: arithmetic`` documents the functions of a subject from the registry: a page needs no list of them."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from torchish_mlx.ops.functions import FUNCTIONS


def functions_of(subject: str) -> list[str]:
    """The public names of the functions in ``torchish_mlx/ops/<subject>.py``, in the order of their declaration."""
    return [name for name, function in FUNCTIONS.items() if function.__module__ == f"torchish_mlx.ops.{subject}"]


class OpsOf(SphinxDirective):
    """The functions of one subject."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        names = functions_of(self.arguments[0])
        if not names:
            raise self.error(f"torchish_mlx/ops/{self.arguments[0]}.py declares no functions")
        lines = [f".. autofunction:: torchish_mlx.{name}" for name in names]
        where = nodes.Element()
        self.state.nested_parse(StringList(lines, source=f"<ops of {self.arguments[0]}>"), self.content_offset, where)
        return where.children


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("ops-of", OpsOf)
    return {"parallel_read_safe": True}
