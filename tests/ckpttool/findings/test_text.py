"""The forms of text that several files have."""

from __future__ import annotations

import hashlib

import pytest

from ckpttool.findings.text import is_sha256

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
