"""Fixtures that several files use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import pytest

from tests.joining import kept_apart
from torchish_mlx.optimizers import _paths


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


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rules that were run as one compiled function, for each time that one was asked for."""
    calls: list[list[str]] = []
    original = _paths._compiled

    def spy(groups: Any) -> Any:
        calls.append([group.rule.__name__ for group in groups])
        return original(groups)

    spy.cache_clear = original.cache_clear  # type: ignore[attr-defined]
    monkeypatch.setattr(_paths, "_compiled", spy)
    return calls


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every model is large enough to compile for, and every parameter to have kernels of its own."""
    monkeypatch.setattr(_paths, "SMALL", 1)
    with kept_apart():
        yield
