"""docs/pitfalls.md and the messages of the package point to each other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import torchish_mlx
from tests.documented import PYTHON, anchors
from torchish_mlx._docs import PAGE, see

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)$(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
FOREIGN = re.compile(r"\b(torch|MLX|Python)'s\s+own\s+message\b")
MESSAGE = re.compile(r"^[A-Z]\w*(Error|Exception): ", re.MULTILINE)


def named() -> dict[str, str]:
    """anchor -> where the package names it first."""
    found: dict[str, str] = {}
    for file in sorted(Path(torchish_mlx.__file__).parent.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "see(" in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "see":
                found.setdefault(ast.literal_eval(node.args[0]), file.name)
    return found


NAMED = named()


def anchor_of(heading: str) -> str:
    (anchor,) = anchors(f"### {heading}\n")
    return anchor


def messages(body: str) -> list[str]:
    """What the programs of a section raise."""
    return [text for _, text in PYTHON.findall(body) if text and MESSAGE.search(text)]


def test_a_message_ends_with_its_section():
    assert see("whole-modules") == " (docs/pitfalls.md#whole-modules)"
    with pytest.raises(TypeError, match=r"\(docs/pitfalls\.md#a-tree-of-arrays\)$"):
        torchish_mlx.optim.SGD({"weight": 1})


@pytest.mark.parametrize("anchor", sorted(NAMED))
def test_an_anchor_in_a_message_is_a_section(anchor):
    assert anchor in {anchor_of(heading) for heading in SECTIONS}, f"{NAMED[anchor]} names it"


@pytest.mark.parametrize("heading", sorted(SECTIONS))
def test_a_section_is_named_by_the_message_that_it_shows(heading):
    """Or it says whose message that is."""
    body, own = SECTIONS[heading], f"({PAGE}#{anchor_of(heading)})"
    for text in messages(body):
        assert own in text or FOREIGN.search(body), f"the message of {heading!r} neither ends with {own} nor is foreign"
    if own in body:
        assert anchor_of(heading) in NAMED


def test_there_are_raising_sections():
    assert sum(bool(messages(body)) for body in SECTIONS.values()) >= 25
