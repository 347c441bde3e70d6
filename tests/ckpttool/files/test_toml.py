"""Configuration files: what they hold, and an error in words for what is none."""

from __future__ import annotations

import pytest

from ckpttool.files.toml import parse_toml
from ckpttool.findings.errors import UsageError


def dotted(parts: int) -> bytes:
    return b".".join([b"a"] * parts) + b" = 1\n"


def test_a_file_is_what_toml_says() -> None:
    assert parse_toml(b'[a]\nb.c = "d.e.f"\n', "x.toml") == {"a": {"b": {"c": "d.e.f"}}}
    assert list(parse_toml(dotted(32), "x.toml")) == ["a"]


@pytest.mark.parametrize("content", [dotted(33), b"[" + dotted(33)[:-5] + b"]\n", b"a = ", b"\xff"])
def test_what_is_no_toml_or_beyond_its_limit_is_an_error_with_the_file(content: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        parse_toml(content, "x.toml")
    assert caught.value.path == "x.toml"
