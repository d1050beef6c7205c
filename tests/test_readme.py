"""The examples of the README and of the pages in docs/ run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("README.md", "docs/gradients.md", "docs/checkpoints.md")
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
BLOCKS = [
    pytest.param(name, code, id=f"{name}-{i}")
    for name, text in PAGES.items()
    for i, code in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
]


@pytest.mark.parametrize(("name", "code"), BLOCKS)
def test_example_runs(name, code, capsys):
    if re.search(r"^import torch$", code, re.MULTILINE):
        pytest.importorskip("torch", reason="torch is not installed")
    exec(compile(code, name, "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out.split()
    assert all(float(word) < 0.1 for word in printed)  # what is printed is a loss after training


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[name])
    missing = [target for target in targets if not ((ROOT / name).parent / target).exists()]
    assert not missing
