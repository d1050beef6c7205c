"""Calls of every function with one fault each, next to torch: what torch refuses is refused with the same type.

What torch takes is taken, with the same values. A refused call leaves its Tensors as they were, which is asserted. This
prints the calls that still differ otherwise:

    python -m compat_tests.ops.test_bad_calls
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

import torchish_mlx as tm
from compat_tests.ops.bad_calls import Call, Converter, NeedsMore, damaged, outcome, written
from compat_tests.ops.test_op_db import ENTRIES, TIED, bare, called, flat, near

#: Not these: torch 2.13.0 itself damages its heap in some bad call of avg_pool3d, and those samples are for CUDA.
APART = {("nn.functional.avg_pool3d", ""), ("nn.functional.batch_norm", "without_cudnn")}
HERE = [entry for entry in ENTRIES if (entry.name, entry.variant_test_name) not in APART]
#: A number that was damaged may ask for gigabytes, which are not compared.
LARGEST = 10**6
#: How many samples of a function are damaged.
SAMPLES = 3


def state(tensors: Any) -> list[Any]:
    return [(repr(t.detach().tolist()), str(t.dtype), t._storage.version, t.requires_grad) for t in tensors]


def calls(entry: Any, count: int) -> Iterator[Call]:
    """The damaged calls of ``count`` samples of a function; torch takes what they are made of."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    dtype = next(d for d in (torch.float32, torch.int64, torch.bool, torch.complex64) if d in entry.dtypes)
    samples = [*islice(entry.sample_inputs("cpu", dtype, requires_grad=False), 40)]
    for sample in random.Random(0).sample(samples, min(SAMPLES, len(samples)))[:count]:
        call = Call([sample.input, *sample.args], dict(sample.kwargs), "")
        done = outcome(entry, call.args, call.kwargs)
        if done.error is None:
            yield from damaged(call, done.result)
            if entry.inplace_variant is not None:
                yield from written(call, bare(entry))


def differing(entry: Any, count: int) -> Iterator[tuple[str, str]]:
    """The name of each call that differs, and the two outcomes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in calls(entry, count):
            found = difference(entry, call)
            if found:
                kind = found.partition(":")[0]
                line = f"{entry.name} {entry.variant_test_name} | {call.method} | {call.damage} | {kind}"
                yield line.replace("\n", " "), found


def difference(entry: Any, call: Call) -> str:
    """What is not as in torch, in a word and the two outcomes; empty where all is."""
    convert = Converter()
    try:
        args, kwargs = convert([call.args, call.kwargs])
    except (NeedsMore, TypeError):
        return ""
    before = state(convert.known.values())
    torch.manual_seed(42)  # as op_db does before it draws
    tm.manual_seed(42)
    if call.method and not hasattr(tm.Tensor, call.method):
        return ""
    if call.method:
        theirs = outcome(getattr(torch.Tensor, call.method), call.args, call.kwargs)
        ours = outcome(getattr(type(args[0]), call.method), args, kwargs)
    else:
        theirs = outcome(entry, call.args, call.kwargs)
        if any(isinstance(r, torch.Tensor) and r.numel() > LARGEST for r in flat(theirs.result)):
            return ""
        ours = outcome(called(entry), args, kwargs)
    if ours.error is not None and state(convert.known.values()) != before:
        return f"CHANGED: by {ours.error!r}"
    if theirs.error is not None:
        if ours.error is None:
            return f"ACCEPTED: torch raises {theirs.error!r}"
        attribute = isinstance(theirs.error, AttributeError) and isinstance(ours.error, TypeError)  # of a method
        same = attribute or type(ours.error) is type(theirs.error)
        return "" if same else f"TYPE: {ours.error!r} instead of {theirs.error!r}"
    if ours.error is not None:
        return f"REFUSED: {ours.error!r}; torch takes it"
    if entry.name in TIED:
        return ""  # which of equal elements is found is not said
    try:
        compared(flat(ours.result), flat(theirs.result))
    except AssertionError as error:
        return f"VALUE: {error}"
    return ""


def compared(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(other, torch.Tensor):
            assert tuple(mine.shape) == tuple(other.shape), f"{mine.shape} {other.shape}"
            assert str(mine.dtype).rpartition(".")[2].strip("_") == str(other.dtype)[6:]
            if other.numel():
                near(mine, other, 1e-2 if other.dtype in (torch.float16, torch.bfloat16) else 1e-4)


@pytest.mark.long
@pytest.mark.parametrize("entry", HERE, ids=lambda e: f"{e.name}-{e.variant_test_name}")
def test_a_refused_call_changes_nothing(entry: Any) -> None:
    assert [found for line, found in differing(entry, 1) if line.endswith("CHANGED")] == []


def test_a_difference_is_found() -> None:
    add = next(e for e in ENTRIES if e.name == "add")
    assert difference(add, Call([torch.ones(2), torch.ones(2)], {}, "")) == ""
    with pytest.raises(AssertionError):
        compared([tm.ones(2)], [torch.zeros(2)])


if __name__ == "__main__":
    for each in HERE:
        for difference_found in differing(each, SAMPLES):
            sys.stdout.write(" | ".join(difference_found) + "\n")
