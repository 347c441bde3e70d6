"""The forms of text that several files have."""

from __future__ import annotations

import hashlib

import pytest

from ckpttool.findings.text import is_sha256, percent, some_of

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
