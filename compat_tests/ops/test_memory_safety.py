"""No index, however wrong, reaches memory outside an array: random calls in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PARTS = [
    pytest.param(0, 400),
    *[pytest.param(first, 1000, marks=pytest.mark.long) for first in range(1000, 11000, 1000)],
]


@pytest.mark.parametrize(("first", "count"), PARTS)
def test_random_calls_neither_crash_nor_differ(first: int, count: int) -> None:
    command = [sys.executable, "-m", "compat_tests.ops.index_calls", str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (0, f"{count} calls\n"), done.stderr[-2000:]
