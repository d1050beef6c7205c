"""State and groups taken apart and put together again: random programs, next to torch."""

from __future__ import annotations

import os
import warnings
from typing import Any

import pytest

from compat_tests.surgery import TOLERANCE, WITHIN, Session, attempt, distance, program
from tests.marks import mostly_long
from torchish_mlx.parity.sides import OURS, THEIRS

PROGRAMS = int(os.environ.get("SURGERY_PROGRAMS", "300"))
PARTS = 10


def run(seed: int) -> int:
    """Both sides of a program, compared after each operation; how many operations were made."""
    name, options, in_module, shapes, group_of, operations = program(seed)
    ours, theirs = (Session(side, name, options, in_module, shapes, group_of) for side in (OURS, THEIRS))
    for i, operation in enumerate(operations):
        where = f"seed {seed}: {name}({options}), {in_module=}, {shapes}, {group_of}, {operations[: i + 1]}"
        refused = attempt(lambda: theirs.run(operation))  # noqa: B023
        error = attempt(lambda: ours.run(operation))  # noqa: B023
        if refused is not None:  # such as Adagrad's KeyError for a state that was deleted
            return i
        assert error is None, where
        assert distance(ours.seen(), theirs.seen()) <= WITHIN.get(name, TOLERANCE), where
    return len(operations)


@pytest.mark.parametrize("part", mostly_long(range(PARTS), lambda part: part < 4))
def test_random_programs(part: int) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "optimizer contains a parameter group with duplicate parameters")
        made = [run(seed) for seed in range(part, PROGRAMS, PARTS)]
    assert sum(made) > 5 * len(made)


def test_the_programs_reach_every_optimizer_and_operation() -> None:
    drawn: list[Any] = [program(seed) for seed in range(PROGRAMS)]
    assert len({each[0] for each in drawn}) == 15
    assert len({kind for each in drawn for kind, _ in each[-1]}) == 24
