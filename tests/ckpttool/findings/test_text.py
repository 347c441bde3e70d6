"""The forms of text that several files have."""

from __future__ import annotations

import hashlib

import pytest

from ckpttool.findings.text import (
    digits_of,
    is_sha256,
    percent,
    printable,
    short_percent,
    some_of,
)

DIGEST = hashlib.sha256(b"weights").hexdigest()


def test_a_sha256_is_what_hashlib_writes() -> None:
    assert is_sha256(DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(DIGEST[1:], id="a digit less"),
        pytest.param(f"{DIGEST}0", id="a digit more"),
        pytest.param(f"{DIGEST[1:]}\n", id="a newline"),
        pytest.param(DIGEST.upper(), id="capitals"),
        pytest.param(f"{DIGEST[1:]}g", id="another letter"),
        pytest.param(f"{DIGEST[1:]}\u0663", id="a digit of another script"),
    ],
)
def test_nothing_else_is_a_sha256(text: str) -> None:
    assert not is_sha256(text)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, ""), (1, "0"), (2, "0, 1"), (3, "0, 1 and 1 more"), (2002, "0, 1 and 2,000 more")],
)
def test_of_many_texts_some_are_shown_and_the_rest_is_counted(number: int, shown: str) -> None:
    assert some_of(list(map(str, range(number))), 2) == shown


def test_all_is_said_of_the_whole_alone() -> None:
    assert [percent(*pair) for pair in ((1, 1), (99_999_999, 100_000_000), (0, 0))] == [
        "100.00 %",
        "99.99 %",
        "0 %",
    ]


@pytest.mark.parametrize(
    ("low", "high", "digits"),
    [
        pytest.param(-0.5, 2.0, 3, id="far apart"),
        pytest.param(0.99937, 1.0008, 5, id="close"),
        pytest.param(1e6, 1e6 + 1e-9, 8, id="closer than a float32"),
        pytest.param(-1.7e308, 1.7e308, 3, id="further apart than any float"),
        pytest.param(5e-324, 1e-323, 3, id="smallest"),
        pytest.param(1.0, 1.0, 3, id="one number"),
        pytest.param(0.0, 0.0, 3, id="zero"),
        pytest.param(None, None, 3, id="not known"),
        pytest.param(1.0, float("inf"), 3, id="infinite"),
    ],
)
def test_close_numbers_have_more_digits(low: float | None, high: float | None, digits: int) -> None:
    assert digits_of(low, high, 3) == digits


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        pytest.param(0, 0, "0 %", id="nothing of nothing"),
        pytest.param(0, 8, "0 %", id="nothing"),
        pytest.param(1, 10**9, "<0.001 %", id="one of very many"),
        pytest.param(1, 8, "12.5 %", id="some"),
        pytest.param(10**9 - 1, 10**9, ">99.9 %", id="all but one"),
        pytest.param(8, 8, "100 %", id="all"),
    ],
)
def test_a_short_share_is_neither_none_nor_all_by_rounding(
    part: int, whole: int, text: str
) -> None:
    assert short_percent(part, whole) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::a", r"\x3a\x3aerror\x3a\x3aa"),
        (":::", r"\x3a\x3a:"),
        ("##[error]", r"\x23\x23[error]"),
        ("###[a]", r"#\x23\x23[a]"),
        ("a ##vso[task.complete]", r"a \x23\x23vso[task.complete]"),
        ("##TeamCity[a]", r"\x23\x23TeamCity[a]"),
        ("## a [b]", "## a [b]"),
        ("a:b #1 [c]", "a:b #1 [c]"),
    ],
)
def test_commands_of_ci_systems_are_broken_up(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
