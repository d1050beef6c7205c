"""Many small cases in one test: pytest takes two milliseconds for a test, in which ten of them could run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def check_each(check: Callable[..., None], cases: Iterable[tuple[Any, ...]]) -> None:
    """Call ``check(*case)`` for every case, and fail afterwards with the names of those that failed.

    An empty list of cases fails, because it checks nothing.
    """
    failed: list[str] = []
    first: BaseException | None = None
    cases = list(cases)
    assert cases, "there is no case"
    for case in cases:
        try:
            check(*case)
        except (Exception, pytest.fail.Exception) as error:  # the other is what pytest.raises raises
            first = first or error
            failed.append(f"{', '.join(map(_name, case))}: {type(error).__name__}: {error}")
    if failed:
        raise AssertionError(f"{len(failed)} of {len(cases)} cases fail:\n" + "\n".join(failed)) from first


def each(names: str | tuple[str, ...], values: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As ``pytest.mark.parametrize(names, values)``, in one test: the cases share its fixtures and random numbers."""
    cases = [(value,) if isinstance(names, str) else value for value in values]
    arguments = (names,) if isinstance(names, str) else names

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def every(**fixtures: Any) -> None:
            check_each(lambda *case: test(**dict(zip(arguments, case, strict=True)), **fixtures), cases)

        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name not in arguments]
        every.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return every

    return decorate


def _name(value: Any) -> str:
    return getattr(value, "__qualname__", None) or str(value)
