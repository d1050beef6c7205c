"""Writes ``torchish_mlx/_absent.txt`` again, with the names that torch has now.

    python -m compat_tests.absent_names

Lines that say what to use instead stay as they are; the names of torch that have no such line are listed below them.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import textwrap
import types
from typing import Any

import torch

from torchish_mlx._absent import FILE

#: Sections of the file: where torch has the names.
SECTIONS: dict[str, Any] = {
    "torch": torch,
    "torch.Tensor": torch.Tensor,
    **{
        f"torch.{name}": importlib.import_module(f"torch.{name}")
        for name in (
            "autograd",
            "autograd.graph",
            "nn",
            "nn.functional",
            "nn.utils",
            "optim",
            "optim.lr_scheduler",
            "optim.swa_utils",
            "amp",
            "utils",
            "utils.data",
            "cuda",
            "distributions",
            "distributions.constraints",
        )
    },
}
#: What torch imports when it is asked for.
LAZY = ("onnx",)
HEAD = """\
# The public names of torch {version}, and what to use instead of those that are not here. The lines with a colon are
# written by hand; compat_tests/absent_names.py writes the others.
"""


def is_torchs(name: str, value: Any) -> bool:
    """Whether a name is torch's own: modules of Python and what is imported from them are not."""
    if name.startswith("_") or name in ("TYPE_CHECKING", "torch"):
        return False
    if isinstance(value, types.ModuleType):
        return value.__name__.startswith("torch")
    origin = getattr(value, "__module__", None)
    return not isinstance(origin, str) or origin.partition(".")[0] not in sys.stdlib_module_names - {"builtins"}


def names_of(section: str) -> list[str]:
    """The public names of a section, in order."""
    where = SECTIONS[section]
    names = {*dir(where), *LAZY} if where is torch else {*getattr(where, "__all__", dir(where))}
    if section == "torch.utils":  # its modules are attributes once something has imported them
        names |= {module.name for module in pkgutil.iter_modules(where.__path__)}
    return sorted(name for name in names if is_torchs(name, getattr(where, name, None)))


def written(text: str) -> str:
    """The file again: its lines with a colon, and every other name of torch."""
    advice: dict[str, list[str]] = {section: [] for section in SECTIONS}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif ": " in line and not line.startswith("#"):
            advice[section].append(line)
    out = [HEAD.format(version=torch.__version__.partition("+")[0])]
    for section, lines in advice.items():
        said = {name for line in lines for name in line.partition(": ")[0].split()}
        rest = [name for name in names_of(section) if name not in said]
        out.append("\n".join([f"[{section}]", *lines, *textwrap.wrap(" ".join(rest), 120)]) + "\n")
    return "\n".join(out)


if __name__ == "__main__":
    FILE.write_text(written(FILE.read_text(encoding="utf-8")), encoding="utf-8")
