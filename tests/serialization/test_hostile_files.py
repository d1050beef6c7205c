"""Hostile files: each gives a clean exception or a correct load, in 2 seconds and 500 MB, and nothing is executed.

Every process loads its share in a row and watches itself: a crash, an alarm, an event of the interpreter that loading
has no use for, memory, time, and exceptions that nobody meant are found (``tests/hostile/worker.py``).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.corpus import CORPUS
from tests.hostile.plan import PLAN

COUNT = 2000  # of each line of the plan


def run(*arguments: Any) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.hostile.worker", *map(str, arguments)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=root, check=False)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.parametrize("line", PLAN)
def test_mutations(line):
    """Of what a checksum protects, whatever loads is bit for bit what was saved."""
    *wrong, last = run(line, 0, COUNT)
    assert not wrong
    assert last["loads"] < COUNT


def test_there_are_enough_mutations():
    assert COUNT * len(PLAN) >= 20_000


#: What is no file. Nothing waits for a pipe.
NO_FILES = ("pipe.safetensors", "zero.safetensors", "loop.safetensors", "folder.safetensors")


@pytest.mark.long
def test_corpus():
    """One process loads all of it; every fault is listed."""
    corpus = {found["case"]: found for found in run()}
    assert corpus.keys() == CORPUS.keys() | set(NO_FILES)
    faults = {case: found["wrong"] for case, found in corpus.items() if found["wrong"]}
    for case, (_, said) in CORPUS.items():
        found = corpus[case]
        if found["loads"] != (not said) or not re.search(said, found["said"]):
            faults[case] = f"loads: {found['loads']}, said: {found['said']!r}, expected: {said!r}"
    assert faults == {}
    assert all(corpus[case]["said"] for case in NO_FILES)
