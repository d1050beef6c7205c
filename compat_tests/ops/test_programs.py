"""Random programs over Tensors next to torch: views, writes, mixed dtypes, no_grad, hooks, several backward passes."""

from __future__ import annotations

import os
import warnings

import pytest

from compat_tests.program_arguments import REGISTRY, by_name, by_sample, public
from compat_tests.tensor_programs import run

PROGRAMS = int(os.environ.get("TENSOR_PROGRAMS", "0"))


def check(seeds: range) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [run(seed) for seed in seeds]
    assert sum(made) > 4 * len(made)


def test_every_function_is_in_the_programs() -> None:
    """By names of parameters or by samples: a later one is, too, unless neither is there, which fails here."""
    left = {name for name in REGISTRY if public(name)} - {*by_name(), *by_sample()}
    assert len(by_name()) > 300
    recurrent = {f"{kind}{cell}" for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu") for cell in ("", "_cell")}
    assert left <= {"batch_norm", "instance_norm", "row_stack", *recurrent}, left


@pytest.mark.parametrize("part", range(4))
def test_random_programs(part: int) -> None:
    check(range(part, 400, 4))


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_many_random_programs(part: int) -> None:
    check(range(400 + part, PROGRAMS or 3400, 10))
