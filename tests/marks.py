"""Which parameters of a test are left to ``make test-all``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def mostly_long(values: Iterable[Any], kept: Callable[..., bool]) -> list[Any]:
    """``values`` for ``parametrize``: those that are not ``kept`` are marked long. A tuple is several arguments."""
    together = [value if isinstance(value, tuple) and not hasattr(value, "_fields") else (value,) for value in values]
    return [pytest.param(*each, marks=() if kept(*each) else pytest.mark.long) for each in together]
