"""Objects that are exempt from garbage collection would be searched for arrays before each fork, for seconds."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _not_frozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.freeze()
