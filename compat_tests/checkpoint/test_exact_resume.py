"""Exact resume through real torch: it loads what we saved, saves that again, and we go on from torch's file.

Every optimizer by ``step()`` and every scheduler, the cases of ``tests/resume_cases.py`` that are not compiled. What
torch's ``weights_only`` loading gives is also compared, bit for bit, with what was saved.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import torchish_mlx
from tests.marks import mostly_long
from tests.resume_cases import Case, cases
from tests.resume_files import content, take
from tests.resume_runs import END, HALF, Run

EAGER = [case for case in cases() if case.how in ("step", "closure")]


def by_torch(value: Any) -> Any:
    """A tree of torch's with the names of types, and tensors as (dtype, shape, bits)."""
    if isinstance(value, torch.Tensor):
        bits = value.detach().contiguous()
        bits = bits.view(torch.uint16) if bits.dtype == torch.bfloat16 else bits
        return str(value.dtype).removeprefix("torch."), tuple(value.shape), bits.numpy().tobytes()
    return walked(value, by_torch)


def by_us(value: Any) -> Any:
    if isinstance(value, torchish_mlx.Tensor):
        array = value.array
        bits = np.array(array.view(mx.uint16) if array.dtype == mx.bfloat16 else array)
        return str(value.dtype).rpartition(".")[2], tuple(value.shape), bits.tobytes()
    return walked(value, by_us)


def walked(value: Any, inner: Any) -> Any:
    if isinstance(value, dict):
        return type(value).__name__, [(key, inner(child)) for key, child in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [inner(child) for child in value]
    return type(value).__name__, value


#: Of each optimizer of torch's names the first, and one of each other kind.
FIRST = list({case.optimizer.partition("-")[0].partition(".")[0]: case for case in reversed(EAGER)}.values())


@pytest.mark.parametrize("case", mostly_long(EAGER, lambda case: case in FIRST), ids=repr)
def test_a_run_goes_on_from_the_file_that_torch_wrote(case: Case, tmp_path) -> None:
    run = Run(case, seed=1)
    run.train(HALF)
    torchish_mlx.save(content(run), tmp_path / "ours.pt")
    theirs = torch.load(tmp_path / "ours.pt", weights_only=True)
    ours = torchish_mlx.load(tmp_path / "ours.pt")
    assert by_torch(theirs) == by_us(ours)
    torch.save(theirs, tmp_path / "theirs.pt")
    run.seen.clear()
    run.train(END - HALF)
    resumed = Run(case, seed=2)
    take(resumed, torchish_mlx.load(tmp_path / "theirs.pt"))
    resumed.train(END - HALF)
    assert resumed.record() == run.record()
