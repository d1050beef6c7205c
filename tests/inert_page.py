"""Writes ``docs/inert.md`` from the list of inert names.

python -m tests.inert_page
"""

from __future__ import annotations

from pathlib import Path

from torchish_mlx._inert import INERT

PAGE = Path(__file__).resolve().parents[1] / "docs" / "inert.md"
HEAD = """\
# Names that have no effect

These names of torch are accepted, so that a script which uses them runs as it is, and have no effect here. Settings can
be read back as they were set. A name or an argument that would change results works, or it raises.

`torchish_mlx/_inert.py` has the list, from which this page is made.
"""


def page() -> str:
    """The page: a table for each reason."""
    reasons: dict[str, list[str]] = {}
    for name, why in INERT.items():
        reasons.setdefault(why, []).append(name)
    parts = [f"- {why}:\n  {', '.join(f'`{name}`' for name in names)}\n" for why, names in reasons.items()]
    return HEAD + "\n" + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
