"""Settings of the site: `make docs` builds it into out/docs, offline; a warning is an error.

Pages are Markdown, readable on GitHub as they are. Their links:

- to another page and its headings: `[text](page.md#heading)`, spelled as on GitHub; Sphinx fails on a dead one;
- to a file of the repository, as `[text](../examples/digits.py)`: GitHub shows it, the site has it as a download;
- to CONTRIBUTING.md and CHANGELOG.md, as `[text](../CHANGELOG.md)`: the site has them as pages of its own.

The reference is made from the docstrings. `_ext/public_names.py` fails the build for a public name without a docstring,
or one that no page of reference/ shows.
"""

from __future__ import annotations

import builtins
import re
import sys
from pathlib import Path
from typing import Any

from pygments.lexers.python import PythonLexer
from sphinx.addnodes import desc_sig_name, pending_xref

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import torchish_mlx  # noqa: E402

project = "torchish_mlx"
author = "the torchish_mlx authors"
project_copyright = author
release = version = torchish_mlx.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "mathml",
    "absent_names",
    "op_reference",
    "site_check",
]
exclude_patterns = ["_ext"]
nitpicky = True
smartquotes_action = "D"  # only dashes: a "quote" is often a string
# Types of Python, MLX and NumPy, whose pages are elsewhere; type variables and the package's names for unions, which
# have none.
nitpick_ignore_regex = [
    ("py:.*", r"(mx|mlx|nn|np|numpy|collections|contextlib|os|pickle|types|pathlib|typing)\..*|Path"),
    ("py:class", r"DtypeLike|Number|Operand|AvgFn|MultiAvgFn|multiprocessing\..*"),
    ("py:class", r"torchish_mlx\.(_tensor\.tape\.Pull|random\.generator\.R)"),
    ("py:class", r"torchish_mlx\.utils\.data\.(dataloader\.T_co|_utils\.worker\.WorkerInfo)"),
]

myst_heading_anchors = 4
myst_enable_extensions = ["fieldlist"]

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # an override that says nothing new is shown in its base only
autodoc_default_options = {"exclude-members": "rule"}
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False  # types in words, "float or schedule", are no names to look up
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"torchish_mlx {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

linkcheck_anchors = False
linkcheck_timeout = 20


def with_own_pages(_app: Any, _docname: str, content: list[str]) -> None:
    """Lead links to the repository's pages to those of the site."""
    pattern = r"\]\(((?:\.\./)*)\.\./(CONTRIBUTING|CHANGELOG)\.md(?=[#)])"
    content[0] = re.sub(pattern, lambda m: f"]({m[1]}{m[2].lower()}.md", content[0])


def without_builtins(_app: Any, doctree: Any) -> None:
    """Have no annotation `int` lead to `torchish_mlx.int`, which is a dtype."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and node["reftype"] == "class" and hasattr(builtins, node["reftarget"]):
            node.replace_self(desc_sig_name("", node["reftarget"]))


def with_plain_defaults(*arguments: Any) -> tuple[str | None, str | None]:
    """A default that a dataclass makes is no Python expression, and would keep a signature from being read."""
    signature, returns = arguments[-2:]
    return signature and signature.replace("<factory>", "..."), returns


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_lexer("py-part", PythonLexer)  # a part of a program, which tests/project/test_documented.py does not run
    app.connect("source-read", with_own_pages)
    app.connect("doctree-read", without_builtins)
    app.connect("autodoc-process-signature", with_plain_defaults)
