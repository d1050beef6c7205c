"""``.. ops-of:: arithmetic`` documents the functions of a subject from the registry: a page needs no list of them.

``.. functional-ops-of:: losses`` does so for those of ``torchish_mlx.nn.functional``.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from torchish_mlx.ops.functions import FUNCTIONAL, FUNCTIONS


class OpsOf(SphinxDirective):
    """The functions in ``torchish_mlx/ops/<subject>.py``, in the order of their declaration."""

    required_arguments = 1
    functions = FUNCTIONS
    module = "torchish_mlx"

    def run(self) -> list[nodes.Node]:
        file = f"torchish_mlx.ops.{self.arguments[0]}"
        names = [name for name, function in self.functions.items() if function.__module__ == file]
        if not names:
            raise self.error(f"torchish_mlx/ops/{self.arguments[0]}.py declares no functions")
        lines = [f".. autofunction:: {self.module}.{name}" for name in names]
        where = nodes.Element()
        self.state.nested_parse(StringList(lines, source=f"<ops of {self.arguments[0]}>"), self.content_offset, where)
        return where.children


class FunctionalOpsOf(OpsOf):
    """Those of ``nn.functional``."""

    functions = FUNCTIONAL
    module = "torchish_mlx.nn.functional"


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("ops-of", OpsOf)
    app.add_directive("functional-ops-of", FunctionalOpsOf)
    return {"parallel_read_safe": True}
