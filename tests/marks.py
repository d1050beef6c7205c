"""What is left to ``make test-all``: parameters of a test, and three quarters of the examples that hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings


def mostly_long(values: Iterable[Any], kept: Callable[..., bool]) -> list[Any]:
    """``values`` for ``parametrize``: those that are not ``kept`` are marked long. A tuple is several arguments."""
    together = [value if isinstance(value, tuple) and not hasattr(value, "_fields") else (value,) for value in values]
    return [pytest.param(*each, marks=() if kept(*each) else pytest.mark.long) for each in together]


def examples(count: int) -> int:
    """``max_examples`` of hypothesis: ``count``, or a quarter of it for ``make test``, whose profile has 25 for 100."""
    return count * settings().max_examples // 100
