"""Fixtures that several files use."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of mx.eval and mx.async_eval since the list was last cleared."""
    calls: list[str] = []
    for name in ("eval", "async_eval"):
        original = getattr(mx, name)

        def recorded(*args: Any, _name: str = name, _original: Any = original) -> Any:
            calls.append(_name)
            return _original(*args)

        monkeypatch.setattr(mx, name, recorded)
    return calls
