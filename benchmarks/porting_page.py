"""The programs of docs/porting.md: the torch script, its imports swapped, its port, and the port's optional steps."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "porting.md"


def patched(program: str, diff: str) -> str:
    """``program`` with the hunks of ``diff`` applied; ValueError where one does not fit in exactly one place."""
    for hunk in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = [line or " " for line in hunk.removesuffix("\n").split("\n")]
        old = "\n".join(line[1:] for line in lines if line[0] in " -")
        new = "\n".join(line[1:] for line in lines if line[0] in " +")
        found = re.findall(rf"^{re.escape(old)}$", program, re.MULTILINE)
        if len(found) != 1:
            raise ValueError(f"this is {len(found)} times in the program:\n{old}")
        program = re.sub(rf"^{re.escape(old)}$", lambda _, new=new: new, program, count=1, flags=re.MULTILINE)
    return program


def sections() -> dict[str, str]:
    """The page by its headings."""
    text = PAGE.read_text(encoding="utf-8")
    parts = re.split(r"^#{2,3} (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def fenced(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def programs() -> dict[str, str]:
    """The torch script, what ``run`` makes of it, the port, and the port with ``update`` and with ``mx.compile``."""
    on = sections()
    (original,) = fenced(on["The script"], "python")
    (swap,) = fenced(on["Swap the imports"], "diff")
    (port,) = fenced(on["The port"], "python")
    (update,) = fenced(on["Optional: MLX's own words"], "diff")
    (compiled,) = fenced(on["Optional: `mx.compile`"], "diff")
    by_update = patched(port, update)
    return {
        "torch": original,
        "run": patched(original, swap),
        "step()": port,
        "update()": by_update,
        "update(), mx.compile": patched(by_update, compiled),
    }


def step_by_step() -> str:
    """The torch script with the differences of every numbered step applied."""
    on = sections()
    program = programs()["torch"]
    for heading, section in on.items():
        if re.match(r"\d+\. ", heading):
            for diff in fenced(section, "diff"):
                program = patched(program, diff)
    return program
