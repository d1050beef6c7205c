"""Pages in Markdown: their programs with what these print, their links, and the anchors that GitHub gives headings."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1 *$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$(?:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)|\b(?:src|srcset|href)=\"([^\"\s]+)")
COMPARE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A program on a page, and the text that it prints, where the page shows it."""

    page: str
    line: int
    code: str
    text: str | None

    @property
    def needs_torch(self) -> bool:
        return re.search(r"^(import|from) torch\b", self.code, re.MULTILINE) is not None

    @property
    def needs_examples(self) -> bool:
        """Whether it imports what the package's extra of this name installs."""
        return re.search(r"^(import|from) (sklearn|matplotlib|tqdm)\b", self.code, re.MULTILINE) is not None

    def run(self) -> None:
        """Run it as a program of its own, and compare what it prints and raises with what the page says."""
        # Lines are counted as on the page, so that a traceback leads there.
        program = compile("\n" * self.line + self.code, self.page, "exec", dont_inherit=True)
        printed, raised = io.StringIO(), ""
        with contextlib.redirect_stdout(printed):
            try:
                exec(program, {"__name__": "__main__"})
            except Exception as error:
                if self.text is None:
                    raise
                raised = f"{type(error).__name__}: {error}\n"
        got = printed.getvalue() + raised
        if self.text is not None:
            same = doctest.OutputChecker().check_output(self.text, got, COMPARE)
            assert same, f"{self.page}:{self.line} says\n{self.text}\nand the block gives\n{got}"
        else:
            assert all(is_small(word) for word in got.split()), f"{self.page}:{self.line} prints, unsaid:\n{got}"


def is_small(word: str) -> bool:
    """Whether it is a loss after training."""
    try:
        return float(word) < 0.1
    except ValueError:
        return False


def blocks(page: str, text: str) -> list[Block]:
    """The programs of a page."""
    return [Block(page, text.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in PYTHON.finditer(text)]


def programs(needs_torch: bool) -> list[Any]:
    """The programs of all pages that import torch, or those that do not, as parameters of a test."""
    return [
        pytest.param(block, id=f"{name}-{block.line}")
        for page in PAGES
        for name in [page.relative_to(ROOT).as_posix()]
        for block in blocks(name, page.read_text(encoding="utf-8"))
        if block.needs_torch == needs_torch
    ]


def anchors(text: str) -> set[str]:
    """What `page.md#...` may name: the headings as GitHub spells them, and what has an id of its own."""
    text = FENCED.sub("", text)
    found: set[str] = set(re.findall(r"\b(?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6} +(.+?)(?: +#+)? *$", text, re.MULTILINE):
        plain = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", heading)  # a link's text is what is read
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        name, again = slug, 0
        while name in found:
            again += 1
            name = f"{slug}-{again}"
        found.add(name)
    return found


def dead_links(page: Path) -> list[str]:
    """The links and pictures of a page that lead to no file, or to no heading of a page."""
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text(encoding="utf-8")))
    dead = []
    for match in LINK.finditer(text):
        link: Any = match[1] or match[2]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead
