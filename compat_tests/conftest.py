"""The same random numbers in every test, whichever ran before it."""

from __future__ import annotations

import mlx.core as mx
import pytest
import torch

# torch keeps the seed for each kind of device that was not used yet, with the stack at that time as text, which takes
# a millisecond for each call of torch.manual_seed. The tests use torch's CPU alone.
for _kind in (torch.cuda, torch.xpu, torch.mtia):
    _kind.manual_seed_all = lambda seed: None


@pytest.fixture(autouse=True)
def _seeds() -> None:
    torch.manual_seed(0)
    mx.random.seed(0)
