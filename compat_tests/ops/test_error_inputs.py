"""Bad input next to torch: the calls of ``op_db`` that must raise, with torch's type and words.

torch's own tests say of each call which type it raises, and a pattern that the message matches.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch

from compat_tests.ops.bad_calls import Converter, outcome
from compat_tests.ops.test_op_db import ENTRIES, called

CASES = [entry for entry in ENTRIES if entry.error_inputs_func is not None]
#: (name, which) -> why torch itself accepts the call, although its table says that it raises.
ACCEPTED = {
    ("clamp_max", 0): "the table means a number as the bound, which torch.clamp_max takes",
    ("clamp_min", 0): "the table means a number as the bound, which torch.clamp_min takes",
}


def wrong(entry: Any, which: int, error: Any) -> str:
    """What differs from what torch's table says, or an empty string."""
    sample = error.sample_input
    args, kwargs = Converter()([[sample.input, *sample.args], sample.kwargs])
    theirs = outcome(entry, [sample.input, *sample.args], sample.kwargs)
    ours = outcome(called(entry), args, kwargs)
    if (entry.name, which) in ACCEPTED:
        return "" if theirs.error is None and ours.error is None else f"{theirs.error!r}, {ours.error!r}"
    if not isinstance(theirs.error, error.error_type):
        return f"torch: {theirs.error!r}"
    if not isinstance(ours.error, error.error_type) or type(ours.error) is not type(theirs.error):
        return f"{ours.error!r} instead of {theirs.error!r}"
    return "" if re.search(error.error_regex, str(ours.error)) else f"{ours.error!r} instead of {theirs.error!r}"


@pytest.mark.parametrize("entry", CASES, ids=lambda e: f"{e.name}-{e.variant_test_name}")
def test_error_inputs(entry: Any) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [wrong(entry, i, error) for i, error in enumerate(entry.error_inputs("cpu"))]
    assert found == [""] * len(found)


@pytest.mark.long
def test_there_are_as_many_as_before() -> None:
    """What is not here is no entry: the number goes up with functions, and never down."""
    assert len(CASES) >= 103
    assert sum(len(list(entry.error_inputs("cpu"))) for entry in CASES) >= 286
