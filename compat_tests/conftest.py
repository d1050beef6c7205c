"""The same random numbers in every test, whichever ran before it."""

from __future__ import annotations

import mlx.core as mx
import pytest
import torch


@pytest.fixture(autouse=True)
def _seeds() -> None:
    torch.manual_seed(0)
    mx.random.seed(0)
