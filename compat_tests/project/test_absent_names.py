"""The table of torch's names is what torch has."""

from __future__ import annotations

import pytest
import torch

from compat_tests.absent_names import SECTIONS, names_of, written
from torchish_mlx._absent import FILE, parsed, table


def test_the_file_is_what_the_script_writes() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert written(text) == text, "python -m compat_tests.absent_names writes it again"


@pytest.mark.parametrize("section", SECTIONS)
def test_the_names_are_torchs(section: str) -> None:
    assert sorted(table()[section]) == names_of(section)


def test_no_name_is_there_twice() -> None:
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and line[0] not in "[#"]
    count = sum(len(line.partition(": ")[0].split()) for line in lines)
    assert count == sum(len(names) for names in table().values())


def test_a_name_that_torch_does_not_have_is_found() -> None:
    assert "no_such_name" not in parsed(written("[torch]\nno_such_name\n"))["torch"]
    assert names_of("torch")
    assert hasattr(torch, "rand")
