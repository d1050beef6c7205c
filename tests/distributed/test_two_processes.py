"""Programs of two processes over loopback; each compares with what one process computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.distributed.launched import launched

HERE = Path(__file__).resolve().parent


@pytest.mark.long
@pytest.mark.parametrize("program", ["averages.py", "norms.py", "checkpoints.py"])
def test_a_program(program, tmp_path):
    printed = launched(HERE / program, tmp_path)
    assert {"process 0 is done", "process 1 is done"} <= set(printed.splitlines())
