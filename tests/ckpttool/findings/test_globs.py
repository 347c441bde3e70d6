"""Globs match as those of shells do, and take the time of reading a name."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.findings.errors import UsageError
from ckpttool.findings.globs import MOST_CHARACTERS, between, glob_of, short_of


@settings(deadline=None)
@given(st.text("ab*?[]!-^", max_size=9), st.text("ab-]!", max_size=8))
def test_a_glob_is_that_of_the_standard_library(pattern: str, name: str) -> None:
    if "-" not in pattern:  # a range that runs backwards is another thing in each release
        assert glob_of(pattern).matches(name) is fnmatchcase(name, pattern)


@settings(deadline=None)
@given(st.lists(st.sampled_from(("a", "b", "*", "?", "{a,ab}", "{b,*a}", "{1-12}")), max_size=6))
def test_pieces_of_any_length_are_found_where_one_expression_finds_them(parts: list[str]) -> None:
    as_expression = {
        "*": ".*",
        "?": ".",
        "{a,ab}": "(a|ab)",
        "{b,*a}": "(b|.*a)",
        "{1-12}": "([1-9]|1[0-2])",
    }
    expression = re.compile("".join(as_expression.get(one, one) for one in parts), re.DOTALL)
    found = short_of("".join(parts), globs=True)
    for name in ("", "a", "ab", "aab", "abab", "a1b", "12", "112", "ab12a", "babaab", "b1a2"):
        assert found.matches(name) is (expression.fullmatch(name) is not None), name


@settings(deadline=None)
@given(st.integers(0, 1200), st.integers(0, 1200))
def test_a_range_is_of_its_numbers(first: int, last: int) -> None:
    expression = re.compile("|".join(between(str(first), str(last))))
    for number in (0, first - 1, first, first + 1, (first + last) // 2, last, last + 1, 99, 100):
        inside = first <= number <= last
        assert (expression.fullmatch(str(number)) is not None) is inside
        assert expression.fullmatch(f"0{number}") is None


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 50 + "b", "*" * 1_000 + "b", "*aab*aab*c", "{*a,*aa}*{*a,*aa}*b", "?*" * 50 + "b"],
)
def test_wildcards_do_not_multiply(pattern: str) -> None:
    """With an expression that goes back, each of these takes longer than anybody waits."""
    assert not short_of(pattern, globs=True).matches("a" * 5_000)
    assert not short_of(pattern, globs=True).matches("aab" * 2_000 + "a")


def test_a_pattern_that_is_too_much_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="more than 100,000 characters"):
        glob_of("a" * (MOST_CHARACTERS + 1))
    with pytest.raises(UsageError, match="more than 1,000 patterns"):
        short_of("{a*,b*}" * 12, globs=True)
