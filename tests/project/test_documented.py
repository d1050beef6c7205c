"""The programs on the pages run as printed and print what the pages say; the links between the pages lead somewhere."""

from __future__ import annotations

import pytest

from tests.documented import PAGES, ROOT, Block, anchors, blocks, dead_links, programs


@pytest.mark.parametrize("block", programs(needs_torch=False))
def test_program_runs_as_printed(block, tmp_path, monkeypatch):
    if block.needs_examples:
        pytest.importorskip("sklearn", reason="the examples extra is not installed")
    monkeypatch.chdir(tmp_path)
    block.run()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    assert dead_links(page) == []


GOOD = [
    ("print(0.05)", None),
    ("print([1, 2.5])", "[1, ...]"),
    ("print(1)\nraise KeyError('x')", "1\nKeyError: 'x'"),
    ("raise ValueError('lr is 0.123')", "ValueError: lr is ..."),
    ("def f(x: 'int'): ...\nassert f.__annotations__ == {'x': 'int'}\nassert __name__ == '__main__'", None),
]
BAD = [
    ("print(0.5)", None, AssertionError),  # no small loss
    ("print('done')", None, AssertionError),
    ("print(1)", "2", AssertionError),
    ("pass", "1", AssertionError),
    ("raise KeyError(1)", None, KeyError),
    ("raise KeyError(1)", "KeyError: 2", AssertionError),
    ("print(1)", "1\nKeyError: 1", AssertionError),
    ("annotations", None, NameError),  # each block has its own names
]


def page_of(code, text):
    said = "" if text is None else f"\n```text\n{text}\n```\n"
    return f"# A page\n\n```python\n{code}\n```\n{said}\nMore.\n\n```text\nsomething else\n```\n"


@pytest.mark.parametrize(("code", "text"), GOOD)
def test_the_check_accepts(code, text):
    (block,) = blocks("page.md", page_of(code, text))
    block.run()


@pytest.mark.parametrize(("code", "text", "error"), BAD)
def test_the_check_refuses(code, text, error):
    (block,) = blocks("page.md", page_of(code, text))
    with pytest.raises(error):
        block.run()


def test_a_part_of_a_program_is_not_run():
    assert blocks("page.md", "```py-part\nnonsense\n```\n\n```sh\nmake\n```\n") == []


@pytest.mark.parametrize("line", ["import torch", "from torch import nn", "import torch.nn as nn"])
def test_a_block_that_imports_torch_is_found(line):
    assert Block("page.md", 1, f"x = 1\n{line}\n", None).needs_torch
    assert not Block("page.md", 1, "import torchish_mlx as torch\nfrom torchish_mlx import optim\n", None).needs_torch


def test_anchors_are_spelled_as_on_github():
    page = "# `step()`: a *b* & c\n\n## Why, and_how?\n## [Links](x.md) too ##\n### Why, and_how?\n"
    page += '<a id="own"></a>\n\n```sh\n# no heading\n```\n'
    assert anchors(page) == {"step-a-b--c", "why-and_how", "links-too", "why-and_how-1", "own"}


def test_dead_links_are_found(tmp_path):
    (tmp_path / "other.md").write_text("# A heading\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#a-heading) [c](#here) [d](https://x.y/z#w) `[e](no)`\n"
        '[f](gone.md) ![g](gone.png) [h](other.md#gone) [i](#gone) <img src="gone.svg">\n'
        "```py-part\nx[0](gone)\n```\n"
    )
    assert dead_links(page) == ["gone.md", "gone.png", "other.md#gone", "#gone", "gone.svg"]
