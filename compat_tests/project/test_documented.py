"""The programs on the pages that import torch run as printed, too."""

from __future__ import annotations

import pytest

from tests.documented import programs


@pytest.mark.parametrize("block", programs(needs_torch=True))
def test_program_runs_as_printed(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block.run()
