"""Torch's flags can be set in these tests, also after torch's own test tables were imported, which forbid that."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def flags_may_be_set() -> None:
    setattr(torch.backends.m, "__allow_nonbracketed_mutation_flag", True)
