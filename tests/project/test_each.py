"""Cases that run in one test: all of them run, and those that fail are named."""

from __future__ import annotations

import inspect

import pytest

from tests.each import check_each, each


def test_all_cases_run_and_those_that_fail_are_named() -> None:
    seen = []

    def check(a: int, b: str) -> None:
        seen.append((a, b))
        assert a != 2, "two"
        if a == 3:
            raise ValueError("three")

    cases = [(1, "x"), (2, "y"), (3, "z"), (4, "w")]
    with pytest.raises(AssertionError, match="2 of 4 cases fail") as caught:
        check_each(check, cases)
    assert seen == cases
    assert "\n2, y: AssertionError: two" in str(caught.value)
    assert "\n3, z: ValueError: three" in str(caught.value)
    assert isinstance(caught.value.__cause__, AssertionError)


def test_no_case_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="there is no case"):
        check_each(lambda: None, [])


def test_fixtures_remain_arguments_of_the_test() -> None:
    seen = []

    @each(("a", "b"), [(1, 2), (3, 4)])
    @each("c", "xy")
    def test(a: int, b: int, c: str, tmp_path: str) -> None:
        seen.append((a, b, c, tmp_path))

    assert list(inspect.signature(test).parameters) == ["tmp_path"]
    test(tmp_path="p")
    assert seen == [(1, 2, "x", "p"), (1, 2, "y", "p"), (3, 4, "x", "p"), (3, 4, "y", "p")]
